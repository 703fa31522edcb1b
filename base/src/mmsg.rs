//! Many datagrams in one system call: safe wrappers over `recvmmsg` and `sendmmsg`.
//!
//! Why unsafe: these calls take arrays of structs that point at each other and at buffers; the standard
//! library and `socket2` have no equal, and at one system call a datagram the kernel is most of the cost of
//! receiving.
//!
//! The pointers are written afresh before each call and used by that call alone, so nothing in here is
//! self-referential: moving a [`ReceiveBuffers`] or [`SendBuffers`] is fine.

#![allow(unsafe_code)]

use std::io;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use libc::{SO_RXQ_OVFL, SOL_SOCKET, SOL_UDP, UDP_GRO, c_int, c_uint, iovec, mmsghdr, msghdr};

/// Distance between the starts of two buffers beyond their size. Without it all would start at the same
/// offset of 64 KiB and compete for the same few sets of the cache.
const STAGGER: usize = 1280;

/// Room for two control messages holding a word each, aligned as control messages must be: the kernel's
/// drops, and the size of the datagrams that it has put together.
type Control = [u64; 6];

const _: () = {
    // SAFETY: `CMSG_SPACE` only computes.
    let space = unsafe { libc::CMSG_SPACE(size_of::<u32>() as c_uint) } as usize;
    assert!(2 * space <= size_of::<Control>() && align_of::<Control>() >= align_of::<libc::cmsghdr>());
};

/// What a receive does when nothing is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Returns `WouldBlock`.
    Never,
    /// Sleeps until one datagram is there (unless the socket itself is non-blocking).
    ForOne,
}

/// Buffers for receiving, allocated once.
pub struct ReceiveBuffers {
    bytes: Vec<u8>,
    size: usize,
    iovecs: Vec<iovec>,
    controls: Vec<Control>,
    headers: Vec<mmsghdr>,
}

// SAFETY: the raw pointers inside `iovecs` and `headers` are dead between calls (see the module's head).
unsafe impl Send for ReceiveBuffers {}

impl ReceiveBuffers {
    /// Room for `datagrams` of `size` bytes each; where the kernel puts datagrams together, for as many of those. Pages are only touched when a datagram fills them.
    ///
    /// # Panics
    ///
    /// If either is zero.
    pub fn new(datagrams: usize, size: usize) -> Self {
        assert!(datagrams > 0 && size > 0, "receiving needs room");
        ReceiveBuffers {
            bytes: vec![0; datagrams * (size + STAGGER)],
            size,
            iovecs: vec![empty_iovec(); datagrams],
            controls: vec![[0; 6]; datagrams],
            headers: vec![empty_header(); datagrams],
        }
    }

    /// How many datagrams one call can bring.
    pub fn capacity(&self) -> usize {
        self.headers.len()
    }

    /// Receives what is there, up to [`ReceiveBuffers::capacity`] datagrams.
    ///
    /// Less than the capacity means that the socket was empty at the end of the call, or that the next
    /// call reports an error.
    ///
    /// # Errors
    ///
    /// Whatever `recvmmsg` says, `WouldBlock` and `Interrupted` among it.
    pub fn receive(&mut self, socket: BorrowedFd<'_>, wait: Wait) -> io::Result<Received<'_>> {
        self.aim();
        let flags = match wait {
            Wait::Never => libc::MSG_DONTWAIT,
            Wait::ForOne => libc::MSG_WAITFORONE,
        };
        // SAFETY: `headers` holds `len` entries, each pointing at one iovec, each iovec at `size` bytes of
        // `bytes` of its own, each control pointer at a `Control` of its own; all live in `self`, which is
        // borrowed mutably until the call returns. A null timeout is allowed.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                self.headers.len() as c_uint,
                flags as _,
                ptr::null_mut(),
            )
        };
        if count < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Received { buffers: self, count: count as usize })
    }

    /// Points every header at its own buffers, with full lengths.
    fn aim(&mut self) {
        let stride = self.size + STAGGER;
        let slots = self.bytes.chunks_exact_mut(stride).zip(&mut self.iovecs);
        for (((bytes, iov), control), header) in slots.zip(&mut self.controls).zip(&mut self.headers) {
            iov.iov_base = bytes.as_mut_ptr().cast();
            iov.iov_len = self.size;
            header.msg_hdr.msg_iov = iov;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = control.as_mut_ptr().cast();
            header.msg_hdr.msg_controllen = size_of::<Control>() as _;
            header.msg_hdr.msg_flags = 0;
        }
    }
}

