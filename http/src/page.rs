//! Pages of lists: the arguments, and the `Link` to the next page.

use std::collections::BTreeMap;

use hyper::header::{HeaderName, HeaderValue, LINK};
use orzo_store::index::{Arrangement, NullsAt, SortKey};

use crate::error::{ApiError, Outcome};
use crate::json::Value;
use crate::query::{Query, push_encoded};
use crate::request::Request;
use crate::schema::{Invalid, Node};

/// What part of a list is wanted, and in which order.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    /// At most so many items.
    pub limit: usize,
    /// The last item of the page before.
    pub marker: Option<String>,
    /// The order, without the keys that make it unique.
    pub order: Vec<SortKey>,
    /// The order as written, for the link.
    sort: Vec<String>,
}

impl Page {
    /// Reads `limit`, `marker` and `sort`.
    pub(crate) fn of(query: &Query, limit_max: usize, default_sort: &[&str]) -> Outcome<Page> {
        let limit = limit(query, limit_max).map_err(|invalid| argument_error(&invalid))?;
        let marker = marker(query).map_err(|invalid| argument_error(&invalid))?;
        let sort: Vec<String> = if query.pairs().any(|(name, _)| name == "sort") {
            query.all("sort").into_iter().map(str::to_owned).collect()
        } else {
            default_sort.iter().map(|key| (*key).to_owned()).collect()
        };
        let order = sort.iter().map(|key| sort_key(key)).collect::<Outcome<_>>()?;
        Ok(Page { limit, marker, order, sort })
    }

    /// The header that leads to the page after the one whose last item is `marker`.
    pub(crate) fn link(&self, request: &Request, marker: String) -> (HeaderName, HeaderValue) {
        let mut parameters: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (name, value) in request.query.pairs() {
            parameters.entry(name).or_default().push(value);
        }
        let limit = self.limit.to_string();
        parameters.insert("limit", vec![&limit]);
        parameters.insert("marker", vec![&marker]);
        parameters.insert("sort", self.sort.iter().map(String::as_str).collect());
        let mut url = request.own_url();
        let pairs =
            parameters.iter().flat_map(|(name, values)| values.iter().map(move |value| (name, value)));
        for (index, (name, value)) in pairs.enumerate() {
            url.push(if index == 0 { '?' } else { '&' });
            push_encoded(&mut url, name);
            url.push('=');
            push_encoded(&mut url, value);
        }
        let link = HeaderValue::from_str(&format!("<{url}>; rel=\"next\""));
        (LINK, link.expect("the URL is encoded and its host came in a header"))
    }
}

fn argument_error(invalid: &Invalid) -> ApiError {
    ApiError::bad_object([("cause", "Argument value error".into()), ("reason", invalid.to_string().into())])
}

/// Given as the values of an object, so that errors read like those of bodies. A repeated one is a list.
fn as_object(query: &Query, name: &str) -> Option<Value> {
    let mut values: Vec<Value> =
        query.pairs().filter(|(own, _)| *own == name).map(|(_, value)| Value::from(value)).collect();
    let value = if values.len() > 1 { Value::List(values) } else { values.pop()? };
    Some(Value::object([(name, value)]))
}

fn limit(query: &Query, limit_max: usize) -> Result<usize, Invalid> {
    let Some(value) = as_object(query, "limit") else { return Ok(limit_max) };
    let mut limit = limit_max;
    for (_, field) in Node::root(&value).fields()? {
        let wanted = field.lenient_int(1..=i128::MAX)?;
        limit = usize::try_from(wanted).map_or(limit_max, |wanted| wanted.min(limit_max));
    }
    Ok(limit)
}

fn marker(query: &Query) -> Result<Option<String>, Invalid> {
    let Some(value) = as_object(query, "marker") else { return Ok(None) };
    let mut marker = None;
    for (_, field) in Node::root(&value).fields()? {
        marker = Some(field.text()?.to_owned()).filter(|marker| !marker.is_empty());
    }
    Ok(marker)
}

fn sort_key(text: &str) -> Outcome<SortKey> {
    let (key, direction) = text.split_once(':').unwrap_or((text, "asc"));
    let (arrangement, nulls) = match direction {
        "asc" => (Arrangement::Ascending, None),
        "desc" => (Arrangement::Descending, None),
        "asc-nullsfirst" => (Arrangement::Ascending, Some(NullsAt::First)),
        "asc-nullslast" => (Arrangement::Ascending, Some(NullsAt::Last)),
        "desc-nullsfirst" => (Arrangement::Descending, Some(NullsAt::First)),
        "desc-nullslast" => (Arrangement::Descending, Some(NullsAt::Last)),
        _ => {
            return Err(ApiError::bad(
                "Invalid pagination: `Unknown sort direction, must be one of: asc, desc, asc-nullsfirst, \
                 asc-nullslast, desc-nullsfirst, desc-nullslast'",
            ));
        }
    };
    Ok(SortKey { key: key.trim().to_owned(), arrangement, nulls })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Mount;
    use crate::request::tests::get;

    const DEFAULT: [&str; 2] = ["revision_start:asc", "started_at:asc"];

    fn page(query: &str) -> Outcome<Page> {
        Page::of(&Query::parse(query).unwrap(), 7, &DEFAULT)
    }

    #[test]
    fn limits_are_clamped() {
        assert_eq!(page("").unwrap().limit, 7);
        assert_eq!(page("limit=3").unwrap().limit, 3);
        assert_eq!(page("limit=99999999999999999999999").unwrap().limit, 7);
        for (bad, reason) in [
            ("limit=0", "value must be at least 1 for dictionary value @ data['limit']"),
            ("limit=x", "expected int for dictionary value @ data['limit']"),
            ("limit=", "expected int for dictionary value @ data['limit']"),
            ("limit=1&limit=2", "expected int for dictionary value @ data['limit']"),
            ("marker=1&marker=2", "expected str for dictionary value @ data['marker']"),
        ] {
            let body = page(bad).unwrap_err().render(&Default::default()).body;
            let body = String::from_utf8(body.to_vec()).unwrap();
            assert!(body.contains("\"cause\": \"Argument value error\"") && body.contains(reason), "{body}");
        }
    }

    #[test]
    fn keys_have_directions_and_places_for_nulls() {
        let order = page("sort= id :desc-nullslast&sort=started_at").unwrap().order;
        assert_eq!(order[0].key, "id");
        assert_eq!((order[0].arrangement, order[0].nulls), (Arrangement::Descending, Some(NullsAt::Last)));
        assert_eq!(order[1], SortKey::ascending("started_at"));
        assert!(page("sort=").unwrap().order.is_empty());
        assert!(page("sort=id:up").is_err());
    }

    #[test]
    fn links_sort_their_parameters() {
        let uri =
            "/v1/resource/generic?sort=id%3Aasc&sort=ended_at:asc-nullsfirst&limit=1&history=true&limit=1";
        let request = get(uri, &[], &Mount::default()).unwrap();
        let query = Query::parse("sort=id:asc&sort=ended_at:asc-nullsfirst&limit=1").unwrap();
        let (_, link) = Page::of(&query, 7, &DEFAULT).unwrap().link(&request, "UUID@1".to_owned());
        assert_eq!(
            link.to_str().unwrap(),
            "<http://here:80/v1/resource/generic?history=true&limit=1&marker=UUID%401&sort=id%3Aasc\
             &sort=ended_at%3Aasc-nullsfirst>; rel=\"next\""
        );
    }
}
