//! Lists of resources, searches, and deletion by filter.

use serde_json::{Value, json};

use crate::site::Site;

/// Resources `a` (number 1, ended), `b` (number 2), `c` (no number) of type `vm`, and `g` of none.
fn site() -> Site {
    let site = Site::new();
    let attributes = json!({"n": {"type": "number", "required": false}, "host": {"type": "string", "required": false}, "u": {"type": "uuid", "required": false}});
    site.post("/v1/resource_type", json!({"name": "vm", "attributes": attributes})).expect(201);
    let a = json!({"id": "a", "n": 1, "host": "web1", "project_id": "p", "started_at": "2020-01-01", "ended_at": "2020-01-02"});
    site.resource("foobar", "vm", a);
    site.resource("foobar", "vm", json!({"id": "b", "n": 2, "host": "web2"}));
    site.resource("other", "vm", json!({"id": "c"}));
    site.resource("foobar", "generic", json!({"id": "g"}));
    site
}

fn ids(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|one| one["original_resource_id"].as_str().unwrap()).collect()
}

fn search(site: &Site, filter: Value) -> Value {
    site.ask("foobar", "POST", "/v1/search/resource/vm").json(filter).expect(200).json()
}

#[test]
fn filters_of_all_kinds() {
    let site = site();
    for (filter, expected) in [
        (json!({}), vec!["a", "b", "c"]),
        (json!({"=": {"n": 1}}), vec!["a"]),
        (json!({">=": {"n": "2"}}), vec!["b"]),
        (json!({"!=": {"n": 1}}), vec!["b", "c"]),
        (json!({"not": {"=": {"n": 1}}}), vec!["b"]),
        (json!({"eq": {"n": null}}), vec!["c"]),
        (json!({"ne": {"project_id": "x"}}), vec!["a", "b", "c"]),
        (json!({"like": {"host": "web%"}}), vec!["a", "b"]),
        (json!({"in": {"host": ["web2", "web3", null]}}), vec!["b"]),
        (json!({"or": [{"=": {"n": 1}}, {"=": {"creator": "other"}}]}), vec!["a", "c"]),
        (json!({"and": [{">": {"n": 0}}, {"<": {"n": 2}}]}), vec!["a"]),
        (json!({"=": {"id": "b"}}), vec!["b"]),
        (json!({"in": {"id": ["a", "c"]}}), vec!["a"]),
        (json!({"<=": {"lifespan": "1 day"}}), vec!["a"]),
        (json!({"=": {"created_by_user_id": "foobar"}}), vec![]),
        (json!({"!=": {"created_by_project_id": "p"}}), vec!["a", "b", "c"]),
        (json!({"<": {"started_at": "2021-01-01"}}), vec!["a"]),
    ] {
        assert_eq!(ids(&search(&site, filter.clone())), expected, "{filter}");
    }
}

#[test]
fn filters_as_text() {
    let site = site();
    let find = |filter: &str| {
        let encoded: String = filter.bytes().map(|byte| format!("%{byte:02X}")).collect();
        site.ask("foobar", "POST", &format!("/v1/search/resource/vm?filter={encoded}")).send()
    };
    assert_eq!(ids(&find("n = 1 or host = web2").expect(200).json()), ["a", "b"]);
    assert_eq!(ids(&find("not id in [a, b]").expect(200).json()), ["c"]);
    assert_eq!(ids(&find("").expect(200).json()), ["a", "b", "c"]);
    find("id == a").says(400, "Invalid filter: Expected");
    find("host in []").says(400, "length of value must be at least 1");
}

#[test]
fn filters_that_make_no_sense() {
    let site = site();
    for (filter, text) in [
        (json!({"=": {"nope": 1}}), "Resource type vm has no nope attribute"),
        (json!({"=": {"metrics": 1}}), "Resource type vm has no metrics attribute"),
        (json!({"=": {"n": "x"}}), "Invalid value: `x' for field `n'"),
        (json!({"<": {"n": null}}), "Invalid value"),
        (json!({"like": {"n": "1%"}}), "Invalid value"),
        (json!({"like": {"host": null}}), "Invalid value"),
        (json!({"=": {"lifespan": "soon"}}), "Invalid value"),
        (json!({"like": {"lifespan": "1%"}}), "Invalid value"),
        (json!({"=": {"u": "no uuid"}}), "Invalid value"),
        (json!({"<": {"created_by_user_id": "x"}}), "Invalid value"),
        (json!({"=": {"id": 1}}), "expected str"),
        (json!({"and": [{}]}), "Unable to parse this query"),
        (json!({"wat": {"n": 1}}), "not a valid value @ data['wat']"),
        (json!({"=": {"revision": 1}}), "has no revision attribute"),
    ] {
        site.ask("foobar", "POST", "/v1/search/resource/vm").json(filter).says(400, text);
    }
    site.ask("foobar", "POST", "/v1/search/resource/vm").body(b"{}").send().expect(415);
    site.get("/v1/search/resource/nope").expect(404);
}

