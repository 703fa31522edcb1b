//! No request makes a handler panic or fail: random methods, paths and bodies never answer 5xx.

use hyper::body::Bytes;
use orzo_http::{Api, Config, Patience};
use proptest::prelude::*;

use crate::site::api;

const UUID: &str = "12345678-1234-1234-1234-123456789012";

const SEGMENTS: [&str; 40] = [
    "v1",
    "archive_policy",
    "archive_policy_rule",
    "resource_type",
    "resource",
    "metric",
    "measures",
    "history",
    "search",
    "batch",
    "metrics",
    "resources",
    "aggregates",
    "aggregation",
    "influxdb",
    "write",
    "query",
    "ping",
    "prometheus",
    "status",
    "capabilities",
    "generic",
    "low",
    "vm",
    "r",
    UUID,
    "m",
    "healthcheck",
    "",
    "%2F",
    "%00",
    "%ff",
    "é",
    "a%20b",
    "..",
    "*",
    "{}",
    "nope",
    "urn:uuid:",
    "@",
];

const PARAMETERS: [&str; 40] = [
    "start=now",
    "start=",
    "stop=-1%20day",
    "stop=nan",
    "granularity=60",
    "granularity=x",
    "granularity=1e-9",
    "aggregation=mean",
    "aggregation=rate:last",
    "resample=Y",
    "resample=1e300",
    "refresh=true",
    "limit=1",
    "limit=0",
    "limit=99999999999999999999",
    "marker=x",
    "marker=12345678-1234-1234-1234-123456789012@1",
    "sort=id:desc",
    "sort=revision_end",
    "sort=",
    "details=1",
    "history=true",
    "attrs=id",
    "filter=a%3D1",
    "filter=not%20id%20in%20[x]",
    "groupby=id",
    "use_history=true",
    "needed_overlap=0",
    "fill=ffill",
    "fill=x",
    "metric_id=x",
    "metric_id=12345678-1234-1234-1234-123456789012",
    "metric=12345678-1234-1234-1234-123456789012",
    "create_metrics=true",
    "db=vm",
    "q=CREATE%20DATABASE%20x",
    "status=delete",
    "id=x",
    "reaggregation=max",
    "%ff=%ff",
];

const BODIES: [&str; 34] = [
    "",
    "{}",
    "[]",
    "null",
    "1",
    "\"x\"",
    "NaN",
    "{",
    "{\"a\": ",
    "[[[[[[[[",
    r#"{"name": "p", "definition": [{"granularity": 1, "points": 18446744073709551615}]}"#,
    r#"{"name": "p", "definition": [{"points": 2, "timespan": 1e-9}], "aggregation_methods": ["-mean"]}"#,
    r#"{"name": "p", "definition": [{"granularity": 9.2e9}]}"#,
    r#"{"definition": [{"granularity": 60, "points": 1}], "back_window": 4294967296}"#,
    r#"{"name": "t", "attributes": {"a": {"type": "number", "min": NaN}}}"#,
    r#"[{"op": "add", "path": "/attributes/x", "value": {"type": "datetime", "options": {"fill": "now"}}}]"#,
    r#"{"id": "r", "metrics": {"m": {}}, "started_at": "-1 day"}"#,
    r#"{"id": "é☃", "ended_at": 9e99}"#,
    r#"{"user_id": "x"}"#,
    r#"{"m": {}}"#,
    r#"[{"timestamp": 1e9, "value": 1e999}]"#,
    r#"[{"timestamp": "now", "value": "Infinity"}, {"timestamp": 1, "value": null}]"#,
    r#"{"12345678-1234-1234-1234-123456789012": [{"timestamp": 60, "value": 1}]}"#,
    r#"{"r": {"m": {"measures": [{"timestamp": 60, "value": 1}]}, "n": []}}"#,
    r#"{"and": [{"like": {"type": "%"}}, {"not": {"in": {"id": ["x"]}}}]}"#,
    r#"{">": {"lifespan": "1d"}}"#,
    r#"{"=": {"revision": 1}}"#,
    r#"{"operations": "(aggregate mean (metric * mean))", "resource_type": "generic", "search": {}}"#,
    r#"{"operations": ["/", ["metric", "12345678-1234-1234-1234-123456789012", "mean"], 0]}"#,
    r#"{"operations": ["resample", "mean", 1e-9, ["metric", "m", "mean"]], "resource_type": "vm", "search": "a = 1"}"#,
    r#"{"and": [{">": 1}, {"**": [{"%": 0}, 2]}]}"#,
    r#"["12345678-1234-1234-1234-123456789012"]"#,
    "cpu,host=h f=1 1\ncpu,host=h f=2",
    "\u{ff}\u{fe}",
];

