//! Sockets that a process passes to the program that takes its place (`exec`): known there by their numbers alone.
//!
//! Why unsafe: the standard library has no way to a descriptor from its number that the compiler could check.

#![allow(unsafe_code)]

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// A descriptor of our own for what an inherited number stands for. The number itself stays open, since somebody else
/// may own it, but no longer outlives an `exec`.
///
/// # Errors
/// If there is nothing by that number.
pub fn inherited(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: the call takes numbers only, and any will do: what is not open is an error.
    let own = unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 0) };
    if own < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: as above; it only marks the descriptor.
    unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) };
    // SAFETY: the kernel has just made it, so nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(own) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_number_becomes_a_descriptor_of_its_own() {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let mut again = UnixStream::from(inherited(theirs.as_raw_fd()).unwrap());
        drop(theirs);
        ours.write_all(b"x").unwrap();
        let mut got = [0];
        again.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"x");
    }

    #[test]
    fn what_is_not_open_is_an_error() {
        assert!(inherited(-1).is_err());
        assert!(inherited(1 << 20).is_err());
    }
}
