//! Resources, one at a time: who they are, their revisions, conditional requests, their metrics.

use serde_json::json;

use crate::site::Site;

const UUID: &str = "AABBCCDD-1234-1234-1234-123456789012";

#[test]
fn text_names_another_resource_for_each_principal() {
    let site = Site::new();
    let mine = site.resource("foobar", "generic", json!({"id": "web1"}));
    assert_eq!(
        site.ask("foobar", "GET", "/v1/resource/generic/web1").send().expect(200).json()["original_resource_id"],
        "web1"
    );
    let other = site.get("/v1/resource/generic/web1").expect(404).description();
    assert!(other.as_str().unwrap().ends_with("does not exist") && !other.as_str().unwrap().contains(&mine));
    site.get(&format!("/v1/resource/generic/{mine}")).expect(200);
    let long = "x".repeat(290);
    site.get(&format!("/v1/resource/generic/{long}")).says(404, &long);
    site.resource("foobar", "generic", json!({"id": "x".repeat(289)}));
}

#[test]
fn ids_are_kept_as_submitted() {
    let site = Site::new();
    let made = site.post("/v1/resource/generic", json!({"id": UUID})).expect(201);
    let id = UUID.to_lowercase();
    assert_eq!(made.header("location").unwrap(), format!("http://here/v1/resource/generic/{id}"));
    assert_eq!((&made.json()["id"], &made.json()["original_resource_id"]), (&json!(id), &json!(UUID)));
    assert_eq!(made.json().as_object().unwrap().len(), 13);
    site.get(&format!("/v1/resource/generic/{}", id.replace('-', ""))).expect(200);
    site.post("/v1/resource/generic", json!({"id": id})).says(409, &format!("Resource {id} already exists"));
    site.post("/v1/resource/generic", json!({"id": "a/b"})).says(400, "'/' is not supported in resource id");
}

#[test]
fn resources_are_seen_through_their_type_and_generic() {
    let site = Site::new();
    site.post("/v1/resource_type", json!({"name": "vm", "attributes": {"a": {"type": "string"}}}))
        .expect(201);
    site.post("/v1/resource_type", json!({"name": "other"})).expect(201);
    let id = site.resource("admin", "vm", json!({"id": "r", "a": "x"}));
    assert_eq!(site.get(&format!("/v1/resource/vm/{id}")).json()["a"], "x");
    assert_eq!(site.get(&format!("/v1/resource/generic/{id}")).json().get("a"), None);
    site.get(&format!("/v1/resource/other/{id}")).expect(404);
    site.get(&format!("/v1/resource/nope/{id}")).says(404, "Resource type nope does not exist");
    site.post("/v1/resource/vm", json!({"id": "s"})).says(400, "required key not provided @ data['a']");
    let types = site.nobody("GET", "/v1/resource").send().expect(200).json();
    assert_eq!(types["vm"], "http://here/v1/resource/vm");
}

#[test]
fn ends_before_starts() {
    let site = Site::new();
    let text = "Start timestamp cannot be after end timestamp";
    let body = json!({"id": "r", "started_at": "2014-01-02", "ended_at": "2014-01-01"});
    site.post("/v1/resource/generic", body).says(400, text);
    site.post("/v1/resource/generic", json!({"id": "r", "ended_at": "2014-01-01"})).says(400, text);
    let equal = json!({"id": "r", "started_at": "2014-01-01", "ended_at": "2014-01-01T00:00:00.000000"});
    let id = site.resource("admin", "generic", equal);
    site.patch(&format!("/v1/resource/generic/{id}"), json!({"ended_at": "2013-01-01"})).says(
        400,
        "Value 2013-01-01T00:00:00+00:00 for attribute ended_at on resource type generic is invalid",
    );
    let shown =
        site.patch(&format!("/v1/resource/generic/{id}"), json!({"ended_at": "2014-01-01T00:00:01.5Z"}));
    assert_eq!(shown.expect(200).json()["ended_at"], "2014-01-01T00:00:01.500000+00:00");
}

