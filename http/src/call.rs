//! One request at work: everything a handler needs, in one place.

use std::sync::OnceLock;

use hyper::header::{HeaderValue, LOCATION};
use hyper::{Method, StatusCode};
use orzo_model::{Column, Timestamp};
use orzo_store::Index;

use crate::allowance::Allowance;
use crate::api::Api;
use crate::auth::visibility::Onlooker;
use crate::auth::{Identity, Target};
use crate::engine::{self, Engine};
use crate::error::{ApiError, Outcome};
use crate::json::Value;
use crate::patience::Patience;
use crate::query::Query;
use crate::request::Request;
use crate::response::Response;

/// One request at work.
pub(crate) struct Call<'a> {
    pub(crate) api: &'a Api,
    pub(crate) request: &'a Request,
    /// When it came: all clocks of one request show the same.
    pub(crate) now: Timestamp,
    /// To be asked between steps of what may take long.
    pub(crate) patience: &'a Patience,
    /// What is left of what a query may read.
    pub(crate) allowance: Allowance,
    identity: OnceLock<Outcome<Identity>>,
}

/// What a method does on some path.
pub(crate) type Action<'f> = (Method, &'f dyn Fn() -> Outcome);

impl<'a> Call<'a> {
    pub(crate) fn new(api: &'a Api, request: &'a Request, patience: &'a Patience) -> Self {
        let allowance = Allowance::new(api.config.limits.of_query());
        Call { api, request, now: (api.ctx.clock)(), patience, allowance, identity: OnceLock::new() }
    }

    pub(crate) fn index(&self) -> &'a dyn Index {
        &*self.api.ctx.index
    }

    pub(crate) fn engine(&self) -> &'a dyn Engine {
        &*self.api.ctx.engine
    }

    /// Reads series that the allowance has been asked for, in their order: 400, 503 where it or patience ends.
    /// `beside` so many others run at the same time.
    pub(crate) fn read_all(&self, queries: &[engine::Query], beside: usize) -> Outcome<Vec<Column>> {
        self.patience.check()?;
        let columns = self.engine().read_all(queries, beside)?;
        self.allowance.take_points(columns.iter().map(Column::len).sum())?;
        Ok(columns)
    }

    /// Reads one.
    pub(crate) fn read(&self, query: &engine::Query) -> Outcome<Column> {
        let columns = self.read_all(std::slice::from_ref(query), 1)?;
        Ok(columns.into_iter().next().unwrap_or_default())
    }

    pub(crate) fn query(&self) -> &'a Query {
        &self.request.query
    }

    /// The body as JSON: 415, 400.
    pub(crate) fn json(&self) -> Outcome<Value> {
        self.request.json()
    }

    /// Who asks: 401.
    pub(crate) fn identity(&self) -> Outcome<&Identity> {
        let identity = self.identity.get_or_init(|| self.api.config.auth.identify(&self.request.headers));
        identity.as_ref().map_err(Clone::clone)
    }

    /// The principal who asks: 401.
    pub(crate) fn creator(&self) -> Outcome<&str> {
        Ok(&self.identity()?.creator)
    }

    /// Whether a rule lets the caller do something to a target: 401.
    pub(crate) fn allows(&self, rule: &str, target: &(impl Target + ?Sized)) -> Outcome<bool> {
        Ok(self.api.rules.allow(rule, target, self.identity()?))
    }

    /// 401, 403 unless a rule lets the caller do something to a target.
    pub(crate) fn enforce(&self, rule: &str, target: &(impl Target + ?Sized)) -> Outcome<()> {
        if self.allows(rule, target)? { Ok(()) } else { Err(ApiError::forbidden()) }
    }

    /// What lists show to the caller: 401.
    pub(crate) fn onlooker(&self) -> Outcome<Onlooker<'_>> {
        Ok(Onlooker {
            identity: self.identity()?,
            rules: &self.api.rules,
            has_projects: self.api.config.auth.has_projects(),
            isolated: self.api.config.isolate_users,
        })
    }

    /// 201 with what was made; `path` is where it is from now on, not encoded yet.
    pub(crate) fn created(&self, path: &str, made: Response) -> Response {
        let location = HeaderValue::from_str(&self.request.url(path)).expect("the path is encoded");
        Response { status: StatusCode::CREATED, ..made }.with_header(LOCATION, location)
    }

    /// Does what the method of the request asks for and answers in JSON: 405, 406.
    pub(crate) fn act(&self, actions: &[Action<'_>]) -> Outcome {
        let action = self.pick(actions)?;
        if self.request.accept.admits_json() {
            action()
        } else {
            Err(ApiError::bare(StatusCode::NOT_ACCEPTABLE))
        }
    }

    /// Like [`Call::act`], for answers that are not JSON.
    pub(crate) fn act_in_any_form(&self, actions: &[Action<'_>]) -> Outcome {
        self.pick(actions)?()
    }

    /// A path below a known one that leads nowhere: 404 if the known one has the method, else 405.
    pub(crate) fn nothing_below(&self, methods: &[Method]) -> Outcome {
        if methods.contains(&self.request.method) {
            return Err(ApiError::plain(StatusCode::NOT_FOUND));
        }
        Err(not_allowed(methods.iter()))
    }

    fn pick<'f>(&self, actions: &[Action<'f>]) -> Outcome<&'f dyn Fn() -> Outcome> {
        let found = actions.iter().find(|(method, _)| *method == self.request.method);
        found.map(|(_, action)| *action).ok_or_else(|| not_allowed(actions.iter().map(|(method, _)| method)))
    }
}

fn not_allowed<'m>(methods: impl Iterator<Item = &'m Method>) -> ApiError {
    let mut names: Vec<&str> = methods.map(Method::as_str).collect();
    names.sort_unstable();
    ApiError::method_not_allowed(&names.join(", "))
}
