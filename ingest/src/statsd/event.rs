//! DogStatsD events and service checks. The daemon checks, counts and skips them.

use memchr::memchr;
use orzo_model::DropReason::{self, BadEvent, BadServiceCheck};

/// How much an event matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Priority {
    /// Little.
    Low,
    /// As usual; also what is not understood.
    #[default]
    Normal,
}

/// What sort of event it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum AlertType {
    /// Something broke.
    Error,
    /// Something may break.
    Warning,
    /// Something happened; also what is not understood.
    #[default]
    Info,
    /// Something went well.
    Success,
}

/// `_e{<title bytes>,<text bytes>}:<title>|<text>` and fields.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Event<'a> {
    /// Not empty.
    pub title: &'a [u8],
    /// As written: `\n`, two characters, stands for a line break.
    pub text: &'a [u8],
    /// Seconds since the epoch.
    pub timestamp: Option<u64>,
    /// Where it happened.
    pub host: Option<&'a [u8]>,
    /// What it belongs with.
    pub aggregation_key: Option<&'a [u8]>,
    /// How much it matters.
    pub priority: Priority,
    /// Who noticed.
    pub source_type: Option<&'a [u8]>,
    /// What sort it is.
    pub alert_type: AlertType,
    /// Tags as written: `key:value` with `,` between them.
    pub tags: &'a [u8],
}

impl<'a> Event<'a> {
    /// What these lines start with.
    pub const PREFIX: &'static [u8] = b"_e{";

    /// Reads a line that starts with [`Event::PREFIX`].
    ///
    /// # Errors
    ///
    /// [`BadEvent`] if the lengths do not fit or the title is empty. Fields are never wrong: what is not
    /// understood counts as not written.
    pub fn read(line: &'a [u8]) -> Result<Self, DropReason> {
        let (mut event, fields) = Self::split(line).ok_or(BadEvent)?;
        for field in fields.split(|&byte| byte == b'|') {
            match field {
                [b'd', b':', digits @ ..] => event.timestamp = whole(digits),
                [b'h', b':', host @ ..] => event.host = Some(host),
                [b'k', b':', key @ ..] => event.aggregation_key = Some(key),
                [b'p', b':', priority @ ..] => event.priority = self::priority(priority),
                [b's', b':', source @ ..] => event.source_type = Some(source),
                [b't', b':', alert_type @ ..] => event.alert_type = self::alert_type(alert_type),
                [b'#', tags @ ..] => event.tags = tags,
                _ => {}
            }
        }
        Ok(event)
    }

    /// Title and text, and the fields after them.
    fn split(line: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let line = line.strip_prefix(Self::PREFIX)?;
        let (lengths, body) = split_once(line, b'}')?;
        let (title_len, text_len) = split_once(lengths, b',')?;
        let (title, body) = split_at(body.strip_prefix(b":")?, whole(title_len)?)?;
        let (text, fields) = split_at(body.strip_prefix(b"|")?, whole(text_len)?)?;
        let ends = fields.is_empty() || fields.starts_with(b"|");
        let event = Event { title, text, ..Event::default() };
        (ends && !title.is_empty()).then_some((event, fields))
    }
}

/// `_sc|<name>|<status>` and fields.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ServiceCheck<'a> {
    /// Not empty.
    pub name: &'a [u8],
    /// 0 to 3: well, warning, critical, unknown.
    pub status: u8,
    /// Seconds since the epoch.
    pub timestamp: Option<u64>,
    /// Where.
    pub host: Option<&'a [u8]>,
    /// Tags as written: `key:value` with `,` between them.
    pub tags: &'a [u8],
    /// The last field; may hold `|`.
    pub message: Option<&'a [u8]>,
}

impl<'a> ServiceCheck<'a> {
    /// What these lines start with.
    pub const PREFIX: &'static [u8] = b"_sc|";

    /// Reads a line that starts with [`ServiceCheck::PREFIX`].
    ///
    /// # Errors
    ///
    /// [`BadServiceCheck`] without a name or with another status than 0 to 3.
    pub fn read(line: &'a [u8]) -> Result<Self, DropReason> {
        let (mut check, mut rest) = Self::split(line).ok_or(BadServiceCheck)?;
        while let Some(fields) = rest {
            if let Some(message) = fields.strip_prefix(b"m:") {
                check.message = Some(message);
                break;
            }
            let (field, after) = first_field(fields);
            match field {
                [b'd', b':', digits @ ..] => check.timestamp = whole(digits),
                [b'h', b':', host @ ..] => check.host = Some(host),
                [b'#', tags @ ..] => check.tags = tags,
                _ => {}
            }
            rest = after;
        }
        Ok(check)
    }

    /// Name and status, and the fields after them.
    fn split(line: &'a [u8]) -> Option<(Self, Option<&'a [u8]>)> {
        let (name, rest) = split_once(line.strip_prefix(Self::PREFIX)?, b'|')?;
        let (status, fields) = first_field(rest);
        match status {
            [digit @ b'0'..=b'3'] if !name.is_empty() => {
                Some((ServiceCheck { name, status: digit - b'0', ..ServiceCheck::default() }, fields))
            }
            _ => None,
        }
    }
}

fn priority(text: &[u8]) -> Priority {
    if text == b"low" { Priority::Low } else { Priority::Normal }
}

fn alert_type(text: &[u8]) -> AlertType {
    match text {
        b"error" => AlertType::Error,
        b"warning" => AlertType::Warning,
        b"success" => AlertType::Success,
        _ => AlertType::Info,
    }
}

fn first_field(text: &[u8]) -> (&[u8], Option<&[u8]>) {
    split_once(text, b'|').map_or((text, None), |(field, rest)| (field, Some(rest)))
}

fn split_once(text: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let at = memchr(at, text)?;
    Some((&text[..at], &text[at + 1..]))
}

fn split_at(text: &[u8], len: u64) -> Option<(&[u8], &[u8])> {
    text.split_at_checked(usize::try_from(len).ok()?)
}

/// A whole number, digits only.
fn whole(text: &[u8]) -> Option<u64> {
    let is_digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let add = |sum: u64, byte: &u8| sum.checked_mul(10)?.checked_add(u64::from(byte - b'0'));
    if is_digits { text.iter().try_fold(0, add) } else { None }
}
