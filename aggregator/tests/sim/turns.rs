//! Turns of shards, each checked against its twin.

use std::collections::{BTreeMap, VecDeque};

use orzo_aggregator::ShardCounters;
use orzo_aggregator::record::{Payload, Record, decode};
use orzo_model::MetricId;
use orzo_model::drop_reason::DropReason;
use orzo_model::spread::Spread;

use crate::kv::{Attempt, Outcome};
use crate::log::says;
use crate::node::now;
use crate::twin::{Out, Part, Told};
use crate::world::World;

impl World {
    /// One turn of a shard.
    pub(crate) fn turn(&mut self, shard: usize) {
        let forgets = self.twins[shard].inbox.iter().any(|told| matches!(told, Told::Forget(_)));
        let series = self.counters(shard).series.get();
        self.prepare(shard);
        let refuses = self.node.guard.failure().is_some();
        let stalls = self.counters(shard).commits_stalled.get();
        self.node.shards[shard].as_mut().expect("it has not ended").turn();
        let stalled = self.counters(shard).commits_stalled.get() > stalls;
        let mut attempts = self.kv.take_attempts();
        assert!(attempts.len() <= 1, "a turn commits once");
        let unreadable = self.kv.window_read_failed();
        match attempts.pop() {
            Some(attempt) => self.attempted(shard, attempt, stalled),
            None if unreadable || refuses => {
                let twin = &mut self.twins[shard];
                twin.in_doubt |= twin.out.take().is_some();
            }
            None if self.kv.dead().is_some() => return,
            None => assert!(self.twins[shard].out.is_none(), "shard {shard} has not committed what was due"),
        }
        if self.kv.dead().is_none() {
            self.forwarded(shard);
            self.check_accounts();
        }
        let evicted = series.saturating_sub(self.counters(shard).series.get());
        self.coverage.count("series evicted", if forgets { 0 } else { evicted });
    }

    /// The twin does what the shard is going to do.
    fn prepare(&mut self, shard: usize) {
        let taken = self.twins[shard].inbox.iter().map(|told| match told {
            Told::Forward(parts) => parts.iter().map(|part| part.samples).sum(),
            _ => 0,
        });
        self.ledgers[shard].taken += taken.sum::<u64>();
        let (setup, log) = (&self.setup, &self.log);
        let twin = &mut self.twins[shard];
        let here = |id: MetricId| setup.owner(id) == shard;
        twin.take_in(setup, |id| if here(id) { log.model(id)?.level() } else { None });
        let last = twin.stopping && self.node.producers.is_empty();
        twin.tick(now().ns(), last, setup, here);
    }

    pub(crate) fn counters(&self, shard: usize) -> &ShardCounters {
        self.node.handle.counters(shard)
    }

    fn attempted(&mut self, shard: usize, attempt: Attempt, stalled: bool) {
        let out = self.twins[shard].out.take();
        // Empty blobs take the place of those that may be there although their commit failed.
        assert!(out.is_some() || self.twins[shard].in_doubt, "a shard commits only what there is");
        self.coverage.count("commit annulled", u64::from(out.is_none()));
        let out = out.unwrap_or_default();
        let blobs = self.compare(shard, &attempt, &out);
        self.note(format!("shard {shard} append {:?} {:?}", places(&attempt), attempt.outcome));
        match attempt.outcome {
            Outcome::Failed(_) => self.twins[shard].in_doubt = true,
            Outcome::Written(_) => self.twins[shard].in_doubt = false,
            Outcome::Busy => {}
        }
        match attempt.outcome {
            Outcome::Busy if stalled => self.twins[shard].out = Some(out),
            Outcome::Busy | Outcome::Failed(None) => {}
            Outcome::Failed(Some(write)) | Outcome::Written(write) => {
                let known = matches!(attempt.outcome, Outcome::Written(_));
                for (place, parts) in blobs {
                    let refused = self.log.append(write, place, parts.clone(), known);
                    parts.iter().zip(refused).for_each(|(part, refused)| self.book(shard, part, refused));
                }
                if known {
                    for number in out.posts {
                        self.posts.get_mut(&number).expect("nobody has answered it").write = Some(write);
                    }
                }
            }
        }
    }

