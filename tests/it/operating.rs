//! What operators do with a daemon that runs: reload it, back it up, put another in its place.

use std::fs;
use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;
use std::process::Output;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::harness::Daemon;

const SERIES: usize = 16;
const LINES_PER_DATAGRAM: usize = 20;

/// The text of both outputs of a command that must have succeeded.
#[track_caller]
fn said(output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    let text = String::from_utf8(text).unwrap();
    assert!(output.status.success(), "{text}");
    text
}

#[test]
fn a_reload_takes_up_what_it_can_and_names_the_rest() {
    let mut daemon = Daemon::start();
    let path = daemon.path("orzo.toml");
    let config = fs::read_to_string(&path).unwrap();
    assert_eq!(daemon.try_get("/v1/metric").unwrap().0, 200);

    fs::write(&path, config.replace("[http]", "[http]\nprefix = \"/gnocchi\"\nmax_connections = 7")).unwrap();
    daemon.signal("HUP");
    daemon.eventually("the prefix is taken up", |daemon| {
        (daemon.try_get("/gnocchi/v1/metric").unwrap().0 == 200).then_some(())
    });
    daemon.eventually("the rest is named", |daemon| {
        let log = fs::read_to_string(daemon.path("log")).unwrap();
        log.contains("need a restart keys=\"http.max_connections\"").then_some(())
    });

    fs::write(&path, "[http]\nlisten = \"nowhere\"\n").unwrap();
    daemon.signal("HUP");
    daemon.eventually("the error is logged", |daemon| {
        let log = fs::read_to_string(daemon.path("log")).unwrap();
        log.contains("the configuration stays as it was").then_some(())
    });
    assert_eq!(daemon.try_get("/gnocchi/v1/metric").unwrap().0, 200);
}

#[test]
fn the_service_manager_hears_of_start_reload_and_end() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let heard = |wanted: &str| {
        let mut buffer = [0; 256];
        loop {
            let length = manager.recv(&mut buffer).unwrap();
            let message = std::str::from_utf8(&buffer[..length]).unwrap();
            if message.starts_with(wanted) {
                return;
            }
            assert!(message.starts_with("WATCHDOG=1"), "{message} instead of {wanted}");
        }
    };
    let mut daemon = Daemon::idle();
    daemon.set_env("NOTIFY_SOCKET", path.to_str().unwrap());
    daemon.set_env("WATCHDOG_USEC", "200000");
    daemon.start_again();
    heard("READY=1");
    heard("WATCHDOG=1");
    daemon.signal("HUP");
    heard("RELOADING=1");
    heard("READY=1");
    assert!(daemon.stop().success());
    heard("STOPPING=1");
}

