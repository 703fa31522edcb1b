//! What a resample groups by: a span, or a unit of the Gregorian calendar in UTC.

use jiff::civil::{Date, DateTime};
use jiff::tz::Offset;

use crate::time::{Granularity, Timestamp};
use crate::timetext::{TimeTextError, parse_timespan};

/// What a resample groups by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// Equal spans counted from the epoch; need not be multiples of anything.
    Span(Granularity),
    /// Years, months and the like.
    Calendar(Calendar),
}

/// A unit of the calendar. There is no day: a span of 86 400 s is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Calendar {
    /// From 1 January.
    Year,
    /// From 1 January and 1 July.
    Half,
    /// From 1 January, April, July and October.
    Quarter,
    /// From the first of each month.
    Month,
    /// From Sunday.
    Week,
}

impl Period {
    /// A calendar letter (`Y H Q M W`) or a span.
    pub fn parse(text: &str) -> Result<Self, TimeTextError> {
        match Calendar::parse(text) {
            Some(unit) => Ok(Period::Calendar(unit)),
            None => parse_timespan(text).map(Period::Span),
        }
    }

    /// Start of the group this instant falls in. The week of the epoch, which begins before it, starts
    /// at the epoch.
    pub fn start_of(self, at: Timestamp) -> Timestamp {
        match self {
            Period::Span(width) => at.floor(width),
            Period::Calendar(unit) => timestamp(unit.first_day(date(at))),
        }
    }

    /// Nanoseconds since the epoch at which the group of this instant is over; may lie past
    /// [`Timestamp::MAX`].
    pub fn end_ns(self, at: Timestamp) -> u64 {
        match self {
            Period::Span(width) => at.floor(width).ns() + width.ns(),
            Period::Calendar(unit) => {
                let next = unit.next_first_day(unit.first_day(date(at)));
                u64::try_from(nanoseconds(next)).expect("a group ends after an instant since the epoch")
            }
        }
    }
}

impl Calendar {
    /// The unit of a letter.
    pub fn parse(letter: &str) -> Option<Self> {
        Some(match letter {
            "Y" => Calendar::Year,
            "H" => Calendar::Half,
            "Q" => Calendar::Quarter,
            "M" => Calendar::Month,
            "W" => Calendar::Week,
            _ => return None,
        })
    }

    /// Its letter, printed in place of a granularity.
    pub const fn letter(self) -> &'static str {
        match self {
            Calendar::Year => "Y",
            Calendar::Half => "H",
            Calendar::Quarter => "Q",
            Calendar::Month => "M",
            Calendar::Week => "W",
        }
    }

    /// Months of a unit made of months; `None` for weeks.
    const fn months(self) -> Option<i8> {
        match self {
            Calendar::Year => Some(12),
            Calendar::Half => Some(6),
            Calendar::Quarter => Some(3),
            Calendar::Month => Some(1),
            Calendar::Week => None,
        }
    }

    fn first_day(self, day: Date) -> Date {
        match self.months() {
            Some(months) => {
                let month = (day.month() - 1) / months * months + 1;
                Date::new(day.year(), month, 1).expect("every month has a first day")
            }
            None => add_days(day, -i64::from(day.weekday().to_sunday_zero_offset())),
        }
    }

    fn next_first_day(self, first: Date) -> Date {
        match self.months() {
            Some(months) => {
                let month = first.month() + months;
                let (year, month) =
                    if month > 12 { (first.year() + 1, month - 12) } else { (first.year(), month) };
                Date::new(year, month, 1).expect("every month has a first day")
            }
            None => add_days(first, 7),
        }
    }
}

fn add_days(day: Date, days: i64) -> Date {
    day.checked_add(jiff::Span::new().days(days)).expect("1969 to 2263 is in the calendar's range")
}

fn date(at: Timestamp) -> Date {
    let at = jiff::Timestamp::from_nanosecond(i128::from(at.ns())).expect("1970 to 2262 is in range");
    Offset::UTC.to_datetime(at).date()
}

fn nanoseconds(day: Date) -> i128 {
    let midnight: DateTime = day.into();
    Offset::UTC.to_timestamp(midnight).expect("1969 to 2263 is in range").as_nanosecond()
}

fn timestamp(day: Date) -> Timestamp {
    Timestamp::saturating_from_ns(u64::try_from(nanoseconds(day)).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        crate::timetext::parse_timestamp(text, Timestamp::EPOCH).unwrap()
    }

    #[test]
    fn groups_meet_end_to_start() {
        for letter in ["Y", "H", "Q", "M", "W", "90000", "7d"] {
            let period = Period::parse(letter).unwrap();
            let mut start = period.start_of(at("2023-11-30T23:59:59"));
            for _ in 0..60 {
                let end = period.end_ns(start);
                let last = Timestamp::from_ns(end - 1).unwrap();
                assert_eq!(period.start_of(last), start, "{letter}");
                start = Timestamp::from_ns(end).unwrap();
                assert_eq!(period.start_of(start), start, "{letter}");
            }
        }
    }

    #[test]
    fn both_ends_of_time_have_groups() {
        let week = Period::Calendar(Calendar::Week);
        assert_eq!(week.start_of(at("1970-01-03")), Timestamp::EPOCH);
        assert_eq!(week.end_ns(at("1970-01-03")), at("1970-01-04").ns());
        for letter in ["Y", "H", "Q", "M", "W", "1d"] {
            assert!(Period::parse(letter).unwrap().end_ns(Timestamp::MAX) > Timestamp::MAX.ns());
        }
    }

    #[test]
    fn letters_are_exact() {
        assert_eq!(Period::parse("M"), Ok(Period::Calendar(Calendar::Month)));
        assert_eq!(Period::parse("m"), Err(TimeTextError::NotATimespan));
        assert_eq!(Period::parse("D"), Err(TimeTextError::NotATimespan));
        assert_eq!(
            Period::parse("1 hour").map(|period| period.end_ns(Timestamp::EPOCH)),
            Ok(3_600_000_000_000)
        );
    }
}
