//! One value of one statsd line, as it travels from a listener to the shard that owns its series.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::id::MetricId;

/// What a sample is, hence what its series is: the kind is part of a series' identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// An increment that counts when it arrives.
    Counter,
    /// A level; the last one holds.
    Gauge,
    /// A duration, never negative.
    Timer,
    /// A value of a distribution.
    Histogram,
    /// A value of a distribution, too; the name is the client's choice.
    Distribution,
    /// A member of a set, of which the distinct ones are counted.
    Set,
    /// An increment with a time of its own: a sampled series, other than [`Kind::Counter`].
    CounterAt,
}

impl Kind {
    /// Every kind, in the order of [`Kind::index`].
    pub const ALL: [Kind; Kind::COUNT] = [
        Kind::Counter,
        Kind::Gauge,
        Kind::Timer,
        Kind::Histogram,
        Kind::Distribution,
        Kind::Set,
        Kind::CounterAt,
    ];
    /// How many there are.
    pub const COUNT: usize = 7;

    /// Position in [`Kind::ALL`].
    #[inline]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The type as lines spell it; `cT` for a counter with a time.
    pub const fn wire_type(self) -> &'static str {
        match self {
            Kind::Counter => "c",
            Kind::Gauge => "g",
            Kind::Timer => "ms",
            Kind::Histogram => "h",
            Kind::Distribution => "d",
            Kind::Set => "s",
            Kind::CounterAt => "cT",
        }
    }

    /// Whether every value counts on its own (an event series, in the native profile), rather than the
    /// last of an instant.
    #[inline]
    pub const fn is_event(self) -> bool {
        matches!(self, Kind::Counter | Kind::Timer | Kind::Histogram | Kind::Distribution)
    }
}

/// Which rules name a series and say what its samples mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Profile {
    /// Plain names; aggregation happens in the buckets of the archive policy.
    #[default]
    Native,
    /// The reference's: names end in `|type`, one point per flush and metric.
    Gnocchi,
}

/// What else a sample says, as bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Flags(u8);

impl Flags {
    /// None.
    pub const NONE: Flags = Flags(0);
    /// The gauge's text carried a sign.
    pub const SIGNED: Flags = Flags(1);
    /// The line carried something only DogStatsD clients write.
    pub const DOGSTATSD: Flags = Flags(1 << 1);
    /// `aux` holds the sample's own time.
    pub const HAS_TIME: Flags = Flags(1 << 2);
    /// The name is preceded by the text of a resource.
    pub const HAS_RESOURCE: Flags = Flags(1 << 3);
    /// The name is followed by a unit.
    pub const HAS_UNIT: Flags = Flags(1 << 4);
    /// The sample came through a socket of [`Profile::Gnocchi`].
    pub const GNOCCHI: Flags = Flags(1 << 5);
    /// The text of the resource is its attributes: `key=value`, joined by commas.
    pub const HAS_ATTRIBUTES: Flags = Flags(1 << 6);

    /// Whether all bits of `other` are set.
    #[inline]
    pub const fn has(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    /// The bits of both.
    #[inline]
    #[must_use]
    pub const fn with(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }

    /// `self` if `condition`, else none.
    #[inline]
    #[must_use]
    pub const fn when(self, condition: bool) -> Flags {
        if condition { self } else { Flags::NONE }
    }
}

/// The sample rate 1, in billionths. A rate of up to nine decimals comes out of them as the double that it
/// reads as, so that sums stay exact.
pub const RATE_ONE: u32 = 1_000_000_000;

/// One value on its way. The name that rides along is kept by the batch: see [`Names`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub struct Sample {
    /// The series: see [`SeriesIds`].
    pub id: MetricId,
    /// The bits of an `f64`; of a set's member, its hash. A counter with a time is divided by its rate.
    pub value: u64,
    /// Seconds since the epoch if [`Flags::HAS_TIME`]; else, for what is counted by weight, the sample rate
    /// in billionths; else 0.
    pub aux: u32,
    /// Bytes of the name that rides along.
    pub name_len: u16,
    /// What it is.
    pub kind: Kind,
    /// What else it says.
    pub flags: Flags,
}

const _: () = assert!(size_of::<Sample>() == 32);

impl Sample {
    /// The value of anything but a set.
    #[inline]
    pub const fn number(&self) -> f64 {
        f64::from_bits(self.value)
    }

    /// How many measured values this one stands for: 1 / sample rate, at least 1.
    #[inline]
    pub fn weight(&self) -> f64 {
        match self.kind {
            Kind::Counter | Kind::Timer | Kind::Histogram | Kind::Distribution if self.aux != RATE_ONE => {
                1.0 / (f64::from(self.aux) / f64::from(RATE_ONE))
            }
            _ => 1.0,
        }
    }

    /// The sample's own time, in whole seconds since the epoch, if it has one. Times past 2106 read as the
    /// largest number: beyond any skew that a shard allows.
    #[inline]
    pub const fn seconds(&self) -> Option<u32> {
        if self.flags.has(Flags::HAS_TIME) { Some(self.aux) } else { None }
    }

    /// Takes apart the name that rides along.
    pub fn names<'a>(&self, bytes: &'a [u8]) -> Names<'a> {
        Names::split(self.flags, bytes)
    }
}

/// The parts of a name that rides along: `[resource NUL] metric [NUL unit]`. None of them holds a NUL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Names<'a> {
    /// Text of the resource; `None` means the configured default one.
    pub resource: Option<&'a [u8]>,
    /// Name of the metric on that resource.
    pub metric: &'a [u8],
    /// Unit of the metric; no part of the identity.
    pub unit: Option<&'a [u8]>,
}

