//! Tokens of an identity service: principals with users, projects and roles.

use std::sync::Arc;

use orzo_http::{AuthMode, Config, Identity, TokenCheck, TokenRefused};
use serde_json::{Value, json};

use crate::site::{Ask, Reply, Site};

/// Tokens are `user/project/role`.
struct Spelled;

impl TokenCheck for Spelled {
    fn check(&self, token: Option<&str>) -> Result<Identity, TokenRefused> {
        let parts: Vec<&str> = token.unwrap_or("").split('/').collect();
        let [user, project, role] = parts[..] else {
            return Err(TokenRefused { identity_url: "http://identity/v3".to_owned() });
        };
        let project = Some(project).filter(|project| !project.is_empty());
        Ok(Identity::from_token(Some(user.to_owned()), project.map(str::to_owned), &[role]))
    }
}

const ADMIN: &str = "root/p0/Admin";
const MINE: &str = "u1/p1/member";
const MATE: &str = "u2/p1/member";
const OWNER: &str = "u3/p2/member";
const STRANGER: &str = "u4/p3/member";
const SERVICE: &str = "s/p4/service";
const HOMELESS: &str = "u5//member";

struct Cloud(Site);

impl Cloud {
    /// A resource `r` made by `MINE` and owned by the project of `OWNER`, with a metric `m`; and a
    /// stand-alone metric of `MINE`.
    fn new() -> (Self, String, [String; 2]) {
        let cloud =
            Cloud(Site::with(Config { auth: AuthMode::Token(Arc::new(Spelled)), ..Config::default() }));
        let policy =
            json!({"name": "low", "definition": [{"granularity": 60}], "aggregation_methods": ["mean"]});
        cloud.ask(ADMIN, "POST", "/v1/archive_policy").json(policy).expect(201);
        let rule = json!({"name": "all", "metric_pattern": "*", "archive_policy_name": "low"});
        cloud.ask(ADMIN, "POST", "/v1/archive_policy_rule").json(rule).expect(201);
        let body = json!({"id": "r", "project_id": "p2", "metrics": {"m": {}}});
        let made = cloud.ask(MINE, "POST", "/v1/resource/generic").json(body).expect(201).json();
        let alone = cloud.ask(MINE, "POST", "/v1/metric").json(json!({"name": "alone"})).expect(201).json();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (cloud, text(&made["id"]), [text(&made["metrics"]["m"]), text(&alone["id"])])
    }

    fn ask(&self, token: &str, method: &str, path: &str) -> Ask<'_> {
        self.0.nobody(method, path).header("X-Auth-Token", token).header("Accept", "application/json")
    }

    fn get(&self, token: &str, path: &str) -> Reply {
        self.ask(token, "GET", path).send()
    }

    fn count(&self, token: &str, path: &str) -> usize {
        self.get(token, path).expect(200).json().as_array().unwrap().len()
    }
}

#[test]
fn everything_below_v1_needs_a_token() {
    let (cloud, ..) = Cloud::new();
    for path in ["/v1/", "/v1/resource", "/v1/capabilities", "/v1/influxdb/ping", "/v1/nope"] {
        let refused = cloud.0.nobody("GET", path).send().expect(401);
        assert_eq!(refused.header("www-authenticate"), Some("Keystone uri=\"http://identity/v3\""));
        assert_eq!(refused.json()["error"]["code"], 401);
    }
    for path in ["/", "/healthcheck", "/metrics"] {
        cloud.0.nobody("GET", path).send().expect(200);
    }
    cloud
        .0
        .nobody("GET", "/v1/metric")
        .header("X-User-Id", "u1")
        .header("X-Project-Id", "p1")
        .send()
        .expect(401);
    cloud.get(MINE, "/v1/").expect(200);
}

#[test]
fn principals_are_pairs() {
    let (cloud, id, _) = Cloud::new();
    let shown = cloud.get(MINE, &format!("/v1/resource/generic/{id}")).expect(200).json();
    assert_eq!(shown["creator"], "u1:p1");
    assert_eq!((&shown["created_by_user_id"], &shown["created_by_project_id"]), (&json!("u1"), &json!("p1")));
}

#[test]
fn a_resource_that_may_not_be_seen_does_not_exist() {
    let (cloud, id, [metric, _]) = Cloud::new();
    let path = format!("/v1/resource/generic/{id}");
    for token in [ADMIN, MINE, MATE, OWNER] {
        for below in ["", "/history", "/metric"] {
            cloud.get(token, &format!("{path}{below}")).expect(200);
        }
    }
    for token in [STRANGER, SERVICE, HOMELESS] {
        for below in ["", "/history", "/metric"] {
            cloud.get(token, &format!("{path}{below}")).says(404, &format!("Resource {id} does not exist"));
        }
    }
    cloud.get(STRANGER, &format!("/v1/metric/{metric}")).expect(403);
}

