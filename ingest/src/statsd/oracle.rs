//! The slow, obvious twin of the line parser: texts, maps, one rule after another.

use std::collections::BTreeMap;

use orzo_model::DropReason::{self, *};
use orzo_model::{Flags, Kind, Profile, Sample, SeriesIds};

use super::event::{Event, ServiceCheck};
use crate::limits::{METRIC_CHARS_MAX, RATE_MIN, RESOURCE_CHARS_MAX, TAGS_MAX, UNIT_CHARS_MAX};

pub(super) type TagMap = BTreeMap<String, String>;

/// A metric line, taken apart.
#[derive(Debug)]
pub(super) struct Metric {
    pub(super) name: String,
    pub(super) groups: Vec<Group>,
}

#[derive(Debug)]
pub(super) struct Group {
    pub(super) wire_type: String,
    pub(super) rate: f64,
    pub(super) tags: TagMap,
    pub(super) timestamp: Option<u64>,
    pub(super) container: Option<String>,
    pub(super) external: Option<String>,
    pub(super) cardinality: Option<String>,
    pub(super) values: Vec<String>,
    pub(super) packed: bool,
    /// Whether there was a `#` field.
    tagged: bool,
    /// What rides along, and what of it is the identity.
    pub(super) name: (String, String),
}

#[derive(Debug)]
pub(super) enum Line {
    Empty,
    Metric(Metric),
    Event,
    Check,
}

pub(super) fn parse(line: &str, profile: Profile) -> Result<Line, DropReason> {
    let line = line.strip_suffix('\r').unwrap_or(line).trim_matches([' ', '\t']);
    if line.is_empty() {
        return Ok(Line::Empty);
    }
    if line.starts_with("_e{") {
        return Event::read(line.as_bytes()).map(|_| Line::Event);
    }
    if line.starts_with("_sc|") {
        return ServiceCheck::read(line.as_bytes()).map(|_| Line::Check);
    }
    metric(line, profile).map(Line::Metric)
}

fn metric(line: &str, profile: Profile) -> Result<Metric, DropReason> {
    let (name, mut rest) = line.split_once(':').ok_or(NoColon)?;
    let (name, name_tags) = cut_name(name);
    if name.is_empty() {
        return Err(EmptyName);
    }
    let mut groups = Vec::new();
    loop {
        bounded(&name_tags)?;
        let (values, fields, next) = cut_group(rest)?;
        groups.push(group(&name, &name_tags, values, &fields, profile)?);
        match next {
            Some(next) => rest = next,
            None => return Ok(Metric { name, groups }),
        }
    }
}

fn cut_name(text: &str) -> (String, TagMap) {
    if let Some((head, rest)) = text.split_once('[')
        && let Some((tags, tail)) = rest.split_once(']')
    {
        return (format!("{head}{tail}"), name_tags(tags.split(',')));
    }
    match text.split_once([',', '#', ';']) {
        Some((head, tags)) => (head.to_owned(), name_tags(tags.split([',', ';']))),
        None => (text.to_owned(), TagMap::new()),
    }
}

fn name_tags<'a>(items: impl Iterator<Item = &'a str>) -> TagMap {
    let pair = |item: &'a str| item.split_once('=').unwrap_or((item, ""));
    items.filter(|item| !item.is_empty()).map(pair).map(owned).collect()
}

fn owned((key, value): (&str, &str)) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

fn bounded(tags: &TagMap) -> Result<(), DropReason> {
    if tags.len() > TAGS_MAX { Err(TooManyTags) } else { Ok(()) }
}

/// Values, then type and fields, then the text of the next group.
fn cut_group(text: &str) -> Result<(&str, Vec<&str>, Option<&str>), DropReason> {
    let (values, mut rest) = text.split_once('|').ok_or(NoType)?;
    let mut fields = Vec::new();
    loop {
        let may_end = fields.is_empty() || rest.starts_with('@');
        let end = rest.find(|c| c == '|' || (may_end && c == ':')).unwrap_or(rest.len());
        fields.push(&rest[..end]);
        match rest[end..].chars().next() {
            None => return Ok((values, fields, None)),
            Some(':') => return Ok((values, fields, Some(&rest[end + 1..]))),
            Some(_) => rest = &rest[end + 1..],
        }
    }
}

