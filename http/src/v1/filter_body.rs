//! Resource filters in bodies (JSON) and in queries (text): the schema, and the tree it means.

use orzo_model::filter::{Filter, Operator, Scalar, parse_text};

use super::metric_body::read_resource_id;
use crate::call::Call;
use crate::error::{ApiError, Outcome};
use crate::json::Value;
use crate::schema::{Invalid, Node};

/// The filter of a request: its body, else its `filter=`, else everything.
pub(super) fn of_request(call: &Call<'_>) -> Outcome<Filter> {
    let creator = call.creator()?;
    if !call.request.body.is_empty() {
        return from_json(Node::root(&call.json()?), creator);
    }
    match call.query().one("filter") {
        Ok(None | Some("")) => Ok(Filter::All),
        Ok(Some(text)) => from_text(text, creator),
        Err(_) => Err(ApiError::bad("Invalid filter: Expected one filter")),
    }
}

/// The text form.
pub(super) fn from_text(text: &str, creator: &str) -> Outcome<Filter> {
    let json = parse_text(text).map_err(|error| ApiError::bad(format!("Invalid filter: {error}")))?;
    from_json(Node::root(&Value::from(&json)), creator)
}

/// The JSON form; an empty object is everything.
pub(super) fn from_json(node: Node<'_>, creator: &str) -> Outcome<Filter> {
    let filter = read(node, creator)?;
    // Inside others the empty filter passes the schema and means nothing.
    if holds_empty(&filter) { Err(ApiError::bad("Unable to parse this query")) } else { Ok(filter) }
}

fn holds_empty(filter: &Filter) -> bool {
    let is_bad = |part: &Filter| *part == Filter::All || holds_empty(part);
    match filter {
        Filter::And(parts) | Filter::Or(parts) => parts.iter().any(is_bad),
        Filter::Not(part) => is_bad(part),
        _ => false,
    }
}

fn read(node: Node<'_>, creator: &str) -> Result<Filter, Invalid> {
    let entries = node.object()?.len();
    node.check_length(entries, 0..=1)?;
    match node.fields()?.next() {
        Some((operator, field)) => read_operator(operator, field, creator),
        None => Ok(Filter::All),
    }
}

fn read_operator(operator: &str, field: Node<'_>, creator: &str) -> Result<Filter, Invalid> {
    match operator {
        "and" | "∧" => Ok(Filter::And(read_all(field, creator)?)),
        "or" | "∨" => Ok(Filter::Or(read_all(field, creator)?)),
        "not" => Ok(Filter::Not(Box::new(read(field, creator)?))),
        "like" => on_attribute(field, |attribute, operand| {
            if attribute == "id" {
                return Err(operand.invalid_key("value must not be one of ['id']"));
            }
            Ok(Filter::Like { attribute: attribute.to_owned(), pattern: read_scalar(&operand)? })
        }),
        "in" => on_attribute(field, |attribute, operand| {
            let operands = operand.items()?.map(|item| read_operand(attribute, &item, creator));
            let operands = operands.collect::<Result<Vec<_>, _>>()?;
            operand.check_length(operands.len(), 1..=usize::MAX)?;
            Ok(Filter::In { attribute: attribute.to_owned(), operands })
        }),
        _ => {
            let operator = comparison(operator).ok_or_else(|| field.invalid_key("not a valid value"))?;
            on_attribute(field, |attribute, operand| {
                let operand = read_operand(attribute, &operand, creator)?;
                Ok(Filter::Compare { operator, attribute: attribute.to_owned(), operand })
            })
        }
    }
}

fn comparison(text: &str) -> Option<Operator> {
    Some(match text {
        "=" | "==" | "eq" => Operator::Equal,
        "!=" | "≠" | "ne" => Operator::NotEqual,
        "<" | "lt" => Operator::Less,
        "<=" | "≤" | "le" => Operator::LessOrEqual,
        ">" | "gt" => Operator::Greater,
        ">=" | "≥" | "ge" => Operator::GreaterOrEqual,
        _ => return None,
    })
}

