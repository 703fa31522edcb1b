//! SIGHUP: reads the configuration again, takes up what can be changed in a running daemon, and says what cannot.
//!
//! What can: the level of the log, and everything about the API that is decided for each request anew, access rules
//! included. Sockets, threads, memory and the store's options wait for a restart.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result};
use orzo_http::{Api, ApiSlot, Ctx};
use orzo_tuning::Plan;

use crate::config::{self, ArchivePolicies, Config, Http, Log};
use crate::logging::Level;
use crate::sockets;

/// What a reload works on.
pub(crate) struct Reload {
    pub(crate) file: Option<PathBuf>,
    /// In force now.
    pub(crate) running: Config,
    /// Of the start: threads and memory stay as they are.
    pub(crate) plan: Plan,
    pub(crate) ctx: Ctx,
    pub(crate) slot: ApiSlot,
    pub(crate) level: Level,
}

impl Reload {
    /// Reads and takes up. A configuration that is wrong changes nothing.
    pub(crate) fn run(&mut self) {
        match self.try_run() {
            Ok(()) => {}
            Err(error) => tracing::error!("the configuration stays as it was: {error:#}"),
        }
    }

    fn try_run(&mut self) -> Result<()> {
        let wanted = match config::load(self.file.as_deref()) {
            Ok(loaded) => loaded.config,
            Err(problems) => anyhow::bail!("{problems}"),
        };
        let next = with_what_can_change(&self.running, &wanted);
        // Built before anything changes: its rules may be wrong.
        let api = api(&next, &self.plan, self.ctx.clone())?;
        self.level.set(next.log.level);
        self.slot.replace(api);
        let (taken, waiting) = (changed(&self.running, &next), changed(&next, &wanted));
        tracing::info!(changed = taken.join(", "), "read the configuration and the access rules again");
        if !waiting.is_empty() {
            tracing::warn!(keys = waiting.join(", "), "these keys have changed, too, and need a restart");
        }
        self.running = next;
        Ok(())
    }
}

/// The API as a configuration wants it.
pub(crate) fn api(config: &Config, plan: &Plan, ctx: Ctx) -> Result<Api> {
    let options = sockets::http_config(config, plan, config.default_methods())?;
    Api::new(options, ctx).context("the access rules cannot be read")
}

/// The running configuration with those values of another that can change now.
fn with_what_can_change(running: &Config, wanted: &Config) -> Config {
    Config {
        auth: wanted.auth.clone(),
        log: Log { level: wanted.log.level, ..running.log.clone() },
        http: Http {
            prefix: wanted.http.prefix.clone(),
            max_limit: wanted.http.max_limit,
            proxy_headers: wanted.http.proxy_headers,
            cors_allowed_origins: wanted.http.cors_allowed_origins.clone(),
            ..running.http.clone()
        },
        archive_policies: ArchivePolicies {
            default_aggregation_methods: wanted.archive_policies.default_aggregation_methods.clone(),
            ..running.archive_policies.clone()
        },
        ..running.clone()
    }
}

/// Keys whose values differ.
fn changed(one: &Config, other: &Config) -> Vec<String> {
    let (one, other) = (flat(one), flat(other));
    one.iter().filter(|(key, value)| other.get(*key) != Some(value)).map(|(key, _)| key.clone()).collect()
}

/// Every key with its value.
fn flat(config: &Config) -> BTreeMap<String, toml::Value> {
    fn add(prefix: &str, value: toml::Value, keys: &mut BTreeMap<String, toml::Value>) {
        match value {
            toml::Value::Table(table) => {
                for (name, value) in table {
                    let key = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
                    add(&key, value, keys);
                }
            }
            value => {
                keys.insert(prefix.to_owned(), value);
            }
        }
    }
    let mut keys = BTreeMap::new();
    add("", toml::Value::try_from(config).expect("a configuration can be written as TOML"), &mut keys);
    keys
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::LogLevel;

    #[test]
    fn what_can_change_does_and_the_rest_is_named() {
        let running = Config::default();
        let mut wanted = running.clone();
        wanted.log.level = LogLevel::Debug;
        wanted.http.max_limit = 7;
        wanted.http.max_connections = 7;
        wanted.auth.isolate_users = true;
        wanted.statsd.udp.clear();
        let next = with_what_can_change(&running, &wanted);
        assert_eq!(changed(&running, &next), ["auth.isolate_users", "http.max_limit", "log.level"]);
        assert_eq!(changed(&next, &wanted), ["http.max_connections", "statsd.udp"]);
    }
}