#[test]
fn revisions_begin_when_something_really_changes() {
    let site = Site::new().with_policy();
    let id =
        site.resource("admin", "generic", json!({"id": UUID, "user_id": "a", "started_at": "2014-01-01"}));
    let path = format!("/v1/resource/generic/{id}");
    let first = site.get(&path).json()["revision_start"].clone();
    for (body, has_etag) in [
        (json!({}), true),
        (json!({"user_id": "a"}), false),
        (json!({"started_at": 1_388_534_400}), false),
        (json!({"metrics": {"m": {}}}), true),
    ] {
        let reply = site.patch(&path, body.clone()).expect(200);
        assert_eq!(reply.header("etag").is_some(), has_etag, "{body}");
        assert_eq!(reply.json()["revision_start"], first, "{body}");
    }
    let second = site.patch(&path, json!({"user_id": null})).expect(200).json()["revision_start"].clone();
    assert_ne!(second, first);
    let history = site.get(&format!("{path}/history?sort=revision_end:asc-nullslast")).expect(200).json();
    assert_eq!(history.as_array().unwrap().len(), 2);
    assert_eq!((&history[0]["revision_end"], &history[1]["revision_end"]), (&second, &json!(null)));
    assert_eq!(history[0]["metrics"], history[1]["metrics"], "history shows the metrics of today");
    site.patch(&path, json!({"id": "x"})).says(400, "extra keys not allowed @ data['id']");
    site.patch(&path, json!({"ended_at": null})).says(400, "not a valid value");
}

#[test]
fn decisions_before_the_body_is_read() {
    let site = Site::new();
    let id = site.resource("foobar", "generic", json!({"id": "r"}));
    let path = format!("/v1/resource/generic/{id}");
    site.ask("foobar", "PATCH", "/v1/resource/generic/nope").send().expect(404);
    site.ask("other", "PATCH", &path).send().expect(403);
    site.ask("foobar", "PATCH", &path).header("If-Match", "\"x\"").send().expect(412);
    site.ask("foobar", "PATCH", &path).send().expect(415);
    site.ask("foobar", "POST", "/v1/resource/generic/nope/metric").send().expect(404);
    site.ask("other", "POST", &format!("{path}/metric")).send().expect(403);
}

#[test]
fn strangers_see_lists_but_not_single_resources() {
    let site = Site::new().with_policy();
    let id = site.resource("foobar", "generic", json!({"id": "r", "metrics": {"m": {}}}));
    let path = format!("/v1/resource/generic/{id}");
    for below in ["", "/history", "/metric", "/metric/m", "/metric/m/measures"] {
        site.ask("other", "GET", &format!("{path}{below}")).send().expect(403);
        site.ask("foobar", "GET", &format!("{path}{below}")).send().expect(200);
        site.nobody("GET", &format!("{path}{below}")).send().expect(401);
    }
    assert_eq!(site.ask("other", "GET", "/v1/resource/generic").send().json().as_array().unwrap().len(), 1);
    site.ask("other", "DELETE", &path).send().expect(403);
    site.ask("foobar", "DELETE", &path).send().expect(204);
    site.ask("foobar", "GET", &path).send().says(404, &format!("Resource {id} does not exist"));
}

#[test]
fn conditional_requests() {
    let site = Site::new();
    let made = site.post("/v1/resource/generic", json!({"id": "r"})).expect(201);
    let (etag, date) =
        (made.header("etag").unwrap().to_owned(), made.header("last-modified").unwrap().to_owned());
    let path = format!("/v1/resource/generic/{}", made.json()["id"].as_str().unwrap());
    let ask =
        |method: &str, name: &str, value: &str| site.ask("admin", method, &path).header(name, value).send();
    let known = ask("GET", "If-None-Match", &etag).expect(304);
    assert_eq!((known.body.as_str(), known.header("etag")), ("", Some(etag.as_str())));
    ask("GET", "If-Modified-Since", &date).expect(304);
    ask("GET", "If-Match", "\"x\"").expect(412);
    ask("GET", "If-Match", &etag).expect(200);
    ask("DELETE", "If-None-Match", "*").expect(412);
    let patch = |tag: &str, body| site.ask("admin", "PATCH", &path).header("If-Match", tag).json(body);
    patch(&etag, json!({"user_id": "x"})).expect(200);
    patch(&etag, json!({"user_id": "y"})).expect(412);
    ask("DELETE", "If-Match", &etag).expect(412);
    ask("DELETE", "If-Match", "*").expect(204);
}

