//! What an operator could change to get more out of the machine: facts compared with what plan and configuration need,
//! as findings that say what was found, why it matters, and the command that mends it.

use std::fmt;

use crate::bytes_text;
use crate::plan::Plan;
use crate::system::{Disk, System};

/// Files that the store and the daemon itself keep open, beside connections.
const FILES_RESERVED: u64 = 1024;
/// Memory of a series under the usual policies, from a constant to a noisy one; the middle of what was measured.
const BYTES_PER_SERIES: u64 = 2 << 10;
/// Memory below which caches and buffers are too small to be of use.
const MEMORY_BYTES_MIN: u64 = 512 << 20;
/// Packets that may wait for a core: at half a million a second the kernel's default lasts for 2 ms only, less than a
/// turn of the scheduler.
const PACKET_BACKLOG: u64 = 16_384;
/// ASSUMES: pages of 4 KiB. Where they are larger, the kernel grants more than is reckoned here.
const PAGE_BYTES: u64 = 4096;
/// Free space below which an operator should act: compactions need room for copies.
const FREE_BYTES_MIN: u64 = 5 << 30;

/// What the configuration asks of the system.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wants {
    /// Receive buffer of a statsd socket, in bytes.
    pub receive_buffer_bytes: u64,
    /// Addresses on which datagrams are taken; each has a socket for each listener.
    pub udp_addresses: u64,
    /// Connections of all kinds that may be open at a time.
    pub connections_max: u64,
}

/// How a thing stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// As it should be.
    Fine,
    /// Worth knowing; nothing to mend.
    Note,
    /// Worth changing.
    Advice,
    /// It could not be read.
    Unknown,
}

impl State {
    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            State::Fine => "fine",
            State::Note => "note",
            State::Advice => "advice",
            State::Unknown => "unknown",
        }
    }
}

/// What changes a setting of the running system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Setting {
    /// A kernel parameter; kept in a file, it outlasts the next start of the machine.
    Sysctl {
        /// With dots, as `sysctl` takes it.
        key: &'static str,
        /// What it should be.
        value: String,
    },
    /// A file of `/sys`; it is forgotten at the next start of the machine.
    Sys {
        /// Where.
        path: &'static str,
        /// What to write.
        value: String,
    },
}

impl Setting {
    /// The command that does it.
    pub fn command(&self) -> String {
        match self {
            Setting::Sysctl { key, value } if value.contains(' ') => format!("sysctl -w {key}=\"{value}\""),
            Setting::Sysctl { key, value } => format!("sysctl -w {key}={value}"),
            Setting::Sys { path, value } => format!("echo {value} > {path}"),
        }
    }

    /// The file to write it to, below `/`.
    pub fn path(&self) -> String {
        match self {
            Setting::Sysctl { key, .. } => format!("proc/sys/{}", key.replace('.', "/")),
            Setting::Sys { path, .. } => path.trim_start_matches('/').to_owned(),
        }
    }

    /// What to write.
    pub fn value(&self) -> &str {
        match self {
            Setting::Sysctl { value, .. } | Setting::Sys { value, .. } => value,
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at, in a word or two.
    pub topic: &'static str,
    /// How it stands.
    pub state: State,
    /// What was found.
    pub found: String,
    /// Why that matters.
    pub why: &'static str,
    /// The command that mends it; empty if it is fine.
    pub mend: String,
    /// What it should be set to, where a program can do that. Kept when it is fine, too: files list all settings.
    pub setting: Option<Setting>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.topic, self.found, self.why)?;
        if self.mend.is_empty() { Ok(()) } else { write!(f, ": {}", self.mend) }
    }
}

/// A topic and why it matters, for findings of any state.
struct Topic(&'static str, &'static str);

impl Topic {
    fn state(&self, state: State, found: String, mend: impl Into<String>) -> Finding {
        let mend = if state == State::Advice { mend.into() } else { String::new() };
        Finding { topic: self.0, state, found, why: self.1, mend, setting: None }
    }

    fn judge(&self, is_fine: bool, found: String, mend: impl Into<String>) -> Finding {
        self.state(if is_fine { State::Fine } else { State::Advice }, found, mend)
    }

