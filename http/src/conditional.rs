//! Conditional requests (RFC 9110, section 13) on a resource.

use hyper::header::{
    ETAG, HeaderMap, HeaderName, HeaderValue, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH,
    IF_UNMODIFIED_SINCE, LAST_MODIFIED,
};
use hyper::{Method, StatusCode};
use jiff::fmt::rfc2822::{DateTimeParser, DateTimePrinter};
use orzo_model::Timestamp;
use orzo_model::resource::Resource;
use orzo_model::timetext::push_iso_micros;

use crate::error::{ApiError, Outcome};
use crate::request::Request;
use crate::response::Response;

/// What identifies a state of a resource.
#[derive(Clone, Debug)]
pub(crate) struct Validators {
    etag: String,
    modified: jiff::Timestamp,
}

impl Validators {
    /// Those of a resource: a hash of its id and the start of its revision, and that start in seconds.
    pub(crate) fn of(resource: &Resource) -> Self {
        let mut text = resource.id.to_string();
        push_iso_micros(&mut text, resource.revision_start);
        let etag = sha1_smol::Sha1::from(text).digest().to_string();
        Validators { etag, modified: whole_seconds(resource.revision_start) }
    }

    /// The headers that carry them.
    pub(crate) fn headers(&self) -> [(HeaderName, HeaderValue); 2] {
        let etag = HeaderValue::from_str(&format!("\"{}\"", self.etag)).expect("a hash is header text");
        let date = DateTimePrinter::new().timestamp_to_rfc9110_string(&self.modified);
        let date = date.ok().and_then(|date| HeaderValue::from_str(&date).ok());
        [(ETAG, etag), (LAST_MODIFIED, date.expect("dates from 1970 to 2262 print as text"))]
    }

    /// Adds the headers to an answer.
    pub(crate) fn put_on(&self, mut response: Response) -> Response {
        response.headers.extend(self.headers());
        response
    }

    /// Whether a request has conditions that a write must not outrun.
    pub(crate) fn asked_for(request: &Request) -> bool {
        let headers = &request.headers;
        [IF_MATCH, IF_NONE_MATCH, IF_UNMODIFIED_SINCE].iter().any(|name| headers.contains_key(name))
    }

    /// Whether the conditions of a request hold. `Ok(Some)` is the answer to a client that has this
    /// state already; 412 if it wanted another.
    pub(crate) fn check(&self, request: &Request) -> Outcome<Option<Response>> {
        let is_get = request.method == Method::GET;
        if self.is_unwanted(&request.headers) {
            return Err(ApiError::plain(StatusCode::PRECONDITION_FAILED));
        }
        match self.is_known(&request.headers, is_get) {
            true if is_get => Ok(Some(self.put_on(Response::new(StatusCode::NOT_MODIFIED, "")))),
            true => Err(ApiError::plain(StatusCode::PRECONDITION_FAILED)),
            false => Ok(None),
        }
    }

    /// The client wanted another state.
    fn is_unwanted(&self, headers: &HeaderMap) -> bool {
        match tags(headers, IF_MATCH) {
            Some(tags) => !tags.iter().any(|tag| tag.matches(&self.etag, Comparison::Strong)),
            None => date(headers, IF_UNMODIFIED_SINCE).is_some_and(|date| date < self.modified),
        }
    }

    /// The client has this state.
    fn is_known(&self, headers: &HeaderMap, dates_count: bool) -> bool {
        match tags(headers, IF_NONE_MATCH) {
            Some(tags) => tags.iter().any(|tag| tag.matches(&self.etag, Comparison::Weak)),
            None => dates_count && date(headers, IF_MODIFIED_SINCE).is_some_and(|date| date >= self.modified),
        }
    }
}

fn whole_seconds(at: Timestamp) -> jiff::Timestamp {
    let seconds = at.ns() / orzo_model::SECOND;
    jiff::Timestamp::from_second(seconds as i64).expect("1970 to 2262 is in range")
}

#[derive(Clone, Copy, PartialEq)]
enum Comparison {
    Strong,
    Weak,
}

#[derive(Debug, PartialEq)]
enum Tag {
    Any,
    Strong(String),
    Weak(String),
}