#[test]
fn what_is_shown_of_each() {
    let site = site();
    let list = |query: &str| site.get(&format!("/v1/resource/{query}")).expect(200).json();
    assert_eq!(list("generic")[0].as_object().unwrap().len(), 13);
    assert_eq!(list("generic?details=true")[0]["n"], 1.0);
    assert_eq!(list("vm?attrs=n&attrs=nope&limit=1"), json!([{"n": 1.0}]));
    assert_eq!(list("generic?attrs=nope&limit=1"), json!([{}]));
}

#[test]
fn a_changed_resource_moves_to_the_end() {
    let site = site();
    site.ask("foobar", "PATCH", "/v1/resource/vm/a").json(json!({"n": 5})).expect(200);
    assert_eq!(ids(&site.get("/v1/resource/vm").json()), ["b", "c", "a"]);
}

#[test]
fn histories_are_searched_revision_by_revision() {
    let site = site();
    site.ask("foobar", "PATCH", "/v1/resource/vm/b").json(json!({"n": 3, "user_id": "x"})).expect(200);
    let find = |filter: Value| {
        let path = "/v1/search/resource/vm?history=true&sort=revision_end:asc-nullslast";
        site.ask("foobar", "POST", path).json(filter).expect(200).json()
    };
    assert_eq!(ids(&find(json!({"or": [{"=": {"n": 2}}, {"=": {"user_id": "x"}}]}))), ["b", "b"]);
    assert_eq!(ids(&find(json!({"not": {"or": [{"=": {"n": 2}}, {"=": {"n": 1}}]}}))), ["b"]);
    assert_eq!(ids(&find(json!({"=": {"revision": 1}}))), ["b"]);
    let page = site.get("/v1/resource/vm?history=true&sort=revision_end:asc-nullslast&limit=1").expect(200);
    assert!(page.header("link").unwrap().contains("%401&sort="), "{:?}", page.header("link"));
}

#[test]
fn pages_lose_no_rows_to_nulls() {
    let site = site();
    for sort in ["n", "n:desc", "n:asc-nullsfirst", "n:desc-nullslast", "host:desc"] {
        let whole = site.get(&format!("/v1/resource/vm?sort={sort}")).expect(200).json();
        let mut seen = Vec::new();
        let mut path = format!("/v1/resource/vm?sort={sort}&limit=1");
        while seen.len() < 4 {
            let page = site.get(&path).expect(200);
            seen.extend(page.json().as_array().unwrap().clone());
            let Some(link) = page.header("link") else { break };
            path = link.split(['<', '>']).nth(1).unwrap().strip_prefix("http://here").unwrap().to_owned();
        }
        assert_eq!(Value::from(seen), whole, "{sort}");
    }
    assert_eq!(ids(&site.get("/v1/resource/vm?sort=n").json()), ["a", "b", "c"], "nulls are greatest");
    assert_eq!(ids(&site.get("/v1/resource/vm?sort=n:desc").json()), ["c", "b", "a"]);
}

#[test]
fn links_carry_parameters_but_no_bodies() {
    let site = site();
    let path = "/v1/search/resource/vm?limit=1&attrs=id&zzz=1";
    let page = site.ask("foobar", "POST", path).json(json!({"!=": {"n": 9}})).expect(200);
    let link = page.header("link").unwrap();
    assert!(link.contains("/v1/search/resource/vm?attrs=id&limit=1&marker="), "{link}");
    assert!(
        link.ends_with("&sort=revision_start%3Aasc&sort=started_at%3Aasc&zzz=1>; rel=\"next\""),
        "{link}"
    );
}

#[test]
fn deletion_takes_only_what_is_ones_own() {
    let site = site();
    let delete = |user: &str, body: Value| site.ask(user, "DELETE", "/v1/resource/vm").json(body);
    delete("foobar", json!({})).says(400, "caution: the query can not be empty");
    site.ask("foobar", "DELETE", "/v1/resource/vm").send().says(400, "caution: the query can not be empty");
    assert_eq!(
        delete("foobar", json!({"in": {"id": ["c", "nobody"]}})).expect(200).json(),
        json!({"deleted": 0})
    );
    assert_eq!(delete("foobar", json!({"!=": {"n": 9}})).expect(200).json(), json!({"deleted": 2}));
    assert_eq!(ids(&site.get("/v1/resource/generic").json()), ["c", "g"], "nothing is left of the others");
    assert_eq!(delete("admin", json!({"=": {"creator": "other"}})).expect(200).json(), json!({"deleted": 1}));
    site.ask("foobar", "DELETE", "/v1/resource/vm").body(b"{}").send().expect(415);
}

#[test]
fn isolated_users_find_their_own() {
    let site = Site::with(orzo_http::Config { isolate_users: true, ..Default::default() });
    site.resource("foobar", "generic", json!({"id": "mine"}));
    site.resource("other", "generic", json!({"id": "theirs"}));
    assert_eq!(ids(&site.ask("foobar", "GET", "/v1/resource/generic").send().json()), ["mine"]);
    assert_eq!(ids(&site.get("/v1/resource/generic").json()), ["mine", "theirs"]);
}
