//! Bodies of batches, read in one pass.
//!
//! The first problem in the order of the body is told, but bad JSON anywhere counts more.

use indexmap::IndexMap;
use orzo_model::metric::{NAME_CHARS_MAX, UNIT_CHARS_MAX};
use orzo_model::resource::{ResourceId, parse_uuid};
use orzo_model::{Measure, MetricId, Timestamp};

use crate::error::Outcome;
use crate::json::{Kind, ReadError, Reader};
use crate::measures::read_measures;
use crate::schema::{Invalid, Step};

/// Measures by the id of their metric.
pub(super) type ById = IndexMap<MetricId, Vec<Measure>>;

/// Metrics by the text that names their resource, as sent.
pub(super) type ByResource = IndexMap<String, OfResource>;

/// What a batch has for one resource.
#[derive(Debug)]
pub(super) struct OfResource {
    pub(super) id: ResourceId,
    /// By name.
    pub(super) metrics: IndexMap<String, OfMetric>,
}

/// What a batch has for one metric of a resource.
#[derive(Debug, Default)]
pub(super) struct OfMetric {
    pub(super) measures: Vec<Measure>,
    /// For a metric that is yet to be made.
    pub(super) policy: Option<String>,
    /// For a metric that is yet to be made.
    pub(super) unit: Option<String>,
}

/// Reads `{id: [measure, …], …}`.
pub(super) fn read_by_id(body: &[u8], now: Timestamp) -> Outcome<ById> {
    let mut batch = ById::new();
    read_whole(body, |reader, first| {
        expect_object(reader, first, &[], |reader, first, key| {
            let path = [key];
            match (read_measures(reader, now)?, parse_uuid(key)) {
                (Ok(measures), Some(uuid)) => drop(batch.insert(uuid.into(), measures)),
                (_, None) => first.key(&path, "not a valid value"),
                (Err(problem), Some(_)) => first.value(&path, problem.to_string()),
            }
            Ok(())
        })
    })?;
    Ok(batch)
}

/// Reads `{resource: {name: [measure, …], …}, …}`, where a name may also lead to an object of measures
/// and what its metric is to be.
pub(super) fn read_by_resource(body: &[u8], creator: &str, now: Timestamp) -> Outcome<ByResource> {
    let mut batch = ByResource::new();
    read_whole(body, |reader, first| {
        expect_object(reader, first, &[], |reader, first, resource| {
            let id = ResourceId::derive(resource, Some(creator));
            if let Err(error) = id {
                first.key(&[resource], error.to_string());
            }
            let mut metrics = IndexMap::new();
            expect_object(reader, first, &[resource], |reader, first, name| {
                if name.chars().count() > NAME_CHARS_MAX {
                    first.key(&[resource, name], format!("length of value must be at most {NAME_CHARS_MAX}"));
                }
                let metric = read_metric(reader, first, &[resource, name], now)?;
                metrics.insert(name.to_owned(), metric);
                Ok(())
            })?;
            if let Ok(id) = id {
                batch.insert(resource.to_owned(), OfResource { id, metrics });
            }
            Ok(())
        })
    })?;
    Ok(batch)
}

fn read_metric(
    reader: &mut Reader<'_>,
    first: &mut First,
    path: &[&str; 2],
    now: Timestamp,
) -> Read<OfMetric> {
    let mut metric = OfMetric::default();
    if reader.kind()? != Kind::Object {
        match read_measures(reader, now)? {
            Ok(measures) => metric.measures = measures,
            Err(problem) => first.value(path, problem.to_string()),
        }
        return Ok(metric);
    }
    let mut has_measures = false;
    reader.object(|reader, key| {
        let path = [path[0], path[1], &*key];
        match &*key {
            "measures" => {
                has_measures = true;
                match read_measures(reader, now)? {
                    Ok(measures) => metric.measures = measures,
                    Err(problem) => first.value(&path, problem.to_string()),
                }
            }
            "archive_policy_name" => metric.policy = read_text(reader, first, &path, usize::MAX)?,
            "unit" => metric.unit = read_text(reader, first, &path, UNIT_CHARS_MAX)?,
            _ => {
                reader.skip()?;
                first.key(&path, "extra keys not allowed");
            }
        }
        Ok(())
    })?;
    if !has_measures {
        first.key(&[path[0], path[1], "measures"], "required key not provided");
    }
    Ok(metric)
}

fn read_text(
    reader: &mut Reader<'_>,
    first: &mut First,
    path: &[&str],
    chars_max: usize,
) -> Read<Option<String>> {
    if reader.kind()? != Kind::Text {
        reader.skip()?;
        first.value(path, "expected str");
        return Ok(None);
    }
    let text = reader.text()?;
    if text.chars().count() > chars_max {
        first.value(path, format!("length of value must be at most {chars_max}"));
    }
    Ok(Some(text.into_owned()))
}

type Read<T> = Result<T, ReadError>;

