//! Binding: from addresses to sockets, before any thread runs, so that errors stop the start.

use std::fmt;
use std::fs::{self, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

use orzo_base::socket_options;
use orzo_model::Profile;
use socket2::{Domain, SockAddr, Socket, Type};

use crate::inherit::{Inherited, InheritedSocket, KeptSocket};
use crate::limits::BACKLOG;
use crate::stream::Framing;

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// Datagrams over IPv4 or IPv6.
    Udp(SocketAddr),
    /// Lines over IPv4 or IPv6.
    Tcp(SocketAddr),
    /// Datagrams over a path.
    UnixDatagram(PathBuf),
    /// Lines or frames over a path.
    UnixStream(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Udp(address) => write!(f, "udp://{address}"),
            Address::Tcp(address) => write!(f, "tcp://{address}"),
            Address::UnixDatagram(path) => write!(f, "unixgram://{}", path.display()),
            Address::UnixStream(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

/// Where to listen, and how.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Where.
    pub address: Address,
    /// Which rules name what arrives there.
    pub profile: Profile,
    /// Kernel receive buffer asked for, in bytes; UDP only.
    pub receive_buffer_bytes: usize,
    /// Which of several listeners gets a datagram; UDP only.
    pub spread: Spread,
    /// Whether the kernel may hand over together what a sender sent together; UDP only.
    pub coalesce: bool,
    /// Permissions of the path; unix sockets only.
    pub mode: u32,
}

/// Which of several listeners gets a datagram.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Spread {
    /// All datagrams of one sending socket go to the same.
    #[default]
    Sender,
    /// Any, at random: one sending socket keeps all of them at work, and loses its order.
    Datagram,
}

impl Endpoint {
    /// Kernel receive buffer asked for by default: seconds of heavy traffic.
    pub const RECEIVE_BUFFER_BYTES: usize = 32 << 20;
    /// Permissions of a path by default: whoever is on the machine may send.
    pub const MODE: u32 = 0o722;

    /// An endpoint with defaults for the rest.
    pub fn new(address: Address) -> Self {
        Endpoint {
            address,
            profile: Profile::Native,
            receive_buffer_bytes: Self::RECEIVE_BUFFER_BYTES,
            spread: Spread::Sender,
            coalesce: false,
            mode: Self::MODE,
        }
    }
}

/// An endpoint that cannot be bound.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}")]
pub struct BindError {
    /// Which.
    pub address: Address,
    /// Why.
    pub source: io::Error,
}

/// What arrives at a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Datagrams,
    Streams(Framing),
}

/// A bound socket.
#[derive(Debug)]
pub struct BoundSocket {
    pub(crate) socket: Socket,
    pub(crate) transport: Transport,
    pub(crate) profile: Profile,
    pub(crate) path: Option<SocketPath>,
    /// Drops of the kernel that are counted already.
    pub(crate) counted_drops: Arc<AtomicU32>,
    /// Whether a listener that stops leaves what waits in it for the next program.
    pub(crate) left: Arc<AtomicBool>,
    /// The receive buffer to have once what waited for this program is read, in bytes: that time it was larger.
    pub(crate) usual_buffer_bytes: Option<usize>,
    address: Address,
    receive_buffer_bytes: usize,
}

impl BoundSocket {
    /// Where it listens, with the port the system chose if it was asked to.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The receive buffer granted, as the kernel reports it: twice what is usable.
    pub fn receive_buffer_bytes(&self) -> usize {
        self.receive_buffer_bytes
    }

    /// A second descriptor, to keep the socket open beyond its listener.
    ///
    /// # Errors
    /// If there are too many already.
    pub fn keep(&self) -> io::Result<KeptSocket> {
        Ok(KeptSocket::new(self.socket.try_clone()?, self.counted_drops.clone(), self.left.clone()))
    }
}

/// Removes a unix socket's path when dropped, unless somebody takes the socket over.
#[derive(Debug)]
pub(crate) struct SocketPath {
    path: PathBuf,
    left: Arc<AtomicBool>,
}

