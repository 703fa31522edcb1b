//! `/v1/influxdb`: the write API of InfluxDB 1, as far as agents need it. Timestamps are nanoseconds,
//! whatever `precision` says, unless the configuration honours it.

use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Method, StatusCode};
use orzo_model::metric::NAME_CHARS_MAX;
use orzo_model::resource_type::ResourceType;
use orzo_model::{Measure, SECOND, Timestamp};
use orzo_store::index;

use super::influx_line::{Fields, Line, Times, read_line, read_tail, split_line};
use super::push::Intake;
use super::targets::{Door, Texts};
use crate::call::Call;
use crate::config::BUILD;
use crate::error::{ApiError, Outcome};
use crate::query::Query;
use crate::response::Response;

/// Names the tag that names the resource.
const TAG_HEADER: HeaderName = HeaderName::from_static("x-gnocchi-influxdb-tag-resource-id");
const DEFAULT_TAG: &str = "host";
const DEFAULT_TYPE: &str = "influxdb";

pub(super) fn route(call: &Call<'_>, below: &[&str]) -> Outcome {
    match *below {
        ["ping"] => call.act_in_any_form(&[(Method::GET, &|| Ok(ping()))]),
        ["query"] => call.act(&[(Method::POST, &|| query(call))]),
        ["write"] => call.act(&[(Method::POST, &|| write(call))]),
        _ => Err(ApiError::bare(StatusCode::NOT_FOUND)),
    }
}

/// Nobody has to say who asks.
fn ping() -> Response {
    let version = HeaderValue::from_str(&format!("Gnocchi {BUILD}")).expect("a version is header text");
    Response::no_content().with_header(HeaderName::from_static("x-influxdb-version"), version)
}

/// Only `CREATE DATABASE name`, which makes a resource type.
fn query(call: &Call<'_>) -> Outcome {
    call.identity()?;
    let Some(text) = statement(call)? else { return Ok(Response::no_content()) };
    let name = database_name(&text).filter(|name| name.chars().count() <= NAME_CHARS_MAX);
    let Some(name) = name else {
        let entries = [
            ("cause", "Not implemented error".into()),
            ("detail", "q".into()),
            ("reason", "Query not implemented".into()),
        ];
        return Err(ApiError::object(StatusCode::NOT_IMPLEMENTED, entries));
    };
    let wanted = ResourceType { name: name.into(), version: 0, attributes: Default::default() };
    call.enforce("create resource type", &wanted)?;
    match call.index().create_resource_type(wanted) {
        Ok(_) | Err(index::Error::AlreadyExists(..)) => Ok(Response::no_content()),
        Err(error) => Err(error.into()),
    }
}

/// `q` of the URL, else of a form in the body.
fn statement(call: &Call<'_>) -> Outcome<Option<String>> {
    let of = |query: &Query| query.pairs().find(|(name, _)| *name == "q").map(|(_, value)| value.to_owned());
    if let Some(text) = of(call.query()) {
        return Ok(Some(text));
    }
    let is_form = call.request.header(&CONTENT_TYPE).is_some_and(|kind| kind.contains("form-urlencoded"));
    let body = std::str::from_utf8(&call.request.body).ok().filter(|_| is_form);
    Ok(body.and_then(Query::parse).as_ref().and_then(of))
}

/// The name in `CREATE DATABASE name` or `CREATE DATABASE "name"`; what follows does not matter.
fn database_name(text: &str) -> Option<&str> {
    let rest = keyword(text, "create").and_then(|rest| keyword(rest, "database"))?;
    let name = rest.trim_start();
    if name.len() == rest.len() {
        return None;
    }
    if let Some(quoted) = name.strip_prefix('"') {
        return quoted.split_once('"').map(|(name, _)| name).filter(|name| !name.is_empty());
    }
    let end = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(name.len());
    let name = &name[..end];
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_').then_some(name)
}

fn keyword<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let (head, rest) = text.trim_start().split_at_checked(word.len())?;
    head.eq_ignore_ascii_case(word).then_some(rest)
}

fn write(call: &Call<'_>) -> Outcome {
    let resource_type = call.query().all("db").first().copied().unwrap_or(DEFAULT_TYPE);
    let tag = call.request.header(&TAG_HEADER).unwrap_or(DEFAULT_TAG);
    let texts = Texts::Lines { resource_type: resource_type.to_owned(), tag: tag.to_owned() };
    let door = Door { identity: call.identity()?, texts: &texts, revision: call.index().revision() };
    let mut intake = Intake::new(call, door);
    let mut lines =
        Lines { tag, now: call.now, times: Times::new(unit_ns(call)?), fields: vec![], key: vec![] };
    lines.read(&call.request.body, &mut intake)?;
    if intake.has_news() {
        call.index().resource_type(resource_type)?;
    }
    intake.post(resource_type)?;
    Ok(Response::no_content())
}

