//! The thread that reads: one loop over readiness, all sockets taking turns.
//!
//! A turn: wait for readiness → read each ready socket, a bounded amount → look after what events do not
//! tell → hand over the batches that hold something. Sockets are edge-triggered: one that was not read to
//! its end stays in the queue of ready ones.

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};
use orzo_base::mmsg::ReceiveBuffers;
use orzo_base::{CachePadded, Producer, Stop};
use orzo_model::{Batch, Profile};
use socket2::Socket;

use crate::connections::Connections;
use crate::counters::ListenerCounters;
use crate::datagram::DatagramDoor;
use crate::intake::{Intake, Progress};
use crate::limits::{ACCEPTS_PER_TURN, DATAGRAM_BYTES_MAX, DATAGRAMS_PER_CALL, DRAIN_LEFT, Limits, SWEEP};
use crate::pace::Pace;
use crate::router::{Router, Routes};
use crate::socket::{BoundSocket, SocketPath, Transport};
use crate::statsd::{Naming, Parser};
use crate::stream::{self, Connection, Framing};
use crate::tap::{Spout, Tap};

/// The event that only wakes.
const WAKE: Token = Token(usize::MAX);
/// Events taken from the system at a time; more wait for the next turn.
const EVENTS: usize = 256;

/// What all listeners of a daemon share.
#[derive(Clone, Debug)]
pub struct ListenerConfig {
    /// How series get their ids and resources.
    pub naming: Naming,
    /// Bounds.
    pub limits: Limits,
    /// Which shard owns what.
    pub routes: Routes,
    /// Where lines are shown to those who look.
    pub tap: Arc<Tap>,
}

/// A socket that was bound at start. Its token is its place among them.
enum Door {
    Datagrams(DatagramDoor),
    Streams { socket: Socket, profile: Profile, framing: Framing },
}

impl Door {
    fn socket(&self) -> &Socket {
        match self {
            Door::Datagrams(door) => door.socket(),
            Door::Streams { socket, .. } => socket,
        }
    }
}

/// A listener, ready to run.
pub struct Listener {
    poll: Poll,
    doors: Vec<Door>,
    /// Their tokens follow those of the doors.
    connections: Connections,
    ready: Ready,
    /// Doors that failed, for another try at the next sweep.
    failed: Vec<usize>,
    /// Whether something happened since the last sweep.
    is_active: bool,
    next_sweep: Instant,
    pace: Pace,
    datagrams: ReceiveBuffers,
    stream_buffer: Box<[u8]>,
    intake: Intake,
    limits: Limits,
    stop: Stop,
    /// Last, so that paths go after the sockets.
    _paths: Vec<SocketPath>,
}

