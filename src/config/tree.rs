//! The tree of the configuration: every key, its meaning, default and bounds. `docs/config.md` is made of these comments.
//!
//! Types only say what a value may look like; which values make sense is checked in `check.rs`, what `auto` comes to is
//! worked out by `orzo_tuning::plan`.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::statsd::Statsd;
use super::values::{Auto, ByteSize, Span, blank};

/// The whole configuration. `Config::default()` runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Directory of everything that is kept; made if it is missing. Default: `"./orzo-data"`.
    pub data_dir: PathBuf,
    /// Longest clean shutdown; after it the process exits and the next start recovers. Default: `"30s"`.
    /// Bounds: 1s to 1h.
    pub shutdown_deadline: Span,
    /// `[http]`
    pub http: Http,
    /// `[auth]`
    pub auth: Auth,
    /// `[statsd]`
    pub statsd: Statsd,
    /// `[influxdb]`
    pub influxdb: Influxdb,
    /// `[prometheus]`
    pub prometheus: Prometheus,
    /// `[archive_policies]`
    pub archive_policies: ArchivePolicies,
    /// `[threads]`
    pub threads: Threads,
    /// `[store]`
    pub store: Store,
    /// `[janitor]`
    pub janitor: Janitor,
    /// `[log]`
    pub log: Log,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            data_dir: "./orzo-data".into(),
            shutdown_deadline: Span::seconds(30),
            http: Http::default(),
            auth: Auth::default(),
            statsd: Statsd::default(),
            influxdb: Influxdb::default(),
            prometheus: Prometheus::default(),
            archive_policies: ArchivePolicies::default(),
            threads: Threads::default(),
            store: Store::default(),
            janitor: Janitor::default(),
            log: Log::default(),
        }
    }
}

/// What a 202 promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// The measures are on disk.
    Sync,
    /// They are in the log, and on disk within `store.sync_interval`.
    Interval,
    /// They are in the log; the kernel writes it when it likes.
    Buffered,
}

/// `[http]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    /// Address of the API. Default: `"127.0.0.1:8041"`.
    pub listen: SocketAddr,
    /// Whether the web page is served at `/ui`. Default: `true`.
    pub ui: bool,
    /// Path before `/v1`, where a proxy mounts the API; begins with `/`. Default: `""`.
    pub prefix: String,
    /// Most entries in one page of a listing; larger requests are cut to it. Default: `1000`. Bounds: 1 to 1000000.
    pub max_limit: u64,
    /// Whether to believe `X-Forwarded-*` and `Forwarded` headers, for links in answers. Default: `false`.
    pub proxy_headers: bool,
    /// Origins whose pages may call the API, `*` for all. Default: `[]`.
    pub cors_allowed_origins: Vec<String>,
    /// What a 202 promises: `sync` on disk, `interval` on disk within `store.sync_interval`, `buffered` whenever the
    /// kernel writes. A killed process loses nothing in any of them. Default: `"sync"`.
    pub durability: Durability,
    /// Largest body of a request, after decompression too; larger ones get 413. Default: `"64 MiB"`.
    /// Bounds: 1 KiB to 1 GiB.
    pub body_limit: ByteSize,
    /// Connections held open at a time; further ones wait to be accepted. Default: `1024`. Bounds: 1 to 100000.
    pub max_connections: u64,
    /// Longest time that a query may take; then it ends with 503. Default: `"1m"`. Bounds: 10ms to 1h.
    pub query_timeout: Span,
    /// Most series that a query may read, over all its groups; one that needs more gets 400. Default: `20000`.
    /// Bounds: 1 to 100000000.
    pub query_series: u64,
    /// Most points that a query may read from its series, and compute with in one step; one that needs more gets 400.
    /// Each takes 16 bytes of memory while it is in the answer, and about 60 in its JSON. Default: `50000000`.
    /// Bounds: 1 to 10000000000.
    pub query_points: u64,
}

impl Default for Http {
    fn default() -> Self {
        Http {
            listen: SocketAddr::from(([127, 0, 0, 1], 8041)),
            ui: true,
            prefix: String::new(),
            max_limit: 1000,
            proxy_headers: false,
            cors_allowed_origins: Vec::new(),
            durability: Durability::Sync,
            body_limit: ByteSize::mib(64),
            max_connections: 1024,
            query_timeout: Span::minutes(1),
            query_series: 20_000,
            query_points: 50_000_000,
        }
    }
}

/// Who a caller is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthMode {
    /// The user of HTTP basic authentication; the password is not looked at.
    Basic,
    /// The user that a front server names in a header.
    Remoteuser,
}

/// `[auth]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Auth {
    /// Who a caller is: `basic` the user of HTTP basic authentication, whose password is not looked at, `remoteuser`
    /// the user that a front server puts in `remote_user_header`. `admin` may do everything. Default: `"basic"`.
    pub mode: AuthMode,
    /// Header that holds the user in mode `remoteuser`; the front server must strip it from what clients send.
    /// Default: `"X-Remote-User"`.
    pub remote_user_header: String,
    /// File with access rules that replace the built-in ones of the same name; empty: none. Default: `""`.
    #[serde(with = "blank")]
    pub policy_file: Option<PathBuf>,
    /// Whether listings and searches show a user other than `admin` only what that user created. Default: `false`.
    pub isolate_users: bool,
}

impl Default for Auth {
    fn default() -> Self {
        Auth {
            mode: AuthMode::Basic,
            remote_user_header: "X-Remote-User".into(),
            policy_file: None,
            isolate_users: false,
        }
    }
}

