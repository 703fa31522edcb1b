//! Facts about the system that decide whether datagrams and time are lost: limits of the network, memory pages, clock,
//! disk. Read from `/proc` and `/sys` like [`Machine`]; what cannot be read is `None`, and is said to be unknown.

use std::fs;
use std::path::Path;

use crate::machine::Machine;

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct System {
    /// Cores, memory, and what control groups grant of them.
    pub machine: Machine,
    /// `net.core.rmem_max`, in bytes.
    pub receive_buffer_max: Option<u64>,
    /// `net.core.netdev_max_backlog`: packets that wait for a core.
    pub packet_backlog: Option<u64>,
    /// `net.ipv4.udp_mem`: pages of all UDP buffers together; comfortable, pressing, most.
    pub udp_pages: Option<[u64; 3]>,
    /// Datagrams of all programs since the start of the machine.
    pub udp: Option<UdpCounts>,
    /// Which memory gets huge pages: `always`, `madvise` or `never`.
    pub huge_pages: Option<String>,
    /// Clock in use.
    pub clock: Option<String>,
    /// Clocks to choose from.
    pub clocks: Vec<String>,
    /// Where the data lie.
    pub disk: Option<Disk>,
    /// Whether system settings may be changed.
    pub is_root: bool,
}

/// `/proc/net/snmp`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpCounts {
    /// Delivered to a socket.
    pub received: u64,
    /// Dropped because the socket's buffer was full.
    pub buffer_errors: u64,
}

/// The file system under the data directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    /// Where it is mounted.
    pub mount: String,
    /// What it is, such as `ext4`.
    pub kind: String,
    /// Whether a head must move; `None` if the device does not say.
    pub is_rotational: Option<bool>,
    /// Bytes free for us; `None` if nobody asked.
    pub free_bytes: Option<u64>,
}

impl System {
    /// Reads the facts of the system we run on, for data in an absolute directory with so many bytes free.
    pub fn read(data: &Path, free_bytes: Option<u64>) -> Self {
        Self::read_below(Path::new("/"), data, free_bytes)
    }

