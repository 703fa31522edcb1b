//! Connections whose bytes are a stream: TCP and unix. Lines end in LF; on a unix stream the first bytes
//! tell whether lengths frame the text instead.
//!
//! A connection keeps at most one unfinished line or frame. Each read goes behind it in a buffer that all
//! connections of the listener share, so a silent connection costs next to nothing.

use std::io::{self, Read};
use std::time::{Duration, Instant};

use memchr::{memchr, memrchr};
use orzo_model::{DropReason, Profile};
use socket2::Socket;

use crate::intake::{Intake, Progress};
use crate::limits::{CALLS_PER_TURN, FRAME_HEADER_BYTES, LINE_BYTES_MAX, READ_BYTES};

/// How the text of a stream is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Lines or frames, as the first bytes will tell.
    Undecided,
    /// Lines that end in LF.
    Lines,
    /// Each text follows its length: four bytes, little-endian.
    Frames,
}

/// The bytes of a stream past what was taken in, and how to read on.
struct Cut {
    /// Bytes that are done with.
    done: usize,
    /// Whether the stream broke a bound and must end.
    is_over: bool,
}

/// One connection.
pub(crate) struct Connection {
    socket: Socket,
    profile: Profile,
    framing: Framing,
    /// The unfinished line or frame.
    rest: Vec<u8>,
    last_read: Instant,
}

/// A buffer for [`Connection::read`], shared by all connections of a listener.
pub(crate) fn shared_buffer() -> Box<[u8]> {
    vec![0; FRAME_HEADER_BYTES + LINE_BYTES_MAX + READ_BYTES].into_boxed_slice()
}

impl Connection {
    pub(crate) fn new(socket: Socket, profile: Profile, framing: Framing, now: Instant) -> Self {
        Connection { socket, profile, framing, rest: Vec::new(), last_read: now }
    }

    pub(crate) fn is_idle(&self, now: Instant, idle: Duration) -> bool {
        now.saturating_duration_since(self.last_read) >= idle
    }

    /// Reads and takes in what is there, a few system calls at most.
    pub(crate) fn read(&mut self, buffer: &mut [u8], intake: &mut Intake, now: Instant) -> Progress {
        for _ in 0..CALLS_PER_TURN {
            let held = self.rest.len();
            buffer[..held].copy_from_slice(&self.rest);
            match (&self.socket).read(&mut buffer[held..held + READ_BYTES]) {
                Ok(0) => return self.end(intake),
                Ok(count) => {
                    self.last_read = now;
                    if self.take_in(&buffer[..held + count], count, intake) {
                        return Progress::Closed;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Progress::Drained,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // The peer is gone without a goodbye.
                Err(_) => return self.end(intake),
            }
        }
        Progress::More
    }

    /// Takes in text of which the last `count` bytes are new; true if the stream must end.
    fn take_in(&mut self, text: &[u8], count: usize, intake: &mut Intake) -> bool {
        intake.arrive();
        intake.counters.bytes.add(count as u64);
        let cut = self.cut(text, intake);
        self.rest.clear();
        self.rest.extend_from_slice(&text[cut.done..]);
        cut.is_over
    }

    fn cut(&mut self, text: &[u8], intake: &mut Intake) -> Cut {
        match self.framing {
            Framing::Lines => self.cut_lines(text, intake),
            Framing::Frames => self.cut_frames(text, intake),
            Framing::Undecided => match frame_len(text) {
                // No line is shorter than a header: more must come, or the end.
                None => Cut { done: 0, is_over: false },
                Some(len) => {
                    // Text would read as a length far beyond the bound: its fourth byte is not zero.
                    let is_framed = len <= LINE_BYTES_MAX;
                    self.framing = if is_framed { Framing::Frames } else { Framing::Lines };
                    self.cut(text, intake)
                }
            },
        }
    }

    /// Takes in the complete lines. Only the first can be too long: it alone began before this read.
    fn cut_lines(&self, text: &[u8], intake: &mut Intake) -> Cut {
        let first = memchr(b'\n', text);
        if first.unwrap_or(text.len()) <= LINE_BYTES_MAX {
            let done = memrchr(b'\n', text).map_or(0, |at| at + 1);
            intake.text(self.profile, &text[..done]);
            return Cut { done, is_over: false };
        }
        intake.refuse_line(DropReason::Oversized);
        if let Some(first) = first {
            intake.cut_text(self.profile, &text[first + 1..], DropReason::Oversized);
        }
        Cut { done: text.len(), is_over: true }
    }

    /// Takes in the complete frames.
    fn cut_frames(&self, text: &[u8], intake: &mut Intake) -> Cut {
        let mut done = 0;
        while let Some(len) = frame_len(&text[done..]) {
            let start = done + FRAME_HEADER_BYTES;
            if len > LINE_BYTES_MAX {
                intake.refuse_line(DropReason::Oversized);
                return Cut { done: text.len(), is_over: true };
            }
            match text.get(start..start + len) {
                Some(frame) => intake.text(self.profile, frame),
                None => break,
            }
            done = start + len;
        }
        Cut { done, is_over: false }
    }

    /// The peer will send no more: an unterminated last line counts as a line.
    pub(crate) fn end(&mut self, intake: &mut Intake) -> Progress {
        intake.arrive();
        intake.text(self.profile, self.unfinished());
        Progress::Closed
    }

    /// We read no more though the peer may send: a line without its end is not one.
    pub(crate) fn abandon(&mut self, intake: &mut Intake) {
        intake.arrive();
        intake.cut_text(self.profile, self.unfinished(), DropReason::ShuttingDown);
    }

    /// The text of the unfinished line or frame.
    fn unfinished(&self) -> &[u8] {
        match self.framing {
            Framing::Frames => self.rest.get(FRAME_HEADER_BYTES..).unwrap_or_default(),
            Framing::Lines | Framing::Undecided => &self.rest,
        }
    }
}

/// The length at the start of a frame, once it is there.
fn frame_len(text: &[u8]) -> Option<usize> {
    let header: [u8; FRAME_HEADER_BYTES] = text.get(..FRAME_HEADER_BYTES)?.try_into().ok()?;
    usize::try_from(u32::from_le_bytes(header)).ok()
}
