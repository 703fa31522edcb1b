//! Listeners over loopback: what is sent arrives in the batches, or is counted.

#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use orzo_base::{CachePadded, Consumer, Counter, Exchange, Stop};
use orzo_ingest::{
    Address, Endpoint, Limits, Listener, ListenerConfig, ListenerCounters, Naming, Routes, bind,
};
use orzo_model::{Batch, DropReason, Partitions};

/// Long enough for anything but a hang.
const LONG: Duration = Duration::from_secs(60);
const SHARDS: usize = 2;

/// Listeners that have not been started, and what they count.
struct Bound {
    listeners: Vec<Listener>,
    consumers: Vec<Consumer<Batch>>,
    counters: Vec<Arc<CachePadded<ListenerCounters>>>,
    addresses: Vec<Address>,
    stop: Stop,
}

/// Running ones.
struct Running {
    listeners: Vec<JoinHandle<()>>,
    shards: Vec<JoinHandle<Vec<String>>>,
    counters: Vec<Arc<CachePadded<ListenerCounters>>>,
    addresses: Vec<Address>,
    stop: Stop,
}

fn bound(endpoints: &[Endpoint], threads: usize, limits: Limits) -> Bound {
    let (producers, consumers) = Exchange::open(threads, SHARDS, Batch::new);
    let routes = Routes::even(Partitions::DEFAULT, SHARDS);
    let config = ListenerConfig { naming: Naming::new(7), limits, routes, tap: Arc::default() };
    let stop = Stop::new();
    let sockets = bind(endpoints, threads).unwrap();
    let addresses = sockets[0].iter().map(|bound| bound.address().clone()).collect();
    let listeners: Vec<Listener> = (sockets.into_iter().zip(producers))
        .map(|(sockets, producer)| Listener::new(sockets, producer, config.clone(), stop.clone()).unwrap())
        .collect();
    let counters = listeners.iter().map(Listener::counters).collect();
    Bound { listeners, consumers, counters, addresses, stop }
}

fn start(endpoint: Endpoint) -> Running {
    bound(&[endpoint], 1, Limits::default()).run()
}

impl Bound {
    fn run(self) -> Running {
        let Bound { listeners, consumers, counters, addresses, stop } = self;
        let run = |listener: Listener| std::thread::spawn(move || listener.run().unwrap());
        let listeners = listeners.into_iter().map(run).collect();
        let shards = consumers.into_iter().map(|one| std::thread::spawn(move || collect(&one))).collect();
        Running { listeners, shards, counters, addresses, stop }
    }
}

/// A shard that remembers its samples as `name=value` until the listeners end.
fn collect(consumer: &Consumer<Batch>) -> Vec<String> {
    let mut seen = Vec::new();
    while !consumer.ended() {
        consumer.doorbell().wait(LONG);
        while let Some(batch) = consumer.receive() {
            assert!(!batch.is_empty() && batch.arrived().ns() > 0);
            seen.extend(
                batch
                    .iter()
                    .map(|(sample, name)| format!("{}={}", String::from_utf8_lossy(name), sample.number())),
            );
            consumer.give_back(batch.home(), batch);
        }
    }
    seen
}

impl Running {
    fn sum(&self, of: impl Fn(&ListenerCounters) -> u64) -> u64 {
        self.counters.iter().map(|counters| of(counters)).sum()
    }

    fn dropped(&self, reason: DropReason) -> u64 {
        self.sum(|counters| counters.drops[reason.index()].get())
    }

    /// Waits for what the listener will count sooner or later.
    fn wait_for(&self, what: &str, is_so: impl Fn(&ListenerCounters) -> bool) {
        let since = Instant::now();
        while !is_so(&self.counters[0]) {
            assert!(since.elapsed() < LONG, "waited in vain: {what}");
            std::thread::yield_now();
        }
    }

    /// Stops, checks the law and returns the samples, sorted, with the counters.
    fn finish(mut self) -> (Vec<String>, Running) {
        self.stop.request();
        self.listeners.drain(..).for_each(|listener| listener.join().unwrap());
        let mut seen: Vec<String> = self.shards.drain(..).flat_map(|shard| shard.join().unwrap()).collect();
        seen.sort();
        for counters in &self.counters {
            let skipped = counters.events.get() + counters.checks.get();
            assert_eq!(counters.lines.get(), counters.lines_accepted() + skipped + counters.lines_dropped());
            assert_eq!(counters.connections_open.get(), 0);
        }
        assert_eq!(self.sum(|counters| counters.samples.get()), seen.len() as u64);
        (seen, self)
    }

