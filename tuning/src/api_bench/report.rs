//! What was measured, as a table with the aims beside.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::flood::Timing;

const MIB: f64 = 1048576.0;

/// What a measurement should be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Aim {
    /// None is set.
    None,
    /// This many a second, or more.
    PerSecond(f64),
    /// Half of the requests take at most this long, in milliseconds.
    P50(f64),
    /// 99 of 100 requests take at most this long, in milliseconds.
    P99(f64),
}

/// One measurement.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// What was done.
    pub what: String,
    /// Requests that were sent.
    pub requests: usize,
    /// Things done a second, where many requests were under way at once.
    pub per_second: Option<f64>,
    /// Milliseconds that half of the requests did not exceed.
    pub p50_ms: f64,
    /// Milliseconds that 99 of 100 requests did not exceed.
    pub p99_ms: f64,
    /// CPU time of the daemon for each request, in milliseconds.
    pub cpu_ms: Option<f64>,
    /// Bytes of memory that the daemon had at most more than before.
    pub memory_growth: Option<u64>,
    /// What it should be.
    pub aim: Aim,
}

impl Row {
    pub(super) fn new(what: impl Into<String>, timing: &Timing, cpu: Option<Duration>, aim: Aim) -> Self {
        let ms = |time: Duration| time.as_secs_f64() * 1000.0;
        Row {
            what: what.into(),
            requests: timing.requests(),
            per_second: None,
            p50_ms: ms(timing.percentile(50.0)),
            p99_ms: ms(timing.percentile(99.0)),
            cpu_ms: cpu.map(|cpu| ms(cpu) / timing.requests().max(1) as f64),
            memory_growth: None,
            aim,
        }
    }

    /// Whether it is as it should be; `None` without an aim.
    pub fn is_met(&self) -> Option<bool> {
        match self.aim {
            Aim::None => None,
            Aim::PerSecond(least) => Some(self.per_second.unwrap_or(0.0) >= least),
            Aim::P50(most) => Some(self.p50_ms <= most),
            Aim::P99(most) => Some(self.p99_ms <= most),
        }
    }
}

/// Bytes of the daemon after a phase.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Size {
    /// After what.
    pub after: String,
    /// Resident memory.
    pub memory: Option<u64>,
    /// Files of the data directory.
    pub disk: Option<u64>,
}

/// Everything that was measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// In the order in which it was done.
    pub rows: Vec<Row>,
    /// Memory and disk in between.
    pub sizes: Vec<Size>,
}

impl Report {
    /// One line of JSON.
    pub fn json(&self) -> String {
        serde_json::to_string(self).expect("a report has only text keys")
    }
}

impl fmt::Display for Aim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Aim::None => Ok(()),
            Aim::PerSecond(least) => write!(f, ">= {least} /s"),
            Aim::P50(most) => write!(f, "p50 <= {most} ms"),
            Aim::P99(most) => write!(f, "p99 <= {most} ms"),
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number =
            |value: Option<f64>, digits: usize| value.map_or(String::new(), |it| format!("{it:.digits$}"));
        let verdict = self.is_met().map_or("", |met| if met { "ok  " } else { "MISS" });
        write!(
            f,
            "{:<52} {:>8} {:>10} {:>10.2} {:>10.2} {:>9} {:>9}  {verdict:<4} {}",
            self.what,
            self.requests,
            number(self.per_second, 0),
            self.p50_ms,
            self.p99_ms,
            number(self.cpu_ms, 3),
            number(self.memory_growth.map(|bytes| bytes as f64 / MIB), 1),
            self.aim
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let heads = ["", "requests", "a second", "p50 ms", "p99 ms", "CPU ms", "+MiB"];
        let [what, requests, rate, p50, p99, cpu, memory] = heads;
        writeln!(
            f,
            "{what:<52} {requests:>8} {rate:>10} {p50:>10} {p99:>10} {cpu:>9} {memory:>9}        aim"
        )?;
        self.rows.iter().try_for_each(|row| writeln!(f, "{row}"))?;
        let bytes = |bytes: Option<u64>| bytes.map_or("?".into(), crate::bytes_text);
        for Size { after, memory, disk } in &self.sizes {
            writeln!(f, "after {after}: {} of memory, {} on disk", bytes(*memory), bytes(*disk))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_know_whether_their_aim_is_met() {
        let timing =
            Timing::new(vec![Duration::from_millis(4), Duration::from_millis(30)], Duration::from_secs(1));
        let row = |aim| Row {
            per_second: Some(900.0),
            ..Row::new("x", &timing, Some(Duration::from_millis(8)), aim)
        };
        assert_eq!(row(Aim::None).is_met(), None);
        assert_eq!(row(Aim::P50(4.0)).is_met(), Some(true));
        assert_eq!(row(Aim::P99(20.0)).is_met(), Some(false));
        assert_eq!(row(Aim::PerSecond(901.0)).is_met(), Some(false));
        assert_eq!(row(Aim::None).cpu_ms, Some(4.0));
        assert!(row(Aim::P99(20.0)).to_string().contains("MISS p99 <= 20 ms"));
    }
}
