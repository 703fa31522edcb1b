//! Tells the service manager how the daemon stands: one datagram to the socket in `NOTIFY_SOCKET`. Without a service
//! manager nothing happens.

use std::ffi::OsString;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use orzo_aggregator::{Handle, ReadKey};
use orzo_model::{Granularity, Method, MetricId, SECOND};

/// All is up.
pub(crate) const READY: &str = "READY=1\nSTATUS=running";
/// The configuration is read anew, or another program takes the place of this one.
pub(crate) const RELOADING: &str = "RELOADING=1";
/// The end has begun.
pub(crate) const STOPPING: &str = "STOPPING=1\nSTATUS=storing everything that was received";

/// Sends a message. What cannot be sent is logged: the daemon runs without a service manager, too.
pub(crate) fn send(message: &str) {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return };
    if let Err(error) = send_to(path, message) {
        tracing::warn!(%error, "the service manager was not told");
    }
}

fn send_to(path: OsString, message: &str) -> io::Result<()> {
    let path = path.into_vec();
    // A name that begins with @ is in no directory.
    let address = match path.strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(&path))?,
    };
    UnixDatagram::unbound()?.send_to_addr(message.as_bytes(), &address).map(drop)
}

/// Tells the service manager again and again that the daemon lives, as often as it asks for, as long as every shard
/// answers: one that hangs is a reason to be restarted.
pub(crate) fn watchdog(handle: Handle) -> io::Result<()> {
    let interval = std::env::var("WATCHDOG_USEC").ok().and_then(|text| text.parse().ok());
    let Some(interval) = interval.map(|us: u64| Duration::from_micros(us / 2)) else { return Ok(()) };
    let probe = move || {
        loop {
            // A shard that has ended answers with nothing, so stopping does not look like hanging.
            handle.read(&probes(&handle));
            send("WATCHDOG=1");
            std::thread::sleep(interval);
        }
    };
    std::thread::Builder::new().name("watchdog".into()).spawn(probe).map(drop)
}

/// A question to each shard about a metric that does not exist.
fn probes(handle: &Handle) -> Vec<ReadKey> {
    let width = Granularity::from_ns(SECOND).expect("a second is not zero");
    // Partitions are dealt out to shards in turn, and ids to partitions: these are one for each shard.
    let ids = 0..handle.shards() as u128;
    ids.map(|bits| ReadKey { id: MetricId::from_bits(bits), width, method: Method::SUM }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_arrives_as_one_datagram() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        send_to(path.into_os_string(), READY).unwrap();
        let mut got = [0; 64];
        let length = manager.recv(&mut got).unwrap();
        assert_eq!(&got[..length], b"READY=1\nSTATUS=running");
    }

    #[test]
    fn a_name_may_be_abstract() {
        let name = format!("orzo-notify-{}", std::process::id());
        let manager =
            UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(name.as_bytes()).unwrap()).unwrap();
        send_to(format!("@{name}").into(), "WATCHDOG=1").unwrap();
        let mut got = [0; 64];
        assert_eq!(manager.recv(&mut got).unwrap(), 10);
    }
}
