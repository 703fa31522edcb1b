//! Binding a filter to a resource type: attributes become fields, operands values of their kind.

use crate::filter::condition::{Cell, Condition, Field, Test};
use crate::filter::{Filter, Like, Operator, Scalar};
use crate::resource::{ResourceId, parse_uuid};
use crate::resource_type::{AttributeKind, ResourceType};
use crate::time::Timestamp;
use crate::timetext::{parse_timespan, timespan_from_seconds};

/// What the words of a filter mean.
#[derive(Clone, Copy, Debug)]
pub struct BindContext<'a> {
    /// The type of the resources looked for.
    pub resource_type: &'a ResourceType,
    /// Whether archived states are looked for too; they add `revision` and `revision_end`.
    pub history: bool,
    /// The principal whose words resource ids are.
    pub creator: &'a str,
    /// What relative instants count from.
    pub now: Timestamp,
}

/// Why a filter does not fit. The display form is the API's wording.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BindError {
    /// The type has no such attribute.
    #[error("Resource type {resource_type} has no {attribute} attribute")]
    NoAttribute {
        /// Name of the type.
        resource_type: String,
        /// As written.
        attribute: String,
    },
    /// The operand is not of the field's kind, or the field cannot be compared so.
    #[error("Invalid value: `{value}' for field `{field}'")]
    InvalidValue {
        /// As text.
        value: String,
        /// As written.
        field: String,
    },
}

/// Binds a filter.
pub fn bind(filter: &Filter, context: &BindContext<'_>) -> Result<Condition, BindError> {
    let bind_all = |parts: &[Filter]| parts.iter().map(|part| bind(part, context)).collect::<Result<_, _>>();
    match filter {
        Filter::All => Ok(Condition::Always),
        Filter::And(parts) => Ok(Condition::And(bind_all(parts)?)),
        Filter::Or(parts) => Ok(Condition::Or(bind_all(parts)?)),
        Filter::Not(part) => Ok(Condition::Not(Box::new(bind(part, context)?))),
        Filter::Compare { operator, attribute, operand } => {
            context.target(attribute)?.compare(*operator, operand).ok_or_else(|| invalid(attribute, operand))
        }
        Filter::Like { attribute, pattern } => {
            context.target(attribute)?.like(pattern).ok_or_else(|| invalid(attribute, pattern))
        }
        Filter::In { attribute, operands } => {
            let target = context.target(attribute)?;
            let cells = operands
                .iter()
                .map(|operand| target.member(operand).ok_or_else(|| invalid(attribute, operand)));
            // Nulls equal nothing, so they are left out.
            let cells: Vec<_> = cells.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect();
            Ok(Condition::Is(target.field, Test::In(cells)))
        }
    }
}

fn invalid(field: &str, value: &Scalar) -> BindError {
    BindError::InvalidValue { value: value.to_text(), field: field.to_owned() }
}

/// What an attribute's name means: a field, and how operands of it read.
struct Target {
    field: Field,
    reading: Reading,
    creator: String,
    now: Timestamp,
}

#[derive(Clone, Copy, PartialEq)]
enum Reading {
    Text,
    Uuid,
    Number,
    Bool,
    Time,
    Integer,
    /// Any text, derived as the ids of resources are.
    ResourceId,
    /// A positive timespan.
    Lifespan,
    /// The part of a principal before its colon.
    CreatorUser,
    /// The part of a principal after its colon.
    CreatorProject,
}

