//! The web page at `/ui`: files that `scripts/ui` built and `build.rs` put into the program.
//!
//! A file whose name carries a hash of its content never changes, so browsers may keep it; the page that names such
//! files is asked for anew each time. No answer lets a browser load anything from elsewhere. In a build without the
//! page, `/ui` says so, and how to get it.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use hyper::body::Bytes;
use hyper::header::*;
use hyper::{Method, StatusCode};

use crate::auth::AuthMode;
use crate::call::Call;
use crate::error::{ApiError, Outcome, escape_html};
use crate::json::Value;
use crate::request::Request;
use crate::response::Response;

/// Path below `ui/dist`, and content. Empty in a build without the page.
const BUILT: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/ui_files.rs"));

/// The page itself.
const INDEX: &str = "index.html";
/// Stands in the page for what it is told.
const FACTS: &str = "FACTS";
/// Directory of the files with a hash in their names.
const HASHED: &str = "assets/";

const POLICY: &str = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

const LEFT_OUT: &str = "This build of orzo has no web page: it was built without node.\n\n\
    To get it, install node and npm (on Debian: apt-get install nodejs npm), then run `make build` in the source tree \
    and start the daemon again. Everything else works without it: the API is at /v1, the daemon's own counters at \
    /metrics.\n";

/// What the page cannot learn from the API.
#[derive(Clone, Debug, Default)]
pub struct PageFacts {
    /// Where statsd takes datagrams: the page shows how to send a first metric.
    pub statsd_udp: Option<SocketAddr>,
    /// Series that statsd may create in all.
    pub series_max: u64,
}

/// The files, ready to be sent.
pub(crate) struct Ui {
    files: BTreeMap<&'static str, File>,
}

struct File {
    content_type: &'static str,
    cache: &'static str,
    etag: HeaderValue,
    plain: Bytes,
    gzip: Option<Bytes>,
}

impl Ui {
    /// The page that is part of this program.
    pub(crate) fn built_in(facts: &PageFacts, auth: &AuthMode) -> Self {
        Self::of(BUILT, &describe(facts, auth))
    }

    fn of(built: &[(&'static str, &'static [u8])], facts: &str) -> Self {
        let gzip: BTreeMap<&str, &'static [u8]> =
            built.iter().filter_map(|(name, bytes)| Some((name.strip_suffix(".gz")?, *bytes))).collect();
        let plain = built.iter().filter(|(name, _)| !name.ends_with(".gz"));
        let file = |&(name, bytes): &(&'static str, &'static [u8])| {
            let bytes = match name {
                INDEX => String::from_utf8_lossy(bytes).replacen(FACTS, &escape_html(facts), 1).into(),
                _ => Bytes::from_static(bytes),
            };
            (name, File::new(name, bytes, gzip.get(name).copied().map(Bytes::from_static)))
        };
        Ui { files: plain.map(file).collect() }
    }

    /// Answers what is asked for below `/ui`. Nobody has to say who asks: the page holds no data.
    pub(crate) fn answer(&self, call: &Call<'_>, below: &[&str]) -> Outcome {
        call.act_in_any_form(&[(Method::GET, &|| self.get(call.request, below))])
    }

    fn get(&self, request: &Request, below: &[&str]) -> Outcome {
        let name = if below.is_empty() { INDEX.to_owned() } else { below.join("/") };
        match self.files.get(name.as_str()) {
            None if self.files.is_empty() => Ok(left_out()),
            None => Err(ApiError::bare(StatusCode::NOT_FOUND)),
            // The page names its files relative to itself, so that it may lie below any prefix.
            Some(_) if below.is_empty() && !request.path.ends_with('/') => Ok(to_directory(request)),
            Some(file) => Ok(file.answer(request)),
        }
    }
}

impl File {
    fn new(name: &str, plain: Bytes, gzip: Option<Bytes>) -> Self {
        let hash = sha1_smol::Sha1::from(&plain).digest();
        // Weak: both encodings are the same file.
        let etag = HeaderValue::from_str(&format!("W/\"{hash}\"")).expect("a hash is header text");
        let cache = if name.starts_with(HASHED) { "public, max-age=31536000, immutable" } else { "no-cache" };
        File { content_type: content_type(name), cache, etag, plain, gzip }
    }

    fn answer(&self, request: &Request) -> Response {
        let known = request.header(&IF_NONE_MATCH).unwrap_or("");
        let known = known.split(',').any(|tag| tag.trim() == self.etag);
        let mut response = if known {
            Response::new(StatusCode::NOT_MODIFIED, "")
        } else {
            self.content(takes_gzip(request))
                .with_header(CONTENT_TYPE, HeaderValue::from_static(self.content_type))
        };
        let headers = [(CACHE_CONTROL, self.cache), (VARY, "accept-encoding")];
        response.headers.extend(headers.map(|(name, value)| (name, HeaderValue::from_static(value))));
        guarded(response.with_header(ETAG, self.etag.clone()))
    }

