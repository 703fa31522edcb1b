//! The throat of a listener: every byte of text goes through here, whatever socket it came from.

use std::sync::Arc;

use orzo_base::{CachePadded, clock};
use orzo_model::{DropReason, Profile, Timestamp};

use crate::counters::ListenerCounters;
use crate::router::Router;
use crate::statsd::Parser;
use crate::tap::Spout;

/// Parser, router and counters of one thread.
pub(crate) struct Intake {
    pub(crate) parser: Parser,
    pub(crate) router: Router,
    pub(crate) counters: Arc<CachePadded<ListenerCounters>>,
    pub(crate) spout: Spout,
}

impl Intake {
    /// Stamps what was just received. One reading of the clock serves a whole system call.
    pub(crate) fn arrive(&mut self) {
        self.router.arrive(Timestamp::saturating_from_ns(clock::now_ns()));
        self.spout.refresh();
    }

    /// Takes in whole lines.
    pub(crate) fn text(&mut self, profile: Profile, text: &[u8]) {
        self.spout.show(text);
        self.parser.text(profile, text, &self.counters, &mut self.router);
    }

    /// Takes in text whose last line may have been cut: that one is refused, unless it ends in LF.
    pub(crate) fn cut_text(&mut self, profile: Profile, text: &[u8], reason: DropReason) {
        let whole = memchr::memrchr(b'\n', text).map_or(0, |at| at + 1);
        self.text(profile, &text[..whole]);
        if whole < text.len() {
            self.refuse_line(reason);
        }
    }

    /// Counts a line that is refused unseen.
    pub(crate) fn refuse_line(&self, reason: DropReason) {
        self.counters.lines.add(1);
        self.counters.drop_lines(reason, 1);
    }
}

/// How a turn on a socket ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Nothing is left to read; an event will tell when there is.
    Drained,
    /// There may be more, and it is for others now.
    More,
    /// The system failed: worth another try, later.
    Failed,
    /// The connection is over.
    Closed,
}
