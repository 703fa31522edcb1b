//! `/v1/aggregates` and the older `/v1/aggregation`: who and what is asked, not the arithmetic.

use serde_json::{Value, json};

use crate::site::Site;

/// Two resources `r` and `s` of user `foobar`, each with a metric `cpu.m` of two minutes.
fn site() -> (Site, [String; 2]) {
    let site = Site::new().with_policy();
    site.post("/v1/resource_type", json!({"name": "vm", "attributes": {"zone": {"type": "string"}}}))
        .expect(201);
    let metrics = ["r", "s"].map(|name| {
        let body = json!({"id": name, "zone": format!("z-{name}"), "metrics": {"cpu.m": {}}});
        let made = site.ask("foobar", "POST", "/v1/resource/vm").json(body).expect(201).json();
        let id = made["metrics"]["cpu.m"].as_str().unwrap().to_owned();
        let measures = json!([{"timestamp": 60, "value": 1}, {"timestamp": 120, "value": 3}]);
        site.post(&format!("/v1/metric/{id}/measures"), measures).expect(202);
        id
    });
    (site, metrics)
}

fn rows(values: &[(u64, f64)]) -> Value {
    values
        .iter()
        .map(|(minute, value)| json!([format!("1970-01-01T00:{minute:02}:00+00:00"), 60.0, value]))
        .collect()
}

#[test]
fn by_id() {
    let (site, [a, b]) = site();
    let ask =
        |operations: Value| site.post("/v1/aggregates?granularity=60", json!({"operations": operations}));
    let each = ask(json!(["*", ["metric", [a.to_uppercase(), "mean"], [b, "max"]], 2])).expect(200).json();
    let doubled = rows(&[(1, 2.0), (2, 6.0)]);
    assert_eq!(each["measures"], json!({a.as_str(): {"mean": doubled}, b.as_str(): {"max": doubled}}));
    let one = ask(json!(format!("(aggregate sum (metric ({a} mean) ({b} mean)))"))).expect(200).json();
    assert_eq!(one, json!({"measures": {"aggregated": doubled}}));
    let detailed =
        site.post("/v1/aggregates?details=yes", json!({"operations": ["metric", a, "mean"]})).json();
    assert_eq!(detailed["references"][0]["resource"]["original_resource_id"], "r");
    let all = ["metric", &a, "mean"];
    site.ask("other", "POST", "/v1/aggregates").json(json!({"operations": all})).expect(403);
    site.ask("foobar", "POST", "/v1/aggregates").json(json!({"operations": all})).expect(200);
}

#[test]
fn problems_are_told_in_order() {
    let (site, [a, _]) = site();
    let description = |query: &str, body: Value| site.post(&format!("/v1/aggregates?{query}"), body);
    let cause = |query: &str, body: Value, status: u16, cause: &str| {
        assert_eq!(description(query, body).expect(status).description()["cause"], cause);
    };
    let fine = json!({"operations": ["metric", a, "mean"]});
    site.ask("admin", "POST", "/v1/aggregates?start=soon")
        .send()
        .says(400, "Must be a datetime or a timestamp");
    site.ask("admin", "POST", "/v1/aggregates").send().expect(415);
    cause("needed_overlap=x", fine.clone(), 400, "Argument value error");
    cause("fill=x", fine.clone(), 400, "Argument value error");
    cause("", json!({"operations": []}), 400, "Invalid input");
    cause("", json!({"operations": ["metric", "x", "mean"]}), 400, "Invalid metric references");
    cause("", json!({"operations": "("}), 400, "Invalid operations");
    let unknown = "00000000-0000-0000-0000-000000000000";
    let body = json!({"operations": ["metric", unknown, "mean"]});
    let error = description("", body).expect(404).description();
    assert_eq!((&error["cause"], &error["detail"]), (&json!("Unknown metrics"), &json!([unknown])));
    let error = description("", json!({"operations": ["metric", a, "last"]})).expect(404).description();
    assert_eq!(error, json!({"cause": "Metrics with unknown aggregation", "detail": [[a, "last"]]}));
    let error = description("granularity=42", fine).expect(400).description();
    assert_eq!(
        (&error["reason"], &error["detail"]),
        (&json!("Granularities are missing"), &json!([[a, "mean", 42.0]]))
    );
    description("", json!({})).says(400, "required key not provided @ data['operations']");
    description("", json!({"operations": ["metric", "m", "mean"], "resource_type": "vm"}))
        .says(400, "data['search']");
    description("", json!({"operations": ["metric", a, "mean"], "zzz": 1}))
        .says(400, "extra keys not allowed");
    description("use_history=perhaps", json!({})).says(400, "Unable to parse `use_history':");
}