/// The datagrams of one call.
pub struct Received<'a> {
    buffers: &'a ReceiveBuffers,
    count: usize,
}

/// One datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// What arrived.
    pub bytes: &'a [u8],
    /// Whether it was longer than the buffer; the rest is gone.
    pub truncated: bool,
}

impl<'a> Received<'a> {
    /// Whether every buffer was used, so that more is likely to wait.
    pub fn is_full(&self) -> bool {
        self.count == self.buffers.capacity()
    }

    /// Each datagram, in order of arrival.
    pub fn iter(&self) -> impl Iterator<Item = Datagram<'a>> + use<'a> {
        let slots = self.buffers.bytes.chunks_exact(self.buffers.size + STAGGER);
        self.buffers.headers[..self.count].iter().zip(slots).flat_map(|(header, slot)| {
            let bytes = &slot[..header.msg_len as usize];
            let truncated = header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0;
            Datagrams { rest: Some(bytes), each: datagram_bytes(&header.msg_hdr), truncated }
        })
    }

    /// Datagrams the kernel had dropped on this socket, since it was made, when the last of these was
    /// queued: the newest `SO_RXQ_OVFL` message. Wraps. `None` if it has never dropped one.
    pub fn kernel_drops(&self) -> Option<u32> {
        let messages = self.buffers.headers[..self.count].iter().rev();
        messages.map(|header| &header.msg_hdr).find_map(|header| control(header, SOL_SOCKET, SO_RXQ_OVFL))
    }
}

/// What lies in one buffer: a datagram, or several of a size that the kernel has put together.
struct Datagrams<'a> {
    /// An empty datagram is one, too.
    rest: Option<&'a [u8]>,
    each: Option<usize>,
    truncated: bool,
}

impl<'a> Iterator for Datagrams<'a> {
    type Item = Datagram<'a>;

    #[inline]
    fn next(&mut self) -> Option<Datagram<'a>> {
        let rest = self.rest.take()?;
        let bytes = match self.each.and_then(|each| rest.split_at_checked(each)) {
            Some((bytes, more)) if !more.is_empty() => {
                self.rest = Some(more);
                bytes
            }
            _ => rest,
        };
        Some(Datagram { bytes, truncated: self.truncated && self.rest.is_none() })
    }
}

/// How long each datagram in a buffer is, the last one aside; `None`: there is one.
fn datagram_bytes(header: &msghdr) -> Option<usize> {
    control(header, SOL_UDP, UDP_GRO).map(|bytes| bytes as usize).filter(|bytes| *bytes > 0)
}

/// The word in a control message of this kind.
#[inline]
fn control(header: &msghdr, level: c_int, kind: c_int) -> Option<u32> {
    if header.msg_controllen == 0 {
        return None;
    }
    // SAFETY: `header` was filled by the kernel and its control pointer is still good: it points into the
    // `controls` of the `ReceiveBuffers` that `Received` borrows. The macros walk within `msg_controllen`.
    unsafe {
        let mut message = libc::CMSG_FIRSTHDR(header);
        while let Some(found) = message.as_ref() {
            if found.cmsg_level == level && found.cmsg_type == kind {
                return Some(libc::CMSG_DATA(message).cast::<u32>().read_unaligned());
            }
            message = libc::CMSG_NXTHDR(header, message);
        }
    }
    None
}

/// Arrays for sending, allocated once.
pub struct SendBuffers {
    iovecs: Vec<iovec>,
    headers: Vec<mmsghdr>,
}

// SAFETY: as for `ReceiveBuffers`.
unsafe impl Send for SendBuffers {}

impl SendBuffers {
    /// Room for `datagrams` in one call.
    pub fn new(datagrams: usize) -> Self {
        SendBuffers { iovecs: vec![empty_iovec(); datagrams], headers: vec![empty_header(); datagrams] }
    }

    /// Sends the first of `payloads`, as many as there is room for, over a connected socket. Returns how
    /// many the kernel took.
    ///
    /// # Errors
    ///
    /// Whatever `sendmmsg` says about the first one; a later failure shows as a short count.
    pub fn send(&mut self, socket: BorrowedFd<'_>, payloads: &[&[u8]]) -> io::Result<usize> {
        let count = payloads.len().min(self.headers.len());
        for ((payload, iov), header) in payloads.iter().zip(&mut self.iovecs).zip(&mut self.headers) {
            iov.iov_base = payload.as_ptr().cast_mut().cast();
            iov.iov_len = payload.len();
            header.msg_hdr.msg_iov = iov;
            header.msg_hdr.msg_iovlen = 1;
        }
        // SAFETY: the first `count` headers point at iovecs in `self`, those at `payloads`, which the
        // kernel only reads; both are borrowed until the call returns.
        let sent =
            unsafe { libc::sendmmsg(socket.as_raw_fd(), self.headers.as_mut_ptr(), count as c_uint, 0 as _) };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(sent as usize) }
    }
}

