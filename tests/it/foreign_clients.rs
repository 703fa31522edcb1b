//! Requests as other programs send them to the reference, replayed byte for byte where it matters: odd slashes, Python's
//! `True`, bodies without a type. What each of them reads from the answer is what is looked at.

use serde_json::{Value, json};

use crate::harness::{ADMIN, Answer, Daemon};

/// Headers of everything that talks through the reference's Python library.
const PYTHON: [(&str, &str); 3] =
    [("Authorization", ADMIN), ("Accept", "application/json"), ("Content-Type", "application/json")];

fn python(daemon: &Daemon, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let text = if body.is_null() { String::new() } else { body.to_string() };
    let answer = daemon.exchange(method, path, &PYTHON, &text).unwrap();
    (answer.status, answer.value())
}

fn python_get(daemon: &Daemon, path: &str) -> (u16, Value) {
    python(daemon, "GET", path, &Value::Null)
}

/// The type and the policy that Ceilometer makes before it publishes.
fn prepare(daemon: &Daemon) {
    let policy = json!({"name": "ceilometer-low", "back_window": 0, "aggregation_methods": ["mean"],
        "definition": [{"granularity": "5 minutes", "timespan": "30 days"}]});
    assert_eq!(python(daemon, "POST", "/v1/archive_policy/", &policy).0, 201);
    let (status, again) = python(daemon, "POST", "/v1/archive_policy/", &policy);
    assert_eq!(status, 409);
    assert_eq!(again["description"], "Archive policy ceilometer-low already exists");
    let text = json!({"type": "string", "min_length": 0, "max_length": 255, "required": false});
    let instance = json!({"name": "instance", "attributes": {"host": text, "server_group": text}});
    let (status, made) = python(daemon, "POST", "/v1/resource_type/", &instance);
    assert_eq!((status, &made["attributes"]["host"]), (201, &text), "compared key by key");
}

/// What Ceilometer publishes of one instance.
fn publish(daemon: &Daemon, resource: &str, value: f64) -> (u16, Value) {
    let cpu = json!({"archive_policy_name": "ceilometer-low", "unit": "%",
        "measures": [{"timestamp": "2026-01-01T10:00:00+00:00", "value": value}]});
    let path = "/v1/batch/resources/metrics/measures?create_metrics=True";
    python(daemon, "POST", path, &json!({resource: {"cpu_util": cpu}}))
}

#[test]
fn ceilometer_learns_which_resources_are_missing_and_tries_again() {
    let daemon = Daemon::start();
    let build = daemon.get("/")["build"].as_str().unwrap().to_owned();
    let version: Vec<u32> = build.split('.').map(|part| part.parse().unwrap()).collect();
    assert!(version[0] == 4 && version[1] >= 2, "{build}");
    prepare(&daemon);
    let key = "A-Strange Id@north:1";
    let (status, refused) = publish(&daemon, key, 1.0);
    assert_eq!(status, 400);
    assert_eq!(refused["description"]["cause"], "Unknown resources");
    assert_eq!(refused["description"]["detail"][0]["original_resource_id"], key);
    let started = "2026-01-01T00:00:00+00:00";
    let resource = json!({"id": key, "user_id": "u", "project_id": "p", "host": "h1", "started_at": started});
    assert_eq!(python(&daemon, "POST", "/v1/resource/instance", &resource).0, 201);
    assert_eq!(publish(&daemon, key, 1.0).0, 202);
    let path = "/v1/resource/instance/A-Strange%20Id%40north%3A1";
    let (status, patched) =
        python(&daemon, "PATCH", path, &json!({"host": "h2", "ended_at": "2026-01-02T00:00:00+00:00"}));
    assert_eq!((status, &patched["ended_at"]), (200, &json!("2026-01-02T00:00:00+00:00")));
    let search = "/v1/search/resource/instance?filter=project_id+%3D+p+and+host+%3D+h2&history=true";
    let (status, found) = python(&daemon, "POST", search, &Value::Null);
    assert_eq!((status, found.as_array().unwrap().len()), (200, 1));
}

