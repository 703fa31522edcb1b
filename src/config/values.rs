//! The leaf types of the configuration: durations, sizes, modes and "from the machine", as text in the file and as
//! plain numbers in the program. Each prints in the form it reads.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use jiff::SignedDuration;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A length of time, written like `500ms`, `10s` or `1h 30m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

impl Span {
    /// So many seconds.
    pub const fn seconds(count: u64) -> Self {
        Span(Duration::from_secs(count))
    }

    /// So many minutes.
    pub const fn minutes(count: u64) -> Self {
        Span::seconds(60 * count)
    }

    /// So many hours.
    pub const fn hours(count: u64) -> Self {
        Span::minutes(60 * count)
    }

    /// So many milliseconds.
    pub const fn milliseconds(count: u64) -> Self {
        Span(Duration::from_millis(count))
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.trim().parse::<SignedDuration>().ok();
        let span = parsed.and_then(|signed| Duration::try_from(signed).ok());
        span.map(Span)
            .ok_or_else(|| format!("\"{text}\" is not a duration such as \"500ms\", \"10s\" or \"1h 30m\""))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match SignedDuration::try_from(self.0) {
            Ok(signed) => write!(f, "{signed:#}"),
            Err(_) => write!(f, "{}s", self.0.as_secs()),
        }
    }
}

/// A number of bytes, written like `64 KiB` or `2 GiB`; a bare number counts bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

/// Largest first, so that the first one that divides a size is the one to print.
const UNITS: [(u64, &str); 4] = [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];

impl ByteSize {
    /// So many KiB.
    pub const fn kib(count: u64) -> Self {
        ByteSize(count << 10)
    }

    /// So many MiB.
    pub const fn mib(count: u64) -> Self {
        ByteSize(count << 20)
    }

    /// So many GiB.
    pub const fn gib(count: u64) -> Self {
        ByteSize(count << 30)
    }
}

impl FromStr for ByteSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.parse::<bytesize::ByteSize>();
        parsed
            .map(|size| ByteSize(size.as_u64()))
            .map_err(|_| format!("\"{text}\" is not a size such as \"64 KiB\""))
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match UNITS.iter().find(|(unit, _)| self.0 >= *unit && self.0.is_multiple_of(*unit)) {
            Some((unit, name)) => write!(f, "{} {name}", self.0 / unit),
            None => write!(f, "{} B", self.0),
        }
    }
}

/// Permission bits of a socket file, written like `0722`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode(pub u32);

impl FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match u32::from_str_radix(text, 8) {
            Ok(bits) if bits <= 0o777 => Ok(Mode(bits)),
            _ => Err(format!("\"{text}\" is not a file mode such as \"0722\"")),
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

/// A value that the machine decides (`"auto"`) unless the operator does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auto<T> {
    /// Taken from the machine.
    Auto,
    /// Set by the operator.
    Is(T),
}

impl<T: Copy> Auto<T> {
    /// What the operator set.
    pub fn set(self) -> Option<T> {
        match self {
            Auto::Auto => None,
            Auto::Is(value) => Some(value),
        }
    }
}

/// A value that the file writes as text, through [`FromStr`] and [`fmt::Display`].
pub(super) mod text {
    use super::{Deserialize, Deserializer, FromStr, Serializer, de, fmt};

    pub(crate) fn serialize<S: Serializer, T: fmt::Display>(value: &T, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>, T: FromStr<Err: fmt::Display>>(
        from: D,
    ) -> Result<T, D::Error> {
        String::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        text::serialize(self, to)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        text::deserialize(from)
    }
}

/// What a size or a count may be written as.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a number or a text")]
enum NumberOrText {
    Number(u64),
    Text(String),
}

impl NumberOrText {
    /// Either way as text; our parsers take a bare number too.
    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
        Ok(match NumberOrText::deserialize(from)? {
            NumberOrText::Number(number) => number.to_string(),
            NumberOrText::Text(text) => text,
        })
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        text::serialize(self, to)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        NumberOrText::read(from)?.parse().map_err(de::Error::custom)
    }
}

