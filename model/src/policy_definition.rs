//! From what a client writes about an archive policy to what it means: the arithmetic of definition
//! items, lists of aggregation methods, and the policies that exist from the start.
//!
//! The texts of [`DefinitionError`] are part of the API.

use crate::method::{Method, MethodSet};
use crate::policy::{ArchivePolicy, Item};
use crate::time::{Granularity, SECOND, Timestamp};

/// What is wrong with a definition.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DefinitionError {
    /// All three are given and contradict each other.
    #[error("timespan ≠ granularity × points")]
    Contradiction,
    /// The timespan is shorter than one bucket.
    #[error("Calculated number of points is < 0")]
    NoPoint,
    /// Only points, only a timespan, or nothing.
    #[error("At least two of granularity/points/timespan must be provided")]
    TooLittle,
    /// More points than nanoseconds in the timespan.
    #[error("Granularity should be > 0")]
    NoWidth,
    /// Zero points.
    #[error("Number of points should be > 0")]
    ZeroPoints,
    /// Longer than time itself lasts here.
    #[error("Timespan must not exceed 292 years")]
    TooLong,
    /// Two items have the same granularity.
    #[error("More than one archive policy uses granularity `{0:?}'")]
    Duplicate(f64),
    /// The signs of the method list take everything away.
    #[error("At least one aggregation method is required")]
    NoMethod,
    /// A change would add or drop a granularity.
    #[error("Cannot add or drop granularities")]
    CountChanged,
    /// A change would replace a granularity; the first current one that has no match, in seconds.
    #[error("{0:?} granularity interval was changed")]
    WidthChanged(f64),
}

/// One item as written; any two of the three determine it, and a granularity alone keeps all.
#[derive(Clone, Copy, Debug, Default)]
pub struct ItemDefinition {
    /// Width of the buckets.
    pub granularity: Option<Granularity>,
    /// How many.
    pub points: Option<u64>,
    /// How far back, in nanoseconds.
    pub timespan_ns: Option<u64>,
}

impl ItemDefinition {
    /// The item it describes. A timespan that is no multiple of the granularity is shortened.
    pub fn resolve(self) -> Result<Item, DefinitionError> {
        if self.points == Some(0) {
            return Err(DefinitionError::ZeroPoints);
        }
        let (granularity, points) = match (self.granularity, self.points, self.timespan_ns) {
            (Some(width), Some(points), Some(span)) if width.ns().checked_mul(points) != Some(span) => {
                return Err(DefinitionError::Contradiction);
            }
            (Some(width), Some(points), _) => (width, Some(points)),
            (Some(width), None, Some(span)) if span < width.ns() => return Err(DefinitionError::NoPoint),
            (Some(width), None, Some(span)) => (width, Some(span / width.ns())),
            (Some(width), None, None) => (width, None),
            (None, Some(points), Some(span)) => {
                (Granularity::from_ns(span / points).ok_or(DefinitionError::NoWidth)?, Some(points))
            }
            (None, _, _) => return Err(DefinitionError::TooLittle),
        };
        let span = points.map_or(Some(0), |points| granularity.ns().checked_mul(points));
        match span {
            Some(ns) if ns <= Timestamp::MAX.ns() => Ok(Item { granularity, points }),
            _ => Err(DefinitionError::TooLong),
        }
    }
}

/// Resolves all items of a policy, in the order given.
pub fn resolve_items(definitions: &[ItemDefinition]) -> Result<Vec<Item>, DefinitionError> {
    definitions.iter().map(|definition| definition.resolve()).collect()
}

/// Refuses two items of one granularity.
pub fn check_distinct(items: &[Item]) -> Result<(), DefinitionError> {
    let twice = items
        .iter()
        .enumerate()
        .find(|(index, item)| items[..*index].iter().any(|earlier| earlier.granularity == item.granularity));
    match twice {
        Some((_, item)) => Err(DefinitionError::Duplicate(item.granularity.seconds())),
        None => Ok(()),
    }
}

/// Whether a policy with the items `current` may get the items `new`: the same granularities.
pub fn check_change(current: &[Item], new: &[Item]) -> Result<(), DefinitionError> {
    if current.len() != new.len() {
        return Err(DefinitionError::CountChanged);
    }
    let widths = |items: &[Item]| {
        let mut widths: Vec<_> = items.iter().map(|item| item.granularity).collect();
        widths.sort_unstable();
        widths
    };
    match widths(current).into_iter().zip(widths(new)).find(|(old, new)| old != new) {
        Some((old, _)) => Err(DefinitionError::WidthChanged(old.seconds())),
        None => Ok(()),
    }
}

/// An entry of a list of aggregation methods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MethodEntry {
    /// `*`: all.
    All,
    /// `mean`.
    Plain(Method),
    /// `+mean`.
    Add(Method),
    /// `-mean`.
    Remove(Method),
}

