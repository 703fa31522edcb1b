//! Every way in.

use std::io::Write as _;
use std::net::TcpStream;
use std::os::unix::net::{UnixDatagram, UnixStream};

use crate::harness::Daemon;

const LINES: &str = "200000";

#[test]
fn tcp_loses_nothing() {
    let daemon = Daemon::start();
    let target = daemon.statsd.to_string();
    let args = ["--tcp", &target, "--lines", LINES, "--series", "500", "--senders", "4", "--verify"];
    assert!(daemon.blast(&args).status.success());
}

#[test]
fn unix_stream_loses_nothing() {
    let daemon = unix_daemon();
    let path = daemon.path("stream");
    let args = ["--unix-stream", path.to_str().unwrap(), "--lines", LINES, "--series", "500", "--verify"];
    assert!(daemon.blast(&args).status.success());
}

#[test]
fn unix_datagrams_lose_nothing() {
    let daemon = unix_daemon();
    let path = daemon.path("datagram");
    let args = ["--unix-datagram", path.to_str().unwrap(), "--lines", LINES, "--series", "500", "--verify"];
    assert!(daemon.blast(&args).status.success());
}

fn unix_daemon() -> Daemon {
    Daemon::start_with("unix_stream = [\"{dir}/stream\"]\nunix_datagram = [\"{dir}/datagram\"]")
}

#[test]
fn one_line_over_each_transport() {
    let mut daemon = unix_daemon();
    daemon.send_udp("w.udp:1|c");
    daemon.send_tcp("w.tcp:1|c\n");
    UnixDatagram::unbound().unwrap().send_to(b"w.dgram:1|c", daemon.path("datagram")).unwrap();
    UnixStream::connect(daemon.path("stream")).unwrap().write_all(b"w.stream:1|c\n").unwrap();
    for name in ["w.udp", "w.tcp", "w.dgram", "w.stream"] {
        daemon.await_total(name, "sum", 1.0);
    }
}

#[test]
fn a_framed_unix_stream_is_understood() {
    let mut daemon = unix_daemon();
    let text = b"w.framed:2|c\nw.framed:3|c";
    let mut stream = UnixStream::connect(daemon.path("stream")).unwrap();
    stream.write_all(&(text.len() as u32).to_le_bytes()).unwrap();
    stream.write_all(text).unwrap();
    drop(stream);
    daemon.await_total("w.framed", "sum", 5.0);
}

#[test]
fn a_line_may_come_in_pieces_and_the_last_without_its_end() {
    let mut daemon = Daemon::start();
    let mut stream = TcpStream::connect(daemon.statsd).unwrap();
    stream.set_nodelay(true).unwrap();
    for piece in ["w.cu", "t:1", "|c\r\nw.cut:2|", "c\nw.cut:4|c"] {
        stream.write_all(piece.as_bytes()).unwrap();
    }
    drop(stream);
    daemon.await_total("w.cut", "sum", 7.0);
}

#[test]
fn a_socket_file_left_behind_is_replaced() {
    let mut daemon = unix_daemon();
    daemon.kill();
    daemon.start_again();
    UnixDatagram::unbound().unwrap().send_to(b"w.again:1|c", daemon.path("datagram")).unwrap();
    daemon.await_total("w.again", "sum", 1.0);
}