fn group(
    name: &str,
    name_tags: &TagMap,
    values: &str,
    fields: &[&str],
    profile: Profile,
) -> Result<Group, DropReason> {
    let wire_type = fields[0].trim_matches([' ', '\t']);
    if !["c", "m", "g", "kv", "ms", "h", "d", "s"].contains(&wire_type) {
        return Err(BadType);
    }
    let mut group = Group {
        wire_type: wire_type.to_owned(),
        rate: 1.0,
        tags: name_tags.clone(),
        timestamp: None,
        container: None,
        external: None,
        cardinality: None,
        values: Vec::new(),
        packed: false,
        tagged: false,
        name: Default::default(),
    };
    for field in &fields[1..] {
        read_field(&mut group, field)?;
    }
    group.name = ride_along(name, &group, profile)?;
    read_values(&mut group, values)?;
    Ok(group)
}

fn read_field(group: &mut Group, field: &str) -> Result<(), DropReason> {
    if let Some(text) = field.strip_prefix('@') {
        let rate = number(text.trim_matches([' ', '\t'])).filter(|rate| *rate > 0.0).ok_or(BadRate)?;
        if rate < RATE_MIN {
            return Err(BadRate);
        }
        group.rate = rate.min(1.0);
    } else if let Some(text) = field.strip_prefix('#') {
        group.tagged = true;
        let pair = |item| str::split_once(item, ':').unwrap_or((item, ""));
        for item in text.split(',').filter(|item| !item.is_empty()) {
            let (key, value) = owned(pair(item));
            group.tags.insert(key, value);
            bounded(&group.tags)?;
        }
    } else if let Some(text) = field.strip_prefix('T') {
        let text = text.trim_matches([' ', '\t']);
        let whole = !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
        let value = text.parse().unwrap_or(u64::MAX);
        group.timestamp = Some(Some(value).filter(|value| whole && *value > 0).ok_or(BadTimestamp)?);
    } else if let Some(text) = field.strip_prefix("c:") {
        group.container = Some(text.to_owned());
    } else if let Some(text) = field.strip_prefix("e:") {
        group.external = Some(text.to_owned());
    } else if let Some(text) = field.strip_prefix("card:") {
        group.cardinality = Some(text.to_owned());
    }
    Ok(())
}

fn read_values(group: &mut Group, text: &str) -> Result<(), DropReason> {
    let items: Vec<&str> = if group.wire_type == "s" { vec![text] } else { text.split(':').collect() };
    group.packed = items.len() > 1;
    for item in items.iter().map(|item| item.trim_matches([' ', '\t'])).filter(|item| !item.is_empty()) {
        if group.wire_type != "s" {
            let value = number(item).ok_or(BadValue)?;
            if group.wire_type == "ms" && value < 0.0 {
                return Err(NegativeTimer);
            }
            if ["c", "m"].contains(&group.wire_type.as_str()) && !(value / group.rate).is_finite() {
                return Err(BadRate);
            }
        }
        group.values.push(item.to_owned());
    }
    if group.values.is_empty() { Err(BadValue) } else { Ok(()) }
}

/// The name that rides along (resource tag: `host`), and the part of it that is the identity.
fn ride_along(name: &str, group: &Group, profile: Profile) -> Result<(String, String), DropReason> {
    ride_along_with(&[], name, group.tags.clone(), group.kind(profile), profile)
}