    fn unknown(&self, source: &str) -> Finding {
        self.state(State::Unknown, format!("{source} could not be read"), "")
    }

    fn set(&self, is_fine: bool, found: String, setting: Setting) -> Finding {
        let finding = self.judge(is_fine, found, setting.command());
        Finding { setting: Some(setting), ..finding }
    }
}

/// Everything that was looked at, in order of what is lost first.
pub fn advise(system: &System, plan: &Plan, wants: Wants) -> Vec<Finding> {
    vec![
        cores(system),
        memory(system),
        series(system, plan),
        receive_buffer(system, wants),
        udp_memory(system, plan, wants),
        packet_backlog(system),
        datagrams_lost(system),
        open_files(system, wants),
        huge_pages(system),
        clock(system),
        disk(system),
        free_space(system),
    ]
}

fn cores(system: &System) -> Finding {
    let topic = Topic("cores", "threads are planned by the cores that may be used at a time");
    let machine = &system.machine;
    let found = match machine.cores_granted {
        Some(granted) if granted < machine.cores_allowed => {
            format!("{granted} of {} are granted by the control group", machine.cores_allowed)
        }
        _ => format!("{} may be used", machine.cores_allowed),
    };
    let mend = "give the machine, or the control group (CPUQuota=, --cpus), 2 cores or more";
    topic.judge(machine.cores() >= 2, found, mend)
}

fn memory(system: &System) -> Finding {
    let topic = Topic("memory", "caches, write buffers and the number of series are planned by it");
    let machine = &system.machine;
    let found = match machine.memory_granted {
        Some(granted) if granted < machine.memory_total => {
            let total = bytes_text(machine.memory_total);
            format!("{} of {total} are granted by the control group", bytes_text(granted))
        }
        _ => bytes_text(machine.memory_total),
    };
    let mend = "give the machine, or the control group (MemoryMax=, --memory), 512 MiB or more";
    topic.judge(machine.memory() >= MEMORY_BYTES_MIN, found, mend)
}

fn series(system: &System, plan: &Plan) -> Finding {
    let topic = Topic("series", "a daemon that needs more memory than there is gets killed");
    let need = plan.max_series.saturating_mul(BYTES_PER_SERIES);
    let room = system.machine.memory().saturating_sub(plan.block_cache);
    let found = format!(
        "statsd.max_series = {} may take about {} when all are busy, there are {} beside the cache",
        plan.max_series,
        bytes_text(need),
        bytes_text(room)
    );
    let mend = format!("set statsd.max_series to {} or less", room / BYTES_PER_SERIES);
    topic.judge(need <= room, found, mend)
}

fn receive_buffer(system: &System, wants: Wants) -> Finding {
    let topic =
        Topic("receive buffer", "what does not fit while the daemon is busy is dropped by the kernel");
    let Some(limit) = system.receive_buffer_max else { return topic.unknown("net.core.rmem_max") };
    let want = wants.receive_buffer_bytes;
    let found = format!("net.core.rmem_max is {}, statsd asks for {}", bytes_text(limit), bytes_text(want));
    let setting = Setting::Sysctl { key: "net.core.rmem_max", value: want.max(limit).to_string() };
    topic.set(limit >= want, found, setting)
}

/// The kernel charges twice what was asked for, since it counts its own bookkeeping.
fn udp_memory(system: &System, plan: &Plan, wants: Wants) -> Finding {
    let topic = Topic("socket memory", "past it the kernel drops datagrams although a socket has room");
    let Some(pages) = system.udp_pages else { return topic.unknown("net.ipv4.udp_mem") };
    let sockets = wants.udp_addresses * plan.listeners as u64;
    let need = (sockets * wants.receive_buffer_bytes * 2).div_ceil(PAGE_BYTES);
    let found = format!(
        "net.ipv4.udp_mem allows {}, {sockets} sockets may fill {}",
        bytes_text(pages[2] * PAGE_BYTES),
        bytes_text(need * PAGE_BYTES)
    );
    let [low, pressure, most] = pages;
    let value = format!("{} {} {}", low.max(need), pressure.max(need + need / 4), most.max(need + need / 2));
    topic.set(most >= need, found, Setting::Sysctl { key: "net.ipv4.udp_mem", value })
}

