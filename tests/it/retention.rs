//! What archive policies keep, and what their updates change: the reference's own cases over HTTP, with and
//! without the process ending in between.

use serde_json::{Value, json};

use crate::harness::{ADMIN, Daemon};

const VECTORS: &str = include_str!("../vectors/rollup-retention.json");
const SECOND: u64 = 1_000_000_000;

/// Steps after which the process ends, in tests where it does: later ones only repeat what these did.
const ENDS: usize = 4;

fn cases() -> Vec<Value> {
    let vectors: Value = serde_json::from_str(VECTORS).unwrap();
    let cases = vectors["cases"].as_array().unwrap().clone();
    // Methods cannot be changed over HTTP.
    cases.into_iter().filter(|case| case["id"] != "method-added-shows-only-new").collect()
}

fn definition(policy: &Value) -> Vec<Value> {
    let item = |item: &Value| {
        let mut wish = json!({"granularity": item["granularity_ns"].as_u64().unwrap() / SECOND});
        if let Some(points) = item["points"].as_u64() {
            wish["points"] = points.into();
        }
        wish
    };
    policy["definition"].as_array().unwrap().iter().map(item).collect()
}

/// A case on its way: its metric, and the policy as it is now.
struct Running {
    case: Value,
    path: String,
    policy: Value,
}

impl Running {
    fn start(daemon: &Daemon, case: Value) -> Self {
        let (name, policy) = (case["id"].as_str().unwrap(), &case["policy"]);
        let body = json!({"name": name, "back_window": policy["back_window"], "definition": definition(policy),
            "aggregation_methods": policy["aggregation_methods"]});
        let (status, answer) = daemon.post("/v1/archive_policy", &body);
        assert_eq!(status, 201, "{name}: {answer}");
        let (_, metric) = daemon.post("/v1/metric", &json!({"archive_policy_name": name}));
        let path = format!("/v1/metric/{}/measures", metric["id"].as_str().unwrap());
        Running { policy: policy.clone(), path, case }
    }

    fn step(&mut self, daemon: &Daemon, number: usize) {
        let Some(step) = self.case["steps"].get(number).cloned() else { return };
        if step["policy"].is_object() {
            self.policy = step["policy"].clone();
            update(daemon, self.case["id"].as_str().unwrap(), &self.policy);
        }
        let measure =
            |pair: &Value| json!({"timestamp": pair[0].as_u64().unwrap() / SECOND, "value": pair[1]});
        let batch: Vec<Value> = step["batch"].as_array().into_iter().flatten().map(measure).collect();
        if !batch.is_empty() {
            assert_eq!(daemon.post(&self.path, &batch.into()).0, 202);
        }
    }

    /// Compares every column with what the reference has after a step.
    fn check(&self, daemon: &Daemon, number: usize) {
        let expected = &self.case["steps"][number]["expect"]["series"];
        for (method, widths) in expected.as_object().into_iter().flatten() {
            for (width, buckets) in widths.as_object().unwrap() {
                if !self.differs(method, width) {
                    let got = column(daemon, &self.path, method, width.parse::<u64>().unwrap() / SECOND);
                    let pair = |pair: &Value| (pair[0].as_u64().unwrap() / SECOND, pair[1].as_f64().unwrap());
                    let want: Vec<(u64, f64)> = buckets.as_array().unwrap().iter().map(pair).collect();
                    assert_eq!(got, want, "{} step {number}: {method}@{width}", self.case["id"]);
                }
            }
        }
    }

    /// Where the contract has it another way than the reference.
    fn differs(&self, method: &str, width: &str) -> bool {
        let list = self.case["stream_model"]["differs"].as_array();
        list.is_some_and(|list| list.contains(&Value::from(format!("{method}@{width}"))))
    }
}

fn update(daemon: &Daemon, name: &str, policy: &Value) {
    let body = json!({"back_window": policy["back_window"], "definition": definition(policy)});
    let path = format!("/v1/archive_policy/{name}");
    let (status, answer) = daemon.call("PATCH", &path, Some(&body), Some(ADMIN)).unwrap();
    assert_eq!(status, 200, "{name}: {answer}");
}

/// Starts of buckets in seconds, and values.
fn column(daemon: &Daemon, path: &str, method: &str, granularity: u64) -> Vec<(u64, f64)> {
    let rows = daemon.get(&format!("{path}?aggregation={method}&granularity={granularity}"));
    let seconds = |text: &str| text.parse::<jiff::Timestamp>().unwrap().as_second() as u64;
    let row = |row: &Value| (seconds(row[0].as_str().unwrap()), row[2].as_f64().unwrap());
    rows.as_array().unwrap().iter().map(row).collect()
}

/// Runs all cases side by side; `end` comes after each of the first steps, before anything is read.
fn run(mut end: impl FnMut(&mut Daemon)) {
    let mut daemon = Daemon::start();
    let mut cases: Vec<Running> = cases().into_iter().map(|case| Running::start(&daemon, case)).collect();
    let steps = cases.iter().map(|case| case.case["steps"].as_array().unwrap().len()).max().unwrap();
    for number in 0..steps {
        cases.iter_mut().for_each(|case| case.step(&daemon, number));
        if number < ENDS {
            end(&mut daemon);
        }
        cases.iter().for_each(|case| case.check(&daemon, number));
    }
}

#[test]
fn policies_keep_what_the_reference_keeps() {
    run(|_| ());
}

#[test]
fn and_after_a_restart() {
    run(|daemon| {
        assert!(daemon.stop().success());
        daemon.start_again();
    });
}

#[test]
fn and_after_a_crash() {
    run(|daemon| {
        daemon.kill();
        daemon.start_again();
    });
}