    fn ip(&self) -> SocketAddr {
        match &self.addresses[0] {
            Address::Udp(address) | Address::Tcp(address) => *address,
            other => panic!("{other} is no IP address"),
        }
    }
}

fn udp() -> Endpoint {
    Endpoint::new(Address::Udp(SocketAddr::from(([127, 0, 0, 1], 0))))
}

fn tcp() -> Endpoint {
    Endpoint::new(Address::Tcp(SocketAddr::from(([127, 0, 0, 1], 0))))
}

fn client(to: SocketAddr) -> UdpSocket {
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.connect(to).unwrap();
    client
}

fn lines(count: usize) -> String {
    (0..count).map(|n| format!("series.{:02}:{n}|c\n", n % 50)).collect()
}

fn expected(texts: usize, count: usize) -> Vec<String> {
    let mut all: Vec<String> =
        (0..texts).flat_map(|_| (0..count).map(|n| format!("series.{:02}={n}", n % 50))).collect();
    all.sort();
    all
}

#[test]
fn udp_bursts_reach_the_shards_of_all_listeners() {
    const CLIENTS: usize = 16;
    const DATAGRAMS: usize = 50;
    let running = bound(&[udp()], 2, Limits::default()).run();
    let text = lines(20);
    for _ in 0..CLIENTS {
        let client = client(running.ip());
        (0..DATAGRAMS).for_each(|_| assert_eq!(client.send(text.as_bytes()).unwrap(), text.len()));
    }
    let (seen, after) = running.finish();
    assert_eq!(after.sum(|counters| counters.datagrams.get()), (CLIENTS * DATAGRAMS) as u64);
    assert_eq!(after.sum(|counters| counters.bytes.get()), (CLIENTS * DATAGRAMS * text.len()) as u64);
    assert_eq!(seen, expected(CLIENTS * DATAGRAMS, 20));
    assert!(after.sum(|counters| counters.batches.get()) > 0);
    assert!(after.counters.iter().all(|counters| counters.receive_buffer_bytes.get() > 0));
}

#[test]
fn ipv6_is_heard() {
    let address = SocketAddr::from(([0u16, 0, 0, 0, 0, 0, 0, 1], 0));
    let running = start(Endpoint::new(Address::Udp(address)));
    let client = UdpSocket::bind("[::1]:0").unwrap();
    client.send_to(b"a:1|c", running.ip()).unwrap();
    assert_eq!(running.finish().0, ["a=1"]);
}

#[test]
fn a_listener_that_is_stopped_first_still_reads_what_the_kernel_holds() {
    let bound = bound(&[udp()], 1, Limits::default());
    let Address::Udp(to) = bound.addresses[0] else { panic!("not UDP") };
    let client = client(to);
    (0..300).for_each(|_| assert!(client.send(b"a:1|c\nb:2|g").is_ok()));
    bound.stop.request();
    let (seen, after) = bound.run().finish();
    assert_eq!(seen.len(), 600);
    assert_eq!(after.sum(|counters| counters.datagrams.get()), 300);
}

#[test]
fn datagrams_sent_are_received_or_counted_as_kernel_drops() {
    const SENT: u64 = 3000;
    let bound = bound(&[Endpoint { receive_buffer_bytes: 65_536, ..udp() }], 1, Limits::default());
    let Address::Udp(to) = bound.addresses[0] else { panic!("not UDP") };
    let client = client(to);
    (0..SENT).for_each(|_| assert!(client.send(b"a:1|c").is_ok()));
    let (seen, after) = bound.run().finish();
    let drops = after.sum(|counters| counters.kernel_drops.get());
    assert!(drops > 0 && !seen.is_empty());
    assert_eq!(after.sum(|counters| counters.datagrams.get()) + drops, SENT);
}

