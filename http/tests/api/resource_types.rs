//! Resource types and their patches.

use serde_json::{Value, json};

use crate::site::{Reply, Site};

fn patch(site: &Site, name: &str, steps: Value) -> Reply {
    let ask = site.ask("admin", "PATCH", &format!("/v1/resource_type/{name}"));
    ask.header("Content-Type", "application/json-patch+json").body(steps.to_string().as_bytes()).send()
}

fn add(name: &str, definition: Value) -> Value {
    json!([{"op": "add", "path": format!("/attributes/{name}"), "value": definition}])
}

fn with_type(attributes: Value) -> Site {
    let site = Site::new();
    site.post("/v1/resource_type", json!({"name": "vm", "attributes": attributes})).expect(201);
    site
}

#[test]
fn definitions_are_completed() {
    let site = Site::new();
    let attributes = json!({"s": {"type": "string", "max_length": 255}, "n": {"type": "number", "required": false, "min": 0}});
    let made = site.post("/v1/resource_type", json!({"name": "vm", "attributes": attributes})).expect(201);
    assert_eq!(made.header("location"), Some("http://here/v1/resource_type/vm"));
    let expected = json!({
        "s": {"type": "string", "required": true, "min_length": 0, "max_length": 255},
        "n": {"type": "number", "required": false, "min": 0, "max": null},
    });
    assert_eq!(made.json()["attributes"], expected);
    let names: Vec<_> = site
        .get("/v1/resource_type")
        .json()
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].clone())
        .collect();
    assert_eq!(names, ["generic", "vm"]);
    site.post("/v1/resource_type", json!({"name": "vm"})).says(409, "Resource type vm already exists");
}

#[test]
fn what_types_may_not_be() {
    let site = Site::new();
    for body in [
        json!({}),
        json!({"name": 1}),
        json!({"name": "x", "attributes": []}),
        json!({"name": "x", "state": "active"}),
    ] {
        site.post("/v1/resource_type", body).says(400, "Invalid input");
    }
    for name in ["id", "lifespan", "original_resource_id", "_x", ""] {
        let body = json!({"name": "x", "attributes": {name: {"type": "bool"}}});
        site.post("/v1/resource_type", body).says(400, &format!("Resource attribute name {name} is invalid"));
    }
    for definition in [
        json!({}),
        json!({"type": "int"}),
        json!({"type": "bool", "min": 1}),
        json!({"type": "string", "max_length": 257}),
        json!({"type": "bool", "required": 1}),
    ] {
        site.post("/v1/resource_type", json!({"name": "x", "attributes": {"a": definition}}))
            .says(400, "Invalid input");
    }
    let upside_down = json!({"name": "x", "attributes": {"a": {"type": "number", "min": 2, "max": 1}}});
    site.post("/v1/resource_type", upside_down).says(400, "must be less  than or equal to");
    site.ask("foobar", "POST", "/v1/resource_type").json(json!({"name": "x"})).expect(403);
    site.ask("foobar", "POST", "/v1/resource_type").json(json!({})).expect(400);
}

#[test]
fn values_are_checked_by_their_type() {
    let site = with_type(json!({
        "n": {"type": "number", "required": false}, "b": {"type": "bool", "required": false},
        "u": {"type": "uuid", "required": false}, "d": {"type": "datetime", "required": false},
        "s": {"type": "string", "required": false, "min_length": 2, "max_length": 3},
    }));
    for (attribute, value, reason) in [
        ("n", json!(true), "expected Real"),
        ("n", json!("1"), "expected Real"),
        ("n", json!(null), "expected Real"),
        ("b", json!(1), "expected bool"),
        ("u", json!("x"), "badly formed hexadecimal UUID string"),
        ("d", json!("2014-2-3"), "Unable to convert timestamps"),
        ("d", json!(null), "Unable to convert timestamps"),
        ("d", json!("9999-01-01"), "Timestamp must be after Epoch"),
        ("s", json!("a"), "length of value must be at least 2"),
        ("s", json!("äöüß"), "length of value must be at most 3"),
        ("s", json!(null), "expected str"),
    ] {
        let description =
            site.post("/v1/resource/vm", json!({"id": "r", attribute: value})).expect(400).description();
        assert_eq!(description["reason"], format!("{reason} for dictionary value @ data['{attribute}']"));
    }
    let good =
        json!({"id": "r", "n": 1, "b": false, "u": "12345678123412341234123456789ABC", "d": 60, "s": "äöü"});
    let made = site.post("/v1/resource/vm", good).expect(201).json();
    assert_eq!(made["u"], "12345678-1234-1234-1234-123456789abc");
    assert_eq!(made["d"], "1970-01-01T00:01:00+00:00");
    assert_eq!(made["n"].to_string(), "1.0");
}

