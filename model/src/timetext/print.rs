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
