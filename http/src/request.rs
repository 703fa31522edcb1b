//! A request as handlers see it: who was asked for what, below which address.

use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderName};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};

use crate::accept::Accept;
use crate::error::{ApiError, Outcome};
use crate::json::Value;
use crate::query::{Query, encode_path};

/// How addresses are read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mount {
    /// Where the API is mounted: empty, or a path that starts and does not end with `/`.
    pub prefix: String,
    /// Whether `Forwarded`, `X-Forwarded-*` tell the address that the client used.
    pub proxy_headers: bool,
}

impl Mount {
    /// The part of a path below the mount.
    pub(crate) fn below<'a>(&self, path: &'a str) -> Option<&'a str> {
        let rest = path.strip_prefix(&self.prefix)?;
        (rest.is_empty() || rest.starts_with('/')).then_some(rest)
    }
}

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// HEAD reads as GET; the answer's body is left out when it is sent.
    pub method: Method,
    /// Whether it was HEAD.
    pub is_head: bool,
    /// All headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
    /// Scheme, host and mount as the client knows them: what absolute URLs start with.
    pub base: String,
    /// The path below the mount, encoded as it came.
    pub path: String,
    /// The path, decoded and split; empty segments are dropped.
    pub segments: Vec<String>,
    /// The query.
    pub query: Query,
    /// What the client accepts.
    pub accept: Accept,
}

impl Request {
    /// Reads a request. Errors: 404 outside the mount, 400 if path or query are not UTF-8.
    pub(crate) fn read(parts: Parts, body: Bytes, mount: &Mount) -> Outcome<Request> {
        let path = mount.below(parts.uri.path()).ok_or_else(|| ApiError::bare(StatusCode::NOT_FOUND))?;
        let encoding = || ApiError::bad("the URL is not UTF-8");
        let decoded = percent_encoding::percent_decode_str(path).decode_utf8().map_err(|_| encoding())?;
        Ok(Request {
            base: base(&parts, mount),
            segments: decoded.split('/').filter(|segment| !segment.is_empty()).map(str::to_owned).collect(),
            path: path.to_owned(),
            query: Query::parse(parts.uri.query().unwrap_or("")).ok_or_else(encoding)?,
            accept: Accept::of(&parts.headers),
            is_head: parts.method == Method::HEAD,
            method: if parts.method == Method::HEAD { Method::GET } else { parts.method },
            headers: parts.headers,
            body,
        })
    }

    /// A header as text; `None` if absent or no text.
    pub(crate) fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The absolute URL of something of ours; `path` starts with `/` and is not encoded yet.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{}", self.base, encode_path(path))
    }

    /// The absolute URL of this very path, without the query. Clients may send bytes that are no ASCII
    /// as they are; they are encoded.
    pub(crate) fn own_url(&self) -> String {
        let path = percent_encoding::utf8_percent_encode(&self.path, percent_encoding::CONTROLS);
        format!("{}{path}", self.base)
    }

    /// The body as JSON. Errors: 415 unless it says that it is JSON, 400 if it is not.
    pub(crate) fn json(&self) -> Outcome<Value> {
        self.json_of_type("application/json")
    }

    /// The body as JSON of another media type.
    pub(crate) fn json_of_type(&self, media_type: &str) -> Outcome<Value> {
        self.expect_type(media_type)?;
        Ok(Value::parse(&self.body)?)
    }

    /// 415 unless the body is said to be of this type.
    pub(crate) fn expect_type(&self, media_type: &str) -> Outcome<()> {
        let given = self.header(&CONTENT_TYPE).and_then(|value| value.split(';').next());
        match given {
            Some(given) if given.trim() == media_type => Ok(()),
            _ => Err(ApiError::plain(StatusCode::UNSUPPORTED_MEDIA_TYPE)),
        }
    }
}

