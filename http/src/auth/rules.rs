//! Rules of the policy: who may do what, in the language of OpenStack's policy files.
//!
//! `role:admin or (user:%(creator)s and not project_id:%(project_id)s)`; `rule:x` stands for another
//! rule, the empty rule and `@` let everybody through, `!` nobody.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use super::Identity;

/// The thing acted upon.
pub trait Target {
    /// One of its fields as text: `creator`, `created_by_project_id`, `project_id`,
    /// `resource.project_id`, … `None` if it has none of that name, which makes a check false.
    fn field(&self, name: &str) -> Option<Cow<'_, str>>;
}

/// Nothing in particular.
impl Target for () {
    fn field(&self, _name: &str) -> Option<Cow<'_, str>> {
        None
    }
}

/// A thing of which some fields are known.
impl Target for [(&str, &str)] {
    fn field(&self, name: &str) -> Option<Cow<'_, str>> {
        self.iter().find(|(own, _)| *own == name).map(|(_, value)| Cow::Borrowed(*value))
    }
}

impl<const N: usize> Target for [(&str, &str); N] {
    fn field(&self, name: &str) -> Option<Cow<'_, str>> {
        self.as_slice().field(name)
    }
}

/// A rule of a policy file cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("policy rule `{name}': cannot read `{text}'")]
pub struct RuleError {
    /// Of the rule.
    pub name: String,
    /// What it says.
    pub text: String,
}

const DEFAULTS: [(&str, &str); 36] = [
    ("context_is_admin", "role:admin"),
    ("admin_or_creator", "role:admin or user:%(creator)s or project_id:%(created_by_project_id)s"),
    ("admin_or_service", "role:admin or role:service"),
    ("creator", "user:%(creator)s or project_id:%(created_by_project_id)s"),
    ("resource_owner", "project_id:%(project_id)s"),
    ("metric_owner", "project_id:%(resource.project_id)s"),
    ("get status", "role:admin"),
    ("create resource", ""),
    ("get resource", "rule:admin_or_creator or rule:resource_owner"),
    ("update resource", "rule:admin_or_service or rule:creator"),
    ("delete resource", "rule:admin_or_creator"),
    ("delete resources", "rule:admin_or_creator"),
    ("list resource", "rule:admin_or_creator or rule:resource_owner"),
    ("search resource", "rule:admin_or_service or rule:creator or rule:resource_owner"),
    ("create resource type", "rule:admin_or_service"),
    ("delete resource type", "role:admin"),
    ("list resource type", ""),
    ("get resource type", ""),
    ("update resource type", "rule:admin_or_service"),
    ("create archive policy", "rule:admin_or_service"),
    ("get archive policy", ""),
    ("list archive policy", ""),
    ("update archive policy", "role:admin"),
    ("delete archive policy", "role:admin"),
    ("create archive policy rule", "role:admin"),
    ("get archive policy rule", ""),
    ("list archive policy rule", ""),
    ("update archive policy rule", "role:admin"),
    ("delete archive policy rule", "role:admin"),
    ("create metric", ""),
    ("delete metric", "rule:admin_or_creator"),
    ("get metric", "rule:admin_or_service or rule:creator or rule:metric_owner"),
    ("search metric", "rule:admin_or_creator or rule:metric_owner"),
    ("list metric", "rule:admin_or_creator or rule:metric_owner"),
    ("get measures", "rule:admin_or_service or rule:creator or rule:metric_owner"),
    ("post measures", "rule:admin_or_service or rule:creator"),
];

/// How deep rules may stand for rules, so that a circle ends.
const DEPTH_MAX: u32 = 32;

/// All rules, by name.
#[derive(Clone, Debug)]
pub struct Rules {
    checks: HashMap<String, Check>,
}

impl Rules {
    /// The defaults, some of them replaced.
    pub fn new(overrides: &BTreeMap<String, String>) -> Result<Rules, RuleError> {
        let mut checks = HashMap::new();
        let defaults = DEFAULTS.iter().map(|(name, text)| (*name, *text));
        let overrides = overrides.iter().map(|(name, text)| (name.as_str(), text.as_str()));
        for (name, text) in defaults.chain(overrides) {
            let error = || RuleError { name: name.to_owned(), text: text.to_owned() };
            checks.insert(name.to_owned(), Check::parse(text).ok_or_else(error)?);
        }
        Ok(Rules { checks })
    }