impl Listener {
    /// Puts a listener together; it reads nothing before [`Listener::run`]. `stop` ends it.
    ///
    /// # Errors
    ///
    /// If the system refuses an event queue, or a socket in it.
    pub fn new(
        sockets: Vec<BoundSocket>,
        producer: Producer<Batch>,
        config: ListenerConfig,
        stop: Stop,
    ) -> io::Result<Self> {
        let ListenerConfig { naming, limits, routes, tap } = config;
        let counters = Arc::new(CachePadded::new(ListenerCounters::default()));
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKE)?;
        stop.on_request(move || {
            // ASSUMES: writing to an event descriptor of ours cannot fail while it is open.
            let _ = waker.wake();
        });
        let (doors, paths) = open_doors(sockets, &counters);
        for (token, door) in doors.iter().enumerate() {
            register(&poll, door.socket(), token)?;
        }
        let router = Router::new(producer, routes, Arc::clone(&counters));
        Ok(Listener {
            poll,
            ready: Ready::new(doors.len() + limits.connections),
            doors,
            connections: Connections::new(limits.connections),
            failed: Vec::new(),
            is_active: false,
            next_sweep: Instant::now(),
            pace: Pace::new(Instant::now()),
            datagrams: ReceiveBuffers::new(DATAGRAMS_PER_CALL, DATAGRAM_BYTES_MAX),
            stream_buffer: stream::shared_buffer(),
            intake: Intake { parser: Parser::new(naming), router, counters, spout: Spout::new(tap) },
            limits,
            stop,
            _paths: paths,
        })
    }

    /// What it counts, for whoever scrapes.
    pub fn counters(&self) -> Arc<CachePadded<ListenerCounters>> {
        Arc::clone(&self.intake.counters)
    }

    /// Reads until stopped, then what the kernel already holds, and hands over all of it. On return the
    /// sockets are closed, paths removed, and the producer dropped.
    ///
    /// # Errors
    ///
    /// If the event queue breaks, which nothing survives.
    pub fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS);
        while !self.stop.requested() {
            self.wait(&mut events)?;
            let now = Instant::now();
            for _ in 0..self.ready.len() {
                self.serve_next(now);
            }
            if now >= self.next_sweep {
                self.sweep(now);
            }
            self.intake.router.flush();
        }
        self.drain();
        Ok(())
    }

    /// Sleeps until something is to be done. The one place that decides how long.
    fn wait(&mut self, events: &mut Events) -> io::Result<()> {
        if self.ready.is_empty() && !self.stop.requested() {
            let counters = &self.intake.counters;
            let (datagrams, buffer_bytes) = (counters.datagrams.get(), counters.receive_buffer_bytes.get());
            let streams = self.connections.len() > 0;
            if let Some(nap) = self.pace.nap(Instant::now(), datagrams, buffer_bytes, streams) {
                thread::sleep(nap);
            }
        }
        let timeout = if !self.ready.is_empty() {
            Some(Duration::ZERO)
        } else if self.is_active || self.connections.len() > 0 || !self.failed.is_empty() {
            Some(self.next_sweep.saturating_duration_since(Instant::now()))
        } else {
            None
        };
        match self.poll.poll(events, timeout) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        for event in events.iter().filter(|event| event.token() != WAKE) {
            self.ready.add(event.token().0);
        }
        Ok(())
    }

    /// Gives the first ready socket its turn.
    fn serve_next(&mut self, now: Instant) {
        let Some(token) = self.ready.take() else { return };
        self.is_active = true;
        let progress = match token.checked_sub(self.doors.len()) {
            Some(slot) => self.serve_connection(slot, now),
            None => self.serve_door(token, now),
        };
        match progress {
            Progress::More => self.ready.add(token),
            Progress::Failed => self.failed.push(token),
            Progress::Drained | Progress::Closed => {}
        }
    }

    fn serve_door(&mut self, token: usize, now: Instant) -> Progress {
        match &mut self.doors[token] {
            Door::Datagrams(door) => door.read(&mut self.datagrams, &mut self.intake),
            Door::Streams { .. } => self.accept(token, now),
        }
    }

    /// An event may be older than the connection in its slot, or than its end: both are harmless.
    fn serve_connection(&mut self, slot: usize, now: Instant) -> Progress {
        let Some(connection) = self.connections.get_mut(slot) else { return Progress::Drained };
        let progress = connection.read(&mut self.stream_buffer, &mut self.intake, now);
        if progress == Progress::Closed {
            self.close(slot);
        }
        progress
    }

    fn close(&mut self, slot: usize) {
        self.connections.remove(slot);
        self.count_connections();
    }

    fn count_connections(&self) {
        self.intake.counters.connections_open.set(self.connections.len() as u64);
    }

    fn accept(&mut self, token: usize, now: Instant) -> Progress {
        for _ in 0..ACCEPTS_PER_TURN {
            let Door::Streams { socket, profile, framing } = &self.doors[token] else { break };
            let (profile, framing) = (*profile, *framing);
            match socket.accept() {
                Ok((socket, _)) => self.admit(socket, profile, framing, now),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Progress::Drained,
                // Gone before it was taken.
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted
                    ) => {}
                Err(_) => {
                    self.intake.counters.socket_errors.add(1);
                    return Progress::Failed;
                }
            }
        }
        Progress::More
    }

    /// Takes a connection in, or closes it if there are too many.
    fn admit(&mut self, socket: Socket, profile: Profile, framing: Framing, now: Instant) {
        let counters = &self.intake.counters;
        counters.connections_total.add(1);
        let Some(slot) = self.connections.vacant() else { return counters.connections_refused.add(1) };
        let token = self.doors.len() + slot;
        if socket.set_nonblocking(true).and_then(|()| register(&self.poll, &socket, token)).is_err() {
            return counters.socket_errors.add(1);
        }
        self.connections.insert(Connection::new(socket, profile, framing, now));
        self.count_connections();
    }

    /// Looks after what no event tells.
    fn sweep(&mut self, now: Instant) {
        self.settle_kernel_drops();
        for slot in self.connections.idle(now, self.limits.idle) {
            if let Some(connection) = self.connections.get_mut(slot) {
                connection.end(&mut self.intake);
            }
            self.close(slot);
        }
        for token in std::mem::take(&mut self.failed) {
            self.ready.add(token);
        }
        self.is_active = false;
        self.next_sweep = now + SWEEP;
    }

    fn settle_kernel_drops(&mut self) {
        for door in &mut self.doors {
            if let Door::Datagrams(door) = door {
                door.settle_kernel_drops(&mut self.intake);
            }
        }
    }

    /// Reads what the kernel already holds, but accepts nobody any more; bounded in time, as senders may
    /// go on. Datagrams that the next program will read stay where they are.
    fn drain(&mut self) {
        let is_left = |door: &Door| matches!(door, Door::Datagrams(door) if door.is_left());
        let longest = if self.doors.iter().any(is_left) { DRAIN_LEFT } else { self.limits.drain };
        let deadline = Instant::now() + longest;
        self.ready.clear();
        self.doors.iter().enumerate().for_each(|(token, door)| {
            if matches!(door, Door::Datagrams(door) if !door.is_left()) {
                self.ready.add(token);
            }
        });
        for slot in self.connections.open() {
            self.ready.add(self.doors.len() + slot);
        }
        while !self.ready.is_empty() && Instant::now() < deadline {
            self.serve_next(Instant::now());
        }
        for slot in self.connections.open() {
            if let Some(connection) = self.connections.get_mut(slot) {
                connection.abandon(&mut self.intake);
            }
            self.close(slot);
        }
        self.settle_kernel_drops();
        self.intake.router.flush();
    }
}