const METHODS: [&str; 8] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "BREW"];
const TYPES: [&str; 4] =
    ["application/json", "application/json-patch+json", "application/x-www-form-urlencoded", "text/plain"];

fn ask(api: &Api, method: &str, uri: &str, content_type: &str, body: &[u8]) -> u16 {
    let request = hyper::Request::builder()
        .method(method)
        .uri(uri)
        .header("authorization", "Basic YWRtaW46")
        .header("content-type", content_type)
        .header("host", "here");
    // What is no URL never gets here.
    let Ok(request) = request.body(()) else { return 400 };
    api.handle(request.into_parts().0, Bytes::copy_from_slice(body), &Patience::default()).status.as_u16()
}

/// An API where some of the things that random requests name exist.
fn furnished() -> Api {
    let api = api(Config::default());
    let policy =
        r#"{"name": "low", "definition": [{"granularity": 60, "points": 10}], "aggregation_methods": ["*"]}"#;
    let rule = r#"{"name": "low", "metric_pattern": "*", "archive_policy_name": "low"}"#;
    let vm = r#"{"name": "vm", "attributes": {"a": {"type": "number", "required": false}}}"#;
    for (path, body) in [
        ("/v1/archive_policy", policy),
        ("/v1/archive_policy_rule", rule),
        ("/v1/resource_type", vm),
        ("/v1/resource/vm", r#"{"id": "r", "metrics": {"m": {}}}"#),
    ] {
        assert_eq!(ask(&api, "POST", path, TYPES[0], body.as_bytes()), 201);
    }
    let measures = br#"[{"timestamp": 60, "value": 1}, {"timestamp": 600, "value": NaN}]"#;
    assert_eq!(ask(&api, "POST", "/v1/resource/vm/r/metric/m/measures", TYPES[0], measures), 202);
    api
}

fn paths() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "v1/archive_policy/low",
        "v1/resource/vm",
        "v1/resource/vm/r",
        "v1/resource/vm/r/metric",
        "v1/metric",
        "v1/resource/vm/r/metric/m/measures",
        "v1/resource/vm/r/history",
        "v1/search/resource/vm",
        "v1/search/metric",
        "v1/aggregates",
        "v1/aggregation/metric",
        "v1/aggregation/resource/vm/metric/m",
        "v1/batch/metrics/measures",
        "v1/batch/resources/metrics/measures",
        "v1/resource_type/vm",
        "v1/influxdb/write",
        "v1/prometheus/write",
    ]);
    let segments = prop::collection::vec(prop::sample::select(SEGMENTS.to_vec()), 0..6);
    prop_oneof![known.prop_map(str::to_owned), segments.prop_map(|segments| segments.join("/"))]
}

fn bodies() -> impl Strategy<Value = Vec<u8>> {
    let known = prop::sample::select(BODIES.to_vec()).prop_map(|body| body.as_bytes().to_vec());
    let damaged =
        (known.clone(), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(mut body, at, byte)| {
            if !body.is_empty() {
                let at = at.index(body.len());
                body[at] = byte;
            }
            body
        });
    prop_oneof![4 => known, 2 => damaged, 1 => prop::collection::vec(any::<u8>(), 0..64)]
}

type Step = (&'static str, String, Vec<&'static str>, &'static str, Vec<u8>);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (
        prop::sample::select(METHODS.to_vec()),
        paths(),
        prop::collection::vec(prop::sample::select(PARAMETERS.to_vec()), 0..4),
        prop::sample::select(TYPES.to_vec()),
        bodies(),
    );
    prop::collection::vec(step, 1..24)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn every_request_has_an_answer(steps in steps()) {
        let api = furnished();
        for (method, path, parameters, content_type, body) in steps {
            let uri = format!("/{path}?{}", parameters.join("&"));
            let status = ask(&api, method, &uri, content_type, &body);
            prop_assert!(status < 500 || status == 501, "{} {}: {}", method, uri, status);
        }
    }
}
