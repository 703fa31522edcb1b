//! What a handler says when it cannot do its work, and how that reads in JSON, HTML and plain text.

use std::fmt::Write;

use hyper::StatusCode;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use orzo_model::filter::BindError;
use orzo_model::ops::Refusal;
use orzo_store::index;

use crate::accept::{Accept, ErrorForm};
use crate::engine::EngineError;
use crate::json::{ReadError, Value};
use crate::response::Response;
use crate::schema::Invalid;

/// The result of a handler and of most of what it calls.
pub(crate) type Outcome<T = Response> = Result<T, ApiError>;

/// An answer that is an error.
#[derive(Clone, Debug)]
pub struct ApiError(Box<Parts>);

#[derive(Clone, Debug)]
struct Parts {
    status: StatusCode,
    description: Value,
    /// A body of its own shape, always in JSON.
    body: Option<Value>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl ApiError {
    /// An error whose description is `null`: nothing is at such a path.
    pub fn bare(status: StatusCode) -> Self {
        ApiError(Box::new(Parts { status, description: Value::Null, body: None, headers: Vec::new() }))
    }

    /// An error whose description is empty: the status says it all.
    pub fn plain(status: StatusCode) -> Self {
        Self::text(status, "")
    }

    fn described(status: StatusCode, description: Value) -> Self {
        let mut error = Self::bare(status);
        error.0.description = description;
        error
    }

    /// A string error.
    pub fn text(status: StatusCode, description: impl Into<String>) -> Self {
        Self::described(status, Value::Text(description.into()))
    }

    /// An object error.
    pub fn object<const N: usize>(status: StatusCode, entries: [(&str, Value); N]) -> Self {
        Self::described(status, Value::object(entries))
    }

    /// 400 with a text.
    pub fn bad(description: impl Into<String>) -> Self {
        Self::text(StatusCode::BAD_REQUEST, description)
    }

    /// 400 with an object.
    pub fn bad_object<const N: usize>(entries: [(&str, Value); N]) -> Self {
        Self::object(StatusCode::BAD_REQUEST, entries)
    }

    /// 400 about a query argument.
    pub fn bad_argument(name: &str, reason: impl Into<String>) -> Self {
        let reason = Value::Text(reason.into());
        Self::bad_object([
            ("cause", "Argument value error".into()),
            ("detail", name.into()),
            ("reason", reason),
        ])
    }

    /// 404 with a text.
    pub fn not_found(description: impl Into<String>) -> Self {
        Self::text(StatusCode::NOT_FOUND, description)
    }

    /// 401 for a token, in the shape that clients of the identity service know.
    pub fn token_refused() -> Self {
        let status = StatusCode::UNAUTHORIZED;
        let code = Value::Int(status.as_u16().into());
        let message = "The request you have made requires authentication.".into();
        let error = Value::object([("code", code), ("title", title(status).into()), ("message", message)]);
        let mut refused = Self::bare(status);
        refused.0.body = Some(Value::object([("error", error)]));
        refused
    }

    /// 403.
    pub fn forbidden() -> Self {
        Self::plain(StatusCode::FORBIDDEN)
    }

    /// 405; `allowed` is what would have been fine.
    pub fn method_not_allowed(allowed: &str) -> Self {
        let allowed = HeaderValue::from_str(allowed).expect("method names are header text");
        Self::plain(StatusCode::METHOD_NOT_ALLOWED).with_header(ALLOW, allowed)
    }

    /// 503: the same request may succeed a second later.
    pub fn unavailable(description: impl Into<String>) -> Self {
        Self::text(StatusCode::SERVICE_UNAVAILABLE, description)
            .with_header(RETRY_AFTER, HeaderValue::from_static("1"))
    }

    /// Adds a header to the answer.
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.push((name, value));
        self
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The answer, in the form the client likes best.
    pub fn render(&self, accept: &Accept) -> Response {
        let (content_type, body) = match (accept.error_form(), &self.0.body) {
            (_, Some(body)) => ("application/json", body.to_text()),
            (ErrorForm::Json, None) => ("application/json", self.json()),
            (ErrorForm::Html, None) => ("text/html; charset=UTF-8", self.html()),
            (ErrorForm::Plain, None) => ("text/plain; charset=UTF-8", self.plain_text()),
        };
        let mut response = Response::new(self.0.status, body);
        response.headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        response.headers.extend(self.0.headers.iter().cloned());
        response
    }

    fn json(&self) -> String {
        let code = Value::Int(self.0.status.as_u16().into());
        Value::object([
            ("code", code),
            ("title", title(self.0.status).into()),
            ("description", self.0.description.clone()),
        ])
        .to_text()
    }

    /// Objects are shown as JSON: nothing in it is escaped that people search for.
    fn detail(&self) -> String {
        match &self.0.description {
            Value::Null => String::new(),
            Value::Text(text) => text.clone(),
            object => object.to_text(),
        }
    }

    fn plain_text(&self) -> String {
        let (code, title) = (self.0.status.as_u16(), title(self.0.status));
        format!("{code} {title}\n\n{}\n\n {}\n\n", explanation(self.0.status), self.detail())
    }

    fn html(&self) -> String {
        let heading = format!("{} {}", self.0.status.as_u16(), title(self.0.status));
        let detail = escape_html(&self.detail());
        format!(
            "<html>\n <head>\n  <title>{heading}</title>\n </head>\n <body>\n  <h1>{heading}</h1>\n  {}<br /><br />\n\
             {detail}\n\n\n </body>\n</html>",
            explanation(self.0.status)
        )
    }
}

fn title(status: StatusCode) -> &'static str {
    status.canonical_reason().unwrap_or("Error")
}

