//! Cross-origin requests: which pages of other origins may read answers.

use hyper::StatusCode;
use hyper::header::*;

use crate::response::Response;

const METHODS: [&str; 8] = ["OPTIONS", "GET", "HEAD", "POST", "PUT", "DELETE", "TRACE", "PATCH"];
const HEADERS: [&str; 15] = [
    "accept",
    "accept-language",
    "authorization",
    "cache-control",
    "content-language",
    "content-type",
    "expires",
    "last-modified",
    "pragma",
    "x-auth-token",
    "x-domain-id",
    "x-project-id",
    "x-roles",
    "x-subject-token",
    "x-user-id",
];
/// How long a browser may remember a preflight, in seconds.
const MAX_AGE: &str = "3600";

/// Origins that are let in; compared literally.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cors {
    /// Such as `https://grafana.example.org`. None: the headers of this module are never sent.
    pub allowed_origins: Vec<String>,
}

impl Cors {
    /// The answer to OPTIONS on any path: 200, with leave to go on if it asks for nothing unknown.
    pub(crate) fn preflight(&self, request: &HeaderMap) -> Response {
        let mut response = Response::new(StatusCode::OK, "");
        let text = |name: HeaderName| request.get(name).and_then(|value| value.to_str().ok());
        let Some(origin) = self.origin(request) else { return response };
        let Some(method) = text(ACCESS_CONTROL_REQUEST_METHOD).filter(|m| METHODS.contains(m)) else {
            return response;
        };
        let wanted: Vec<&str> = text(ACCESS_CONTROL_REQUEST_HEADERS)
            .unwrap_or("")
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty())
            .collect();
        if !wanted.iter().all(|name| HEADERS.contains(&name.to_ascii_lowercase().as_str())) {
            return response;
        }
        let mut put = |name, value: &str| {
            let value = HeaderValue::from_str(value).expect("made of header text");
            response.headers.insert(name, value);
        };
        put(ACCESS_CONTROL_ALLOW_METHODS, method);
        put(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
        if !wanted.is_empty() {
            put(ACCESS_CONTROL_ALLOW_HEADERS, &wanted.join(","));
        }
        grant(&mut response.headers, origin);
        response
    }

    /// Lets the page that sent the request read the answer, if its origin is let in.
    pub(crate) fn decorate(&self, request: &HeaderMap, response: &mut HeaderMap) {
        if let Some(origin) = self.origin(request) {
            grant(response, origin);
        }
    }

    fn origin<'a>(&self, request: &'a HeaderMap) -> Option<&'a HeaderValue> {
        let origin = request.get(ORIGIN)?;
        self.allowed_origins.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes()).then_some(origin)
    }
}

fn grant(response: &mut HeaderMap, origin: &HeaderValue) {
    response.append(VARY, HeaderValue::from_static("Origin"));
    response.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    response.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preflight(origin: &'static str, method: &'static str, headers: &'static str) -> HeaderMap {
        let mut request = HeaderMap::new();
        request.insert(ORIGIN, HeaderValue::from_static(origin));
        request.insert(ACCESS_CONTROL_REQUEST_METHOD, HeaderValue::from_static(method));
        request.insert(ACCESS_CONTROL_REQUEST_HEADERS, HeaderValue::from_static(headers));
        Cors { allowed_origins: vec!["http://foobar.com".to_owned()] }.preflight(&request).headers
    }

    #[test]
    fn known_origins_may_ask() {
        let granted = preflight("http://foobar.com", "GET", "X-Auth-Token, Content-Type");
        assert_eq!(granted[ACCESS_CONTROL_ALLOW_METHODS], "GET");
        assert_eq!(granted[ACCESS_CONTROL_ALLOW_ORIGIN], "http://foobar.com");
        assert_eq!(granted[ACCESS_CONTROL_ALLOW_HEADERS], "X-Auth-Token,Content-Type");
        assert_eq!(granted[VARY], "Origin");
    }

    #[test]
    fn others_get_nothing() {
        assert!(preflight("http://evil.com", "GET", "").is_empty());
        assert!(preflight("http://foobar.com", "BREW", "").is_empty());
        assert!(preflight("http://foobar.com", "GET", "X-Evil").is_empty());
    }
}
