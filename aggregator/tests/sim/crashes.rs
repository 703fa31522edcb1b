//! How a run ends and begins again: crashes, power cuts, clean stops.

use std::collections::HashSet;

use orzo_model::{MetricId, SECOND};

use crate::coverage::Point;
use crate::kv::Moment;
use crate::node::{InHand, Node, now, set_now};
use crate::setup::at;
use crate::twin::{Told, Twin};
use crate::world::{Ledger, World};

impl World {
    /// Where a crash would hit now.
    fn points(&self) -> Vec<Point> {
        let holds = |hand: fn(&InHand) -> bool| self.node.in_hand.iter().any(hand);
        let unsynced = |post: &crate::world::Post| post.write.is_some_and(|write| write > self.kv.synced());
        let found = [
            (Point::BeforeAppend, self.twins.iter().any(|twin| twin.samples_pending() > 0)),
            (Point::BeforeSync, self.posts.values().any(unsynced)),
            (
                Point::BetweenRowsAndWindows,
                holds(|hand| matches!(hand, InHand::Job { rows_stored: true, .. })),
            ),
            (Point::BeforeToldOfCheckpoint, holds(|hand| matches!(hand, InHand::Done(_, true)))),
            (Point::BeforeToldOfMetric, self.node.asked.is_some()),
            (Point::Stopping, self.twins.iter().any(|twin| twin.stopping)),
        ];
        let mut points: Vec<Point> =
            found.into_iter().filter(|(_, there)| *there).map(|(point, _)| point).collect();
        if let Some(point) = self.kv.dead().and_then(Point::of).filter(|point| !points.contains(point)) {
            points.push(point);
        }
        points
    }

    /// The process dies, maybe with the machine, and starts again.
    pub(crate) fn crash(&mut self) {
        let power_cut = self.rng.percent(50);
        for point in self.points() {
            self.coverage.crash(point, power_cut);
        }
        self.note(format!("CRASH, power cut: {power_cut}, engine: {:?}", self.kv.dead()));
        let last = self.cut(power_cut);
        self.start_again(last);
    }

    /// What is still there.
    fn cut(&mut self, power_cut: bool) -> u64 {
        let kept = if power_cut { self.rng.below(self.kv.unsynced() + 1) } else { self.kv.unsynced() };
        let last = self.kv.synced() + kept;
        if power_cut {
            assert_eq!(self.kv.power_cut(kept), last);
        }
        assert!(last >= self.promised, "the write {} was acknowledged, {last} are left", self.promised);
        last
    }

    fn start_again(&mut self, mut last: u64) {
        self.count();
        loop {
            self.kv.heal();
            let dies = self.rng.percent(25);
            if dies {
                self.kv.die_at(Moment::Read, self.rng.between(1, 40));
            }
            match Node::start(&self.kv, &self.setup) {
                Ok(node) => {
                    self.node = node;
                    break;
                }
                Err(error) => {
                    assert!(self.kv.dead().is_some(), "recovery failed: {error}");
                    let power_cut = self.rng.percent(50);
                    self.coverage.crash(Point::Recovering, power_cut);
                    last = self.cut(power_cut);
                }
            }
        }
        self.kv.heal();
        self.twins = self.twins.iter().map(|_| Twin::default()).collect();
        self.ledgers.fill(Ledger::default());
        self.posts.clear();
        self.begun.clear();
        self.open_read = None;
        self.log.restart(last);
        self.note(format!("STARTED with {last} writes: {:?}", self.node.recovered));
        self.look_around();
    }

    /// Checks what a recovery found.
    fn look_around(&mut self) {
        let appended: HashSet<MetricId> = self.log.metrics().collect();
        let deleted = self.metrics.iter().any(|metric| !metric.alive);
        for metric in &mut self.metrics {
            let found = self.node.index.metrics_by_id(&[metric.id]).unwrap().pop().flatten();
            let lost = metric.alive && found.is_none();
            assert!(!lost || !appended.contains(&metric.id), "{metric:?} is lost, its measures are not");
            // If the process died while it deleted a metric, that may or may not have happened.
            metric.alive = found.is_some();
        }
        for recovered in &self.node.recovered {
            self.coverage.recovered(recovered);
            assert_eq!(recovered.damaged, 0);
            assert!(deleted || recovered.orphans == 0, "{recovered:?}");
        }
        self.check_all();
    }

