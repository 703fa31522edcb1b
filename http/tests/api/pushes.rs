//! What other systems push: InfluxDB lines and Prometheus remote write.

use orzo_http::Config;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use prost::Message;
use serde_json::{Value, json};

use crate::site::{Reply, Site};

fn lines(site: &Site, query: &str, body: &str) -> Reply {
    site.ask("foobar", "POST", &format!("/v1/influxdb/write?{query}")).body(body.as_bytes()).send()
}

fn influx() -> Site {
    let site = Site::new().with_policy();
    site.post("/v1/influxdb/query?q=CREATE%20DATABASE%20telegraf", json!({})).expect(204);
    site
}

#[test]
fn databases_are_resource_types() {
    let site = influx();
    site.get("/v1/resource_type/telegraf").expect(200);
    let form = site
        .ask("admin", "POST", "/v1/influxdb/query")
        .header("Content-Type", "application/x-www-form-urlencoded");
    form.body(b"q=create+database+other").send().expect(204);
    site.get("/v1/resource_type/other").expect(200);
    let query = |user: &str, q: &str| site.ask(user, "POST", &format!("/v1/influxdb/query?q={q}")).send();
    query("foobar", "CREATE%20DATABASE%20x").expect(403);
    query("admin", "CREATE%20DATABASE%20other").expect(204);
    assert_eq!(
        query("admin", "SHOW%20DATABASES").expect(501).description(),
        json!({"cause": "Not implemented error", "detail": "q", "reason": "Query not implemented"})
    );
    let pong = site.nobody("GET", "/v1/influxdb/ping").header("Accept", "text/plain").send().expect(204);
    assert!(pong.header("x-influxdb-version").unwrap().starts_with("Gnocchi 4."));
}

#[test]
fn lines_make_resources_and_metrics() {
    let site = influx();
    let body = "cpu,path=/foobar,host=h field=43i,state=\"up\",on=t,off=-2i 1510581804179554816\n\n# comment\ncpu,host=h other=1\n";
    let reply = lines(&site, "db=telegraf&precision=s", body).expect(204);
    assert_eq!(reply.header("content-type"), None);
    let metrics =
        site.ask("foobar", "GET", "/v1/resource/telegraf/h").send().expect(200).json()["metrics"].clone();
    let names: Vec<_> = metrics.as_object().unwrap().keys().cloned().collect();
    assert_eq!(names, ["cpu.field@path=_foobar", "cpu.off@path=_foobar", "cpu.other"]);
    let path = "/v1/resource/telegraf/h/metric/cpu.field@path=_foobar/measures?granularity=60";
    let rows = site.ask("foobar", "GET", path).send().expect(200).json();
    assert_eq!(rows, json!([["2017-11-13T14:03:00+00:00", 60.0, 43.0]]));
    lines(&site, "db=telegraf", "cpu,host=h other=2,new=3").expect(204);
    lines(&site, "db=telegraf", "").expect(204);
}

/// What a push remembers of the one before is forgotten as soon as it is wrong.
#[test]
fn pushes_find_what_was_changed_meanwhile() {
    let site = influx();
    let path = "/v1/resource/telegraf/h/metric/cpu.a";
    let rows = |path: &str| {
        let path = format!("{path}/measures?granularity=60&aggregation=count");
        site.ask("foobar", "GET", &path).send().expect(200).json()
    };
    let push = |seconds: u64| lines(&site, "db=telegraf", &format!("cpu,host=h a=1,b=2 {seconds}000000000"));
    push(60).expect(204);
    push(61).expect(204);
    assert_eq!(rows(path)[0][2], 2.0);
    let id = site.ask("foobar", "GET", path).send().expect(200).json()["id"].clone();
    // A metric that was deleted is made again; the one beside it goes on.
    site.ask("foobar", "DELETE", path).send().expect(204);
    push(62).expect(204);
    assert_ne!(site.ask("foobar", "GET", path).send().expect(200).json()["id"], id);
    assert_eq!(
        (rows(path)[0][2].clone(), rows("/v1/resource/telegraf/h/metric/cpu.b")[0][2].clone()),
        (json!(1.0), json!(3.0))
    );
    // So is a resource.
    site.ask("foobar", "DELETE", "/v1/resource/telegraf/h").send().expect(204);
    push(63).expect(204);
    assert_eq!(rows(path)[0][2], 1.0);
    // What one may push to, another makes for himself.
    let other = |body: &str| {
        site.ask("barfoo", "POST", "/v1/influxdb/write?db=telegraf").body(body.as_bytes()).send()
    };
    other("cpu,host=h a=1 64000000000").expect(204);
    assert_eq!(rows(path)[0][2], 1.0);
}

