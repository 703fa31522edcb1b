//! From the tree of an expression to series: grids, widths and shapes are settled here, and errors of
//! the data found, from left to right and from the leaves up.

use std::rc::Rc;

use super::rolling::Window;
use super::series::{Map, Series, Source};
use super::{Columns, EvalError, Laid};
use crate::ops::expr::{Binary, Change, Node};
use crate::ops::period::Period;
use crate::ops::refusal::Refusal;
use crate::ops::resample::Groups;
use crate::time::Timestamp;

/// What a node evaluates to.
enum Operand {
    Number(f64),
    Series(Series),
}

impl<C: Columns + ?Sized> Laid<'_, C> {
    /// The series of a node that [is one](Node::kind). Aggregates below it are computed on the way.
    pub(super) fn plan(&self, node: &Node, period: Period) -> Result<Series, EvalError<C::Error>> {
        match self.operand(node, period)? {
            Operand::Series(series) => Ok(series),
            Operand::Number(_) => unreachable!("expressions are checked when they are read"),
        }
    }

    fn operand(&self, node: &Node, period: Period) -> Result<Operand, EvalError<C::Error>> {
        let series = match node {
            Node::Number(number) => return Ok(Operand::Number(*number)),
            Node::Metric(metric) => self.leaf(&metric.references, period)?,
            Node::Aggregate(across, sub) => self.aggregate(*across, &self.plan(sub, period)?)?,
            Node::Rolling(across, size, sub) => {
                let sub = self.plan(sub, period)?;
                let window = Window::new(*across, *size, sub.times.len());
                let window = window.map_err(|reason| self.inputs.refuse(reason))?;
                let times = sub.times[window.skipped().min(sub.times.len())..].into();
                sub.mapped(times, Map::Rolling(window))
            }
            Node::Resample(method, period_to, sub) => {
                let sub = self.plan(sub, period)?;
                let groups = Groups::new(&sub.times, *method, *period_to);
                let times = groups.labels.as_slice().into();
                Series { period: *period_to, ..sub.mapped(times, Map::Resample(groups)) }
            }
            Node::Change(change, sub) => {
                let sub = self.plan(sub, period)?;
                let times = match change {
                    Change::Plain => sub.times.get(1..).unwrap_or_default().into(),
                    Change::PerSecond => Rc::clone(&sub.times),
                };
                sub.mapped(times, Map::Change(*change))
            }
            Node::Unary(operator, sub) => match self.operand(sub, period)? {
                Operand::Number(number) => return Ok(Operand::Number(operator.op.function()(number))),
                Operand::Series(sub) => sub.transformed(Map::Unary(operator.op)),
            },
            Node::Binary(operator, left, right) => {
                let operands = (self.operand(left, period)?, self.operand(right, period)?);
                return self.join(operator.op, operands, &[left, right]);
            }
            Node::Clip(series, low, high) => return self.clip(series, low, high.as_deref(), period),
        };
        Ok(Operand::Series(series))
    }

    fn leaf(&self, references: &[usize], period: Period) -> Result<Series, Refusal> {
        let mut wanted = vec![false; self.inputs.query.expr.references().len()];
        references.iter().for_each(|reference| wanted[*reference] = true);
        let asked = self.inputs.query.series.iter().enumerate();
        let inputs: Vec<usize> =
            asked.filter(|(_, reference)| wanted[**reference]).map(|(series, _)| series).collect();
        self.leaves.set(self.leaves.get() + inputs.len());
        self.inputs.query.limits.check_points(self.times.len().saturating_mul(self.leaves.get()))?;
        let times = Rc::clone(&self.times);
        Ok(Series { times, period, width: inputs.len(), source: Source::Inputs(inputs) })
    }

    fn clip(
        &self,
        series: &Node,
        low: &Node,
        high: Option<&Node>,
        period: Period,
    ) -> Result<Operand, EvalError<C::Error>> {
        let operands = (self.operand(series, period)?, self.operand(low, period)?);
        let Some(high) = high else { return self.join(Binary::ClipMin, operands, &[series, low]) };
        let high_operand = self.operand(high, period)?;
        let nodes = [series, low, high];
        let raised = self.join(Binary::ClipMin, operands, &nodes)?;
        self.join(Binary::ClipMax, (raised, high_operand), &nodes)
    }

    /// Element by element; `nodes` are what an error shows.
    fn join(
        &self,
        operator: Binary,
        operands: (Operand, Operand),
        nodes: &[&Node],
    ) -> Result<Operand, EvalError<C::Error>> {
        let series = match operands {
            (Operand::Number(a), Operand::Number(b)) => {
                return Ok(Operand::Number(operator.function()(a, b)));
            }
            (Operand::Series(series), Operand::Number(b)) => series.transformed(Map::Number(operator, b)),
            (Operand::Number(a), Operand::Series(series)) => {
                series.transformed(Map::NumberFirst(operator, a))
            }
            (Operand::Series(left), Operand::Series(right)) => {
                self.check_pair(&left, &right, nodes)?;
                let (times, period) = (Rc::clone(&left.times), left.period);
                let width = left.width.max(right.width);
                let (left, right) = (self.reused(left, width)?, self.reused(right, width)?);
                Series {
                    times,
                    period,
                    width,
                    source: Source::Paired(operator, Box::new(left), Box::new(right)),
                }
            }
        };
        Ok(Operand::Series(series))
    }

    fn check_pair(&self, left: &Series, right: &Series, nodes: &[&Node]) -> Result<(), Refusal> {
        let expr = self.inputs.query.expr;
        let shown = || nodes.iter().map(|node| expr.text_of(node)).collect::<Vec<_>>().join(" <> ");
        if left.times != right.times || left.period != right.period {
            let reason = format!("Can't compute timeseries with different granularity {}", shown());
            return Err(self.inputs.refuse(reason));
        }
        match (left.width, right.width) {
            (0, _) | (_, 0) => Err(self.inputs.refuse(format!("An operand has no series: {}", shown()))),
            (a, b) if a == b || a == 1 || b == 1 => Ok(()),
            (a, b) => Err(self.inputs.refuse(format!("Can't pair {a} series with {b}: {}", shown()))),
        }
    }

    /// A single column that meets several others is computed once.
    fn reused(&self, series: Series, uses: usize) -> Result<Series, EvalError<C::Error>> {
        if series.width > 1 || uses == 1 || matches!(series.source, Source::Ready(_)) {
            return Ok(series);
        }
        let values = self.column(&series, 0)?.into_owned();
        Ok(Series { source: Source::Ready(values), ..series })
    }
}

impl Series {
    fn transformed(self, map: Map) -> Series {
        let times = Rc::clone(&self.times);
        self.mapped(times, map)
    }

    fn mapped(self, times: Rc<[Timestamp]>, map: Map) -> Series {
        Series { times, period: self.period, width: self.width, source: Source::Mapped(Box::new(self), map) }
    }
}