fn search(operations: Value, search: Value) -> Value {
    json!({"operations": operations, "resource_type": "vm", "search": search})
}

#[test]
fn by_search() {
    let (site, _) = site();
    let operations = json!(["metric", "cpu*", "mean"]);
    let ask = |query: &str, body| {
        site.ask("foobar", "POST", &format!("/v1/aggregates?granularity=60&{query}")).json(body)
    };
    let found = ask("details=1", search(operations.clone(), json!("zone like \"z%\""))).expect(200).json();
    assert_eq!(found["measures"].as_object().unwrap().len(), 2);
    let listed = site.get("/v1/resource/vm").json();
    assert_eq!(found["references"], listed, "as in lists");
    let only = ask("", search(operations.clone(), json!({"=": {"id": "s"}}))).expect(200).json();
    let id = listed[1]["id"].as_str().unwrap();
    assert_eq!(only, json!({"measures": {id: {"cpu.m": {"mean": rows(&[(1, 1.0), (2, 3.0)])}}}}));
    let none = json!(["metric", ["mem", "mean"], ["disk", "mean"]]);
    ask("", search(none.clone(), json!({}))).says(404, "Metric ['disk', 'mem'] does not exist");
    ask("groupby=zone", search(none, json!({}))).says(404, "Metric ['disk', 'mem'] does not exist");
    ask("groupby=nope", search(operations.clone(), json!({})))
        .says(400, "Invalid pagination: `Sort key supplied is invalid: nope'");
    ask("", json!({"operations": operations, "resource_type": "nope", "search": {}}))
        .says(400, "Resource type does not exist");
    ask("", search(operations.clone(), json!("a =="))).says(400, "Invalid filter: ");
    ask("", search(operations, json!({"wat": {}}))).says(400, "not a valid value @ data['search']['wat']");
}

#[test]
fn groups_and_their_history() {
    let (site, _) = site();
    site.ask("foobar", "PATCH", "/v1/resource/vm/s").json(json!({"zone": "z-r"})).expect(200);
    let operations = json!(["aggregate", "sum", ["metric", "cpu.m", "mean"]]);
    let ask = |query: &str| {
        let path = format!("/v1/aggregates?granularity=60&groupby=zone&{query}");
        site.ask("foobar", "POST", &path).json(search(operations.clone(), json!({}))).expect(200).json()
    };
    assert_eq!(
        ask(""),
        json!([{"group": {"zone": "z-r"}, "measures": {"measures": {"aggregated": rows(&[(1, 2.0), (2, 6.0)])}}}])
    );
    let history = ask("use_history=true");
    assert_eq!(history[0]["group"], json!({"zone": "z-r"}));
    assert_eq!(history[1]["group"], json!({"zone": "z-s"}));
    assert_eq!(
        history[1]["measures"]["measures"]["aggregated"],
        rows(&[(1, 1.0), (2, 3.0)]),
        "in 1970 the second resource was where it first was"
    );
    let detailed = ask("use_history=true&details=true");
    assert_eq!(detailed[0]["measures"]["references"][0]["original_resource_id"], "r");
}

