//! Clients that are broken, slow or many: each gets a clear answer or an end, and others are served meanwhile.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use orzo_http::{Config, Limits};
use serde_json::json;

use crate::site::{Reply, Site};

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

/// An end of what a client sends looks the same whether it goes on listening or is gone, and who is gone cancels what it
/// asked for: no program among those that write here closes one half only.
#[test]
fn who_closes_its_half_has_gone() {
    let site =
        Site::with(Config { limits: Limits { connections: 1, ..Limits::default() }, ..Config::default() });
    let mut stream = site.connect();
    stream.write_all(b"GET /healthcheck HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 200"));
    site.nobody("GET", "/healthcheck").send().expect(200);
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
