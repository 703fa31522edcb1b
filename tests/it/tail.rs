//! `orzo tail`: lines as they come in, over every transport.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpStream, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};

use crate::harness::{Daemon, ORZO};

fn tail(daemon: &Daemon, args: &[&str]) -> Child {
    let config = daemon.path("orzo.toml");
    let mut command = Command::new(ORZO);
    command.arg("tail").args(args).arg("--config").arg(config);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn lines(child: &mut Child) -> impl Iterator<Item = String> + use<> {
    BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap)
}

/// Sends something else until it is seen: from then on somebody looks.
fn await_first(daemon: &Daemon, seen: &mut impl Iterator<Item = String>, name: &str) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let pause = std::time::Duration::from_millis(20);
            while stopped.recv_timeout(pause) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                socket.send_to(format!("{name}:1|c").as_bytes(), daemon.statsd).unwrap();
            }
        });
        assert_eq!(seen.next().unwrap(), format!("{name}:1|c"));
        drop(stop);
    });
}

#[test]
fn lines_are_shown_as_they_come_from_every_socket() {
    let daemon = Daemon::start_with("unix_datagram = [\"{dir}/statsd.sock\"]");
    let mut child = tail(&daemon, &["app."]);
    let mut seen = lines(&mut child);
    await_first(&daemon, &mut seen, "app.first");
    let mut seen = seen.filter(|line| line != "app.first:1|c");

    daemon.send_udp("app.udp:3|c|#host:a\nweb.udp:1|c\n");
    assert_eq!(seen.next().unwrap(), "app.udp:3|c|#host:a");
    let mut tcp = TcpStream::connect(daemon.statsd).unwrap();
    tcp.write_all(b"web.tcp:1|c\napp.tcp:2|g\n").unwrap();
    assert_eq!(seen.next().unwrap(), "app.tcp:2|g");
    let unix = UnixDatagram::unbound().unwrap();
    unix.send_to(b"app.refused:x|c", daemon.path("statsd.sock")).unwrap();
    assert_eq!(seen.next().unwrap(), "app.refused:x|c");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_tail_ends_after_a_count_and_takes_patterns() {
    let daemon = Daemon::start();
    let mut child = tail(&daemon, &["app.*.hits", "--count", "2"]);
    let mut seen = lines(&mut child);
    await_first(&daemon, &mut seen, "app.first.hits");
    daemon.send_udp("app.hits:1|c\napp.web.hits:1|c\napp.web.hits.x:1|c");
    let last = seen.next().unwrap();
    assert!(["app.web.hits:1|c", "app.first.hits:1|c"].contains(&last.as_str()), "{last}");
    assert_eq!(seen.next(), None);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_tail_that_cannot_keep_up_says_so_and_loses_nothing_for_others() {
    const LINES: usize = 200_000;
    let mut daemon = Daemon::start();
    let mut child = tail(&daemon, &["flood"]);
    let mut seen = lines(&mut child);
    await_first(&daemon, &mut seen, "flood.first");
    // Nobody reads what it prints while the pipe, the socket and the queue fill up.
    let mut tcp = TcpStream::connect(daemon.statsd).unwrap();
    let padding = "x".repeat(50);
    let text: String = (0..LINES).map(|_| format!("flood.{padding}:1|c\n")).collect();
    tcp.write_all(text.as_bytes()).unwrap();
    drop(tcp);
    daemon.eventually("every line is stored", |daemon| {
        (daemon.total(&format!("flood.{padding}"), "sum") == Some(LINES as f64)).then_some(())
    });
    let reader = std::thread::spawn(move || seen.filter(|line| line.contains("xxx")).count());
    let mut said = String::new();
    let mut errors = BufReader::new(child.stderr.take().unwrap());
    errors.read_line(&mut said).unwrap();
    assert!(daemon.stop().success());
    let shown = reader.join().unwrap();
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut errors, &mut rest).unwrap();
    let skipped = |line: &str| {
        let words = line.strip_prefix("orzo tail: ")?.strip_suffix(" lines skipped")?;
        words.parse::<usize>().ok()
    };
    let skipped: usize = said.lines().chain(rest.lines()).filter_map(skipped).sum();
    assert!(skipped > 0 && shown + skipped <= LINES, "{shown} shown, {skipped} skipped");
    assert!(!child.wait().unwrap().success(), "the daemon has gone");
}
