//! Clients that are broken, slow or many: each gets a clear answer or an end, and others are served meanwhile.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use orzo_http::{Config, Engine, EngineError, EngineStatus, Limits, Post, Query};
use orzo_model::{ArchivePolicy, Column, MetricId};
use serde_json::json;

use crate::site::{Reply, Site};
use crate::support::MemoryEngine;

fn post(site: &Site, path: &str, body: &[u8]) -> Reply {
    site.ask("admin", "POST", path).header("Content-Type", "application/json").body(body).send()
}

#[test]
fn a_thousand_idle_connections_leave_room_for_others() {
    let site = Site::new();
    // Some say nothing, some stop in the middle of a head, some in the middle of a body.
    let starts: [&[u8]; 3] =
        [b"", b"GET / HT", b"POST /v1/metric HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{"];
    let idle: Vec<_> = (0..1000)
        .map(|number| {
            let mut stream = site.connect();
            stream.write_all(starts[number % 3]).unwrap();
            stream
        })
        .collect();
    let begun = Instant::now();
    (0..10).for_each(|_| drop(site.nobody("GET", "/healthcheck").send().expect(200)));
    assert!(begun.elapsed() < Duration::from_secs(10));
    drop(idle);
}

#[test]
fn who_closes_its_half_is_answered() {
    let engine = Arc::new(Gated::default());
    let site = Site::with_engine(engine.clone(), one_connection()).with_policy();
    let id = site.metric("admin", json!({"archive_policy_name": "low"}));
    let mut stream = site.connect();
    // A large answer takes many writes, and the second request was sent before the end.
    let asks = [format!("/v1/metric/{id}/measures"), "/v1/openapi.json".to_owned()].map(|path| get(&path));
    stream.write_all(asks.concat().as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    engine.wait_for_a_read();
    engine.open();
    let mut answers = String::new();
    stream.read_to_string(&mut answers).unwrap();
    let last = answers.rfind("HTTP/1.1 200").expect("an answer");
    assert!(last > 0, "only one of two: {answers}");
    let reply = Reply::read(&answers.as_bytes()[last..]);
    assert_eq!(reply.header("content-length"), Some(&*reply.body.len().to_string()));
    site.nobody("GET", "/healthcheck").send().expect(200);
}

#[test]
fn who_has_gone_cancels_what_it_asked_for() {
    let engine = Arc::new(Gated::default());
    let site = Site::with_engine(engine.clone(), one_connection()).with_policy();
    // So many that they are read in two goes.
    let ids: Vec<String> =
        (0..300).map(|_| site.metric("admin", json!({"archive_policy_name": "low"}))).collect();
    let metrics: Vec<_> = ids.iter().map(|id| json!([id, "mean"])).collect();
    let operations = json!([vec![json!("metric")], metrics].concat());
    let body = json!({"operations": ["aggregate", "mean", operations]}).to_string();
    let mut stream = site.connect();
    let head = "POST /v1/aggregates HTTP/1.1\r\nHost: x\r\nAuthorization: Basic YWRtaW46\r\n\
                Content-Type: application/json\r\nContent-Length: ";
    stream.write_all(format!("{head}{}\r\n\r\n{body}", body.len()).as_bytes()).unwrap();
    engine.wait_for_a_read();
    drop(stream);
    // There is room for one connection only, so this is answered when the other one is let go.
    site.nobody("GET", "/healthcheck").send().expect(200);
    engine.open();
    drop(site);
    assert_eq!(*engine.reads.lock().unwrap(), 1, "nobody wanted the second half");
}

/// An engine whose reads wait until it is open.
#[derive(Default)]
struct Gated {
    inner: MemoryEngine,
    reads: Mutex<usize>,
    read_begun: Condvar,
    is_open: Mutex<bool>,
    opened: Condvar,
}

impl Gated {
    fn wait_for_a_read(&self) {
        drop(self.read_begun.wait_while(self.reads.lock().unwrap(), |reads| *reads == 0).unwrap());
    }

    fn open(&self) {
        *self.is_open.lock().unwrap() = true;
        self.opened.notify_all();
    }
}

impl Engine for Gated {
    fn read_all(&self, queries: &[Query], beside: usize) -> Result<Vec<Column>, EngineError> {
        *self.reads.lock().unwrap() += 1;
        self.read_begun.notify_all();
        drop(self.opened.wait_while(self.is_open.lock().unwrap(), |open| !*open).unwrap());
        self.inner.read_all(queries, beside)
    }

    fn read(&self, query: &Query) -> Result<Column, EngineError> {
        Ok(self.read_all(std::slice::from_ref(query), 1)?.remove(0))
    }

    fn post(&self, posts: Vec<Post>) -> Result<(), EngineError> {
        self.inner.post(posts)
    }

    fn forget(&self, metrics: &[MetricId]) {
        self.inner.forget(metrics);
    }

    fn policy_changed(&self, policy: &Arc<ArchivePolicy>) {
        self.inner.policy_changed(policy);
    }

    fn status(&self) -> EngineStatus {
        self.inner.status()
    }

    fn scrape(&self) -> String {
        self.inner.scrape()
    }
}

fn one_connection() -> Config {
    Config { limits: Limits { connections: 1, ..Limits::default() }, ..Config::default() }
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Basic YWRtaW46\r\n\r\n")
}

#[test]
fn a_body_that_is_cut_changes_nothing() {
    let site = Site::new();
    let mut stream = site.connect();
    let head = "POST /v1/resource/generic HTTP/1.1\r\nHost: x\r\nAuthorization: Basic YWRtaW46\r\n\
                Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"id\": \"r\"}";
    stream.write_all(head.as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert!(!answer.starts_with(b"HTTP/1.1 2"), "{}", answer.escape_ascii());
    assert_eq!(site.get("/v1/resource/generic").json(), json!([]));
}

#[test]
fn who_does_not_read_answers_holds_nobody_up() {
    let site = Site::new();
    let mut deaf = site.connect();
    deaf.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
    // Many answers of some kilobytes each, until no more requests are taken.
    let ask = b"GET /v1/capabilities HTTP/1.1\r\nHost: x\r\n\r\n".repeat(1000);
    while deaf.write_all(&ask).is_ok() {}
    site.nobody("GET", "/healthcheck").send().expect(200);
}

#[test]
fn heads_that_are_none() {
    let site = Site::with(Config {
        limits: Limits { header_bytes: 8 << 10, ..Limits::default() },
        ..Config::default()
    });
    let long = format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "y".repeat(9 << 10));
    for (head, status) in [
        (&b"NONSENSE\r\n\r\n"[..], 400),
        (b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nContent-Length: many\r\n\r\n", 400),
        (long.as_bytes(), 431),
    ] {
        let mut stream = site.connect();
        stream.write_all(head).unwrap();
        let mut answer = [0; 64];
        let length = stream.read(&mut answer).unwrap();
        let text = String::from_utf8_lossy(&answer[..length]);
        assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{}: {text}", head.escape_ascii());
    }
}

#[test]
fn deep_bodies_are_refused() {
    let site = Site::new().with_policy();
    for open in ["[", "{\"and\": ["] {
        let body = open.repeat(100_000);
        for path in ["/v1/search/resource/generic", "/v1/archive_policy", "/v1/metric", "/v1/aggregates"] {
            let cause = post(&site, path, body.as_bytes()).expect(400).description()["cause"].clone();
            assert_eq!(cause, "Unable to decode body", "{path}");
        }
    }
    let nested = |text: &str, inner: &str| format!("{}{inner}{}", text.repeat(5000), ")".repeat(5000));
    let operations = json!({"operations": nested("(abs ", "1")});
    post(&site, "/v1/aggregates", operations.to_string().as_bytes()).expect(400);
    let filter: String = nested("(", "id=1").bytes().map(|byte| format!("%{byte:02x}")).collect();
    site.ask("admin", "POST", &format!("/v1/search/resource/generic?filter={filter}")).send().expect(400);
}

#[test]
fn huge_numbers_are_refused_or_kept() {
    let site = Site::new().with_policy();
    let id = site.metric("admin", json!({}));
    let huge = "9".repeat(400);
    for (path, body) in [
        (
            "/v1/archive_policy",
            format!("{{\"name\": \"x\", \"definition\": [{{\"granularity\": 1, \"points\": {huge}}}]}}"),
        ),
        ("/v1/archive_policy", format!("{{\"name\": \"x\", \"definition\": [{{\"granularity\": {huge}}}]}}")),
        (
            "/v1/archive_policy",
            "{\"name\": \"x\", \"back_window\": 1e300, \"definition\": [{\"granularity\": 1}]}".to_owned(),
        ),
        ("/v1/resource/generic", format!("{{\"id\": \"r\", \"started_at\": {huge}}}")),
        (&format!("/v1/metric/{id}/measures"), format!("[{{\"timestamp\": {huge}, \"value\": 1}}]")),
    ] {
        post(&site, path, body.as_bytes()).expect(400);
    }
    site.get(&format!("/v1/metric?limit={huge}")).expect(400);
    site.get(&format!("/v1/metric/{id}/measures?granularity={huge}")).expect(400);
    let measures =
        format!("[{{\"timestamp\": 60, \"value\": {}}}, {{\"timestamp\": 120, \"value\": 1e308}}]", u64::MAX);
    post(&site, &format!("/v1/metric/{id}/measures"), measures.as_bytes()).expect(202);
    let rows = site.get(&format!("/v1/metric/{id}/measures?granularity=60")).expect(200).json();
    assert_eq!((rows[0][2].as_f64(), rows[1][2].as_f64()), (Some(u64::MAX as f64), Some(1e308)));
}

#[test]
fn bytes_that_are_no_text() {
    let site = Site::new().with_policy();
    for path in ["/v1/archive_policy", "/v1/metric", "/v1/resource/generic", "/v1/search/resource/generic"] {
        post(&site, path, b"{\"name\": \"\xff\xfe\"}").expect(400);
    }
    site.ask("admin", "POST", "/v1/influxdb/write").body(b"cpu,host=\xff a=1").send().expect(400);
    site.ask("admin", "POST", "/v1/prometheus/write").body(b"\xff\xff\xff\xff\x7f\x00").send().expect(400);
    for path in ["/v1/metric/%ff", "/v1/resource/generic/%c3%28", "/v1/archive_policy/%ed%a0%80"] {
        let status = site.get(path).status;
        assert!([400, 404].contains(&status), "{path}: {status}");
    }
    site.get("/v1/metric?name=%ff").expect(400);
    let ask = site.nobody("GET", "/v1/metric").header("Authorization", "Basic /////w==");
    ask.send().expect(401);
    // Surrogates and zeros are characters like others, where JSON can name them.
    post(&site, "/v1/metric", br#"{"name": "\u0000 \ud83d\ude00"}"#).expect(201);
    post(&site, "/v1/metric", br#"{"name": "\ud83d"}"#).expect(400);
}