#[test]
fn new_attributes_fill_resources_and_their_history() {
    let site = with_type(json!({"old": {"type": "string", "required": false}}));
    let id = site.resource("admin", "vm", json!({"id": "r", "old": "x"}));
    site.patch(&format!("/v1/resource/vm/{id}"), json!({"old": "y"})).expect(200);
    patch(&site, "vm", add("n", json!({"type": "number"}))).says(400, "must not be empty if required=True");
    patch(&site, "vm", add("n", json!({"type": "number", "options": {"fill": "x"}})))
        .says(400, "is invalid: expected Real");
    patch(&site, "vm", add("n", json!({"type": "number", "options": {"full": 1}})))
        .says(400, "Invalid input: extra keys not allowed @ data['attributes']['n']['options']['full']");
    patch(&site, "vm", add("n", json!({"type": "number", "options": {"fill": 7}}))).expect(200);
    patch(&site, "vm", add("o", json!({"type": "bool", "required": false}))).expect(200);
    for revision in site.get(&format!("/v1/resource/vm/{id}/history")).json().as_array().unwrap() {
        assert_eq!((&revision["n"], &revision["o"]), (&json!(7.0), &json!(null)));
    }
    patch(&site, "vm", json!([{"op": "remove", "path": "/attributes/old"}])).expect(200);
    assert_eq!(site.get(&format!("/v1/resource/vm/{id}")).json().get("old"), None);
}

#[test]
fn required_attributes_are_not_changed_without_a_fill() {
    let site = with_type(json!({"s": {"type": "string", "max_length": 5}}));
    patch(&site, "vm", add("s", json!({"type": "string", "max_length": 6})))
        .says(400, "must not be empty if required=True");
    patch(&site, "vm", add("s", json!({"type": "string", "max_length": 6, "options": {"fill": "x"}})))
        .expect(200);
    patch(&site, "vm", add("s", json!({"type": "number"}))).says(
        400,
        "Type update is not available yet. Changing string to number for attribute s of resource vm",
    );
    let there_and_back = json!([
        {"op": "add", "path": "/attributes/t", "value": {"type": "bool"}}, {"op": "remove", "path": "/attributes/t"},
    ]);
    let before = site.get("/v1/resource_type/vm").json();
    assert_eq!(patch(&site, "vm", there_and_back).expect(200).json(), before);
}

#[test]
fn patches_that_are_none() {
    let site = with_type(json!({"s": {"type": "string"}}));
    let reason = |steps: Value| patch(&site, "vm", steps).expect(400).description()["reason"].clone();
    assert_eq!(
        reason(json!([{"op": "copy", "path": "/attributes/s"}])),
        "not a valid value for dictionary value @ data[0]['op']"
    );
    assert_eq!(
        reason(json!([{"op": "add", "path": "/name", "value": {}}])),
        "not a valid value for dictionary value @ data[0]['path']"
    );
    patch(&site, "vm", json!([{"op": "remove", "path": "/attributes/x"}]))
        .says(400, "can't remove a non-existent object 'x'");
    patch(&site, "vm", json!([{"op": "remove", "path": "/attributes/s/type"}])).expect(400);
    patch(&site, "vm", json!([{"op": "add", "path": "/attributes/x"}])).expect(400);
    patch(&site, "generic", add("x", json!({"type": "bool", "required": false}))).expect(400);
    patch(&site, "nope", json!([])).expect(404);
    site.patch("/v1/resource_type/vm", json!([])).expect(415);
    patch(&site, "vm", json!([{"op": "remove", "path": "/attributes"}])).expect(200);
    assert_eq!(site.get("/v1/resource_type/vm").json()["attributes"], json!({}));
}

#[test]
fn types_with_resources_stay() {
    let site = with_type(json!({}));
    let id = site.resource("admin", "vm", json!({"id": "r"}));
    site.delete("/v1/resource_type/vm").says(400, "Resource type vm is still in use");
    site.delete("/v1/resource_type/generic").says(400, "Resource type generic is still in use");
    site.delete(&format!("/v1/resource/vm/{id}")).expect(204);
    site.ask("foobar", "DELETE", "/v1/resource_type/vm").send().expect(403);
    site.delete("/v1/resource_type/vm").expect(204);
    site.post("/v1/resource_type", json!({"name": "vm"})).expect(201);
}
