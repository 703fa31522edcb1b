//! Metrics on their own, and lists of them.

use serde_json::{Value, json};

use crate::site::Site;

#[test]
fn three_shapes_of_a_metric() {
    let site = Site::new().with_policy();
    let made = site.post("/v1/metric", json!({"name": "m", "unit": "s"})).expect(201);
    let id = made.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(made.header("location").unwrap(), format!("http://here/v1/metric/{id}"));
    assert_eq!(made.json()["archive_policy_name"], "low");
    assert_eq!(made.json()["created_by_user_id"], "admin");
    let single = site.get(&format!("/v1/metric/{}", id.to_uppercase().replace('-', ""))).expect(200).json();
    assert_eq!((&single["archive_policy"]["name"], &single["resource"]), (&json!("low"), &json!(null)));
    let listed = site.get("/v1/metric").json()[0].clone();
    assert_eq!((&listed["archive_policy"]["name"], &listed["resource_id"]), (&json!("low"), &json!(null)));
}

#[test]
fn what_metrics_may_not_be() {
    let site = Site::new();
    site.post("/v1/metric", json!({"name": "m"}))
        .says(400, "no archive policy rule found matching the metric name m");
    let site = site.with_policy();
    site.post("/v1/metric", json!({"name": "a/b"})).says(400, "'/' is not supported in metric name");
    site.post("/v1/metric", json!({"archive_policy_name": "nope"}))
        .says(400, "Archive policy nope does not exist");
    site.post("/v1/metric", json!({"unit": "x".repeat(32)})).says(400, "length of value must be at most 31");
    site.post("/v1/metric", json!({"name": null})).says(400, "expected str");
    site.post("/v1/metric", json!({"resource_id": "r"}))
        .says(400, "Name cannot be null if resource_id is not null");
    site.post("/v1/metric", json!({"resource_id": "r", "name": "m"})).says(404, "Resource ");
    let id = site.resource("foobar", "generic", json!({"id": "r"}));
    let on_resource = json!({"resource_id": id, "name": "m"});
    site.ask("other", "POST", "/v1/metric").json(on_resource.clone()).expect(403);
    site.post("/v1/metric", on_resource.clone()).expect(201);
    assert_eq!(
        site.post("/v1/metric", on_resource).expect(400).description(),
        json!({"cause": "Named metric already exists", "detail": "m"})
    );
}

#[test]
fn deleted_metrics_are_gone_at_once() {
    let site = Site::new().with_policy();
    let id = site.metric("foobar", json!({"name": "m"}));
    let path = format!("/v1/metric/{id}");
    site.ask("other", "GET", &path).send().expect(403);
    site.ask("other", "DELETE", &path).send().expect(403);
    site.nobody("DELETE", &path).send().expect(401);
    site.ask("foobar", "DELETE", &path).send().expect(204);
    site.get(&path).says(404, &format!("Metric {id} does not exist"));
    assert_eq!(site.get("/v1/metric").json(), json!([]));
    assert_eq!(site.get("/v1/metric?status=delete").expect(200).json(), json!([]));
    site.get("/v1/metric?status=odd").says(400, "not a valid value for dictionary value @ data['status']");
}

fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect()
}

#[test]
fn lists_are_filtered() {
    let site = Site::new().with_policy();
    for (user, name, unit) in [("foobar", "a", "s"), ("foobar", "b", "B"), ("other", "c", "s")] {
        site.metric(user, json!({"name": name, "unit": unit}));
    }
    let list = |query: &str| site.get(&format!("/v1/metric?sort=name&{query}")).expect(200).json();
    assert_eq!(names(&list("unit=s")), ["a", "c"]);
    assert_eq!(names(&list("unit=s&creator=foobar&end=ignored")), ["a"]);
    assert_eq!(names(&list("archive_policy_name=low")), ["a", "b", "c"]);
    assert_eq!(names(&list("user_id=foobar")), [""; 0], "basic creators have no project");
    assert_eq!(list("id=no-uuid"), json!([]));
    let id = list("name=b")[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(names(&list(&format!("id={id}"))), ["b"]);
    site.get("/v1/metric?name=a&name=b").says(400, "Invalid input: expected str");
    site.nobody("GET", "/v1/metric").send().expect(401);
}

#[test]
fn pages_follow_their_links() {
    let site = Site::new().with_policy();
    for name in ["d", "a", "c", "b"] {
        site.metric("admin", json!({"name": name}));
    }
    let mut path = "/v1/metric?sort=name:desc&limit=2&status=active".to_owned();
    let mut seen = Vec::new();
    loop {
        let page = site.get(&path).expect(200);
        seen.extend(names(&page.json()).into_iter().map(str::to_owned));
        let Some(link) = page.header("link") else { break };
        let url = link.strip_prefix("<http://here").unwrap().strip_suffix(">; rel=\"next\"").unwrap();
        assert!(
            url.starts_with("/v1/metric?limit=2&marker=") && url.ends_with("&sort=name%3Adesc&status=active"),
            "{url}"
        );
        path = url.to_owned();
    }
    assert_eq!(seen, ["d", "c", "b", "a"], "the last page is full and has a link all the same");
}