#[test]
fn tcp_lines_may_be_split_anywhere_and_the_last_needs_no_end() {
    let running = start(tcp());
    let text = "a:1|c\r\nb,host=web:2|g\n_sc|x|0\nbroken\nc:3|ms";
    for at in 0..text.len() {
        let mut stream = TcpStream::connect(running.ip()).unwrap();
        stream.set_nodelay(true).unwrap();
        let (first, second) = text.split_at(at);
        stream.write_all(first.as_bytes()).unwrap();
        running.wait_for("the first part", |counters| {
            counters.bytes.get() == (at * text.len() + first.len()) as u64
        });
        stream.write_all(second.as_bytes()).unwrap();
        drop(stream);
        running.wait_for("the end", |counters| {
            counters.connections_total.get() == at as u64 + 1 && counters.connections_open.get() == 0
        });
    }
    let (seen, after) = running.finish();
    let count = text.len();
    let all = |what: &str| vec![what.to_owned(); count];
    assert_eq!(seen, [all("a=1"), all("c=3"), all("web\0b=2")].concat());
    assert_eq!(after.sum(|counters| counters.checks.get()), count as u64);
    assert_eq!(after.dropped(DropReason::NoColon), count as u64);
}

#[test]
fn a_line_beyond_the_bound_ends_the_connection() {
    let running = start(tcp());
    let mut stream = TcpStream::connect(running.ip()).unwrap();
    let long = format!("a:1|c\n{}:1|c\n", "x".repeat(70_000));
    // The peer may hang up before all is written.
    let _ = stream.write_all(long.as_bytes());
    let _ = stream.read(&mut [0]);
    running.wait_for("the end", |counters| {
        counters.connections_total.get() == 1 && counters.connections_open.get() == 0
    });
    let (seen, after) = running.finish();
    assert_eq!(seen, ["a=1"]);
    assert_eq!(after.dropped(DropReason::Oversized), 1);
}

#[test]
fn a_line_of_the_bound_itself_is_parsed() {
    let running = start(tcp());
    let mut stream = TcpStream::connect(running.ip()).unwrap();
    let mut line = "a:1|c|".to_owned();
    line += &"x".repeat(65_536 - line.len());
    stream.write_all(format!("{line}\nb:2|c\n").as_bytes()).unwrap();
    drop(stream);
    running.wait_for("the lines", |counters| counters.lines.get() == 2);
    assert_eq!(running.finish().0, ["a=1", "b=2"]);
}

#[test]
fn connections_past_the_limit_are_refused() {
    let limits = Limits { connections: 1, ..Limits::default() };
    let running = bound(&[tcp()], 1, limits).run();
    let mut first = TcpStream::connect(running.ip()).unwrap();
    first.write_all(b"a:1|c\n").unwrap();
    running.wait_for("the first", |counters| counters.connections_open.get() == 1);
    let mut second = TcpStream::connect(running.ip()).unwrap();
    assert_eq!(second.read(&mut [0]).unwrap(), 0);
    running.wait_for("the refusal", |counters| counters.connections_refused.get() == 1);
    first.write_all(b"b:1|c\n").unwrap();
    drop(first);
    running.wait_for("the end", |counters| counters.connections_open.get() == 0);
    let mut third = TcpStream::connect(running.ip()).unwrap();
    third.write_all(b"c:1|c\n").unwrap();
    running.wait_for("the third", |counters| counters.lines.get() == 3);
    let (seen, after) = running.finish();
    assert_eq!(seen, ["a=1", "b=1", "c=1"]);
    assert_eq!(after.sum(|counters| counters.connections_total.get()), 3);
}

#[test]
fn silent_connections_are_closed_and_their_last_line_counts() {
    let limits = Limits { idle: Duration::from_millis(1), ..Limits::default() };
    let running = bound(&[tcp()], 1, limits).run();
    let mut stream = TcpStream::connect(running.ip()).unwrap();
    stream.write_all(b"a:1|c\nb:2|c").unwrap();
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    assert_eq!(running.finish().0, ["a=1", "b=2"]);
}

#[test]
fn a_stop_takes_whole_lines_and_refuses_the_cut_one() {
    let running = start(tcp());
    let mut stream = TcpStream::connect(running.ip()).unwrap();
    stream.write_all(b"a:1|c\n").unwrap();
    running.wait_for("the connection", |counters| counters.lines.get() == 1);
    stream.write_all(&[lines(5000).as_bytes(), b"cut:1"].concat()).unwrap();
    let (seen, after) = running.finish();
    assert_eq!(seen.len(), 5001);
    assert_eq!(after.dropped(DropReason::ShuttingDown), 1);
}