    fn content(&self, gzip: bool) -> Response {
        match &self.gzip {
            Some(body) if gzip => Response::new(StatusCode::OK, body.clone())
                .with_header(CONTENT_ENCODING, HeaderValue::from_static("gzip")),
            _ => Response::new(StatusCode::OK, self.plain.clone()),
        }
    }
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map_or("", |(_, end)| end) {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

fn takes_gzip(request: &Request) -> bool {
    let accepted = request.header(&ACCEPT_ENCODING).unwrap_or("").split(',');
    accepted.map(|coding| coding.split_once(';').unwrap_or((coding, ""))).any(|(coding, quality)| {
        let quality = quality.trim().strip_prefix("q=").map_or(Ok(1.0), str::parse::<f32>);
        coding.trim().eq_ignore_ascii_case("gzip") && quality.is_ok_and(|quality| quality > 0.0)
    })
}

fn guarded(mut response: Response) -> Response {
    let guards = [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
    ];
    response.headers.extend(guards.map(|(name, value)| (name, HeaderValue::from_static(value))));
    response
}

fn left_out() -> Response {
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    Response::new(StatusCode::NOT_FOUND, LEFT_OUT).with_header(CONTENT_TYPE, text)
}

/// `/ui` to `/ui/`, relative: a proxy in front may know the place by another name.
fn to_directory(request: &Request) -> Response {
    let name = request.path.rsplit('/').next().unwrap_or("");
    let location = HeaderValue::from_str(&format!("{name}/")).expect("it came in the line of a request");
    Response::new(StatusCode::FOUND, "").with_header(LOCATION, location)
}

fn describe(facts: &PageFacts, auth: &AuthMode) -> String {
    let auth = match auth {
        AuthMode::Basic => "basic",
        AuthMode::RemoteUser(_) => "remoteuser",
        AuthMode::Token(_) => "token",
    };
    Value::object([
        ("auth", auth.into()),
        ("statsd", Value::text_or_null(facts.statsd_udp.map(|address| address.to_string()))),
        ("series_max", facts.series_max.into()),
        ("version", env!("CARGO_PKG_VERSION").into()),
    ])
    .to_text()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Mount;
    use crate::request::tests::get;

    const FILES: &[(&str, &[u8])] = &[
        ("assets/app-1A2B.js", b"let a;"),
        ("assets/app-1A2B.js.gz", b"packed"),
        ("index.html", b"<meta content='FACTS'>"),
    ];

    fn ask(ui: &Ui, uri: &str, headers: &[(&'static str, &'static str)]) -> Result<Response, u16> {
        let request = get(uri, headers, &Mount { prefix: "/at".into(), proxy_headers: false }).unwrap();
        let below: Vec<&str> = request.segments[1..].iter().map(String::as_str).collect();
        ui.get(&request, &below).map_err(|error| error.status().as_u16())
    }

    fn page() -> Ui {
        Ui::of(FILES, r#"{"a": "b"}"#)
    }

    #[test]
    fn a_build_without_the_page_says_so() {
        for path in ["/at/ui", "/at/ui/", "/at/ui/assets/app.js"] {
            let answer = ask(&Ui::of(&[], ""), path, &[]).unwrap();
            assert_eq!(answer.status, 404);
            assert!(String::from_utf8(answer.body.to_vec()).unwrap().contains("make build"));
        }
    }

    #[test]
    fn the_page_is_a_directory_and_knows_its_facts() {
        let redirect = ask(&page(), "/at/ui", &[]).unwrap();
        assert_eq!(
            (redirect.status.as_u16(), &redirect.headers[LOCATION]),
            (302, &HeaderValue::from_static("ui/"))
        );
        let answer = ask(&page(), "/at/ui/", &[("accept-encoding", "gzip")]).unwrap();
        assert_eq!(answer.body, "<meta content='{&quot;a&quot;: &quot;b&quot;}'>");
        assert_eq!(answer.headers[CONTENT_TYPE], "text/html; charset=utf-8");
        assert_eq!(answer.headers[CACHE_CONTROL], "no-cache");
        assert!(answer.headers[CONTENT_SECURITY_POLICY].to_str().unwrap().starts_with("default-src 'self';"));
        assert_eq!(ask(&page(), "/at/ui/elsewhere", &[]).unwrap_err(), 404);
    }

    #[test]
    fn hashed_files_are_kept_and_travel_packed() {
        let asked = |headers| ask(&page(), "/at/ui/assets/app-1A2B.js", headers).unwrap();
        let packed = asked(&[("accept-encoding", "br, gzip;q=0.5")]);
        assert_eq!(packed.body, "packed");
        assert_eq!(packed.headers[CONTENT_ENCODING], "gzip");
        for plain in ["br", "gzip;q=0", ""] {
            let answer = ask(&page(), "/at/ui/assets/app-1A2B.js", &[("accept-encoding", plain)]).unwrap();
            assert_eq!(answer.body, "let a;", "{plain}");
            assert!(!answer.headers.contains_key(CONTENT_ENCODING));
        }
        assert!(packed.headers[CACHE_CONTROL].to_str().unwrap().ends_with("immutable"));
        assert_eq!(packed.headers[CONTENT_TYPE], "text/javascript; charset=utf-8");
        assert_eq!(asked(&[]).headers[ETAG], packed.headers[ETAG]);
    }

    #[test]
    fn who_has_it_is_told_so() {
        let etag = page().files["index.html"].etag.clone();
        let request = |tag: &HeaderValue| {
            let mut request = get("/ui/", &[], &Mount::default()).unwrap();
            request.headers.insert(IF_NONE_MATCH, tag.clone());
            page().get(&request, &[]).unwrap()
        };
        assert_eq!(request(&etag).status, 304);
        assert_eq!(request(&etag).headers[ETAG], etag);
        assert_eq!(request(&HeaderValue::from_static("W/\"other\"")).status, 200);
    }
}
