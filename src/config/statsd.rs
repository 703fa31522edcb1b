//! `[statsd]`: where lines come in, what they mean, and what they are stored as.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::values::{Auto, ByteSize, Mode, Span, blank, text};

/// The resource of lines that name no other: the id which the text `statsd` has for the creator `admin`, so that
/// `/v1/resource/generic/statsd` finds it too.
pub const RESOURCE_ID: Uuid = uuid::uuid!("5685f18a-afaa-54f4-9b82-d17a21aa6741");

/// The text that resource was made from, shown as its `original_resource_id`.
pub const RESOURCE_NAME: &str = "statsd";

/// How lines become measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// Every increment and every timing counts.
    Native,
    /// One point a metric and flush, named `name|type`, as the reference's statsd daemon.
    Gnocchi,
}

/// What a sign before a gauge's value means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GaugeDialect {
    /// A change, unless the metric has been seen with a feature that only DogStatsD has.
    Auto,
    /// A change.
    Etsy,
    /// Part of the value.
    Dogstatsd,
}

/// Which listener gets a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UdpSpread {
    /// All of one sending socket the same.
    Sender,
    /// Any.
    Datagram,
}

/// `[statsd]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Statsd {
    /// Addresses on which datagrams are taken; none: no UDP. Default: `["127.0.0.1:8125"]`.
    pub udp: Vec<SocketAddr>,
    /// Addresses on which lines are taken over TCP; none: no TCP. Default: `["127.0.0.1:8125"]`.
    pub tcp: Vec<SocketAddr>,
    /// Paths of unix datagram sockets to make; what lies there is replaced. Default: `[]`.
    pub unix_datagram: Vec<PathBuf>,
    /// Paths of unix stream sockets to make; what lies there is replaced. Default: `[]`.
    pub unix_stream: Vec<PathBuf>,
    /// Permission bits of those socket files, octal. Default: `"0722"`.
    #[serde(with = "text")]
    pub unix_mode: Mode,
    /// What lines become: `native` counts every increment and timing, `gnocchi` stores one point a metric and flush
    /// under `name|type`, as the reference does. Default: `"native"`.
    pub profile: Profile,
    /// What a sign before a gauge's value means: `etsy` a change, `dogstatsd` part of the value, `auto` a change
    /// unless the metric has been seen with a feature that only DogStatsD has. Default: `"auto"`.
    pub gauge_dialect: GaugeDialect,
    /// Silence after which a gauge forgets the value that changes are added to. Default: `"5m"`. Bounds: 1s to 168h.
    pub gauge_ttl: Span,
    /// Time between two points of a set, and of everything in the `gnocchi` profile. Default: `"10s"`.
    /// Bounds: 100ms to 1h.
    pub flush_interval: Span,
    /// Resource that owns the metrics of lines without the tag `resource_tag`, a UUID; the default is the one that the
    /// API finds under the name `statsd`. Default: `"5685f18a-afaa-54f4-9b82-d17a21aa6741"`.
    #[serde(with = "text")]
    pub resource_id: Uuid,
    /// Resource type of that resource and of those that tags name; it must exist. Default: `"generic"`.
    pub resource_type: String,
    /// Tag whose value names the resource of a line; empty: all lines belong to `resource_id`. Default: `"host"`.
    #[serde(with = "blank")]
    pub resource_tag: Option<String>,
    /// Tags that become attributes: a line that has any of them belongs to a resource of the type `attribute_type` for
    /// just this combination of their values, whatever `resource_tag` says. Their names may have letters, digits, `_`
    /// and `-`; at most 16. Default: `[]`.
    pub attribute_tags: Vec<String>,
    /// Resource type of those resources; made at the start, and given the attributes that it lacks, if there are
    /// `attribute_tags`. Default: `"statsd"`.
    pub attribute_type: String,
    /// Creator of the resources and metrics made for statsd. Default: `"admin"`.
    pub creator: String,
    /// Receive buffer asked of the kernel for each socket; it grants no more than `net.core.rmem_max` unless the
    /// daemon has the right to exceed it. Default: `"32 MiB"`. Bounds: 64 KiB to 1 GiB.
    pub receive_buffer_bytes: ByteSize,
    /// Which of several listeners gets a datagram: `sender` all of one sending socket the same, in their order;
    /// `datagram` any, at random, so that one sending socket keeps all of them at work, and of two values of a gauge
    /// that come within a millisecond either may be the last. Default: `"sender"`.
    pub udp_spread: UdpSpread,
    /// Whether the kernel may hand over together what a sender sent together with `UDP_SEGMENT` (`UDP_GRO`). It saves
    /// most of the kernel's work for such senders, but of datagrams that it drops together it counts one.
    /// Default: `false`.
    pub udp_coalesce: bool,
    /// Stream connections (TCP and unix) held open at a time; further ones are closed and counted. Default: `250`.
    /// Bounds: 1 to 100000.
    pub max_connections: u64,
    /// Silence after which a stream connection is closed. Default: `"5m"`. Bounds: 1s to 168h.
    pub idle_timeout: Span,
    /// How far ahead of the clock a line's own timestamp may be; later ones are dropped and counted.
    /// Default: `"10m"`. Bounds: 1s to 168h.
    pub max_future: Span,
    /// Series that statsd may create in all; a line with a new name beyond them is dropped and counted. `auto`: one for
    /// each 8 KiB of memory. Default: `"auto"`. Bounds: 1 to 1000000000.
    pub max_series: Auto<u64>,
    /// Dotted segments at the start of a name, tags aside, that are its prefix: what the limits below count by.
    /// Default: `1`. Bounds: 1 to 8.
    pub prefix_segments: u64,
    /// Series of one prefix that may exist; a line with a new name beyond them is dropped and counted. 0: any number.
    /// Default: `0`. Bounds: 0 to 1000000000.
    pub max_series_per_prefix: u64,
    /// Series that may be created in a second; names beyond them are refused, and tried again when they come after ten
    /// seconds. 0: any number. Default: `0`. Bounds: 0 to 1000000.
    pub max_new_series_per_second: u64,
    /// The same of one prefix. 0: any number. Default: `0`. Bounds: 0 to 1000000.
    pub max_new_series_per_second_per_prefix: u64,
    /// `[statsd.archive_policy]`
    pub archive_policy: PolicyByType,
}

