//! A disk without room, and one that fails: writes are refused with the reason, reads go on, nothing that was
//! acknowledged is lost, and the daemon recovers by itself.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::damage::check;
use crate::harness::Daemon;

/// Small buffers, so that tables are written during the test, too.
const SMALL: &str = "[store]\nwrite_buffers = \"4MiB\"\nblock_cache = \"8MiB\"\ncheckpoint_age = \"1s\"\n";

/// A file system of a few megabytes. Taken away when dropped.
struct Disk(PathBuf);

impl Disk {
    /// `None`, with the reason printed, where the system permits no mounting.
    fn mount(at: &Path) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let output = Command::new("mount").args(["-t", "tmpfs", "-o", "size=64m", "tmpfs"]).arg(at).output();
        match output {
            Ok(output) if output.status.success() => Some(Disk(at.to_owned())),
            Ok(output) => {
                println!("skipped, nothing can be mounted: {}", String::from_utf8_lossy(&output.stderr));
                None
            }
            Err(error) => {
                println!("skipped, there is no mount: {error}");
                None
            }
        }
    }

    fn fill(&self) {
        let mut file = File::create(self.0.join("filler")).unwrap();
        let mut piece = vec![1; 1 << 20];
        while !piece.is_empty() {
            if file.write_all(&piece).is_err() {
                piece.truncate(piece.len() / 2);
            }
        }
    }

    fn empty(&self) {
        fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a daemon that is being killed may hold it a moment longer.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// A client that posts a minute at a time and knows what was acknowledged.
struct Client {
    id: String,
    next: u64,
    acknowledged: Vec<u64>,
    refused: Vec<u64>,
}

impl Client {
    fn new(daemon: &Daemon) -> Self {
        let policy = json!({"name": "p", "aggregation_methods": ["count"],
            "definition": [{"granularity": "1s", "points": 10_000_000}]});
        assert_eq!(daemon.post("/v1/archive_policy", &policy).0, 201);
        let (status, metric) = daemon.post("/v1/metric", &json!({"name": "m", "archive_policy_name": "p"}));
        assert_eq!(status, 201, "{metric}");
        let id = metric["id"].as_str().unwrap().to_owned();
        Client { id, next: 1_700_000_000, acknowledged: Vec::new(), refused: Vec::new() }
    }

    /// Status and body of one post of many measures that nothing can make small.
    fn post(&mut self, daemon: &Daemon) -> (u16, Value) {
        let times: Vec<u64> = (self.next..self.next + 2000).collect();
        self.next += 2000;
        let noise = |at: &u64| (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 11) as f64;
        let measures: Vec<Value> =
            times.iter().map(|at| json!({"timestamp": at, "value": noise(at)})).collect();
        let answer = daemon.post(&format!("/v1/metric/{}/measures", self.id), &json!(measures));
        let told = if answer.0 == 202 { &mut self.acknowledged } else { &mut self.refused };
        told.extend(times);
        answer
    }

    /// Everything acknowledged is there, once; what was refused may be, once.
    fn verify(&self, daemon: &Daemon) {
        let path = format!("/v1/metric/{}/measures?aggregation=count&granularity=1", self.id);
        let rows = daemon.get(&path);
        let rows = rows.as_array().unwrap();
        assert!(rows.iter().all(|row| row[2] == 1.0));
        assert!(rows.len() >= self.acknowledged.len());
        assert!(rows.len() <= self.acknowledged.len() + self.refused.len());
    }
}

/// The store takes no writes: everybody says so, and reads go on.
fn expect_refusals(daemon: &mut Daemon, client: &mut Client, reason: &str) {
    let why = daemon.eventually("a post is refused", |daemon| {
        let (status, body) = client.post(daemon);
        (status != 202).then_some((status, body.to_string()))
    });
    assert!(why.0 == 503 && why.1.contains(reason), "{why:?}");
    client.verify(daemon);
    let policy = json!({"name": "late", "definition": [{"granularity": "1s", "points": 1}]});
    let (status, body) = daemon.post("/v1/archive_policy", &policy);
    assert_eq!(status, 503, "{body}");
    let (status, body) = daemon.try_get("/healthcheck").unwrap();
    assert!(status == 503 && body.to_string().contains(reason), "{status} {body}");
    let status = daemon.get("/v1/status");
    assert!(status["store"]["failure"].as_str().unwrap().contains(reason), "{status}");
    assert_eq!(daemon.counter("orzo_store_failed", ""), 1);
    let before = daemon.counter("orzo_samples_dropped_total", "reason=\"store_failed\"");
    daemon.send_tcp(&"k.a:1|c\n".repeat(100));
    let lost = |daemon: &Daemon| {
        let lost = daemon.counter("orzo_samples_dropped_total", "reason=\"store_failed\"") - before;
        (lost == 100).then_some(())
    };
    daemon.eventually("lines are counted as lost", lost);
}

/// The store works again without anybody's help.
fn expect_recovery(daemon: &mut Daemon, client: &mut Client) {
    daemon.eventually("the daemon is healthy", |daemon| {
        (daemon.try_get("/healthcheck").unwrap().0 == 200).then_some(())
    });
    let (status, body) = client.post(daemon);
    assert_eq!(status, 202, "{body}");
    assert_eq!(daemon.get("/v1/status")["store"]["failure"], Value::Null);
    daemon.send_tcp(&"k.b:1|c\n".repeat(100));
    daemon.eventually("lines are kept", |daemon| {
        // A series that was refused is asked about again after a while only.
        (daemon.total("k.b", "count") == Some(100.0)).then_some(())
    });
    client.verify(daemon);
    daemon.kill();
    let (code, text) = check(daemon);
    assert_eq!(code, 0, "{text}");
    daemon.start_again();
    client.verify(daemon);
    assert_eq!(daemon.total("k.b", "count"), Some(100.0));
    assert!(daemon.stop().success());
    assert_eq!(check(daemon).0, 0);
}

#[test]
fn a_full_disk_refuses_writes_until_there_is_room() {
    let mut daemon = Daemon::prepare(SMALL);
    let Some(disk) = Disk::mount(&daemon.path("data")) else { return };
    daemon.start_again();
    let mut client = Client::new(&daemon);
    assert_eq!(client.post(&daemon).0, 202);
    disk.fill();
    expect_refusals(&mut daemon, &mut client, "No space left on device");
    disk.empty();
    expect_recovery(&mut daemon, &mut client);
}

/// Files that may not grow are to the store a disk that fails: it must be opened again.
#[test]
fn a_failing_disk_refuses_writes_until_it_works() {
    let mut daemon = Daemon::prepare(SMALL);
    daemon.wrap("trap '' XFSZ; exec");
    daemon.start_again();
    let mut client = Client::new(&daemon);
    assert_eq!(client.post(&daemon).0, 202);
    if !limit_files(&daemon, "65536") {
        return println!("skipped, limits of a process cannot be changed");
    }
    expect_refusals(&mut daemon, &mut client, "File too large");
    assert!(limit_files(&daemon, "unlimited"));
    expect_recovery(&mut daemon, &mut client);
}

fn limit_files(daemon: &Daemon, bytes: &str) -> bool {
    let mut command = Command::new("prlimit");
    command.arg(format!("--pid={}", daemon.pid())).arg(format!("--fsize={bytes}:"));
    command.status().is_ok_and(|status| status.success())
}

/// Its log is a line on a full disk, as that of any daemon may be.
#[test]
fn a_log_that_cannot_be_written_stops_nothing() {
    let mut daemon = Daemon::prepare("");
    daemon.wrap("exec 2>/dev/full; exec");
    daemon.start_again();
    daemon.send_tcp("k.a:1|c\n");
    daemon.await_total("k.a", "count", 1.0);
    assert!(daemon.stop().success());
}
