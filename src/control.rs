//! The control socket: a unix socket in the data directory, for whoever may read that directory. One request a line:
//!
//! * `hello` → `ok VERSION START`: who runs, and since when (nanoseconds since 1970).
//! * `checkpoint` → `ok PATH`: a copy of the database as it is now, deleted when the connection ends.
//! * `tail PATTERN` → `ok`, then lines of statsd as they come in, each behind a mark, until the connection ends.
//! * `take-over` → `ok`: the program on disk takes the place of this one, with its sockets.
//!
//! Why not HTTP: these requests touch files and processes, and the permissions of a directory say better than any
//! password who may do that. Nothing a client says is used as a path.

use std::fs::{self, Permissions};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread::Builder;
use std::time::Duration;

use anyhow::{Context, Result};
use orzo_ingest::Tap;
use orzo_store::Guarded;
use orzo_store_rocks::RocksKv;
use tokio::sync::mpsc::UnboundedSender;

use crate::take_over::Successor;

/// Name of the socket in the data directory.
pub(crate) const SOCKET: &str = "control.sock";
/// Before a line that came in.
pub(crate) const TAIL_LINE: u8 = b'=';
/// Before the number of lines that are missing because the client was too slow.
pub(crate) const TAIL_SKIPPED: u8 = b'-';
/// Time between two looks for lines that came in: what waits for one is bounded, and at most 400 000 lines a second
/// can be shown.
const TAIL_NAP: Duration = Duration::from_millis(10);
/// Bytes that are sent at a time.
const TAIL_BYTES: usize = 1 << 20;
/// First part of the names of checkpoints in the data directory.
const CHECKPOINT: &str = "checkpoint-";

/// What the socket works on.
pub(crate) struct Control {
    pub(crate) data_dir: PathBuf,
    pub(crate) kv: Arc<Guarded<RocksKv>>,
    pub(crate) tap: Arc<Tap>,
    /// Nanoseconds since 1970.
    pub(crate) started: u64,
    pub(crate) successor: Successor,
    /// Tells the daemon that the successor is fit.
    pub(crate) take_over: UnboundedSender<()>,
    /// Numbers checkpoints.
    pub(crate) checkpoints: AtomicU64,
}

impl Control {
    /// Begins to listen, on a thread of its own that ends with the process.
    pub(crate) fn start(self) -> Result<()> {
        remove_checkpoints(&self.data_dir);
        let path = self.data_dir.join(SOCKET);
        let listener = bind(&path).with_context(|| format!("cannot listen on {}", path.display()))?;
        let control = Arc::new(self);
        let accept = move || {
            for stream in listener.incoming().flatten() {
                let control = control.clone();
                let serve = move || control.serve(stream);
                if let Err(error) = Builder::new().name("control".into()).spawn(serve) {
                    tracing::warn!(%error, "a control connection was not served");
                }
            }
        };
        Builder::new().name("control".into()).spawn(accept).context("cannot start the control thread")?;
        Ok(())
    }

    /// A client that goes away early is its own affair.
    fn serve(&self, stream: UnixStream) {
        let _ = self.converse(BufReader::new(stream));
    }

    fn converse(&self, mut stream: BufReader<UnixStream>) -> io::Result<()> {
        let mut request = String::new();
        stream.read_line(&mut request)?;
        let client = stream.get_mut();
        match request.trim() {
            "hello" => writeln!(client, "ok {} {}", env!("CARGO_PKG_VERSION"), self.started),
            "checkpoint" => self.checkpoint(stream),
            "take-over" => match self.successor.is_fit() {
                Ok(()) => {
                    writeln!(client, "ok")?;
                    // The daemon may be stopping already: then nobody takes over, which the client sees.
                    let _ = self.take_over.send(());
                    Ok(())
                }
                Err(why) => writeln!(client, "error {}", one_line(&why)),
            },
            tail if tail == "tail" || tail.starts_with("tail ") => {
                let pattern = tail["tail".len()..].trim_start().to_owned();
                self.tail(&pattern, stream)
            }
            other => writeln!(client, "error there is no request \"{other}\""),
        }
    }

