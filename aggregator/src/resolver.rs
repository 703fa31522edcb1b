//! Asks the index which metrics statsd series are, in the shards' place.

use std::sync::Arc;

use crossbeam::channel::Receiver;
use orzo_model::drop_reason::DropReason;
use orzo_model::metric::StatsdSeries;
use orzo_model::sample::{Flags, Kind, Names};
use orzo_model::series::{Series, SeriesKind};
use orzo_model::{ArchivePolicy, Measure, MetricId, Timestamp};
use orzo_store::index::{Index, NewSeries, Refusal, Resolved, StatsdHome};
use orzo_store::{Backlog, Result};

use crate::command::{Command, Name, Resolution};
use crate::guard::{Guard, Offenders};
use crate::handle::Handle;
use crate::limits::{NAMES_PER_ASK, REFUSAL_LOG_NS};

/// How statsd series become metrics.
#[derive(Clone, Debug)]
pub struct StatsdRules {
    /// Where they live.
    pub home: StatsdHome,
    /// The archive policy of each type, by [`Kind::index`]; `None`: by rule.
    pub policies: [Option<String>; Kind::COUNT],
}

/// The body of the resolver thread.
pub struct Resolver {
    /// Who knows.
    pub index: Arc<dyn Index>,
    /// Knows the last level of gauges.
    pub backlog: Arc<dyn Backlog>,
    /// How they are named and kept.
    pub rules: StatsdRules,
    /// Questions; the thread ends when all senders are gone.
    pub names: Receiver<Vec<Name>>,
    /// Answers.
    pub handle: Handle,
    /// Who says how many series may be made.
    pub guard: Arc<Guard>,
    /// The time.
    pub clock: fn() -> Timestamp,
}

impl Resolver {
    /// Runs until nobody can ask any more.
    pub fn run(self) {
        let mut complaint = Complaint::default();
        while let Ok(mut names) = self.names.recv() {
            // Questions that came meanwhile share one write of the index.
            while names.len() < NAMES_PER_ASK {
                match self.names.try_recv() {
                    Ok(more) => names.extend(more),
                    Err(_) => break,
                }
            }
            let answers = self.ask(&names);
            self.tell(&names, &answers);
            complaint.make(&self.guard, (self.clock)());
        }
    }

    /// What the index says of each name.
    pub fn ask(&self, names: &[Name]) -> Vec<Resolution> {
        let series: Vec<NewSeries> = names.iter().map(|name| self.series(name)).collect();
        let now = (self.clock)();
        let mut admit = |series: &NewSeries| self.guard.admit(&series.name, now);
        match self.index.resolve(&self.rules.home, &series, &mut admit, now) {
            Ok(answers) => {
                names.iter().zip(answers).map(|(name, answer)| self.resolution(name, answer)).collect()
            }
            Err(error) => {
                tracing::error!(%error, "statsd series could not be looked up");
                vec![Resolution::Refused(DropReason::StoreFailed); names.len()]
            }
        }
    }

    /// Tells the shards that asked, and those that must forget what was deleted meanwhile.
    pub fn tell(&self, names: &[Name], answers: &[Resolution]) {
        self.tell_answers(names, answers);
        // ORDER: looked for once the shards know. What is deleted later is forgotten later.
        let gone = self.gone(answers);
        if !gone.is_empty() {
            self.handle.forget(&gone);
        }
    }

    fn gone(&self, answers: &[Resolution]) -> Vec<MetricId> {
        let known = answers.iter().filter_map(|answer| match answer {
            Resolution::Metric { id, .. } => Some(*id),
            Resolution::Refused(_) => None,
        });
        let ids: Vec<MetricId> = known.collect();
        match self.index.metrics_by_id(&ids) {
            Ok(found) => {
                ids.into_iter().zip(found).filter(|(_, metric)| metric.is_none()).map(|(id, _)| id).collect()
            }
            Err(error) => {
                tracing::error!(%error, "metrics could not be looked up");
                Vec::new()
            }
        }
    }

    fn tell_answers(&self, names: &[Name], answers: &[Resolution]) {
        let partitions = self.handle.partitions();
        for partition in partitions.all() {
            let here = names.iter().zip(answers).filter(|(name, _)| partitions.of(name.id) == partition);
            let resolved: Vec<_> = here.map(|(name, answer)| (name.id, answer.clone())).collect();
            if !resolved.is_empty() {
                self.handle.tell(partition, Command::Resolved(resolved));
            }
        }
    }

    fn series(&self, name: &Name) -> NewSeries {
        let Names { resource, metric, unit } = Names::split(name.flags, &name.bytes);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let resource = resource.map(text);
        NewSeries {
            hash_id: name.id,
            attributes: Names::attributes(name.flags, resource.as_deref()),
            resource,
            name: text(metric),
            unit: unit.map(text),
            series: StatsdSeries { type_text: name.kind.wire_type().into(), kind: kind_of(name) },
            policy: self.policy(name.kind),
        }
    }

    /// The policy configured for a type, if it exists; else the rules decide.
    fn policy(&self, kind: Kind) -> Option<String> {
        let configured = self.rules.policies[kind.index()].as_ref()?;
        self.index.policy(configured).is_ok().then(|| configured.clone())
    }

