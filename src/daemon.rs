//! The daemon: starts every thread in the order in which they need each other, and ends them in the
//! order in which data flows.
//!
//! Start: configuration, plan, store, sockets (so that a taken port is said at once, and datagrams wait in
//! the kernel meanwhile), recovery, flushers and their like, HTTP, listeners. Stop: HTTP, listeners, shards
//! (which store all they have), everybody else, the log is synced.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use crossbeam::channel::unbounded;
use orzo_aggregator::{
    Driver, Durability, Flusher, GaugeDialect, Guard, Handle, Rates, Recovered, Resolver, Semantics, Shard,
    ShardConfig, StatsdRules, Syncer,
};
use orzo_base::{CachePadded, Consumer, Counter, Exchange, Producer, Stop};
use orzo_http::{ApiSlot, Ctx};
use orzo_ingest::{BoundSocket, Listener, ListenerConfig, ListenerCounters, Routes, Tap};
use orzo_model::resource::ResourceId;
use orzo_model::{Batch, Kind, Timestamp};
use orzo_store::index::{PrefixLimit, StatsdHome};
use orzo_store::{Backlog, Kv};
use orzo_tuning::{Machine, Plan};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

use crate::config::{self, Config, RESOURCE_NAME};
use crate::control::Control;
use crate::engine::Engine;
use crate::janitor::Janitor;
use crate::logging::Level;
use crate::reload::Reload;
use crate::scrape::Scrape;
use crate::stores::Stores;
use crate::take_over::{Kept, Successor};
use crate::threads::{join, spawn};
use crate::{janitor, logging, medic, notify, pages, reload, sockets, stores, take_over};

