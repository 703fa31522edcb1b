//! What the API is told at start.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use orzo_model::ops;
use orzo_model::policy_definition::default_methods;
use orzo_model::{MethodSet, Timestamp};
use orzo_store::Index;

use crate::auth::AuthMode;
use crate::engine::Engine;
use crate::ui::PageFacts;

/// Options.
#[derive(Clone)]
pub struct Config {
    /// Where the API is mounted: empty, or a path that starts and does not end with `/`. Default: empty.
    pub prefix: String,
    /// Whether `Forwarded` and `X-Forwarded-*` headers are believed. Default: no.
    pub proxy_headers: bool,
    /// Longest page of a list, and the length of one if the client names none. Default: 1000.
    pub max_limit: usize,
    /// Origins whose pages may read answers. Default: none.
    pub cors_allowed_origins: Vec<String>,
    /// How principals are told. Default: basic.
    pub auth: AuthMode,
    /// Whether, where principals have no projects, users see only what they made. Default: no.
    pub isolate_users: bool,
    /// Rules of the policy that differ from the defaults, by name. Default: none.
    pub policy_rules: BTreeMap<String, String>,
    /// Methods of archive policies that name none. Default: mean, min, max, sum, std, count.
    pub default_methods: MethodSet,
    /// What the page at `/ui` is told; `None`: it is not served. Default: none.
    pub page: Option<PageFacts>,
    /// Whether `precision` of InfluxDB's writes says the unit of times; the reference takes all for nanoseconds. Default: no.
    pub influxdb_honour_precision: bool,
    /// Whether names of Prometheus' metrics have all labels in them; the reference drops those. Default: no.
    pub prometheus_label_names: bool,
    /// Bounds of the server.
    pub limits: Limits,
}

/// The version that clients are told: some want three numbers, of a major version they know.
pub const BUILD: &str = "4.7.1";

impl Default for Config {
    fn default() -> Self {
        Config {
            prefix: String::new(),
            proxy_headers: false,
            max_limit: 1000,
            cors_allowed_origins: Vec::new(),
            auth: AuthMode::default(),
            isolate_users: false,
            policy_rules: BTreeMap::new(),
            default_methods: default_methods(),
            page: None,
            influxdb_honour_precision: false,
            prometheus_label_names: false,
            limits: Limits::default(),
        }
    }
}

/// Bounds of the server. One past a bound is told so, or waits outside.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Open connections; more wait in the kernel's queue. Default: 1024.
    pub connections: usize,
    /// Requests at work at the same time; more wait. Default: 64.
    pub handlers: usize,
    /// Bytes of the line and the headers of a request, else 431. Default: 64 KiB, at least 8 KiB.
    pub header_bytes: usize,
    /// Bytes of one body, else 413. Default: 64 MiB.
    pub body_bytes: usize,
    /// Bytes of all bodies in memory, else 503. Default: 256 MiB, at most 2 TiB.
    pub bodies_bytes: usize,
    /// A connection on which no header is finished for so long is closed. Default: 60 s.
    pub idle: Duration,
    /// A body must have arrived after so long, else 408. Default: 60 s.
    pub body: Duration,
    /// A query may take so long, else 503. Default: 60 s.
    pub query: Duration,
    /// Series that a query may read, else 400. Default: 20 000.
    pub query_series: usize,
    /// Points that a query may read, and compute with in one step, else 400. Default: 50 million.
    pub query_points: usize,
    /// Requests under way when the server stops get so long to end. Default: 10 s.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections: 1024,
            handlers: 64,
            header_bytes: 64 << 10,
            body_bytes: 64 << 20,
            bodies_bytes: 256 << 20,
            idle: Duration::from_secs(60),
            body: Duration::from_secs(60),
            query: Duration::from_secs(60),
            query_series: 20_000,
            query_points: 50_000_000,
            drain: Duration::from_secs(10),
        }
    }
}

impl Limits {
    /// How much one query may read and compute.
    pub(crate) fn of_query(&self) -> ops::Limits {
        ops::Limits { series: self.query_series, points: self.query_points }
    }
}

/// What the API works on.
#[derive(Clone)]
pub struct Ctx {
    /// Who exists.
    pub index: Arc<dyn Index>,
    /// Their points.
    pub engine: Arc<dyn Engine>,
    /// What time it is.
    pub clock: fn() -> Timestamp,
}
