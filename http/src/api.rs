//! The API without a socket: a request in, an answer out, synchronously.

use hyper::Method;
use hyper::body::Bytes;
use hyper::http::request::Parts;

use crate::accept::Accept;
use crate::auth::{RuleError, Rules};
use crate::call::Call;
use crate::config::{Config, Ctx};
use crate::cors::Cors;
use crate::error::{ApiError, Outcome};
use crate::patience::Patience;
use crate::request::{Mount, Request};
use crate::response::Response;
use crate::ui::Ui;
use crate::v1::{self, Targets};

/// Bytes of a body that is read in no time.
const SMALL_BODY: usize = 16 << 10;

/// The API.
pub struct Api {
    pub(crate) config: Config,
    pub(crate) ctx: Ctx,
    pub(crate) rules: Rules,
    mount: Mount,
    cors: Cors,
    ui: Option<Ui>,
    pub(crate) targets: Targets,
}

impl Api {
    /// Errors: a rule of the policy cannot be read.
    pub fn new(config: Config, ctx: Ctx) -> Result<Api, RuleError> {
        Ok(Api {
            rules: Rules::new(&config.policy_rules)?,
            mount: Mount { prefix: config.prefix.clone(), proxy_headers: config.proxy_headers },
            cors: Cors { allowed_origins: config.cors_allowed_origins.clone() },
            ui: config.page.as_ref().map(|facts| Ui::built_in(facts, &config.auth)),
            targets: Targets::default(),
            config,
            ctx,
        })
    }

    /// Answers a request. Blocks while index and engine do, and patience lasts.
    pub fn handle(&self, parts: Parts, body: Bytes, patience: &Patience) -> Response {
        if parts.method == Method::OPTIONS {
            return self.cors.preflight(&parts.headers);
        }
        let headers = parts.headers.clone();
        let outcome =
            Request::read(parts, body, &self.mount).and_then(|request| self.answer(&request, patience));
        self.finish(&headers, outcome)
    }

    /// Whether a request only changes one object of the index, which takes next to no time but that of the index's writer.
    pub(crate) fn changes_one_object(&self, parts: &Parts, body: &Bytes) -> bool {
        // Asking who sends a token may take long.
        let is_quick = !self.config.auth.has_projects() && body.len() <= SMALL_BODY;
        is_quick
            && self
                .mount
                .below(parts.uri.path())
                .is_some_and(|path| v1::changes_one_object(&parts.method, path))
    }

    /// The answer to a request that was not even read.
    pub(crate) fn refuse(&self, headers: &hyper::HeaderMap, error: ApiError) -> Response {
        self.finish(headers, Err(error))
    }

    fn answer(&self, request: &Request, patience: &Patience) -> Outcome {
        let call = Call::new(self, request, patience);
        let segments: Vec<&str> = request.segments.iter().map(String::as_str).collect();
        match (&self.ui, &segments[..]) {
            (Some(ui), ["ui", below @ ..]) => ui.answer(&call, below),
            _ => v1::route(&call),
        }
    }

    fn finish(&self, headers: &hyper::HeaderMap, outcome: Outcome) -> Response {
        let mut response = outcome.unwrap_or_else(|error| error.render(&Accept::of(headers)));
        self.cors.decorate(headers, &mut response.headers);
        response
    }
}
