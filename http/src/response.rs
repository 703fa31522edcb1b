//! What a handler answers.

use hyper::StatusCode;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

use crate::json::{Value, Writer};

/// An answer.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// All but length and date.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Response {
    /// An answer without headers.
    pub fn new(status: StatusCode, body: impl Into<Bytes>) -> Self {
        Response { status, headers: HeaderMap::new(), body: body.into() }
    }

    /// 200 with a JSON value.
    pub fn ok(value: &Value) -> Self {
        Self::json(StatusCode::OK, value)
    }

    /// A JSON value.
    pub fn json(status: StatusCode, value: &Value) -> Self {
        Self::json_text(status, value.to_text())
    }

    /// 200 with what `write` writes, without a tree in between.
    pub fn written(write: impl FnOnce(&mut Writer)) -> Self {
        let mut writer = Writer::new();
        write(&mut writer);
        Self::json_text(StatusCode::OK, writer.finish())
    }

    fn json_text(status: StatusCode, text: String) -> Self {
        Self::new(status, text).with_header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
    }

    /// 204.
    pub fn no_content() -> Self {
        Self::new(StatusCode::NO_CONTENT, "")
    }

    /// 202: measures are stored.
    pub fn accepted() -> Self {
        Self::json_text(StatusCode::ACCEPTED, String::new())
    }

    /// Adds a header.
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }
}
