//! Metric lines: the grammar's heart. A line is collected whole, then handed on, or not at all.

use orzo_model::DropReason::{self, BadRate, BadValue, NegativeTimer};
use orzo_model::{Flags, Kind, Profile, Sample, SeriesIds};

use super::group::Group;
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
}

/// Reads metric lines; keeps the buffers between them.
pub(super) struct MetricLines {
    ids: SeriesIds,
    naming: Naming,
    /// What the line holds so far.
    samples: Vec<(Sample, Place)>,
    /// Names that had to be put together.
    names: Vec<u8>,
}

impl MetricLines {
    pub(super) fn new(naming: Naming) -> Self {
        MetricLines { ids: SeriesIds::new(naming.salt), naming, samples: Vec::new(), names: Vec::new() }
    }

    /// How names become ids.
    #[inline]
    pub(super) fn ids(&self) -> &SeriesIds {
        &self.ids
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
        sink: &mut impl Sink,
    ) -> Result<(Kind, usize), DropReason> {
        let mut name = Name::default();
        let rest = name.split(line)?;
        self.samples.clear();
        self.names.clear();
        let mut tags = Tags::default();
        let mut shared = Flags::NONE;
        let mut next = Some(rest);
        while let Some(text) = next {
            name.tags_into(&mut tags)?;
            let (group, after) = Group::read(text, &mut tags)?;
            let (template, place) = self.template(profile, &name, &tags, &group)?;
            let is_packed = self.values(&group, template, place)?;
            shared = shared.with(Flags::DOGSTATSD.when(group.dogstatsd || is_packed));
            next = after;
        }
        self.hand_on(line, shared, sink);
        Ok((self.samples[0].0.kind, self.samples.len()))
    }

    /// What all samples of a group have in common, and where their name is.
    #[inline(always)]
    fn template(
        &mut self,
        profile: Profile,
        name: &Name<'_>,
        tags: &Tags<'_>,
        group: &Group<'_>,
    ) -> Result<(Sample, Place), DropReason> {
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
        let sample = |id, flags, name_len: usize| Sample {
            id,
            value: 0,
            aux,
            name_len: u16::try_from(name_len).expect("limits.rs bounds names that ride along"),
            kind,
            flags,
        };
        if is_native
            && tags.is_empty()
            && let Some(written) = name.as_written()
        {
            return Ok((sample(self.ids.id(kind, flags, written), flags, written.len()), Place::Line));
        }
        let start = self.names.len();
        let suffix = (!is_native).then_some(kind);
        let composed = name::compose(&mut self.names, name, tags, &self.naming, suffix)?;
        let flags = flags.with(composed.flags);
        let id = self.ids.id(kind, flags, &self.names[start..start + composed.identity_len]);
        Ok((sample(id, flags, composed.len), Place::Composed(start)))
    }

    /// Collects the values of a group. True if they were packed: several in one place.
    #[inline(always)]
    fn values(&mut self, group: &Group<'_>, template: Sample, place: Place) -> Result<bool, DropReason> {
        let mut collect = |value, sign| {
            let flags = template.flags.with(sign);
            self.samples.push((Sample { value, flags, ..template }, place));
        };
        if group.kind == Kind::Set {
            let member = trim(group.values);
            if member.is_empty() {
                return Err(BadValue);
            }
            collect(self.ids.member(member), Flags::NONE);
            return Ok(false);
        }
        let mut items = group.values.split(|&byte| byte == b':');
        let mut count = 0;
        let mut is_empty = true;
        for item in items.by_ref().map(trim) {
            count += 1;
            if let Some(&first) = item.first() {
                let sign = Flags::SIGNED.when(group.signs && matches!(first, b'+' | b'-'));
                collect(value(group, template.kind, item)?.to_bits(), sign);
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
            };
            sink.push(&Sample { flags: sample.flags.with(shared), ..*sample }, name);
        }
    }
}

/// One value. Of a counter with a time it is divided by the rate; of others the shard does that.
#[inline]
fn value(group: &Group<'_>, kind: Kind, text: &[u8]) -> Result<f64, DropReason> {
    let number = number::decimal(text).ok_or(BadValue)?;
    match group.kind {
        Kind::Timer if number < 0.0 => Err(NegativeTimer),
        Kind::Counter if group.rate < 1.0 => {
            let scaled = number / group.rate;
            match (scaled.is_finite(), kind) {
                (false, _) => Err(BadRate),
                (true, Kind::CounterAt) => Ok(scaled),
                (true, _) => Ok(number),
            }
        }
        _ => Ok(number),
    }
}
