//! What waits for one thread, which takes all of it at a time: whoever comes while it works waits for its next turn, and
//! need not wake it.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;

/// Things for a thread of its own. The thread ends with it, after what it was given.
pub(crate) struct Inbox<T>(Arc<Shared<T>>);

struct Shared<T> {
    content: Mutex<Content<T>>,
    filled: Condvar,
}

struct Content<T> {
    things: Vec<T>,
    is_asleep: bool,
    is_closed: bool,
}

impl<T: Send + 'static> Inbox<T> {
    /// Starts a thread that does `work` with all that has come since it did so last.
    ///
    /// # Errors
    /// The system has no thread to give.
    pub(crate) fn start(name: &str, work: impl Fn(Vec<T>) + Send + 'static) -> io::Result<Self> {
        let content = Content { things: Vec::new(), is_asleep: false, is_closed: false };
        let shared = Arc::new(Shared { content: Mutex::new(content), filled: Condvar::new() });
        let own = shared.clone();
        thread::Builder::new().name(name.to_owned()).spawn(move || {
            while let Some(things) = own.take() {
                work(things);
            }
        })?;
        Ok(Inbox(shared))
    }

    /// Gives a thing to the thread.
    pub(crate) fn put(&self, thing: T) {
        let mut content = self.0.content();
        content.things.push(thing);
        let wake = std::mem::take(&mut content.is_asleep);
        drop(content);
        if wake {
            self.0.filled.notify_one();
        }
    }
}

impl<T> Shared<T> {
    fn content(&self) -> MutexGuard<'_, Content<T>> {
        self.content.lock().expect("no holder of the lock panics")
    }

    /// All there is, once there is something; `None` at the end.
    fn take(&self) -> Option<Vec<T>> {
        let mut content = self.content();
        while content.things.is_empty() {
            if content.is_closed {
                return None;
            }
            content.is_asleep = true;
            content = self.filled.wait(content).expect("no holder of the lock panics");
        }
        content.is_asleep = false;
        Some(std::mem::take(&mut content.things))
    }
}

impl<T> Drop for Inbox<T> {
    fn drop(&mut self) {
        self.0.content().is_closed = true;
        self.0.filled.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn who_comes_during_a_turn_shares_the_next() {
        let (begun, turns) = mpsc::channel();
        let (end, may_end) = mpsc::channel::<()>();
        let inbox = Inbox::start("test", move |things: Vec<u32>| {
            begun.send(things).unwrap();
            may_end.recv().unwrap();
        })
        .unwrap();
        inbox.put(1);
        assert_eq!(turns.recv().unwrap(), [1]);
        inbox.put(2);
        inbox.put(3);
        end.send(()).unwrap();
        assert_eq!(turns.recv().unwrap(), [2, 3]);
        inbox.put(4);
        drop(inbox);
        end.send(()).unwrap();
        assert_eq!(turns.recv().unwrap(), [4], "what was given before the end is done");
        end.send(()).unwrap();
        assert!(turns.recv().is_err(), "the thread has ended");
    }
}
