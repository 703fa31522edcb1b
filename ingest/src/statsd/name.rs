//! From the text before the `:` and the tags to the name that rides along with a sample.

use memchr::{memchr, memchr3};
use orzo_model::DropReason::{self, EmptyName, NameTooLong};
use orzo_model::{Flags, Kind, Names};

use super::tags::Tags;
use super::{Naming, scan};
use crate::limits::{METRIC_CHARS_MAX, RESOURCE_CHARS_MAX, UNIT_CHARS_MAX};

/// The tag that names the unit of a metric.
const UNIT_TAG: &[u8] = b"unit";

/// The text before the `:`, taken apart.
#[derive(Default)]
pub(super) struct Name<'a> {
    /// Before the tags, and after them if they stood in brackets.
    head: &'a [u8],
    tail: &'a [u8],
    tags: &'a [u8],
    /// What separates the tags, besides `,`.
    separator: u8,
    /// Whether `head` alone is the metric's name, byte for byte.
    plain: bool,
}

impl<'a> Name<'a> {
    /// Takes the text before the `:` apart.
    ///
    /// Into `self`, since a struct of this size that travels in a `Result` is copied in pieces that do not
    /// match those it was written in, and each copy stalls.
    #[inline(always)]
    pub(super) fn read(&mut self, text: &'a [u8]) -> Result<(), DropReason> {
        if text.is_empty() || scan::has_special(text) {
            return self.cut(text);
        }
        self.head = text;
        self.plain = text.len() <= METRIC_CHARS_MAX;
        Ok(())
    }

    #[inline(never)]
    fn cut(&mut self, text: &'a [u8]) -> Result<(), DropReason> {
        if let Some(open) = memchr(b'[', text)
            && let Some(len) = memchr(b']', &text[open + 1..])
        {
            let close = open + 1 + len;
            (self.head, self.tags, self.tail) = (&text[..open], &text[open + 1..close], &text[close + 1..]);
            self.separator = b',';
        } else if let Some(at) = memchr3(b',', b'#', b';', text) {
            (self.head, self.tags) = (&text[..at], &text[at + 1..]);
            self.separator = b';';
        } else {
            self.head = text;
        }
        if self.head.is_empty() && self.tail.is_empty() { Err(EmptyName) } else { Ok(()) }
    }

    /// Makes `tags` those of the name.
    #[inline(always)]
    pub(super) fn tags_into(&self, tags: &mut Tags<'a>) -> Result<(), DropReason> {
        tags.clear();
        if self.tags.is_empty() { Ok(()) } else { tags.add_from_name(self.tags, self.separator) }
    }

    /// The metric's name if, in the native profile and without tags, it is what was written.
    #[inline(always)]
    pub(super) fn as_written(&self) -> Option<&'a [u8]> {
        self.plain.then_some(self.head)
    }
}

/// A name that rides along, at the end of the buffer it was composed in.
pub(super) struct Composed {
    /// Bytes of all of it.
    pub(super) len: usize,
    /// Bytes of the part that is the identity: all but the unit.
    pub(super) identity_len: usize,
    /// Which parts there are.
    pub(super) flags: Flags,
}

/// Appends `[resource NUL] name[@k=v,…][|type] [NUL unit]` to `out`. `suffix` is the kind whose type ends
/// the name, in the profile that wants it.
///
/// Tags whose values cannot be a resource or a unit (empty, too long) stay ordinary tags.
pub(super) fn compose(
    out: &mut Vec<u8>,
    name: &Name<'_>,
    tags: &Tags<'_>,
    naming: &Naming,
    suffix: Option<Kind>,
) -> Result<Composed, DropReason> {
    let start = out.len();
    let (taken, has_resource) = compose_resource(out, tags, naming);
    let unit = tags.place(Some(UNIT_TAG)).filter(|at| fits(tags.value(*at), UNIT_CHARS_MAX));
    let unit = unit.filter(|at| taken & 1 << at == 0);

    let metric = out.len();
    out.extend_from_slice(name.head);
    out.extend_from_slice(name.tail);
    let taken = taken | unit.map_or(0, |at| 1 << at);
    compose_tags(out, tags, !taken, Some(b'@'));
    clean(&mut out[metric..]);
    if let Some(kind) = suffix {
        out.push(b'|');
        out.extend_from_slice(kind.wire_type().as_bytes());
    }
    if !is_at_most(&out[metric..], METRIC_CHARS_MAX) {
        return Err(NameTooLong);
    }
    let identity_len = out.len() - start;
    if let Some(at) = unit {
        out.push(Names::SEPARATOR);
        let unit = out.len();
        out.extend_from_slice(tags.value(at));
        clean(&mut out[unit..]);
    }
    let flags = has_resource.with(Flags::HAS_UNIT.when(unit.is_some()));
    Ok(Composed { len: out.len() - start, identity_len, flags })
}

/// Appends the text of the resource, if tags name one: the attributes they are, else the value of the resource tag.
/// Returns which tags that took, as bits by their places.
#[inline]
fn compose_resource(out: &mut Vec<u8>, tags: &Tags<'_>, naming: &Naming) -> (u64, Flags) {
    let start = out.len();
    let attributes = tags.among(&naming.attribute_tags);
    if attributes != 0 {
        compose_tags(out, tags, attributes, None);
        clean(&mut out[start..]);
        if is_at_most(&out[start..], RESOURCE_CHARS_MAX) {
            out.push(Names::SEPARATOR);
            return (attributes, Flags::HAS_RESOURCE.with(Flags::HAS_ATTRIBUTES));
        }
        out.truncate(start);
    }
    let tag = tags.place(naming.resource_tag.as_deref());
    let Some(at) = tag.filter(|at| fits(tags.value(*at), RESOURCE_CHARS_MAX)) else {
        return (0, Flags::NONE);
    };
    out.extend_from_slice(tags.value(at));
    clean(&mut out[start..]);
    out.push(Names::SEPARATOR);
    (1 << at, Flags::HAS_RESOURCE)
}