/// Runs the daemon until SIGTERM or SIGINT.
pub fn serve(file: Option<&Path>) -> ExitCode {
    let loaded = match config::load(file) {
        Ok(loaded) => loaded,
        Err(problems) => {
            eprintln!("{problems}");
            return ExitCode::from(2);
        }
    };
    let level = logging::start(&loaded.config.log);
    pages::start_small();
    match run(file, &loaded.config, level) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn now() -> Timestamp {
    Timestamp::saturating_from_ns(orzo_base::clock::now_ns())
}

fn run(file: Option<&Path>, config: &Config, level: Level) -> Result<()> {
    let started = Instant::now();
    if let Some(deaf_ms) = take_over::deaf_ms() {
        tracing::info!(deaf_ms, "the program before has left its sockets");
    }
    let successor = Successor::new(file.map(Path::to_owned))?;
    let plan = orzo_tuning::plan(&Machine::read(), &config.wishes());
    plan.reasons.iter().for_each(|reason| tracing::info!("{reason}"));
    let (mut daemon, (mut ends, mut hangup)) = Daemon::start(config, &plan)?;
    let (take_over, mut wanted) = unbounded_channel();
    daemon.open_control(config, successor.clone(), take_over)?;
    notify::watchdog(daemon.handle.clone()).context("cannot start the watchdog")?;
    let mut reload = Reload {
        file: file.map(Path::to_owned),
        running: config.clone(),
        plan: plan.clone(),
        ctx: daemon.ctx.clone(),
        slot: daemon.slot.clone(),
        level,
    };
    tracing::info!(http = %config.http.listen, took_ms = started.elapsed().as_millis() as u64, "ready");
    notify::send(notify::READY);

    let end = daemon.runtime.block_on(async {
        loop {
            tokio::select! {
                name = ends.next() => break End::Signal(name),
                _ = hangup.recv() => {
                    notify::send(notify::RELOADING);
                    reload.run();
                    notify::send(notify::READY);
                }
                Some(()) = wanted.recv() => break End::TakeOver,
            }
        }
    });
    drop(reload);
    daemon.end(&end, config.shutdown_deadline.0, &successor)
}

/// How a daemon ends.
enum End {
    /// By the signal of this name.
    Signal(&'static str),
    /// Another program takes its place, as somebody with access to the control socket wants it.
    TakeOver,
}

/// Everything that runs.
struct Daemon {
    runtime: Runtime,
    stores: Stores,
    handle: Handle,
    shards: Shards,
    stop_listeners: Stop,
    listeners: Vec<JoinHandle<std::io::Result<()>>>,
    counters: Vec<Arc<CachePadded<ListenerCounters>>>,
    tap: Arc<Tap>,
    /// Descriptors of everything that listens.
    kept: Kept,
    ctx: Ctx,
    slot: ApiSlot,
    stop_http: oneshot::Sender<()>,
    serving: tokio::task::JoinHandle<orzo_http::Drained>,
    janitor: Keeper,
    medic: Keeper,
}

impl Daemon {
    fn start(config: &Config, plan: &Plan) -> Result<(Self, Signals)> {
        let stores = stores::open(config, plan, now())?;
        let (sockets, http, kept) = listen(config, plan)?;
        let runtime = runtime(plan)?;
        let (producers, lanes) = Exchange::open(plan.listeners, plan.shards, Batch::new);
        let bells = lanes.iter().map(|lane| lane.doorbell().clone()).collect();
        let (handle, inboxes) = Handle::new(stores.identity.partitions, bells);
        let guard = guard(&config.statsd);
        let shards = Shards::start(config, plan, &stores, (&handle, &guard), lanes, inboxes)?;

        let stop_listeners = Stop::new();
        let tap = Arc::new(Tap::default());
        let listening = (&stop_listeners, tap.clone());
        let listeners = listeners(config, plan, &stores, sockets, producers, listening)?;
        let counters: Vec<_> = listeners.iter().map(Listener::counters).collect();
        let engine = Engine {
            handle: handle.clone(),
            aggregates: stores.aggregates.clone(),
            stores: stores.clone(),
            scrape: Scrape {
                listeners: counters.clone(),
                handle: handle.clone(),
                stores: stores.clone(),
                guard,
                clock: now,
            },
            host: host_name(),
            threads: plan.shards.max(2),
        };
        // ORDER: before anybody is answered, who may then want the daemon to end.
        let signals = runtime.block_on(async { signals() })?;
        let (stop_http, http_stops) = oneshot::channel();
        let ctx = Ctx { index: stores.index.clone(), engine: Arc::new(engine), clock: now };
        let server = orzo_http::Server::new(reload::api(config, plan, ctx.clone())?)
            .context("cannot start the HTTP threads")?;
        let slot = server.slot();
        let http = runtime.block_on(async { TcpListener::from_std(http) })?;
        let serving = runtime.spawn(server.serve(http, async {
            // Dropping the sender stops, too.
            let _ = http_stops.await;
        }));
        let own = janitor(config, &stores, &handle);
        let janitor = Keeper::start("janitor", move |stop| own.run(stop))?;
        let kv = stores.kv.clone();
        let medic = Keeper::start("medic", move |stop| medic::run(&kv, stop))?;
        let listeners = start_listeners(listeners)?;
        if let Some(deaf_ms) = take_over::deaf_ms() {
            tracing::info!(deaf_ms, "took over: what came meanwhile waited in the kernel");
        }
        let daemon = Daemon {
            runtime,
            stores,
            handle,
            shards,
            stop_listeners,
            listeners,
            counters,
            tap,
            kept,
            ctx,
            slot,
            stop_http,
            serving,
            janitor,
            medic,
        };
        Ok((daemon, signals))
    }

    fn open_control(
        &mut self,
        config: &Config,
        successor: Successor,
        take_over: UnboundedSender<()>,
    ) -> Result<()> {
        let control = Control {
            data_dir: config.data_dir.clone(),
            kv: self.stores.kv.clone(),
            tap: self.tap.clone(),
            started: orzo_base::clock::now_ns(),
            successor,
            take_over,
            checkpoints: AtomicU64::new(0),
        };
        control.start()
    }

    /// Stops, and lets the successor take over if that is how it ends.
    fn end(mut self, end: &End, deadline: Duration, successor: &Successor) -> Result<()> {
        let stopping = Instant::now();
        self.runtime.spawn(enforce_deadline(deadline));
        // Without a successor nobody may wait in front of a closed door.
        let kept = std::mem::take(&mut self.kept);
        let kept = match end {
            End::TakeOver => {
                notify::send(notify::RELOADING);
                tracing::info!("storing everything that was received, for another program to go on");
                take_over::store_ahead(&self.handle, &self.stores.kv, stopping + deadline / 2);
                kept.leave();
                Some(kept)
            }
            End::Signal(signal) => {
                notify::send(notify::STOPPING);
                tracing::info!(signal, "stopping: storing everything that was received");
                None
            }
        };
        let deaf_since = self.stop(kept.is_some())?;
        tracing::info!(took_ms = stopping.elapsed().as_millis() as u64, "stopped");
        kept.map_or(Ok(()), |kept| successor.become_it(&kept, deaf_since))
    }

    /// When nobody listened any more, in nanoseconds since 1970.
    fn stop(self, hands_over: bool) -> Result<u64> {
        let _ = self.stop_http.send(());
        let drained = self.runtime.block_on(self.serving).context("the HTTP server ended early")?;
        if drained.cut > 0 {
            tracing::warn!(connections = drained.cut, "requests did not end in time");
        }
        // ORDER: the janitor asks shards and waits for their answers; the medic heals what they write to.
        self.janitor.stop();
        let deaf_since = orzo_base::clock::now_ns();
        let step = Instant::now();
        self.stop_listeners.request();
        for ended in join(self.listeners) {
            ended.context("a listener ended early")?;
        }
        let listeners_ms = step.elapsed().as_millis() as u64;
        self.handle.stop();
        self.shards.join();
        let shards_ms = step.elapsed().as_millis() as u64 - listeners_ms;
        self.medic.stop();
        log_account(&self.counters, &self.handle);
        if hands_over {
            // The kernel has what is not on the disk, and the log of the last moments is quicker read than folded.
            tracing::info!(listeners_ms, shards_ms, "nobody listens");
            return Ok(deaf_since);
        }
        self.stores.kv.sync().context("the log could not be synced")?;
        // The log holds everything already: this makes the next start quick.
        self.stores.kv.engine().flush().context("the log could not be folded into tables")?;
        Ok(deaf_since)
    }
}

/// A thread that looks after the store until it is stopped.
struct Keeper {
    stop: Stop,
    thread: JoinHandle<()>,
}

impl Keeper {
    fn start(name: &str, body: impl FnOnce(&Stop) + Send + 'static) -> Result<Self> {
        let stop = Stop::new();
        let stopped = stop.clone();
        let thread = spawn(name, move || body(&stopped))?;
        Ok(Keeper { stop, thread })
    }

    fn stop(self) {
        self.stop.request();
        join(vec![self.thread]);
    }
}

/// Counters end with the process; their sums stay in the log, so that what several runs received can be added up.
fn log_account(listeners: &[Arc<CachePadded<ListenerCounters>>], handle: &Handle) {
    let listened =
        |read: fn(&ListenerCounters) -> u64| -> u64 { listeners.iter().map(|one| read(one)).sum() };
    let shards = || (0..handle.shards()).map(|shard| handle.counters(shard));
    let dropped = |drops: &[Counter]| -> u64 { drops.iter().map(Counter::get).sum() };
    tracing::info!(
        datagrams = listened(|one| one.datagrams.get()),
        kernel_drops = listened(|one| one.kernel_drops.get()),
        lines = listened(|one| one.lines.get()),
        lines_dropped = listeners.iter().map(|one| dropped(&one.drops)).sum::<u64>(),
        samples = listened(|one| one.samples.get()),
        samples_applied = shards().map(|one| one.samples_applied.get()).sum::<u64>(),
        samples_dropped = shards().map(|one| dropped(&one.samples_dropped)).sum::<u64>(),
        "the account of this run"
    );
}

type Listening = (Vec<Vec<BoundSocket>>, std::net::TcpListener, Kept);

/// Everything that listens: taken over from the program before, or bound.
fn listen(config: &Config, plan: &Plan) -> Result<Listening> {
    let mut inherited = take_over::inherited()?;
    let statsd = sockets::bind(&config.statsd, plan.listeners, &mut inherited)?;
    let http = take_over::http_listener(config.http.listen, &mut inherited)?;
    for address in inherited.rest() {
        tracing::warn!(%address, "the program before listened there, the configuration does not any more");
    }
    let kept = Kept::new(&statsd, &http).context("cannot keep sockets open")?;
    Ok((statsd, http, kept))
}

/// Listeners that do not run yet.
fn listeners(
    config: &Config,
    plan: &Plan,
    stores: &Stores,
    sockets: Vec<Vec<BoundSocket>>,
    producers: Vec<Producer<Batch>>,
    (stop, tap): (&Stop, Arc<Tap>),
) -> Result<Vec<Listener>> {
    let listening = ListenerConfig {
        naming: sockets::naming(&config.statsd, stores.identity.salt),
        limits: sockets::limits(&config.statsd),
        routes: Routes::even(stores.identity.partitions, plan.shards),
        tap,
    };
    let make = |(sockets, producer)| Listener::new(sockets, producer, listening.clone(), stop.clone());
    let made: std::io::Result<_> = sockets.into_iter().zip(producers).map(make).collect();
    made.context("cannot start a listener")
}

fn runtime(plan: &Plan) -> Result<Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(plan.http).thread_name("http").enable_all();
    builder.build().context("cannot start the HTTP threads")
}

fn janitor(config: &Config, stores: &Stores, handle: &Handle) -> Janitor {
    let keys = &config.janitor;
    let rules = janitor::Rules {
        interval: keys.metric_cleanup_delay.0,
        batch: usize::try_from(keys.cleanup_batch_size).unwrap_or(usize::MAX),
        inactive_after: Some(keys.metric_inactive_after.0).filter(|age| !age.is_zero()),
        cleanup_after: Some(keys.resource_cleanup_after.0).filter(|age| !age.is_zero()),
    };
    let Stores { index, aggregates, backlog, .. } = stores.clone();
    Janitor::new(index, aggregates, backlog, handle.clone(), rules, now)
}

fn start_listeners(listeners: Vec<Listener>) -> Result<Vec<JoinHandle<std::io::Result<()>>>> {
    let start =
        |(index, listener): (usize, Listener)| spawn(format!("listener-{index:02}"), || listener.run());
    let started: std::io::Result<Vec<_>> = listeners.into_iter().enumerate().map(start).collect();
    started.context("cannot start a listener")
}

fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    if name.trim().is_empty() { "localhost".into() } else { name.trim().into() }
}

