//! What is sent: series, their names and types, and datagrams rendered ahead of time.
//!
//! Each sender has series and datagrams of its own, so that the order of a series' lines is the order of one socket.

use std::fmt::Write as _;
use std::str::FromStr;

use super::error::Error;

/// Largest payload of a UDP datagram over IPv4.
const DATAGRAM_BYTES_MAX: usize = 65_507;

/// Fewest datagrams in a pool, so that values vary.
const POOL_DATAGRAMS_MIN: usize = 1024;

/// Most series: what fits in memory as rendered text.
const SERIES_MAX: u32 = 20_000_000;

/// Values are below this, so that all sums are exact in an `f64`.
const VALUES: u64 = 1000;

/// Keys of tags, in order, as the stored name has them.
const TAGS: [&str; 5] = ["az", "env", "region", "service", "team"];

/// Type of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Timer,
    Histogram,
    Distribution,
    Set,
}

impl Kind {
    const ALL: [Kind; 6] =
        [Kind::Counter, Kind::Gauge, Kind::Timer, Kind::Histogram, Kind::Distribution, Kind::Set];

    /// As on the wire.
    fn wire(self) -> &'static str {
        ["c", "g", "ms", "h", "d", "s"][self as usize]
    }

    /// What such a series is called in a realistic name.
    fn word(self) -> &'static str {
        ["count", "level", "latency", "size", "spread", "users"][self as usize]
    }

    /// Whether a rate means anything to it.
    fn is_sampled(self) -> bool {
        !matches!(self, Kind::Gauge | Kind::Set)
    }
}

/// Shares of the types, read from text such as `c=70,ms=20,g=9,s=1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mix {
    shares: Vec<(Kind, u64)>,
    total: u64,
}

impl FromStr for Mix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let shares = text.split(',').map(share).collect::<Result<Vec<_>, _>>()?;
        let total = shares.iter().map(|(_, weight)| weight).sum();
        if total == 0 { Err("all shares are 0".into()) } else { Ok(Mix { shares, total }) }
    }
}

fn share(text: &str) -> Result<(Kind, u64), String> {
    let (name, weight) = text.split_once('=').unwrap_or((text, "1"));
    let kind = Kind::ALL.into_iter().find(|kind| kind.wire() == name.trim());
    let kind = kind.ok_or_else(|| format!("\"{name}\" is none of c, g, ms, h, d, s"))?;
    let weight = weight.trim().parse::<u32>().map_err(|_| format!("\"{weight}\" is no share"))?;
    Ok((kind, u64::from(weight)))
}

impl Mix {
    fn kind_of(&self, mut ticket: u64) -> Kind {
        ticket %= self.total;
        for (kind, weight) in &self.shares {
            if ticket < *weight {
                return *kind;
            }
            ticket -= weight;
        }
        unreachable!("a ticket is below the total of the shares")
    }
}

/// What the lines look like.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Distinct series; at least 1.
    pub series: u32,
    /// Lines in a datagram; at least 1.
    pub lines_per_datagram: usize,
    /// Types of the series.
    pub mix: Mix,
    /// DogStatsD tags on each line, 0 to 5.
    pub tags: usize,
    /// Counters and timers claim to be one in so many; 1: no rate on the line.
    pub one_in: u32,
    /// First part of every name.
    pub prefix: String,
    /// Decides values, order and types.
    pub seed: u64,
}

impl Shape {
    /// Type of a series.
    pub(super) fn kind(&self, series: u32) -> Kind {
        self.mix.kind_of(mixed(self.seed ^ u64::from(series)))
    }

    /// What one line of this series stands for.
    pub(super) fn weight(&self, series: u32) -> u64 {
        if self.kind(series).is_sampled() { u64::from(self.one_in) } else { 1 }
    }

    fn name(&self, series: u32) -> String {
        let (app, host, word) = (series % 17, series % 101, self.kind(series).word());
        format!("{}.app{app}.host{host}.svc.request.{word}.metric{series}", self.prefix)
    }

    fn tag(&self, series: u32, place: usize) -> (&'static str, String) {
        (TAGS[place], format!("{}{}", &TAGS[place][..1], mixed(u64::from(series) + place as u64) % 5))
    }

    /// The name under which the daemon stores it: tags sorted by key behind an `@`.
    pub(super) fn stored_name(&self, series: u32) -> String {
        let mut name = self.name(series);
        for place in 0..self.tags {
            let (key, value) = self.tag(series, place);
            let mark = if place == 0 { '@' } else { ',' };
            write!(name, "{mark}{key}={value}").expect("a string takes everything");
        }
        name
    }

