//! Sending: one thread and one socket a sender, many datagrams a system call, at a rate or as fast as it goes.

use std::fmt;
use std::io::{self, Write};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use orzo_base::mmsg::SendBuffers;
use orzo_base::socket_options::segment_datagrams;

use super::error::Error;
use super::lines::Pool;

/// Datagrams a system call.
const BURST: usize = 32;

/// Bytes of the largest piece that the kernel cuts into datagrams.
const PIECE_BYTES_MAX: usize = 65_507;

/// Datagrams that the kernel cuts from a piece at most.
const PIECE_DATAGRAMS_MAX: usize = 64;

/// Asked of the kernel for a sending socket.
const SEND_BUFFER_BYTES: usize = 8 << 20;

/// Where to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Datagrams over UDP.
    Udp(SocketAddr),
    /// Lines over TCP.
    Tcp(SocketAddr),
    /// Datagrams over a unix socket.
    UnixDatagram(PathBuf),
    /// Lines over a unix socket.
    UnixStream(PathBuf),
}

impl Target {
    /// Whether lines need their ends.
    pub(super) fn is_stream(&self) -> bool {
        matches!(self, Target::Tcp(_) | Target::UnixStream(_))
    }

    /// Only this machine, unless the operator insists.
    pub(super) fn check(&self, allow_remote: bool) -> Result<(), Error> {
        match self {
            Target::Udp(address) | Target::Tcp(address) if !address.ip().is_loopback() && !allow_remote => {
                Err(Error::Options(format!("{address} is not a loopback address; --allow-remote permits it")))
            }
            _ => Ok(()),
        }
    }

    fn connect(&self) -> Result<Socket, Error> {
        let opened = match self {
            Target::Udp(address) => udp(*address).map(|socket| Socket::datagrams(socket.into())),
            Target::Tcp(address) => TcpStream::connect(address).map(Socket::Tcp),
            Target::UnixDatagram(path) => UnixDatagram::unbound().and_then(|socket| {
                socket.connect(path)?;
                Ok(Socket::datagrams(socket.into()))
            }),
            Target::UnixStream(path) => UnixStream::connect(path).map(Socket::Unix),
        };
        opened.map_err(Error::io(format!("connecting to {self}")))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Udp(address) => write!(f, "udp://{address}"),
            Target::Tcp(address) => write!(f, "tcp://{address}"),
            Target::UnixDatagram(path) => write!(f, "unixgram://{}", path.display()),
            Target::UnixStream(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

fn udp(address: SocketAddr) -> io::Result<UdpSocket> {
    let any = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0))?;
    socket.connect(address)?;
    // A smaller buffer than asked for only makes the sender wait more often.
    let _ = socket2::SockRef::from(&socket).set_send_buffer_size(SEND_BUFFER_BYTES);
    Ok(socket)
}

/// When to stop: whichever comes first.
#[derive(Clone, Copy, Debug)]
pub struct Amount {
    /// Lines over all senders, rounded up to whole datagrams of each.
    pub lines: Option<u64>,
    /// Time.
    pub time: Option<Duration>,
}

impl Amount {
    /// Datagrams of one sender.
    fn datagrams(&self, sender: usize, pools: &[Pool]) -> u64 {
        let Some(lines) = self.lines else { return u64::MAX };
        let total = lines.div_ceil(pools[sender].lines_per_datagram() as u64);
        let senders = pools.len() as u64;
        total / senders + u64::from((sender as u64) < total % senders)
    }
}

/// Sends from all pools at once. Returns the datagrams sent from each; for streams, pieces of as many lines.
pub(super) fn send(
    pools: &[Pool],
    target: &Target,
    amount: Amount,
    rate: Option<u64>,
    segment: bool,
) -> Result<Vec<u64>, Error> {
    if amount.lines.is_none() && amount.time.is_none() {
        return Err(Error::Options("a number of lines or a time is needed".into()));
    }
    let connect = |pool: &Pool| {
        let socket = target.connect()?;
        if segment { socket.segmented(pool).map_err(Error::io("asking for UDP_SEGMENT")) } else { Ok(socket) }
    };
    let sockets = pools.iter().map(connect).collect::<Result<Vec<_>, _>>()?;
    let start = Instant::now();
    std::thread::scope(|scope| {
        let one = |(sender, socket): (usize, Socket)| {
            let pool = &pools[sender];
            let pace = Pace::new(start, rate.map(|rate| rate as f64 / pools.len() as f64), pool);
            let quota = amount.datagrams(sender, pools);
            let deadline = amount.time.map(|time| start + time);
            scope.spawn(move || send_pool(pool, socket, quota, deadline, pace))
        };
        let threads: Vec<_> = sockets.into_iter().enumerate().map(one).collect();
        let joined = threads.into_iter().map(|thread| thread.join().expect("a sender does not panic"));
        joined.map(|sent| sent.map_err(Error::io(format!("sending to {target}")))).collect()
    })
}

fn send_pool(
    pool: &Pool,
    mut socket: Socket,
    quota: u64,
    deadline: Option<Instant>,
    pace: Pace,
) -> io::Result<u64> {
    let mut sent = 0;
    while sent < quota && deadline.is_none_or(|deadline| Instant::now() < deadline) {
        if pace.waits(sent) {
            continue;
        }
        let first = (sent % pool.len() as u64) as usize;
        let count =
            pace.burst.min(pool.len() - first).min(usize::try_from(quota - sent).unwrap_or(usize::MAX));
        sent += socket.send(pool, first, count)? as u64;
    }
    socket.finish()?;
    Ok(sent)
}

/// Keeps a sender at its rate.
#[derive(Clone, Copy)]
struct Pace {
    start: Instant,
    /// Datagrams a second; `None`: as fast as it goes.
    rate: Option<f64>,
    /// Datagrams a call: fewer at low rates, so that the load is even.
    burst: usize,
}

impl Pace {
    fn new(start: Instant, lines_per_second: Option<f64>, pool: &Pool) -> Self {
        let rate = lines_per_second.map(|rate| rate / pool.lines_per_datagram() as f64);
        let burst = rate.map_or(BURST, |rate| ((rate / 1000.0) as usize).clamp(1, BURST));
        Pace { start, rate, burst }
    }