/// Those that ask for an end, and the one that asks for a reload.
type Signals = (EndSignals, Signal);

fn signals() -> Result<Signals> {
    Ok((EndSignals::new()?, signal(SignalKind::hangup()).context("cannot wait for SIGHUP")?))
}

/// The signals that ask for an end. None is missed while somebody has this.
struct EndSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl EndSignals {
    fn new() -> Result<Self> {
        Ok(EndSignals {
            terminate: signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?,
            interrupt: signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// Past the deadline, or at a second signal, the process ends as it is: recovery covers the rest.
async fn enforce_deadline(deadline: Duration) {
    let again = async {
        match EndSignals::new() {
            Ok(mut signals) => signals.next().await,
            Err(_) => std::future::pending().await,
        }
    };
    let why = match tokio::time::timeout(deadline, again).await {
        Ok(_) => "a second signal came",
        Err(_) => "the deadline has passed",
    };
    tracing::warn!(why, "ending at once; the next start will recover");
    std::process::exit(1);
}

/// The threads behind the listeners and the API.
struct Shards {
    drivers: Vec<JoinHandle<()>>,
    helpers: Vec<JoinHandle<()>>,
}

impl Shards {
    /// Recovers all shards, in parallel, and starts everybody.
    fn start(
        config: &Config,
        plan: &Plan,
        stores: &Stores,
        (handle, guard): (&Handle, &Arc<Guard>),
        lanes: Vec<Consumer<Batch>>,
        inboxes: Vec<crossbeam::channel::Receiver<orzo_aggregator::Command>>,
    ) -> Result<Self> {
        let (acks, waiting) = unbounded();
        let (ask, names) = unbounded();
        let (submit, jobs) = unbounded();
        let mut recovering = Vec::new();
        for (index, (lane, commands)) in lanes.into_iter().zip(inboxes).enumerate() {
            let shard = Shard::new(shard_config(config, plan, handle, index), handle.counters(index).clone());
            let driver = Driver {
                shard,
                lane,
                commands,
                backlog: stores.backlog.clone(),
                durability: match config.http.durability {
                    config::Durability::Sync => Durability::Synced,
                    _ => Durability::Buffered,
                },
                syncer: acks.clone(),
                names: ask.clone(),
                jobs: submit.clone(),
                handle: handle.clone(),
                clock: now,
            };
            let stores = stores.clone();
            recovering.push(spawn(format!("recover-{index:02}"), move || recovered(driver, &stores))?);
        }
        let helpers = helpers(config, plan, stores, (handle, guard), (waiting, names, jobs))?;
        let drivers: Result<Vec<Driver>> = join(recovering).into_iter().collect();
        let run = |(index, driver): (usize, Driver)| spawn(format!("shard-{index:02}"), || driver.run());
        let drivers: std::io::Result<Vec<_>> = drivers?.into_iter().enumerate().map(run).collect();
        Ok(Shards { drivers: drivers.context("cannot start a shard")?, helpers })
    }

    /// Waits for the shards, then for those who served them.
    fn join(self) {
        join(self.drivers);
        join(self.helpers);
    }
}

fn recovered(mut driver: Driver, stores: &Stores) -> Result<Driver> {
    let started = Instant::now();
    let found = orzo_aggregator::recover(&mut driver.shard, &*stores.backlog, &*stores.index, now());
    let Recovered { blobs, batches, orphans, damaged } = found.context("cannot recover a shard")?;
    let took_ms = started.elapsed().as_millis() as u64;
    tracing::info!(blobs, batches, orphans, damaged, took_ms, "recovered a shard");
    Ok(driver)
}

type Inboxes = (
    crossbeam::channel::Receiver<Vec<orzo_aggregator::command::Ack>>,
    crossbeam::channel::Receiver<Vec<orzo_aggregator::Name>>,
    crossbeam::channel::Receiver<orzo_aggregator::CheckpointJob>,
);

fn helpers(
    config: &Config,
    plan: &Plan,
    stores: &Stores,
    (handle, guard): (&Handle, &Arc<Guard>),
    (waiting, names, jobs): Inboxes,
) -> Result<Vec<JoinHandle<()>>> {
    let Stores { backlog, aggregates, index, .. } = stores.clone();
    let background = config.http.durability != config::Durability::Buffered;
    let interval = background.then_some(config.store.sync_interval.0);
    let syncer = Syncer { backlog: backlog.clone(), waiting, interval };
    let rules = statsd_rules(config)?;
    let (backlog_too, handle_too, guard) = (backlog.clone(), handle.clone(), guard.clone());
    let resolver =
        Resolver { index, backlog: backlog_too, rules, names, handle: handle_too, guard, clock: now };
    let mut helpers = vec![spawn("syncer", || syncer.run())?, spawn("resolver", || resolver.run())?];
    for number in 0..plan.flushers {
        let (aggregates, backlog): (_, Arc<dyn Backlog>) = (aggregates.clone(), backlog.clone());
        let flusher = Flusher { aggregates, backlog, jobs: jobs.clone(), handle: handle.clone() };
        helpers.push(spawn(format!("flusher-{number:02}"), || flusher.run())?);
    }
    Ok(helpers)
}

fn shard_config(config: &Config, plan: &Plan, handle: &Handle, shard: usize) -> ShardConfig {
    let statsd = &config.statsd;
    ShardConfig {
        partitions: handle.partitions(),
        owned: handle.owned(shard),
        flush_interval_ns: nanoseconds(statsd.flush_interval.0),
        checkpoint_age_ns: nanoseconds(config.store.checkpoint_age.0),
        series_max: (plan.max_series as usize).div_ceil(plan.shards),
        semantics: Semantics {
            gauge_dialect: match statsd.gauge_dialect {
                config::GaugeDialect::Auto => GaugeDialect::Auto,
                config::GaugeDialect::Etsy => GaugeDialect::Etsy,
                config::GaugeDialect::Dogstatsd => GaugeDialect::Dogstatsd,
            },
            gauge_ttl_ns: nanoseconds(statsd.gauge_ttl.0),
            max_future_ns: nanoseconds(statsd.max_future.0),
        },
    }
}

fn statsd_rules(config: &Config) -> Result<StatsdRules> {
    let statsd = &config.statsd;
    let named = ResourceId::derive(RESOURCE_NAME, Some(&statsd.creator))?;
    let default_resource = if named.uuid() == statsd.resource_id {
        RESOURCE_NAME.into()
    } else {
        statsd.resource_id.to_string()
    };
    let policies = &statsd.archive_policy;
    let policy_of = |kind: Kind| match kind {
        Kind::Counter | Kind::CounterAt => policies.counter.clone(),
        Kind::Gauge => policies.gauge.clone(),
        Kind::Timer => policies.timer.clone(),
        Kind::Histogram => policies.histogram.clone(),
        Kind::Distribution => policies.distribution.clone(),
        Kind::Set => policies.set.clone(),
    };
    Ok(StatsdRules {
        home: StatsdHome {
            resource_type: statsd.resource_type.clone(),
            attribute_type: statsd.attribute_type.clone(),
            creator: statsd.creator.clone(),
            default_resource,
            metrics_max: None,
            metrics_per_resource_max: None,
            prefix_max: limit(statsd.max_series_per_prefix)
                .map(|max| PrefixLimit { segments: prefix_segments(statsd), max }),
        },
        policies: Kind::ALL.map(policy_of),
    })
}

fn guard(statsd: &config::Statsd) -> Arc<Guard> {
    Arc::new(Guard::new(Rates {
        segments: prefix_segments(statsd),
        per_second: limit(statsd.max_new_series_per_second),
        per_prefix: limit(statsd.max_new_series_per_second_per_prefix),
    }))
}

fn prefix_segments(statsd: &config::Statsd) -> usize {
    usize::try_from(statsd.prefix_segments).unwrap_or(usize::MAX)
}

/// As it stands in the configuration, where 0 is none.
fn limit(max: u64) -> Option<u64> {
    Some(max).filter(|max| *max > 0)
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