#[test]
fn units_of_times_may_be_honoured() {
    let site = Site::with(Config { influxdb_honour_precision: true, ..Config::default() }).with_policy();
    site.post("/v1/influxdb/query?q=CREATE%20DATABASE%20d", json!({})).expect(204);
    for (precision, time) in
        [("s", "1510581804"), ("ms", "1510581804179"), ("h", "419606"), ("n", "1510581804179554816")]
    {
        lines(&site, &format!("db=d&precision={precision}"), &format!("cpu,host=h {precision}=1 {time}"))
            .expect(204);
        let path = format!("/v1/resource/d/h/metric/cpu.{precision}/measures?granularity=3600");
        let rows = site.ask("foobar", "GET", &path).send().expect(200).json();
        assert_eq!(rows[0][0], "2017-11-13T14:00:00+00:00", "{precision}");
    }
    let error = lines(&site, "db=d&precision=weeks", "cpu,host=h a=1 1").expect(400).description();
    assert_eq!(error["detail"], "precision");
    lines(&site, "db=d&precision=h", &format!("cpu,host=h a=1 {}", u64::MAX)).expect(400);
}

#[test]
fn labels_may_go_into_names() {
    let site = Site::with(Config { prometheus_label_names: true, ..Config::default() }).with_policy();
    let labelled = [("__name__", "up"), ("job", "j"), ("path", "/a"), ("code", "1")];
    let plain = [("__name__", "up"), ("job", "j")];
    write(&site, "admin", vec![series(&labelled, &[(60_000, 1.0)]), series(&plain, &[(60_000, 1.0)])])
        .expect(202);
    let metrics = site.get("/v1/resource/prometheus/j@none").json()["metrics"].clone();
    let names: Vec<_> = metrics.as_object().unwrap().keys().collect();
    assert_eq!(names, ["up", "up@code=1,path=_a"]);
}

#[test]
fn lines_that_are_refused() {
    let site = influx();
    let error = lines(&site, "db=telegraf", "cpu,host=h a=1\ncpu,host=h a=b").expect(400).description();
    assert_eq!(error, json!({"cause": "Value error", "detail": "line", "reason": "Unable to parse line 2"}));
    site.ask("foobar", "GET", "/v1/resource/telegraf/h").send().expect(404);
    let error = lines(&site, "db=telegraf", "cpu,site=h a=1").expect(400).description();
    assert_eq!(error["reason"], "Unable to find key `host' in tags");
    let tagged = site
        .ask("foobar", "POST", "/v1/influxdb/write?db=telegraf")
        .header("X-Gnocchi-InfluxDB-Tag-Resource-ID", "site");
    tagged.body(b"cpu,site=h a=1").send().expect(204);
    lines(&site, "db=nope", "cpu,host=h a=1").says(404, "Resource type nope does not exist");
    lines(&site, "db=telegraf", "cpu,host=a/b a=1").says(400, "'/' is not supported in resource id");
    let type_body = json!({"name": "strict", "attributes": {"a": {"type": "string"}}});
    site.post("/v1/resource_type", type_body).expect(201);
    lines(&site, "db=strict", "cpu,host=new a=1").expect(400);
    let id = site.resource("foobar", "generic", json!({"id": "taken"}));
    let error = lines(&site, "db=telegraf", "cpu,host=taken a=1").expect(409);
    assert_eq!(error.json()["title"], "Conflict");
    assert_eq!(error.description(), json!({"cause": "Resource already exists", "detail": id}));
    site.delete("/v1/archive_policy_rule/all").expect(204);
    lines(&site, "db=telegraf", "mem,host=h a=1").says(400, "no archive policy rule found");
    site.nobody("POST", "/v1/influxdb/write").body(b"cpu,host=h a=1").send().expect(401);
}