#[test]
fn aodh_checks_a_rule_and_evaluates_it() {
    let daemon = Daemon::start();
    prepare(&daemon);
    let (_, capabilities) = python_get(&daemon, "/v1/capabilities/");
    assert!(capabilities["aggregation_methods"].as_array().unwrap().contains(&json!("rate:mean")));

    let owned = json!({"or": [{"=": {"created_by_project_id": "p"}}, {"=": {"creator": "admin"}}]});
    let search = json!({"and": [owned, {"=": {"server_group": "blue"}}]});
    let mut rule = json!({"operations": ["aggregate", "mean", ["metric", "cpu_util", "mean"]],
        "search": search, "resource_type": "instance"});
    let check = "/v1/aggregates?details=False&needed_overlap=0&start=-1%20day&stop=now&use_history=False";
    let (status, none) = python(&daemon, "POST", check, &rule);
    assert_eq!(status, 404, "no data yet is fine: {none}");
    rule["search"] = json!({"=": {"no_such": "blue"}});
    let (status, bad) = python(&daemon, "POST", check, &rule);
    assert_eq!(status, 400);
    assert_eq!(bad["description"], "Resource type instance has no no_such attribute");
    rule["search"] = search;

    for (resource, value) in [("web1", 2.0), ("web2", 4.0)] {
        let body = json!({"id": resource, "server_group": "blue"});
        assert_eq!(python(&daemon, "POST", "/v1/resource/instance", &body).0, 201);
        assert_eq!(publish(&daemon, resource, value).0, 202);
    }
    let window = "start=2026-01-01T09%3A00%3A00&stop=2026-01-01T11%3A00%3A00";
    let evaluate =
        format!("/v1/aggregates?details=False&granularity=300&needed_overlap=0&{window}&use_history=False");
    let (status, means) = python(&daemon, "POST", &evaluate, &rule);
    assert_eq!(status, 200, "{means}");
    assert_eq!(means["measures"]["aggregated"], json!([["2026-01-01T10:00:00+00:00", 300.0, 3.0]]));

    let ids = ["web1", "web2"].map(|resource| {
        let (_, metric) = python_get(&daemon, &format!("/v1/resource/generic/{resource}/metric/cpu_util"));
        metric["id"].clone()
    });
    let by_ids = json!({"operations":
        ["aggregate", "max", ["metric", [ids[0], "mean"], [ids[1], "mean"]]]});
    let (_, greatest) = python(&daemon, "POST", &evaluate, &by_ids);
    assert_eq!(greatest["measures"]["aggregated"][0][2], 4.0);

    let measures = format!("measures?aggregation=mean&granularity=300&refresh=False&{window}");
    let (_, own) = python_get(&daemon, &format!("/v1/resource/generic/web1/metric/cpu_util/{measures}"));
    assert_eq!(own, json!([["2026-01-01T10:00:00+00:00", 300.0, 2.0]]));
    let (status, gone) = python_get(&daemon, &format!("/v1/resource/generic/web1/metric/none/{measures}"));
    assert_eq!((status, &gone["description"]), (404, &json!("Metric none does not exist")));
}

const GRAFANA: &str = "http://grafana.example";

/// A request of Grafana's plug-in from a browser.
fn browser(daemon: &Daemon, method: &str, path: &str, body: &str) -> Answer {
    let mut headers = vec![
        ("Origin", GRAFANA),
        ("Accept", "application/json, text/plain, */*"),
        ("Authorization", ADMIN),
        ("X-Project-Id", "project"),
        ("X-Roles", "admin"),
    ];
    if !body.is_empty() {
        headers.push(("Content-Type", "application/json"));
    }
    daemon.exchange(method, path, &headers, body).unwrap()
}