/// What times are counted in: nanoseconds, unless `precision` may say otherwise and does.
fn unit_ns(call: &Call<'_>) -> Outcome<u64> {
    let precision = call.query().all("precision").first().copied();
    match precision.filter(|_| call.api.config.influxdb_honour_precision).unwrap_or("ns") {
        "" | "n" | "ns" => Ok(1),
        "u" | "us" | "µ" => Ok(SECOND / 1_000_000),
        "ms" => Ok(SECOND / 1_000),
        "s" => Ok(SECOND),
        "m" => Ok(60 * SECOND),
        "h" => Ok(3600 * SECOND),
        _ => Err(ApiError::bad_argument("precision", "Must be n, u, ms, s, m or h")),
    }
}

fn bad_line(number: usize) -> ApiError {
    value_error("line", format!("Unable to parse line {}", number + 1))
}

fn value_error(detail: &str, reason: String) -> ApiError {
    ApiError::bad_object([
        ("cause", "Value error".into()),
        ("detail", detail.into()),
        ("reason", reason.into()),
    ])
}

/// Lines of one body on their way into an intake.
struct Lines<'a> {
    /// Names the resource.
    tag: &'a str,
    now: Timestamp,
    times: Times<'a>,
    /// Of the line at hand.
    fields: Fields<'a>,
    /// Of the series at hand: the head of its line, a blank and the field.
    key: Vec<u8>,
}

impl<'a> Lines<'a> {
    fn read(&mut self, body: &'a [u8], intake: &mut Intake<'_>) -> Outcome<()> {
        let text = match std::str::from_utf8(body) {
            Ok(text) => text,
            Err(error) => std::str::from_utf8(&body[..error.valid_up_to()]).expect("it was checked"),
        };
        let mut start = 0;
        for number in 0.. {
            let end = memchr::memchr(b'\n', &body[start..]).map_or(body.len(), |len| start + len);
            // What is no text is in the line where the text ends.
            let line = text.get(start..end).ok_or_else(|| bad_line(number))?;
            if !self.take_known(line, intake) {
                let line = read_line(line, &mut self.times).map_err(|_| bad_line(number))?;
                line.map_or(Ok(()), |line| self.take(line, intake))?;
            }
            if end == body.len() {
                break;
            }
            start = end + 1;
        }
        Ok(())
    }

    /// Takes a line whose series were all met before: nearly every one. Says whether it was such a line.
    fn take_known(&mut self, line: &'a str, intake: &mut Intake<'_>) -> bool {
        let Some((head, tail)) = split_line(line) else { return false };
        let Ok(at) = read_tail(tail, &mut self.times, &mut self.fields) else { return false };
        let at = at.unwrap_or(self.now);
        let mark = intake.mark();
        self.key.clear();
        self.key.extend_from_slice(head.as_bytes());
        for (field, value) in &self.fields {
            self.key.truncate(head.len());
            self.key.push(b' ');
            self.key.extend_from_slice(field.as_bytes());
            let Some(place) = intake.known(&self.key) else {
                intake.back_to(mark);
                return false;
            };
            intake.put(place, Measure { at, value: *value });
        }
        // A line of texts alone has a resource, too.
        !self.fields.is_empty()
    }

    /// Takes any line.
    fn take(&self, mut line: Line<'a>, intake: &mut Intake<'_>) -> Outcome<()> {
        let resource = line
            .tags
            .remove(self.tag)
            .ok_or_else(|| value_error("key", format!("Unable to find key `{}' in tags", self.tag)))?;
        let at = line.at.unwrap_or(self.now);
        intake.want_resource(&resource, Vec::new);
        for (field, value) in &line.fields {
            let name = line.metric_name(field);
            if name.len() > NAME_CHARS_MAX && name.chars().count() > NAME_CHARS_MAX {
                return Err(value_error(
                    "line",
                    format!("the name {name} is longer than {NAME_CHARS_MAX} characters"),
                ));
            }
            let place = intake.place(&resource, name);
            // Heads with blanks in them are not told from others at a glance.
            if !line.head.contains(' ') {
                intake.meet([line.head, " ", field].concat().into_bytes(), place);
            }
            intake.put(place, Measure { at, value: *value });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_databases() {
        for (text, name) in [
            ("CREATE DATABASE telegraf", Some("telegraf")),
            ("  create   database  \"my db\" WITH x", Some("my db")),
            ("create database _x1;", Some("_x1")),
            ("CREATE DATABASE 1x", None),
            ("CREATE DATABASE", None),
            ("CREATE DATABASEx", None),
            ("CREATE DATABASE \"\"", None),
            ("SHOW DATABASES", None),
            ("é", None),
            ("", None),
        ] {
            assert_eq!(database_name(text), name, "{text}");
        }
    }
}
