//! What the daemon says about itself, in Prometheus text format. `docs/metrics.md` explains each name.

use std::collections::BTreeMap;
use std::fmt::{Display, Write};
use std::sync::Arc;

use orzo_aggregator::{Guard, Handle, ShardCounters};
use orzo_base::{CachePadded, Counter};
use orzo_ingest::ListenerCounters;
use orzo_model::{DropReason, Kind, SECOND, Timestamp};
use orzo_store::Family;

use crate::stores::Stores;

/// Everybody's counters.
pub(crate) struct Scrape {
    pub(crate) listeners: Vec<Arc<CachePadded<ListenerCounters>>>,
    pub(crate) handle: Handle,
    pub(crate) stores: Stores,
    pub(crate) guard: Arc<Guard>,
    pub(crate) clock: fn() -> Timestamp,
}

/// Whether a number only grows.
#[derive(Clone, Copy)]
enum Type {
    Counter,
    Gauge,
}

type Plain<T> = (&'static str, Type, &'static str, fn(&T) -> u64);

const LISTENER: [Plain<ListenerCounters>; 11] = [
    ("orzo_statsd_datagrams_total", Type::Counter, "Datagrams received, UDP and unix.", |c| {
        c.datagrams.get()
    }),
    ("orzo_statsd_bytes_total", Type::Counter, "Bytes received, of datagrams and streams.", |c| {
        c.bytes.get()
    }),
    ("orzo_statsd_lines_total", Type::Counter, "Lines that were not empty.", |c| c.lines.get()),
    ("orzo_statsd_samples_total", Type::Counter, "Samples of those lines, handed to shards.", |c| {
        c.samples.get()
    }),
    (
        "orzo_statsd_kernel_drops_total",
        Type::Counter,
        "Datagrams that the kernel dropped because the receive buffer was full.",
        |c| c.kernel_drops.get(),
    ),
    (
        "orzo_statsd_pool_waits_total",
        Type::Counter,
        "Times that no batch was free, so that reading stopped.",
        |c| c.pool_waits.get(),
    ),
    ("orzo_statsd_batches_total", Type::Counter, "Batches sent to shards.", |c| c.batches.get()),
    ("orzo_statsd_connections", Type::Gauge, "Stream connections that are open.", |c| {
        c.connections_open.get()
    }),
    ("orzo_statsd_connections_accepted_total", Type::Counter, "Stream connections ever accepted.", |c| {
        c.connections_total.get()
    }),
    (
        "orzo_statsd_connections_refused_total",
        Type::Counter,
        "Stream connections closed at once, past statsd.max_connections.",
        |c| c.connections_refused.get(),
    ),
    ("orzo_statsd_socket_errors_total", Type::Counter, "Errors of the system that a socket survived.", |c| {
        c.socket_errors.get()
    }),
];

const SHARD: [Plain<ShardCounters>; 14] = [
    ("orzo_samples_received_total", Type::Counter, "Samples taken from listeners.", |c| {
        c.samples_received.get()
    }),
    ("orzo_samples_applied_total", Type::Counter, "Samples that are in the log and in their series.", |c| {
        c.samples_applied.get()
    }),
    ("orzo_samples_pending", Type::Gauge, "Samples that wait for the next commit or flush.", |c| {
        c.samples_pending.get()
    }),
    ("orzo_measures_accepted_total", Type::Counter, "Measures accepted over HTTP.", |c| {
        c.measures_accepted.get()
    }),
    (
        "orzo_measures_refused_total",
        Type::Counter,
        "Measures over HTTP that were older than the window of their series.",
        |c| c.measures_refused.get(),
    ),
    ("orzo_statsd_series", Type::Gauge, "Statsd series known.", |c| c.slots.get()),
    ("orzo_series", Type::Gauge, "Series in memory.", |c| c.series.get()),
    ("orzo_series_dirty", Type::Gauge, "Series with something that no checkpoint has stored.", |c| {
        c.series_dirty.get()
    }),
    ("orzo_commits_total", Type::Counter, "Commits appended to the log.", |c| c.commits.get()),
    (
        "orzo_commits_stalled_total",
        Type::Counter,
        "Commits that waited because the store was stalled.",
        |c| c.commits_stalled.get(),
    ),
    ("orzo_backlog_bytes_total", Type::Counter, "Bytes appended to the log.", |c| c.backlog_bytes.get()),
    ("orzo_checkpoints_total", Type::Counter, "Checkpoints of series stored.", |c| c.checkpoints.get()),
    (
        "orzo_checkpoints_failed_total",
        Type::Counter,
        "Checkpoints of series that failed and are tried again.",
        |c| c.checkpoints_failed.get(),
    ),
    ("orzo_lane_high_water_batches", Type::Gauge, "Most batches that ever waited for the shard.", |c| {
        c.lane_high_water.get()
    }),
];