/// Appends those tags whose places have a bit, each behind a comma, but the first behind `before`.
#[inline]
fn compose_tags(out: &mut Vec<u8>, tags: &Tags<'_>, chosen: u64, mut before: Option<u8>) {
    for (at, tag) in tags.iter().enumerate() {
        if chosen & 1 << at != 0 {
            out.extend(before);
            tag.append_to(out);
            before = Some(b',');
        }
    }
}

/// Names hold no `/`, which is a path's, and no NUL, which separates the parts that ride along.
fn clean(text: &mut [u8]) {
    for byte in text {
        *byte = if *byte == b'/' || *byte == Names::SEPARATOR { b'_' } else { *byte };
    }
}

fn fits(text: &[u8], chars_max: usize) -> bool {
    !text.is_empty() && is_at_most(text, chars_max)
}

/// Whether UTF-8 text has at most so many characters.
fn is_at_most(text: &[u8], chars_max: usize) -> bool {
    let is_start = |byte: &&u8| **byte & 0xc0 != 0x80;
    text.len() <= chars_max || text.iter().filter(is_start).count() <= chars_max
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, field: &str, suffix: Option<Kind>, expected: Result<&str, DropReason>) {
        check_naming(&Naming::new(0), name, field, suffix, expected);
    }

    fn check_naming(
        naming: &Naming,
        name: &str,
        field: &str,
        suffix: Option<Kind>,
        expected: Result<&str, DropReason>,
    ) {
        let mut out = b"before".to_vec();
        let mut parts = Name::default();
        let composed = parts.read(name.as_bytes()).and_then(|()| {
            let mut tags = Tags::default();
            parts.tags_into(&mut tags)?;
            tags.add_field(field.as_bytes())?;
            compose(&mut out, &parts, &tags, naming, suffix)
        });
        let seen = composed.map(|composed| {
            let bytes = &out[b"before".len()..];
            assert_eq!(composed.len, bytes.len());
            let unit_len = bytes.len() - composed.identity_len;
            assert_eq!(composed.flags.has(Flags::HAS_UNIT), unit_len > 0);
            assert_eq!(
                usize::from(composed.flags.has(Flags::HAS_RESOURCE)) + usize::from(unit_len > 0),
                bytes.iter().filter(|&&byte| byte == 0).count()
            );
            String::from_utf8(bytes.to_vec()).unwrap()
        });
        assert_eq!(seen, expected.map(str::to_owned));
    }

    #[test]
    fn tags_are_sorted_and_cleaned() {
        check("load", "", None, Ok("load"));
        check("a/b\0c", "", None, Ok("a_b_c"));
        check("x", "z:1,path:/var,b", None, Ok("x@b=,path=_var,z=1"));
        check("statsd.[d=1]latency", "", None, Ok("statsd.latency@d=1"));
        check("foo[bar", "", None, Ok("foo[bar"));
    }

    #[test]
    fn resource_and_unit_leave_the_name() {
        check("cpu,host=web/1,core=0", "unit:%", None, Ok("web_1\0cpu@core=0\0%"));
        check("cpu", "host:a", Some(Kind::Timer), Ok("a\0cpu|ms"));
        check("cpu", "host,unit", None, Ok("cpu@host=,unit="));
        let long = "u".repeat(UNIT_CHARS_MAX + 1);
        check("cpu", &format!("unit:{long}"), None, Ok(&format!("cpu@unit={long}")));
    }

    #[test]
    fn chosen_tags_are_the_resource_whatever_the_resource_tag_says() {
        let keys = ["service", "env"].map(|key| Box::from(key.as_bytes()));
        let naming = Naming { attribute_tags: Box::from(keys), ..Naming::new(0) };
        let check = |field: &str, expected: &str| check_naming(&naming, "hits", field, None, Ok(expected));
        check("service:web,az:1,env:a/b", "env=a_b,service=web\0hits@az=1");
        check("env:prod,host:web1,unit:s", "env=prod\0hits@host=web1\0s");
        check("env:,host:web1", "web1\0hits@env=");
        check("az:1", "hits@az=1");
        let long = "e".repeat(RESOURCE_CHARS_MAX - "env=".len() + 1);
        check_naming(&naming, "x", &format!("env:{long},host:a"), None, Err(NameTooLong));
        check(&format!("env:{}", &long[1..]), &format!("env={}\0hits", &long[1..]));
    }

    #[test]
    fn characters_are_counted_not_bytes() {
        check(&"é".repeat(METRIC_CHARS_MAX), "", None, Ok(&"é".repeat(METRIC_CHARS_MAX)));
        check(&"é".repeat(METRIC_CHARS_MAX + 1), "", None, Err(NameTooLong));
        check(&"e".repeat(METRIC_CHARS_MAX - 1), "", Some(Kind::Gauge), Err(NameTooLong));
        let resource = "é".repeat(RESOURCE_CHARS_MAX);
        check("x", &format!("host:{resource}"), None, Ok(&format!("{resource}\0x")));
        check("x", &format!("host:{resource}é"), None, Err(NameTooLong));
    }

    #[test]
    fn a_name_of_tags_alone_is_empty() {
        for name in ["", ",a=b", "[a=b]", "#", ";"] {
            check(name, "", None, Err(EmptyName));
        }
    }
}
