//! Tags that become attributes of resources.

use serde_json::{Value, json};

use crate::harness::Daemon;

const CONFIG: &str = "attribute_tags = [\"host\", \"service\"]";

/// The one resource of the type that a condition finds.
fn found(daemon: &Daemon, condition: &Value) -> Value {
    let resources = daemon.post("/v1/search/resource/statsd", condition).1;
    assert_eq!(resources.as_array().unwrap().len(), 1, "{resources}");
    resources[0].clone()
}

#[test]
fn each_combination_of_chosen_tags_is_a_resource_that_is_found_and_grouped_by() {
    let mut daemon = Daemon::start_with(CONFIG);
    let send = |daemon: &Daemon| {
        daemon.send_udp(
            "hits:1|c|#host:web1,service:shop,az:a\nhits:2|c|#service:shop,az:a,host:web2\nhits:4|c|#host:db1\nhits:8|c\n",
        );
    };
    send(&daemon);
    let total = |daemon: &Daemon| {
        let request = json!({"operations": "(aggregate sum (metric hits@az=a sum))",
            "search": "service=shop", "resource_type": "statsd"});
        let (status, answer) =
            daemon.post("/v1/aggregates?groupby=host&granularity=60&details=false", &request);
        if status != 200 {
            return None;
        }
        let value = |group: &Value| {
            let rows = group["measures"]["measures"]["aggregated"].as_array()?;
            Some((
                group["group"]["host"].as_str()?.to_owned(),
                rows.iter().map(|row| row[2].as_f64().unwrap()).sum(),
            ))
        };
        answer.as_array()?.iter().map(value).collect::<Option<Vec<(String, f64)>>>()
    };
    let expect = |factor: f64| Some(vec![("web1".to_owned(), factor), ("web2".to_owned(), 2.0 * factor)]);
    daemon.eventually("groups are summed", |daemon| (total(daemon) == expect(1.0)).then_some(()));
    let web1 = found(&daemon, &json!({"and": [{"=": {"host": "web1"}}, {"=": {"service": "shop"}}]}));
    assert_eq!(web1["original_resource_id"], "host=web1,service=shop");
    assert_eq!(web1["metrics"].as_object().unwrap().keys().collect::<Vec<_>>(), ["hits@az=a"]);
    let db1 = found(&daemon, &json!({"=": {"host": "db1"}}));
    assert_eq!((&db1["service"], &db1["type"]), (&Value::Null, &json!("statsd")));
    // Without any of the tags all is as ever.
    daemon.await_newest("hits", "sum", 8.0);

    // The same combinations are the same resources after a restart.
    assert!(daemon.stop().success());
    daemon.start_again();
    send(&daemon);
    daemon.eventually("sums go on", |daemon| (total(daemon) == expect(2.0)).then_some(()));
    assert_eq!(found(&daemon, &json!({"=": {"host": "web1"}}))["id"], web1["id"]);
}

#[test]
fn a_type_that_is_there_gets_what_it_lacks() {
    let mut daemon = Daemon::start();
    let wanted = json!({"name": "statsd", "attributes": {"service": {"type": "string", "required": false, "max_length": 40},
        "rack": {"type": "number", "required": false}}});
    daemon.post("/v1/resource_type", &wanted);
    assert!(daemon.stop().success());
    daemon.reconfigure(CONFIG);
    daemon.start_again();
    let attributes = daemon.get("/v1/resource_type/statsd")["attributes"].clone();
    assert_eq!(attributes["service"]["max_length"], 40);
    assert_eq!(attributes["host"]["type"], "string");
    assert_eq!(attributes["rack"]["type"], "number");
}
