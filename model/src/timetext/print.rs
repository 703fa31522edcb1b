//! How instants and spans are printed.

use std::fmt::Write;

use jiff::civil::DateTime;
use jiff::tz::Offset;

use crate::time::{SECOND, Timestamp};

const NS_PER_MICRO: u64 = 1_000;

/// `2015-03-06T14:33:57+00:00`: instants of measures; what is below a second is cut.
pub fn push_iso_seconds(out: &mut String, at: Timestamp) {
    push_civil(out, civil(at));
    out.push_str("+00:00");
}

/// Prints ascending instants as [`push_iso_seconds`] does; works out the date only when it changes.
#[derive(Debug)]
pub struct IsoClock {
    day: u64,
    date: String,
}

impl Default for IsoClock {
    fn default() -> Self {
        IsoClock { day: u64::MAX, date: String::new() }
    }
}

impl IsoClock {
    /// Appends an instant, cut to seconds.
    #[inline]
    pub fn push(&mut self, out: &mut String, at: Timestamp) {
        const DAY: u64 = 86_400;
        let seconds = at.ns() / SECOND;
        if seconds / DAY != self.day {
            self.day = seconds / DAY;
            self.date.clear();
            push_iso_seconds(&mut self.date, at);
            self.date.truncate("2015-03-06T".len());
        }
        let of_day = seconds % DAY;
        let digits = |number: u64| [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8];
        let ([a, b], [c, d], [e, f]) = (digits(of_day / 3600), digits(of_day / 60 % 60), digits(of_day % 60));
        let time = [a, b, b':', c, d, b':', e, f];
        out.push_str(&self.date);
        out.push_str(std::str::from_utf8(&time).expect("digits and colons"));
        out.push_str("+00:00");
    }
}

/// `2015-03-06T14:33:57.123456+00:00`: dates of resources; the fraction only if it is not zero.
pub fn push_iso_micros(out: &mut String, at: Timestamp) {
    push_civil(out, civil(at));
    push_micros(out, at.ns() % SECOND / NS_PER_MICRO);
    out.push_str("+00:00");
}

/// `0:05:00`, `30 days, 0:00:00`, `0:00:14.285714`: spans of archive policies, rounded to microseconds.
pub fn span_text(ns: u64) -> String {
    let micros = ns / NS_PER_MICRO + u64::from(ns % NS_PER_MICRO >= NS_PER_MICRO / 2);
    let seconds = micros / 1_000_000;
    let mut out = String::new();
    match seconds / 86_400 {
        0 => {}
        1 => out.push_str("1 day, "),
        days => write!(out, "{days} days, ").expect("writing to a string succeeds"),
    }
    let (hours, minutes) = (seconds % 86_400 / 3_600, seconds % 3_600 / 60);
    write!(out, "{hours}:{minutes:02}:{:02}", seconds % 60).expect("writing to a string succeeds");
    push_micros(&mut out, micros % 1_000_000);
    out
}

fn civil(at: Timestamp) -> DateTime {
    let at = jiff::Timestamp::from_nanosecond(i128::from(at.ns())).expect("1970 to 2262 is in range");
    Offset::UTC.to_datetime(at)
}

// Budget: 30 ns; an answer may hold a hundred thousand of them.
fn push_civil(out: &mut String, at: DateTime) {
    push_digits(out, (at.year() / 100) as i8);
    push_digits(out, (at.year() % 100) as i8);
    out.push('-');
    push_digits(out, at.month());
    out.push('-');
    push_digits(out, at.day());
    out.push('T');
    push_digits(out, at.hour());
    out.push(':');
    push_digits(out, at.minute());
    out.push(':');
    push_digits(out, at.second());
}

fn push_digits(out: &mut String, two: i8) {
    out.push(char::from(b'0' + two as u8 / 10));
    out.push(char::from(b'0' + two as u8 % 10));
}

fn push_micros(out: &mut String, micros: u64) {
    if micros != 0 {
        write!(out, ".{micros:06}").expect("writing to a string succeeds");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_prints_what_each_instant_prints_alone() {
        let mut clock = IsoClock::default();
        for seconds in [0, 1, 59, 3_599, 86_399, 86_400, 951_827_696, 951_868_800, 9_223_372_036, 60] {
            let at = Timestamp::from_ns(seconds * SECOND + 999_999_999).unwrap_or(Timestamp::MAX);
            let (mut one, mut all) = (String::new(), String::new());
            push_iso_seconds(&mut one, at);
            clock.push(&mut all, at);
            assert_eq!(one, all);
        }
    }

    #[test]
    fn dates_keep_microseconds_and_measures_seconds() {
        let at = Timestamp::from_ns(1_425_652_437_123_456_789).unwrap();
        let mut out = String::new();
        push_iso_seconds(&mut out, at);
        assert_eq!(out, "2015-03-06T14:33:57+00:00");
        out.clear();
        push_iso_micros(&mut out, at);
        assert_eq!(out, "2015-03-06T14:33:57.123456+00:00");
        out.clear();
        push_iso_micros(&mut out, Timestamp::EPOCH);
        assert_eq!(out, "1970-01-01T00:00:00+00:00");
        out.clear();
        push_iso_seconds(&mut out, Timestamp::MAX);
        assert_eq!(out, "2262-04-11T23:47:16+00:00");
    }

    #[test]
    fn spans_read_like_the_reference() {
        let cases = [
            (1, "0:00:01"),
            (300, "0:05:00"),
            (3_600, "1:00:00"),
            (86_400, "1 day, 0:00:00"),
            (2_592_000, "30 days, 0:00:00"),
            (31_536_000, "365 days, 0:00:00"),
            (3_598, "0:59:58"),
        ];
        for (seconds, text) in cases {
            assert_eq!(span_text(seconds * SECOND), text);
        }
        assert_eq!(span_text(3_600_000_000), "0:00:03.600000");
        assert_eq!(span_text(99_999_999_995), "0:01:40");
        assert_eq!(span_text(14_285_714_285), "0:00:14.285714");
    }
}
