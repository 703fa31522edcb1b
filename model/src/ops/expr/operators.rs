//! The operators of expressions: how they are spelled, and what they do to numbers.

use std::fmt;

use crate::method::{Formula, Method};

/// An operator and the spelling the client chose, which errors repeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spelled<O> {
    pub(crate) text: &'static str,
    pub(crate) op: O,
}

/// Of two operands, element by element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Binary {
    Equal,
    NotEqual,
    Less,
    Greater,
    LessEqual,
    GreaterEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Power,
    Max,
    ClipMin,
    ClipMax,
}

/// Of one operand, element by element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unary {
    Absolute,
    Negative,
    Cosine,
    Sine,
    Tangent,
    Floor,
    Ceiling,
}

/// The difference with the time before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// `rateofchange`: the first time has none.
    Plain,
    /// `rateofchangesec`: divided by the seconds between; NaN at the first time.
    PerSecond,
}

/// What `aggregate` and `rolling` compute, ignoring NaN; deviations divide by n.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Across {
    pub(crate) statistic: Statistic,
    /// Whether it is then differenced along time.
    pub(crate) rate: bool,
}

/// A statistic that ignores NaN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Statistic {
    Mean,
    Median,
    Std,
    Min,
    Max,
    Sum,
    Var,
    Count,
}

const BINARY: [(&str, Binary); 34] = [
    ("=", Binary::Equal),
    ("==", Binary::Equal),
    ("eq", Binary::Equal),
    ("!=", Binary::NotEqual),
    ("≠", Binary::NotEqual),
    ("ne", Binary::NotEqual),
    ("<", Binary::Less),
    ("lt", Binary::Less),
    (">", Binary::Greater),
    ("gt", Binary::Greater),
    ("<=", Binary::LessEqual),
    ("≤", Binary::LessEqual),
    ("le", Binary::LessEqual),
    (">=", Binary::GreaterEqual),
    ("≥", Binary::GreaterEqual),
    ("ge", Binary::GreaterEqual),
    ("+", Binary::Add),
    ("add", Binary::Add),
    ("-", Binary::Subtract),
    ("sub", Binary::Subtract),
    ("*", Binary::Multiply),
    ("×", Binary::Multiply),
    ("mul", Binary::Multiply),
    ("/", Binary::Divide),
    ("÷", Binary::Divide),
    ("div", Binary::Divide),
    ("%", Binary::Modulo),
    ("mod", Binary::Modulo),
    ("**", Binary::Power),
    ("^", Binary::Power),
    ("pow", Binary::Power),
    ("max", Binary::Max),
    ("clip_min", Binary::ClipMin),
    ("clip_max", Binary::ClipMax),
];

const UNARY: [(&str, Unary); 9] = [
    ("abs", Unary::Absolute),
    ("absolute", Unary::Absolute),
    ("neg", Unary::Negative),
    ("negative", Unary::Negative),
    ("cos", Unary::Cosine),
    ("sin", Unary::Sine),
    ("tan", Unary::Tangent),
    ("floor", Unary::Floor),
    ("ceil", Unary::Ceiling),
];

const CHANGE: [(&str, Change); 2] = [("rateofchange", Change::Plain), ("rateofchangesec", Change::PerSecond)];

const STATISTICS: [(&str, Statistic); 8] = [
    ("mean", Statistic::Mean),
    ("median", Statistic::Median),
    ("std", Statistic::Std),
    ("min", Statistic::Min),
    ("max", Statistic::Max),
    ("sum", Statistic::Sum),
    ("var", Statistic::Var),
    ("count", Statistic::Count),
];

fn find<O: Copy>(table: &[(&'static str, O)], text: &str) -> Option<Spelled<O>> {
    table.iter().find(|(known, _)| *known == text).map(|&(text, op)| Spelled { text, op })
}

impl Binary {
    pub(crate) fn spelled(text: &str) -> Option<Spelled<Self>> {
        find(&BINARY, text)
    }
}

impl Unary {
    pub(crate) fn spelled(text: &str) -> Option<Spelled<Self>> {
        find(&UNARY, text)
    }
}

impl Change {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        find(&CHANGE, text).map(|change| change.op)
    }

    pub(crate) fn text(self) -> &'static str {
        CHANGE[self as usize].0
    }
}

impl Across {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (rate, plain) = match text.strip_prefix("rate:") {
            Some(plain) => (true, plain),
            None => (false, text),
        };
        find(&STATISTICS, plain).map(|statistic| Across { statistic: statistic.op, rate })
    }
}

