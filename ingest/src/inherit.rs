//! Sockets that outlive the program: kept open beside the listeners, passed on by number, and found again by address.
//!
//! What arrives between two programs waits in the kernel's buffer of the socket.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

use orzo_base::descriptors;
use socket2::{Socket, Type};

use crate::limits::LEFT_BUFFER_BYTES;
use crate::socket::{Address, set_receive_buffer};

/// A second descriptor of a bound socket.
#[derive(Debug)]
pub struct KeptSocket {
    socket: Socket,
    /// Drops of the kernel that were counted already.
    counted_drops: Arc<AtomicU32>,
    /// Whether what waits, and the path, are left for who takes the socket over.
    left: Arc<AtomicBool>,
}

impl KeptSocket {
    pub(crate) fn new(socket: Socket, counted_drops: Arc<AtomicU32>, left: Arc<AtomicBool>) -> Self {
        KeptSocket { socket, counted_drops, left }
    }

    /// Any other listening socket, which the kernel drops nothing of.
    pub fn of(socket: impl Into<OwnedFd>) -> Self {
        KeptSocket::new(Socket::from(socket.into()), Arc::default(), Arc::default())
    }

    /// From now on a listener that stops leaves what waits in the socket, and its path, for who takes it over. A UDP
    /// socket gets as large a buffer as the system allows for that time. To be said before listeners stop.
    pub fn leave(&self) {
        self.left.store(true, Relaxed);
        if matches!(address_of(&self.socket), Ok(Some(Address::Udp(_)))) {
            // Without the right to exceed the system's limit this is that limit, which may be what it is already.
            let _ = set_receive_buffer(&self.socket, LEFT_BUFFER_BYTES);
        }
    }

    /// Lets the socket survive an `exec`, and says how the next program finds it. To be said after listeners stopped.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn pass_on(&self) -> io::Result<String> {
        self.socket.set_cloexec(false)?;
        Ok(format!("{}={}", self.socket.as_raw_fd(), self.counted_drops.load(Relaxed)))
    }
}

/// Sockets that the program before left open.
#[derive(Debug, Default)]
pub struct Inherited(Vec<InheritedSocket>);

/// One of them.
#[derive(Debug)]
pub struct InheritedSocket {
    /// The socket.
    pub socket: Socket,
    /// Drops of the kernel that the program before has counted.
    pub counted_drops: u32,
    address: Address,
}

impl Inherited {
    /// From what [`KeptSocket::pass_on`] said, joined by commas.
    ///
    /// # Errors
    /// If it makes no sense, or names no open sockets.
    pub fn parse(text: &str) -> io::Result<Self> {
        text.split(',')
            .filter(|word| !word.is_empty())
            .map(inherited)
            .collect::<io::Result<_>>()
            .map(Inherited)
    }

    /// Takes out those that are bound to an address.
    pub fn take(&mut self, address: &Address) -> Vec<InheritedSocket> {
        self.0.extract_if(.., |inherited| inherited.address == *address).collect()
    }

    /// Addresses of those that nobody took.
    pub fn rest(&self) -> impl Iterator<Item = &Address> {
        self.0.iter().map(|inherited| &inherited.address)
    }
}

fn inherited(word: &str) -> io::Result<InheritedSocket> {
    let bad = || io::Error::new(io::ErrorKind::InvalidInput, format!("\"{word}\" names no socket"));
    let (number, drops) = word.split_once('=').ok_or_else(bad)?;
    let socket = Socket::from(descriptors::inherited(number.parse().map_err(|_| bad())?)?);
    let counted_drops = drops.parse().map_err(|_| bad())?;
    let address = address_of(&socket)?.ok_or_else(bad)?;
    Ok(InheritedSocket { socket, counted_drops, address })
}

/// What a socket is bound to; nothing if it is no socket of ours.
fn address_of(socket: &Socket) -> io::Result<Option<Address>> {
    let (local, kind) = (socket.local_addr()?, socket.r#type()?);
    let path = || local.as_pathname().map(PathBuf::from);
    Ok(match (local.as_socket(), kind) {
        (Some(address), Type::DGRAM) => Some(Address::Udp(address)),
        (Some(address), Type::STREAM) => Some(Address::Tcp(address)),
        (None, Type::DGRAM) => path().map(Address::UnixDatagram),
        (None, Type::STREAM) => path().map(Address::UnixStream),
        _ => None,
    })
}
