//! One program takes the place of another without losing a datagram: the old one stores everything, keeps its sockets
//! open and becomes the new one by `exec`. What arrives meanwhile waits in the kernel's buffers.
//!
//! The process stays the same, so no service manager has to be told, and no two programs ever have the database.
//!
//! How long nobody listens decides what a buffer must hold. So nearly everything is stored while listeners still read,
//! and only what came meanwhile after they stopped; each step of that time is in the log.

use std::ffi::OsString;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{self, Command};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use orzo_aggregator::Handle;
use orzo_base::clock;
use orzo_ingest::{Address, BoundSocket, Inherited, KeptSocket};
use orzo_store::Guarded;
use orzo_store_rocks::RocksKv;

/// Holds the sockets' numbers, after the id of the process that they are meant for and when listeners stopped.
const SOCKETS: &str = "ORZO_SOCKETS";
/// A round of checkpoints that takes no longer leaves so little that another would not make it less.
const ROUND: Duration = Duration::from_millis(300);
/// Rounds of checkpoints while listeners read, at most.
const ROUNDS: usize = 4;

/// Stores what there is while listeners read on: what they stop for is then only what came during the last round.
pub(crate) fn store_ahead(handle: &Handle, store: &Guarded<RocksKv>, deadline: Instant) {
    for round in 1..=ROUNDS {
        let started = Instant::now();
        let is_done = handle.checkpoint(deadline);
        // The less of the log the successor has to read, the sooner it listens.
        if let Err(error) = store.engine().flush() {
            tracing::warn!(%error, "the successor will read more of the log");
        }
        let took = started.elapsed();
        tracing::info!(round, took_ms = took.as_millis() as u64, "stored what there is, still listening");
        if !is_done || took <= ROUND {
            break;
        }
    }
}

/// The program that will take this one's place: what lies where this one was started from.
#[derive(Clone)]
pub(crate) struct Successor {
    program: PathBuf,
    config: Option<PathBuf>,
}

impl Successor {
    /// To be made at the start, while the program is still where it was.
    pub(crate) fn new(config: Option<PathBuf>) -> Result<Self> {
        let program = std::env::current_exe().context("cannot tell where this program lies")?;
        Ok(Successor { program, config })
    }

    /// Lets the program on disk judge the configuration: one that would not start must not end this one.
    pub(crate) fn is_fit(&self) -> Result<(), String> {
        let mut check = Command::new(&self.program);
        check.args(["config", "check"]).env_remove(SOCKETS);
        if let Some(config) = &self.config {
            check.arg("--config").arg(config);
        }
        let output = check.output().map_err(|why| format!("cannot run {}: {why}", self.program.display()))?;
        if output.status.success() {
            return Ok(());
        }
        Err(format!("{} refuses: {}", self.program.display(), String::from_utf8_lossy(&output.stderr)))
    }

    /// Becomes the other program; returns only if that fails. Nobody has listened since `deaf_since`.
    pub(crate) fn become_it(&self, kept: &Kept, deaf_since: u64) -> Result<()> {
        let words: Result<Vec<String>, _> = kept.0.iter().map(KeptSocket::pass_on).collect();
        let words = words.context("a socket cannot be passed on")?.join(",");
        let sockets = format!("{}:{deaf_since}:{words}", process::id());
        let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
        let failed = Command::new(&self.program).args(arguments).env(SOCKETS, sockets).exec();
        Err(failed).with_context(|| format!("cannot become {}", self.program.display()))
    }
}

/// Sockets that stay open while their listeners go.
#[derive(Default)]
pub(crate) struct Kept(Vec<KeptSocket>);

impl Kept {
    /// Of all that are bound.
    pub(crate) fn new(statsd: &[Vec<BoundSocket>], http: &TcpListener) -> Result<Self> {
        let mut kept: Vec<KeptSocket> =
            statsd.iter().flatten().map(BoundSocket::keep).collect::<Result<_, _>>()?;
        kept.push(KeptSocket::of(http.try_clone()?));
        Ok(Kept(kept))
    }

    /// To be said before listeners stop.
    pub(crate) fn leave(&self) {
        self.0.iter().for_each(KeptSocket::leave);
    }
}

/// What the program before has left for this one, as text: when nobody listened any more, in nanoseconds since 1970,
/// and its sockets.
fn legacy() -> Option<(u64, String)> {
    let text = std::env::var(SOCKETS).ok()?;
    let (process, rest) = text.split_once(':')?;
    // A program that is started by a daemon has the variable, but not the sockets.
    let (deaf_since, words) = rest.split_once(':').filter(|_| process == process::id().to_string())?;
    Some((deaf_since.parse().ok()?, words.to_owned()))
}

/// The sockets that the program before has left for this one.
pub(crate) fn inherited() -> Result<Inherited> {
    let Some((_, words)) = legacy() else { return Ok(Inherited::default()) };
    Inherited::parse(&words).with_context(|| format!("the sockets in {SOCKETS} cannot be taken over"))
}

/// For how long nobody has listened, if the program before has left its sockets.
pub(crate) fn deaf_ms() -> Option<u64> {
    let (deaf_since, _) = legacy()?;
    Some(clock::now_ns().saturating_sub(deaf_since) / 1_000_000)
}

/// The listener of the API, inherited or bound.
pub(crate) fn http_listener(address: SocketAddr, inherited: &mut Inherited) -> Result<TcpListener> {
    let listener = match inherited.take(&Address::Tcp(address)).pop() {
        Some(inherited) => inherited.socket.into(),
        None => TcpListener::bind(address).with_context(|| format!("cannot listen on http://{address}"))?,
    };
    listener.set_nonblocking(true)?;
    Ok(listener)
}