impl Scrape {
    /// The whole page.
    pub(crate) fn text(&self) -> String {
        let mut page = Page(String::new());
        for (name, kind, help, read) in LISTENER {
            page.metric(name, kind, help);
            self.each_listener(|listener, counters| {
                page.line(name, ("listener", listener), None, read(counters))
            });
        }
        self.listener_labels(&mut page);
        for (name, kind, help, read) in SHARD {
            page.metric(name, kind, help);
            self.each_shard(|shard, counters| page.line(name, ("shard", shard), None, read(counters)));
        }
        self.shard_labels(&mut page);
        self.store(&mut page);
        self.refused_series(&mut page);
        let name = "orzo_memory_bytes";
        page.metric(name, Type::Gauge, "Memory of the daemon that is resident.");
        page.write(format_args!("{name} {}\n", resident_bytes().unwrap_or(0)));
        page.0
    }

    fn listener_labels(&self, page: &mut Page) {
        let name = "orzo_statsd_accepted_total";
        page.metric(
            name,
            Type::Counter,
            "Lines applied, by the type of their first sample (c, g, ms, h, d, s, cT).",
        );
        self.each_listener(|listener, counters| {
            for kind in Kind::ALL {
                let label = Some(("type", kind.wire_type()));
                page.line(name, ("listener", listener), label, counters.accepted[kind.index()].get());
            }
        });
        let name = "orzo_statsd_skipped_total";
        page.metric(
            name,
            Type::Counter,
            "DogStatsD events and service checks: valid, and not stored (event, service_check).",
        );
        self.each_listener(|listener, counters| {
            for (kind, counter) in [("event", &counters.events), ("service_check", &counters.checks)] {
                page.line(name, ("listener", listener), Some(("kind", kind)), counter.get());
            }
        });
        let name = "orzo_statsd_dropped_total";
        page.metric(name, Type::Counter, "Lines refused; reasons below.");
        self.each_listener(|listener, counters| page.reasons(name, ("listener", listener), &counters.drops));
        let name = "orzo_statsd_pool_wait_seconds_total";
        page.metric(name, Type::Counter, "How long those times were.");
        self.each_listener(|listener, counters| {
            page.line(name, ("listener", listener), None, seconds(counters.pool_wait_ns.get()));
        });
        let name = "orzo_statsd_receive_buffer_bytes";
        page.metric(name, Type::Gauge, "The smallest receive buffer granted to a UDP socket.");
        self.each_listener(|listener, counters| {
            page.line(name, ("listener", listener), None, counters.receive_buffer_bytes.get());
        });
    }

    fn shard_labels(&self, page: &mut Page) {
        let name = "orzo_samples_dropped_total";
        page.metric(name, Type::Counter, "Samples refused behind the listener; reasons below.");
        self.each_shard(|shard, counters| page.reasons(name, ("shard", shard), &counters.samples_dropped));
        let name = "orzo_oldest_dirty_seconds";
        page.metric(
            name,
            Type::Gauge,
            "Age of the oldest measure that no checkpoint has stored: the one number to watch.",
        );
        let now = (self.clock)().ns();
        self.each_shard(|shard, counters| {
            let since = counters.oldest_dirty_ns.get();
            let age = if since == 0 { 0 } else { now.saturating_sub(since) };
            page.line(name, ("shard", shard), None, seconds(age));
        });
    }