/// Sends counters until told to stop, at a steady pace; the number of datagrams sent.
fn send_steadily(daemon: &Daemon, datagrams_per_second: u64, stop: &AtomicBool, sent: &AtomicU64) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let datagrams: Vec<String> = (0..SERIES)
        .map(|first| {
            (0..LINES_PER_DATAGRAM).map(|line| format!("load.s{}:1|c\n", (first + line) % SERIES)).collect()
        })
        .collect();
    let (started, mut number) = (Instant::now(), 0);
    while !stop.load(Relaxed) {
        let due = started.elapsed().as_micros() as u64 * datagrams_per_second / 1_000_000;
        while number < due {
            socket.send_to(datagrams[number as usize % SERIES].as_bytes(), daemon.statsd).unwrap();
            number += 1;
        }
        sent.store(number, Relaxed);
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// All increments that are stored of the load.
fn stored(daemon: &Daemon) -> u64 {
    let total = |series: usize| daemon.total(&format!("load.s{series}"), "sum").unwrap_or(0.0);
    (0..SERIES).map(total).sum::<f64>() as u64
}

/// A number of the last account in the log.
fn logged(daemon: &Daemon, key: &str) -> u64 {
    let log = fs::read_to_string(daemon.path("log")).unwrap();
    let account = log.lines().rfind(|line| line.contains("the account of this run")).unwrap();
    let (_, rest) = account.split_once(&format!(" {key}=")).unwrap();
    rest.split(' ').next().unwrap().parse().unwrap()
}

#[test]
fn another_program_takes_over_under_load_and_no_datagram_is_lost() {
    // 500 000 lines a second.
    const RATE: u64 = 25_000;
    // Below this the system gave less than the default asks for, and what does not fit is lost, counted.
    const ENOUGH: u64 = 64 << 20;
    let mut daemon = Daemon::start_with("unix_datagram = [\"{dir}/statsd.sock\"]");
    let (stop, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    let pid = daemon.pid();
    std::thread::scope(|scope| {
        scope.spawn(|| send_steadily(&daemon, RATE, &stop, &sent));
        while sent.load(Relaxed) < RATE {
            std::thread::sleep(Duration::from_millis(10));
        }
        let text = said(&daemon.command(&["take-over"]));
        assert!(text.contains("took over"), "{text}");
        let at_take_over = sent.load(Relaxed);
        while sent.load(Relaxed) < at_take_over + RATE {
            std::thread::sleep(Duration::from_millis(10));
        }
        stop.store(true, Relaxed);
    });
    let sent = sent.load(Relaxed);
    assert_eq!(daemon.pid(), pid);
    let (received, lost) = (logged(&daemon, "datagrams"), logged(&daemon, "kernel_drops"));
    assert!(received > 0);
    daemon.eventually("every datagram is accounted for", |daemon| {
        let received = received + daemon.counter("orzo_statsd_datagrams_total", "");
        let lost = lost + daemon.counter("orzo_statsd_kernel_drops_total", "");
        (received + lost == sent).then_some(())
    });
    // Of what came while nobody listened, the successor counts what did not fit.
    let lost_since = daemon.counter("orzo_statsd_kernel_drops_total", "");
    if daemon.counter("orzo_statsd_receive_buffer_bytes", "") >= ENOUGH {
        assert_eq!(lost_since, 0, "{}", fs::read_to_string(daemon.path("log")).unwrap());
    }
    let expected = (sent - lost - lost_since) * LINES_PER_DATAGRAM as u64;
    daemon.eventually("every line is stored", |daemon| (stored(daemon) == expected).then_some(()));

    // The path was taken over, too.
    let socket = UnixDatagram::unbound().unwrap();
    socket.send_to(b"path.hits:1|c", daemon.path("statsd.sock")).unwrap();
    daemon.await_newest("path.hits", "sum", 1.0);
    assert!(daemon.stop().success());
    assert!(!daemon.path("statsd.sock").exists());
}

#[test]
fn a_successor_that_refuses_the_configuration_does_not_take_over() {
    let daemon = Daemon::start();
    let path = daemon.path("orzo.toml");
    let config = fs::read_to_string(&path).unwrap();
    let wrong = daemon.path("wrong.toml");
    fs::write(&wrong, &config).unwrap();
    fs::write(&path, format!("{config}\nno_such_key = 1\n")).unwrap();
    let output = std::process::Command::new(crate::harness::ORZO)
        .args(["take-over", "--config"])
        .arg(&wrong)
        .output()
        .unwrap();
    assert!(!output.status.success());
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("refuses") && text.contains("no_such_key"), "{text}");
    assert_eq!(daemon.try_get("/").unwrap().0, 200);
}

#[test]
fn a_backup_under_load_is_restored_elsewhere() {
    let mut daemon = Daemon::start();
    for value in 1..=100 {
        daemon.send_udp(&format!("before.hits:{value}|c\nbefore.time:{value}|ms\n"));
    }
    daemon.await_newest("before.hits", "sum", 5050.0);
    daemon.await_newest("before.time", "count", 100.0);
    let target = daemon.path("backup");
    let (stop, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| send_steadily(&daemon, 4000, &stop, &sent));
        while stored(&daemon) == 0 {
            std::thread::sleep(Duration::from_millis(10));
        }
        let text = said(&daemon.command(&["backup", target.to_str().unwrap()]));
        assert!(text.contains("100 %") && text.contains("files"), "{text}");
        stop.store(true, Relaxed);
    });
    daemon.eventually("the checkpoint is gone", |daemon| {
        (!daemon.path("data/checkpoint-0").exists()).then_some(())
    });
    let again = daemon.command(&["backup", target.to_str().unwrap()]);
    assert!(!again.status.success());
    let refused = daemon.command(&["restore", "--replace", target.to_str().unwrap()]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("a daemon is running"), "{refused:?}");

    let mut other = Daemon::idle();
    said(&other.command(&["restore", target.to_str().unwrap()]));
    other.start_again();
    assert_eq!(other.newest("before.hits", "sum"), Some(5050.0));
    assert_eq!(other.newest("before.time", "count"), Some(100.0));
    let (backed_up, all) = (stored(&other), sent.load(Relaxed) * LINES_PER_DATAGRAM as u64);
    assert!(backed_up > 0 && backed_up <= all, "{backed_up} of {all}");
    assert_eq!(other.get("/v1/archive_policy"), daemon.get("/v1/archive_policy"));
    assert!(other.stop().success());
    let refused = other.command(&["restore", target.to_str().unwrap()]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--replace"), "{refused:?}");
    said(&other.command(&["restore", "--replace", target.to_str().unwrap()]));
}
