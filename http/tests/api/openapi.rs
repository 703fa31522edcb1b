//! The OpenAPI document says what is served: no more, no less.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::site::Site;

/// A path as the document writes it, with the methods that stand there.
type Operations = BTreeMap<String, BTreeMap<String, Value>>;

fn document(site: &Site) -> Value {
    site.nobody("GET", "/v1/openapi.json").send().expect(200).json()
}

fn operations(document: &Value) -> Operations {
    let methods = |item: &Value| {
        let methods = item.as_object().unwrap().iter().filter(|(key, _)| *key != "parameters");
        methods.map(|(method, operation)| (method.to_uppercase(), operation.clone())).collect()
    };
    document["paths"].as_object().unwrap().iter().map(|(path, item)| (path.clone(), methods(item))).collect()
}

/// A site where everything that a path may name is there, and the names.
fn furnished() -> (Site, BTreeMap<&'static str, String>) {
    let site = Site::new().with_policy();
    let resource = site.resource("admin", "generic", json!({"id": "web1", "metrics": {"cpu": {}}}));
    let metric = site.metric("admin", json!({"name": "alone"}));
    let names = [("policy", "low"), ("rule", "all"), ("type", "generic"), ("name", "cpu")];
    let mut names: BTreeMap<_, _> = names.map(|(key, name)| (key, name.to_owned())).into();
    names.extend([("resource", resource), ("metric", metric)]);
    (site, names)
}

fn fill(path: &str, names: &BTreeMap<&str, String>) -> String {
    names.iter().fold(path.to_owned(), |path, (key, name)| path.replace(&format!("{{{key}}}"), name))
}

#[test]
fn every_path_has_the_methods_of_the_document_and_no_others() {
    let (site, names) = furnished();
    for (path, methods) in operations(&document(&site)) {
        // These answer any method.
        if ["/", "/healthcheck"].contains(&path.as_str()) {
            site.nobody("GET", &path).send().expect(200);
            continue;
        }
        if path == "/v1" {
            site.nobody("GET", &path).send().expect(302);
            continue;
        }
        let refused = site.ask("admin", "PUT", &fill(&path, &names)).send();
        assert_eq!(refused.status, 405, "{path}: {}", refused.body);
        let documented: Vec<_> = methods.keys().map(String::as_str).collect();
        assert_eq!(refused.header("allow"), Some(documented.join(", ").as_str()), "{path}");
    }
}

/// Words that stand in the patterns by which requests are routed, such as `history` in `["history", ..] =>`.
fn words_of_routes() -> BTreeSet<String> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/v1");
    let mut words = BTreeSet::new();
    for source in fs::read_dir(sources).unwrap().map(|entry| entry.unwrap().path()) {
        let text = fs::read_to_string(source).unwrap();
        let patterns = text.lines().map(str::trim_start).filter(|line| line.starts_with('['));
        for pattern in
            patterns.filter_map(|line| line.split_once("] ").filter(|(_, rest)| rest.contains("=>")))
        {
            words.extend(pattern.0.split('"').skip(1).step_by(2).map(str::to_owned));
        }
    }
    words
}

#[test]
fn every_word_of_a_route_stands_in_the_document() {
    let documented = operations(&document(&Site::new()));
    let documented: BTreeSet<&str> = documented.keys().flat_map(|path| path.split('/')).collect();
    let words = words_of_routes();
    assert!(words.len() > 20 && words.contains("history") && words.contains("openapi.json"), "{words:?}");
    let silent: Vec<_> = words.iter().filter(|word| !documented.contains(word.as_str())).collect();
    assert!(silent.is_empty(), "routes that the document does not know: {silent:?}");
}

/// Method and path with nameless parameters.
fn nameless(method: &str, path: &str) -> (String, String) {
    let parts = path.split('/').map(|part| if part.starts_with('{') { "{}" } else { part });
    (method.to_owned(), parts.collect::<Vec<_>>().join("/"))
}

