//! Which resources and metrics a list shows to whom.
//!
//! With tokens, a rule is tried on imagined targets (a resource of the caller's project, one created
//! from that project); those it lets through become conditions. Without tokens lists show everything,
//! unless users are isolated; but nobody deletes what others made.

use std::borrow::Cow;

use orzo_model::filter::{Cell, Condition, Field, Like, Operator, Test};
use orzo_store::index::Visibility;

use super::{Identity, Rules};
use crate::error::{ApiError, Outcome};
use hyper::StatusCode;

/// Who looks, and by which rules.
#[derive(Clone, Copy)]
pub struct Onlooker<'a> {
    /// Who.
    pub identity: &'a Identity,
    /// The policy.
    pub rules: &'a Rules,
    /// Whether principals come with projects.
    pub has_projects: bool,
    /// Whether, without projects, users see only what they made.
    pub isolated: bool,
}

impl Onlooker<'_> {
    /// The resources that `rule` (`list resource`, `search resource`) shows.
    pub fn resources(&self, rule: &str) -> Outcome<Condition> {
        if self.allows(rule, &[]) {
            Ok(Condition::Always)
        } else if self.has_projects {
            any(self.of_project(rule, "project_id", "created_by_project_id"))
        } else if self.isolated {
            self.own(rule)
        } else {
            Ok(Condition::Always)
        }
    }

    /// The resources that a query may delete.
    pub fn deletable(&self) -> Outcome<Condition> {
        let rule = "delete resources";
        if self.allows(rule, &[]) {
            Ok(Condition::Always)
        } else if self.has_projects {
            any(self.of_project(rule, "project_id", "created_by_project_id"))
        } else {
            self.own(rule)
        }
    }

    /// The metrics that are listed; `None`: all.
    pub fn metrics(&self) -> Outcome<Option<Visibility>> {
        let rule = "list metric";
        if self.allows(rule, &[]) || !(self.has_projects || self.isolated) {
            return Ok(None);
        }
        if !self.has_projects {
            let creator = Some(Like::new(&Like::escape(&self.identity.creator)));
            return Ok(Some(Visibility { creator, resource: Condition::Or(Vec::new()) }));
        }
        let creator =
            self.allows(rule, &[("created_by_project_id", self.project())]).then(|| self.project_mates());
        let of_resource = self.of_project(rule, "resource.project_id", "resource.created_by_project_id");
        if creator.is_none() && of_resource.is_empty() {
            return Err(insufficient());
        }
        let mut resource = of_resource;
        if !resource.is_empty() {
            resource.push(Condition::Is(Field::Creator, Test::Like(self.project_mates())));
        }
        Ok(Some(Visibility { creator, resource: Condition::Or(resource) }))
    }

    /// Whether `rule` could let this caller see any resource at all.
    pub fn may_see_some(&self, rule: &str) -> bool {
        self.allows(rule, &[]) || !self.of_project(rule, "project_id", "created_by_project_id").is_empty()
    }

    fn allows(&self, rule: &str, target: &[(&str, &str)]) -> bool {
        self.rules.allow(rule, target, self.identity)
    }

    fn project(&self) -> &str {
        self.identity.project_id.as_deref().unwrap_or("")
    }

    /// Creators of the caller's project.
    fn project_mates(&self) -> Like {
        Like::ends_with(&format!(":{}", self.project()))
    }

    /// What `rule` lets through of the caller's project: owned by it, created from it.
    fn of_project(&self, rule: &str, owner: &str, creator: &str) -> Vec<Condition> {
        let mut conditions = Vec::new();
        if self.allows(rule, &[(owner, self.project())]) {
            conditions.push(equals(Field::ProjectId, self.project()));
        }
        if self.allows(rule, &[(creator, self.project())]) {
            conditions.push(Condition::Is(Field::Creator, Test::Like(self.project_mates())));
        }
        conditions
    }

    fn own(&self, rule: &str) -> Outcome<Condition> {
        let creator = self.identity.creator.as_str();
        if self.allows(rule, &[("creator", creator)]) {
            Ok(equals(Field::Creator, creator))
        } else {
            Err(insufficient())
        }
    }
}

fn any(conditions: Vec<Condition>) -> Outcome<Condition> {
    if conditions.is_empty() { Err(insufficient()) } else { Ok(Condition::Or(conditions)) }
}

fn equals(field: Field, text: &str) -> Condition {
    Condition::Is(field, Test::Compare(Operator::Equal, Cell::Text(Cow::Owned(text.to_owned()))))
}

fn insufficient() -> ApiError {
    ApiError::text(StatusCode::FORBIDDEN, "Insufficient privileges")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn look<T>(identity: &Identity, has_projects: bool, see: impl FnOnce(Onlooker<'_>) -> T) -> T {
        let rules = Rules::new(&BTreeMap::new()).unwrap();
        see(Onlooker { identity, rules: &rules, has_projects, isolated: false })
    }

    fn named(name: &str) -> Identity {
        let roles = if name == "admin" { vec!["admin".to_owned()] } else { vec![] };
        Identity { creator: name.to_owned(), roles, ..Identity::default() }
    }

    fn member() -> Identity {
        Identity::from_token(Some("u".to_owned()), Some("p".to_owned()), &["member"])
    }

    #[test]
    fn users_without_projects_see_all_and_delete_their_own() {
        let user = named("foobar");
        assert_eq!(look(&user, false, |o| o.resources("list resource")).unwrap(), Condition::Always);
        assert!(look(&user, false, |o| o.metrics()).unwrap().is_none());
        assert_eq!(look(&user, false, |o| o.deletable()).unwrap(), equals(Field::Creator, "foobar"));
        assert_eq!(look(&named("admin"), false, |o| o.deletable()).unwrap(), Condition::Always);
    }

    #[test]
    fn isolated_users_see_their_own() {
        let (user, rules) = (named("foobar"), Rules::new(&BTreeMap::new()).unwrap());
        let onlooker = Onlooker { identity: &user, rules: &rules, has_projects: false, isolated: true };
        assert_eq!(onlooker.resources("list resource").unwrap(), equals(Field::Creator, "foobar"));
        let visible = onlooker.metrics().unwrap().unwrap();
        assert!(visible.creator.unwrap().matches("foobar"));
        assert_eq!(visible.resource, Condition::Or(Vec::new()));
    }

    #[test]
    fn members_see_their_project() {
        let condition = look(&member(), true, |o| o.resources("search resource")).unwrap();
        let Condition::Or(parts) = condition else { panic!("a choice") };
        assert_eq!(parts[0], equals(Field::ProjectId, "p"));
        assert_eq!(parts[1], Condition::Is(Field::Creator, Test::Like(Like::ends_with(":p"))));
        let visible = look(&member(), true, |o| o.metrics()).unwrap().unwrap();
        assert!(visible.creator.unwrap().matches("other:p"));
        let Condition::Or(deletable) = look(&member(), true, |o| o.deletable()).unwrap() else { panic!() };
        assert_eq!(deletable.len(), 1, "an owner may look but not delete");
    }

    #[test]
    fn service_searches_everything_but_lists_its_project() {
        let service = Identity::from_token(None, Some("p".to_owned()), &["service"]);
        assert_eq!(look(&service, true, |o| o.resources("search resource")).unwrap(), Condition::Always);
        assert_ne!(look(&service, true, |o| o.resources("list resource")).unwrap(), Condition::Always);
    }
}
