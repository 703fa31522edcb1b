//! Every way to lose a line of input or a sample. A loss without a reason does not exist.

use std::fmt;

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $reason:ident = $name:literal,)+) => {
        /// Why a line or a sample was not stored. Lines come first: they are refused whole.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum DropReason { $($(#[doc = $doc])+ $reason,)+ }

        impl DropReason {
            /// Every reason, in the order of [`DropReason::index`].
            pub const ALL: [DropReason; DropReason::COUNT] = [$(DropReason::$reason,)+];
            /// How many there are.
            pub const COUNT: usize = [$($name),+].len();

            /// The name in counters and messages.
            pub const fn name(self) -> &'static str {
                match self { $(DropReason::$reason => $name,)+ }
            }
        }
    };
}

reasons! {
    /// A line without `:`.
    NoColon = "no_colon",
    /// Nothing, or nothing but tags, before the `:`.
    EmptyName = "empty_name",
    /// A sample without `|`.
    NoType = "no_type",
    /// An unknown or empty type.
    BadType = "bad_type",
    /// A value that is no finite decimal number, or an empty one.
    BadValue = "bad_value",
    /// A timer below zero.
    NegativeTimer = "negative_timer",
    /// A sample rate that is no number above zero, or too small to divide by.
    BadRate = "bad_rate",
    /// A time that is no whole number of seconds above zero.
    BadTimestamp = "bad_timestamp",
    /// An event that breaks the rules of its format.
    BadEvent = "bad_event",
    /// A service check that breaks the rules of its format.
    BadServiceCheck = "bad_service_check",
    /// A line that is not UTF-8.
    BadUtf8 = "bad_utf8",
    /// A line or datagram longer than its bound.
    Oversized = "oversized",
    /// A metric name of more characters than the index takes.
    NameTooLong = "name_too_long",
    /// More tags than the bound.
    TooManyTags = "too_many_tags",
    /// A sample older than the window of its series.
    TooOld = "too_old",
    /// A sample further in the future than the skew allowed.
    TooFarAhead = "too_far_ahead",
    /// A new series past the limit on series.
    SeriesLimit = "series_limit",
    /// A new series whose prefix has as many as one prefix may have.
    PrefixLimit = "prefix_limit",
    /// A new series past those that may be made in a second.
    SeriesRate = "series_rate",
    /// A new series past those of its prefix that may be made in a second.
    PrefixRate = "prefix_rate",
    /// A new series for which no archive policy is found.
    NoPolicy = "no_policy",
    /// A new member of a set that has as many as are counted in one flush.
    SetFull = "set_full",
    /// A new series whose resource cannot be named or made.
    BadResource = "bad_resource",
    /// A sample of a metric that was deleted at that moment.
    MetricDeleted = "metric_deleted",
    /// The store refused to write.
    StoreFailed = "store_failed",
    /// Too many samples already wait for the index to answer about their names.
    NamesPending = "names_pending",
    /// The daemon is going down and the sample came too late.
    ShuttingDown = "shutting_down",
}

impl DropReason {
    /// Position in [`DropReason::ALL`].
    #[inline]
    pub const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn all_is_in_order_and_names_are_distinct() {
        assert!(DropReason::ALL.iter().enumerate().all(|(place, reason)| reason.index() == place));
        let names: BTreeSet<_> = DropReason::ALL.iter().map(|reason| reason.name()).collect();
        assert_eq!(names.len(), DropReason::COUNT);
        assert_eq!(DropReason::NamesPending.to_string(), "names_pending");
    }
}