impl BindContext<'_> {
    fn target(&self, attribute: &str) -> Result<Target, BindError> {
        let (field, reading) = self.meaning(attribute).ok_or_else(|| BindError::NoAttribute {
            resource_type: self.resource_type.name.to_string(),
            attribute: attribute.to_owned(),
        })?;
        Ok(Target { field, reading, creator: self.creator.to_owned(), now: self.now })
    }

    fn meaning(&self, attribute: &str) -> Option<(Field, Reading)> {
        let virtual_field = match attribute {
            "lifespan" => Some((Field::Lifespan, Reading::Lifespan)),
            "created_by_user_id" => Some((Field::Creator, Reading::CreatorUser)),
            "created_by_project_id" => Some((Field::Creator, Reading::CreatorProject)),
            _ => None,
        };
        let field = || {
            let field = Field::named(attribute, self.resource_type, self.history)?;
            let reading = self.reading(&field)?;
            Some((field, reading))
        };
        virtual_field.or_else(field)
    }

    fn reading(&self, field: &Field) -> Option<Reading> {
        Some(match field {
            Field::Id => Reading::ResourceId,
            Field::Type | Field::Creator | Field::UserId | Field::ProjectId | Field::OriginalId => {
                Reading::Text
            }
            Field::StartedAt | Field::EndedAt | Field::RevisionStart | Field::RevisionEnd => Reading::Time,
            Field::Revision => Reading::Integer,
            Field::Lifespan => Reading::Lifespan,
            Field::Attribute(name) => match self.resource_type.attributes.get(name)?.kind {
                AttributeKind::Text { .. } => Reading::Text,
                AttributeKind::Uuid => Reading::Uuid,
                AttributeKind::Number { .. } => Reading::Number,
                AttributeKind::Bool => Reading::Bool,
                AttributeKind::Time => Reading::Time,
            },
        })
    }
}

impl Target {
    fn compare(self, operator: Operator, operand: &Scalar) -> Option<Condition> {
        if *operand == Scalar::Null {
            return match operator {
                Operator::Equal => Some(Condition::Is(self.field, Test::IsNull)),
                Operator::NotEqual => Some(Condition::Is(self.field, Test::IsNotNull)),
                _ => None,
            };
        }
        if matches!(self.reading, Reading::CreatorUser | Reading::CreatorProject) {
            return self.compare_part(operator, operand);
        }
        let cell = self.cell(operand)?;
        Some(Condition::Is(self.field, Test::Compare(operator, cell)))
    }

    /// A part of the principal equals a text if the principal starts or ends with it and a colon.
    fn compare_part(self, operator: Operator, operand: &Scalar) -> Option<Condition> {
        let like = self.part(&Like::escape(&operand.to_text()));
        let equal = Condition::Is(self.field, Test::Like(like));
        match operator {
            Operator::Equal => Some(equal),
            Operator::NotEqual => Some(Condition::Not(Box::new(equal))),
            _ => None,
        }
    }

    fn part(&self, pattern: &str) -> Like {
        match self.reading {
            Reading::CreatorUser => Like::new(&format!("{pattern}:%")),
            _ => Like::new(&format!("%:{pattern}")),
        }
    }

    fn like(self, pattern: &Scalar) -> Option<Condition> {
        if *pattern == Scalar::Null {
            return None;
        }
        let like = match self.reading {
            Reading::Text => Like::new(&pattern.to_text()),
            Reading::CreatorUser | Reading::CreatorProject => self.part(&pattern.to_text()),
            _ => return None,
        };
        Some(Condition::Is(self.field, Test::Like(like)))
    }