fn empty_iovec() -> iovec {
    iovec { iov_base: ptr::null_mut(), iov_len: 0 }
}

fn empty_header() -> mmsghdr {
    // SAFETY: `mmsghdr` is plain C data for which all zeros is a value: null pointers and zero lengths.
    unsafe { mem::zeroed() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::socket_options::{coalesce_datagrams, kernel_drops, report_drops, segment_datagrams};
    use std::net::UdpSocket;
    use std::os::fd::AsFd;

    fn pair() -> (UdpSocket, UdpSocket) {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.connect(server.local_addr().unwrap()).unwrap();
        (client, server)
    }

    #[test]
    fn an_empty_socket_would_block() {
        let (_client, server) = pair();
        let mut buffers = ReceiveBuffers::new(4, 100);
        let error = buffers.receive(server.as_fd(), Wait::Never).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn what_is_sent_together_arrives_in_order() {
        let (client, server) = pair();
        let texts: Vec<Vec<u8>> = (0..10).map(|n| vec![b'a' + n; n as usize * 300]).collect();
        let payloads: Vec<&[u8]> = texts.iter().map(Vec::as_slice).collect();
        let mut out = SendBuffers::new(8);
        assert_eq!(out.send(client.as_fd(), &payloads).unwrap(), 8);
        assert_eq!(out.send(client.as_fd(), &payloads[8..]).unwrap(), 2);

        let mut buffers = ReceiveBuffers::new(8, 65_535);
        let first = buffers.receive(server.as_fd(), Wait::ForOne).unwrap();
        assert!(first.is_full());
        assert_eq!(first.kernel_drops(), None);
        let mut seen: Vec<Vec<u8>> = first.iter().map(|datagram| datagram.bytes.to_vec()).collect();
        let rest = buffers.receive(server.as_fd(), Wait::ForOne).unwrap();
        assert!(!rest.is_full());
        seen.extend(rest.iter().map(|datagram| datagram.bytes.to_vec()));
        assert_eq!(seen, texts);
    }

    #[test]
    fn a_datagram_longer_than_its_buffer_says_so() {
        let (client, server) = pair();
        client.send(b"12345").unwrap();
        client.send(b"123").unwrap();
        let mut buffers = ReceiveBuffers::new(2, 4);
        let received = buffers.receive(server.as_fd(), Wait::ForOne).unwrap();
        let seen: Vec<_> = received.iter().map(|d| (d.bytes.to_vec(), d.truncated)).collect();
        assert_eq!(seen, [(b"1234".to_vec(), true), (b"123".to_vec(), false)]);
    }

    #[test]
    fn datagrams_sent_are_received_or_counted_by_the_kernel() {
        let (client, server) = pair();
        report_drops(server.as_fd()).unwrap();
        socket2::SockRef::from(&server).set_recv_buffer_size(4096).unwrap();
        for _ in 0..100 {
            client.send(&[b'x'; 500]).unwrap();
        }
        let mut buffers = ReceiveBuffers::new(64, 65_535);
        let mut received = buffers.receive(server.as_fd(), Wait::Never).unwrap().iter().count() as u32;
        assert!(received < 100);
        assert_eq!(kernel_drops(server.as_fd()).unwrap(), 100 - received);

        client.send(b"last").unwrap();
        let last = buffers.receive(server.as_fd(), Wait::Never).unwrap();
        received += last.iter().count() as u32;
        assert_eq!(last.kernel_drops(), Some(101 - received));
    }

    #[test]
    fn datagrams_that_the_kernel_put_together_are_taken_apart() {
        let (client, server) = pair();
        report_drops(server.as_fd()).unwrap();
        coalesce_datagrams(server.as_fd()).unwrap();
        client.send(b"").unwrap();
        client.send(b"alone").unwrap();
        segment_datagrams(client.as_fd(), 3).unwrap();
        client.send(b"aaabbbcc").unwrap();
        let mut buffers = ReceiveBuffers::new(8, 65_535);
        let received = buffers.receive(server.as_fd(), Wait::Never).unwrap();
        let seen: Vec<&[u8]> = received.iter().map(|datagram| datagram.bytes).collect();
        assert_eq!(seen, [&b""[..], b"alone", b"aaa", b"bbb", b"cc"]);
        assert_eq!(received.count, 3);
    }
}