    /// Whether a rule lets `who` do something to `target`. An unknown rule lets nobody.
    pub fn allow(&self, rule: &str, target: &(impl Target + ?Sized), who: &Identity) -> bool {
        self.passes(&Check::Rule(rule.to_owned()), target, who, 0)
    }

    fn passes(&self, check: &Check, target: &(impl Target + ?Sized), who: &Identity, depth: u32) -> bool {
        match check {
            Check::Always => true,
            Check::Never => false,
            Check::Rule(name) => {
                depth < DEPTH_MAX
                    && self.checks.get(name).is_some_and(|check| self.passes(check, target, who, depth + 1))
            }
            Check::Role(role) => role.of(target).is_some_and(|role| who.roles.contains(&role.to_lowercase())),
            Check::Attribute(name, wanted) => {
                attribute(who, name).is_some_and(|own| wanted.of(target).is_some_and(|wanted| wanted == own))
            }
            Check::Literal(own, wanted) => wanted.of(target).is_some_and(|wanted| wanted == own.as_str()),
            Check::Not(inner) => !self.passes(inner, target, who, depth),
            Check::And(all) => all.iter().all(|check| self.passes(check, target, who, depth)),
            Check::Or(any) => any.iter().any(|check| self.passes(check, target, who, depth)),
        }
    }
}