    /// Sleeps a moment, and says so, while `sent` is ahead of the rate.
    fn waits(&self, sent: u64) -> bool {
        let Some(rate) = self.rate else { return false };
        let ahead = sent as f64 / rate - self.start.elapsed().as_secs_f64();
        if ahead > 0.0 {
            std::thread::sleep(Duration::from_secs_f64(ahead.clamp(50e-6, 0.05)));
        }
        ahead > 0.0
    }
}

/// A connected socket.
enum Socket {
    Datagrams {
        socket: OwnedFd,
        buffers: SendBuffers,
    },
    /// Datagrams of equal length, so many in a piece.
    Pieces {
        socket: UdpSocket,
        most: usize,
    },
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    fn datagrams(socket: OwnedFd) -> Self {
        Socket::Datagrams { socket, buffers: SendBuffers::new(BURST) }
    }

    /// One that hands over pieces of many datagrams, all as long as those of the pool.
    fn segmented(self, pool: &Pool) -> io::Result<Self> {
        let Socket::Datagrams { socket, .. } = self else { return Err(io::ErrorKind::Unsupported.into()) };
        let bytes = pool.datagram(0).len();
        segment_datagrams(socket.as_fd(), u16::try_from(bytes).unwrap_or(u16::MAX))?;
        let most = (PIECE_BYTES_MAX / bytes.max(1)).clamp(1, PIECE_DATAGRAMS_MAX);
        Ok(Socket::Pieces { socket: socket.into(), most })
    }

