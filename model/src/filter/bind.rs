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
            let cells = operands.iter().map(|operand| {
                target.member(operand).ok_or_else(|| invalid(attribute, operand))
            });
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
