//! Killed again and again in the middle of work: whatever was acknowledged is there, once.
//!
//! `ROUNDS` says how often (3 unless it is set), `SEED` which moments.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::damage::check;
use crate::harness::{ADMIN, Daemon};

/// Checkpoints, tables and merges happen all the time.
const BUSY: &str = "[store]\nwrite_buffers = \"4MiB\"\nblock_cache = \"16MiB\"\ncheckpoint_age = \"1s\"\n";
/// Clients that post to one metric at a time, and as many that post batches.
const CLIENTS: u64 = 2;
/// Metrics of each client.
const METRICS: usize = 4;
/// Series of statsd counters.
const COUNTERS: u64 = 5;
/// Seconds of the first measure.
const START: u64 = 1_700_000_000;

/// A small generator of numbers, the same for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

fn number(variable: &str, otherwise: impl FnOnce() -> u64) -> u64 {
    std::env::var(variable).map_or_else(|_| otherwise(), |text| text.parse().expect("a number"))
}

/// What became of a measure, as its client knows.
#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Acknowledged,
    /// The answer never came.
    Unknown,
}

/// A client over HTTP, and all it ever sent.
struct Poster {
    ids: Vec<String>,
    batches: bool,
    next: u64,
    sent: Vec<BTreeMap<u64, Fate>>,
}

impl Poster {
    fn new(daemon: &Daemon, batches: bool) -> Self {
        let make = |_| {
            let (status, metric) = daemon.post("/v1/metric", &json!({"archive_policy_name": "torture"}));
            assert_eq!(status, 201, "{metric}");
            metric["id"].as_str().unwrap().to_owned()
        };
        let sent = vec![BTreeMap::new(); METRICS];
        Poster { ids: (0..METRICS).map(make).collect(), batches, next: START, sent }
    }

    /// The value of a measure follows from its time.
    fn value(at: u64) -> f64 {
        (at % 1009) as f64 + 0.5
    }

    /// Posts until the daemon is gone.
    fn run(mut self, http: SocketAddr) -> Self {
        let config = ureq::Agent::config_builder().http_status_as_error(false);
        let agent: ureq::Agent = config.timeout_global(Some(Duration::from_secs(20))).build().into();
        let mut one = 0;
        loop {
            let times: Vec<u64> = (self.next..self.next + 1 + self.next % 7).collect();
            self.next += times.len() as u64;
            let measures: Vec<Value> =
                times.iter().map(|at| json!({"timestamp": at, "value": Self::value(*at)})).collect();
            let (path, body, metrics) = if self.batches {
                let all = self.ids.iter().map(|id| (id.clone(), json!(measures)));
                ("/v1/batch/metrics/measures".to_owned(), Value::Object(all.collect()), 0..METRICS)
            } else {
                one = (one + 1) % METRICS;
                (format!("/v1/metric/{}/measures", self.ids[one]), json!(measures), one..one + 1)
            };
            let request = agent.post(format!("http://{http}{path}")).header("Authorization", ADMIN);
            let answer = request.header("Content-Type", "application/json").send(body.to_string());
            let fate = match &answer {
                Ok(answer) if answer.status() == 202 => Fate::Acknowledged,
                _ => Fate::Unknown,
            };
            for sent in &mut self.sent[metrics] {
                sent.extend(times.iter().map(|at| (*at, fate)));
            }
            match answer {
                Ok(answer) => assert!([202, 503].contains(&answer.status().as_u16()), "{answer:?}"),
                Err(_) => return self,
            }
        }
    }

    /// Each measure acknowledged is there once, and nothing is that was never sent.
    fn verify(&self, daemon: &Daemon, from: u64) {
        for (id, sent) in self.ids.iter().zip(&self.sent) {
            let read = |method: &str| {
                let arguments = format!("aggregation={method}&granularity=1&start={from}");
                daemon.get(&format!("/v1/metric/{id}/measures?{arguments}"))
            };
            let (counts, sums) = (read("count"), read("sum"));
            let mut stored = BTreeMap::new();
            for (count, sum) in counts.as_array().unwrap().iter().zip(sums.as_array().unwrap()) {
                let at = seconds(count[0].as_str().unwrap());
                assert_eq!((&count[0], &count[2]), (&sum[0], &json!(1.0)), "doubled at {at}");
                assert_eq!(sum[2].as_f64(), Some(Self::value(at)), "wrong at {at}");
                assert!(sent.contains_key(&at), "{at} was never sent");
                stored.insert(at, ());
            }
            let acknowledged = sent.range(from..).filter(|(_, fate)| **fate == Fate::Acknowledged);
            let lost: Vec<_> = acknowledged.map(|(at, _)| at).filter(|at| !stored.contains_key(at)).collect();
            assert!(lost.is_empty(), "{} acknowledged measures are lost: {lost:?}", lost.len());
        }
    }
}