#[test]
fn who_may_change_and_measure() {
    let (cloud, id, [metric, _]) = Cloud::new();
    let path = format!("/v1/resource/generic/{id}");
    let measures = format!("/v1/metric/{metric}/measures");
    for (token, may_change, may_read) in [
        (ADMIN, true, true),
        (MINE, true, true),
        (MATE, true, true),
        (SERVICE, true, true),
        (OWNER, false, true),
        (STRANGER, false, false),
    ] {
        let status = |may, good| if may { good } else { 403 };
        cloud.ask(token, "PATCH", &path).json(json!({})).expect(status(may_change, 200));
        cloud.ask(token, "POST", &measures).json(json!([])).expect(status(may_change, 202));
        cloud.get(token, &measures).expect(status(may_read, 200));
        cloud.get(token, &format!("/v1/aggregation/metric?metric={metric}")).expect(status(may_read, 200));
        let search = format!("/v1/search/metric?metric_id={metric}");
        let sought = cloud.ask(token, "POST", &search).send().status;
        assert_eq!(sought == 403, !may_read || token == SERVICE, "{token}");
    }
    for token in [OWNER, STRANGER, SERVICE] {
        cloud.ask(token, "DELETE", &path).send().expect(403);
    }
    cloud.ask(MATE, "DELETE", &path).send().expect(204);
}

#[test]
fn lists_show_ones_project() {
    let (cloud, _, [metric, alone]) = Cloud::new();
    let resources = "/v1/resource/generic";
    for (token, listed, found) in [
        (ADMIN, 1, 1),
        (MINE, 1, 1),
        (MATE, 1, 1),
        (OWNER, 1, 1),
        (SERVICE, 0, 1),
        (STRANGER, 0, 0),
        (HOMELESS, 0, 0),
    ] {
        assert_eq!(cloud.count(token, resources), listed, "{token}");
        let search = cloud.ask(token, "POST", "/v1/search/resource/generic").send().expect(200).json();
        assert_eq!(search.as_array().unwrap().len(), found, "{token}");
    }
    let ids = |token: &str| -> Vec<String> {
        let list = cloud.get(token, "/v1/metric?sort=name:desc").expect(200).json();
        list.as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(MINE), [metric.clone(), alone.clone()], "also those of no resource");
    assert_eq!(ids(MATE), [metric.clone(), alone]);
    assert_eq!(ids(OWNER), [metric]);
    assert_eq!(ids(STRANGER), [""; 0]);
    assert_eq!(ids(HOMELESS), [""; 0]);
}

#[test]
fn deletion_by_filter_stays_in_the_project() {
    let (cloud, ..) = Cloud::new();
    let delete = |token: &str| {
        let filter = json!({"!=": {"user_id": "nobody"}});
        cloud.ask(token, "DELETE", "/v1/resource/generic").json(filter).expect(200).json()["deleted"].clone()
    };
    assert_eq!((delete(OWNER), delete(STRANGER), delete(MATE)), (json!(0), json!(0), json!(1)));
}

#[test]
fn roles_open_types_and_policies() {
    let (cloud, ..) = Cloud::new();
    for (token, status) in [(ADMIN, 201), (SERVICE, 201), (MINE, 403)] {
        let name = token.replace('/', "");
        cloud.ask(token, "POST", "/v1/resource_type").json(json!({"name": name})).expect(status);
        let policy = json!({"name": name, "definition": [{"granularity": 1}]});
        cloud.ask(token, "POST", "/v1/archive_policy").json(policy).expect(status);
    }
    cloud.get(SERVICE, "/v1/status").expect(403);
}

#[test]
fn rules_of_the_policy_can_be_replaced() {
    let rules = [("list resource", "!"), ("get resource", "!"), ("create archive policy", "@")];
    let policy_rules = rules.map(|(name, rule)| (name.to_owned(), rule.to_owned())).into();
    let auth = AuthMode::Token(Arc::new(Spelled));
    let cloud = Cloud(Site::with(Config { auth, policy_rules, ..Config::default() }));
    cloud.get(MINE, "/v1/resource/generic").says(403, "Insufficient privileges");
    let id = cloud.ask(MINE, "POST", "/v1/resource/generic").json(json!({"id": "r"})).expect(201).json();
    let path = format!("/v1/resource/generic/{}", id["id"].as_str().unwrap());
    cloud.get(ADMIN, &path).expect(403);
    let policy = json!({"name": "x", "definition": [{"granularity": 1}]});
    cloud.ask(STRANGER, "POST", "/v1/archive_policy").json(policy).expect(201);
}