#[test]
fn chunked_bodies_are_put_together() {
    let site = influx();
    let ask =
        site.ask("foobar", "POST", "/v1/influxdb/write?db=telegraf").header("Transfer-Encoding", "chunked");
    ask.body(b"a\r\ncpu,host=h\r\n5\r\n a=1\n\r\n0\r\n\r\n").send().expect(204);
    site.ask("foobar", "GET", "/v1/resource/telegraf/h/metric/cpu.a").send().expect(200);
}

#[derive(Clone, PartialEq, Message)]
struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    series: Vec<Series>,
    /// Something newer than the server.
    #[prost(string, tag = "9")]
    unknown: String,
}

#[derive(Clone, PartialEq, Message)]
struct Series {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
}

#[derive(Clone, PartialEq, Message)]
struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct Sample {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    ms: i64,
}

fn series(labels: &[(&str, &str)], samples: &[(i64, f64)]) -> Series {
    let label = |(name, value): &(&str, &str)| Label { name: (*name).to_owned(), value: (*value).to_owned() };
    let sample = |(ms, value): &(i64, f64)| Sample { value: *value, ms: *ms };
    Series { labels: labels.iter().map(label).collect(), samples: samples.iter().map(sample).collect() }
}

fn write(site: &Site, user: &str, series: Vec<Series>) -> Reply {
    let bytes = WriteRequest { series, unknown: "x".to_owned() }.encode_to_vec();
    let packed = snap::raw::Encoder::new().compress_vec(&bytes).unwrap();
    let ask = site.ask(user, "POST", "/v1/prometheus/write").header("Content-Encoding", "snappy");
    ask.header("Content-Type", "application/x-protobuf").body(&packed).send()
}

fn up(code: &str) -> Vec<(&str, &str)> {
    vec![("__name__", "up"), ("job", "j"), ("instance", "h:1"), ("code", code)]
}

#[test]
fn remote_write_makes_resources_and_metrics() {
    let site = Site::new().with_policy();
    write(&site, "foobar", vec![series(&up("1"), &[(1, 1.0)])]).expect(403);
    let stale = f64::from_bits(0x7ff0_0000_0000_0002);
    let all = vec![
        series(&up("1"), &[(60_000, 1.0), (61_000, stale)]),
        series(&up("2"), &[(120_000, 2.0)]),
        series(&[("__name__", "silent")], &[]),
        series(&[("__name__", "lonely")], &[(60_000, f64::NAN)]),
    ];
    assert_eq!(write(&site, "admin", all).expect(202).body, "");
    let resource = site.get("/v1/resource/prometheus/j@h:1").expect(200).json();
    assert_eq!((&resource["job"], &resource["instance"]), (&json!("j"), &json!("h:1")));
    let rows =
        site.get("/v1/resource/prometheus/j@h:1/metric/up/measures?granularity=60&aggregation=count").json();
    assert_eq!(rows.as_array().unwrap().len(), 2, "series that share a name are joined, stale marks dropped");
    let names: Vec<Value> = site.get("/v1/resource/prometheus/none@none").json()["metrics"]
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .map(Value::from)
        .collect();
    assert_eq!(names, ["lonely"]);
    write(&site, "foobar", vec![series(&up("1"), &[(180_000, 1.0)])]).expect(202);
}

#[test]
fn remote_write_that_is_refused() {
    let site = Site::new().with_policy();
    site.ask("admin", "POST", "/v1/prometheus/write")
        .body(b"garbage")
        .send()
        .says(400, "Unable to decode body");
    let bomb = [0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0];
    site.ask("admin", "POST", "/v1/prometheus/write").body(&bomb).send().expect(413);
    let packed = snap::raw::Encoder::new().compress_vec(b"\x0a\xff").unwrap();
    site.ask("admin", "POST", "/v1/prometheus/write").body(&packed).send().says(400, "Unable to decode body");
    write(&site, "admin", vec![series(&[("job", "j")], &[(1, 1.0)])]).expect(400);
    write(&site, "admin", vec![series(&[("__name__", "m"), ("job", "a/b")], &[(1, 1.0)])])
        .says(400, "'/' is not supported");
    write(&site, "admin", vec![series(&[("__name__", "a/b")], &[(1, 1.0)])])
        .says(400, "'/' is not supported in metric name");
    write(&site, "admin", vec![series(&up("1"), &[(-1, 1.0)])]).says(400, "Timestamp must be after Epoch");
    site.get("/v1/prometheus/write").expect(405);
    site.get("/v1/prometheus").expect(404);
}