    /// The same from a tree of files, `proc` and `sys` in it.
    pub(crate) fn read_below(root: &Path, data: &Path, free_bytes: Option<u64>) -> Self {
        let text = |path: &str| fs::read_to_string(root.join(path)).ok();
        let number = |path: &str| text(path)?.trim().parse().ok();
        let clock = |name: &str| text(&format!("sys/devices/system/clocksource/clocksource0/{name}"));
        let disk = text("proc/self/mountinfo").and_then(|mounts| mount_of(&mounts, data));
        System {
            machine: Machine::read_below(root),
            receive_buffer_max: number("proc/sys/net/core/rmem_max"),
            packet_backlog: number("proc/sys/net/core/netdev_max_backlog"),
            udp_pages: text("proc/sys/net/ipv4/udp_mem").and_then(|text| three(&text)),
            udp: text("proc/net/snmp").and_then(|text| udp_counts(&text)),
            huge_pages: text("sys/kernel/mm/transparent_hugepage/enabled").and_then(|text| chosen(&text)),
            clock: clock("current_clocksource").map(|text| text.trim().to_owned()),
            clocks: words(&clock("available_clocksource").unwrap_or_default()),
            disk: disk.map(|(device, mount, kind)| Disk {
                is_rotational: is_rotational(root, &device),
                mount,
                kind,
                free_bytes,
            }),
            is_root: text("proc/self/status").is_some_and(|status| effective_user(&status) == Some(0)),
        }
    }
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn three(text: &str) -> Option<[u64; 3]> {
    let numbers: Option<Vec<u64>> = text.split_whitespace().map(|word| word.parse().ok()).collect();
    numbers?.try_into().ok()
}

/// The word in brackets of `always [madvise] never`.
fn chosen(text: &str) -> Option<String> {
    let (_, rest) = text.split_once('[')?;
    rest.split_once(']').map(|(word, _)| word.to_owned())
}

/// Of two lines that begin with `Udp:`, the first has the names and the second the numbers.
fn udp_counts(snmp: &str) -> Option<UdpCounts> {
    let mut lines = snmp.lines().filter_map(|line| line.strip_prefix("Udp: "));
    let (names, numbers) = (lines.next()?, lines.next()?);
    let count = |wanted: &str| {
        let place = names.split(' ').position(|name| name == wanted)?;
        numbers.split(' ').nth(place)?.trim().parse().ok()
    };
    Some(UdpCounts { received: count("InDatagrams")?, buffer_errors: count("RcvbufErrors")? })
}

/// `/proc/self/status`: real, effective, saved and file system user.
fn effective_user(status: &str) -> Option<u32> {
    let users = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    users.split_whitespace().nth(1)?.parse().ok()
}

/// Device, mount point and type of the deepest mount that a path lies in; of mounts at one place the last is seen.
fn mount_of(mountinfo: &str, path: &Path) -> Option<(String, String, String)> {
    let mounts = mountinfo.lines().filter_map(|line| {
        let (place, source) = line.split_once(" - ")?;
        let mut fields = place.split(' ');
        let (device, mount) = (fields.nth(2)?, fields.nth(1)?);
        Some((device.to_owned(), mount.to_owned(), source.split(' ').next()?.to_owned()))
    });
    mounts.filter(|(_, mount, _)| path.starts_with(mount)).max_by_key(|(_, mount, _)| mount.len())
}

/// A partition's queue is that of the disk above it.
fn is_rotational(root: &Path, device: &str) -> Option<bool> {
    let block = root.join("sys/dev/block").join(device);
    let paths = [block.join("queue/rotational"), block.join("../queue/rotational")];
    let text = paths.iter().find_map(|path| fs::read_to_string(path).ok())?;
    Some(text.trim() == "1")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "22 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n\
        30 22 0:35 / /run rw - tmpfs tmpfs rw\n\
        31 22 259:2 / /var/lib rw,noatime shared:1 - xfs /dev/nvme0n1p2 rw\n";

    #[test]
    fn the_deepest_mount_holds_a_path() {
        let mount = |path: &str| mount_of(MOUNTS, Path::new(path)).map(|(_, mount, kind)| (mount, kind));
        assert_eq!(mount("/var/lib/orzo"), Some(("/var/lib".into(), "xfs".into())));
        assert_eq!(mount("/var/library"), Some(("/".into(), "ext4".into())));
        assert_eq!(mount("relative"), None);
    }

    #[test]
    fn counts_are_found_by_name() {
        let snmp =
            "Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors\nUdp: 5 1 7 9 6\nUdpLite: X\n";
        assert_eq!(udp_counts(snmp), Some(UdpCounts { received: 5, buffer_errors: 6 }));
        assert_eq!(udp_counts("Tcp: a\nTcp: 1\n"), None);
    }

    #[test]
    fn the_chosen_word_is_in_brackets() {
        assert_eq!(chosen("always [madvise] never\n"), Some("madvise".into()));
        assert_eq!(chosen("madvise"), None);
    }
}

#[cfg(test)]
pub(crate) mod tests_support {
    use super::*;

    /// A machine from `fixtures/`: files one after the other, each below a line `== path`, data in `/var/lib/orzo`.
    pub(crate) fn recorded(name: &str) -> System {
        let file = format!("{}/fixtures/{name}.txt", env!("CARGO_MANIFEST_DIR"));
        let text = fs::read_to_string(file).unwrap();
        let root = tempfile::tempdir().unwrap();
        let mut free = None;
        for part in text.split("== ").skip(1) {
            let (path, content) = part.split_once('\n').unwrap();
            if path == "free" {
                free = content.trim().parse().ok();
                continue;
            }
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        System::read_below(root.path(), Path::new("/var/lib/orzo"), free)
    }
}
