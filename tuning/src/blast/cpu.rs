//! CPU time of a thread and of another process, from `/proc`.

use std::fs;
use std::time::Duration;

use super::error::Error;

/// ASSUMES: the kernel counts in hundredths of a second towards user space (`USER_HZ`), as on every port we run on.
const TICK: Duration = Duration::from_millis(10);

/// User and system time of all threads of a process, the ended ones too; to 10 ms.
pub(crate) fn process_cpu(pid: u32) -> Result<Duration, Error> {
    read(&format!("/proc/{pid}/stat"))
}

/// The same of the calling thread.
pub(super) fn thread_cpu() -> Result<Duration, Error> {
    read("/proc/thread-self/stat")
}

fn read(path: &str) -> Result<Duration, Error> {
    let text = fs::read_to_string(path).map_err(Error::io(format!("reading {path}")))?;
    parse_stat(&text).ok_or_else(|| Error::Options(format!("{path} has no times in it")))
}

/// Fields 14 and 15, counted after the name, which may hold blanks and brackets.
fn parse_stat(text: &str) -> Option<Duration> {
    let (_, after_name) = text.rsplit_once(") ")?;
    let mut fields = after_name.split(' ').skip(11);
    let mut next = || fields.next()?.parse::<u32>().ok();
    Some(TICK * next()? + TICK * next()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_stand_behind_the_name() {
        let text = "4242 (a) b (c) S 1 4242 4242 0 -1 4194560 6351 0 0 0 123 45 0 0 20 0 9 0 1 2 3\n";
        assert_eq!(parse_stat(text), Some(Duration::from_millis(1680)));
        assert_eq!(parse_stat("nonsense"), None);
    }

    #[test]
    fn our_own_time_can_be_read() {
        assert!(process_cpu(std::process::id()).unwrap() >= thread_cpu().unwrap());
    }
}