impl<'a> Names<'a> {
    /// Between the parts.
    pub const SEPARATOR: u8 = 0;

    /// Takes a name apart, as the flags of its sample say.
    pub fn split(flags: Flags, bytes: &'a [u8]) -> Self {
        let mut parts = bytes.split(|&byte| byte == Self::SEPARATOR);
        let mut part = |there: bool| if there { parts.next() } else { None };
        let resource = part(flags.has(Flags::HAS_RESOURCE));
        let metric = part(true).unwrap_or_default();
        let unit = part(flags.has(Flags::HAS_UNIT));
        Names { resource, metric, unit }
    }

    /// The attributes that the text of a resource is, if the flags of its sample say so. Neither keys nor values hold a
    /// comma, keys no `=`.
    pub fn attributes(flags: Flags, resource: Option<&str>) -> Vec<(String, String)> {
        let text = resource.filter(|_| flags.has(Flags::HAS_ATTRIBUTES)).unwrap_or_default();
        let pairs = text.split(',').filter_map(|item| item.split_once('='));
        pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }
}

/// Derives the ids of statsd series: the same on every thread, node and restart of one database.
#[derive(Clone, Copy, Debug)]
pub struct SeriesIds {
    salt: u64,
}

impl SeriesIds {
    /// `salt` is the database's own, made with it.
    pub const fn new(salt: u64) -> Self {
        SeriesIds { salt }
    }

    /// The id of the series that `name` (`[resource NUL] metric`, without unit) belongs to. Kind, profile
    /// and the presence of a resource choose the seed, so they tell series of one name apart.
    // Out of line: inlined, its terms of the length are kept up to date in the loops that find it.
    #[inline(never)]
    pub fn id(&self, kind: Kind, flags: Flags, name: &[u8]) -> MetricId {
        let variant =
            (kind.index() as u64) << 8 | u64::from(flags.0 & Flags::HAS_RESOURCE.with(Flags::GNOCCHI).0);
        MetricId::from_name(mix(self.salt ^ variant), name)
    }

    /// What stands for a set's member in [`Sample::value`].
    #[inline]
    pub fn member(&self, text: &[u8]) -> u64 {
        xxh3_64_with_seed(text, self.salt)
    }
}

/// A bijection that scatters neighbouring seeds (the finaliser of SplitMix64).
#[inline]
const fn mix(seed: u64) -> u64 {
    let seed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let seed = (seed ^ (seed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    seed ^ (seed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_distinct_types_and_an_order() {
        for (place, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind.index(), place);
            assert!(Kind::ALL[..place].iter().all(|other| other.wire_type() != kind.wire_type()));
        }
    }

    #[test]
    fn names_come_apart() {
        let check = |flags: Flags, bytes: &'static str, expected: (Option<&str>, &str, Option<&str>)| {
            let names = Names::split(flags, bytes.as_bytes());
            let text = |part: &'static [u8]| std::str::from_utf8(part).unwrap();
            assert_eq!((names.resource.map(text), text(names.metric), names.unit.map(text)), expected);
        };
        check(Flags::NONE, "load", (None, "load", None));
        check(Flags::HAS_RESOURCE, "web1\0load", (Some("web1"), "load", None));
        check(Flags::HAS_UNIT, "load\0s", (None, "load", Some("s")));
        check(Flags::HAS_RESOURCE.with(Flags::HAS_UNIT), "web1\0load\0s", (Some("web1"), "load", Some("s")));
    }

    #[test]
    fn the_text_of_a_resource_may_be_its_attributes() {
        let flags = Flags::HAS_RESOURCE.with(Flags::HAS_ATTRIBUTES);
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let expected = [pair("env", "prod"), pair("host", "a=b")];
        assert_eq!(Names::attributes(flags, Some("env=prod,host=a=b")), expected);
        assert_eq!(Names::attributes(Flags::HAS_RESOURCE, Some("env=prod")), []);
        assert_eq!(Names::attributes(Flags::NONE, None), []);
    }

    #[test]
    fn identity_is_kind_profile_resource_and_name() {
        let ids = SeriesIds::new(7);
        let id = ids.id(Kind::Counter, Flags::NONE, b"x");
        assert_eq!(id, ids.id(Kind::Counter, Flags::SIGNED.with(Flags::HAS_UNIT), b"x"));
        assert_ne!(id, ids.id(Kind::Gauge, Flags::NONE, b"x"));
        assert_ne!(id, ids.id(Kind::Counter, Flags::HAS_RESOURCE, b"x"));
        assert_ne!(id, ids.id(Kind::Counter, Flags::GNOCCHI, b"x"));
        assert_ne!(id, SeriesIds::new(8).id(Kind::Counter, Flags::NONE, b"x"));
    }

    #[test]
    fn aux_is_a_time_or_a_rate() {
        let sample = Sample {
            id: MetricId::from_bits(1),
            value: 2.5f64.to_bits(),
            aux: RATE_ONE / 4,
            name_len: 0,
            kind: Kind::Timer,
            flags: Flags::NONE,
        };
        assert_eq!((sample.number(), sample.weight(), sample.seconds()), (2.5, 4.0, None));
        let gauge = Sample { kind: Kind::Gauge, aux: 9, flags: Flags::HAS_TIME, ..sample };
        assert_eq!((gauge.weight(), gauge.seconds()), (1.0, Some(9)));
        let rare = Sample { aux: 300_000_000, ..sample };
        assert_eq!(rare.weight(), 1.0 / 0.3);
    }
}
