//! A tap: lines as they come in, for those who want to look.
//!
//! While nobody looks, a listener reads one number for each system call that received something, and nothing for a
//! line. Whoever looks gets copies over a bounded queue; a listener never waits for them. What finds no room is counted
//! and left out of what is shown: what is stored has nothing to do with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crossbeam::queue::ArrayQueue;
use orzo_model::filter::Glob;
use parking_lot::Mutex;

use crate::limits::{TAP_LINE_BYTES, TAP_LINES, WATCHERS_MAX};
use crate::statsd;

/// Which lines somebody wants to see.
#[derive(Debug)]
enum Wanted {
    /// Those that begin with this.
    Prefix(Box<[u8]>),
    /// Those whose text before the `:` matches.
    Glob(Glob),
}

impl Wanted {
    fn new(pattern: &str) -> Self {
        if pattern.contains(['*', '?', '[']) {
            Wanted::Glob(Glob::new(pattern))
        } else {
            Wanted::Prefix(pattern.as_bytes().into())
        }
    }

    fn matches(&self, line: &[u8]) -> bool {
        match self {
            Wanted::Prefix(prefix) => line.starts_with(prefix),
            Wanted::Glob(glob) => {
                let end = memchr::memchr(b':', line).unwrap_or(line.len());
                glob.matches(&String::from_utf8_lossy(&line[..end]))
            }
        }
    }
}

/// What one who looks shares with the listeners.
#[derive(Debug)]
struct Shown {
    wanted: Wanted,
    lines: ArrayQueue<Box<[u8]>>,
    skipped: AtomicU64,
}

impl Shown {
    fn offer(&self, line: &[u8]) {
        if !self.wanted.matches(line) {
            return;
        }
        // Asked first, so that a full queue costs no copy.
        let cut = &line[..line.len().min(TAP_LINE_BYTES)];
        if self.lines.is_full() || self.lines.push(cut.into()).is_err() {
            self.skipped.fetch_add(1, Relaxed);
        }
    }
}

/// Where listeners show lines, and others come to look.
#[derive(Debug, Default)]
pub struct Tap {
    /// How often somebody came or went.
    changes: AtomicU64,
    watching: Mutex<Vec<Arc<Shown>>>,
}

impl Tap {
    /// Begins to look at lines that begin with `pattern`, or, if it has `*`, `?` or `[`, whose name matches it as a
    /// whole. `None` if too many look already.
    pub fn watch(self: &Arc<Self>, pattern: &str) -> Option<Watcher> {
        let shown = Arc::new(Shown {
            wanted: Wanted::new(pattern),
            lines: ArrayQueue::new(TAP_LINES),
            skipped: AtomicU64::new(0),
        });
        let mut watching = self.watching.lock();
        if watching.len() >= WATCHERS_MAX {
            return None;
        }
        watching.push(shown.clone());
        self.changes.fetch_add(1, Relaxed);
        Some(Watcher { tap: Arc::clone(self), shown })
    }
}

/// Somebody who looks, until dropped.
#[derive(Debug)]
pub struct Watcher {
    tap: Arc<Tap>,
    shown: Arc<Shown>,
}

impl Watcher {
    /// The next line that was shown, cut if it is very long.
    pub fn line(&self) -> Option<Box<[u8]>> {
        self.shown.lines.pop()
    }

    /// Lines that found no room since this was asked last.
    pub fn skipped(&self) -> u64 {
        self.shown.skipped.swap(0, Relaxed)
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.tap.watching.lock().retain(|shown| !Arc::ptr_eq(shown, &self.shown));
        self.tap.changes.fetch_add(1, Relaxed);
    }
}

/// A listener's side of the tap.
pub(crate) struct Spout {
    tap: Arc<Tap>,
    /// How many changes it knows of.
    seen: u64,
    watching: Vec<Arc<Shown>>,
}

impl Spout {
    pub(crate) fn new(tap: Arc<Tap>) -> Self {
        Spout { tap, seen: 0, watching: Vec::new() }
    }

    /// Looks whether somebody came or went: once for each system call that received something.
    #[inline]
    pub(crate) fn refresh(&mut self) {
        // Relaxed: who looks is behind the lock, and one call later is early enough.
        let changes = self.tap.changes.load(Relaxed);
        if changes != self.seen {
            self.seen = changes;
            self.watching = self.tap.watching.lock().clone();
        }
    }

    /// Shows the lines of a text.
    #[inline]
    pub(crate) fn show(&self, text: &[u8]) {
        if !self.watching.is_empty() {
            self.show_lines(text);
        }
    }

    #[cold]
    fn show_lines(&self, text: &[u8]) {
        for line in statsd::lines(text) {
            self.watching.iter().for_each(|shown| shown.offer(line));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(watcher: &Watcher) -> Vec<String> {
        std::iter::from_fn(|| watcher.line()).map(|line| String::from_utf8(line.into()).unwrap()).collect()
    }

    #[test]
    fn each_sees_what_it_asked_for_while_it_looks() {
        let tap = Arc::new(Tap::default());
        let mut spout = Spout::new(tap.clone());
        spout.show(b"app.early:1|c");
        let (prefix, glob, all) =
            (tap.watch("app.").unwrap(), tap.watch("*.hits").unwrap(), tap.watch("").unwrap());
        spout.refresh();
        spout.show(b"app.hits:1|c\r\n web.hits:2|c|#host:app.\n\nnonsense\napp.hits.x:1|c");
        assert_eq!(seen(&prefix), ["app.hits:1|c", "app.hits.x:1|c"]);
        assert_eq!(seen(&glob), ["app.hits:1|c", "web.hits:2|c|#host:app."]);
        assert_eq!(seen(&all).len(), 4);
        drop(prefix);
        drop(all);
        spout.refresh();
        assert_eq!(spout.watching.len(), 1);
    }

    #[test]
    fn who_cannot_keep_up_is_told_how_much_is_missing() {
        let tap = Arc::new(Tap::default());
        let mut spout = Spout::new(tap.clone());
        let watcher = tap.watch("n").unwrap();
        spout.refresh();
        (0..TAP_LINES + 7).for_each(|_| spout.show(b"n:1|c"));
        assert_eq!((seen(&watcher).len(), watcher.skipped(), watcher.skipped()), (TAP_LINES, 7, 0));
        spout.show(&[b'n'; 2 * TAP_LINE_BYTES]);
        assert_eq!(watcher.line().unwrap().len(), TAP_LINE_BYTES);
    }

    #[test]
    fn too_many_are_turned_away() {
        let tap = Arc::new(Tap::default());
        let watchers: Vec<_> = (0..WATCHERS_MAX).map(|_| tap.watch("").unwrap()).collect();
        assert!(tap.watch("").is_none());
        drop(watchers);
        assert!(tap.watch("").is_some());
    }
}
