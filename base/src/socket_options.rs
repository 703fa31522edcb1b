//! Options of sockets that no safe crate offers.
//!
//! Why unsafe: `setsockopt` and `getsockopt` take pointers to values of the option's own type.

#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use libc::{c_int, c_void, sock_filter, sock_fprog};

/// Asks that each datagram carry the kernel's drop counter (see [`Received::kernel_drops`](crate::mmsg::Received::kernel_drops)).
///
/// # Errors
///
/// Whatever `setsockopt` says.
pub fn report_drops(socket: BorrowedFd<'_>) -> io::Result<()> {
    set_option(socket, libc::SOL_SOCKET, libc::SO_RXQ_OVFL, &1)
}

/// Sets the receive buffer past the system's limit; needs `CAP_NET_ADMIN`.
///
/// # Errors
///
/// `PermissionDenied` without that capability.
pub fn force_receive_buffer(socket: BorrowedFd<'_>, bytes: usize) -> io::Result<()> {
    let bytes = c_int::try_from(bytes).unwrap_or(c_int::MAX);
    set_option(socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, &bytes)
}

/// Datagrams the kernel has dropped on this socket since it was made, now: the same counter as
/// [`Received::kernel_drops`](crate::mmsg::Received::kernel_drops), also when nothing arrived after the drop. Wraps.
///
/// # Errors
///
/// Whatever `getsockopt` says; kernels before 4.12 do not know it.
pub fn kernel_drops(socket: BorrowedFd<'_>) -> io::Result<u32> {
    /// Words of `SO_MEMINFO`, and the place of the drops: `linux/sock_diag.h`.
    const WORDS: usize = 9;
    const DROPS: usize = 8;
    let mut words = [0u32; WORDS];
    let mut size = size_of_val(&words) as libc::socklen_t;
    // SAFETY: `words` and `size` outlive the call, and `size` is the size of `words`.
    let status = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            words.as_mut_ptr().cast::<c_void>(),
            &mut size,
        )
    };
    if status < 0 { Err(io::Error::last_os_error()) } else { Ok(words[DROPS]) }
}

/// Lets the kernel hand datagrams over together that one sender sent together (`UDP_GRO`);
/// [`Received::iter`](crate::mmsg::Received::iter) takes them apart. What is dropped together is counted as one.
///
/// # Errors
///
/// Whatever `setsockopt` says; kernels before 5.0 do not know it.
pub fn coalesce_datagrams(socket: BorrowedFd<'_>) -> io::Result<()> {
    set_option(socket, libc::SOL_UDP, libc::UDP_GRO, &1)
}

/// Sends what is written as datagrams of so many bytes, the last one aside (`UDP_SEGMENT`).
///
/// # Errors
///
/// Whatever `setsockopt` says; kernels before 4.18 do not know it.
pub fn segment_datagrams(socket: BorrowedFd<'_>, bytes: u16) -> io::Result<()> {
    set_option(socket, libc::SOL_UDP, libc::UDP_SEGMENT, &c_int::from(bytes))
}

/// Deals the datagrams of all senders out at random to the `sockets` that share the address of this one
/// (`SO_REUSEPORT`). Otherwise all datagrams of one sender go to one of them.
///
/// # Errors
///
/// Whatever `setsockopt` says; kernels before 4.5 do not know it.
pub fn spread_datagrams(socket: BorrowedFd<'_>, sockets: u32) -> io::Result<()> {
    let random = (libc::SKF_AD_OFF + libc::SKF_AD_RANDOM) as u32;
    let step = |code: u32, k| sock_filter { code: code as u16, jt: 0, jf: 0, k };
    let mut program = [
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, random),
        step(libc::BPF_ALU | libc::BPF_MOD | libc::BPF_K, sockets.max(1)),
        step(libc::BPF_RET | libc::BPF_A, 0),
    ];
    let program = sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    set_option(socket, libc::SOL_SOCKET, libc::SO_ATTACH_REUSEPORT_CBPF, &program)
}

fn set_option<T>(socket: BorrowedFd<'_>, level: c_int, option: c_int, value: &T) -> io::Result<()> {
    // SAFETY: `value` outlives the call, the size given is its own, and what it points at lives as long.
    let status = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            ptr::from_ref(value).cast::<c_void>(),
            size_of::<T>() as libc::socklen_t,
        )
    };
    if status < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use socket2::{Domain, SockAddr, Socket, Type};
    use std::net::{SocketAddr, UdpSocket};
    use std::os::fd::AsFd;

    #[test]
    fn one_sender_reaches_every_socket_of_an_address() {
        let mut address = SocketAddr::from(([127, 0, 0, 1], 0));
        let sockets: Vec<Socket> = (0..3)
            .map(|_| {
                let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
                socket.set_reuse_port(true).unwrap();
                socket.bind(&SockAddr::from(address)).unwrap();
                socket.set_nonblocking(true).unwrap();
                address = socket.local_addr().unwrap().as_socket().unwrap();
                socket
            })
            .collect();
        spread_datagrams(sockets[0].as_fd(), 3).unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        for _ in 0..300 {
            client.send_to(b"x", address).unwrap();
        }
        let mut buffer = [std::mem::MaybeUninit::uninit(); 8];
        let got: Vec<usize> = sockets
            .iter()
            .map(|socket| (0..).take_while(|_| socket.recv(&mut buffer).is_ok()).count())
            .collect();
        assert_eq!(got.iter().sum::<usize>(), 300);
        // Each expects 100 of 300, with a deviation of 8.
        assert!(got.iter().all(|got| (40..=160).contains(got)), "{got:?}");
    }
}