/// The same where these tags become attributes.
pub(super) fn ride_along_with(
    attribute_tags: &[&str],
    name: &str,
    mut tags: TagMap,
    kind: Kind,
    profile: Profile,
) -> Result<(String, String), DropReason> {
    let clean = |text: &str| text.replace(['/', '\0'], "_");
    let is_chosen = |key: &str, value: &str| attribute_tags.contains(&key) && !value.is_empty();
    let chosen = tags.iter().filter(|(key, value)| is_chosen(key, value));
    let text = chosen.map(|(key, value)| clean(&format!("{key}={value}"))).collect::<Vec<_>>().join(",");
    let attributes = Some(text).filter(|text| (1..=RESOURCE_CHARS_MAX).contains(&text.chars().count()));
    if attributes.is_some() {
        tags.retain(|key, value| !is_chosen(key, value));
    }
    let mut take = |key: &str, chars_max: usize| {
        let fits = tags.get(key).is_some_and(|value| (1..=chars_max).contains(&value.chars().count()));
        if fits { tags.remove(key).map(|value| clean(&value)) } else { None }
    };
    let resource = attributes.or_else(|| take("host", RESOURCE_CHARS_MAX));
    let resource = resource.map_or(String::new(), |text| text + "\0");
    let unit = take("unit", UNIT_CHARS_MAX).map_or(String::new(), |text| "\0".to_owned() + &text);
    let items: Vec<String> = tags.iter().map(|(key, value)| clean(&format!("{key}={value}"))).collect();
    let mut metric = clean(name);
    if !items.is_empty() {
        metric += &format!("@{}", items.join(","));
    }
    if profile == Profile::Gnocchi {
        metric += &format!("|{}", kind.wire_type());
    }
    if metric.chars().count() > METRIC_CHARS_MAX {
        return Err(NameTooLong);
    }
    let identity = resource + &metric;
    Ok((identity.clone() + &unit, identity))
}

impl Group {
    pub(super) fn kind(&self, profile: Profile) -> Kind {
        match self.wire_type.as_str() {
            "c" | "m" if self.has_time(profile) => Kind::CounterAt,
            "c" | "m" => Kind::Counter,
            "g" | "kv" => Kind::Gauge,
            "ms" => Kind::Timer,
            "h" => Kind::Histogram,
            "d" => Kind::Distribution,
            _ => Kind::Set,
        }
    }

    /// Whether its time means anything.
    pub(super) fn has_time(&self, profile: Profile) -> bool {
        let takes_times = ["c", "m", "g", "kv"].contains(&self.wire_type.as_str());
        self.timestamp.is_some() && takes_times && profile == Profile::Native
    }

    fn is_dogstatsd(&self) -> bool {
        let fields = [&self.container, &self.external, &self.cardinality];
        self.packed || self.tagged || self.timestamp.is_some() || fields.into_iter().any(Option::is_some)
    }
}

/// The samples of a line, with their names.
pub(super) fn samples(metric: &Metric, profile: Profile, ids: SeriesIds) -> Vec<(Sample, String)> {
    let is_dogstatsd = metric.groups.iter().any(Group::is_dogstatsd);
    let of_group = |group: &Group| -> Vec<(Sample, String)> {
        let kind = group.kind(profile);
        let (name, identity) = group.name.clone();
        let separators = |text: &str| text.matches('\0').count();
        let base = Flags::HAS_TIME
            .when(group.has_time(profile))
            .with(Flags::GNOCCHI.when(profile == Profile::Gnocchi))
            .with(Flags::HAS_RESOURCE.when(separators(&identity) > 0))
            .with(Flags::HAS_UNIT.when(separators(&name) > separators(&identity)));
        let aux = match kind {
            Kind::Counter | Kind::Timer | Kind::Histogram | Kind::Distribution => {
                (group.rate * 1e9).round() as u32
            }
            _ if group.has_time(profile) => group.timestamp.unwrap().min(u64::from(u32::MAX)) as u32,
            _ => 0,
        };
        let value = |text: &String| match kind {
            Kind::Set => ids.member(text.as_bytes()),
            Kind::CounterAt => (number(text).unwrap() / group.rate).to_bits(),
            _ => number(text).unwrap().to_bits(),
        };
        let id = ids.id(kind, base, identity.as_bytes());
        let sample = |text: &String| {
            let signed = group.wire_type == "g" && text.starts_with(['+', '-']);
            let flags = base.with(Flags::SIGNED.when(signed)).with(Flags::DOGSTATSD.when(is_dogstatsd));
            let name_len = u16::try_from(name.len()).unwrap();
            (Sample { id, value: value(text), aux, name_len, kind, flags }, name.clone())
        };
        group.values.iter().map(sample).collect()
    };
    metric.groups.iter().flat_map(of_group).collect()
}

fn number(text: &str) -> Option<f64> {
    let is_decimal = text.chars().all(|c| c.is_ascii_digit() || "+-.eE".contains(c));
    text.parse().ok().filter(|value: &f64| is_decimal && value.is_finite())
}
