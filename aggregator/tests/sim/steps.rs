//! The steps of a run, drawn by chance.

use crossbeam::channel::TryRecvError;
use orzo_aggregator::Durability;
use orzo_model::{MetricId, SECOND};

use crate::kv::{Moment, Purpose};
use crate::node::{now, set_now};
use crate::setup::at;
use crate::world::World;

const PURPOSES: [Purpose; 3] = [Purpose::Append, Purpose::Rows, Purpose::Windows];
const MOMENTS: [Moment; 10] = [
    Moment::Before(Purpose::Append),
    Moment::After(Purpose::Append),
    Moment::Before(Purpose::Rows),
    Moment::After(Purpose::Rows),
    Moment::Before(Purpose::Windows),
    Moment::After(Purpose::Windows),
    Moment::Before(Purpose::Index),
    Moment::After(Purpose::Index),
    Moment::BeforeSync,
    Moment::AfterSync,
];

impl World {
    /// A whole run.
    pub(crate) fn run(&mut self) {
        let steps = self.rng.between(300, 900);
        for step in 0..steps {
            self.step = step;
            self.one_step();
            self.settle();
        }
        self.kv.heal();
        self.heal_at_times(100);
        self.stop();
        self.check_all();
        self.count();
    }

    fn one_step(&mut self) {
        match self.rng.below(1000) {
            0..40 if self.setup.crowd > 0 => self.storm(),
            40..42 => self.flood(),
            0..210 => self.burst(),
            210..220 => self.clean_up(),
            220..360 => self.post(),
            360..460 => self.wait(),
            460..690 => self.some_turn(),
            690..820 => self.flush(),
            820..880 => self.resolve(),
            880..930 => self.sync(),
            930..950 => self.go_on(),
            950..965 => self.read_slowly(),
            965..975 => self.check_some(),
            975..984 => self.break_something(),
            984..987 => self.delete(),
            987..989 => self.change_policy(),
            989 => self.make_rule(),
            990..995 => self.compact(),
            995..998 => self.sentence(),
            998 => self.crash(),
            _ => self.stop(),
        }
    }

    /// After each step: who was answered, who reads, who is dead, whose inbox grows.
    fn settle(&mut self) {
        if self.kv.dead().is_some() {
            return self.crash();
        }
        self.answered();
        self.observe();
        for shard in 0..self.setup.shards {
            let twin = &self.twins[shard];
            if twin.inbox.len() > 100 || twin.lane.len() > 20 {
                self.turn(shard);
                self.observe();
            }
        }
        if self.kv.dead().is_some() {
            self.crash();
        }
    }

    fn wait(&mut self) {
        let ns = match self.rng.below(40) {
            0..20 => self.rng.below(SECOND),
            20..36 => self.rng.below(5 * SECOND),
            36..38 => self.rng.below(100 * SECOND),
            38 if self.rng.percent(if self.setup.compacts { 30 } else { 80 }) => self.rng.below(900 * SECOND),
            // Over the splits by which rows are freed, or past all that is kept.
            38 if self.rng.percent(50) => self.rng.between(900, 5000) * SECOND,
            38 => self.rng.below(20_000 * SECOND),
            // The clock is set back, mostly a little.
            _ => {
                let back = if self.rng.percent(80) { 3 } else { 200 };
                let ns = self.rng.below(back * SECOND);
                self.coverage.count("clock set back", 1);
                return set_now(at(now().ns() - ns));
            }
        };
        // Mostly a stall is over soon.
        if self.kv.is_busy() && self.rng.percent(50) {
            self.kv.set_busy(false);
        }
        self.heal_at_times(50);
        // Nothing is begun and takes for ever.
        while ns > 5 * SECOND && !self.begun.is_empty() {
            self.go_on();
        }
        set_now(at(now().ns() + ns));
    }

    /// Somebody looks after a store that has failed.
    pub(crate) fn heal_at_times(&mut self, percent: u64) {
        if self.node.guard.failure().is_some() && self.rng.percent(percent) {
            let heals = self.node.guard.heal().is_ok();
            self.note(format!("the store works again: {heals}"));
            self.coverage.count("store healed", u64::from(heals));
        }
    }

    fn some_turn(&mut self) {
        let shard = self.rng.index(self.setup.shards);
        self.turn(shard);
    }

    fn check_some(&mut self) {
        let alive: Vec<MetricId> =
            self.metrics.iter().filter(|metric| metric.alive).map(|metric| metric.id).collect();
        let some: Vec<MetricId> = (0..3).map(|_| *self.rng.pick(&alive)).collect();
        self.note(format!("check {some:?}"));
        self.check(&some);
    }

    /// The store stalls or recovers, or will fail once.
    fn break_something(&mut self) {
        let busy = self.kv.is_busy();
        let purpose = *self.rng.pick(&PURPOSES);
        let written = self.rng.percent(40);
        let what = self.rng.below(8);
        self.note(format!("break {what}: {purpose:?}, written {written}"));
        match what {
            0..4 => self.kv.set_busy(!busy),
            4 => self.kv.fail_next_window_read(),
            _ => self.kv.fail_next(purpose, written),
        }
    }

    /// The process will die when it next does this.
    fn sentence(&mut self) {
        let (moment, count) = (*self.rng.pick(&MOMENTS), self.rng.between(1, 4));
        self.note(format!("will die at {moment:?} number {count}"));
        self.kv.die_at(moment, count);
    }

    /// Looks whether posts were answered, and whether that was right.
    pub(crate) fn answered(&mut self) {
        let synced = self.kv.synced();
        let posts = std::mem::take(&mut self.posts);
        for (number, post) in posts {
            match post.answer.try_recv() {
                Ok(Ok(())) => {
                    let write =
                        post.write.unwrap_or_else(|| panic!("post {number} is acknowledged, not stored"));
                    if self.setup.durability == Durability::Synced {
                        assert!(write <= synced, "post {number} is acknowledged, not synced");
                        self.promised = self.promised.max(write);
                    }
                    self.coverage.count("post acknowledged", 1);
                }
                Ok(Err(_)) => self.coverage.count("post rejected", 1),
                Err(TryRecvError::Empty) => drop(self.posts.insert(number, post)),
                Err(TryRecvError::Disconnected) => panic!("post {number} is never answered"),
            }
        }
    }
}