fn with_policy(daemon: &Daemon, name: &str, back_window: u64, granularity: u64, points: u64) -> String {
    let body = json!({"name": name, "back_window": back_window, "aggregation_methods": ["count", "sum"],
        "definition": [{"granularity": granularity, "points": points}]});
    assert_eq!(daemon.post("/v1/archive_policy", &body).0, 201);
    let (_, metric) = daemon.post("/v1/metric", &json!({"archive_policy_name": name}));
    format!("/v1/metric/{}/measures", metric["id"].as_str().unwrap())
}

fn post(daemon: &Daemon, path: &str, seconds: &[u64]) {
    let batch: Vec<Value> = seconds.iter().map(|at| json!({"timestamp": at, "value": 1})).collect();
    assert_eq!(daemon.post(path, &batch.into()).0, 202);
}

/// The reference overwrites the bucket with the late measure alone; raw measures that were let go stay let go here,
/// and the bucket is closed for good.
#[test]
fn a_grown_back_window_overwrites_nothing() {
    const T: u64 = 1_704_067_200;
    let mut daemon = Daemon::start();
    let path = with_policy(&daemon, "p", 0, 60, 100);
    post(&daemon, &path, &[T, T + 1, T + 2]);
    post(&daemon, &path, &[T + 500]);
    let grown = json!({"back_window": 5, "definition": [{"granularity_ns": 60 * SECOND, "points": 100}]});
    for restart in [false, true] {
        if restart {
            assert!(daemon.stop().success());
            daemon.start_again();
        }
        update(&daemon, "p", &grown);
        post(&daemon, &path, &[T + 10]);
        assert_eq!(column(&daemon, &path, "count", 60), [(T, 3.0), (T + 480, 1.0)]);
    }
    // Once the window has refilled, the wider one is in force.
    post(&daemon, &path, &[T + 900]);
    post(&daemon, &path, &[T + 661]);
    let counts = column(&daemon, &path, "count", 60);
    assert_eq!(counts, [(T, 3.0), (T + 480, 1.0), (T + 660, 1.0), (T + 900, 1.0)]);
}

#[test]
fn granularities_cannot_be_changed() {
    let daemon = Daemon::start();
    with_policy(&daemon, "p", 0, 60, 100);
    let patch = |definition: Value| {
        let body = json!({"definition": definition});
        daemon.call("PATCH", "/v1/archive_policy/p", Some(&body), Some(ADMIN)).unwrap()
    };
    let (status, why) = patch(json!([{"granularity": 60, "points": 9}, {"granularity": 300, "points": 9}]));
    assert_eq!(status, 400);
    assert!(why.to_string().contains("Cannot add or drop granularities"), "{why}");
    let (status, why) = patch(json!([{"granularity": 30, "points": 9}]));
    assert_eq!(status, 400);
    assert!(why.to_string().contains("60.0 granularity interval was changed"), "{why}");
    let (status, _) = daemon.call("PATCH", "/v1/archive_policy/p", Some(&json!({})), Some(ADMIN)).unwrap();
    assert_eq!(status, 400, "a definition is needed");
}

/// An update is for all metrics of the policy, statsd's too, and for those that are not in memory.
#[test]
fn an_update_reaches_series_of_statsd() {
    let mut daemon = Daemon::start_with("[statsd.archive_policy]\ncounter = \"short\"");
    let body = json!({"name": "short", "aggregation_methods": ["sum"], "definition": [{"granularity": 1, "points": 600}]});
    assert_eq!(daemon.post("/v1/archive_policy", &body).0, 201);
    let seconds = |daemon: &Daemon| daemon.column_of("statsd", "u.c", "sum", 1).unwrap_or_default().len();
    daemon.eventually("three seconds", |daemon| {
        daemon.send_udp("u.c:1|c");
        (seconds(daemon) >= 3).then_some(())
    });
    let one = json!({"definition": [{"granularity": 1, "points": 1}]});
    assert_eq!(daemon.call("PATCH", "/v1/archive_policy/short", Some(&one), Some(ADMIN)).unwrap().0, 200);
    assert_eq!(seconds(&daemon), 1);
    assert!(daemon.stop().success());
    daemon.start_again();
    assert_eq!(seconds(&daemon), 1);
    let many = json!({"definition": [{"granularity": 1, "points": 600}]});
    assert_eq!(daemon.call("PATCH", "/v1/archive_policy/short", Some(&many), Some(ADMIN)).unwrap().0, 200);
    assert!(seconds(&daemon) >= 3, "what was hidden is seen again");
}

/// Its name is free at once, and it has nothing of the one before.
#[test]
fn a_deleted_metric_is_gone_at_once() {
    let mut daemon = Daemon::start();
    let resource = json!({"id": "r", "metrics": {"m": {"archive_policy_name": "low"}}});
    let (_, made) = daemon.post("/v1/resource/generic", &resource);
    let id = made["metrics"]["m"].as_str().unwrap().to_owned();
    let path = format!("/v1/metric/{id}/measures");
    post(&daemon, &path, &[1_704_067_200]);
    assert_eq!(daemon.call("DELETE", &format!("/v1/metric/{id}"), None, Some(ADMIN)).unwrap().0, 204);
    assert!(daemon.metrics_of("r").is_empty());
    assert_eq!(daemon.try_get(&path).unwrap().0, 404);
    let again = json!({"m": {"archive_policy_name": "low"}});
    let (status, answer) = daemon.post("/v1/resource/generic/r/metric", &again);
    assert_eq!(status, 200, "{answer}");
    for _ in 0..2 {
        let new = daemon.metrics_of("r").remove("m").unwrap();
        assert_ne!(new, id);
        assert_eq!(daemon.get(&format!("/v1/metric/{new}/measures")), json!([]));
        assert!(daemon.stop().success());
        daemon.start_again();
    }
}