    /// One line without its end.
    fn line(&self, series: u32, value: u16) -> String {
        let kind = self.kind(series);
        let member = if kind == Kind::Set { "u" } else { "" };
        let mut line = format!("{}:{member}{value}|{}", self.name(series), kind.wire());
        if self.weight(series) > 1 {
            write!(line, "|@{}", 1.0 / f64::from(self.one_in)).expect("a string takes everything");
        }
        for place in 0..self.tags {
            let (key, value) = self.tag(series, place);
            let mark = if place == 0 { "|#" } else { "," };
            write!(line, "{mark}{key}:{value}").expect("a string takes everything");
        }
        line
    }

    fn check(&self) -> Result<(), Error> {
        let wrong = |what: String| Err(Error::Options(what));
        if self.series == 0 || self.series > SERIES_MAX {
            return wrong(format!("the number of series must be 1 to {SERIES_MAX}"));
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if self.prefix.is_empty() || !self.prefix.bytes().all(plain) {
            return wrong("the prefix may have letters, digits, dots, dashes and underscores".into());
        }
        if self.lines_per_datagram == 0 {
            return wrong("a datagram needs a line".into());
        }
        if self.tags > TAGS.len() {
            return wrong(format!("at most {} tags", TAGS.len()));
        }
        if !(1..=1024).contains(&self.one_in) || !self.one_in.is_power_of_two() {
            return wrong("the sampling must be a power of two up to 1024, so that sums are exact".into());
        }
        Ok(())
    }
}

/// What one line says, for the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) series: u32,
    pub(super) value: u16,
}

/// Datagrams of one sender, sent round and round.
#[derive(Debug)]
pub(super) struct Pool {
    bytes: Vec<u8>,
    /// Where each datagram ends in `bytes`.
    ends: Vec<usize>,
    /// What each line says, `lines_per_datagram` for each datagram.
    slots: Vec<Slot>,
    lines_per_datagram: usize,
}

impl Pool {
    /// Number of datagrams.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Lines in each of them.
    pub(super) fn lines_per_datagram(&self) -> usize {
        self.lines_per_datagram
    }

    /// A run of datagrams as one piece.
    pub(super) fn run(&self, first: usize, count: usize) -> &[u8] {
        let start = if first == 0 { 0 } else { self.ends[first - 1] };
        &self.bytes[start..self.ends[first + count - 1]]
    }

    /// One datagram.
    pub(super) fn datagram(&self, index: usize) -> &[u8] {
        self.run(index, 1)
    }

    /// Makes all datagrams as long as the longest, by empty lines behind the others.
    pub(super) fn pad(&mut self) {
        let longest = (0..self.len()).map(|index| self.datagram(index).len()).max().unwrap_or(0);
        let mut padded = Vec::with_capacity(longest * self.len());
        for index in 0..self.len() {
            padded.extend_from_slice(self.datagram(index));
            padded.resize(longest * (index + 1), b'\n');
        }
        self.bytes = padded;
        self.ends = (1..=self.len()).map(|count| longest * count).collect();
    }

    /// What the lines of a datagram say.
    pub(super) fn slots(&self, index: usize) -> &[Slot] {
        &self.slots[index * self.lines_per_datagram..][..self.lines_per_datagram]
    }
}

/// Renders the datagrams of all senders. In streams every line has its end, in datagrams all but the last.
pub(super) fn render(shape: &Shape, senders: usize, stream: bool) -> Result<Vec<Pool>, Error> {
    shape.check()?;
    let senders = senders.clamp(1, shape.series as usize);
    (0..senders).map(|sender| render_pool(shape, sender as u32, senders, stream)).collect()
}

fn render_pool(shape: &Shape, sender: u32, senders: usize, stream: bool) -> Result<Pool, Error> {
    let mut random = Random(mixed(shape.seed ^ (u64::from(sender) << 32)));
    let mut order: Vec<u32> = (sender..shape.series).step_by(senders).collect();
    let per_datagram = shape.lines_per_datagram;
    let lines = order.len().next_multiple_of(per_datagram).max(POOL_DATAGRAMS_MIN * per_datagram);
    let mut pool = Pool {
        bytes: Vec::new(),
        ends: Vec::with_capacity(lines / per_datagram),
        slots: Vec::with_capacity(lines),
        lines_per_datagram: per_datagram,
    };
    for line in 0..lines {
        if line % order.len() == 0 {
            random.shuffle(&mut order);
        }
        let slot = Slot { series: order[line % order.len()], value: random.below(VALUES) as u16 };
        pool.bytes.extend_from_slice(shape.line(slot.series, slot.value).as_bytes());
        pool.slots.push(slot);
        let closes = (line + 1) % per_datagram == 0;
        if stream || !closes {
            pool.bytes.push(b'\n');
        }
        if closes {
            pool.ends.push(pool.bytes.len());
        }
    }
    let longest = (0..pool.len()).map(|index| pool.datagram(index).len()).max().unwrap_or(0);
    if !stream && longest > DATAGRAM_BYTES_MAX {
        return Err(Error::Options(format!(
            "{per_datagram} lines make a datagram of {longest} bytes, too large"
        )));
    }
    Ok(pool)
}

