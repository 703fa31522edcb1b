//! Sockets whose messages are datagrams: UDP and unix.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

use orzo_base::mmsg::{ReceiveBuffers, Received, Wait};
use orzo_base::socket_options;
use orzo_model::{DropReason, Profile};
use socket2::Socket;

use crate::intake::{Intake, Progress};
use crate::limits::CALLS_PER_TURN;
use crate::socket::{BoundSocket, set_receive_buffer};

/// One bound datagram socket.
pub(crate) struct DatagramDoor {
    socket: Socket,
    profile: Profile,
    /// The kernel's drop counter of this socket when last seen; who takes the socket over goes on from there.
    kernel_drops: Arc<AtomicU32>,
    /// Whether what waits is for the next program.
    left: Arc<AtomicBool>,
    /// See [`BoundSocket`].
    usual_buffer_bytes: Option<usize>,
}

impl DatagramDoor {
    pub(crate) fn new(bound: BoundSocket) -> Self {
        let BoundSocket { socket, profile, counted_drops, left, usual_buffer_bytes, .. } = bound;
        DatagramDoor { socket, profile, kernel_drops: counted_drops, left, usual_buffer_bytes }
    }

    pub(crate) fn is_left(&self) -> bool {
        self.left.load(Relaxed)
    }

    pub(crate) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Receives and takes in what is there, a few system calls at most.
    pub(crate) fn read(&mut self, buffers: &mut ReceiveBuffers, intake: &mut Intake) -> Progress {
        let progress = self.receive(buffers, intake);
        if progress == Progress::More {
            // Where much comes some may be dropped; of what is dropped at other times a sweep hears.
            self.settle_kernel_drops(intake);
        }
        if progress == Progress::Drained
            && let Some(bytes) = self.usual_buffer_bytes.take()
        {
            // A larger one than usual does no harm.
            let _ = set_receive_buffer(&self.socket, bytes);
            let granted = self.socket.recv_buffer_size().unwrap_or(bytes) as u64;
            let smallest = intake.counters.receive_buffer_bytes.get().min(granted);
            intake.counters.receive_buffer_bytes.set(smallest);
        }
        progress
    }

    fn receive(&mut self, buffers: &mut ReceiveBuffers, intake: &mut Intake) -> Progress {
        for _ in 0..CALLS_PER_TURN {
            match buffers.receive(self.socket.as_fd(), Wait::Never) {
                Ok(received) => {
                    self.take_in(&received, intake);
                    if !received.is_full() {
                        return Progress::Drained;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Progress::Drained,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    intake.counters.socket_errors.add(1);
                    return Progress::Failed;
                }
            }
        }
        Progress::More
    }

    fn take_in(&mut self, received: &Received<'_>, intake: &mut Intake) {
        intake.arrive();
        let mut datagrams = 0;
        for datagram in received.iter() {
            datagrams += 1;
            intake.counters.bytes.add(datagram.bytes.len() as u64);
            if datagram.truncated {
                intake.cut_text(self.profile, datagram.bytes, DropReason::Oversized);
            } else {
                intake.text(self.profile, datagram.bytes);
            }
        }
        intake.counters.datagrams.add(datagrams);
        if let Some(drops) = received.kernel_drops() {
            self.count_kernel_drops(drops, intake);
        }
    }

    /// Asks the kernel what it has dropped.
    pub(crate) fn settle_kernel_drops(&mut self, intake: &mut Intake) {
        // ASSUMES: Linux 4.12 or later. Older kernels tell with the next datagram instead; see `socket.rs`.
        if let Ok(drops) = socket_options::kernel_drops(self.socket.as_fd()) {
            self.count_kernel_drops(drops, intake);
        }
    }

    fn count_kernel_drops(&mut self, drops: u32, intake: &mut Intake) {
        // What a datagram carries is older than what the kernel was asked: it may lie behind.
        let news = drops.wrapping_sub(self.kernel_drops.load(Relaxed)) as i32;
        if news > 0 {
            intake.counters.kernel_drops.add(news as u64);
            self.kernel_drops.store(drops, Relaxed);
        }
    }
}
