//! `/v1/openapi.json`: this API in the words of OpenAPI 3.1. The document is kept by hand; a test holds it against the
//! routes in both directions.

use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, StatusCode};

use crate::call::Call;
use crate::error::Outcome;
use crate::json::Value;
use crate::response::Response;

const DOCUMENT: &str = include_str!("openapi.json");

/// Stands in the document for the address that the client used.
const SERVER: &str = "\"SERVER\"";

/// Nobody has to say who asks.
pub(super) fn document(call: &Call<'_>) -> Outcome {
    call.act(&[(Method::GET, &|| {
        let server = Value::from(call.request.base.as_str()).to_text();
        let json = HeaderValue::from_static("application/json");
        Ok(Response::new(StatusCode::OK, DOCUMENT.replacen(SERVER, &server, 1))
            .with_header(CONTENT_TYPE, json))
    })])
}
