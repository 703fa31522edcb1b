//! Spans: `300`, `1h30m`, `1 day, 2 hours`, `1:02:03`, `-10 minutes`.

use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::{TimeTextError, float, nanoseconds};
use crate::time::Granularity;

/// Weights in seconds, by the names of the groups in [`FORMS`].
const WEIGHTS: [(&str, u64); 5] = [("w", 604_800), ("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];

const WEEKS: &str = r"(?:(?P<w>[\d.]+)\s*(?:weeks?|wks?|w)\s*(?:[,/]\s*)?)?";
const DAYS: &str = r"(?:(?P<d>[\d.]+)\s*(?:days?|dys?|d)\s*(?:[,/]\s*)?)?";
const HOURS: &str = r"(?:(?P<h>[\d.]+)\s*(?:hours?|hrs?|h)\s*(?:[,/]\s*)?)?";
const MINUTES: &str = r"(?:(?P<m>[\d.]+)\s*(?:minutes?|mins?|m)\s*(?:[,/]\s*)?)?";
const SECONDS: &str = r"(?:(?P<s>[\d.]+)\s*(?:seconds?|secs?|s))?";
const CLOCK_SECONDS: &str = r"(?P<s>\d{2}(?:\.\d+)?)";

/// The grammar of the reference's parser (pytimeparse), tried in its order.
static FORMS: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    [
        format!(r"{WEEKS}\s*{DAYS}\s*{HOURS}\s*{MINUTES}\s*{SECONDS}"),
        format!(r"(?P<m>\d{{1,2}}):{CLOCK_SECONDS}"),
        format!(r"{WEEKS}\s*{DAYS}\s*(?P<h>\d+):(?P<m>\d{{2}}):{CLOCK_SECONDS}"),
        format!(r"(?P<d>\d+)[:-](?P<h>\d{{2}}):(?P<m>\d{{2}}):{CLOCK_SECONDS}"),
        format!(r":{CLOCK_SECONDS}"),
    ]
    .iter()
    .map(|form| Regex::new(&format!(r"(?i-u)^\s*{form}\s*$")).expect("the forms are constant"))
    .collect()
});

/// A span greater than zero.
pub fn parse_timespan(text: &str) -> Result<Granularity, TimeTextError> {
    positive(parse_signed_timespan(text)?)
}

/// Seconds given as a number, greater than zero.
pub fn timespan_from_seconds(seconds: f64) -> Result<Granularity, TimeTextError> {
    positive(signed_timespan_from_seconds(seconds)?)
}

/// Nanoseconds of a span of any sign.
pub fn parse_signed_timespan(text: &str) -> Result<i64, TimeTextError> {
    let seconds = match float(text) {
        Some(seconds) => Some(seconds),
        None => expression(text),
    };
    signed_timespan_from_seconds(seconds.ok_or(TimeTextError::NotATimespan)?)
}

/// Nanoseconds of seconds given as a number of any sign.
pub fn signed_timespan_from_seconds(seconds: f64) -> Result<i64, TimeTextError> {
    nanoseconds(seconds).ok_or(TimeTextError::NotATimespan)
}

fn positive(ns: i64) -> Result<Granularity, TimeTextError> {
    u64::try_from(ns).ok().and_then(Granularity::from_ns).ok_or(TimeTextError::NotPositive)
}

/// Seconds of `1h30m` and the like.
fn expression(text: &str) -> Option<f64> {
    let text = text.trim_start();
    let (sign, rest) = match text.as_bytes().first()? {
        b'-' => (-1.0, &text[1..]),
        b'+' => (1.0, &text[1..]),
        _ => (1.0, text),
    };
    let rest = rest.trim();
    if rest.is_empty() {
        return None;
    }
    let seconds = FORMS.iter().find_map(|form| total(&form.captures(rest)?))?;
    Some(sign * seconds)
}

fn total(groups: &Captures<'_>) -> Option<f64> {
    let mut total = 0.0;
    for (name, weight) in WEIGHTS {
        if let Some(number) = groups.name(name) {
            total += number.as_str().parse::<f64>().ok()? * weight as f64;
        }
    }
    let fraction_kept = groups.name("s").is_some_and(|seconds| seconds.as_str().contains('.'));
    // The reference cuts `0.01m` to whole seconds, as only written seconds may carry a fraction. Rounded
    // first, since 4.1 × 60 is a hair below 246 in binary and the reference sums in decimal.
    Some(if fraction_kept { total } else { (total * 1e6).round().div_euclid(1e6) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, seconds: f64) {
        assert_eq!(parse_signed_timespan(text), Ok((seconds * 1e9) as i64), "{text}");
    }

    #[test]
    fn units_go_from_weeks_to_seconds() {
        check("1w3d2h32m", 873_120.0);
        check("1 wk 2 dys", 777_600.0);
        check("1 hour, 5 minutes", 3_900.0);
        check("2 HOURS/1 min", 7_260.0);
        check("1.5h", 5_400.0);
        check("4.1m", 246.0);
        check("1.2 secs", 1.2);
        check("- 1 minute", -60.0);
        check("+1m", 60.0);
        check("0.01m", 0.0);
    }

    #[test]
    fn clock_forms() {
        check("2:30", 150.0);
        check("1:02:03.5", 3_723.5);
        check("1w 2d 1:00:00", 781_200.0);
        check("1:02:03:04", 93_784.0);
        check("1-02:03:04", 93_784.0);
        check(":22", 22.0);
        check("-1:00", -60.0);
    }

    #[test]
    fn refuses_the_rest() {
        for bad in
            ["", " ", "-", "abc", "1m30", "30m1h", "1y", "1 month", "5ms", "1:2", "1.2.3s", ".", "1h1h"]
        {
            assert_eq!(parse_signed_timespan(bad), Err(TimeTextError::NotATimespan), "{bad:?}");
        }
        for wide in ["inf", "nan", "1e300", "999999999999w"] {
            assert_eq!(parse_signed_timespan(wide), Err(TimeTextError::NotATimespan), "{wide}");
        }
        for none in ["0", "-5", "-10 seconds", "1e-10"] {
            assert_eq!(parse_timespan(none), Err(TimeTextError::NotPositive), "{none}");
        }
        assert_eq!(timespan_from_seconds(0.3).map(Granularity::ns), Ok(300_000_000));
    }
}
