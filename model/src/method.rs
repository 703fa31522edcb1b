//! Aggregation methods: the 108 plain ones, each also as a rate.

use std::fmt;

/// Methods without the `rate:` prefix: nine named ones and 99 percentiles.
const PLAIN: u8 = 108;
const NAMES: [&str; 9] = ["mean", "sum", "last", "max", "min", "std", "median", "first", "count"];

/// What a [`Method`] computes over the values of one bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Formula {
    /// `sum / n`.
    Mean,
    /// Left to right, from 0.
    Sum,
    /// The value with the greatest timestamp.
    Last,
    /// NaN if any value is.
    Max,
    /// Ignores NaN.
    Min,
    /// Sample deviation, absent for a single value.
    Std,
    /// Average of the two middles.
    Median,
    /// The value with the smallest timestamp.
    First,
    /// How many.
    Count,
    /// 1 to 99, linear interpolation.
    Percentile(u8),
}

/// An aggregation method, one of 216.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Method(u8);

impl Method {
    /// How many methods there are.
    pub const COUNT: usize = 2 * PLAIN as usize;
    /// `mean`, the default of reads.
    pub const MEAN: Method = Method(0);
    /// `sum`.
    pub const SUM: Method = Method(1);
    /// `last`.
    pub const LAST: Method = Method(2);
    /// `max`.
    pub const MAX: Method = Method(3);
    /// `min`.
    pub const MIN: Method = Method(4);
    /// `std`.
    pub const STD: Method = Method(5);
    /// `median`.
    pub const MEDIAN: Method = Method(6);
    /// `first`.
    pub const FIRST: Method = Method(7);
    /// `count`.
    pub const COUNT_OF: Method = Method(8);

    /// The method of this name (`mean`, `95pct`, `rate:max`, …).
    pub fn parse(name: &str) -> Option<Self> {
        if let Some(plain) = name.strip_prefix("rate:") {
            return Self::parse_plain(plain).map(|m| Method(m.0 + PLAIN));
        }
        Self::parse_plain(name)
    }

    fn parse_plain(name: &str) -> Option<Self> {
        if let Some(index) = NAMES.iter().position(|known| *known == name) {
            return Some(Method(index as u8));
        }
        let digits = name.strip_suffix("pct")?;
        let canonical = !digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit());
        match digits.parse::<u8>() {
            Ok(percent @ 1..=99) if canonical => Some(Self::percentile(percent)),
            _ => None,
        }
    }

    const fn percentile(percent: u8) -> Self {
        Method(NAMES.len() as u8 - 1 + percent)
    }

    /// Position among all methods, also its number on disk.
    pub const fn index(self) -> u8 {
        self.0
    }

    /// The method at a position; `None` past the last.
    pub const fn from_index(index: u8) -> Option<Self> {
        if (index as usize) < Self::COUNT { Some(Method(index)) } else { None }
    }

    /// All 216.
    pub fn all() -> impl Iterator<Item = Method> {
        (0..Self::COUNT as u8).map(Method)
    }

    /// Whether it is computed over differences.
    pub const fn is_rate(self) -> bool {
        self.0 >= PLAIN
    }

    /// What it computes, over values or over differences.
    pub const fn formula(self) -> Formula {
        match self.0 % PLAIN {
            0 => Formula::Mean,
            1 => Formula::Sum,
            2 => Formula::Last,
            3 => Formula::Max,
            4 => Formula::Min,
            5 => Formula::Std,
            6 => Formula::Median,
            7 => Formula::First,
            8 => Formula::Count,
            percentile => Formula::Percentile(percentile - (NAMES.len() as u8 - 1)),
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_rate() {
            f.write_str("rate:")?;
        }
        match self.formula() {
            Formula::Percentile(percent) => write!(f, "{percent}pct"),
            _ => f.write_str(NAMES[(self.0 % PLAIN) as usize]),
        }
    }
}

impl fmt::Debug for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A set of methods.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct MethodSet([u64; 4]);

impl MethodSet {
    /// No method.
    pub const EMPTY: MethodSet = MethodSet([0; 4]);

    /// Adds one.
    pub fn insert(&mut self, method: Method) {
        self.0[method.0 as usize / 64] |= 1 << (method.0 % 64);
    }

    /// Takes one out.
    pub fn remove(&mut self, method: Method) {
        self.0[method.0 as usize / 64] &= !(1 << (method.0 % 64));
    }

    /// Whether it is in the set.
    pub const fn contains(&self, method: Method) -> bool {
        self.0[method.0 as usize / 64] & (1 << (method.0 % 64)) != 0
    }

    /// In order of [`Method::index`].
    pub fn iter(&self) -> impl Iterator<Item = Method> + '_ {
        Method::all().filter(|method| self.contains(*method))
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0 == [0; 4]
    }

    /// Whether any is a rate.
    pub const fn has_rate(&self) -> bool {
        self.meets(&RATES)
    }

    /// Those of them that are rates (`true`) or are not.
    pub fn only(&self, rates: bool) -> MethodSet {
        self.iter().filter(|method| method.is_rate() == rates).collect()
    }

    /// Whether any needs the values themselves: the median or a percentile.
    pub const fn needs_values(&self) -> bool {
        self.meets(&ORDERED)
    }

    const fn meets(&self, other: &MethodSet) -> bool {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, other.0);
        (a & e) | (b & f) | (c & g) | (d & h) != 0
    }
}

/// Asked on the way of every sample, so kept as masks.
const RATES: MethodSet = select(true, false);
const ORDERED: MethodSet = select(false, true);

const fn select(rates: bool, ordered: bool) -> MethodSet {
    let mut set = MethodSet::EMPTY;
    let mut index = 0;
    while index < Method::COUNT as u8 {
        let method = Method(index);
        let is_ordered = matches!(method.formula(), Formula::Median | Formula::Percentile(_));
        if (rates && method.is_rate()) || (ordered && is_ordered) {
            set.0[index as usize / 64] |= 1 << (index % 64);
        }
        index += 1;
    }
    set
}

impl FromIterator<Method> for MethodSet {
    fn from_iter<I: IntoIterator<Item = Method>>(methods: I) -> Self {
        let mut set = MethodSet::EMPTY;
        methods.into_iter().for_each(|method| set.insert(method));
        set
    }
}

impl fmt::Debug for MethodSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for method in Method::all() {
            assert_eq!(Method::parse(&method.to_string()), Some(method));
        }
        for bad in ["", "0pct", "100pct", "05pct", "+5pct", "rate:", "rate:rate:mean", "Mean"] {
            assert_eq!(Method::parse(bad), None, "{bad}");
        }
        assert_eq!(Method::parse("99pct").unwrap().formula(), Formula::Percentile(99));
        assert_eq!(Method::parse("rate:1pct").unwrap().formula(), Formula::Percentile(1));
    }

    #[test]
    fn sets_hold_what_was_put_in() {
        let all: MethodSet = Method::all().collect();
        assert_eq!(all.len(), Method::COUNT);
        let mut set: MethodSet = [Method::MEAN, Method::parse("rate:99pct").unwrap()].into_iter().collect();
        assert!(set.has_rate() && set.needs_values());
        set.remove(Method::parse("rate:99pct").unwrap());
        assert!(!set.has_rate() && !set.needs_values() && set.contains(Method::MEAN));
    }
}