impl Default for Statsd {
    fn default() -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], 8125));
        Statsd {
            udp: vec![address],
            tcp: vec![address],
            unix_datagram: Vec::new(),
            unix_stream: Vec::new(),
            unix_mode: Mode(0o722),
            profile: Profile::Native,
            gauge_dialect: GaugeDialect::Auto,
            gauge_ttl: Span::minutes(5),
            flush_interval: Span::seconds(10),
            resource_id: RESOURCE_ID,
            resource_type: "generic".into(),
            resource_tag: Some("host".into()),
            attribute_tags: Vec::new(),
            attribute_type: "statsd".into(),
            creator: "admin".into(),
            receive_buffer_bytes: ByteSize::mib(32),
            udp_spread: UdpSpread::Sender,
            udp_coalesce: false,
            max_connections: 250,
            idle_timeout: Span::minutes(5),
            max_future: Span::minutes(10),
            max_series: Auto::Auto,
            prefix_segments: 1,
            max_series_per_prefix: 0,
            max_new_series_per_second: 0,
            max_new_series_per_second_per_prefix: 0,
            archive_policy: PolicyByType::default(),
        }
    }
}

/// Policy of a new metric by its type. An empty or unknown name leaves it to the first archive policy rule that matches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PolicyByType {
    /// Archive policy of new counters; empty or not existing: the first rule that matches. Default: `"statsd"`.
    #[serde(with = "blank")]
    pub counter: Option<String>,
    /// The same for gauges. Default: `"statsd"`.
    #[serde(with = "blank")]
    pub gauge: Option<String>,
    /// The same for sets. Default: `"statsd"`.
    #[serde(with = "blank")]
    pub set: Option<String>,
    /// The same for timers. Default: `"statsd-timer"`.
    #[serde(with = "blank")]
    pub timer: Option<String>,
    /// The same for histograms. Default: `"statsd-timer"`.
    #[serde(with = "blank")]
    pub histogram: Option<String>,
    /// The same for distributions. Default: `"statsd-timer"`.
    #[serde(with = "blank")]
    pub distribution: Option<String>,
}

impl Default for PolicyByType {
    fn default() -> Self {
        let plain = || Some("statsd".to_owned());
        let timer = || Some("statsd-timer".to_owned());
        PolicyByType {
            counter: plain(),
            gauge: plain(),
            set: plain(),
            timer: timer(),
            histogram: timer(),
            distribution: timer(),
        }
    }
}