    /// Sends some of `count` datagrams of the pool; returns how many. Streams take all of them.
    fn send(&mut self, pool: &Pool, first: usize, count: usize) -> io::Result<usize> {
        match self {
            Socket::Datagrams { socket, buffers } => {
                let mut payloads: [&[u8]; BURST] = [&[]; BURST];
                for (offset, payload) in payloads[..count].iter_mut().enumerate() {
                    *payload = pool.datagram(first + offset);
                }
                match buffers.send(socket.as_fd(), &payloads[..count]) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
                    done => done,
                }
            }
            Socket::Pieces { socket, most } => {
                let count = count.min(*most);
                socket.send(pool.run(first, count)).map(|_| count)
            }
            Socket::Tcp(stream) => stream.write_all(pool.run(first, count)).map(|()| count),
            Socket::Unix(stream) => stream.write_all(pool.run(first, count)).map(|()| count),
        }
    }

    /// Says that nothing more comes.
    fn finish(self) -> io::Result<()> {
        match self {
            Socket::Datagrams { .. } | Socket::Pieces { .. } => Ok(()),
            Socket::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Socket::Unix(stream) => stream.shutdown(Shutdown::Write),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::lines::render;
    use super::super::lines::tests::shape;
    use super::*;
    use std::io::Read;
    use std::net::TcpListener;

    fn lines(count: u64) -> Amount {
        Amount { lines: Some(count), time: None }
    }

    #[test]
    fn a_remote_target_needs_permission() {
        let remote = Target::Udp("192.0.2.1:8125".parse().unwrap());
        assert!(remote.check(false).is_err());
        assert!(remote.check(true).is_ok());
        assert!(Target::Tcp("[::1]:8125".parse().unwrap()).check(false).is_ok());
        assert!(Target::UnixStream("/run/x".into()).check(false).is_ok());
    }

    #[test]
    fn lines_are_rounded_up_to_datagrams_and_split_among_senders() {
        let pools = render(&shape(9, "c"), 3, false).unwrap();
        let split = |count| [0, 1, 2].map(|sender| lines(count).datagrams(sender, &pools));
        assert_eq!(split(5 * 7), [3, 2, 2]);
        assert_eq!(split(5 * 7 + 1), [3, 3, 2]);
        assert_eq!(split(0), [0, 0, 0]);
    }

    #[test]
    fn a_stream_brings_every_line_in_order() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let pools = render(&shape(9, "c"), 1, true).unwrap();
        let target = Target::Tcp(listener.local_addr().unwrap());
        let reader = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            listener.accept().unwrap().0.read_to_end(&mut bytes).unwrap();
            bytes
        });
        assert_eq!(send(&pools, &target, lines(5 * 2000), None, false).unwrap(), [2000]);
        let expected = [pools[0].run(0, pools[0].len()), pools[0].run(0, 2000 - pools[0].len())].concat();
        assert!(reader.join().unwrap() == expected);
    }

    #[test]
    fn a_rate_is_not_exceeded() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let pools = render(&shape(9, "c"), 2, false).unwrap();
        let start = Instant::now();
        let target = Target::Udp(server.local_addr().unwrap());
        let sent = send(&pools, &target, lines(1000), Some(10_000), false).unwrap();
        assert_eq!(sent, [100, 100]);
        assert!(start.elapsed() >= Duration::from_millis(95));
    }

    #[test]
    fn pieces_arrive_as_the_datagrams_they_are_made_of() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket2::SockRef::from(&server).set_recv_buffer_size(1 << 20).unwrap();
        let mut pools = render(&shape(9, "c"), 1, false).unwrap();
        let plain: Vec<Vec<u8>> = (0..50).map(|index| pools[0].datagram(index).to_vec()).collect();
        pools[0].pad();
        let target = Target::Udp(server.local_addr().unwrap());
        assert_eq!(send(&pools, &target, lines(5 * 50), None, true).unwrap(), [50]);
        let mut buffer = [0; 2000];
        for datagram in plain {
            let got = server.recv(&mut buffer).unwrap();
            assert_eq!(got, pools[0].datagram(0).len());
            assert_eq!(buffer[..got].trim_ascii_end(), datagram);
        }
    }

    #[test]
    fn nobody_there_is_an_error() {
        let pools = render(&shape(9, "c"), 1, true).unwrap();
        let path = tempfile::tempdir().unwrap().path().join("none");
        assert!(send(&pools, &Target::UnixStream(path), lines(1), None, false).is_err());
    }
}
