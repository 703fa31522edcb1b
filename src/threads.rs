//! Threads that own state: named, joined, and never survived by a process that lost one to a panic.

use std::io;
use std::thread::{Builder, JoinHandle};

/// Ends the process if the thread that holds it panics: what the thread owned is in no known state, and
/// recovery is made for just that.
struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!("a thread that owns state has panicked: the process ends and will recover");
            std::process::abort();
        }
    }
}

/// Starts a thread that owns state.
///
/// # Errors
/// If the system has no room for another thread.
pub(crate) fn spawn<T: Send + 'static>(
    name: impl Into<String>,
    body: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    Builder::new().name(name.into()).spawn(move || {
        let _guard = AbortOnPanic;
        body()
    })
}

/// Waits for threads to end.
pub(crate) fn join<T>(threads: Vec<JoinHandle<T>>) -> Vec<T> {
    let wait = |thread: JoinHandle<T>| thread.join().expect("a thread that panics ends the process");
    threads.into_iter().map(wait).collect()
}