#[test]
fn the_document_has_every_endpoint_of_the_contract_and_two_of_ours() {
    let contract = include_str!("endpoints.json");
    let contract: Value = serde_json::from_str(contract).unwrap();
    let text = |endpoint: &Value, key: &str| endpoint[key].as_str().unwrap().to_owned();
    let contract = contract.as_array().unwrap().iter();
    let mut expected: BTreeSet<_> =
        contract.map(|one| nameless(&text(one, "method"), &text(one, "path"))).collect();
    assert!(expected.remove(&nameless("OPTIONS", "/*")), "answered wherever it is asked");
    expected.extend([nameless("GET", "/metrics"), nameless("GET", "/v1/openapi.json")]);
    let documented: BTreeSet<_> = operations(&document(&Site::new()))
        .iter()
        .flat_map(|(path, methods)| methods.keys().map(|method| nameless(method, path)))
        .collect();
    assert_eq!(documented, expected);
}

#[test]
fn who_must_say_who_asks() {
    let (site, names) = furnished();
    for (path, methods) in operations(&document(&site)) {
        for (method, operation) in methods {
            let status = site
                .nobody(&method, &fill(&path, &names))
                .header("Content-Type", "application/json")
                .body(b"{}")
                .send()
                .status;
            let open = operation["security"] == json!([]);
            let early = status == 400 || status == 415; // some look at the body before they ask who it is from
            assert!(open == (status != 401) || (!open && early), "{method} {path}: {status}");
        }
    }
}

/// Whether a media type is accepted shows in whether it is refused with 415.
#[test]
fn bodies_have_the_types_of_the_document() {
    let (site, names) = furnished();
    for (path, methods) in operations(&document(&site)) {
        for (method, operation) in methods {
            let url = format!("{}?metric_id={}", fill(&path, &names), names["metric"]);
            let ask = |media_type: &str| {
                let ask = site.ask("admin", &method, &url).header("Content-Type", media_type);
                ask.body(b"[not JSON").send().status
            };
            let body = &operation["requestBody"]["content"];
            if body.is_null() || !body["*/*"].is_null() || path == "/v1/influxdb/query" {
                continue;
            }
            for media_type in ["application/json", "application/json-patch+json", "text/plain"] {
                let expected = if body[media_type].is_null() { 415 } else { 400 };
                assert_eq!(ask(media_type), expected, "{method} {path} {media_type}");
            }
        }
    }
}

/// Calls `see` with every object in a value.
fn walk(value: &Value, see: &mut impl FnMut(&serde_json::Map<String, Value>)) {
    match value {
        Value::Object(object) => {
            see(object);
            object.values().for_each(|value| walk(value, see));
        }
        Value::Array(list) => list.iter().for_each(|value| walk(value, see)),
        _ => {}
    }
}

#[test]
fn the_document_holds_together() {
    let site = Site::new();
    let document = document(&site);
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["servers"], json!([{"url": "http://here"}]));
    let mut used = BTreeSet::new();
    walk(&document, &mut |object| {
        if let Some(Value::String(target)) = object.get("$ref") {
            let found = document.pointer(target.strip_prefix('#').unwrap());
            assert!(found.is_some(), "{target} is not there");
            used.insert(target.clone());
        }
    });
    for (kind, components) in document["components"].as_object().unwrap() {
        for name in components.as_object().unwrap().keys().filter(|_| kind != "securitySchemes") {
            assert!(used.contains(&format!("#/components/{kind}/{name}")), "{kind}/{name} is not used");
        }
    }
    let mut ids = BTreeSet::new();
    for (path, methods) in operations(&document) {
        let shared = &document["paths"][&path]["parameters"];
        for (method, operation) in methods {
            let id = operation["operationId"].as_str().unwrap().to_owned();
            assert!(ids.insert(id), "{method} {path} has the name of another");
            assert!(operation["responses"].as_object().is_some_and(|responses| !responses.is_empty()));
            assert!(!operation["summary"].as_str().unwrap().is_empty());
        }
        let in_path: Vec<_> = path.split('/').filter(|part| part.starts_with('{')).collect();
        let declared = shared.as_array().into_iter().flatten().map(|one| one["$ref"].as_str().unwrap());
        let declared: Vec<_> =
            declared.map(|target| format!("{{{}}}", target.rsplit('/').next().unwrap())).collect();
        assert_eq!(in_path, declared, "{path}");
    }
}