    /// Lines behind a mark, until the client goes.
    fn tail(&self, pattern: &str, mut stream: BufReader<UnixStream>) -> io::Result<()> {
        let Some(watcher) = self.tap.watch(pattern) else {
            return writeln!(stream.get_mut(), "error too many look already");
        };
        writeln!(stream.get_mut(), "ok")?;
        stream.get_mut().set_read_timeout(Some(TAIL_NAP))?;
        let mut text = Vec::new();
        loop {
            text.clear();
            while text.len() < TAIL_BYTES
                && let Some(line) = watcher.line()
            {
                text.push(TAIL_LINE);
                text.extend_from_slice(&line);
                text.push(b'\n');
            }
            match watcher.skipped() {
                0 => {}
                skipped => writeln!(text, "{}{skipped}", char::from(TAIL_SKIPPED))?,
            }
            stream.get_mut().write_all(&text)?;
            // Nothing is expected but the end; waiting for it is the nap between two looks.
            match stream.read(&mut [0]) {
                Ok(0) => return Ok(()),
                Err(error) if !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return Err(error);
                }
                _ => {}
            }
        }
    }

    fn checkpoint(&self, mut stream: BufReader<UnixStream>) -> io::Result<()> {
        let number = self.checkpoints.fetch_add(1, Relaxed);
        let directory = self.data_dir.join(format!("{CHECKPOINT}{number}"));
        let absolute = std::path::absolute(&directory)?;
        let answer = match self.kv.engine().checkpoint(&directory) {
            Ok(()) => format!("ok {}", absolute.display()),
            Err(why) => format!("error {}", one_line(&why.to_string())),
        };
        tracing::info!(directory = %absolute.display(), answer, "checkpoint for a backup");
        let told = writeln!(stream.get_mut(), "{answer}");
        // Nothing more is expected; this returns when the client goes.
        let _ = stream.read_line(&mut String::new());
        let removed = fs::remove_dir_all(&directory);
        told.and(removed)
    }
}

fn one_line(text: &str) -> String {
    text.trim().replace('\n', "; ")
}

/// Of a run that was killed while a backup was made.
fn remove_checkpoints(data_dir: &Path) {
    let entries = fs::read_dir(data_dir).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(CHECKPOINT)) {
        if let Err(error) = fs::remove_dir_all(entry.path()) {
            tracing::warn!(%error, path = %entry.path().display(), "an old checkpoint stays");
        }
    }
}

/// The store's lock says that no other daemon has the directory, so what lies at the path is of a run that ended.
fn bind(path: &Path) -> io::Result<UnixListener> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// The other end: asks the daemon that has a data directory.
pub(crate) struct Client(BufReader<UnixStream>);

impl Client {
    /// Sends a request; the text after `ok`. The connection stays open as long as the client.
    pub(crate) fn ask(data_dir: &Path, request: &str) -> Result<(Client, String)> {
        let path = data_dir.join(SOCKET);
        let connected = UnixStream::connect(&path);
        let mut stream = connected.with_context(|| {
            format!(
                "no daemon answers on {}: is it running, and may you read its data directory?",
                path.display()
            )
        })?;
        writeln!(stream, "{request}").context("the daemon went away")?;
        let mut stream = BufReader::new(stream);
        let mut answer = String::new();
        stream.read_line(&mut answer).context("the daemon went away")?;
        match answer.trim_end().split_once(' ').unwrap_or((answer.trim_end(), "")) {
            ("ok", text) => Ok((Client(stream), text.to_owned())),
            ("error", why) => anyhow::bail!("the daemon says: {why}"),
            _ => anyhow::bail!("the daemon went away"),
        }
    }

    /// The next line of an answer that goes on; nothing when the daemon is gone.
    pub(crate) fn line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        let read = self.0.read_until(b'\n', &mut line)?;
        Ok((read > 0).then(|| line.trim_ascii_end().to_vec()))
    }

    /// Says goodbye.
    pub(crate) fn end(self) {
        drop(self.0);
    }
}