/// The first problem of a body.
#[derive(Default)]
struct First(Option<Invalid>);

impl First {
    fn value(&mut self, path: &[&str], message: impl Into<String>) {
        self.0.get_or_insert_with(|| Invalid::value_at(message, steps(path)));
    }

    fn key(&mut self, path: &[&str], message: impl Into<String>) {
        self.0.get_or_insert_with(|| Invalid::key_at(message, steps(path)));
    }
}

fn steps(path: &[&str]) -> Vec<Step> {
    path.iter().map(|key| Step::Key((*key).to_owned())).collect()
}

fn read_whole(body: &[u8], read: impl FnOnce(&mut Reader<'_>, &mut First) -> Read<()>) -> Outcome<()> {
    let mut reader = Reader::new(body)?;
    let mut first = First::default();
    read(&mut reader, &mut first)?;
    reader.finish()?;
    first.0.map_or(Ok(()), |invalid| Err(invalid.into()))
}

/// Reads an object; anything else is a problem at `path`.
fn expect_object(
    reader: &mut Reader<'_>,
    first: &mut First,
    path: &[&str],
    mut each: impl FnMut(&mut Reader<'_>, &mut First, &str) -> Read<()>,
) -> Read<()> {
    if reader.kind()? != Kind::Object {
        first.value(path, "expected a dictionary");
        return reader.skip();
    }
    reader.object(|reader, key| each(reader, first, &key))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "12345678-1234-1234-1234-123456789012";

    fn problem<T>(outcome: Outcome<T>) -> String {
        let Err(error) = outcome else { panic!("a problem") };
        String::from_utf8(error.render(&Default::default()).body.to_vec()).unwrap()
    }

    #[test]
    fn ids_lead_to_measures() {
        let body = format!(r#"{{"{ID}": [{{"timestamp": 1, "value": 2}}]}}"#);
        let batch = read_by_id(body.as_bytes(), Timestamp::EPOCH).unwrap();
        assert_eq!(batch.len(), 1);
        assert_eq!(batch[0][0].value, 2.0);
        assert!(read_by_id(b"{}", Timestamp::EPOCH).unwrap().is_empty());
    }

    #[test]
    fn problems_of_batches_by_id() {
        let read = |body: &str| problem(read_by_id(body.as_bytes(), Timestamp::EPOCH));
        assert!(read("[]").contains("\"expected a dictionary\""));
        assert!(read(r#"{"foo": []}"#).contains("\"not a valid value @ data['foo']\""));
        let format = format!("unexpected measures format for dictionary value @ data['{ID}']");
        assert!(read(&format!(r#"{{"{ID}": [1], "foo": []}}"#)).contains(&format));
        assert!(read(r#"{"foo": [}"#).contains("Unable to decode body"));
        assert!(read("").contains("\"reason\": \"Expected object or value\", \"detail\": []"));
    }

    fn named(body: &str) -> Outcome<ByResource> {
        read_by_resource(body.as_bytes(), "me", Timestamp::EPOCH)
    }

    #[test]
    fn both_forms_may_be_mixed() {
        let body = r#"{"r": {"a": [{"timestamp": 1, "value": 2}],
                             "b": {"unit": "B", "measures": [], "archive_policy_name": "low"}}, "s": {}}"#;
        let batch = named(body).unwrap();
        assert_eq!(batch["r"].id, ResourceId::derive("r", Some("me")).unwrap());
        assert_eq!(batch["r"].metrics["a"].measures.len(), 1);
        assert_eq!(batch["r"].metrics["b"].policy.as_deref(), Some("low"));
        assert!(batch["s"].metrics.is_empty());
    }

    #[test]
    fn problems_of_batches_by_name() {
        for (body, reason) in [
            (r#"{"a/b": {}}"#, "'/' is not supported in resource id @ data['a/b']"),
            (r#"{"r": []}"#, "expected a dictionary for dictionary value @ data['r']"),
            (r#"{"r": {"m": 1}}"#, "unexpected measures format for dictionary value @ data['r']['m']"),
            (r#"{"r": {"m": {}}}"#, "required key not provided @ data['r']['m']['measures']"),
            (r#"{"r": {"m": {"x": 1}}}"#, "extra keys not allowed @ data['r']['m']['x']"),
            (
                r#"{"r": {"m": {"measures": [{"timestamp": -1, "value": 1}]}}}"#,
                "unexpected timestamp 'Timestamp must be after Epoch' for dictionary value @ data['r']['m']['measures']",
            ),
            (r#"{"r": {"m": {"unit": 1}}}"#, "expected str for dictionary value @ data['r']['m']['unit']"),
        ] {
            let told = problem(named(body));
            assert!(told.contains(reason), "{body}: {told}");
        }
        let long = format!(r#"{{"r": {{"m": {{"unit": "{}", "measures": []}}}}}}"#, "x".repeat(32));
        assert!(problem(named(&long)).contains("length of value must be at most 31"));
    }
}
