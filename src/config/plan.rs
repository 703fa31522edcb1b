//! What the configuration leaves to the machine and what it asks of the system, in the words of `orzo_tuning`.

use orzo_model::{Method, MethodSet};
use orzo_tuning::{Wants, Wishes};

use super::tree::Config;
use super::values::Auto;

impl Config {
    /// What the operator has settled, for [`orzo_tuning::plan()`].
    pub fn wishes(&self) -> Wishes {
        let count = |set: Auto<u64>| set.set().map(as_count);
        Wishes {
            partitions: as_count(self.store.partitions),
            listeners: count(self.threads.listeners),
            shards: count(self.threads.shards),
            http: count(self.threads.http),
            flushers: count(self.threads.flushers),
            store_jobs: count(self.threads.store_jobs),
            block_cache: self.store.block_cache.set().map(|size| size.0),
            write_buffers: self.store.write_buffers.set().map(|size| size.0),
            max_series: self.statsd.max_series.set(),
        }
    }

    /// Methods of an archive policy that is created without any.
    pub fn default_methods(&self) -> MethodSet {
        let names = self.archive_policies.default_aggregation_methods.iter();
        names.filter_map(|name| Method::parse(name)).collect()
    }

    /// What is asked of the system, for [`orzo_tuning::advise()`].
    pub fn wants(&self) -> Wants {
        let statsd = &self.statsd;
        Wants {
            receive_buffer_bytes: if statsd.udp.is_empty() { 0 } else { statsd.receive_buffer_bytes.0 },
            udp_addresses: statsd.udp.len() as u64,
            connections_max: self.http.max_connections + statsd.max_connections,
        }
    }
}

/// Bounds keep these small.
fn as_count(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::values::ByteSize;
    use super::*;

    #[test]
    fn only_what_is_set_is_a_wish() {
        let mut config = Config::default();
        assert_eq!(config.wishes(), Wishes { partitions: 64, ..Wishes::default() });
        config.threads.shards = Auto::Is(4);
        config.store.block_cache = Auto::Is(ByteSize::gib(1));
        let wishes = config.wishes();
        assert_eq!((wishes.shards, wishes.block_cache), (Some(4), Some(1 << 30)));
    }

    #[test]
    fn without_udp_no_receive_buffer_is_wanted() {
        let mut config = Config::default();
        assert_eq!(config.wants().receive_buffer_bytes, 32 << 20);
        config.statsd.udp.clear();
        assert_eq!(config.wants().receive_buffer_bytes, 0);
    }
}
