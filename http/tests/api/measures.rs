//! Measures of one metric: posted, read, resampled, searched.

use serde_json::{Value, json};

use crate::site::Site;

fn with_measures() -> (Site, String) {
    let site = Site::new().with_policy();
    let id = site.metric("foobar", json!({"name": "m"}));
    let measures = json!([
        {"timestamp": "2015-03-06T14:33:57", "value": 43.1},
        {"timestamp": "2015-03-06T14:34:12", "value": 12},
        {"timestamp": "2015-03-06T14:34:15", "value": "8", "more": {}},
    ]);
    site.post(&format!("/v1/metric/{id}/measures"), measures).expect(202);
    (site, id)
}

#[test]
fn posting_answers_with_nothing() {
    let (site, id) = with_measures();
    let reply = site.post(&format!("/v1/metric/{id}/measures"), json!([])).expect(202);
    assert_eq!((reply.header("content-length"), reply.body.as_str()), (Some("0"), ""));
    assert_eq!(reply.header("content-type"), Some("application/json"));
}

#[test]
fn what_cannot_be_posted() {
    let (site, id) = with_measures();
    let path = format!("/v1/metric/{id}/measures");
    let reason = |body: Value| {
        let description = site.post(&path, body).expect(400).description();
        assert_eq!((&description["cause"], &description["detail"]), (&json!("Invalid input"), &json!([])));
        description["reason"].as_str().unwrap().to_owned()
    };
    let format = "unexpected measures format";
    for body in [
        json!({}),
        json!([[1, 2]]),
        json!("x"),
        json!([{"value": 1}]),
        json!([{"timestamp": null, "value": 1}]),
    ] {
        assert_eq!(reason(body), format);
    }
    for timestamp in ["", "NaT", "nan", "inf", "2014-2-3"] {
        assert_eq!(
            reason(json!([{"timestamp": timestamp, "value": 1}])),
            "unexpected timestamp 'Unable to convert timestamps'"
        );
    }
    for timestamp in ["1915-01-01", "2262-04-12", "-60 years"] {
        let reason = reason(json!([{"timestamp": timestamp, "value": 1}]));
        assert!(reason.starts_with("unexpected timestamp '"), "{reason}");
    }
    assert_eq!(reason(json!([{"timestamp": 1, "value": "x"}])), "unexpected measures value");
    let mixed = json!([{"timestamp": 1, "value": 1}, {"timestamp": "-1 day", "value": 1}]);
    assert_eq!(reason(mixed), "unexpected timestamp 'Unable to convert timestamps'");
    site.ask("other", "POST", &path).send().expect(403);
    site.ask("foobar", "POST", &path).send().expect(415);
}

#[test]
fn reading_goes_from_coarse_to_fine() {
    let (site, id) = with_measures();
    let rows = site.get(&format!("/v1/metric/{id}/measures")).expect(200);
    assert_eq!(
        rows.body,
        "[[\"2015-03-06T14:00:00+00:00\", 3600.0, 21.033333333333335], \
         [\"2015-03-06T14:33:00+00:00\", 60.0, 43.1], [\"2015-03-06T14:34:00+00:00\", 60.0, 10.0]]"
    );
}

#[test]
fn ranges_and_granularities() {
    let (site, id) = with_measures();
    let rows = |query: &str| {
        let path = format!("/v1/metric/{id}/measures?{query}");
        site.get(&path).expect(200).json().as_array().unwrap().len()
    };
    assert_eq!(rows("granularity=1%20minute"), 2);
    assert_eq!(rows("granularity=60&start=2015-03-06T14:34:59"), 1);
    assert_eq!(rows("granularity=60&stop=2015-03-06T14:34"), 1);
    assert_eq!(rows("start=1425652440&stop=1425652440"), 1, "the hour begins before");
    assert_eq!(rows("start=&stop="), 3, "empty is absent");
    assert_eq!(rows("stop=now"), 3);
    assert_eq!(rows("aggregation=max&refresh=True&end=x"), 3);
}