    fn store(&self, page: &mut Page) {
        let name = "orzo_store_failed";
        page.metric(name, Type::Gauge, "1 while the store does not take writes, else 0.");
        page.write(format_args!("{name} {}\n", u8::from(self.stores.kv.failure().is_some())));
        let name = "orzo_store_written_bytes_total";
        page.metric(
            name,
            Type::Counter,
            "Bytes written: log (before it is compressed), tables out of memory, tables merged.",
        );
        let written = self.stores.kv.engine().written();
        for (what, bytes) in [("log", written.log), ("flush", written.flushed), ("merge", written.merged)] {
            page.write(format_args!("{name}{{what=\"{what}\"}} {bytes}\n"));
        }
        let name = "orzo_damaged_total";
        page.metric(name, Type::Counter, "Damaged values met and passed over, by the family they are in.");
        for (family, damaged) in self.damaged() {
            page.write(format_args!("{name}{{family=\"{family}\"}} {damaged}\n"));
        }
    }

    /// Damaged values met, by family.
    pub(crate) fn damaged(&self) -> [(&'static str, u64); 5] {
        let shards = || (0..self.handle.shards()).map(|shard| self.handle.counters(shard));
        let Stores { backlog, aggregates, index, .. } = &self.stores;
        [
            (Family::Meta.name(), backlog.damaged()),
            (Family::Backlog.name(), shards().map(|shard| shard.damaged_blobs.get()).sum()),
            (Family::Window.name(), shards().map(|shard| shard.damaged_windows.get()).sum()),
            (Family::Rows.name(), aggregates.damaged()),
            (Family::Index.name(), index.damaged()),
        ]
    }

    fn refused_series(&self, page: &mut Page) {
        let name = "orzo_statsd_series_refused_total";
        page.metric(name, Type::Counter, REFUSED_HELP);
        let offenders = self.guard.offenders();
        for (prefix, refused) in &offenders.prefixes {
            page.write(format_args!("{name}{{prefix=\"{}\"}} {refused}\n", escaped(prefix)));
        }
        page.write(format_args!("{name}{{prefix=\"\"}} {}\n", offenders.others));
    }

    fn each_listener(&self, mut visit: impl FnMut(usize, &ListenerCounters)) {
        self.listeners.iter().enumerate().for_each(|(listener, counters)| visit(listener, counters));
    }

    fn each_shard(&self, mut visit: impl FnMut(usize, &ShardCounters)) {
        (0..self.handle.shards()).for_each(|shard| visit(shard, self.handle.counters(shard)));
    }

    /// The numbers of one shard for the status page.
    pub(crate) fn shard_statistics(&self, shard: usize) -> BTreeMap<String, f64> {
        let counters = self.handle.counters(shard);
        let short =
            |name: &str| name.trim_start_matches("orzo_").trim_end_matches("_total").replace('_', " ");
        SHARD.iter().map(|(name, _, _, read)| (short(name), read(counters) as f64)).collect()
    }
}

const REFUSED_HELP: &str = "Times that a new series was refused because there are too many, by prefix: the ten prefixes \
    refused most often, and all others together (empty).";

/// A label's value.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '"' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
    out
}

/// `/proc/self/status`; nothing where there is none.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = kib.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib << 10)
}

fn seconds(ns: u64) -> f64 {
    ns as f64 / SECOND as f64
}

struct Page(String);

impl Page {
    fn metric(&mut self, name: &str, kind: Type, help: &str) {
        let kind = match kind {
            Type::Counter => "counter",
            Type::Gauge => "gauge",
        };
        self.write(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    fn line(&mut self, name: &str, owner: (&str, usize), label: Option<(&str, &str)>, value: impl Display) {
        let (key, index) = owner;
        match label {
            None => self.write(format_args!("{name}{{{key}=\"{index}\"}} {value}\n")),
            Some((label, text)) => {
                self.write(format_args!("{name}{{{key}=\"{index}\",{label}=\"{text}\"}} {value}\n"));
            }
        }
    }

    fn reasons(&mut self, name: &str, owner: (&str, usize), counters: &[Counter; DropReason::COUNT]) {
        for reason in DropReason::ALL {
            self.line(name, owner, Some(("reason", reason.name())), counters[reason.index()].get());
        }
    }

    fn write(&mut self, text: std::fmt::Arguments<'_>) {
        self.0.write_fmt(text).expect("a string takes everything");
    }
}
