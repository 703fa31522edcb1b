//! Instants, widths and buckets. Integers only: see `timetext` for what people write.

use std::fmt;
use std::num::NonZeroU64;

use smallvec::SmallVec;

/// Nanoseconds in a second.
pub const SECOND: u64 = 1_000_000_000;

/// Nanoseconds since the Unix epoch, 1970 to 2262 (the reference's range: a non-negative `i64`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(u64);

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Timestamp = Timestamp(0);
    /// 2262-04-11T23:47:16.854775807Z.
    pub const MAX: Timestamp = Timestamp(i64::MAX as u64);

    /// `None` past [`Timestamp::MAX`].
    pub const fn from_ns(ns: u64) -> Option<Self> {
        if ns <= Self::MAX.0 { Some(Timestamp(ns)) } else { None }
    }

    /// Clamps to [`Timestamp::MAX`].
    pub const fn saturating_from_ns(ns: u64) -> Self {
        if ns <= Self::MAX.0 { Timestamp(ns) } else { Self::MAX }
    }

    /// Nanoseconds since the epoch.
    #[inline]
    pub const fn ns(self) -> u64 {
        self.0
    }

    /// Start of the bucket of `width` this instant falls in (integer floor, origin at the epoch).
    #[inline]
    pub const fn floor(self, width: Granularity) -> Timestamp {
        Timestamp(self.0 - self.0 % width.0.get())
    }

    /// `self - ns`, not before the epoch.
    #[inline]
    pub const fn saturating_sub(self, ns: u64) -> Timestamp {
        Timestamp(self.0.saturating_sub(ns))
    }

    /// `self + ns`, not past [`Timestamp::MAX`].
    #[inline]
    pub const fn saturating_add(self, ns: u64) -> Timestamp {
        Self::saturating_from_ns(self.0.saturating_add(ns))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:09}s", self.0 / SECOND, self.0 % SECOND)
    }
}

/// Width of a bucket in nanoseconds; never zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Granularity(NonZeroU64);

impl Granularity {
    /// `None` for 0 and for widths past [`Timestamp::MAX`].
    pub const fn from_ns(ns: u64) -> Option<Self> {
        match NonZeroU64::new(ns) {
            Some(width) if ns <= Timestamp::MAX.0 => Some(Granularity(width)),
            _ => None,
        }
    }

    /// Nanoseconds.
    #[inline]
    pub const fn ns(self) -> u64 {
        self.0.get()
    }

    /// Seconds, as the API prints them.
    pub fn seconds(self) -> f64 {
        self.0.get() as f64 / SECOND as f64
    }
}

impl fmt::Debug for Granularity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}s", self.seconds())
    }
}

/// One value at one instant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measure {
    /// When.
    pub at: Timestamp,
    /// What; NaN and infinities are legal.
    pub value: f64,
}

/// One batch of a metric's measures. Of those that come by the thousand most are short, so that these are kept in place.
pub type Measures = SmallVec<[Measure; 4]>;