#[test]
fn the_older_way_by_id() {
    let (site, [a, b]) = site();
    let get = |query: &str| site.get(&format!("/v1/aggregation/metric?{query}"));
    let both = format!("metric={a}&metric={b}&granularity=60");
    assert_eq!(get(&both).expect(200).json(), rows(&[(1, 1.0), (2, 3.0)]));
    assert_eq!(get(&format!("{both}&aggregation=sum")).json(), rows(&[(1, 2.0), (2, 6.0)]));
    let posted = site.post("/v1/aggregation/metric?granularity=60&reaggregation=max", json!([a, b]));
    assert_eq!(posted.expect(200).json(), rows(&[(1, 1.0), (2, 3.0)]));
    assert_eq!(get("").expect(200).json(), json!([]));
    get("metric=x").says(400, "Invalid input: not a valid value @ data[0]");
    site.post("/v1/aggregation/metric", json!(["x"])).says(400, "not a valid value @ data[0]");
    let unknown = "00000000-0000-0000-0000-000000000000";
    get(&format!("metric={unknown}")).says(404, &format!("Metric {unknown} does not exist"));
    get(&format!("{both}&reaggregation=wat")).expect(400);
    get(&format!("{both}&aggregation=wat"))
        .says(404, "Aggregation method 'wat' at granularity '60.0' for metric");
    get(&format!("metric={a}&metric={b}&granularity=42")).says(404, "at granularity '42.0' for metric");
    let single = get(&format!("metric={a}&aggregation=wat")).expect(404).description();
    assert_eq!(single["cause"], "Aggregation method does not exist for this metric");
    get(&format!("metric={a}&metric={b}&resample=120"))
        .says(400, "A granularity must be specified to resample");
    get(&format!("metric={a}&start=soon")).says(400, "Must be a datetime or a timestamp");
    site.ask("other", "GET", &format!("/v1/aggregation/metric?metric={a}")).send().expect(403);
}

#[test]
fn the_older_way_over_resources() {
    let (site, _) = site();
    let ask = |query: &str, filter: Value| {
        let path = format!("/v1/aggregation/resource/vm/metric/cpu.m?granularity=60&{query}");
        site.ask("foobar", "POST", &path).json(filter)
    };
    assert_eq!(ask("aggregation=sum", json!({})).expect(200).json(), rows(&[(1, 2.0), (2, 6.0)]));
    assert_eq!(ask("", json!({"=": {"zone": "nowhere"}})).expect(200).json(), json!([]));
    let groups = ask("groupby=zone&groupby=zone", json!({})).expect(200).json();
    assert_eq!(groups[0], json!({"group": {"zone": "z-r"}, "measures": rows(&[(1, 1.0), (2, 3.0)])}));
    ask("groupby=nope", json!({})).says(400, "Invalid groupby attribute");
    ask("", json!({"=": {"nope": 1}})).says(400, "Resource type vm has no nope attribute");
    site.post("/v1/aggregation/resource/nope/metric/x", json!({}))
        .says(404, "Resource type nope does not exist");
    site.get("/v1/aggregation/resource/vm/metric/x").expect(405);
    site.post("/v1/aggregation/resource/vm/metric", json!({})).expect(405);
    site.post("/v1/aggregation/re/vm/metric/x", json!({})).expect(404);
    site.post("/v1/aggregation/resource/vm/nope/x", json!({})).expect(404);
}

#[test]
fn the_older_way_is_not_capped() {
    let site = Site::with(orzo_http::Config { max_limit: 2, ..Default::default() }).with_policy();
    for name in ["a", "b", "c"] {
        let body = json!({"id": name, "metrics": {"m": {}}});
        let id = site.post("/v1/resource/generic", body).expect(201).json()["metrics"]["m"]
            .as_str()
            .unwrap()
            .to_owned();
        site.post(&format!("/v1/metric/{id}/measures"), json!([{"timestamp": 60, "value": 1}])).expect(202);
    }
    let path = "/v1/aggregation/resource/generic/metric/m?granularity=60&aggregation=sum";
    assert_eq!(site.post(path, json!({})).expect(200).json(), rows(&[(1, 3.0)]));
}
