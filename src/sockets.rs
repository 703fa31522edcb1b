//! The configuration in the words of those who listen: statsd endpoints and the HTTP API.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use hyper::header::HeaderName;
use orzo_http::{AuthMode, PageFacts};
use orzo_ingest::{Address, BoundSocket, Endpoint, Inherited, Limits, Naming, Spread};
use orzo_model::{MethodSet, Profile};
use orzo_tuning::Plan;

use crate::config::{self, Config, Statsd};

/// Binds every statsd endpoint, unless its sockets are inherited: one list of sockets for each listener.
pub(crate) fn bind(
    statsd: &Statsd,
    listeners: usize,
    inherited: &mut Inherited,
) -> Result<Vec<Vec<BoundSocket>>> {
    let endpoints: Vec<Endpoint> = addresses(statsd).map(|address| endpoint(statsd, address)).collect();
    let bound = orzo_ingest::bind_or_inherit(&endpoints, listeners, inherited)?;
    for socket in bound.iter().flatten() {
        let granted = socket.receive_buffer_bytes();
        tracing::info!(address = %socket.address(), receive_buffer_bytes = granted, "listening");
    }
    Ok(bound)
}

fn addresses(statsd: &Statsd) -> impl Iterator<Item = Address> {
    let udp = statsd.udp.iter().copied().map(Address::Udp);
    let tcp = statsd.tcp.iter().copied().map(Address::Tcp);
    let datagram = statsd.unix_datagram.iter().cloned().map(Address::UnixDatagram);
    let stream = statsd.unix_stream.iter().cloned().map(Address::UnixStream);
    udp.chain(tcp).chain(datagram).chain(stream)
}

fn endpoint(statsd: &Statsd, address: Address) -> Endpoint {
    Endpoint {
        address,
        profile: match statsd.profile {
            config::Profile::Native => Profile::Native,
            config::Profile::Gnocchi => Profile::Gnocchi,
        },
        receive_buffer_bytes: statsd.receive_buffer_bytes.0 as usize,
        spread: match statsd.udp_spread {
            config::UdpSpread::Sender => Spread::Sender,
            config::UdpSpread::Datagram => Spread::Datagram,
        },
        coalesce: statsd.udp_coalesce,
        mode: statsd.unix_mode.0,
    }
}

/// How lines get their series and resources, in a database with this salt.
pub(crate) fn naming(statsd: &Statsd, salt: u64) -> Naming {
    let bytes = |tag: &String| tag.as_bytes().into();
    Naming {
        salt,
        resource_tag: statsd.resource_tag.as_ref().map(bytes),
        attribute_tags: statsd.attribute_tags.iter().map(bytes).collect(),
    }
}

/// Bounds of a listener.
pub(crate) fn limits(statsd: &Statsd) -> Limits {
    Limits { connections: statsd.max_connections as usize, idle: statsd.idle_timeout.0, ..Limits::default() }
}

/// Options of the API.
pub(crate) fn http_config(
    config: &Config,
    plan: &Plan,
    default_methods: MethodSet,
) -> Result<orzo_http::Config> {
    let Config { http, auth, .. } = config;
    let bodies = orzo_http::Limits::default().bodies_bytes;
    Ok(orzo_http::Config {
        prefix: http.prefix.clone(),
        proxy_headers: http.proxy_headers,
        max_limit: http.max_limit as usize,
        cors_allowed_origins: http.cors_allowed_origins.clone(),
        auth: match auth.mode {
            config::AuthMode::Basic => AuthMode::Basic,
            config::AuthMode::Remoteuser => {
                let header = HeaderName::from_bytes(auth.remote_user_header.as_bytes());
                AuthMode::RemoteUser(header.context("auth.remote_user_header is not the name of a header")?)
            }
        },
        isolate_users: auth.isolate_users,
        policy_rules: policy_rules(config)?,
        default_methods,
        page: http.ui.then(|| PageFacts {
            statsd_udp: config.statsd.udp.first().copied(),
            series_max: plan.max_series,
        }),
        influxdb_honour_precision: config.influxdb.honour_precision,
        prometheus_label_names: config.prometheus.label_names,
        limits: orzo_http::Limits {
            connections: http.max_connections as usize,
            body_bytes: http.body_limit.0 as usize,
            bodies_bytes: bodies.max(2 * http.body_limit.0 as usize),
            query: http.query_timeout.0,
            query_series: http.query_series as usize,
            query_points: http.query_points as usize,
            ..orzo_http::Limits::default()
        },
    })
}

/// Rules by name, from a TOML table of texts.
fn policy_rules(config: &Config) -> Result<BTreeMap<String, String>> {
    let Some(path) = &config.auth.policy_file else { return Ok(BTreeMap::new()) };
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    toml::from_str(&text).with_context(|| format!("{} is not a table of access rules", path.display()))
}