    pub(crate) fn check_all(&mut self) {
        let alive: Vec<MetricId> =
            self.metrics.iter().filter(|metric| metric.alive).map(|metric| metric.id).collect();
        self.check(&alive);
    }

    /// Everything ends in order, while the store may stall; then it starts again.
    pub(crate) fn stop(&mut self) {
        self.note("STOP".into());
        while !self.begun.is_empty() {
            self.go_on();
        }
        self.node.producers.clear();
        self.node.handle.stop();
        self.tell_twins(&Told::Stop);
        // One shard may come to it late.
        let slow = self.rng.index(self.setup.shards);
        for round in 0.. {
            if self.kv.dead().is_some() || (round < 20 && self.rng.percent(1)) {
                return self.crash();
            }
            if self.node.shards.iter().all(Option::is_none) {
                break;
            }
            assert!(round < 5000, "the node does not end");
            self.kv.set_busy(self.rng.percent(30));
            self.heal_at_times(20);
            self.last_steps(if round < 200 { Some(slow) } else { None });
        }
        self.kv.heal();
        self.heal_at_times(100);
        self.node.acks.extend(self.node.syncer.waiting.try_iter().flatten());
        let acks = std::mem::take(&mut self.node.acks);
        self.node.syncer.sync(acks);
        self.answered();
        self.stopped();
    }

    fn last_steps(&mut self, slow: Option<usize>) {
        set_now(at(now().ns() + self.rng.below(SECOND / 4)));
        let shard = self.rng.index(self.setup.shards);
        let sleeps = slow == Some(shard) && self.rng.percent(95);
        if !sleeps && self.node.shards[shard].is_some() {
            self.turn(shard);
        }
        if self.kv.dead().is_none()
            && self.node.shards[shard].as_ref().is_some_and(|running| running.finished())
        {
            self.node.shards[shard] = None;
        }
        self.flush();
        self.resolve();
        self.sync();
        self.answered();
        self.observe();
    }

    fn stopped(&mut self) {
        assert!(self.posts.is_empty(), "posts without an answer: {:?}", self.posts.keys());
        self.check_accounts();
        for shard in 0..self.setup.shards {
            let counters = self.counters(shard);
            assert_eq!((counters.samples_pending.get(), counters.series_dirty.get()), (0, 0));
        }
        let crossed = |side: fn(&Ledger) -> u64| self.ledgers.iter().map(side).sum::<u64>();
        assert_eq!(crossed(|ledger| ledger.handed), crossed(|ledger| ledger.taken));
        self.check_leftovers();
        self.start_again(self.kv.synced());
        let replayed: u64 = self.node.recovered.iter().map(|found| found.blobs).sum();
        assert_eq!(replayed, 0, "blobs are left after a clean stop");
        self.coverage.count("clean stop", 1);
    }

    /// Of metrics that were deleted and cleaned up nothing is left.
    fn check_leftovers(&self) {
        let deleted = self.node.index.deleted_metrics(None, usize::MAX).unwrap();
        for metric in self.metrics.iter().filter(|metric| !metric.alive) {
            if deleted.iter().all(|deleted| deleted.id != metric.id) {
                assert!(!self.kv.holds(self.setup.partitions, metric.id), "{metric:?} has left something");
            }
        }
    }

    /// What the process that ends has come across.
    pub(crate) fn count(&mut self) {
        for (shard, ledger) in self.ledgers.iter().enumerate() {
            self.coverage.shard(self.node.handle.counters(shard));
            self.coverage.count("sample forwarded", ledger.handed);
        }
        let [short, long] = self.kv.take_sealed();
        self.coverage.count("extent sealed", short);
        self.coverage.count("long extent sealed", long);
        self.coverage.count("backlog trimmed", self.kv.take_trimmed());
    }
}
