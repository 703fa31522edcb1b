//! One program takes the place of another without losing a datagram: the old one stores everything, keeps its sockets
//! open and becomes the new one by `exec`. What arrives meanwhile waits in the kernel's buffers.
//!
//! The process stays the same, so no service manager has to be told, and no two programs ever have the database.

use std::ffi::OsString;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{self, Command};

use anyhow::{Context, Result};
use orzo_ingest::{Address, BoundSocket, Inherited, KeptSocket};

/// Holds the sockets' numbers, after the id of the process that they are meant for.
const SOCKETS: &str = "ORZO_SOCKETS";

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

    /// Becomes the other program; returns only if that fails.
    pub(crate) fn become_it(&self, kept: &Kept) -> Result<()> {
        let words: Result<Vec<String>, _> = kept.0.iter().map(KeptSocket::pass_on).collect();
        let sockets =
            format!("{}:{}", process::id(), words.context("a socket cannot be passed on")?.join(","));
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
    pub(crate) fn keep_paths(&self) {
        self.0.iter().for_each(KeptSocket::keep_path);
    }
}

/// What the program before has left for this one.
pub(crate) fn inherited() -> Result<Inherited> {
    let text = std::env::var(SOCKETS).unwrap_or_default();
    let Some((process, words)) = text.split_once(':') else { return Ok(Inherited::default()) };
    // A program that is started by a daemon has the variable, but not the sockets.
    if process != process::id().to_string() {
        return Ok(Inherited::default());
    }
    Inherited::parse(words).with_context(|| format!("the sockets in {SOCKETS} cannot be taken over"))
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