fn attribute<'a>(who: &'a Identity, name: &str) -> Option<&'a str> {
    match name {
        "user" => Some(&who.creator),
        "user_id" => who.user_id.as_deref(),
        "project_id" => who.project_id.as_deref(),
        "domain_id" => who.domain_id.as_deref(),
        _ => None,
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Check {
    Always,
    Never,
    Rule(String),
    Role(Text),
    /// An attribute of who asks.
    Attribute(String, Text),
    /// A quoted text in place of an attribute.
    Literal(String, Text),
    Not(Box<Check>),
    And(Vec<Check>),
    Or(Vec<Check>),
}

/// The right side of a check.
#[derive(Clone, Debug, PartialEq)]
enum Text {
    Fixed(String),
    /// `%(name)s`: a field of the target.
    Field(String),
}

impl Text {
    fn parse(text: &str) -> Text {
        match text.strip_prefix("%(").and_then(|rest| rest.strip_suffix(")s")) {
            Some(field) => Text::Field(field.to_owned()),
            None => Text::Fixed(text.trim_matches(['\'', '"']).to_owned()),
        }
    }

    fn of<'a>(&'a self, target: &'a (impl Target + ?Sized)) -> Option<Cow<'a, str>> {
        match self {
            Text::Fixed(text) => Some(Cow::Borrowed(text)),
            Text::Field(name) => target.field(name),
        }
    }
}

impl Check {
    fn parse(text: &str) -> Option<Check> {
        let tokens = tokens(text);
        if tokens.is_empty() {
            return Some(Check::Always);
        }
        let mut rest = tokens.as_slice();
        let check = Self::any(&mut rest)?;
        rest.is_empty().then_some(check)
    }

    fn any(rest: &mut &[&str]) -> Option<Check> {
        let mut checks = vec![Self::all(rest)?];
        while take(rest, "or") {
            checks.push(Self::all(rest)?);
        }
        if checks.len() == 1 { checks.pop() } else { Some(Check::Or(checks)) }
    }

    fn all(rest: &mut &[&str]) -> Option<Check> {
        let mut checks = vec![Self::one(rest)?];
        while take(rest, "and") {
            checks.push(Self::one(rest)?);
        }
        if checks.len() == 1 { checks.pop() } else { Some(Check::And(checks)) }
    }

    fn one(rest: &mut &[&str]) -> Option<Check> {
        if take(rest, "not") {
            return Some(Check::Not(Box::new(Self::one(rest)?)));
        }
        if take(rest, "(") {
            let inner = Self::any(rest)?;
            return take(rest, ")").then_some(inner);
        }
        let (token, after) = rest.split_first()?;
        *rest = after;
        Self::leaf(token)
    }

    fn leaf(token: &str) -> Option<Check> {
        match token {
            "@" => return Some(Check::Always),
            "!" => return Some(Check::Never),
            _ => {}
        }
        let (kind, wanted) = token.split_once(':')?;
        Some(match kind {
            "rule" => Check::Rule(wanted.to_owned()),
            "role" => Check::Role(Text::parse(wanted)),
            quoted if quoted.starts_with(['\'', '"']) => {
                Check::Literal(quoted.trim_matches(['\'', '"']).to_owned(), Text::parse(wanted))
            }
            attribute => Check::Attribute(attribute.to_owned(), Text::parse(wanted)),
        })
    }
}

/// Words, and the parentheses around them (but not those of `%(name)s`).
fn tokens(text: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    for mut word in text.split_whitespace() {
        while let Some(rest) = word.strip_prefix('(') {
            tokens.push("(");
            word = rest;
        }
        let bare = word.trim_end_matches(')');
        if !bare.is_empty() {
            tokens.push(bare);
        }
        tokens.extend(std::iter::repeat_n(")", word.len() - bare.len()));
    }
    tokens
}

fn take(rest: &mut &[&str], word: &str) -> bool {
    match rest.split_first() {
        Some((first, after)) if first.eq_ignore_ascii_case(word) => {
            *rest = after;
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(overrides: &[(&str, &str)]) -> Rules {
        let overrides =
            overrides.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        Rules::new(&overrides).unwrap()
    }

    fn user(name: &str) -> Identity {
        let roles = if name == "admin" { vec!["admin".to_owned()] } else { vec![] };
        Identity { creator: name.to_owned(), roles, ..Identity::default() }
    }

    fn member(project: &str) -> Identity {
        Identity::from_token(Some("u".to_owned()), Some(project.to_owned()), &["member"])
    }

    const OWNED: [(&str, &str); 3] =
        [("creator", "v:p1"), ("created_by_project_id", "p1"), ("project_id", "p2")];

    #[test]
    fn creators_and_admins() {
        let rules = rules(&[]);
        let target = [("creator", "foobar"), ("created_by_project_id", "")];
        for (who, allowed) in [("foobar", true), ("admin", true), ("other", false)] {
            assert_eq!(rules.allow("update resource", &target, &user(who)), allowed, "{who}");
        }
        assert!(rules.allow("create metric", &(), &user("other")));
        assert!(!rules.allow("create archive policy", &(), &user("foobar")));
        assert!(!rules.allow("no such rule", &(), &user("admin")));
    }

    #[test]
    fn projects_share() {
        let rules = rules(&[]);
        assert!(rules.allow("get resource", &OWNED, &member("p1")));
        assert!(rules.allow("get resource", &OWNED, &member("p2")));
        assert!(!rules.allow("get resource", &OWNED, &member("p3")));
        assert!(!rules.allow("update resource", &OWNED, &member("p2")));
        assert!(rules.allow("get metric", &[("resource.project_id", "p")], &member("p")));
        assert!(!rules.allow("get metric", &(), &member("p")));
    }

    #[test]
    fn the_language() {
        let rules = rules(&[
            ("a", "not role:admin and (user:foobar or @)"),
            ("b", "!"),
            ("c", "(role:ADMIN)"),
            ("d", "rule:d"),
            ("e", "'p2':%(project_id)s"),
            ("f", "user:admin or user:foobar and role:none"),
        ]);
        let check = |rule: &str, who: &str| rules.allow(rule, &OWNED, &user(who));
        assert!(check("a", "other") && !check("a", "admin"));
        assert!(!check("b", "admin"));
        assert!(check("c", "admin"));
        assert!(!check("d", "admin"), "a circle lets nobody through");
        assert!(check("e", "anybody"));
        assert!(check("f", "admin") && !check("f", "foobar"));
    }

    #[test]
    fn unreadable_rules_are_refused() {
        for bad in ["role", "(role:x", "role:x)", "or", "role:x role:y", "not", "a:b or"] {
            let overrides = [("get status".to_owned(), bad.to_owned())].into_iter().collect();
            assert!(Rules::new(&overrides).is_err(), "{bad}");
        }
    }
}