#[test]
fn a_patch_of_metrics_replaces_and_detaches() {
    let site = Site::new().with_policy();
    let id = site.resource("admin", "generic", json!({"id": "r", "metrics": {"a": {}, "b": {"unit": "B"}}}));
    let path = format!("/v1/resource/generic/{id}");
    let metrics = site.get(&path).json()["metrics"].clone();
    let kept =
        site.patch(&path, json!({"metrics": {"c": metrics["a"]}})).expect(200).json()["metrics"].clone();
    assert_eq!(kept, json!({"c": metrics["a"]}));
    let detached = site.get(&format!("/v1/metric/{}", metrics["b"].as_str().unwrap())).expect(200).json();
    assert_eq!((&detached["name"], &detached["resource"]), (&json!("b"), &json!(null)));
    let again = site.patch(&path, json!({"metrics": {"c": {}}})).expect(200).json()["metrics"].clone();
    assert_ne!(again["c"], kept["c"], "a definition makes a new metric");
    let failed = json!({"user_id": "new", "metrics": {"x": "00000000-0000-0000-0000-000000000000"}});
    site.patch(&path, failed).says(400, "Metric 00000000-0000-0000-0000-000000000000 does not exist");
    assert_eq!(site.get(&path).json()["user_id"], json!(null));
}

#[test]
fn metrics_are_added_and_named() {
    let site = Site::new().with_policy();
    let id = site.resource("foobar", "generic", json!({"id": "r"}));
    let path = format!("/v1/resource/generic/{id}/metric");
    let all = site.post(&path, json!({"m": {}, "measures": {"unit": "s"}})).expect(200).json();
    assert_eq!(all.as_array().unwrap().len(), 2);
    assert_eq!(all[0]["creator"], "foobar", "metrics belong to the creator of the resource");
    assert_eq!(site.post(&path, json!({})).expect(200).json(), all);
    site.post(&path, json!({"m": {}})).says(409, "Named metric m already exists");
    site.post(&path, json!({"a/b": {}})).says(400, "'/' is not supported in metric name");
    site.post(&path, json!({"x": {"archive_policy_name": "nope"}}))
        .says(400, "Archive policy nope does not exist");
    assert_eq!(site.get(&format!("{path}/m")).json()["resource"]["id"], json!(id));
    assert_eq!(site.get(&format!("{path}/measures/measures")).expect(200).json(), json!([]));
    site.get(&format!("{path}/nope")).says(404, "Metric nope does not exist");
    site.get("/v1/resource/generic/nope/metric/m").says(404, "Resource ");
    site.post(&format!("{path}/m"), json!({})).expect(405);
    site.delete(&format!("{path}/m")).expect(204);
    site.delete(&format!("{path}/m/measures")).expect(404);
}

#[test]
fn a_patch_through_generic_keeps_the_attributes_in_history() {
    let site = Site::new();
    site.post("/v1/resource_type", json!({"name": "vm", "attributes": {"a": {"type": "string"}}}))
        .expect(201);
    let id = site.resource("admin", "vm", json!({"id": "r", "a": "x"}));
    site.patch(&format!("/v1/resource/generic/{id}"), json!({"user_id": "u"})).expect(200);
    site.patch(&format!("/v1/resource/generic/{id}"), json!({"a": "y"})).says(400, "extra keys not allowed");
    let history = site.get(&format!("/v1/resource/vm/{id}/history")).json();
    assert_eq!((&history[0]["a"], &history[1]["a"]), (&json!("x"), &json!("x")));
    let hidden = site.get(&format!("/v1/resource/generic/{id}/history")).json();
    assert_eq!(hidden[0].get("a"), None);
    let detailed = site.get(&format!("/v1/resource/generic/{id}/history?details=yes")).json();
    assert_eq!(detailed[0]["a"], "x");
}
