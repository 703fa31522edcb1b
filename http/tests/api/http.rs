//! What has to do with HTTP rather than with metrics: forms of answers, bounds, the end of a server.

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use orzo_http::{Config, Limits};
use orzo_store::memory::MemoryKv;
use serde_json::json;

use crate::site::{Reply, Site};

#[test]
fn documents_of_the_roots() {
    let site = Site::with(Config { prefix: "/gnocchi".to_owned(), proxy_headers: true, ..Config::default() });
    let root = site.nobody("GET", "/gnocchi/").header("Forwarded", "for=1;proto=https;host=foobar").send();
    let root = root.expect(200).json();
    assert_eq!(root["versions"][0]["links"][0]["href"], "https://foobar/gnocchi/v1/");
    assert!(root["build"].as_str().unwrap().starts_with("4."));
    let links = site.nobody("GET", "/gnocchi/v1/").send().expect(200).json()["links"].clone();
    assert_eq!(links.as_array().unwrap().len(), 13);
    assert_eq!(links[0]["href"], "http://here/gnocchi/v1");
    assert_eq!(links[9]["rel"], "resource");
    let redirect = site.nobody("GET", "/gnocchi/v1").send().expect(302);
    assert_eq!(redirect.header("location"), Some("http://here/gnocchi/v1/"));
    site.nobody("POST", "/gnocchi/v1").send().expect(404);
    site.nobody("GET", "/v1/").send().expect(404);
    site.nobody("GET", "/elsewhere").send().expect(404);
}

#[test]
fn health_and_counters_need_nobody() {
    let site = Site::new();
    assert_eq!(site.nobody("GET", "/healthcheck").send().expect(200).body, "");
    let detailed = site.nobody("GET", "/healthcheck").header("Accept", "application/json").send();
    assert_eq!(detailed.json(), json!({"detailed": false, "reasons": []}));
    site.nobody("HEAD", "/healthcheck").send().expect(204);
    assert_eq!(site.nobody("GET", "/metrics").send().expect(200).body, "orzo_up 1\n");
    assert_eq!(
        site.nobody("GET", "/v1/capabilities").send().json()["aggregation_methods"].as_array().unwrap().len(),
        216
    );
}

