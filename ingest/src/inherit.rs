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

use crate::socket::Address;

/// A second descriptor of a bound socket.
#[derive(Debug)]
pub struct KeptSocket {
    socket: Socket,
    /// Drops of the kernel that were counted already.
    counted_drops: Arc<AtomicU32>,
    /// Whether the path stays when the listener goes.
    keep_path: Arc<AtomicBool>,
}

impl KeptSocket {
    pub(crate) fn new(socket: Socket, counted_drops: Arc<AtomicU32>, keep_path: Arc<AtomicBool>) -> Self {
        KeptSocket { socket, counted_drops, keep_path }
    }

    /// Any other listening socket, which the kernel drops nothing of.
    pub fn of(socket: impl Into<OwnedFd>) -> Self {
        KeptSocket::new(Socket::from(socket.into()), Arc::default(), Arc::default())
    }

    /// From now on a path stays, whoever closes the socket. To be said before listeners stop.
    pub fn keep_path(&self) {
        self.keep_path.store(true, Relaxed);
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
