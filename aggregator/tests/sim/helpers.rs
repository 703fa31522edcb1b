//! What flushers, the resolver and the syncer do, step by step and in any order.

use orzo_aggregator::{Command, Resolution};
use orzo_model::{MetricId, Partition};
use orzo_store::index;

use crate::kv::Purpose;
use crate::node::{Asked, InHand};
use crate::twin::{Answer, Told};
use crate::world::World;

impl World {
    /// One step of a flusher: a job is taken, its rows are stored, its windows are stored, the shard is told.
    pub(crate) fn flush(&mut self) {
        let taken = self.node.in_hand.len();
        if (taken == 0 || self.rng.percent(40))
            && let Ok(job) = self.node.jobs.try_recv()
        {
            let same = |hand: &InHand| hand.partition() == job.partition;
            assert!(!self.node.in_hand.iter().any(same), "one job per partition at a time");
            self.note(format!(
                "checkpoint of {:?} taken, {} series, low {}",
                job.partition,
                job.series.len(),
                job.low
            ));
            self.node.in_hand.push(InHand::Job { job, rows_stored: false });
            return;
        }
        if taken == 0 {
            return;
        }
        let which = self.rng.index(taken);
        let next = match self.node.in_hand.swap_remove(which) {
            InHand::Job { job, rows_stored: false } => {
                let stored = job.store_rows(&*self.node.aggregates);
                self.note(format!("rows of {:?}: {}", job.partition, stored.is_ok()));
                let partition = job.partition;
                let kept = InHand::Job { job, rows_stored: true };
                if stored.is_ok() { kept } else { InHand::Done(partition, false) }
            }
            InHand::Job { job, rows_stored: true } => {
                let partition = job.partition;
                let stored = job.store_windows(&*self.node.backlog).is_ok();
                self.note(format!("windows of {partition:?}: {stored}"));
                InHand::Done(partition, stored)
            }
            InHand::Done(partition, stored) => {
                self.note(format!("checkpoint of {partition:?} told: {stored}"));
                return self.node.handle.tell(partition, Command::Checkpointed { partition, stored });
            }
        };
        self.node.in_hand.push(next);
    }

    /// One step of the resolver: the index is asked, the shards are told.
    pub(crate) fn resolve(&mut self) {
        match self.node.asked.take() {
            Some(asked) => self.answer(&asked),
            None => self.ask(),
        }
    }

    fn ask(&mut self) {
        let count = self.rng.between(1, 4) as usize;
        let names: Vec<_> = self.node.resolver.names.try_iter().take(count).flatten().collect();
        if names.is_empty() {
            return;
        }
        if self.rng.percent(3) {
            self.kv.fail_next(Purpose::Index, false);
        }
        if self.rng.percent(5) {
            self.kv.fail_next_window_read();
        }
        let answers = self.node.resolver.ask(&names);
        self.kv.spare(Purpose::Index);
        // Whatever was meant for a shard hit the resolver: it refuses the gauge.
        self.kv.window_read_failed();
        self.note(format!(
            "asked for {:?}: {answers:?}",
            names.iter().map(|name| name.id).collect::<Vec<_>>()
        ));
        for (name, answer) in names.iter().zip(&answers) {
            if let Resolution::Metric { id, policy, .. } = answer {
                let label = format!("statsd {} {:?}", String::from_utf8_lossy(&name.bytes), name.kind);
                self.meet(*id, policy.clone(), label);
            }
        }
        self.node.asked = Some(Asked { names, answers });
    }

    fn answer(&mut self, asked: &Asked) {
        self.note("the index's answers are told".into());
        self.node.resolver.tell(&asked.names, &asked.answers);
        for partition in self.setup.partitions.all() {
            let here = asked.names.iter().zip(&asked.answers);
            let here = here.filter(|(name, _)| self.setup.partitions.of(name.id) == partition);
            let answers: Vec<(MetricId, Answer)> =
                here.map(|(name, answer)| (name.id, twin_answer(answer))).collect();
            if !answers.is_empty() {
                let owner = self.node.handle.owner(partition);
                self.tell_twin(owner, Told::Resolved(answers));
            }
        }
        // Metrics that were deleted meanwhile.
        let gone = |id: &MetricId| matches!(index::metric(&*self.node.index, *id), Ok(None));
        let told = asked.answers.iter().filter_map(|answer| match answer {
            Resolution::Metric { id, .. } => Some(*id),
            Resolution::Refused(_) => None,
        });
        let gone: Vec<MetricId> = told.filter(gone).collect();
        if !gone.is_empty() {
            self.tell_twins(&Told::Forget(gone));
        }
    }

    /// One step of the syncer: those who wait are gathered, the log is synced, they are told.
    pub(crate) fn sync(&mut self) {
        if self.node.acks.is_empty() || self.rng.percent(30) {
            let waiting = self.node.syncer.waiting.try_iter().flatten();
            return self.node.acks.extend(waiting);
        }
        if self.rng.percent(3) {
            self.kv.fail_next_sync();
        }
        let acks = std::mem::take(&mut self.node.acks);
        self.note(format!("sync for {} posts", acks.len()));
        self.node.syncer.sync(acks);
    }
}

impl InHand {
    pub(crate) fn partition(&self) -> Partition {
        match self {
            InHand::Job { job, .. } => job.partition,
            InHand::Done(partition, _) => *partition,
        }
    }
}

fn twin_answer(answer: &Resolution) -> Answer {
    match answer {
        Resolution::Metric { id, policy, level } => Answer::Known(*id, policy.clone(), *level),
        Resolution::Refused(_) => Answer::Refused,
    }
}