    /// Checks that the blobs hold, series by series, just what they must; returns it blob by blob.
    fn compare(&mut self, shard: usize, attempt: &Attempt, out: &Out) -> Vec<((usize, u64), Vec<Part>)> {
        let mut expected: BTreeMap<MetricId, VecDeque<&Part>> = BTreeMap::new();
        out.parts.iter().for_each(|part| expected.entry(part.id).or_default().push_back(part));
        let mut blobs = Vec::new();
        for (partition, seq, bytes) in &attempt.blobs {
            let mut parts = Vec::new();
            let names = self.told.entry(*partition).or_default();
            names.learn(bytes).expect("what is appended can be read");
            for record in decode(bytes, names).expect("what is appended can be read") {
                let part = expected.get_mut(&record.id).and_then(VecDeque::pop_front);
                let label = self.label(record.id);
                let part = part.unwrap_or_else(|| panic!("nobody said {record:?} of {label}"));
                assert!(says(&record, &part.what), "{label}: {record:?}, expected {:?}", part.what);
                assert_eq!(self.setup.partitions.of(record.id).index(), *partition);
                self.coverage.count("sketch committed", u64::from(is_sketch(&record)));
                parts.push(part.clone());
            }
            blobs.push(((*partition, *seq), parts));
        }
        let missing: Vec<&Part> = expected.into_values().flatten().collect();
        assert!(missing.is_empty(), "shard {shard} does not commit {missing:?}");
        blobs
    }

    /// What a shard forwarded is in the inbox of another.
    fn forwarded(&mut self, shard: usize) {
        for part in std::mem::take(&mut self.twins[shard].forwards) {
            self.ledgers[shard].handed += part.samples;
            let owner = self.setup.owner(part.id);
            self.tell_twin(owner, Told::Forward(vec![part]));
        }
    }

    /// What the shard has to count for a part that is stored.
    fn book(&mut self, shard: usize, part: &Part, refused: usize) {
        let alive = self.metric(part.id).is_some_and(|metric| metric.alive);
        let (measures, refused) = (part.what.len() as u64, refused as u64);
        let ledger = &mut self.ledgers[shard];
        match part.samples {
            // Whether it was deleted before that or after is not known here.
            samples if !alive => ledger.unsure += samples + measures,
            0 => {
                ledger.accepted += measures - refused;
                ledger.refused += refused;
            }
            samples if refused > 0 => ledger.too_old += samples,
            samples => ledger.applied += samples,
        }
    }

    /// Nothing is lost without being counted, at any time.
    pub(crate) fn check_accounts(&self) {
        for (shard, ledger) in self.ledgers.iter().enumerate() {
            let counters = self.counters(shard);
            let dropped: u64 = counters.samples_dropped.iter().map(|counter| counter.get()).sum();
            let pending = counters.samples_pending.get();
            assert_eq!(pending, self.twins[shard].samples_pending(), "samples pending in shard {shard}");
            assert_eq!(
                counters.samples_received.get() + ledger.taken,
                counters.samples_applied.get() + dropped + pending + ledger.handed,
                "accounts of shard {shard}"
            );
            let about = |counted: u64, least: u64, what: &str| {
                let right = (least..=least + ledger.unsure).contains(&counted);
                assert!(right, "shard {shard} has counted {counted} {what}, not {least}");
            };
            about(counters.samples_applied.get(), ledger.applied, "samples applied");
            let too_old = &counters.samples_dropped[DropReason::TooOld.index()];
            about(too_old.get(), ledger.too_old, "samples too old");
            about(counters.measures_accepted.get(), ledger.accepted, "measures accepted");
            about(counters.measures_refused.get(), ledger.refused, "measures refused");
        }
    }
}

fn places(attempt: &Attempt) -> Vec<(usize, u64)> {
    attempt.blobs.iter().map(|(partition, seq, _)| (*partition, *seq)).collect()
}

/// Whether events of it were too many to be kept one by one.
fn is_sketch(record: &Record) -> bool {
    let Payload::Events(events) = &record.payload else { return false };
    events.iter().any(|summary| matches!(summary.spread(), Spread::Sketch(_)))
}