fn read_all(field: Node<'_>, creator: &str) -> Result<Vec<Filter>, Invalid> {
    let parts = field.items()?.map(|part| read(part, creator)).collect::<Result<Vec<_>, _>>()?;
    field.check_length(parts.len(), 1..=usize::MAX)?;
    Ok(parts)
}

/// An object of exactly one attribute and its operand.
fn on_attribute(
    field: Node<'_>,
    read: impl FnOnce(&str, Node<'_>) -> Result<Filter, Invalid>,
) -> Result<Filter, Invalid> {
    field.check_length(field.object()?.len(), 1..=1)?;
    let (attribute, operand) = field.fields()?.next().expect("its length was checked");
    read(attribute, operand)
}

fn read_operand(attribute: &str, operand: &Node<'_>, creator: &str) -> Result<Scalar, Invalid> {
    if attribute == "id" {
        read_resource_id(operand, creator)?;
    }
    read_scalar(operand)
}

fn read_scalar(operand: &Node<'_>) -> Result<Scalar, Invalid> {
    operand.scalar().ok_or_else(|| operand.invalid("expected str"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(body: &str) -> Result<Filter, String> {
        let value = Value::parse(body.as_bytes()).unwrap();
        from_json(Node::root(&value), "me")
            .map_err(|error| String::from_utf8(error.render(&Default::default()).body.to_vec()).unwrap())
    }

    #[test]
    fn wording_of_schema_errors() {
        for (body, reason) in [
            (r#"{"and": {"a": 1}}"#, "expected a list for dictionary value @ data['and']"),
            (r#"{"not": [{}]}"#, "expected a dictionary for dictionary value @ data['not']"),
            (r#"{"ne": {"a": [1]}}"#, "expected str for dictionary value @ data['ne']['a']"),
            (r#"{"like": {"id": "x"}}"#, "\"value must not be one of ['id'] @ data['like']['id']\""),
            (
                r#"{"in": {"id": []}}"#,
                "length of value must be at least 1 for dictionary value @ data['in']['id']",
            ),
            (r#"{"in": {"a": "b"}}"#, "expected a list for dictionary value @ data['in']['a']"),
            (r#"{"wrongoperator": 1}"#, "\"not a valid value @ data['wrongoperator']\""),
            (r#"{"=": {"a": 1}, "eq": {"a": 1}}"#, "\"length of value must be at most 1\""),
            (r#"{"=": {}}"#, "length of value must be at least 1 for dictionary value @ data['=']"),
            (r#"{"or": []}"#, "length of value must be at least 1 for dictionary value @ data['or']"),
            (
                r#"{"=": {"id": "a/b"}}"#,
                "'/' is not supported in resource id for dictionary value @ data['=']['id']",
            ),
            (r#"{"=": {"id": 1}}"#, "expected str for dictionary value @ data['=']['id']"),
            (
                r#"{"and": [{"or": [{"=": 1}]}]}"#,
                "expected a dictionary for dictionary value @ data['and'][0]['or'][0]['=']",
            ),
            (r#"{"and": [{}]}"#, "Unable to parse this query"),
        ] {
            let error = json(body).unwrap_err();
            assert!(error.contains(reason), "{body}: {error}");
        }
        assert_eq!(json("{}"), Ok(Filter::All));
    }

    #[test]
    fn both_forms_mean_the_same() {
        let text = from_text("not a = 1 and (b like \"x%\" or id in [y])", "me").unwrap();
        let tree = r#"{"and": [{"not": {"=": {"a": 1.0}}}, {"or": [{"like": {"b": "x%"}}, {"in": {"id": ["y"]}}]}]}"#;
        assert_eq!(Ok(text), json(tree));
        assert!(from_text("id == x", "me").is_err());
        assert!(from_text("a in []", "me").is_err());
    }
}
