//! How far a long command is: one line that changes on a terminal, plain lines now and then elsewhere.

use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

/// Between two lines on a terminal.
const QUICK: Duration = Duration::from_millis(100);
/// Between two lines elsewhere.
const SLOW: Duration = Duration::from_secs(5);

/// How far a command is, told on standard error.
pub(crate) struct Progress {
    what: &'static str,
    unit: fn(u64) -> String,
    total: Option<u64>,
    done: u64,
    on_terminal: bool,
    next: Instant,
}

impl Progress {
    /// `unit` puts a number into words; without a `total` only what is done is told.
    pub(crate) fn new(what: &'static str, total: Option<u64>, unit: fn(u64) -> String) -> Self {
        let on_terminal = stderr().is_terminal();
        let next = Instant::now() + if on_terminal { Duration::ZERO } else { SLOW };
        Progress { what, unit, total, done: 0, on_terminal, next }
    }

    /// So much more is done.
    pub(crate) fn add(&mut self, amount: u64) {
        self.done += amount;
        let now = Instant::now();
        if now >= self.next {
            self.next = now + if self.on_terminal { QUICK } else { SLOW };
            self.tell();
        }
    }

    fn tell(&self) {
        let line = line(self.what, self.unit, self.done, self.total);
        // A standard error that is closed is no reason to stop.
        let _ = match self.on_terminal {
            true => write!(stderr(), "\r\x1b[K{line}"),
            false => writeln!(stderr(), "{line}"),
        };
    }

    /// All is done.
    pub(crate) fn end(self) {
        self.tell();
        if self.on_terminal {
            let _ = writeln!(stderr());
        }
    }
}

fn line(what: &str, unit: fn(u64) -> String, done: u64, total: Option<u64>) -> String {
    const WIDTH: u64 = 30;
    let Some(total) = total else { return format!("{what} {}", unit(done)) };
    let (done, of) = (done.min(total), total.max(1));
    let full = if total == 0 { WIDTH } else { done * WIDTH / of } as usize;
    let percent = if total == 0 { 100 } else { done * 100 / of };
    let bar = format!("{}{}", "#".repeat(full), ".".repeat(WIDTH as usize - full));
    format!("{what} [{bar}] {percent:3} % {} of {}", unit(done), unit(total))
}

/// A plain count.
pub(crate) fn count(number: u64) -> String {
    number.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_say_how_far() {
        assert_eq!(line("copying", count, 5, None), "copying 5");
        let half = line("copying", count, 5, Some(10));
        assert_eq!(half, "copying [###############...............]  50 % 5 of 10");
        assert!(line("copying", count, 0, Some(0)).contains("100 %"));
        assert!(line("copying", count, 11, Some(10)).contains("10 of 10"));
    }
}
