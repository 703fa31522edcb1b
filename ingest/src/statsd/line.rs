//! Metric lines: the grammar's heart. A line is collected whole, then handed on, or not at all.

use memchr::memchr;
use orzo_model::DropReason::{self, BadRate, BadValue, NegativeTimer, NoColon};
use orzo_model::{Flags, Kind, Profile, Sample, SeriesIds};

use super::group::Group;
use super::memo::{Key, Memo};
use super::name::{self, Name};
use super::tags::Tags;
use super::{Naming, Sink, number, trim};

/// Where the name of a collected sample is.
#[derive(Clone, Copy)]
enum Place {
    /// At the start of the line, as written.
    Line,
    /// At this offset among the composed names.
    Composed(usize),
    /// At this offset in what is known.
    Known(usize),
}

/// What all samples of a group have in common.
#[derive(Clone, Copy)]
pub(super) struct Common {
    /// All but the value.
    pub(super) sample: Sample,
    /// In (0, 1].
    pub(super) rate: f64,
    /// Whether a sign in the values' text means anything.
    pub(super) signs: bool,
}

impl Common {
    /// The value if it is one number without a sign, of few digits: neither a rate nor a type makes that a fault.
    #[inline(always)]
    fn short_number(&self, text: &[u8]) -> Option<f64> {
        let is_unsigned = text.first().is_some_and(u8::is_ascii_digit) && self.sample.kind != Kind::Set;
        if is_unsigned { number::short(text) } else { None }
    }
}

/// Reads metric lines; keeps the buffers between them.
pub(super) struct MetricLines {
    ids: SeriesIds,
    naming: Naming,
    /// What the line holds so far.
    samples: Vec<(Sample, Place)>,
    /// Names that had to be put together.
    names: Vec<u8>,
    memo: Memo,
}

impl MetricLines {
    pub(super) fn new(naming: Naming) -> Self {
        let (ids, memo) = (SeriesIds::new(naming.salt), Memo::new(naming.salt));
        MetricLines { ids, naming, samples: Vec::new(), names: Vec::new(), memo }
    }

    /// How names become ids.
    #[inline]
    pub(super) fn ids(&self) -> &SeriesIds {
        &self.ids
    }

