//! Opens the store and what is laid out in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use orzo_model::{Partitions, Timestamp};
use orzo_store::index::KvIndex;
use orzo_store::{Aggregates, Backlog, Guarded, Identity, Index, Kv, KvAggregates, KvBacklog};
use orzo_store_rocks::{RocksKv, Tuning};
use orzo_tuning::Plan;
use uuid::Uuid;

use crate::config::Config;
use crate::defaults;

/// Everything that is kept.
#[derive(Clone)]
pub(crate) struct Stores {
    pub(crate) kv: Arc<Guarded<RocksKv>>,
    pub(crate) identity: Identity,
    pub(crate) backlog: Arc<dyn Backlog>,
    pub(crate) aggregates: Arc<dyn Aggregates>,
    pub(crate) index: Arc<dyn Index>,
}

impl Stores {
    /// Opens the data directory, or makes it.
    fn open(config: &Config, plan: &Plan) -> Result<Self> {
        let directory = directory(&config.data_dir);
        fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
        let tuning = Tuning {
            block_cache_bytes: plan.block_cache as usize,
            write_buffer_bytes: plan.write_buffers as usize,
            background_jobs: plan.store_jobs,
        };
        let opened = RocksKv::open(&directory, &tuning);
        let opened = opened.with_context(|| format!("cannot open the store in {}", directory.display()));
        let kv = Arc::new(Guarded::new(opened?));
        let identity =
            Identity::open(&*kv, fresh_identity(config)).context("cannot read the store's identity")?;
        let partitions = identity.partitions;
        let any: Arc<dyn Kv> = kv.clone();
        Ok(Stores {
            backlog: Arc::new(KvBacklog::new(any.clone(), partitions)),
            aggregates: Arc::new(KvAggregates::new(any.clone(), partitions)),
            index: Arc::new(KvIndex::open(any).context("cannot read the index")?),
            kv,
            identity,
        })
    }
}

/// The stores, with what the configuration wants to be there from the start.
pub(crate) fn open(config: &Config, plan: &Plan, now: Timestamp) -> Result<Stores> {
    let opening = Instant::now();
    let stores = Stores::open(config, plan)?;
    tracing::info!(took_ms = opening.elapsed().as_millis() as u64, "opened the store");
    if config.archive_policies.create_defaults {
        let made = defaults::create(&*stores.index, config.default_methods());
        made.context("cannot make the default archive policies")?;
    }
    let (name, tags) = (&config.statsd.attribute_type, &config.statsd.attribute_tags);
    if !tags.is_empty() {
        let made = defaults::create_attribute_type(&*stores.index, name, tags, now);
        made.with_context(|| format!("cannot make the resource type {name}"))?;
    }
    Ok(stores)
}

/// Where in a data directory the database is.
pub(crate) fn directory(data_dir: &Path) -> PathBuf {
    data_dir.join("db")
}

/// The identity of a database that is about to be made.
fn fresh_identity(config: &Config) -> Identity {
    let partitions = u16::try_from(config.store.partitions).ok().and_then(Partitions::new);
    Identity {
        salt: Uuid::new_v4().as_u64_pair().0,
        partitions: partitions.expect("the configuration was checked"),
    }
}