fn packet_backlog(system: &System) -> Finding {
    let topic =
        Topic("packet backlog", "packets beyond it are dropped before any socket sees or counts them");
    let Some(length) = system.packet_backlog else { return topic.unknown("net.core.netdev_max_backlog") };
    let value = length.max(PACKET_BACKLOG).to_string();
    let setting = Setting::Sysctl { key: "net.core.netdev_max_backlog", value };
    topic.set(length >= PACKET_BACKLOG, format!("net.core.netdev_max_backlog is {length}"), setting)
}

/// Nothing takes back what is lost, so it is no advice: what counts is whether it grows.
fn datagrams_lost(system: &System) -> Finding {
    let topic = Topic("datagrams lost", "if it grows (nstat -az UdpRcvbufErrors), a reader is too slow");
    let Some(udp) = system.udp else { return topic.unknown("/proc/net/snmp") };
    let found = format!(
        "{} found a full buffer, {} were delivered, to all programs since the start of the machine",
        udp.buffer_errors, udp.received
    );
    topic.state(if udp.buffer_errors == 0 { State::Fine } else { State::Note }, found, "")
}

fn open_files(system: &System, wants: Wants) -> Finding {
    let topic =
        Topic("open files", "past the limit connections are refused and the store cannot open its files");
    let need = wants.connections_max + FILES_RESERVED;
    let Some(limit) = system.machine.open_files_max else {
        return topic.judge(true, "no limit".into(), "");
    };
    let found = format!("{limit} may be open here, up to {need} are needed");
    topic.judge(limit >= need, found, format!("ulimit -n {need}, or LimitNOFILE={need} in the unit"))
}

fn huge_pages(system: &System) -> Finding {
    let topic =
        Topic("huge pages", "given to all memory, they swell the daemon and stall it while they are made");
    let Some(mode) = &system.huge_pages else { return topic.unknown("transparent_hugepage/enabled") };
    let path = "/sys/kernel/mm/transparent_hugepage/enabled";
    let setting = Setting::Sys { path, value: "madvise".into() };
    topic.set(mode != "always", format!("transparent huge pages: {mode}"), setting)
}

fn clock(system: &System) -> Finding {
    let topic = Topic("clock", "where reading it is a system call, every batch pays for it");
    let Some(clock) = &system.clock else { return topic.unknown("current_clocksource") };
    let slow = ["hpet", "acpi_pm", "jiffies", "refined-jiffies", "xen"];
    let found = format!("the clock source is {clock}");
    let fast = system.clocks.iter().find(|name| !slow.contains(&name.as_str()));
    match fast {
        _ if !slow.contains(&clock.as_str()) => topic.judge(true, found, ""),
        Some(fast) => {
            let path = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
            topic.set(false, found, Setting::Sys { path, value: fast.clone() })
        }
        None => topic.state(State::Note, format!("{found}, and the machine has no faster one"), ""),
    }
}

fn disk(system: &System) -> Finding {
    let topic =
        Topic("disk", "each acknowledged request waits for a sync, and compactions read and write at random");
    let Some(Disk { mount, kind, is_rotational, .. }) = &system.disk else {
        return topic.unknown("/proc/self/mountinfo");
    };
    let mend = |what: &str| format!("move data_dir {what}");
    match (kind.as_str(), is_rotational) {
        ("tmpfs" | "ramfs", _) => {
            topic.judge(false, format!("{mount} is {kind}: gone at the next start"), mend("to a disk"))
        }
        ("overlay", _) => topic.judge(
            false,
            format!("{mount} is a container's own layer: gone with the container"),
            mend("to a volume"),
        ),
        ("nfs" | "nfs4" | "cifs" | "smb3" | "9p" | "fuse.sshfs", _) => {
            topic.judge(false, format!("{mount} is {kind}: a network for each sync"), mend("to a local disk"))
        }
        (_, Some(true)) => topic.state(
            State::Note,
            format!("{mount} is {kind} on a device that calls itself rotational"),
            "",
        ),
        _ => topic.judge(true, format!("{mount} is {kind}"), ""),
    }
}

