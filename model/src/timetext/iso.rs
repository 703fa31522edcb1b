//! ISO 8601 as far as the reference reads it: `2015-03`, `2015-03-06`, `2015-03-06T14:34:00.5+01:00`.

use jiff::civil;
use jiff::tz::Offset;

/// Nanoseconds since the epoch, negative before; `None` if the text has another form or names a
/// moment that does not exist. Digits beyond nanoseconds are cut.
pub(super) fn parse(text: &str) -> Option<i128> {
    let mut rest = Cursor(text.trim_start().as_bytes());
    let year = rest.digits(4)? as i16;
    rest.expect(b'-')?;
    let month = rest.digits(2)? as i8;
    let day = if rest.take(b'-') { Some(rest.digits(2)? as i8) } else { None };
    let date = civil::Date::new(year, month, day.unwrap_or(1)).ok()?;
    let has_time = day.is_some() && !rest.0.is_empty();
    let (time, offset) =
        if has_time { time_and_zone(&mut rest)? } else { (civil::Time::midnight(), Offset::UTC) };
    if !rest.0.is_empty() {
        return None;
    }
    Some(offset.to_timestamp(date.to_datetime(time)).ok()?.as_nanosecond())
}

fn time_and_zone(rest: &mut Cursor<'_>) -> Option<(civil::Time, Offset)> {
    if !rest.take(b'T') && !rest.take(b' ') {
        return None;
    }
    let hour = rest.digits(2)? as i8;
    let (mut minute, mut second, mut ns) = (0, 0, 0);
    if rest.take(b':') {
        minute = rest.digits(2)? as i8;
        if rest.take(b':') {
            second = rest.digits(2)? as i8;
            if rest.take(b'.') {
                ns = rest.fraction();
            }
        }
    }
    let offset = zone(rest)?;
    Some((civil::Time::new(hour, minute, second, ns).ok()?, offset))
}

fn zone(rest: &mut Cursor<'_>) -> Option<Offset> {
    if rest.0.is_empty() || rest.take(b'Z') {
        return Some(Offset::UTC);
    }
    let sign = if rest.take(b'+') { 1 } else { rest.expect(b'-').map(|()| -1)? };
    let hours = rest.digits(2)? as i32;
    let minutes = if rest.take(b':') || !rest.0.is_empty() { rest.digits(2)? as i32 } else { 0 };
    if hours > 23 || minutes > 59 {
        return None;
    }
    Offset::from_seconds(sign * (hours * 60 + minutes) * 60).ok()
}

struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    fn take(&mut self, byte: u8) -> bool {
        let found = self.0.first() == Some(&byte);
        self.0 = &self.0[usize::from(found)..];
        found
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        self.take(byte).then_some(())
    }

    fn digits(&mut self, count: usize) -> Option<u32> {
        let (digits, rest) = self.0.split_at_checked(count)?;
        if !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        self.0 = rest;
        Some(digits.iter().fold(0, |number, digit| number * 10 + u32::from(digit - b'0')))
    }

    /// Digits after a decimal point, as nanoseconds.
    fn fraction(&mut self) -> i32 {
        let mut ns = 0;
        let mut weight = 100_000_000;
        while let Some(digit @ b'0'..=b'9') = self.0.first() {
            ns += i32::from(digit - b'0') * weight;
            weight /= 10;
            self.0 = &self.0[1..];
        }
        ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepted_forms() {
        let day = 1_425_600_000_000_000_000;
        let cases = [
            ("2015-03-06", 0),
            ("\t2015-03-06", 0),
            ("2015-03-06T14Z", 50_400_000_000_000),
            ("2015-03-06 14:34:00.", 52_440_000_000_000),
            ("2015-03-06T14:34:00.1234567899", 52_440_123_456_789),
            ("2015-03-06T14:34+01", 48_840_000_000_000),
            ("2015-03-06T14:34+0130", 47_040_000_000_000),
            ("2015-03-06T14:34-00:30", 54_240_000_000_000),
        ];
        for (text, ns) in cases {
            assert_eq!(parse(text), Some(day + ns), "{text}");
        }
        assert!(parse("1915-01").is_some_and(|ns| ns < 0));
    }

    #[test]
    fn refused_forms() {
        for bad in [
            "",
            "2015",
            "2015-",
            "2015-3",
            "2015-03 ",
            "2015-03-06Z",
            "2015-03-06T",
            "2015-03-06t14",
            "2015-0306",
            "2015-03-06T14:34:60",
            "2015-03-06T24:00",
            "2015-03-06T14:34:00,5",
            "2015-03-06T14:34:00 Z",
            "2015-03-06T14:34:00z",
            "2015-03-06T14:34:00+1",
            "2015-03-06T14:34:00+24",
            "2015-03-06T1434",
            "2015-02-29",
            "2015-03T10",
            "2015-03-06T14:34:00+01:",
            "é",
        ] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
    }
}
