//! The floor: receives datagrams as the daemon does and counts newlines, nothing more. What it costs a line is what the
//! kernel costs; a daemon cannot be cheaper.

use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use orzo_base::mmsg::{ReceiveBuffers, Wait};
use orzo_base::socket_options::{force_receive_buffer, kernel_drops};

use super::cpu::thread_cpu;
use super::error::Error;
use super::report::{FloorReport, SentReport};

/// As the daemon asks by default.
const RECEIVE_BUFFER_BYTES: usize = 32 << 20;

/// Datagrams a system call.
const BURST: usize = 64;

/// How long an empty socket is waited on before the stop flag is looked at.
const PATIENCE: Duration = Duration::from_millis(100);

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) datagrams: u64,
    pub(super) lines: u64,
    pub(super) kernel_drops: u64,
    pub(super) cpu: Duration,
}

/// A running count.
pub(super) struct Floor {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Counted>,
}

impl Floor {
    /// Starts to receive on a free loopback port.
    pub(super) fn start() -> Result<Self, Error> {
        let socket = open().map_err(Error::io("opening the floor's socket"))?;
        let address = socket.local_addr().map_err(Error::io("asking for the floor's address"))?;
        let stop = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stop);
        let thread = std::thread::Builder::new().name("floor".into()).spawn(move || count(&socket, &flag));
        let thread = thread.map_err(Error::io("starting the floor's thread"))?;
        Ok(Floor { address, stop, thread })
    }

    /// Where to send.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Drains the socket and tells what it cost.
    pub(super) fn stop(self, sent: &SentReport) -> FloorReport {
        // Relaxed: the flag carries no data; the join below orders the rest.
        self.stop.store(true, Ordering::Relaxed);
        FloorReport::new(self.thread.join().expect("counting does not panic"), sent)
    }
}

fn open() -> std::io::Result<UdpSocket> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    if force_receive_buffer(socket.as_fd(), RECEIVE_BUFFER_BYTES).is_err() {
        socket2::SockRef::from(&socket).set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
    }
    socket.set_read_timeout(Some(PATIENCE))?;
    Ok(socket)
}

fn count(socket: &UdpSocket, stop: &AtomicBool) -> Counted {
    let mut counted = Counted::default();
    let mut buffers = ReceiveBuffers::new(BURST, 2048);
    loop {
        match buffers.receive(socket.as_fd(), Wait::ForOne) {
            Ok(received) => {
                for datagram in received.iter() {
                    counted.datagrams += 1;
                    counted.lines += lines_in(datagram.bytes);
                }
            }
            // An empty socket after the end of sending: all that will ever come is here.
            Err(_) if stop.load(Ordering::Relaxed) => break,
            Err(_) => {}
        }
    }
    counted.kernel_drops = kernel_drops(socket.as_fd()).map_or(0, u64::from);
    counted.cpu = thread_cpu().unwrap_or_default();
    counted
}

fn lines_in(datagram: &[u8]) -> u64 {
    1 + datagram.iter().filter(|byte| **byte == b'\n').count() as u64
}