fn open_doors(sockets: Vec<BoundSocket>, counters: &ListenerCounters) -> (Vec<Door>, Vec<SocketPath>) {
    let (mut doors, mut paths) = (Vec::new(), Vec::new());
    for mut bound in sockets {
        paths.extend(bound.path.take());
        doors.push(match bound.transport {
            Transport::Streams(framing) => {
                Door::Streams { socket: bound.socket, profile: bound.profile, framing }
            }
            Transport::Datagrams => {
                let (before, granted) =
                    (counters.receive_buffer_bytes.get(), bound.receive_buffer_bytes() as u64);
                counters.receive_buffer_bytes.set(if before == 0 { granted } else { before.min(granted) });
                Door::Datagrams(DatagramDoor::new(bound))
            }
        });
    }
    (doors, paths)
}

fn register(poll: &Poll, socket: &Socket, token: usize) -> io::Result<()> {
    poll.registry().register(&mut SourceFd(&socket.as_raw_fd()), Token(token), Interest::READABLE)
}

/// The sockets that have something to read, each once, in the order they got it.
struct Ready {
    queue: VecDeque<usize>,
    is_queued: Vec<bool>,
}

impl Ready {
    fn new(tokens: usize) -> Self {
        Ready { queue: VecDeque::with_capacity(tokens), is_queued: vec![false; tokens] }
    }

    fn add(&mut self, token: usize) {
        if !std::mem::replace(&mut self.is_queued[token], true) {
            self.queue.push_back(token);
        }
    }

    fn take(&mut self) -> Option<usize> {
        let token = self.queue.pop_front()?;
        self.is_queued[token] = false;
        Some(token)
    }

    fn clear(&mut self) {
        while self.take().is_some() {}
    }

    fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    fn len(&self) -> usize {
        self.queue.len()
    }
}