/// Seconds of a time as the API prints it.
fn seconds(text: &str) -> u64 {
    let at: jiff::Timestamp = text.parse().unwrap();
    at.as_second() as u64
}

/// Lines over one TCP connection until it breaks. Returns how many were sent at most.
fn send_lines(statsd: SocketAddr) -> JoinHandle<u64> {
    std::thread::spawn(move || {
        let mut stream = TcpStream::connect(statsd).unwrap();
        let piece: String = (0..100).map(|line| format!("t.c{}:1|c\n", line % COUNTERS)).collect();
        let mut sent = 0;
        while stream.write_all(piece.as_bytes()).is_ok() {
            sent += 100;
            std::thread::sleep(Duration::from_millis(1));
        }
        // What stands in a piece that broke off may have arrived too.
        sent + 100
    })
}

/// Watches how many samples are in the log, until the daemon is gone or all is over.
fn watch(daemon: &Daemon, over: Arc<AtomicBool>) -> JoinHandle<u64> {
    let http = daemon.http;
    std::thread::spawn(move || {
        let committed = AtomicU64::new(0);
        while !over.load(Ordering::Relaxed) {
            let Ok(mut answer) = ureq::get(format!("http://{http}/metrics")).call() else { break };
            let Ok(text) = answer.body_mut().read_to_string() else { break };
            let applied = text.lines().filter(|line| line.starts_with("orzo_samples_applied_total{"));
            let applied = applied.map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap());
            committed.store(applied.sum(), Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(20));
        }
        committed.into_inner()
    })
}

/// Lines counted over all series.
fn lines_stored(daemon: &Daemon) -> f64 {
    (0..COUNTERS).filter_map(|series| daemon.total(&format!("t.c{series}"), "count")).sum()
}

/// One round: load, a kill at a random moment, sometimes another one during recovery, and what is there then.
fn round(daemon: &mut Daemon, posters: Vec<Poster>, random: &mut Random) -> Vec<Poster> {
    let before = lines_stored(daemon);
    let from = posters.iter().map(|poster| poster.next).min().unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let (http, lines, watcher) = (daemon.http, send_lines(daemon.statsd), watch(daemon, over.clone()));
    let clients: Vec<_> =
        posters.into_iter().map(|poster| std::thread::spawn(move || poster.run(http))).collect();
    std::thread::sleep(Duration::from_millis(50 + random.below(2500)));
    daemon.kill();
    over.store(true, Ordering::Relaxed);
    let (sent, committed) = (lines.join().unwrap(), watcher.join().unwrap());
    let posters: Vec<Poster> = clients.into_iter().map(|client| client.join().unwrap()).collect();

    let (code, text) = check(daemon);
    assert_eq!(code, 0, "{text}");
    if random.below(3) == 0 {
        daemon.spawn();
        std::thread::sleep(Duration::from_millis(random.below(300)));
        daemon.kill();
    }
    daemon.start_again();
    posters.iter().for_each(|poster| poster.verify(daemon, from));
    let stored = lines_stored(daemon) - before;
    assert!(stored >= committed as f64, "{stored} lines stored, {committed} had been committed");
    assert!(stored <= sent as f64, "{stored} lines stored, {sent} sent");
    posters
}

#[test]
fn nothing_acknowledged_is_lost_or_doubled_however_often_it_is_killed() {
    let rounds = number("ROUNDS", || 3);
    let clock = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    let seed = number("SEED", clock);
    println!("SEED={seed} ROUNDS={rounds}");
    let mut random = Random(seed | 1);
    let mut daemon = Daemon::start_with(BUSY);
    let policy = json!({"name": "torture", "aggregation_methods": ["count", "sum"],
        "definition": [{"granularity": "1s", "points": 100_000_000}]});
    assert_eq!(daemon.post("/v1/archive_policy", &policy).0, 201);
    let mut posters: Vec<Poster> =
        (0..2 * CLIENTS).map(|number| Poster::new(&daemon, number >= CLIENTS)).collect();
    for number in 0..rounds {
        posters = round(&mut daemon, posters, &mut random);
        let acknowledged = posters.iter().flat_map(|poster| &poster.sent).flat_map(BTreeMap::values);
        let acknowledged = acknowledged.filter(|fate| **fate == Fate::Acknowledged).count();
        println!("round {}: {acknowledged} measures acknowledged so far, all there", number + 1);
    }
    posters.iter().for_each(|poster| poster.verify(&daemon, START));
    assert!(daemon.stop().success());
    let (code, text) = check(&daemon);
    assert_eq!(code, 0, "{text}");
}