impl MethodEntry {
    /// `None` if it is neither.
    pub fn parse(text: &str) -> Option<Self> {
        match text.as_bytes().first()? {
            b'*' if text.len() == 1 => Some(MethodEntry::All),
            b'+' => Method::parse(&text[1..]).map(MethodEntry::Add),
            b'-' => Method::parse(&text[1..]).map(MethodEntry::Remove),
            _ => Method::parse(text).map(MethodEntry::Plain),
        }
    }
}

/// The methods a list stands for. `*` starts from all, a list of signs alone (or an empty one) from
/// `defaults`, any other from its plain entries; then the signs are applied in order.
pub fn resolve_methods(entries: &[MethodEntry], defaults: MethodSet) -> Result<MethodSet, DefinitionError> {
    let plain = |entry: &MethodEntry| match entry {
        MethodEntry::Plain(method) => Some(*method),
        _ => None,
    };
    let mut methods = if entries.contains(&MethodEntry::All) {
        Method::all().collect()
    } else if entries.iter().all(|entry| plain(entry).is_none()) {
        defaults
    } else {
        entries.iter().filter_map(plain).collect()
    };
    for entry in entries {
        match entry {
            MethodEntry::Add(method) => methods.insert(*method),
            MethodEntry::Remove(method) => methods.remove(*method),
            MethodEntry::All | MethodEntry::Plain(_) => {}
        }
    }
    if methods.is_empty() { Err(DefinitionError::NoMethod) } else { Ok(methods) }
}

/// `mean, min, max, sum, std, count`: what a policy gets that does not say, unless configured.
pub fn default_methods() -> MethodSet {
    [Method::MEAN, Method::MIN, Method::MAX, Method::SUM, Method::STD, Method::COUNT_OF].into_iter().collect()
}

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// `low`, `medium`, `high` and `bool`, the reference's own policies.
pub fn built_in_policies(defaults: MethodSet) -> Vec<ArchivePolicy> {
    let last = [Method::LAST].into_iter().collect();
    vec![
        policy("low", 0, &[(5 * MINUTE, 30 * DAY)], defaults),
        policy("medium", 0, &[(MINUTE, 7 * DAY), (HOUR, 365 * DAY)], defaults),
        policy("high", 0, &[(1, HOUR), (MINUTE, 7 * DAY), (HOUR, 365 * DAY)], defaults),
        policy("bool", 3600, &[(1, 365 * DAY)], last),
    ]
}

/// `statsd` for counters, gauges and sets, `statsd-timer` for timers, histograms and distributions.
pub fn statsd_policies() -> Vec<ArchivePolicy> {
    let items = [(10, 6 * HOUR), (MINUTE, 7 * DAY), (HOUR, 365 * DAY)];
    let plain = ["mean", "min", "max", "sum", "count", "last"];
    let timer = ["std", "median", "90pct", "95pct", "99pct"];
    let named = |names: &[&str]| names.iter().filter_map(|name| Method::parse(name)).collect::<MethodSet>();
    vec![
        policy("statsd", 0, &items, named(&plain)),
        policy("statsd-timer", 0, &items, named(&[&plain[..], &timer[..]].concat())),
    ]
}