#[test]
fn arguments_that_make_no_sense() {
    let (site, id) = with_measures();
    let description = |status: u16, query: &str| {
        site.get(&format!("/v1/metric/{id}/measures?{query}")).expect(status).description()
    };
    for name in ["start", "stop"] {
        for value in ["soon", "2014-01-01T00:00:00+00:00", "1&start=2&stop=2", "1960-01-01"] {
            let expected = json!({"cause": "Argument value error", "detail": name, "reason": "Must be a datetime or a timestamp"});
            let got = description(400, &format!("{name}={value}"));
            if got["detail"] == name {
                assert_eq!(got, expected);
            }
        }
    }
    assert_eq!(description(400, "granularity=x")["reason"], "Unable to parse timespan");
    assert_eq!(description(400, "granularity=-1")["reason"], "Timespan must be positive");
    assert_eq!(description(400, "resample=60"), "A granularity must be specified to resample");
    assert_eq!(description(400, "resample=x&granularity=60"), "Unable to parse timespan");
    let unknown = json!({"cause": "Aggregation method does not exist for this metric", "detail": {"metric": id, "aggregation_method": "last"}});
    assert_eq!(description(404, "aggregation=last"), unknown);
    assert_eq!(
        description(404, "granularity=42"),
        format!("Aggregation method 'mean' at granularity '42.0' for metric {id} does not exist")
    );
    assert!(description(400, "refresh=perhaps").as_str().unwrap().starts_with("Unable to parse `refresh':"));
}

#[test]
fn resampling_by_spans_and_calendar() {
    let (site, id) = with_measures();
    let rows = |resample: &str| {
        site.get(&format!("/v1/metric/{id}/measures?granularity=60&aggregation=sum&resample={resample}"))
            .expect(200)
            .json()
    };
    assert_eq!(
        rows("120"),
        json!([["2015-03-06T14:32:00+00:00", 120.0, 43.1], ["2015-03-06T14:34:00+00:00", 120.0, 20.0]])
    );
    assert_eq!(rows("Y"), json!([["2015-01-01T00:00:00+00:00", "Y", 63.1]]));
    assert_eq!(rows("W"), json!([["2015-03-01T00:00:00+00:00", "W", 63.1]]));
}

#[test]
fn values_are_searched() {
    let (site, id) = with_measures();
    let search =
        |query: &str, body: Value| site.post(&format!("/v1/search/metric?metric_id={id}{query}"), body);
    let found =
        search("&granularity=60", json!({"and": [{">": 5}, {"<=": [{"+": 5}, 15]}]})).expect(200).json();
    assert_eq!(found, json!({id.as_str(): [["2015-03-06T14:34:00+00:00", 60.0, 10.0]]}));
    assert_eq!(
        search("&granularity=300", json!({"=": 1})).expect(400).description(),
        json!({"cause": "Aggregation does not exist", "detail": {"granularity": 300.0, "aggregation_method": "mean"}})
    );
    assert_eq!(
        search("&aggregation=last", json!({"=": 1})).expect(400).description()["cause"],
        "Metric does not exist"
    );
    search("&start=soon", json!({"=": 1})).says(400, "Invalid value for start");
    search("", json!({"not": [{"=": 1}]})).says(400, "Unknown operator not");
    search("", json!({"wat": 1})).expect(400);
    site.ask("admin", "POST", &format!("/v1/search/metric?metric_id={id}"))
        .send()
        .says(400, "No query specified in body");
    site.ask("other", "POST", &format!("/v1/search/metric?metric_id={id}")).json(json!({"=": 1})).expect(403);
    let unknown = "00000000-0000-0000-0000-000000000000";
    assert_eq!(
        site.post(&format!("/v1/search/metric?metric_id={unknown}"), json!({"=": 1})).expect(200).json(),
        json!({})
    );
    site.post("/v1/search/metric", json!({"=": 1})).expect(400);
    site.post("/v1/search/metric?metric_id=x", json!({"=": 1})).expect(400);
    let empty = site.metric("admin", json!({}));
    site.post(&format!("/v1/search/metric?metric_id={empty}"), json!({"=": 1}))
        .says(400, "Metric does not exist");
}

#[test]
fn status_is_for_admins() {
    let (site, _) = with_measures();
    let status = site.get("/v1/status").expect(200).json();
    assert_eq!(
        status["storage"],
        json!({"summary": {"metrics": 0, "measures": 0}, "measures_to_process": {}})
    );
    assert_eq!(status["metricd"], json!({"processors": ["memory.0"], "statistics": {}}));
    let short = site.get("/v1/status?details=False").json();
    assert_eq!(short["storage"].as_object().unwrap().len(), 1);
    site.ask("foobar", "GET", "/v1/status").send().expect(403);
    site.get("/v1/status?details=x").expect(400);
}