/// All that a site has of some resources: counts, sums and least values of their metrics.
fn content(site: &Site, resources: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for resource in resources {
        let metrics = site.get(resource).json()["metrics"].clone();
        for name in metrics.as_object().into_iter().flat_map(|metrics| metrics.keys()) {
            for method in ["count", "sum", "min"] {
                let name = name.replace(' ', "%20");
                let path = format!("{resource}/metric/{name}/measures?granularity=60&aggregation={method}");
                found.push(format!("{name} {method} {}", site.get(&path).expect(200).json()));
            }
        }
    }
    found
}

/// Has a site forget where pushes went.
fn forget(site: &Site) {
    site.resource("admin", "generic", json!({"id": "passing"}));
    site.delete("/v1/resource/generic/passing").expect(204);
}

/// Pushes the same to a site that remembers the pushes before and to one that does not.
fn push_twice<T>(sites: [Site; 2], pushes: &[T], resources: &[&str], push: impl Fn(&Site, &T) -> Reply) {
    let [warm, cold] = &sites;
    for body in pushes {
        let answers = [push(warm, body), push(cold, body)].map(|reply| (reply.status, reply.body));
        assert_eq!(answers[0], answers[1]);
        forget(cold);
    }
    assert_eq!(content(warm, resources), content(cold, resources));
}

fn any_lines() -> impl Strategy<Value = String> {
    let head = select(vec![
        "cpu,host=h",
        "cpu,host=g",
        "cpu,host=h,a=1,b=2",
        "cpu,b=2,host=h,a=1",
        "cpu,a=0,a=1,b=2,host=h",
        "cpu,b=2,a=\"1\",host=h",
        "c\\,pu,host=h",
        "c\\ pu,host=h",
        "\"c pu\",host=h",
        "cpu,host=h,site=s",
        "# cpu,host=h",
        "",
    ]);
    let fields = select(vec![
        "x=1",
        "x=2.5,y=-3i",
        "y=4,x=7",
        "x=1,x=8",
        "x=1,x=\"t\"",
        "x=\"a b\",y=5",
        "x=t",
        "\"x\"=6",
        "x=1e2",
        "x\\ z=1",
        "x=-0",
        "x=12345678901234567890",
        "x=y",
    ]);
    let time = select(vec![" 60000000000", " 60000000000", " 61000000000", " 130000000000 ", " 1\r"]);
    let line = (head, select(vec![" ", " ", "  "]), fields, time);
    let line = line.prop_map(|(head, blank, fields, time)| format!("{head}{blank}{fields}{time}"));
    vec(line, 1..6).prop_map(|lines| lines.join("\n"))
}

fn any_series() -> impl Strategy<Value = Vec<Series>> {
    let labels = select(vec![
        vec![("__name__", "up"), ("job", "j")],
        vec![("job", "j"), ("__name__", "up")],
        vec![("__name__", "up"), ("job", "j"), ("code", "1")],
        vec![("__name__", "up"), ("job", "i"), ("job", "j")],
        vec![("__name__", "down"), ("job", "j")],
        vec![("__name__", "up")],
        vec![("job", "j")],
    ]);
    let time = select(vec![60_000, 60_000, 61_000, 130_000, 0, -1]);
    let stale = f64::from_bits(0x7ff0_0000_0000_0002);
    let sample = (time, select(vec![1.0, 2.5, -3.0, stale]));
    vec((labels, vec(sample, 0..4)).prop_map(|(labels, samples)| series(&labels, &samples)), 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn lines_that_are_known_say_what_others_say(bodies in vec(any_lines(), 1..5)) {
        let push = |site: &Site, body: &String| {
            site.ask("admin", "POST", "/v1/influxdb/write?db=telegraf").body(body.as_bytes()).send()
        };
        push_twice([influx(), influx()], &bodies, &["/v1/resource/telegraf/h", "/v1/resource/telegraf/g"], push);
    }

    #[test]
    fn series_that_are_known_say_what_others_say(bodies in vec(any_series(), 1..5), label_names: bool) {
        let site = || {
            Site::with(Config { prometheus_label_names: label_names, ..Config::default() }).with_policy()
        };
        let resources = ["/v1/resource/prometheus/j@none", "/v1/resource/prometheus/none@none"];
        push_twice([site(), site()], &bodies, &resources, |site, body| write(site, "admin", body.clone()));
    }
}
