//! What becomes of the times at which a series has no value.

use super::refusal::Refusal;

/// The parameter `fill`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fill {
    /// `null`: stays a hole, printed as NaN.
    Null,
    /// `dropna`: stays a hole, left out of the answer.
    Drop,
    /// `ffill`: the value before.
    Forward,
    /// `bfill`: the value after.
    Backward,
    /// `full_ffill`: the value before; before the first one, the first.
    FullForward,
    /// `full_bfill`: the value after; after the last one, the last.
    FullBackward,
    /// This number, which may be NaN or infinite.
    Number(f64),
}

/// How holes are treated: `fill`, or else the share of times without any.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Holes {
    /// Filled.
    Fill(Fill),
    /// Left, if at least this many percent of the times have a value of every series.
    Overlap(f64),
}

impl Fill {
    /// Reads the parameter; case matters.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        if let Ok(number) = text.trim().parse() {
            return Ok(Fill::Number(number));
        }
        Ok(match text {
            "null" => Fill::Null,
            "dropna" => Fill::Drop,
            "ffill" => Fill::Forward,
            "bfill" => Fill::Backward,
            "full_ffill" => Fill::FullForward,
            "full_bfill" => Fill::FullBackward,
            _ => {
                let names = "'dropna', 'null', 'ffill', 'bfill', 'full_ffill' or 'full_bfill'";
                return Err(Refusal::argument("fill", format!("Must be a float, {names}")));
            }
        })
    }

    /// What a cell without a value holds at first.
    pub(super) fn missing(self) -> f64 {
        if let Fill::Number(number) = self { number } else { f64::NAN }
    }

    /// Whether values are carried along time.
    pub(super) fn carries(self) -> bool {
        matches!(self, Fill::Forward | Fill::Backward | Fill::FullForward | Fill::FullBackward)
    }

    /// Fills holes from their neighbours. NaN that was stored counts as a hole.
    pub(super) fn carry(self, cells: &mut [f64]) {
        match self {
            Fill::Null | Fill::Drop | Fill::Number(_) => {}
            Fill::Forward => forward(cells.iter_mut()),
            Fill::Backward => forward(cells.iter_mut().rev()),
            Fill::FullForward => {
                forward(cells.iter_mut());
                forward(cells.iter_mut().rev());
            }
            Fill::FullBackward => {
                forward(cells.iter_mut().rev());
                forward(cells.iter_mut());
            }
        }
    }
}

fn forward<'a>(cells: impl Iterator<Item = &'a mut f64>) {
    let mut carried = f64::NAN;
    for cell in cells {
        if cell.is_nan() {
            *cell = carried;
        } else {
            carried = *cell;
        }
    }
}

impl Holes {
    /// Of `POST /v1/aggregates`: `dropna` if neither is given; an overlap beside a fill is not looked at.
    pub fn of_aggregates(fill: Option<Fill>, needed_overlap: Option<f64>) -> Self {
        match (fill, needed_overlap) {
            (Some(fill), _) => Holes::Fill(fill),
            (None, Some(percent)) => Holes::Overlap(percent),
            (None, None) => Holes::Fill(Fill::Drop),
        }
    }

    /// Of the legacy `/v1/aggregation`: a full overlap if neither is given.
    pub fn of_aggregation(fill: Option<Fill>, needed_overlap: Option<f64>) -> Self {
        fill.map_or(Holes::Overlap(needed_overlap.unwrap_or(100.0)), Holes::Fill)
    }

    /// The fill that cells of the grid get.
    pub(super) fn fill(self) -> Fill {
        if let Holes::Fill(fill) = self { fill } else { Fill::Null }
    }

    /// Whether values that are not finite are left out of the answer.
    pub(super) fn keeps_finite_only(self) -> bool {
        !matches!(self, Holes::Overlap(_) | Holes::Fill(Fill::Null | Fill::Number(_)))
    }
}

/// Reads the parameter `needed_overlap`.
pub fn parse_overlap(text: &str) -> Result<f64, Refusal> {
    text.trim().parse().map_err(|_| Refusal::argument("needed_overlap", "Must be a number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const X: f64 = f64::NAN;

    fn check(fill: &str, expected: [f64; 5]) {
        let mut cells = [X, 1.0, X, 2.0, X];
        Fill::parse(fill).unwrap().carry(&mut cells);
        assert_eq!(format!("{cells:?}"), format!("{expected:?}"), "{fill}");
    }

    #[test]
    fn values_are_carried() {
        check("null", [X, 1.0, X, 2.0, X]);
        check("ffill", [X, 1.0, 1.0, 2.0, 2.0]);
        check("bfill", [1.0, 1.0, 2.0, 2.0, X]);
        check("full_ffill", [1.0, 1.0, 1.0, 2.0, 2.0]);
        check("full_bfill", [1.0, 1.0, 2.0, 2.0, 2.0]);
    }

    #[test]
    fn numbers_come_before_names() {
        assert_eq!(Fill::parse("-1.5"), Ok(Fill::Number(-1.5)));
        assert!(matches!(Fill::parse("nan"), Ok(Fill::Number(number)) if number.is_nan()));
        assert!(matches!(Fill::parse("inf"), Ok(Fill::Number(f64::INFINITY))));
        let refusal = Fill::parse("Null").unwrap_err();
        assert_eq!(refusal.detail, "fill");
        assert_eq!(
            refusal.reason,
            "Must be a float, 'dropna', 'null', 'ffill', 'bfill', 'full_ffill' or 'full_bfill'"
        );
        assert_eq!(parse_overlap("a").unwrap_err().reason, "Must be a number");
    }

    #[test]
    fn fill_switches_the_overlap_off() {
        assert_eq!(Holes::of_aggregates(Some(Fill::Null), Some(50.0)), Holes::Fill(Fill::Null));
        assert_eq!(Holes::of_aggregates(None, Some(50.0)), Holes::Overlap(50.0));
        assert_eq!(Holes::of_aggregates(None, None), Holes::Fill(Fill::Drop));
        assert_eq!(Holes::of_aggregation(None, None), Holes::Overlap(100.0));
    }
}
