//! Instants: epoch seconds, ISO 8601, or a span counted from now.

use super::{TimeTextError, float, iso, nanoseconds, parse_signed_timespan, signed_timespan_from_seconds};
use crate::time::{SECOND, Timestamp};

/// One instant, in any form.
pub fn parse_timestamp(text: &str, now: Timestamp) -> Result<Timestamp, TimeTextError> {
    TimestampList::new(now).text(text)
}

/// Seconds since the epoch given as a number, multiplied in double precision as the reference does.
pub fn timestamp_from_seconds(seconds: f64) -> Result<Timestamp, TimeTextError> {
    if seconds.is_nan() || seconds.is_infinite() {
        return Err(TimeTextError::NotATimestamp);
    }
    instant(nanoseconds(seconds).map(i128::from))
}

/// Reads the instants of one list: the first decides the form of all.
#[derive(Clone, Debug)]
pub struct TimestampList {
    now: Timestamp,
    form: Option<Form>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    Seconds,
    Iso,
    Relative,
}

impl TimestampList {
    /// A list whose relative instants count from `now`.
    pub fn new(now: Timestamp) -> Self {
        TimestampList { now, form: None }
    }

    /// The next instant, given as a number.
    #[inline]
    pub fn number(&mut self, seconds: f64) -> Result<Timestamp, TimeTextError> {
        match self.form.get_or_insert(Form::Seconds) {
            Form::Seconds => timestamp_from_seconds(seconds),
            Form::Iso => Err(TimeTextError::NotATimestamp),
            Form::Relative => self.relative(signed_timespan_from_seconds(seconds)),
        }
    }

    /// The next instant, given as a text.
    pub fn text(&mut self, text: &str) -> Result<Timestamp, TimeTextError> {
        match *self.form.get_or_insert_with(|| form_of(text)) {
            Form::Seconds => timestamp_from_seconds(float(text).ok_or(TimeTextError::NotATimestamp)?),
            Form::Iso => self.iso(text),
            Form::Relative => self.relative(parse_signed_timespan(text)),
        }
    }

    fn iso(&self, text: &str) -> Result<Timestamp, TimeTextError> {
        match named(text) {
            Some(Named::Now) => Ok(self.now.saturating_sub(self.now.ns() % SECOND)),
            Some(Named::Today) => Ok(self.now.saturating_sub(self.now.ns() % (86_400 * SECOND))),
            None => instant(Some(iso::parse(text).ok_or(TimeTextError::NotATimestamp)?)),
        }
    }

    fn relative(&self, offset: Result<i64, TimeTextError>) -> Result<Timestamp, TimeTextError> {
        let offset = offset.map_err(|_| TimeTextError::NotATimestamp)?;
        instant(Some(i128::from(self.now.ns()) + i128::from(offset)))
    }
}

fn form_of(text: &str) -> Form {
    if float(text).is_some() {
        Form::Seconds
    } else if named(text).is_some() || iso::parse(text).is_some() {
        Form::Iso
    } else {
        Form::Relative
    }
}

enum Named {
    Now,
    Today,
}

fn named(text: &str) -> Option<Named> {
    if text.eq_ignore_ascii_case("now") {
        Some(Named::Now)
    } else if text.eq_ignore_ascii_case("today") {
        Some(Named::Today)
    } else {
        None
    }
}

fn instant(ns: Option<i128>) -> Result<Timestamp, TimeTextError> {
    ns.and_then(|ns| u64::try_from(ns).ok()).and_then(Timestamp::from_ns).ok_or(TimeTextError::OutOfRange)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ns: u64) -> Timestamp {
        Timestamp::from_ns(ns).unwrap()
    }

    #[test]
    fn named_instants_follow_the_clock() {
        let now = at(1_704_112_245_678_000_000);
        assert_eq!(parse_timestamp("now", now), Ok(at(1_704_112_245_000_000_000)));
        assert_eq!(parse_timestamp("Today", now), Ok(at(1_704_067_200_000_000_000)));
        assert_eq!(parse_timestamp("-1 day", now), Ok(at(1_704_025_845_678_000_000)));
    }

    #[test]
    fn a_bare_year_is_seconds() {
        assert_eq!(parse_timestamp("2014", Timestamp::EPOCH), Ok(at(2014 * SECOND)));
        assert_eq!(parse_timestamp("2014-01", Timestamp::EPOCH), Ok(at(1_388_534_400 * SECOND)));
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in ["", "NaT", "nan", "inf", "-inf", "soon", "2014-02-01 "] {
            assert_eq!(parse_timestamp(bad, Timestamp::EPOCH), Err(TimeTextError::NotATimestamp), "{bad:?}");
        }
        for far in ["1e300", "-1e300", "2262-04-12", "9999-01-01", "-1h", "1969-12-31T23:59:59.999"] {
            assert_eq!(parse_timestamp(far, Timestamp::EPOCH), Err(TimeTextError::OutOfRange), "{far}");
        }
    }

    #[test]
    fn the_first_decides_for_the_list() {
        let mut list = TimestampList::new(at(SECOND));
        assert_eq!(list.number(5.0), Ok(at(5 * SECOND)));
        assert_eq!(list.text("6"), Ok(at(6 * SECOND)));
        assert_eq!(list.text("-1s"), Err(TimeTextError::NotATimestamp));
        let mut list = TimestampList::new(at(SECOND));
        assert_eq!(list.text("1s"), Ok(at(2 * SECOND)));
        assert_eq!(list.text("3"), Ok(at(4 * SECOND)));
        assert_eq!(list.text("2015-01"), Err(TimeTextError::NotATimestamp));
        let mut list = TimestampList::new(at(SECOND));
        assert!(list.text("2015-01").is_ok());
        assert_eq!(list.number(5.0), Err(TimeTextError::NotATimestamp));
    }
}