impl<T: Serialize> Serialize for Auto<T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Auto::Auto => to.serialize_str("auto"),
            Auto::Is(value) => value.serialize(to),
        }
    }
}

impl<'de, T: FromStr<Err: fmt::Display>> Deserialize<'de> for Auto<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match NumberOrText::read(from)?.as_str() {
            "auto" | "0" => Ok(Auto::Auto),
            text => text
                .parse()
                .map(Auto::Is)
                .map_err(|why| de::Error::custom(format!("not \"auto\", and {why}"))),
        }
    }
}

/// An optional text, written as `""` when absent, so that a printed configuration shows every key.
pub(super) mod blank {
    use super::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer, T: AsRef<std::ffi::OsStr>>(
        value: &Option<T>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        let text = value.as_ref().map(|value| value.as_ref().to_string_lossy());
        to.serialize_str(text.as_deref().unwrap_or(""))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>, T: From<String>>(
        from: D,
    ) -> Result<Option<T>, D::Error> {
        let text = String::deserialize(from)?;
        Ok(if text.is_empty() { None } else { Some(T::from(text)) })
    }
}

/// A number with a unit, for messages about bounds.
pub(super) trait Measured: fmt::Display + Copy + PartialOrd {}
impl Measured for Span {}
impl Measured for ByteSize {}
impl Measured for u64 {}

/// `A to B`, as the reference page and the messages write it.
pub(super) fn range_text<T: Measured>(range: &RangeInclusive<T>) -> String {
    format!("{} to {}", range.start(), range.end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn round_trip<T: FromStr<Err = String> + fmt::Display>(text: &str, canonical: &str) {
        let value: T = text.parse().unwrap();
        assert_eq!(value.to_string(), canonical);
        assert_eq!(canonical.parse::<T>().unwrap().to_string(), canonical);
    }

    #[test]
    fn durations_print_as_they_read() {
        round_trip::<Span>("10s", "10s");
        round_trip::<Span>("1h 30m", "1h 30m");
        round_trip::<Span>("90 s", "1m 30s");
        round_trip::<Span>("0s", "0s");
        round_trip::<Span>("250ms", "250ms");
        for bad in ["", "10", "ten seconds", "-5s", "1 fortnight"] {
            assert!(bad.parse::<Span>().is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_print_exactly() {
        round_trip::<ByteSize>("32MiB", "32 MiB");
        round_trip::<ByteSize>("1.5 GiB", "1536 MiB");
        round_trip::<ByteSize>("1000", "1000 B");
        round_trip::<ByteSize>("1 kB", "1000 B");
        for bad in ["", "MiB", "12 parsecs", "-1 KiB"] {
            assert!(bad.parse::<ByteSize>().is_err(), "{bad}");
        }
    }

    #[test]
    fn modes_are_octal() {
        round_trip::<Mode>("0722", "0722");
        round_trip::<Mode>("600", "0600");
        for bad in ["", "8", "1777", "rwx"] {
            assert!(bad.parse::<Mode>().is_err(), "{bad}");
        }
    }

    #[test]
    fn nothing_and_zero_leave_it_to_the_machine() {
        #[derive(Deserialize)]
        struct Doc {
            count: Auto<usize>,
            size: Auto<ByteSize>,
        }
        let read = |text: &str| toml::from_str::<Doc>(text).map(|doc| (doc.count.set(), doc.size.set()));
        assert_eq!(read("count = 0\nsize = \"auto\"").unwrap(), (None, None));
        assert_eq!(read("count = 3\nsize = \"1 KiB\"").unwrap(), (Some(3), Some(ByteSize(1024))));
        assert!(read("count = -1\nsize = 0").is_err());
        assert!(read("count = \"many\"\nsize = 0").is_err());
    }
}