impl fmt::Display for Across {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = if self.rate { "rate:" } else { "" };
        write!(f, "{rate}{}", STATISTICS[self.statistic as usize].0)
    }
}

/// The methods of `resample`; fewer than those that can be stored.
pub(crate) fn resample_method(text: &str) -> Option<Method> {
    let method = Method::parse(text)?;
    let stored_only = matches!(method.formula(), Formula::First | Formula::Last | Formula::Percentile(_));
    (!method.is_rate() || !stored_only).then_some(method)
}

impl Binary {
    /// What it does to two numbers. IEEE throughout.
    pub(crate) fn function(self) -> fn(f64, f64) -> f64 {
        match self {
            Binary::Equal => |a, b| f64::from(a == b),
            Binary::NotEqual => |a, b| f64::from(a != b),
            Binary::Less => |a, b| f64::from(a < b),
            Binary::Greater => |a, b| f64::from(a > b),
            Binary::LessEqual => |a, b| f64::from(a <= b),
            Binary::GreaterEqual => |a, b| f64::from(a >= b),
            Binary::Add => |a, b| a + b,
            Binary::Subtract => |a, b| a - b,
            Binary::Multiply => |a, b| a * b,
            Binary::Divide => |a, b| a / b,
            Binary::Modulo => modulo,
            Binary::Power => f64::powf,
            Binary::Max => f64::max,
            Binary::ClipMin => |a, b| if a > b || a.is_nan() { a } else { b },
            Binary::ClipMax => |a, b| if a < b || a.is_nan() { a } else { b },
        }
    }
}

/// Remainder with the sign of the divisor.
fn modulo(a: f64, b: f64) -> f64 {
    let remainder = a % b;
    if remainder == 0.0 {
        0.0_f64.copysign(b)
    } else if (remainder < 0.0) != (b < 0.0) {
        remainder + b
    } else {
        remainder
    }
}

impl Unary {
    /// What it does to a number.
    pub(crate) fn function(self) -> fn(f64) -> f64 {
        match self {
            Unary::Absolute => f64::abs,
            Unary::Negative => |a| -a,
            Unary::Cosine => f64::cos,
            Unary::Sine => f64::sin,
            Unary::Tangent => f64::tan,
            Unary::Floor => f64::floor,
            Unary::Ceiling => f64::ceil,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, a: f64, b: f64, expected: f64) {
        let got = Binary::spelled(text).unwrap().op.function()(a, b);
        assert!(got == expected || (got.is_nan() && expected.is_nan()), "{a} {text} {b}: {got}");
    }

    #[test]
    fn arithmetic_at_its_edges() {
        let (nan, inf) = (f64::NAN, f64::INFINITY);
        check("%", -16.0, 5.0, 4.0);
        check("%", 16.0, -5.0, -4.0);
        check("%", 5.0, 0.0, nan);
        check("%", 5.0, inf, 5.0);
        check("%", -5.0, inf, inf);
        check("/", 1.0, 0.0, inf);
        check("/", 0.0, 0.0, nan);
        check("**", -8.0, 0.5, nan);
        check("!=", nan, nan, 1.0);
        check("==", nan, nan, 0.0);
        check("≥", nan, 1.0, 0.0);
        check("max", nan, 1.0, 1.0);
        check("max", 1.0, nan, 1.0);
    }

    #[test]
    fn clips_keep_nan() {
        check("clip_min", f64::NAN, 1.0, f64::NAN);
        check("clip_min", 1.0, f64::NAN, f64::NAN);
        check("clip_min", 1.0, 2.0, 2.0);
        check("clip_max", 1.0, f64::NAN, f64::NAN);
        check("clip_max", 3.0, 2.0, 2.0);
    }

    #[test]
    fn names_round_trip() {
        for (text, _) in STATISTICS {
            assert_eq!(Across::parse(text).unwrap().to_string(), text);
            let rate = format!("rate:{text}");
            assert_eq!(Across::parse(&rate).unwrap().to_string(), rate);
        }
        for (text, change) in CHANGE {
            assert_eq!((Change::parse(text), change.text()), (Some(change), text));
        }
        for bad in ["last", "95pct", "rate:rate:mean", ""] {
            assert_eq!(Across::parse(bad), None);
        }
    }

    #[test]
    fn resample_takes_fewer_rates() {
        for good in ["mean", "first", "last", "1pct", "99pct", "rate:median", "rate:count"] {
            assert!(resample_method(good).is_some(), "{good}");
        }
        for bad in ["var", "rate:var", "rate:last", "rate:first", "rate:50pct"] {
            assert!(resample_method(bad).is_none(), "{bad}");
        }
    }
}