impl Tag {
    fn matches(&self, etag: &str, comparison: Comparison) -> bool {
        match self {
            Tag::Any => true,
            Tag::Strong(own) => own == etag,
            Tag::Weak(own) => comparison == Comparison::Weak && own == etag,
        }
    }
}

/// The tags of a header; `None` if it is absent, empty or unreadable.
fn tags(headers: &HeaderMap, name: HeaderName) -> Option<Vec<Tag>> {
    let text = headers.get(name)?.to_str().ok()?.trim();
    match text {
        "" => None,
        "*" => Some(vec![Tag::Any]),
        // Without quotes the whole is one tag.
        text if !text.contains('"') => Some(vec![Tag::Strong(text.to_owned())]),
        text => Some(text.split(',').filter_map(quoted_tag).collect()),
    }
}

fn quoted_tag(text: &str) -> Option<Tag> {
    let text = text.trim();
    let (make, quoted): (fn(String) -> Tag, _) = match text.strip_prefix("W/") {
        Some(quoted) => (Tag::Weak, quoted),
        None => (Tag::Strong, text),
    };
    Some(make(quoted.strip_prefix('"')?.strip_suffix('"')?.to_owned()))
}

fn date(headers: &HeaderMap, name: HeaderName) -> Option<jiff::Timestamp> {
    DateTimeParser::new().parse_timestamp(headers.get(name)?.to_str().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Mount;
    use crate::request::tests::get;

    /// 0 stands for "go on".
    fn status(method: Method, headers: &[(&'static str, &'static str)]) -> u16 {
        let modified = jiff::Timestamp::from_second(784_111_777).unwrap(); // Sun, 06 Nov 1994 08:49:37 GMT
        let validators = Validators { etag: "abc".to_owned(), modified };
        let mut request = get("/", headers, &Mount::default()).unwrap();
        request.method = method;
        match validators.check(&request) {
            Ok(None) => 0,
            Ok(Some(response)) => response.status.as_u16(),
            Err(error) => error.status().as_u16(),
        }
    }

    #[test]
    fn if_match() {
        for (value, expected) in [
            ("\"abc\"", 0),
            ("abc", 0),
            ("*", 0),
            ("", 0),
            ("\"x\", \"abc\"", 0),
            ("\"x\"", 412),
            ("W/\"abc\"", 412),
            ("x", 412),
        ] {
            assert_eq!(status(Method::PATCH, &[("if-match", value)]), expected, "{value}");
        }
    }

    #[test]
    fn if_none_match() {
        for (value, expected) in [("\"abc\"", 304), ("W/\"abc\"", 304), ("*", 304), ("\"x\"", 0), ("", 0)] {
            assert_eq!(status(Method::GET, &[("if-none-match", value)]), expected, "{value}");
        }
        assert_eq!(status(Method::DELETE, &[("if-none-match", "*")]), 412);
    }

    #[test]
    fn dates() {
        let (before, same) = ("Sun, 06 Nov 1994 08:49:36 GMT", "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(status(Method::GET, &[("if-modified-since", same)]), 304);
        assert_eq!(status(Method::GET, &[("if-modified-since", before)]), 0);
        assert_eq!(status(Method::PATCH, &[("if-modified-since", same)]), 0);
        assert_eq!(status(Method::PATCH, &[("if-unmodified-since", before)]), 412);
        assert_eq!(status(Method::PATCH, &[("if-unmodified-since", same)]), 0);
        assert_eq!(status(Method::GET, &[("if-modified-since", "yesterday")]), 0);
        let tags_win = [("if-match", "\"abc\""), ("if-unmodified-since", before)];
        assert_eq!(status(Method::PATCH, &tags_win), 0);
        let tags_win = [("if-none-match", "\"x\""), ("if-modified-since", same)];
        assert_eq!(status(Method::GET, &tags_win), 0);
    }

    #[test]
    fn headers_carry_both() {
        let modified = jiff::Timestamp::from_second(784_111_777).unwrap();
        let [(_, etag), (_, date)] = Validators { etag: "abc".to_owned(), modified }.headers();
        assert_eq!(etag, "\"abc\"");
        assert_eq!(date, "Sun, 06 Nov 1994 08:49:37 GMT");
    }
}