    /// A member of a list; the inner `None` is a null.
    fn member(&self, operand: &Scalar) -> Option<Option<Cell<'static>>> {
        match self.reading {
            Reading::Lifespan | Reading::CreatorUser | Reading::CreatorProject => None,
            _ if *operand == Scalar::Null => Some(None),
            _ => self.cell(operand).map(Some),
        }
    }

    fn cell(&self, operand: &Scalar) -> Option<Cell<'static>> {
        Some(match (self.reading, operand) {
            (Reading::Text, operand) => Cell::Text(operand.to_text().into()),
            (Reading::Uuid, Scalar::Text(text)) => Cell::Uuid(parse_uuid(text)?),
            (Reading::ResourceId, Scalar::Text(text)) => {
                Cell::Uuid(ResourceId::derive(text, Some(&self.creator)).ok()?.uuid())
            }
            (Reading::Bool, Scalar::Bool(truth)) => Cell::Bool(*truth),
            (Reading::Number, operand) => Cell::Number(operand.to_number()?),
            (Reading::Time, operand) => Cell::Time(operand.to_time(self.now).ok()?),
            (Reading::Integer, operand) => {
                let number = operand.to_number().filter(|number| number.fract() == 0.0)?;
                Cell::Integer(number as i64)
            }
            (Reading::Lifespan, operand) => {
                let span = match operand {
                    Scalar::Text(text) => parse_timespan(text),
                    number => timespan_from_seconds(number.to_number()?),
                };
                Cell::Integer(span.ok()?.ns() as i64)
            }
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::resource_type::Attribute;
    use crate::time::SECOND;

    fn host() -> ResourceType {
        let kinds = [
            ("rack", AttributeKind::Text { min_length: 0, max_length: 255 }),
            ("serial", AttributeKind::Uuid),
            ("load", AttributeKind::Number { min: None, max: None }),
            ("virtual", AttributeKind::Bool),
            ("bought", AttributeKind::Time),
        ];
        let attributes = kinds.map(|(name, kind)| (name.into(), Attribute { kind, required: false }));
        ResourceType { name: "host".into(), version: 0, attributes: BTreeMap::from(attributes) }
    }

    fn bound(filter: &Filter, history: bool) -> Result<Condition, BindError> {
        let now = Timestamp::saturating_from_ns(1_000 * SECOND);
        bind(filter, &BindContext { resource_type: &host(), history, creator: "bar", now })
    }

    fn text(text: &str) -> Scalar {
        Scalar::Text(text.to_owned())
    }

    fn compare(attribute: &str, operator: Operator, operand: Scalar) -> Filter {
        Filter::Compare { operator, attribute: attribute.to_owned(), operand }
    }

    fn like(attribute: &str, pattern: Scalar) -> Filter {
        Filter::Like { attribute: attribute.to_owned(), pattern }
    }

    fn any_of(attribute: &str, operands: &[Scalar]) -> Filter {
        Filter::In { attribute: attribute.to_owned(), operands: operands.to_vec() }
    }

    fn instant(seconds: u64) -> Cell<'static> {
        Cell::Time(Timestamp::saturating_from_ns(seconds * SECOND))
    }

    #[test]
    fn operands_become_what_their_field_is() {
        let serial = "12345678-1234-1234-1234-123456789abc";
        let foo = ResourceId::derive("foo", Some("bar")).unwrap().uuid();
        for (attribute, operand, cell) in [
            ("rack", Scalar::Integer(1), Cell::Text("1".into())),
            ("rack", Scalar::Float(1.0), Cell::Text("1.0".into())),
            ("rack", Scalar::Bool(true), Cell::Text("True".into())),
            ("load", text(" 1e3 "), Cell::Number(1_000.0)),
            ("load", Scalar::Integer(-2), Cell::Number(-2.0)),
            ("virtual", Scalar::Bool(false), Cell::Bool(false)),
            ("serial", text(&serial.to_uppercase()), Cell::Uuid(parse_uuid(serial).unwrap())),
            ("bought", text("2014"), instant(2_014)),
            ("started_at", Scalar::Float(1.5), Cell::Time(Timestamp::saturating_from_ns(SECOND * 3 / 2))),
            ("ended_at", text("-10 minutes"), instant(400)),
            ("revision_end", text("1970-01-01T00:00:07"), instant(7)),
            ("revision", Scalar::Float(-1.0), Cell::Integer(-1)),
            ("id", text("foo"), Cell::Uuid(foo)),
            ("id", text(serial), Cell::Uuid(parse_uuid(serial).unwrap())),
            ("lifespan", text("1h30m"), Cell::Integer(5_400 * SECOND as i64)),
            ("lifespan", Scalar::Float(0.5), Cell::Integer(SECOND as i64 / 2)),
        ] {
            let condition = bound(&compare(attribute, Operator::Greater, operand), true).unwrap();
            let Condition::Is(_, Test::Compare(Operator::Greater, found)) = condition else {
                panic!("{attribute}")
            };
            assert_eq!(found, cell, "{attribute}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let slash = compare("id", Operator::Equal, text("a/b"));
        for (filter, expected) in [
            (compare("nope", Operator::Equal, text("x")), "Resource type host has no nope attribute"),
            (compare("metrics", Operator::Equal, text("x")), "Resource type host has no metrics attribute"),
            (compare("load", Operator::Equal, text("x")), "Invalid value: `x' for field `load'"),
            (
                compare("virtual", Operator::Equal, Scalar::Integer(1)),
                "Invalid value: `1' for field `virtual'",
            ),
            (compare("serial", Operator::Equal, text("x")), "Invalid value: `x' for field `serial'"),
            (compare("bought", Operator::Equal, text("x")), "Invalid value: `x' for field `bought'"),
            (compare("rack", Operator::Less, Scalar::Null), "Invalid value: `None' for field `rack'"),
            (compare("lifespan", Operator::Less, text("0")), "Invalid value: `0' for field `lifespan'"),
            (compare("id", Operator::Equal, Scalar::Integer(1)), "Invalid value: `1' for field `id'"),
            (slash, "Invalid value: `a/b' for field `id'"),
            (
                compare("created_by_user_id", Operator::Less, text("x")),
                "Invalid value: `x' for field `created_by_user_id'",
            ),
            (like("load", text("1%")), "Invalid value: `1%' for field `load'"),
            (like("rack", Scalar::Null), "Invalid value: `None' for field `rack'"),
            (like("lifespan", text("1%")), "Invalid value: `1%' for field `lifespan'"),
            (any_of("lifespan", &[text("1")]), "Invalid value: `1' for field `lifespan'"),
            (any_of("load", &[Scalar::Integer(1), text("x")]), "Invalid value: `x' for field `load'"),
            (
                any_of("created_by_project_id", &[text("x")]),
                "Invalid value: `x' for field `created_by_project_id'",
            ),
        ] {
            assert_eq!(bound(&filter, false).unwrap_err().to_string(), expected);
            let nested = Filter::Not(Box::new(Filter::And(vec![Filter::Or(vec![filter])])));
            assert_eq!(bound(&nested, false).unwrap_err().to_string(), expected);
        }
        for name in ["revision", "revision_end"] {
            assert!(bound(&compare(name, Operator::Equal, Scalar::Null), false).is_err());
            assert!(bound(&compare(name, Operator::Equal, Scalar::Null), true).is_ok());
        }
    }

    #[test]
    fn nulls_are_asked_for_by_equality() {
        let condition = |operator| bound(&compare("load", operator, Scalar::Null), false).unwrap();
        let field = || Field::Attribute("load".into());
        assert_eq!(condition(Operator::Equal), Condition::Is(field(), Test::IsNull));
        assert_eq!(condition(Operator::NotEqual), Condition::Is(field(), Test::IsNotNull));
        let listed = bound(&any_of("load", &[Scalar::Null, Scalar::Integer(1)]), false).unwrap();
        assert_eq!(listed, Condition::Is(field(), Test::In(vec![Cell::Number(1.0)])));
    }

    #[test]
    fn parts_of_the_creator_are_patterns_of_it() {
        let matches = |filter: Filter, creator: &str| match bound(&filter, false).unwrap() {
            Condition::Is(Field::Creator, Test::Like(like)) => like.matches(creator),
            Condition::Not(part) => match *part {
                Condition::Is(Field::Creator, Test::Like(like)) => !like.matches(creator),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        };
        let user = |operator, name| compare("created_by_user_id", operator, text(name));
        let project = |operator, name| compare("created_by_project_id", operator, text(name));
        assert!(matches(user(Operator::Equal, "u"), "u:p"));
        assert!(!matches(user(Operator::Equal, "u"), "u"), "basic mode has no parts");
        assert!(matches(user(Operator::NotEqual, "u"), "u"));
        assert!(matches(project(Operator::Equal, "p"), "u:p"));
        assert!(!matches(project(Operator::Equal, "%"), "u:p"), "equality knows no wildcards");
        assert!(matches(like("created_by_project_id", text("p%")), "u:pq"));
    }

    #[test]
    fn the_shape_stays() {
        let leaf = || compare("load", Operator::Equal, Scalar::Null);
        let filter = Filter::Or(vec![Filter::And(vec![leaf(), Filter::All]), Filter::Not(Box::new(leaf()))]);
        let is_null = || Condition::Is(Field::Attribute("load".into()), Test::IsNull);
        let expected = Condition::Or(vec![
            Condition::And(vec![is_null(), Condition::Always]),
            Condition::Not(Box::new(is_null())),
        ]);
        assert_eq!(bound(&filter, false), Ok(expected));
        assert_eq!(Condition::Always.and(is_null()), is_null());
        assert_eq!(is_null().and(is_null()), Condition::And(vec![is_null(), is_null()]));
    }
}
