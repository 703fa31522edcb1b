//! The daemon from outside: CPU time and memory of its process, bytes of its directory.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::blast::Error;
use crate::blast::cpu::process_cpu;

/// What is known of the daemon besides its address.
#[derive(Clone, Debug, Default)]
pub(super) struct Outside {
    pub(super) pid: Option<u32>,
    pub(super) data_dir: Option<PathBuf>,
}

impl Outside {
    pub(super) fn cpu(&self) -> Result<Option<Duration>, Error> {
        self.pid.map(process_cpu).transpose()
    }

    /// Resident memory.
    pub(super) fn memory(&self) -> Option<u64> {
        self.status("VmRSS:")
    }

    /// The most resident memory since it was reset.
    pub(super) fn peak_memory(&self) -> Option<u64> {
        self.status("VmHWM:")
    }

    /// Takes the memory of now as the most so far. Returns it, unless the kernel refuses.
    pub(super) fn reset_peak_memory(&self) -> Option<u64> {
        const RESET_PEAK: &str = "5";
        fs::write(format!("/proc/{}/clear_refs", self.pid?), RESET_PEAK).ok()?;
        self.memory()
    }

    fn status(&self, key: &str) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid?)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(key))?;
        Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? << 10)
    }

    pub(super) fn disk(&self) -> Option<u64> {
        Some(bytes_below(self.data_dir.as_deref()?))
    }
}

/// Files may come and go meanwhile.
fn bytes_below(dir: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(dir) else { return 0 };
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => bytes_below(&entry.path()),
        Ok(meta) => meta.len(),
        Err(_) => 0,
    };
    entries.flatten().map(size).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_of_ourselves() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("below")).unwrap();
        fs::write(dir.path().join("below/file"), [0; 1000]).unwrap();
        let outside = Outside { pid: Some(std::process::id()), data_dir: Some(dir.path().to_owned()) };
        assert_eq!(outside.disk(), Some(1000));
        assert!(outside.memory().unwrap() > 1 << 20);
        assert!(outside.reset_peak_memory().unwrap() <= outside.peak_memory().unwrap());
        assert!(outside.cpu().unwrap().is_some());
        assert_eq!((Outside::default().memory(), Outside::default().disk()), (None, None));
    }
}