impl SocketPath {
    fn new(path: &Path) -> Self {
        SocketPath { path: path.to_owned(), left: Arc::default() }
    }
}

impl Drop for SocketPath {
    fn drop(&mut self) {
        if !self.left.load(Relaxed) {
            // Nothing is lost if it stays: the next start removes it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Binds every endpoint for `listeners` threads: one list of sockets for each. IP sockets are shared out by
/// the kernel, one for each thread; paths are served by the first.
///
/// # Errors
///
/// The first endpoint that cannot be bound. An address that another process listens on is refused, although
/// sharing would let two of the same user have it.
pub fn bind(endpoints: &[Endpoint], listeners: usize) -> Result<Vec<Vec<BoundSocket>>, BindError> {
    bind_or_inherit(endpoints, listeners, &mut Inherited::default())
}

/// The same, but endpoints whose sockets the program before left open have those, dealt out to the threads, and no
/// others: what waits in them must be read.
///
/// # Errors
///
/// As [`bind`].
pub fn bind_or_inherit(
    endpoints: &[Endpoint],
    listeners: usize,
    inherited: &mut Inherited,
) -> Result<Vec<Vec<BoundSocket>>, BindError> {
    let mut sockets: Vec<Vec<BoundSocket>> = (0..listeners).map(|_| Vec::new()).collect();
    for endpoint in endpoints {
        let fail = |source| BindError { address: endpoint.address.clone(), source };
        let bound = match inherited.take(&endpoint.address) {
            none if none.is_empty() => bind_endpoint(endpoint, listeners),
            open => open.into_iter().map(|open| adopt(endpoint, open)).collect(),
        };
        for (place, socket) in bound.map_err(fail)?.into_iter().enumerate() {
            sockets[place % listeners].push(socket);
        }
    }
    Ok(sockets)
}

/// A socket that was bound by the program before.
fn adopt(endpoint: &Endpoint, open: InheritedSocket) -> io::Result<BoundSocket> {
    let InheritedSocket { socket, counted_drops, .. } = open;
    let (transport, path) = match &endpoint.address {
        // Its buffer stays as it is: a smaller one would drop what comes while what waits is read.
        Address::Udp(_) => (Transport::Datagrams, None),
        Address::Tcp(_) => (Transport::Streams(Framing::Lines), None),
        Address::UnixDatagram(path) => (Transport::Datagrams, Some(SocketPath::new(path))),
        Address::UnixStream(path) => (Transport::Streams(Framing::Undecided), Some(SocketPath::new(path))),
    };
    let mut adopted = bound(socket, transport, endpoint, endpoint.address.clone(), path)?;
    adopted.counted_drops.store(counted_drops, Relaxed);
    let is_udp = matches!(endpoint.address, Address::Udp(_));
    adopted.usual_buffer_bytes = is_udp.then_some(endpoint.receive_buffer_bytes);
    Ok(adopted)
}

fn bind_endpoint(endpoint: &Endpoint, listeners: usize) -> io::Result<Vec<BoundSocket>> {
    match &endpoint.address {
        Address::Udp(address) => bind_ip(endpoint, *address, Type::DGRAM, listeners),
        Address::Tcp(address) => bind_ip(endpoint, *address, Type::STREAM, listeners),
        Address::UnixDatagram(path) => bind_path(endpoint, path, Type::DGRAM),
        Address::UnixStream(path) => bind_path(endpoint, path, Type::STREAM),
    }
}

/// One socket for each listener, all at one address.
fn bind_ip(
    endpoint: &Endpoint,
    mut address: SocketAddr,
    kind: Type,
    listeners: usize,
) -> io::Result<Vec<BoundSocket>> {
    let is_shared = listeners > 1;
    if is_shared && address.port() != 0 {
        // Closed again at once: shows that nobody else has the address, which sharing would hide.
        ip_socket(address, kind, false)?;
    }
    let mut sockets = Vec::new();
    for _ in 0..listeners {
        let socket = ip_socket(address, kind, is_shared)?;
        // Port 0 is chosen once, for the first.
        address = socket.local_addr()?.as_socket().expect("it was bound to an IP address");
        let (address, transport) = if kind == Type::DGRAM {
            prepare_udp(&socket, endpoint)?;
            (Address::Udp(address), Transport::Datagrams)
        } else {
            socket.listen(BACKLOG)?;
            (Address::Tcp(address), Transport::Streams(Framing::Lines))
        };
        sockets.push(bound(socket, transport, endpoint, address, None)?);
    }
    if kind == Type::DGRAM && is_shared && endpoint.spread == Spread::Datagram {
        // One program for all that share the address, found by any of them.
        let count = u32::try_from(sockets.len()).expect("there are few listeners");
        socket_options::spread_datagrams(sockets[0].socket.as_fd(), count)?;
    }
    Ok(sockets)
}

fn ip_socket(address: SocketAddr, kind: Type, is_shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, None)?;
    if kind == Type::STREAM {
        // A restart must not wait for connections of the last run to be forgotten.
        socket.set_reuse_address(true)?;
    }
    socket.set_reuse_port(is_shared)?;
    socket.bind(&SockAddr::from(address))?;
    Ok(socket)
}

/// Asks for a receive buffer, past the system's limit if we may.
pub(crate) fn set_receive_buffer(socket: &Socket, bytes: usize) -> io::Result<()> {
    let forced = socket_options::force_receive_buffer(socket.as_fd(), bytes);
    forced.or_else(|_| socket.set_recv_buffer_size(bytes))
}

/// Asks for the receive buffer, and sees to it that the kernel's drop counter can be read.
fn prepare_udp(socket: &Socket, endpoint: &Endpoint) -> io::Result<()> {
    set_receive_buffer(socket, endpoint.receive_buffer_bytes)?;
    // Asking costs nothing for each datagram, but kernels before 4.12 cannot be asked.
    if socket_options::kernel_drops(socket.as_fd()).is_err()
        && let Err(error) = socket_options::report_drops(socket.as_fd())
    {
        tracing::warn!(%error, "the kernel will not tell what it drops");
    }
    if endpoint.coalesce
        && let Err(error) = socket_options::coalesce_datagrams(socket.as_fd())
    {
        tracing::warn!(%error, "the kernel hands over each datagram by itself");
    }
    Ok(())
}

fn bind_path(endpoint: &Endpoint, path: &Path, kind: Type) -> io::Result<Vec<BoundSocket>> {
    // A path left by a run that was killed; anything but a socket is not ours to remove.
    if fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket()) {
        fs::remove_file(path)?;
    }
    let socket = Socket::new(Domain::UNIX, kind, None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    let guard = SocketPath::new(path);
    fs::set_permissions(path, Permissions::from_mode(endpoint.mode))?;
    let transport = if kind == Type::DGRAM {
        Transport::Datagrams
    } else {
        socket.listen(BACKLOG)?;
        Transport::Streams(Framing::Undecided)
    };
    Ok(vec![bound(socket, transport, endpoint, endpoint.address.clone(), Some(guard))?])
}

fn bound(
    socket: Socket,
    transport: Transport,
    endpoint: &Endpoint,
    address: Address,
    path: Option<SocketPath>,
) -> io::Result<BoundSocket> {
    socket.set_nonblocking(true)?;
    let receive_buffer_bytes = socket.recv_buffer_size()?;
    Ok(BoundSocket {
        left: path.as_ref().map(|path| path.left.clone()).unwrap_or_default(),
        profile: endpoint.profile,
        counted_drops: Arc::default(),
        usual_buffer_bytes: None,
        socket,
        transport,
        path,
        address,
        receive_buffer_bytes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    fn ip(bound: &BoundSocket) -> SocketAddr {
        match bound.address() {
            Address::Udp(address) | Address::Tcp(address) => *address,
            other => panic!("{other} is no IP address"),
        }
    }

    #[test]
    fn a_chosen_port_is_shared_by_all_listeners() {
        let endpoints = [Endpoint::new(Address::Udp(local(0))), Endpoint::new(Address::Tcp(local(0)))];
        let sockets = bind(&endpoints, 3).unwrap();
        assert_eq!(sockets.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 2]);
        for place in 0..2 {
            assert_ne!(ip(&sockets[0][place]).port(), 0);
            assert!(sockets.iter().all(|listener| ip(&listener[place]) == ip(&sockets[0][place])));
        }
    }

    #[test]
    fn an_address_in_use_is_refused_even_when_shared() {
        for make in [Address::Udp, Address::Tcp] {
            for listeners in [1, 2] {
                let first = bind(&[Endpoint::new(make(local(0)))], listeners).unwrap();
                let taken = Endpoint::new(first[0][0].address().clone());
                let error = bind(&[taken], 2).unwrap_err();
                assert_eq!(error.source.kind(), io::ErrorKind::AddrInUse);
                assert_eq!(error.address, *first[0][0].address());
            }
        }
    }

    #[test]
    fn what_waits_in_a_kept_socket_is_read_by_who_takes_it_over() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("statsd.sock");
        let endpoints =
            [Endpoint::new(Address::Udp(local(0))), Endpoint::new(Address::UnixDatagram(path.clone()))];
        let mut first = bind(&endpoints, 2).unwrap();
        let udp = first[0][0].address().clone();
        let endpoints = [Endpoint::new(udp.clone()), endpoints[1].clone()];
        let kept: Vec<KeptSocket> = first.iter().flatten().map(|socket| socket.keep().unwrap()).collect();
        kept.iter().for_each(KeptSocket::leave);
        first[0][0].counted_drops.store(7, Relaxed);
        let sender = std::net::UdpSocket::bind(local(0)).unwrap();
        sender.send_to(b"waits", ip(&first[0][0])).unwrap();
        first.clear();
        assert!(path.exists());

        let words: Vec<String> = kept.iter().map(|kept| kept.pass_on().unwrap()).collect();
        let mut inherited = Inherited::parse(&words.join(",")).unwrap();
        let second = bind_or_inherit(&endpoints, 3, &mut inherited).unwrap();
        assert_eq!(second.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1, 0]);
        assert_eq!(inherited.rest().count(), 0);
        let drops: Vec<u32> =
            second.iter().flatten().map(|socket| socket.counted_drops.load(Relaxed)).collect();
        assert_eq!(drops, [7, 0, 0]);
        drop(kept);
        let waiting = second.iter().flatten().filter(|socket| *socket.address() == udp);
        let mut buffer = [std::mem::MaybeUninit::uninit(); 16];
        let got: usize = waiting.map(|socket| socket.socket.recv(&mut buffer).unwrap_or(0)).sum();
        assert_eq!(got, 5);
        drop(second);
        assert!(!path.exists());
    }

    #[test]
    fn words_that_name_no_socket_are_refused() {
        assert!(Inherited::parse("").is_ok_and(|inherited| inherited.rest().count() == 0));
        for bad in ["x", "1000000=0", "-3=0", "1=x"] {
            assert!(Inherited::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_receive_buffer_is_what_the_kernel_grants() {
        let small = Endpoint { receive_buffer_bytes: 65_536, ..Endpoint::new(Address::Udp(local(0))) };
        let sockets = bind(&[small], 1).unwrap();
        assert_eq!(sockets[0][0].receive_buffer_bytes(), 2 * 65_536);
    }

    #[test]
    fn paths_are_replaced_if_sockets_and_removed_at_the_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("statsd.sock");
        let endpoint = Endpoint::new(Address::UnixDatagram(path.clone()));
        std::os::unix::net::UnixDatagram::bind(&path).unwrap();
        let sockets = bind(std::slice::from_ref(&endpoint), 2).unwrap();
        assert_eq!((sockets[0].len(), sockets[1].len()), (1, 0));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o722);
        drop(sockets);
        assert!(!path.exists());

        fs::write(&path, "precious").unwrap();
        let error = bind(&[endpoint], 1).unwrap_err();
        assert_eq!(error.source.kind(), io::ErrorKind::AddrInUse);
        assert!(error.to_string().starts_with("cannot listen on unixgram:///"));
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }
}