#[test]
fn json_has_blanks_after_separators() {
    let site = Site::new().with_policy();
    let body = site.get("/v1/archive_policy_rule").body;
    assert_eq!(body, r#"[{"name": "all", "metric_pattern": "*", "archive_policy_name": "low"}]"#);
}

#[test]
fn segments_may_be_empty_and_slashes_may_trail() {
    let site = Site::new().with_policy();
    for path in [
        "/v1/archive_policy/low",
        "/v1/archive_policy//low",
        "//v1/archive_policy/low/",
        "/v1/archive%5Fpolicy/lo%77",
    ] {
        site.get(path).expect(200);
    }
}

#[test]
fn who_accepts_no_json_is_told_before_anything_is_looked_up() {
    let site = Site::new();
    let plain = |path: &str| site.nobody("GET", path).header("Accept", "text/plain").send();
    plain("/v1/archive_policy/nope").says(406, "406 Not Acceptable");
    plain("/v1/metric/foobar").says(404, "Metric foobar does not exist");
}

#[test]
fn errors_come_in_three_forms() {
    let site = Site::new();
    let ask = |accept: &str| {
        let ask = site.nobody("GET", "/v1/metric/it's").header("Authorization", "Basic YWRtaW46");
        if accept.is_empty() { ask.send() } else { ask.header("Accept", accept).send() }
    };
    let plain = ask("");
    assert_eq!(plain.header("content-type"), Some("text/plain; charset=UTF-8"));
    plain.says(404, "The resource could not be found.\n\n Metric it's does not exist");
    ask("*/*").says(404, "Metric it&#x27;s does not exist");
    let json = ask("application/json").json();
    assert_eq!(json, json!({"code": 404, "title": "Not Found", "description": "Metric it's does not exist"}));
}

#[test]
fn unknown_paths_and_wrong_methods() {
    let site = Site::new().with_policy();
    for path in ["/v1/resoue", "/v1/batch", "/v1/batch/foo", "/v1/search", "/v1/search/x", "/v1/prometheus"] {
        assert_eq!(site.post(path, json!({})).expect(404).description(), json!(null), "{path}");
    }
    for path in ["/v1/archive_policy/low/x", "/v1/capabilities/x", "/v1/archive_policy_rule/all/x"] {
        assert_eq!(site.get(path).expect(404).description(), json!(""), "{path}");
    }
    let allow = |method: &str, path: &str| {
        let reply = site.ask("admin", method, path).send().expect(405);
        assert_eq!(reply.description(), "");
        reply.header("allow").unwrap().to_owned()
    };
    assert_eq!(allow("PUT", "/v1/archive_policy"), "GET, POST");
    assert_eq!(allow("POST", "/v1/archive_policy/nope"), "DELETE, GET, PATCH");
    assert_eq!(allow("PATCH", "/v1/resource/generic"), "DELETE, GET, POST");
    assert_eq!(allow("GET", "/v1/search/resource/generic"), "POST");
    assert_eq!(allow("POST", "/v1/resource/generic/x/history"), "GET");
    let metric = site.metric("admin", json!({}));
    assert_eq!(allow("PUT", &format!("/v1/metric/{metric}")), "DELETE, GET");
    site.get(&format!("/v1/metric/{metric}/x")).expect(405);
    site.delete(&format!("/v1/metric/{metric}/measures")).expect(404);
}

#[test]
fn head_is_get_without_a_body() {
    let site = Site::new().with_policy();
    let reply = site.ask("admin", "HEAD", "/v1/archive_policy").send().expect(200);
    assert_eq!(reply.body, "");
    assert!(reply.header("content-length").unwrap().parse::<usize>().unwrap() > 2);
    site.nobody("HEAD", "/v1/influxdb/ping").send().expect(204);
}

#[test]
fn links_encode_what_the_path_did_not() {
    let site = Site::new();
    site.post("/v1/resource_type", json!({"name": "é ☃"})).expect(201);
    site.resource("admin", "%C3%A9%20%E2%98%83", json!({"id": "r"}));
    let page = site.get("/v1/resource/é%20☃?limit=1").expect(200);
    let link = page.header("link").unwrap();
    assert!(link.starts_with("<http://here/v1/resource/%C3%A9%20%E2%98%83?limit=1&marker="), "{link}");
}

#[test]
fn pages_of_other_origins() {
    let origins = vec!["http://foobar.com".to_owned()];
    let site = Site::with(Config { cors_allowed_origins: origins, ..Config::default() });
    let preflight = site.nobody("OPTIONS", "/no/such/path").header("Origin", "http://foobar.com");
    let preflight = preflight.header("Access-Control-Request-Method", "GET").send().expect(200);
    assert_eq!(preflight.header("access-control-allow-methods"), Some("GET"));
    let refused = site.nobody("GET", "/v1/metric").header("Origin", "http://foobar.com").send().expect(401);
    assert_eq!(refused.header("access-control-allow-origin"), Some("http://foobar.com"));
    let stranger = site.nobody("GET", "/v1/metric").header("Origin", "http://evil.com").send();
    assert_eq!(stranger.header("access-control-allow-origin"), None);
}

#[test]
fn what_was_answered_survives_a_power_cut() {
    let kv = Arc::new(MemoryKv::new());
    let site = Site::over(kv.clone(), Config::default()).with_policy();
    std::thread::scope(|scope| {
        for client in 0..4 {
            let site = &site;
            scope.spawn(move || {
                (0..10).for_each(|number| {
                    site.resource("admin", "generic", json!({"id": format!("r{client}-{number}")}));
                });
            });
        }
    });
    assert_eq!(kv.unsynced_batches(), 0);
    site.delete("/v1/resource/generic/r1-1").expect(204);
    assert_eq!(kv.unsynced_batches(), 0);
}

#[test]
fn bodies_have_bounds() {
    let limits = Limits { body_bytes: 100, ..Limits::default() };
    let site = Site::with(Config { limits, ..Config::default() });
    let post = |body: &[u8]| {
        site.ask("admin", "POST", "/v1/archive_policy")
            .header("Content-Type", "application/json")
            .body(body)
            .send()
    };
    post(&[b' '; 100]).expect(400);
    post(&[b' '; 101]).expect(413);
    let chunked = site.ask("admin", "POST", "/v1/archive_policy").header("Transfer-Encoding", "chunked");
    chunked.body(format!("65\r\n{}\r\n0\r\n\r\n", " ".repeat(101)).as_bytes()).send().expect(413);
}

#[test]
fn all_bodies_together_have_a_bound() {
    let limits = Limits { bodies_bytes: 4096, ..Limits::default() };
    let site = Site::with(Config { limits, ..Config::default() });
    let reply = site.ask("admin", "POST", "/v1/archive_policy").body(&[b' '; 8192]).send().expect(503);
    assert_eq!(reply.header("retry-after"), Some("1"));
    site.ask("admin", "POST", "/v1/archive_policy").body(b"").send().expect(415);
}

#[test]
fn a_body_that_does_not_come_is_not_waited_for() {
    let limits = Limits { body: Duration::from_millis(50), ..Limits::default() };
    let site = Site::with(Config { limits, ..Config::default() });
    let mut stream = site.connect();
    stream
        .write_all(b"POST /v1/metric HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 10\r\n\r\n{")
        .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    Reply::read(&answer).expect(408);
}

#[test]
fn connections_that_say_nothing_are_closed() {
    let limits = Limits { idle: Duration::from_millis(50), ..Limits::default() };
    let site = Site::with(Config { limits, ..Config::default() });
    let mut stream = site.connect();
    stream.write_all(b"GET / HTT").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert!(!answer.starts_with(b"HTTP/1.1 200"));
}

#[test]
fn connections_beyond_the_bound_wait() {
    let limits = Limits { connections: 1, ..Limits::default() };
    let site = Site::with(Config { limits, ..Config::default() });
    let first = site.connect();
    let mut second = site.connect();
    second.write_all(b"GET /healthcheck HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    second.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    assert!(second.read(&mut [0]).is_err(), "nobody answers yet");
    drop(first);
    second.set_read_timeout(None).unwrap();
    let mut answer = Vec::new();
    second.read_to_end(&mut answer).unwrap();
    Reply::read(&answer).expect(200);
}

#[test]
fn stopping_lets_requests_end_and_closes_idle_connections() {
    let mut site = Site::new();
    let mut idle = site.connect();
    idle.write_all(b"GET /healthcheck HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    assert!(idle.read(&mut [0; 512]).unwrap() > 0);
    assert_eq!(site.stop().cut, 0);
    assert_eq!(idle.read(&mut [0]).unwrap(), 0);
}

#[test]
fn stopping_cuts_what_does_not_end() {
    let limits = Limits { drain: Duration::from_millis(50), ..Limits::default() };
    let mut site = Site::with(Config { limits, ..Config::default() });
    let mut half = site.connect();
    half.write_all(
        b"POST /v1/metric HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n",
    )
    .unwrap();
    assert!(half.read(&mut [0; 64]).unwrap() > 0, "the server waits for the body");
    assert_eq!(site.stop().cut, 1);
}