fn free_space(system: &System) -> Finding {
    let topic = Topic(
        "free space",
        "a full disk ends all writing: posts get 503 and statsd samples are counted as lost",
    );
    let Some(free) = system.disk.as_ref().and_then(|disk| disk.free_bytes) else {
        return topic.unknown("free space below data_dir");
    };
    let mend = format!("free {} more, or move data_dir", bytes_text(FREE_BYTES_MIN.saturating_sub(free)));
    topic.judge(free >= FREE_BYTES_MIN, format!("{} below data_dir", bytes_text(free)), mend)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Wishes, plan};
    use crate::system::tests_support::recorded;

    const WANTS: Wants = Wants { receive_buffer_bytes: 32 << 20, udp_addresses: 1, connections_max: 1274 };

    /// Topics that are not fine on a recorded machine, with their states.
    #[track_caller]
    fn check(name: &str, max_series: Option<u64>, expected: &[(&str, State)]) -> Vec<Finding> {
        let system = recorded(name);
        let plan = plan(&system.machine, &Wishes { partitions: 64, max_series, ..Wishes::default() });
        let findings = advise(&system, &plan, WANTS);
        let found: Vec<(&str, State)> = findings
            .iter()
            .filter(|finding| finding.state != State::Fine)
            .map(|finding| (finding.topic, finding.state))
            .collect();
        assert_eq!(found, expected, "{findings:#?}");
        findings
    }

    fn commands(findings: &[Finding]) -> Vec<&str> {
        findings.iter().map(|finding| finding.mend.as_str()).filter(|mend| !mend.is_empty()).collect()
    }

    #[test]
    fn a_laptop() {
        let expected = [
            ("receive buffer", State::Advice),
            ("packet backlog", State::Advice),
            ("datagrams lost", State::Note),
            ("open files", State::Advice),
            ("huge pages", State::Advice),
        ];
        let findings = check("laptop", None, &expected);
        let expected = [
            "sysctl -w net.core.rmem_max=33554432",
            "sysctl -w net.core.netdev_max_backlog=16384",
            "ulimit -n 2298, or LimitNOFILE=2298 in the unit",
            "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled",
        ];
        assert_eq!(commands(&findings), expected);
    }

    #[test]
    fn a_container_with_limits() {
        let expected = [
            ("cores", State::Advice),
            ("memory", State::Advice),
            ("receive buffer", State::Unknown),
            ("packet backlog", State::Unknown),
            ("disk", State::Advice),
        ];
        check("container", None, &expected);
    }

    #[test]
    fn a_box_of_64_cores() {
        let expected = [
            ("receive buffer", State::Advice),
            ("socket memory", State::Advice),
            ("packet backlog", State::Advice),
            ("clock", State::Advice),
            ("disk", State::Note),
            ("free space", State::Advice),
        ];
        let findings = check("box64", None, &expected);
        assert!(commands(&findings).contains(&"sysctl -w net.ipv4.udp_mem=\"262144 327680 393216\""));
    }

    #[test]
    fn a_virtual_machine() {
        let expected = [
            ("series", State::Advice),
            ("receive buffer", State::Advice),
            ("packet backlog", State::Advice),
            ("datagrams lost", State::Note),
            ("disk", State::Note),
        ];
        check("vm", Some(100_000_000), &expected);
    }

    #[test]
    fn what_is_set_is_never_lowered() {
        let mut system = recorded("vm");
        (system.receive_buffer_max, system.packet_backlog) = (Some(1 << 30), Some(1 << 20));
        let plan = plan(&system.machine, &Wishes { partitions: 64, ..Wishes::default() });
        let values: Vec<String> = advise(&system, &plan, WANTS)
            .iter()
            .filter_map(|finding| finding.setting.as_ref().map(|setting| setting.value().to_owned()))
            .collect();
        assert_eq!(values, ["1073741824", "575799 767734 1151598", "1048576", "madvise"]);
    }
}