    /// By which a line may be known.
    #[inline]
    pub(super) fn key<'a>(&self, profile: Profile, line: &'a [u8]) -> Option<Key<'a>> {
        let (name, rest) = split(line)?;
        self.memo.key(profile, name, rest)
    }

    /// Brings what is known of lines near, before they are read.
    #[inline]
    pub(super) fn bring_near<'a>(&self, keys: impl Iterator<Item = &'a Key<'a>>) {
        self.memo.bring_near(keys);
    }

    /// Reads one line of valid UTF-8 and pushes its samples, all or none. Returns the kind of the first
    /// one and how many there were.
    ///
    /// Of several faults the leftmost thing to fail counts: name, then of each group its type, its fields,
    /// the name with its tags, its values.
    #[inline]
    pub(super) fn read(
        &mut self,
        profile: Profile,
        line: &[u8],
        key: Option<&Key<'_>>,
        sink: &mut impl Sink,
    ) -> Result<(Kind, usize), DropReason> {
        self.samples.clear();
        if let Some(key) = key
            && let Some((common, at)) = self.memo.find(key)
        {
            if let Some(number) = common.short_number(key.values) {
                let sample = Sample { value: number.to_bits(), ..common.sample };
                sink.push(&sample, &self.memo.name(at)[..usize::from(sample.name_len)]);
                return Ok((sample.kind, 1));
            }
            let is_packed = self.values(key.values, &common, Place::Known(at))?;
            self.hand_on(line, Flags::DOGSTATSD.when(is_packed), sink);
        } else {
            let (name, rest) = split(line).ok_or(NoColon)?;
            let shared = self.collect(profile, name, rest, key)?;
            self.hand_on(line, shared, sink);
        }
        Ok((self.samples[0].0.kind, self.samples.len()))
    }

    /// The long way: collects the samples of a line that is not known. Returns flags that all of them have.
    fn collect(
        &mut self,
        profile: Profile,
        name: &[u8],
        rest: &[u8],
        key: Option<&Key<'_>>,
    ) -> Result<Flags, DropReason> {
        self.names.clear();
        let mut parts = Name::default();
        parts.read(name)?;
        let mut tags = Tags::default();
        let mut shared = Flags::NONE;
        let mut next = Some(rest);
        while let Some(text) = next {
            parts.tags_into(&mut tags)?;
            let (group, after) = Group::read(text, &mut tags)?;
            let (common, place) = self.template(profile, &parts, &tags, &group)?;
            let is_packed = self.values(group.values, &common, place)?;
            shared = shared.with(Flags::DOGSTATSD.when(group.dogstatsd || is_packed));
            let is_alone = after.is_none() && text.len() == rest.len();
            if let (Some(key), None, true) = (key, group.seconds, is_alone) {
                let composed = |at| &self.names[at..at + usize::from(common.sample.name_len)];
                self.memo.insert(
                    key,
                    &common,
                    if let Place::Composed(at) = place { composed(at) } else { name },
                );
            }
            next = after;
        }
        Ok(shared)
    }

    /// What all samples of a group have in common, and where their name is.
    #[inline(always)]
    fn template(
        &mut self,
        profile: Profile,
        name: &Name<'_>,
        tags: &Tags<'_>,
        group: &Group<'_>,
    ) -> Result<(Common, Place), DropReason> {
        let is_native = profile == Profile::Native;
        // The reference's profile knows arrival times only.
        let seconds = group.seconds.filter(|_| is_native);
        let (kind, time, aux) = match (group.kind, seconds) {
            (Kind::Counter, Some(seconds)) => (Kind::CounterAt, Flags::HAS_TIME, seconds),
            (Kind::Gauge, Some(seconds)) => (Kind::Gauge, Flags::HAS_TIME, seconds),
            (kind @ (Kind::Gauge | Kind::Set), _) => (kind, Flags::NONE, 0),
            (kind, _) => (kind, Flags::NONE, group.rate_billionths),
        };
        let flags = time.with(Flags::GNOCCHI.when(!is_native));
        let flags = flags.with(Flags::DOGSTATSD.when(group.dogstatsd));
        let common = |id, flags, name_len: usize| {
            let name_len = u16::try_from(name_len).expect("limits.rs bounds names that ride along");
            let sample = Sample { id, value: 0, aux, name_len, kind, flags };
            Common { sample, rate: group.rate, signs: group.signs }
        };
        if is_native
            && tags.is_empty()
            && let Some(written) = name.as_written()
        {
            return Ok((common(self.ids.id(kind, flags, written), flags, written.len()), Place::Line));
        }
        let start = self.names.len();
        let suffix = (!is_native).then_some(kind);
        let composed = name::compose(&mut self.names, name, tags, &self.naming, suffix)?;
        let flags = flags.with(composed.flags);
        let id = self.ids.id(kind, flags, &self.names[start..start + composed.identity_len]);
        Ok((common(id, flags, composed.len), Place::Composed(start)))
    }

    /// Collects the values of a group. True if they were packed: several in one place.
    #[inline(always)]
    fn values(&mut self, text: &[u8], common: &Common, place: Place) -> Result<bool, DropReason> {
        let template = common.sample;
        let mut collect = |value, sign| {
            let flags = template.flags.with(sign);
            self.samples.push((Sample { value, flags, ..template }, place));
        };
        if template.kind == Kind::Set {
            let member = trim(text);
            if member.is_empty() {
                return Err(BadValue);
            }
            collect(self.ids.member(member), Flags::NONE);
            return Ok(false);
        }
        let mut items = text.split(|&byte| byte == b':');
        let mut count = 0;
        let mut is_empty = true;
        for item in items.by_ref().map(trim) {
            count += 1;
            if let Some(&first) = item.first() {
                let sign = Flags::SIGNED.when(common.signs && matches!(first, b'+' | b'-'));
                collect(value(common, item)?.to_bits(), sign);
                is_empty = false;
            }
        }
        if is_empty { Err(BadValue) } else { Ok(count > 1) }
    }

    /// Pushes what was collected.
    #[inline]
    fn hand_on(&self, line: &[u8], shared: Flags, sink: &mut impl Sink) {
        for (sample, place) in &self.samples {
            let len = usize::from(sample.name_len);
            let name = match *place {
                Place::Line => &line[..len],
                Place::Composed(at) => &self.names[at..at + len],
                Place::Known(at) => &self.memo.name(at)[..len],
            };
            sink.push(&Sample { flags: sample.flags.with(shared), ..*sample }, name);
        }
    }
}

/// What stands before the first `:` of a line, and what behind it.
#[inline]
fn split(line: &[u8]) -> Option<(&[u8], &[u8])> {
    memchr(b':', line).map(|colon| (&line[..colon], &line[colon + 1..]))
}

/// One value. Of a counter with a time it is divided by the rate; of others the shard does that.
#[inline]
fn value(common: &Common, text: &[u8]) -> Result<f64, DropReason> {
    let number = number::decimal(text).ok_or(BadValue)?;
    match common.sample.kind {
        Kind::Timer if number < 0.0 => Err(NegativeTimer),
        kind @ (Kind::Counter | Kind::CounterAt) if common.rate < 1.0 => {
            let scaled = number / common.rate;
            match (scaled.is_finite(), kind) {
                (false, _) => Err(BadRate),
                (true, Kind::CounterAt) => Ok(scaled),
                (true, _) => Ok(number),
            }
        }
        _ => Ok(number),
    }
}