fn base(parts: &Parts, mount: &Mount) -> String {
    let text = |name: &HeaderName| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let own_host =
        text(&HOST).or(parts.uri.authority().map(|authority| authority.as_str())).unwrap_or("localhost");
    let mut forwarded = Forwarded::default();
    if mount.proxy_headers {
        forwarded = Forwarded::of(&parts.headers);
    }
    let scheme = forwarded.proto.unwrap_or("http");
    let host = forwarded.host.unwrap_or(own_host);
    let outer = forwarded.prefix.unwrap_or("").trim_end_matches('/');
    format!("{scheme}://{host}{outer}{}", mount.prefix)
}

/// What proxies say about the address that the client used.
#[derive(Default)]
struct Forwarded<'a> {
    proto: Option<&'a str>,
    host: Option<&'a str>,
    prefix: Option<&'a str>,
}

impl<'a> Forwarded<'a> {
    fn of(headers: &'a HeaderMap) -> Self {
        let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).filter(|v| !v.is_empty());
        let prefix = text("x-forwarded-prefix");
        let Some(chain) = text("forwarded") else {
            return Forwarded { proto: text("x-forwarded-proto"), host: text("x-forwarded-host"), prefix };
        };
        let first = chain.split(',').next().unwrap_or("");
        let part = |name: &str| {
            let pairs = first.split(';').filter_map(|pair| pair.split_once('='));
            let value =
                pairs.filter(|(own, _)| own.trim().eq_ignore_ascii_case(name)).map(|(_, v)| v.trim()).next();
            value.map(|v| v.trim_matches('"')).filter(|v| !v.is_empty())
        };
        Forwarded { proto: part("proto"), host: part("host"), prefix }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A request without a body, for tests all over the crate.
    pub(crate) fn get(
        uri: &str,
        headers: &[(&'static str, &'static str)],
        mount: &Mount,
    ) -> Outcome<Request> {
        let mut builder = hyper::Request::builder().uri(uri).header(HOST, "here:80");
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        let (parts, ()) = builder.body(()).unwrap().into_parts();
        Request::read(parts, Bytes::new(), mount)
    }

    fn base_of(headers: &[(&'static str, &'static str)]) -> String {
        get("/gnocchi/v1/", headers, &Mount { prefix: "/gnocchi".into(), proxy_headers: true }).unwrap().base
    }

    #[test]
    fn proxies_tell_the_address() {
        assert_eq!(base_of(&[]), "http://here:80/gnocchi");
        let forwarded = ("forwarded", "for=192.0.2.60;proto=http;host=foobar, for=1;host=other");
        assert_eq!(base_of(&[forwarded]), "http://foobar/gnocchi");
        let both = [forwarded, ("x-forwarded-host", "ignored"), ("x-forwarded-prefix", "/outer/")];
        assert_eq!(base_of(&both), "http://foobar/outer/gnocchi");
        assert_eq!(
            base_of(&[("x-forwarded-proto", "https"), ("x-forwarded-host", "h")]),
            "https://h/gnocchi"
        );
        let plain = get("/v1", &[("x-forwarded-host", "h")], &Mount::default()).unwrap();
        assert_eq!(plain.base, "http://here:80");
    }

    #[test]
    fn paths_are_decoded_before_they_are_split() {
        let request = get("/v1//metric/a%2Fb/%E2%9C%94/", &[], &Mount::default()).unwrap();
        assert_eq!(request.segments, ["v1", "metric", "a", "b", "✔"]);
        assert!(get("/v1/%ff", &[], &Mount::default()).is_err());
        let mounted = Mount { prefix: "/gnocchi".into(), proxy_headers: false };
        assert!(get("/gnocchix/v1", &[], &mounted).is_err());
        assert_eq!(get("/gnocchi", &[], &mounted).unwrap().segments, [""; 0]);
    }

    #[test]
    fn types_of_bodies_are_taken_literally() {
        let typed = |value| get("/", &[("content-type", value)], &Mount::default()).unwrap();
        assert!(typed("application/json; charset=utf-8").expect_type("application/json").is_ok());
        for other in ["Application/JSON", "text/plain", "application/json-patch+json", ""] {
            assert!(typed(other).expect_type("application/json").is_err(), "{other}");
        }
    }
}
