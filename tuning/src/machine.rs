//! Facts about the machine, read from `/proc` and `/sys`: cores, memory, and the limits that a container or the system
//! sets. Text goes through pure functions; whatever cannot be read falls back to something modest.

use std::fs;
use std::path::{Path, PathBuf};

/// Assumed when nothing says how much memory there is.
const MEMORY_UNKNOWN_BYTES: u64 = 1 << 30;

/// What there is to work with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Cores that the scheduler may put us on; at least 1.
    pub cores_allowed: usize,
    /// Cores' worth of time that the control group grants, rounded up; `None`: no limit.
    pub cores_granted: Option<usize>,
    /// Memory of the machine, in bytes.
    pub memory_total: u64,
    /// Memory that the control group grants, in bytes; `None`: no limit.
    pub memory_granted: Option<u64>,
    /// Files that this process may have open; `None`: no limit.
    pub open_files_max: Option<u64>,
}

impl Machine {
    /// Reads the facts of the machine we run on.
    pub fn read() -> Self {
        Self::read_below(Path::new("/"))
    }

    /// The same from a tree of files, `proc` and `sys` in it.
    pub(crate) fn read_below(root: &Path) -> Self {
        let text = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_default();
        let groups: Vec<PathBuf> = control_groups(&text("proc/self/cgroup"));
        let groups = || groups.iter().map(|group| root.join("sys/fs/cgroup").join(group));
        Machine {
            cores_allowed: allowed_cores(&text("proc/self/status")).unwrap_or(1),
            cores_granted: groups().filter_map(|group| granted_cores(&group)).min(),
            memory_total: total_memory(&text("proc/meminfo")).unwrap_or(MEMORY_UNKNOWN_BYTES),
            memory_granted: groups().filter_map(|group| granted_memory(&group)).min(),
            open_files_max: open_files(&text("proc/self/limits")),
        }
    }

    /// Cores that can be kept busy.
    pub fn cores(&self) -> usize {
        self.cores_granted.map_or(self.cores_allowed, |granted| granted.min(self.cores_allowed)).max(1)
    }

    /// Memory that can be used, in bytes.
    pub fn memory(&self) -> u64 {
        self.memory_granted.map_or(self.memory_total, |granted| granted.min(self.memory_total))
    }
}

fn number(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

/// Directories below `/sys/fs/cgroup` that may limit us: our group and those above it, in both versions' layouts.
fn control_groups(cgroup: &str) -> Vec<PathBuf> {
    let mut groups = Vec::new();
    for line in cgroup.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
        for group in Path::new(path.trim_start_matches('/')).ancestors() {
            groups.push(Path::new(controllers).join(group));
        }
    }
    groups
}

/// Cores granted by one group, in either version's files.
fn granted_cores(group: &Path) -> Option<usize> {
    let read = |name: &str| fs::read_to_string(group.join(name)).unwrap_or_default();
    cores_of_max(&read("cpu.max")).or_else(|| cores_of(&read("cpu.cfs_quota_us"), &read("cpu.cfs_period_us")))
}

/// Memory granted by one group, in either version's files.
fn granted_memory(group: &Path) -> Option<u64> {
    let read = |name: &str| fs::read_to_string(group.join(name)).unwrap_or_default();
    number(&read("memory.max")).or_else(|| number(&read("memory.limit_in_bytes")))
}

/// `cpu.max`: quota (or `max`) and period.
fn cores_of_max(text: &str) -> Option<usize> {
    let (quota, period) = text.trim().split_once(' ')?;
    cores_of(quota, period)
}

/// A negative or missing quota is no limit.
fn cores_of(quota: &str, period: &str) -> Option<usize> {
    let (quota, period) = (number(quota)?, number(period)?);
    (period > 0).then(|| quota.div_ceil(period).max(1) as usize)
}

/// `/proc/self/status`: the affinity mask as a list of ranges, `0-3,8`.
fn allowed_cores(status: &str) -> Option<usize> {
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    list.trim().split(',').map(range_len).sum()
}

fn range_len(range: &str) -> Option<usize> {
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
    Some((last + 1).saturating_sub(first))
}

/// `/proc/meminfo`, in bytes.
fn total_memory(meminfo: &str) -> Option<u64> {
    let kib = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    number(kib.trim().strip_suffix("kB")?).map(|kib| kib << 10)
}

/// `/proc/self/limits`: the soft limit.
fn open_files(limits: &str) -> Option<u64> {
    let columns = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    number(columns.split_whitespace().next()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tree of recorded files.
    fn machine(files: &[(&str, &str)]) -> Machine {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Machine::read_below(root.path())
    }

    const STATUS: &str = "Name:\torzo\nCpus_allowed:\tff\nCpus_allowed_list:\t0-3,8,10-11\n";
    const MEMINFO: &str = "MemTotal:       24684084 kB\nMemFree:        23940156 kB\n";
    const LIMITS: &str = "Limit                     Soft Limit           Hard Limit           Units     \n\
        Max processes             96318                96318                processes \n\
        Max open files            1024                 524288               files     \n";

    #[test]
    fn a_bare_machine() {
        let found = machine(&[
            ("proc/self/status", STATUS),
            ("proc/meminfo", MEMINFO),
            ("proc/self/limits", LIMITS),
            ("proc/self/cgroup", "0::/user.slice/session-1.scope\n"),
        ]);
        let expected = Machine {
            cores_allowed: 7,
            cores_granted: None,
            memory_total: 24_684_084 << 10,
            memory_granted: None,
            open_files_max: Some(1024),
        };
        assert_eq!(found, expected);
        assert_eq!((found.cores(), found.memory()), (7, 24_684_084 << 10));
    }

    #[test]
    fn the_tightest_group_of_version_2_counts() {
        let found = machine(&[
            ("proc/self/status", STATUS),
            ("proc/meminfo", MEMINFO),
            ("proc/self/cgroup", "0::/kube/pod7/box\n"),
            ("sys/fs/cgroup/kube/pod7/box/cpu.max", "max 100000\n"),
            ("sys/fs/cgroup/kube/pod7/cpu.max", "250000 100000\n"),
            ("sys/fs/cgroup/kube/pod7/box/memory.max", "2147483648\n"),
            ("sys/fs/cgroup/kube/memory.max", "8589934592\n"),
        ]);
        assert_eq!((found.cores(), found.memory()), (3, 2 << 30));
    }

    #[test]
    fn version_1_has_a_tree_for_each_controller() {
        let found = machine(&[
            ("proc/self/status", STATUS),
            ("proc/meminfo", MEMINFO),
            ("proc/self/cgroup", "9:name=systemd:/\n4:memory:/docker/ab\n1:cpu,cpuacct:/docker/ab\n"),
            ("sys/fs/cgroup/cpu,cpuacct/docker/ab/cpu.cfs_quota_us", "50000\n"),
            ("sys/fs/cgroup/cpu,cpuacct/docker/ab/cpu.cfs_period_us", "100000\n"),
            ("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n"),
            ("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n"),
            ("sys/fs/cgroup/memory/docker/ab/memory.limit_in_bytes", "9223372036854771712\n"),
        ]);
        assert_eq!((found.cores(), found.memory()), (1, 24_684_084 << 10));
    }

    #[test]
    fn nothing_readable_is_a_small_machine() {
        let found = machine(&[]);
        assert_eq!((found.cores(), found.memory()), (1, MEMORY_UNKNOWN_BYTES));
    }
}