#[test]
fn grafana_may_ask_from_a_browser() {
    let daemon = Daemon::start_with_http(&format!("cors_allowed_origins = [\"{GRAFANA}\"]"));
    let ask = [
        ("Origin", GRAFANA),
        ("Access-Control-Request-Method", "POST"),
        ("Access-Control-Request-Headers", "authorization,content-type,x-project-id,x-roles"),
    ];
    let preflight = daemon.exchange("OPTIONS", "/v1/search/resource/generic", &ask, "").unwrap();
    assert_eq!(preflight.status, 200);
    assert_eq!(preflight.header("access-control-allow-origin"), GRAFANA);
    assert_eq!(preflight.header("access-control-allow-methods"), "POST");
    let refused = daemon.exchange("GET", "/v1/metric", &[("Origin", GRAFANA)], "").unwrap();
    assert_eq!((refused.status, refused.header("access-control-allow-origin")), (401, GRAFANA));
    let probe = browser(&daemon, "GET", "/v1/resource", "");
    assert_eq!((probe.status, probe.header("access-control-allow-origin")), (200, GRAFANA));
    assert!(probe.value()["generic"].as_str().unwrap().ends_with("/v1/resource/generic"));
}

#[test]
fn grafana_draws_a_panel() {
    let daemon = Daemon::start();
    prepare(&daemon);
    for (resource, group, value) in [("web1", "blue", 2.0), ("web2", "blue", 4.0), ("web3", "red", 9.0)] {
        let body = json!({"id": resource, "server_group": group, "host": resource});
        assert_eq!(python(&daemon, "POST", "/v1/resource/instance", &body).0, 201);
        assert_eq!(publish(&daemon, resource, value).0, 202);
    }
    let range = "start=2026-01-01T09:00:00.000Z&stop=2026-01-01T11:00:00.000Z&end=2026-01-01T11:00:00.000Z";
    let types = browser(&daemon, "GET", "/v1/resource_type", "").value();
    assert_eq!(types[1]["name"], "instance");

    // The filter stands in the URL; the body is empty and has no type.
    let search =
        "/v1/search/resource/instance?filter=server_group%3D%27blue%27&attrs=id&attrs=host&attrs=metrics";
    let found = browser(&daemon, "POST", search, "").value();
    assert_eq!(found.as_array().unwrap().len(), 2);
    assert_eq!(found[0].as_object().unwrap().len(), 3, "{found}");
    let id = found[0]["id"].as_str().unwrap();
    let path = format!("/v1/resource/instance/{id}/metric/cpu_util/measures?aggregation=mean&{range}");
    assert_eq!(browser(&daemon, "GET", &path, "").value()[0][2], 2.0);
    let metric = found[0]["metrics"]["cpu_util"].as_str().unwrap();
    let one = browser(&daemon, "GET", &format!("/v1/metric/{metric}"), "").value();
    assert_eq!(one["archive_policy"]["name"], "ceilometer-low");
    let path = format!("/v1/metric/{metric}/measures?aggregation=mean&{range}");
    assert_eq!(browser(&daemon, "GET", &path, "").value()[0][1], 300.0);

    let operations = json!({"operations": "(aggregate mean (metric cpu_util mean))",
        "search": "server_group='blue'", "resource_type": "instance"});
    let path = format!("/v1/aggregates?details=true&needed_overlap=0&{range}");
    let mean = browser(&daemon, "POST", &path, &operations.to_string()).value();
    assert_eq!(mean["measures"]["aggregated"][0][2], 3.0);
    assert_eq!(mean["references"].as_array().unwrap().len(), 2);

    let path = format!(
        "/v1/aggregation/resource/instance/metric/cpu_util?aggregation=mean&groupby=server_group&needed_overlap=0&{range}"
    );
    let groups = browser(&daemon, "POST", &path, r#"{"like": {"host": "web%"}}"#).value();
    assert_eq!(groups[0]["group"], json!({"server_group": "blue"}));
    assert_eq!((&groups[0]["measures"][0][2], &groups[1]["measures"][0][2]), (&json!(3.0), &json!(9.0)));

    let wrong = browser(&daemon, "POST", "/v1/search/resource/instance", r#"{"=": {"no_such": 1}}"#);
    assert_eq!(wrong.status, 400);
}

#[test]
fn collectd_makes_type_and_resource_when_the_first_batch_is_refused() {
    let daemon = Daemon::start();
    let batch = json!({"collectd:host.example": {
        "cpu-0@cpu-idle-0": [{"timestamp": 1_767_261_600.25, "value": 97.5}, {"timestamp": 1_767_261_610.5, "value": 98}],
        "df-root@df_complex-free-0": [{"timestamp": 1_767_261_600.25, "value": 1e9}]}});
    let path = "/v1/batch/resources/metrics/measures?create_metrics=True";
    assert_eq!(python(&daemon, "POST", path, &batch).0, 400);
    let resource = json!({"id": "collectd:host.example", "host": "host.example"});
    let (status, missing) = python(&daemon, "POST", "/v1/resource/collectd", &resource);
    assert_eq!((status, &missing["description"]), (404, &json!("Resource type collectd does not exist")));
    let kind = json!({"name": "collectd", "attributes": {"host": {"required": true, "type": "string"}}});
    assert_eq!(python(&daemon, "POST", "/v1/resource_type/", &kind).0, 201);
    assert_eq!(python(&daemon, "POST", "/v1/resource/collectd", &resource).0, 201);
    assert_eq!(python(&daemon, "POST", path, &batch).0, 202);
    let measures = "/v1/resource/collectd/collectd%3Ahost.example/metric/cpu-0%40cpu-idle-0/measures";
    let (_, idle) = python_get(&daemon, &format!("{measures}?aggregation=count"));
    assert_eq!(idle, json!([["2026-01-01T10:00:00+00:00", 300.0, 2.0]]));
}

#[test]
fn telegraf_writes_as_to_influxdb() {
    let daemon = Daemon::start();
    let ping = daemon.exchange("GET", "/v1/influxdb/ping", &[], "").unwrap();
    assert_eq!(ping.status, 204);
    assert!(!ping.header("x-influxdb-version").is_empty());
    let agent =
        [("Authorization", ADMIN), ("User-Agent", "telegraf"), ("Content-Type", "text/plain; charset=utf-8")];
    let form = [("Authorization", ADMIN), ("Content-Type", "application/x-www-form-urlencoded")];
    let query = "q=CREATE+DATABASE+%22telegraf%22";
    assert_eq!(daemon.exchange("POST", "/v1/influxdb/query", &form, query).unwrap().status, 204);
    assert_eq!(
        daemon.exchange("POST", &format!("/v1/influxdb/query?{query}"), &agent, "").unwrap().status,
        204
    );

    let write = "/v1/influxdb/write?consistency=any&db=telegraf&precision=ns&rp=";
    let lines = "cpu,cpu=cpu0,host=web1 usage_idle=98.5,usage_user=1i 1767261600000000000\n\
                 disk,host=web1,path=/var used=12i,ok=true,fstype=\"ext4\" 1767261600000000000\n";
    let answer = daemon.exchange("POST", write, &agent, lines).unwrap();
    assert_eq!(answer.status, 204, "{}", answer.value());
    let names: Vec<String> = daemon.metrics_of("web1").into_keys().collect();
    assert_eq!(names, ["cpu.usage_idle@cpu=cpu0", "cpu.usage_user@cpu=cpu0", "disk.used@path=_var"]);
    let idle = daemon.column_of("web1", "cpu.usage_idle@cpu=cpu0", "mean", 300);
    assert_eq!(idle, Some(vec![("2026-01-01T10:00:00+00:00".to_owned(), 98.5)]));

    let tag = ("X-Gnocchi-InfluxDB-Tag-Resource-ID", "cpu");
    let by_tag = [&agent[..], &[tag]].concat();
    assert_eq!(daemon.exchange("POST", write, &by_tag, "cpu,cpu=cpu7 usage=1").unwrap().status, 204);
    assert_eq!(daemon.metrics_of("cpu7").len(), 1);
    let bad = daemon.exchange("POST", write, &agent, "cpu,host=web1 usage=1\nnonsense").unwrap();
    assert_eq!(bad.status, 400);
}