/// A step of splitmix64 (Steele, Lea, Flood 2014): any input gives well mixed bits.
fn mixed(input: u64) -> u64 {
    let mut bits = input.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// splitmix64 as a sequence.
struct Random(u64);

impl Random {
    /// The small bias of the remainder does not matter here.
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed(self.0) % bound
    }

    fn shuffle(&mut self, items: &mut [u32]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::collections::BTreeSet;

    pub(in crate::blast) fn shape(series: u32, mix: &str) -> Shape {
        Shape {
            series,
            lines_per_datagram: 5,
            mix: mix.parse().unwrap(),
            tags: 0,
            one_in: 1,
            prefix: "t".into(),
            seed: 7,
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes() {
        let mix = "c=3,ms=1";
        let one = render(&shape(20, mix), 2, false).unwrap();
        let same = render(&shape(20, mix), 2, false).unwrap();
        let other = render(&Shape { seed: 8, ..shape(20, mix) }, 2, false).unwrap();
        assert_eq!(one[1].bytes, same[1].bytes);
        assert_ne!(one[1].bytes, other[1].bytes);
    }

    #[test]
    fn each_series_belongs_to_one_sender_and_all_are_covered() {
        let pools = render(&shape(13, "c"), 4, false).unwrap();
        let owned: Vec<BTreeSet<u32>> =
            pools.iter().map(|pool| pool.slots.iter().map(|slot| slot.series).collect()).collect();
        assert_eq!(owned.iter().map(BTreeSet::len).sum::<usize>(), 13);
        assert_eq!(owned.iter().flatten().collect::<BTreeSet<_>>().len(), 13);
    }

    #[test]
    fn lines_say_what_the_slots_say() {
        let shape = Shape { tags: 2, one_in: 4, ..shape(9, "c,g,s,ms,h,d") };
        let pool = &render(&shape, 1, false).unwrap()[0];
        for index in [0, 1, pool.len() - 1] {
            let text = std::str::from_utf8(pool.datagram(index)).unwrap();
            let expected: Vec<String> =
                pool.slots(index).iter().map(|slot| shape.line(slot.series, slot.value)).collect();
            assert_eq!(text.split('\n').collect::<Vec<_>>(), expected);
        }
        let stream = &render(&shape, 1, true).unwrap()[0];
        assert_eq!(stream.run(0, 3).iter().filter(|byte| **byte == b'\n').count(), 15);
    }

    #[test]
    fn a_line_and_its_stored_name() {
        let shape = Shape { tags: 2, one_in: 4, ..shape(40, "ms") };
        let line = shape.line(3, 17);
        let (name, rest) = line.split_once(':').unwrap();
        assert_eq!(name, "t.app3.host3.svc.request.latency.metric3");
        assert!(rest.starts_with("17|ms|@0.25|#az:a"), "{rest}");
        let tags = rest.rsplit_once('#').unwrap().1.replace(':', "=");
        assert_eq!(shape.stored_name(3), format!("{name}@{tags}"));
    }

    #[test]
    fn shares_are_kept() {
        let shape = shape(10_000, "c=70,g=20,s=10");
        let count = |kind| (0..10_000).filter(|series| shape.kind(*series) == kind).count();
        for (kind, expected) in
            [(Kind::Counter, 7000), (Kind::Gauge, 2000), (Kind::Set, 1000), (Kind::Timer, 0)]
        {
            assert!(count(kind).abs_diff(expected) < 300, "{kind:?}: {}", count(kind));
        }
        for bad in ["", "x=1", "c=-1", "c=0", "c=1,,g=1"] {
            assert!(bad.parse::<Mix>().is_err(), "{bad}");
        }
    }

    #[test]
    fn what_cannot_be_sent_is_refused() {
        let refused = |shape: Shape| render(&shape, 1, false).is_err();
        assert!(refused(shape(0, "c")));
        assert!(refused(Shape { one_in: 3, ..shape(1, "c") }));
        assert!(refused(Shape { tags: 6, ..shape(1, "c") }));
        assert!(refused(Shape { prefix: "a:1|c".into(), ..shape(1, "c") }));
        assert!(refused(Shape { lines_per_datagram: 0, ..shape(1, "c") }));
        assert!(refused(Shape { lines_per_datagram: 5000, ..shape(1, "c") }));
    }
}
