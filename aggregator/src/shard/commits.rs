//! From what was gathered to blobs of the backlog, and from there into the series.

use orzo_model::drop_reason::DropReason;
use orzo_model::series::Series;
use orzo_model::{MetricId, Timestamp};
use orzo_store::{Blob, Seq};

use super::{Put, Shard, put, samples_of};
use crate::command::{Commit, Lot, Pending, PostError};
use crate::id_map::IdMap;
use crate::record::{self, Entry, Payload};
use crate::series_table::{Number, SeriesRef};

impl Shard {
    /// Everything gathered for the backlog, if anything was.
    pub fn commit(&mut self) -> Option<Commit> {
        if self.gathered.is_empty() && self.acks.is_empty() && !self.annul {
            return None;
        }
        self.committing = true;
        let mut commit = Commit { acks: std::mem::take(&mut self.acks), ..Commit::default() };
        for partition in self.config.partitions.all() {
            let records = self.gathered.take(partition);
            if records.is_empty() && !self.doubtful.contains(&partition) {
                self.gathered.give_back(partition, records);
                continue;
            }
            let seq = self.next_seq[partition.index()];
            let series = self.series.find_all(records.iter().map(|pending| pending.record.id));
            let lot = Lot { partition, seq, records, series };
            let bytes = self.encode(&lot, &mut commit.numbers);
            commit.blobs.push(Blob { partition, seq, bytes });
            commit.lots.push(lot);
        }
        Some(commit)
    }

    /// The blob of these records. `numbers` gets what it tells of its series.
    fn encode(&self, lot: &Lot, numbers: &mut Vec<(MetricId, Number)>) -> Vec<u8> {
        let mut next = self.next_number[lot.partition.index()];
        let mut told: IdMap<Number> = IdMap::default();
        let mut entries = Vec::with_capacity(lot.records.len());
        for (Pending { record, .. }, found) in lot.records.iter().zip(&lot.series) {
            let known = self.series.number(*found, record.id);
            if let Some(number) = known.filter(|number| number.is_known()) {
                entries.push(Entry { number: number.get(), named: false, record });
                continue;
            }
            let number = told.entry(record.id).or_insert_with(|| match known {
                Some(number) => number.told_again(),
                None => {
                    next += 1;
                    Number::told_once(next - 1)
                }
            });
            entries.push(Entry { number: number.get(), named: true, record });
        }
        numbers.extend(told);
        record::encode(entries)
    }

    /// The commit is in the backlog: puts it in the series. The caller then tells those who wait.
    pub fn apply(&mut self, commit: &mut Commit, now: Timestamp) {
        (self.committing, self.annul) = (false, false);
        self.doubtful.clear();
        self.counters.commits.add(1);
        for Lot { partition, seq, mut records, series } in std::mem::take(&mut commit.lots) {
            self.next_seq[partition.index()] = seq + 1;
            self.series.bring_near(&series);
            records
                .drain(..)
                .zip(series)
                .for_each(|(pending, found)| self.apply_one(seq, pending, found, now));
            self.series.appended(partition, seq, now);
            self.gathered.give_back(partition, records);
        }
        for (id, number) in std::mem::take(&mut commit.numbers) {
            let next = &mut self.next_number[self.config.partitions.of(id).index()];
            *next = (*next).max(number.get() + 1);
            self.series.set_number(id, number);
        }
        let bytes: usize = commit.blobs.iter().map(|blob| blob.bytes.len()).sum();
        self.counters.backlog_bytes.add(bytes as u64);
        self.publish();
    }

    fn apply_one(&mut self, seq: Seq, pending: Pending, found: SeriesRef, now: Timestamp) {
        let Pending { record, policy, samples } = pending;
        if self.is_forgotten(record.id) {
            return self.lose(DropReason::MetricDeleted, samples);
        }
        if !self.series.contains(found, record.id) {
            self.series.insert(record.id, Series::new(record.payload.kind(), policy));
        }
        let measures = match &record.payload {
            Payload::Measures(measures) => measures.len(),
            Payload::Events(events) => events.len(),
        };
        self.raw_since_checkpoint += measures;
        self.pace.add(record.payload.weight());
        let Put { refused, returned } = put(&mut self.series, found, record, seq, now);
        self.tell(returned);
        let counters = &self.counters;
        match (samples, refused) {
            (0, refused) => {
                counters.measures_accepted.add((measures - refused) as u64);
                counters.measures_refused.add(refused as u64);
            }
            (samples, 0) => {
                counters.samples_applied.add(samples);
                self.unstored -= samples;
            }
            (samples, _) => self.lose(DropReason::TooOld, samples),
        }
    }

    /// The commit could not be stored, or nobody knows. Says why to those who wait; samples are lost.
    pub fn reject(&mut self, commit: Commit, why: &PostError) {
        (self.committing, self.annul) = (false, false);
        for Lot { partition, records, .. } in commit.lots {
            let doubtful = matches!(why, PostError::Failed(_)) && !self.doubtful.contains(&partition);
            self.doubtful.extend(doubtful.then_some(partition));
            self.lose(DropReason::StoreFailed, samples_of(&records));
        }
        self.publish_pending();
        for ack in commit.acks {
            // A client that has gone does not want to know.
            let _ = ack.send(Err(why.clone()));
        }
    }
}