/// `items`: width and timespan in seconds.
fn policy(name: &str, back_window: u32, items: &[(u64, u64)], methods: MethodSet) -> ArchivePolicy {
    let items = items.iter().map(|(width, span)| Item {
        granularity: Granularity::from_ns(width * SECOND).expect("the constants are positive"),
        points: Some(span / width),
    });
    ArchivePolicy { name: name.to_owned(), back_window, items: items.collect(), methods }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timetext::{TimeTextError, timespan_from_seconds};
    use serde_json::Value;

    fn cases(op: &str) -> Vec<Value> {
        let text = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/archive-policy.json"));
        let file: Value = serde_json::from_str(text).unwrap();
        file["cases"].as_array().unwrap().iter().filter(|case| case["op"] == op).cloned().collect()
    }

    fn definition(input: &Value) -> Result<ItemDefinition, TimeTextError> {
        let span = |key: &str| input.get(key).map(|s| timespan_from_seconds(s.as_f64().unwrap())).transpose();
        Ok(ItemDefinition {
            granularity: span("granularity")?,
            points: input.get("points").and_then(Value::as_u64),
            timespan_ns: span("timespan")?.map(Granularity::ns),
        })
    }

    #[test]
    fn items_follow_the_vectors() {
        let cases = cases("item");
        assert_eq!(cases.len(), 16);
        for case in cases {
            let Ok(definition) = definition(&case["input_seconds"]) else {
                assert_eq!(case["error"], "Granularity should be > 0", "{case}");
                continue;
            };
            match definition.resolve() {
                Ok(item) => {
                    assert_eq!(Some(item.granularity.ns()), case["granularity_ns"].as_u64(), "{case}");
                    assert_eq!(item.points, case["points"].as_u64(), "{case}");
                    assert_eq!(item.timespan_ns(), case["timespan_ns"].as_u64(), "{case}");
                    let text = crate::timetext::span_text(item.granularity.ns());
                    assert_eq!(text, case["json"]["granularity"].as_str().unwrap());
                    let text = item.timespan_ns().map(crate::timetext::span_text);
                    assert_eq!(text.as_deref(), case["json"]["timespan"].as_str());
                }
                Err(error) => assert_eq!(error.to_string(), case["error"].as_str().unwrap_or("no error")),
            }
        }
    }

    #[test]
    fn method_lists_follow_the_vectors() {
        for case in cases("aggregation_methods") {
            let texts: Vec<&str> =
                case["input"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let entries: Option<Vec<_>> = texts.iter().map(|text| MethodEntry::parse(text)).collect();
            assert_eq!(entries.is_none(), case.get("error_type").is_some(), "{case}");
            let Some(entries) = entries else { continue };
            let methods = resolve_methods(&entries, default_methods());
            let Some(expected) = case["methods"].as_array() else {
                assert_eq!(methods.unwrap().len() as u64, case["count"].as_u64().unwrap(), "{case}");
                continue;
            };
            // The reference leaves the literals of a mixed list in the set; here they are dropped.
            let expected: MethodSet =
                expected.iter().filter_map(|name| Method::parse(name.as_str().unwrap())).collect();
            match methods {
                Ok(methods) => assert_eq!(methods, expected, "{case}"),
                Err(error) => assert!(error == DefinitionError::NoMethod && expected.is_empty(), "{case}"),
            }
        }
        assert_eq!(cases("all_methods")[0]["count"], Method::COUNT);
    }

    #[test]
    fn built_ins_follow_the_vectors() {
        let policies = built_in_policies(default_methods());
        assert_eq!(policies.len(), cases("default").len());
        for case in cases("default") {
            let policy = policies.iter().find(|policy| case["name"] == policy.name.as_str()).unwrap();
            let expected = &case["policy"];
            assert_eq!(expected["back_window"], policy.back_window);
            let mut names: Vec<_> = policy.methods.iter().map(|method| method.to_string()).collect();
            names.sort();
            assert_eq!(expected["aggregation_methods"], serde_json::json!(names));
            for (item, expected) in policy.items.iter().zip(expected["definition"].as_array().unwrap()) {
                assert_eq!(expected["granularity_ns"], item.granularity.ns());
                assert_eq!(expected["points"].as_u64(), item.points);
            }
            assert_eq!(case["max_block_ns"], policy.block().ns());
        }
    }

    #[test]
    fn statsd_policies_hold_what_they_promise() {
        let [plain, timer] = &statsd_policies()[..] else { panic!("two policies") };
        assert_eq!((plain.methods.len(), timer.methods.len()), (6, 11));
        assert!(!plain.methods.needs_values() && timer.methods.needs_values());
        assert_eq!(plain.items[0].points, Some(2160));
    }

    fn item(seconds: u64, points: u64) -> Item {
        Item { granularity: Granularity::from_ns(seconds * SECOND).unwrap(), points: Some(points) }
    }

    #[test]
    fn changes_keep_the_granularities() {
        let current = [item(1, 10), item(60, 10)];
        assert_eq!(check_change(&current, &[item(60, 5), item(1, 99)]), Ok(()));
        assert_eq!(check_change(&current, &[item(1, 10)]), Err(DefinitionError::CountChanged));
        let error = check_change(&current, &[item(60, 10), item(2, 10)]).unwrap_err();
        assert_eq!(error.to_string(), "1.0 granularity interval was changed");
        let error = check_distinct(&[item(1, 1), item(1, 2)]).unwrap_err();
        assert_eq!(error.to_string(), "More than one archive policy uses granularity `1.0'");
    }

    #[test]
    fn nothing_outlasts_time() {
        let century = timespan_from_seconds(3.2e9).unwrap();
        let long = ItemDefinition { granularity: Some(century), points: Some(3), timespan_ns: None };
        assert_eq!(long.resolve(), Err(DefinitionError::TooLong));
        let huge = ItemDefinition { granularity: Some(century), points: Some(u64::MAX), timespan_ns: None };
        assert_eq!(huge.resolve(), Err(DefinitionError::TooLong));
        let thin = ItemDefinition { granularity: None, points: Some(2), timespan_ns: Some(1) };
        assert_eq!(thin.resolve(), Err(DefinitionError::NoWidth));
    }
}
