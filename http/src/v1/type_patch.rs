//! Patches of resource types: the part of JSON Patch (RFC 6902) that adds and removes attributes.

use orzo_model::resource_type::ResourceType;

use super::show;
use crate::error::{ApiError, Outcome};
use crate::json::{Object, Value};
use crate::schema::{Invalid, Node};

/// One operation.
pub(super) struct Step {
    operation: Operation,
    /// Starts with `/attributes`.
    path: String,
}

enum Operation {
    /// Its value; the schema lets it be absent.
    Add(Option<Value>),
    Remove,
}

/// Reads a patch.
pub(super) fn read(body: Node<'_>) -> Result<Vec<Step>, Invalid> {
    body.items()?.map(|item| read_step(item)).collect()
}

fn read_step(item: Node<'_>) -> Result<Step, Invalid> {
    let (mut is_add, mut path, mut value) = (None, None, None);
    for (key, field) in item.fields()? {
        match (key, field.text().ok()) {
            ("op", Some("add")) => is_add = Some(true),
            ("op", Some("remove")) => is_add = Some(false),
            ("path", Some(text)) if text.starts_with("/attributes") => path = Some(text.to_owned()),
            ("op" | "path", _) => return Err(field.invalid("not a valid value")),
            ("value", _) => value = Some(Value::Object(field.object()?.clone())),
            _ => return Err(field.extra()),
        }
    }
    let operation = if item.require("op", is_add)? { Operation::Add(value) } else { Operation::Remove };
    Ok(Step { operation, path: item.require("path", path)? })
}

/// Applies a patch to the attributes of a type.
pub(super) fn apply(current: &ResourceType, steps: &[Step]) -> Outcome<Object> {
    let attributes = current.attributes.iter();
    let mut attributes = attributes.map(|(name, spec)| (name.to_string(), show::attribute(spec))).collect();
    for step in steps {
        apply_step(&mut attributes, step)?;
    }
    Ok(attributes)
}

fn apply_step(attributes: &mut Object, step: &Step) -> Outcome<()> {
    match (&step.operation, target(&step.path)?) {
        (Operation::Add(None), _) => Err(ApiError::bad("The operation does not contain a 'value' member")),
        (Operation::Add(Some(Value::Object(all))), None) => {
            attributes.clone_from(all);
            Ok(())
        }
        (Operation::Add(Some(_)), None) => Err(ApiError::bad("Invalid input: expected a dictionary")),
        (Operation::Add(Some(value)), Some(name)) => {
            attributes.insert(name, value.clone());
            Ok(())
        }
        (Operation::Remove, None) => {
            attributes.clear();
            Ok(())
        }
        (Operation::Remove, Some(name)) => match attributes.shift_remove(&name) {
            Some(_) => Ok(()),
            None => Err(ApiError::bad(format!("can't remove a non-existent object '{name}'"))),
        },
    }
}

/// The attribute that a path names; `None`: all of them.
fn target(path: &str) -> Outcome<Option<String>> {
    let rest = path.strip_prefix("/attributes").unwrap_or(path);
    match rest.strip_prefix('/') {
        None if rest.is_empty() => Ok(None),
        Some(name) if !name.contains('/') => Ok(Some(name.replace("~1", "/").replace("~0", "~"))),
        _ => Err(ApiError::bad(format!("the path '{path}' does not lead to an attribute"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patched(body: &str) -> Result<String, String> {
        let current = ResourceType {
            name: "t".into(),
            version: 0,
            attributes: [(
                "old".into(),
                orzo_model::resource_type::Attribute {
                    kind: orzo_model::resource_type::AttributeKind::Bool,
                    required: false,
                },
            )]
            .into(),
        };
        let body = Value::parse(body.as_bytes()).unwrap();
        let steps = read(Node::root(&body)).map_err(|invalid| invalid.to_string())?;
        let attributes = apply(&current, &steps).map_err(|error| format!("{error:?}"))?;
        Ok(attributes.keys().map(String::as_str).collect::<Vec<_>>().join(","))
    }

    #[test]
    fn steps_follow_each_other() {
        let add = r#"{"op": "add", "path": "/attributes/a~1b", "value": {}}"#;
        assert_eq!(patched(&format!("[{add}]")).as_deref(), Ok("old,a/b"));
        let remove = r#"{"op": "remove", "path": "/attributes/a~1b"}"#;
        assert_eq!(patched(&format!("[{add}, {remove}]")).as_deref(), Ok("old"));
        assert_eq!(patched(r#"[{"op": "remove", "path": "/attributes"}]"#).as_deref(), Ok(""));
    }

    #[test]
    fn what_is_refused() {
        for (body, reason) in [
            (
                r#"[{"op": "copy", "path": "/attributes"}]"#,
                "not a valid value for dictionary value @ data[0]['op']",
            ),
            (
                r#"[{"op": "add", "path": "/name"}]"#,
                "not a valid value for dictionary value @ data[0]['path']",
            ),
            (r#"[{"path": "/attributes"}]"#, "required key not provided @ data[0]['op']"),
            (
                r#"[{"op": "add", "path": "/attributes/x", "value": 1}]"#,
                "expected a dictionary for dictionary value",
            ),
            (r#"[{"op": "add", "path": "/attributes/x"}]"#, "does not contain a 'value' member"),
            (r#"[{"op": "remove", "path": "/attributes/x"}]"#, "can't remove a non-existent object 'x'"),
            (r#"[{"op": "remove", "path": "/attributes/old/type"}]"#, "does not lead to an attribute"),
            (r#"[{"op": "remove", "path": "/attributesx"}]"#, "does not lead to an attribute"),
            ("{}", "expected a list"),
        ] {
            let error = patched(body).unwrap_err();
            assert!(error.contains(reason), "{body}: {error}");
        }
    }
}
