//! Changes of one object by many clients at a time.

use std::sync::Arc;

use orzo_http::{Config, Engine, EngineError, EngineStatus, Post, Query};
use orzo_model::{ArchivePolicy, Column, MetricId};
use serde_json::json;

use crate::site::Site;
use crate::support::MemoryEngine;

#[test]
fn one_of_many_creators_makes_it() {
    let site = Site::new();
    for round in 0..20 {
        let body = json!({"id": format!("r{round}")});
        let create = || site.post("/v1/resource/generic", body.clone()).status;
        let mut statuses: Vec<u16> = std::thread::scope(|scope| {
            let creators: Vec<_> = (0..8).map(|_| scope.spawn(create)).collect();
            creators.into_iter().map(|creator| creator.join().unwrap()).collect()
        });
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 409, 409, 409, 409, 409, 409, 409]);
        site.delete(&format!("/v1/resource/generic/r{round}")).expect(204);
    }
}

#[test]
fn what_one_was_told_the_others_see() {
    let site = &Site::new();
    site.resource("admin", "generic", json!({"id": "shared"}));
    std::thread::scope(|scope| {
        for client in 0..4 {
            scope.spawn(move || {
                for number in 0..20 {
                    let id = format!("r{client}-{number}");
                    let path = format!("/v1/resource/generic/{id}");
                    site.resource("admin", "generic", json!({"id": id}));
                    site.get(&path).expect(200);
                    let project = json!({"project_id": number.to_string()});
                    let patched = site.patch(&path, project).expect(200).json();
                    assert_eq!(site.get(&path).expect(200).json(), patched);
                    site.patch("/v1/resource/generic/shared", json!({"user_id": id})).expect(200);
                    site.delete(&path).expect(204);
                    site.get(&path).expect(404);
                }
            });
        }
    });
    let history = site.get("/v1/resource/generic/shared/history").expect(200).json();
    assert_eq!(history.as_array().unwrap().len(), 81, "no change of the shared one is lost");
}

/// Panics when it is to forget something.
struct Forgetless(MemoryEngine);

impl Engine for Forgetless {
    fn post(&self, posts: Vec<Post>) -> Result<(), EngineError> {
        self.0.post(posts)
    }

    fn read(&self, query: &Query) -> Result<Column, EngineError> {
        self.0.read(query)
    }

    fn forget(&self, _: &[MetricId]) {
        panic!("on purpose");
    }

    fn policy_changed(&self, policy: &Arc<ArchivePolicy>) {
        self.0.policy_changed(policy);
    }

    fn status(&self) -> EngineStatus {
        self.0.status()
    }

    fn scrape(&self) -> String {
        self.0.scrape()
    }
}

#[test]
fn a_panic_costs_one_answer() {
    let site = Site::with_engine(Arc::new(Forgetless(MemoryEngine::default())), Config::default());
    let site = site.with_policy();
    for _ in 0..2 {
        let metric = site.metric("admin", json!({"archive_policy_name": "low"}));
        site.delete(&format!("/v1/metric/{metric}")).expect(500);
    }
    site.resource("admin", "generic", json!({"id": "r"}));
}
