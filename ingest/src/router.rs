//! Sorts samples into batches by the shard that owns their series, and hands the batches over.
//!
//! A batch is a permit: without a free one the router waits, and as it waits nothing is read.

use std::sync::Arc;
use std::time::{Duration, Instant};

use orzo_base::{CachePadded, Producer};
use orzo_model::{Batch, MetricId, Partitions, Sample, Timestamp};

use crate::counters::ListenerCounters;
use crate::statsd::Sink;

/// Which shard owns which partition.
#[derive(Clone, Debug)]
pub struct Routes {
    partitions: Partitions,
    owners: Arc<[u16]>,
}

impl Routes {
    /// Spreads partitions over shards in turn: partition `p` belongs to shard `p mod shards`.
    ///
    /// # Panics
    ///
    /// Without a shard.
    pub fn even(partitions: Partitions, shards: usize) -> Self {
        assert!(shards > 0, "somebody must own the partitions");
        let owners = (0..partitions.count()).map(|partition| (partition % shards) as u16).collect();
        Routes { partitions, owners }
    }

    /// The shard that owns a series.
    #[inline]
    pub fn shard_of(&self, id: MetricId) -> usize {
        usize::from(self.owners[self.partitions.of(id).index()])
    }
}

/// The way out of a listener.
pub struct Router {
    producer: Producer<Batch>,
    routes: Routes,
    /// The batch being filled for each shard.
    open: Box<[Option<Box<Batch>>]>,
    /// Which shards got batches since the last flush.
    sent: Box<[bool]>,
    arrived: Timestamp,
    counters: Arc<CachePadded<ListenerCounters>>,
}

impl Router {
    /// A router that hands over through `producer`.
    ///
    /// # Panics
    ///
    /// If `routes` names a shard that `producer` does not reach.
    pub fn new(
        producer: Producer<Batch>,
        routes: Routes,
        counters: Arc<CachePadded<ListenerCounters>>,
    ) -> Self {
        let shards = producer.consumers();
        assert!(routes.owners.iter().all(|shard| usize::from(*shard) < shards), "an owner nobody reaches");
        let open = (0..shards).map(|_| None).collect();
        Router {
            producer,
            routes,
            open,
            sent: vec![false; shards].into(),
            arrived: Timestamp::EPOCH,
            counters,
        }
    }

    /// Batches opened from now on hold what arrived at `at`.
    #[inline]
    pub fn arrive(&mut self, at: Timestamp) {
        self.arrived = at;
    }

    /// Hands over every batch that holds something, and wakes the shards that got any.
    pub fn flush(&mut self) {
        for shard in 0..self.open.len() {
            self.send(shard);
            if std::mem::take(&mut self.sent[shard]) {
                self.producer.announce(shard);
            }
        }
    }

    fn send(&mut self, shard: usize) {
        if let Some(batch) = self.open[shard].take() {
            self.producer.send(shard, batch);
            self.sent[shard] = true;
            self.counters.batches.add(1);
        }
    }

    #[cold]
    fn push_to_fresh(&mut self, shard: usize, sample: &Sample, name: &[u8]) {
        self.send(shard);
        let mut batch = match self.producer.take() {
            Some(batch) => batch,
            None => self.wait_for_batch(),
        };
        batch.reopen(self.arrived);
        assert!(batch.push(sample, name), "limits.rs: an empty batch takes any sample");
        self.open[shard] = Some(batch);
    }

    /// Waits until a shard gives a batch back. One always will: this listener holds none after the flush,
    /// and shards outlive listeners.
    fn wait_for_batch(&mut self) -> Box<Batch> {
        // Samples for other shards must not wait for the slow one.
        self.flush();
        self.counters.pool_waits.add(1);
        let since = Instant::now();
        let batch = loop {
            match self.producer.take() {
                Some(batch) => break batch,
                None => self.producer.wait(Duration::from_secs(1)),
            }
        };
        self.counters.pool_wait_ns.add(since.elapsed().as_nanos() as u64);
        batch
    }
}