/// `[influxdb]`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Influxdb {
    /// Whether the parameter `precision` of `/v1/influxdb/write` says the unit of times: `n`, `u`, `ms`, `s`, `m` or `h`.
    /// Otherwise they are nanoseconds, as with the reference. Default: `false`.
    pub honour_precision: bool,
}

/// `[prometheus]`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Prometheus {
    /// Whether names of metrics have the labels in them, as `name@label=value,…`. Otherwise all labels but `job` and
    /// `instance` are dropped, as with the reference, and series that differ in no other become one. Default: `false`.
    pub label_names: bool,
}

/// `[archive_policies]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ArchivePolicies {
    /// Whether the first start makes `low`, `medium`, `high`, `bool`, `statsd`, `statsd-timer` and the rule `default`.
    /// Default: `true`.
    pub create_defaults: bool,
    /// Methods of a policy that is created without any.
    /// Default: `["mean", "min", "max", "sum", "std", "count"]`.
    pub default_aggregation_methods: Vec<String>,
}

impl Default for ArchivePolicies {
    fn default() -> Self {
        let methods = ["mean", "min", "max", "sum", "std", "count"];
        ArchivePolicies {
            create_defaults: true,
            default_aggregation_methods: methods.map(str::to_owned).to_vec(),
        }
    }
}

/// `[threads]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Threads {
    /// Threads that receive and parse statsd lines. `auto`: by cores. Default: `"auto"`. Bounds: 1 to 64.
    pub listeners: Auto<u64>,
    /// Threads that own series; a power of two. `auto`: by cores. Default: `"auto"`. Bounds: 1 to 64.
    pub shards: Auto<u64>,
    /// Threads that write checkpoints. `auto`: by cores. Default: `"auto"`. Bounds: 1 to 64.
    pub flushers: Auto<u64>,
    /// Threads that serve HTTP connections. `auto`: by cores. Default: `"auto"`. Bounds: 1 to 64.
    pub http: Auto<u64>,
    /// Background jobs of the store (flushes and compactions). `auto`: by cores. Default: `"auto"`. Bounds: 1 to 64.
    pub store_jobs: Auto<u64>,
}

impl Default for Threads {
    fn default() -> Self {
        let auto = Auto::Auto;
        Threads { listeners: auto, shards: auto, flushers: auto, http: auto, store_jobs: auto }
    }
}

/// `[store]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Store {
    /// Partitions of a new database, a power of two; an existing one keeps its own. Default: `64`. Bounds: 1 to 4096.
    pub partitions: u64,
    /// Memory for cached blocks, write buffers included. `auto`: a quarter of the memory. Default: `"auto"`.
    /// Bounds: 8 MiB to 1 TiB.
    pub block_cache: Auto<ByteSize>,
    /// Memory for what is not yet written to sorted files, a part of `block_cache`. `auto`: a tenth of the memory.
    /// Default: `"auto"`. Bounds: 4 MiB to 1 TiB.
    pub write_buffers: Auto<ByteSize>,
    /// Longest time that a measure waits in the log before its rollups are written; also what a start after a crash
    /// replays. If so much comes in that this would take long, it is less, but not below 4 minutes; see `docs/recovery.md`.
    /// Default: `"1h"`. Bounds: 1s to 24h.
    pub checkpoint_age: Span,
    /// Time between two syncs of the log where nothing waits for one. Default: `"1s"`. Bounds: 10ms to 10m.
    pub sync_interval: Span,
}

impl Default for Store {
    fn default() -> Self {
        Store {
            partitions: 64,
            block_cache: Auto::Auto,
            write_buffers: Auto::Auto,
            checkpoint_age: Span::hours(1),
            sync_interval: Span::seconds(1),
        }
    }
}

/// `[janitor]`: what becomes of what is deleted, silent or over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Janitor {
    /// Time between two rounds. Default: `"5m"`. Bounds: 1s to 24h.
    pub metric_cleanup_delay: Span,
    /// Metrics or resources that a round handles in one step. Default: `10000`. Bounds: 1 to 1000000.
    pub cleanup_batch_size: u64,
    /// Silence of all metrics of a resource after which it gets an `ended_at`; a metric never heard counts from when it
    /// was made, and a measure at or after `ended_at` clears it. `"0s"`: never. Default: `"0s"`. Bounds: 0s to 87600h.
    pub metric_inactive_after: Span,
    /// How long after its `ended_at` a resource is deleted, with its history and metrics. `"0s"`: never.
    /// Default: `"0s"`. Bounds: 0s to 87600h.
    pub resource_cleanup_after: Span,
}

impl Default for Janitor {
    fn default() -> Self {
        Janitor {
            metric_cleanup_delay: Span::minutes(5),
            cleanup_batch_size: 10_000,
            metric_inactive_after: Span::seconds(0),
            resource_cleanup_after: Span::seconds(0),
        }
    }
}

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Failures.
    Error,
    /// And what needs an eye.
    Warn,
    /// And states: started, stopped, recovered.
    Info,
    /// And requests.
    Debug,
    /// Everything.
    Trace,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// `[log]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// How much to log, to standard error: `error`, `warn`, `info`, `debug` or `trace`. Default: `"info"`.
    pub level: LogLevel,
    /// Form of a log line: `text` or `json`. Default: `"text"`.
    pub format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Log { level: LogLevel::Info, format: LogFormat::Text }
    }
}