/// One sentence for people; clients of the reference search for some of them.
fn explanation(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED => {
            "This server could not verify that you are authorized to access the document you requested."
        }
        StatusCode::FORBIDDEN => "Access was denied to this resource.",
        StatusCode::NOT_FOUND => "The resource could not be found.",
        StatusCode::METHOD_NOT_ALLOWED => "The method is not allowed for this resource.",
        StatusCode::NOT_ACCEPTABLE => "The resource exists only in forms that your client does not accept.",
        StatusCode::CONFLICT => "There was a conflict when trying to complete your request.",
        StatusCode::PRECONDITION_FAILED => "Request precondition failed.",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "The request media type is not supported by this server.",
        status if status.is_server_error() => {
            "The server has either erred or is incapable of performing the requested operation."
        }
        _ => {
            "The server could not comply with the request since it is either malformed or otherwise incorrect."
        }
    }
}

/// Text as it may stand in HTML, in attributes too.
pub(crate) fn escape_html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#x27;"),
            c if c.is_ascii() => out.push(c),
            c => write!(out, "&#{};", u32::from(c)).expect("writing to a string succeeds"),
        }
    }
    out
}

impl From<Invalid> for ApiError {
    fn from(invalid: Invalid) -> Self {
        Self::bad_object([
            ("cause", "Invalid input".into()),
            ("reason", invalid.to_string().into()),
            ("detail", invalid.path_texts()),
        ])
    }
}

impl From<ReadError> for ApiError {
    fn from(error: ReadError) -> Self {
        Self::bad_object([
            ("cause", "Unable to decode body".into()),
            ("reason", error.to_string().into()),
            ("detail", Value::List(Vec::new())),
        ])
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        Self::bad_object([
            ("cause", refusal.cause.into()),
            ("reason", refusal.reason.into()),
            ("detail", (&refusal.detail).into()),
        ])
    }
}

impl From<BindError> for ApiError {
    fn from(error: BindError) -> Self {
        Self::bad(error.to_string())
    }
}

/// The usual status of each; handlers that must answer otherwise match first.
impl From<index::Error> for ApiError {
    fn from(error: index::Error) -> Self {
        use index::Error::*;
        let status = match &error {
            NotFound(..) => StatusCode::NOT_FOUND,
            AlreadyExists(..) | NamedMetricExists(_) => StatusCode::CONFLICT,
            Conflict => StatusCode::PRECONDITION_FAILED,
            Outdated(_) => return Self::unavailable("The resource type is being changed. Please try again."),
            Store(error) => {
                tracing::debug!(reason = error.reason(), "the index failed");
                return Self::unavailable(format!("The index is not available: {}.", error.reason()));
            }
            _ => StatusCode::BAD_REQUEST,
        };
        Self::text(status, error.to_string())
    }
}

impl From<EngineError> for ApiError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Busy => Self::unavailable("Too many measures are waiting. Please try again."),
            EngineError::Failed(reason) => {
                tracing::debug!(reason, "the engine failed");
                Self::unavailable(format!("The storage is not available: {reason}."))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::{ACCEPT, HeaderMap};

    fn body(error: &ApiError, accept: Option<&'static str>) -> String {
        let mut headers = HeaderMap::new();
        if let Some(accept) = accept {
            headers.insert(ACCEPT, HeaderValue::from_static(accept));
        }
        String::from_utf8(error.render(&Accept::of(&headers)).body.to_vec()).unwrap()
    }

    #[test]
    fn three_forms_of_one_error() {
        let error = ApiError::bad("timespan ≠ granularity × points, 'a' > `b'");
        assert_eq!(
            body(&error, Some("application/json")),
            r#"{"code": 400, "title": "Bad Request", "description": "timespan ≠ granularity × points, 'a' > `b'"}"#
        );
        let plain = body(&error, None);
        assert!(plain.starts_with("400 Bad Request\n\nThe server could"), "{plain}");
        assert!(plain.contains("\n\n timespan ≠ granularity × points, 'a' > `b'\n"), "{plain}");
        let html = body(&error, Some("*/*"));
        assert!(
            html.contains("timespan &#8800; granularity &#215; points, &#x27;a&#x27; &gt; `b&#x27;"),
            "{html}"
        );
    }

    #[test]
    fn descriptions_of_all_kinds() {
        let json = |error: &ApiError| body(error, Some("application/json"));
        assert!(json(&ApiError::bare(StatusCode::NOT_FOUND)).ends_with("\"description\": null}"));
        assert!(json(&ApiError::forbidden()).ends_with("\"description\": \"\"}"));
        let error = ApiError::bad_argument("start", "Must be a datetime or a timestamp");
        assert!(
            json(&error).contains(r#""description": {"cause": "Argument value error", "detail": "start""#)
        );
        assert!(body(&error, None).contains(r#"{"cause": "Argument value error", "detail": "start""#));
        assert!(body(&ApiError::plain(StatusCode::NOT_ACCEPTABLE), None).contains("406 Not Acceptable"));
    }
}
