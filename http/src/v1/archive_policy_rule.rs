//! `/v1/archive_policy_rule`: which policy a metric gets that asks for none.

use hyper::Method;
use orzo_model::metric::NAME_CHARS_MAX;
use orzo_store::index::{self, Rule};

use super::show;
use crate::auth::Target;
use crate::call::Call;
use crate::error::{ApiError, Outcome};
use crate::json::Value;
use crate::response::Response;
use crate::schema::{Invalid, Node};

/// An unknown rule is 404 whatever the method.
pub(super) fn route(call: &Call<'_>, below: &[&str]) -> Outcome {
    let [name, ref rest @ ..] = *below else {
        return call.act(&[(Method::GET, &|| list(call)), (Method::POST, &|| create(call))]);
    };
    let rule = call.index().rule(name)?;
    if !rest.is_empty() {
        return call.nothing_below(&[Method::GET, Method::PATCH, Method::DELETE]);
    }
    call.act(&[
        (Method::GET, &|| get(call, &rule)),
        (Method::PATCH, &|| rename(call, &rule)),
        (Method::DELETE, &|| delete(call, &rule)),
    ])
}

struct RuleTarget<'a>(&'a Rule);

impl Target for RuleTarget<'_> {
    fn field(&self, name: &str) -> Option<std::borrow::Cow<'_, str>> {
        match name {
            "name" => Some(self.0.name.as_str().into()),
            "metric_pattern" => Some(self.0.pattern.as_str().into()),
            "archive_policy_name" => Some(self.0.policy.as_str().into()),
            _ => None,
        }
    }
}

fn list(call: &Call<'_>) -> Outcome {
    call.enforce("list archive policy rule", &())?;
    let rules = call.index().rules()?;
    Ok(Response::ok(&Value::list(rules.iter().map(|rule| show::rule(rule)))))
}

fn get(call: &Call<'_>, rule: &Rule) -> Outcome {
    call.enforce("get archive policy rule", &RuleTarget(rule))?;
    Ok(Response::ok(&show::rule(rule)))
}

fn create(call: &Call<'_>) -> Outcome {
    call.enforce("create archive policy rule", &())?;
    let body = call.json()?;
    let rule = call.index().create_rule(read_rule(Node::root(&body))?).map_err(|error| match error {
        index::Error::UnknownPolicy(name) => {
            ApiError::bad_object([("cause", "Archive policy does not exist".into()), ("detail", name.into())])
        }
        other => other.into(),
    })?;
    Ok(call.created(&format!("/v1/archive_policy_rule/{}", rule.name), Response::ok(&show::rule(&rule))))
}

pub(super) fn read_rule(body: Node<'_>) -> Result<Rule, Invalid> {
    let (mut name, mut pattern, mut policy) = (None, None, None);
    for (key, field) in body.fields()? {
        match key {
            "name" => name = Some(field.text_at_most(NAME_CHARS_MAX)?.to_owned()),
            "metric_pattern" => pattern = Some(field.text_at_most(NAME_CHARS_MAX)?.to_owned()),
            "archive_policy_name" => policy = Some(field.text()?.to_owned()),
            _ => return Err(field.extra()),
        }
    }
    Ok(Rule {
        name: body.require("name", name)?,
        pattern: body.require("metric_pattern", pattern)?,
        policy: body.require("archive_policy_name", policy)?,
    })
}

/// The body is checked before the rights.
fn rename(call: &Call<'_>, rule: &Rule) -> Outcome {
    let body = call.json()?;
    let node = Node::root(&body);
    let mut name = None;
    for (key, field) in node.fields()? {
        match key {
            "name" => name = Some(field.text_at_most(NAME_CHARS_MAX)?),
            _ => return Err(field.extra().into()),
        }
    }
    let name = node.require("name", name)?;
    call.enforce("update archive policy rule", &RuleTarget(rule))?;
    Ok(Response::ok(&show::rule(&*call.index().rename_rule(&rule.name, name)?)))
}

fn delete(call: &Call<'_>, rule: &Rule) -> Outcome {
    call.enforce("delete archive policy rule", &RuleTarget(rule))?;
    call.index().delete_rule(&rule.name)?;
    Ok(Response::no_content())
}