#[test]
fn unix_datagrams_are_read_and_long_ones_cut() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("statsd");
    let running = start(Endpoint::new(Address::UnixDatagram(path.clone())));
    let client = UnixDatagram::unbound().unwrap();
    client.connect(&path).unwrap();
    client.send(b"a:1|c\nb:2|g").unwrap();
    client.send(b"").unwrap();
    let line = "c:3|c\n";
    client.send(line.repeat(70_000 / line.len()).as_bytes()).unwrap();
    let (seen, after) = running.finish();
    let whole = 65_535 / line.len();
    assert_eq!(seen.len(), whole + 2);
    assert_eq!(after.dropped(DropReason::Oversized), 1);
    assert_eq!(after.sum(|counters| counters.datagrams.get()), 3);
    assert!(!path.exists());
}

fn unix_stream(writes: &[&[u8]]) -> (Vec<String>, Running) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("statsd");
    let running = start(Endpoint::new(Address::UnixStream(path.clone())));
    send_parts(&path, writes, &running);
    running.wait_for("the end", |counters| {
        counters.connections_total.get() == 1 && counters.connections_open.get() == 0
    });
    running.finish()
}

/// Each part arrives before the next is sent.
fn send_parts(path: &Path, writes: &[&[u8]], running: &Running) {
    let mut stream = UnixStream::connect(path).unwrap();
    let mut sent = 0;
    for part in writes {
        stream.write_all(part).unwrap();
        sent += part.len() as u64;
        running.wait_for("a part", |counters| counters.bytes.get() == sent);
    }
}

fn frame(text: &str) -> Vec<u8> {
    [&(text.len() as u32).to_le_bytes(), text.as_bytes()].concat()
}

#[test]
fn unix_streams_carry_lines() {
    assert_eq!(unix_stream(&[b"a", b":1", b"|c\nb:2|c\n", b"c:3|c"]).0, ["a=1", "b=2", "c=3"]);
    assert_eq!(unix_stream(&[b"a:1"]).1.dropped(DropReason::NoType), 1);
}

#[test]
fn unix_streams_carry_frames() {
    let bytes = [frame("a:1|c\nb:2|c"), frame(""), frame("c:3|c\n"), frame("d:4|c")].concat();
    let parts: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(unix_stream(&parts).0, ["a=1", "b=2", "c=3", "d=4"]);
    assert_eq!(unix_stream(&[&bytes]).0, ["a=1", "b=2", "c=3", "d=4"]);
    // The end of the stream inside a frame, and inside a header.
    assert_eq!(unix_stream(&[&bytes[..bytes.len() - 3]]).1.dropped(DropReason::NoType), 1);
    assert_eq!(unix_stream(&[&frame("a:1|c"), &[9, 0]]).0, ["a=1"]);
}

#[test]
fn a_frame_beyond_the_bound_ends_the_connection() {
    let bytes = [frame("a:1|c"), vec![1, 0, 1, 0], b"b:1|c".to_vec()].concat();
    let (seen, after) = unix_stream(&[&bytes]);
    assert_eq!(seen, ["a=1"]);
    assert_eq!(after.dropped(DropReason::Oversized), 1);
}

#[test]
fn a_slow_shard_slows_the_sender_and_loses_nothing() {
    const LINES: usize = 200_000;
    let Bound { listeners, consumers, counters, addresses, stop } = bound(&[tcp()], 1, Limits::default());
    let Address::Tcp(to) = addresses[0] else { panic!("not TCP") };
    let listeners: Vec<_> =
        listeners.into_iter().map(|one| std::thread::spawn(move || one.run().unwrap())).collect();
    let sender = std::thread::spawn(move || {
        let mut stream = TcpStream::connect(to).unwrap();
        stream.write_all(lines(LINES).as_bytes()).unwrap();
    });
    // Nobody takes batches until the listener has run out of them.
    let since = Instant::now();
    while counters[0].pool_waits.get() == 0 {
        assert!(since.elapsed() < LONG, "the pool never ran out");
        std::thread::yield_now();
    }
    let shards = consumers.into_iter().map(|one| std::thread::spawn(move || collect(&one))).collect();
    sender.join().unwrap();
    let running = Running { listeners, shards, counters, addresses, stop };
    running.wait_for("all lines", |counters| counters.lines.get() == LINES as u64);
    let (seen, after) = running.finish();
    assert_eq!(seen, expected(1, LINES));
    assert_eq!(after.counters[0].drops.iter().map(Counter::get).sum::<u64>(), 0);
}