    fn resolution(&self, name: &Name, answer: Resolved) -> Resolution {
        match answer {
            Resolved::Metric { id, policy, created, renamed } => {
                if renamed {
                    let name = String::from_utf8_lossy(&name.bytes);
                    tracing::warn!(%name, %id, "another type owns the name: the series is called name|type");
                }
                let asks = name.kind == Kind::Gauge && !created;
                let level = if asks { self.level(id, policy.clone()) } else { Ok(None) };
                match level {
                    Ok(level) => Resolution::Metric { id, policy, level },
                    // Changes must not start from 0 instead.
                    Err(error) => {
                        tracing::error!(%error, %id, "the level of a gauge could not be read");
                        Resolution::Refused(DropReason::StoreFailed)
                    }
                }
            }
            Resolved::Refused(refusal) => {
                if is_too_many(refusal) {
                    let Names { metric, .. } = Names::split(name.flags, &name.bytes);
                    self.guard.refused(&String::from_utf8_lossy(metric));
                }
                Resolution::Refused(reason(refusal))
            }
        }
    }

    /// The last level of a gauge as of its last checkpoint, for changes to start from.
    fn level(&self, id: MetricId, policy: Arc<ArchivePolicy>) -> Result<Option<Measure>> {
        let window = self.backlog.window(id)?;
        let series = window.and_then(|window| Series::decode(&window, policy).ok());
        Ok(series.and_then(|series| series.last()))
    }
}

fn kind_of(name: &Name) -> SeriesKind {
    let event = name.kind.is_event() && !name.flags.has(Flags::GNOCCHI);
    if event { SeriesKind::Event } else { SeriesKind::Sampled }
}

/// Whether nothing is wrong with a series but that there are so many.
fn is_too_many(refusal: Refusal) -> bool {
    matches!(refusal, Refusal::Limit | Refusal::PrefixLimit | Refusal::Rate | Refusal::PrefixRate)
}

/// Says in the log who is refused, not too often.
#[derive(Default)]
struct Complaint {
    said: Offenders,
    next: Timestamp,
}

impl Complaint {
    fn make(&mut self, guard: &Guard, now: Timestamp) {
        if now < self.next {
            return;
        }
        let offenders = guard.offenders();
        if offenders != self.said {
            let prefixes = &offenders.prefixes;
            tracing::warn!(
                ?prefixes,
                "new series are refused; counted by prefix since the start, the most first"
            );
            self.said = offenders;
            self.next = now.saturating_add(REFUSAL_LOG_NS);
        }
    }
}

fn reason(refusal: Refusal) -> DropReason {
    match refusal {
        Refusal::NoPolicy => DropReason::NoPolicy,
        Refusal::Limit => DropReason::SeriesLimit,
        Refusal::PrefixLimit => DropReason::PrefixLimit,
        Refusal::Rate => DropReason::SeriesRate,
        Refusal::PrefixRate => DropReason::PrefixRate,
        Refusal::Resource => DropReason::BadResource,
        Refusal::Name => DropReason::NameTooLong,
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use orzo_model::{MetricId, Partition, Partitions};
    use orzo_store::index::KvIndex;
    use orzo_store::memory::MemoryKv;
    use orzo_store::{Blob, Error, Position, Seq};

    use super::*;
    use crate::testing;

    /// A backlog whose windows cannot be read.
    struct Unreadable;

    impl Backlog for Unreadable {
        fn window(&self, _: MetricId) -> Result<Option<Vec<u8>>> {
            Err(Error::Fatal { doing: "reading a window", source: io::Error::other("told so") })
        }

        fn append(&self, _: &[Blob]) -> Result<()> {
            unreachable!("a resolver only reads")
        }

        fn checkpoint(&self, _: Vec<(MetricId, Vec<u8>)>, _: &[(Partition, Seq)]) -> Result<()> {
            unreachable!("a resolver only reads")
        }

        fn position(&self, _: Partition) -> Result<Position> {
            unreachable!("a resolver only reads")
        }

        fn replay(&self, _: Partition, _: &mut dyn FnMut(Seq, &[u8])) -> Result<()> {
            unreachable!("a resolver only reads")
        }

        fn forget(&self, _: MetricId) -> Result<()> {
            unreachable!("a resolver only reads")
        }

        fn sync(&self) -> Result<()> {
            unreachable!("a resolver only reads")
        }
    }

    fn resolver() -> Resolver {
        let index = KvIndex::open(Arc::new(MemoryKv::new())).unwrap();
        index.create_policy((*testing::policy()).clone()).unwrap();
        let home = StatsdHome {
            resource_type: "generic".into(),
            attribute_type: "statsd".into(),
            creator: "statsd".into(),
            default_resource: "statsd".into(),
            metrics_max: None,
            metrics_per_resource_max: None,
            prefix_max: None,
        };
        Resolver {
            index: Arc::new(index),
            backlog: Arc::new(Unreadable),
            rules: StatsdRules { home, policies: Kind::ALL.map(|_| Some("p".into())) },
            names: crossbeam::channel::unbounded().1,
            handle: Handle::new(Partitions::DEFAULT, Vec::new()).0,
            guard: Arc::default(),
            clock: || testing::at(0),
        }
    }

    #[test]
    fn a_gauge_whose_level_cannot_be_read_is_refused() {
        let resolver = resolver();
        let name = |kind: Kind| Name {
            id: testing::IDS.id(kind, Flags::NONE, b"n"),
            kind,
            flags: Flags::NONE,
            bytes: b"n".as_slice().into(),
        };
        let ask = |kind| resolver.ask(&[name(kind)]).remove(0);
        // A new one has no level.
        assert!(matches!(ask(Kind::Gauge), Resolution::Metric { level: None, .. }));
        assert!(matches!(ask(Kind::Gauge), Resolution::Refused(DropReason::StoreFailed)));
        assert!(matches!(ask(Kind::Counter), Resolution::Metric { .. }));
        assert!(matches!(ask(Kind::Counter), Resolution::Metric { .. }));
    }
}