impl Sink for Router {
    #[inline]
    fn push(&mut self, sample: &Sample, name: &[u8]) {
        let shard = self.routes.shard_of(sample.id);
        let is_in = self.open[shard].as_mut().is_some_and(|batch| batch.push(sample, name));
        if !is_in {
            self.push_to_fresh(shard, sample, name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use orzo_base::{Consumer, Exchange};
    use orzo_model::batch::SAMPLES_PER_BATCH;
    use orzo_model::{Flags, Kind};

    fn router(shards: usize) -> (Router, Vec<Consumer<Batch>>) {
        let (mut producers, consumers) = Exchange::open(1, shards, Batch::new);
        let routes = Routes::even(Partitions::DEFAULT, shards);
        (Router::new(producers.remove(0), routes, Arc::default()), consumers)
    }

    fn sample(id: u128) -> Sample {
        let (kind, flags) = (Kind::Counter, Flags::NONE);
        Sample { id: MetricId::from_bits(id), value: 0, aux: 0, name_len: 0, kind, flags }
    }

    #[test]
    fn each_shard_gets_its_own_in_order() {
        let (mut router, consumers) = router(2);
        router.arrive(Timestamp::MAX);
        (0..10).for_each(|id| router.push(&sample(id), &[b'a' + id as u8]));
        router.flush();
        router.flush();
        for (shard, consumer) in consumers.iter().enumerate() {
            let batch = consumer.receive().unwrap();
            let seen: Vec<_> = batch.iter().map(|(sample, name)| (sample.id.bits(), name[0])).collect();
            let owned = (0..10).filter(|id| *id as usize % 2 == shard);
            assert_eq!(seen, owned.map(|id| (id, b'a' + id as u8)).collect::<Vec<_>>());
            assert_eq!((batch.arrived(), batch.home()), (Timestamp::MAX, 0));
            assert!(consumer.is_empty());
        }
        assert_eq!(router.counters.batches.get(), 2);
    }

    #[test]
    fn waits_for_a_batch_and_loses_nothing() {
        const SAMPLES: usize = 40 * SAMPLES_PER_BATCH;
        let (mut router, mut consumers) = router(1);
        let counters = Arc::clone(&router.counters);
        let consumer = consumers.remove(0);
        let shard = std::thread::spawn(move || {
            let mut next = 0;
            while !consumer.ended() {
                // A slow shard: it takes batches when all are in flight.
                consumer.doorbell().wait(Duration::from_millis(20));
                while let Some(batch) = consumer.receive() {
                    for (sample, _) in batch.iter() {
                        assert_eq!(sample.value, next);
                        next += 1;
                    }
                    consumer.give_back(batch.home(), batch);
                }
            }
            next
        });
        for value in 0..SAMPLES as u64 {
            router.push(&Sample { value, ..sample(0) }, b"name");
        }
        router.flush();
        drop(router);
        assert_eq!(shard.join().unwrap(), SAMPLES as u64);
        assert!(counters.batches.get() >= 40);
    }

    #[test]
    fn a_router_without_batches_sends_what_it_holds_and_waits() {
        let (mut router, consumers) = router(2);
        let counters = Arc::clone(&router.counters);
        let pool = orzo_base::exchange::pool_items(2);
        let pusher = std::thread::spawn(move || {
            router.push(&sample(1), b"for shard 1");
            for _ in 0..pool * SAMPLES_PER_BATCH {
                router.push(&sample(0), b"n");
            }
        });
        while counters.pool_waits.get() == 0 {
            std::thread::yield_now();
        }
        assert_eq!(consumers[1].receive().unwrap().len(), 1);
        let batch = consumers[0].receive().unwrap();
        assert_eq!(batch.len(), SAMPLES_PER_BATCH);
        consumers[0].give_back(batch.home(), batch);
        pusher.join().unwrap();
        assert_eq!(counters.pool_waits.get(), 1);
        assert!(counters.pool_wait_ns.get() > 0);
    }
}
