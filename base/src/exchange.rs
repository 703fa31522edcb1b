//! Hand-over of pooled items from producers to consumers: an item is a permit to produce.
//!
//! Each producer has a pool of empties, each consumer a lane of full items and a doorbell. Items are made
//! once, at start, and travel round: pool → producer → lane → consumer → pool. A producer whose pool is
//! empty waits; nothing is ever discarded or allocated. Every queue has room for all items that could be in
//! it, so a push cannot fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crossbeam::queue::ArrayQueue;
use crossbeam::utils::CachePadded;

use crate::doorbell::Doorbell;

/// What a producer owns at least: room for the burst that gathers while a consumer is busy with its own.
const POOL_ITEMS_MIN: usize = 16;

/// So many items wake a consumer before they are announced.
const ITEMS_WAITING: usize = 4;

/// Items a producer owns: one being filled per consumer, two in flight per consumer, one spare.
pub const fn pool_items(consumers: usize) -> usize {
    let each = 3 * consumers + 1;
    if each > POOL_ITEMS_MIN { each } else { POOL_ITEMS_MIN }
}

struct Queue<T> {
    items: ArrayQueue<Box<T>>,
    bell: Arc<Doorbell>,
}

impl<T> Queue<T> {
    fn new(capacity: usize) -> CachePadded<Self> {
        CachePadded::new(Queue { items: ArrayQueue::new(capacity), bell: Arc::default() })
    }

    fn put(&self, item: Box<T>) {
        assert!(self.items.push(item).is_ok(), "more items than were made: one was not of this exchange");
    }

    fn push(&self, item: Box<T>) {
        self.put(item);
        self.bell.ring();
    }
}

/// Pools and lanes of a fixed set of producers and consumers.
pub struct Exchange<T> {
    pools: Box<[CachePadded<Queue<T>>]>,
    lanes: Box<[CachePadded<Queue<T>>]>,
    /// Producers that have not been dropped.
    open: AtomicUsize,
}

impl<T> Exchange<T> {
    /// Makes everything there will ever be; `make` is told the index of the producer an item belongs to.
    pub fn open(
        producers: usize,
        consumers: usize,
        mut make: impl FnMut(usize) -> T,
    ) -> (Vec<Producer<T>>, Vec<Consumer<T>>) {
        let each = pool_items(consumers);
        let exchange = Arc::new(Exchange {
            pools: (0..producers).map(|_| Queue::new(each)).collect(),
            lanes: (0..consumers).map(|_| Queue::new((each * producers).max(1))).collect(),
            open: AtomicUsize::new(producers),
        });
        for (home, pool) in exchange.pools.iter().enumerate() {
            (0..each).for_each(|_| pool.push(Box::new(make(home))));
        }
        (
            (0..producers).map(|home| Producer { exchange: Arc::clone(&exchange), home }).collect(),
            (0..consumers).map(|index| Consumer { exchange: Arc::clone(&exchange), index }).collect(),
        )
    }
}

/// One producer's end. Dropping it says that nothing more will come from here.
pub struct Producer<T> {
    exchange: Arc<Exchange<T>>,
    home: usize,
}

impl<T> Producer<T> {
    /// Which producer this is; its items go back to this pool.
    pub fn home(&self) -> usize {
        self.home
    }

    /// How many consumers there are.
    pub fn consumers(&self) -> usize {
        self.exchange.lanes.len()
    }

    /// An empty item, if one is left.
    #[inline]
    pub fn take(&self) -> Option<Box<T>> {
        self.exchange.pools[self.home].items.pop()
    }

    /// Sleeps until an item may have come back, at most for `timeout`.
    pub fn wait(&self, timeout: Duration) {
        self.exchange.pools[self.home].bell.wait(timeout);
    }

    /// Hands a full item to a consumer. It need not wake before many wait or [`Producer::announce`] says so: each
    /// sleep costs more than an item.
    #[inline]
    pub fn send(&self, consumer: usize, item: Box<T>) {
        let lane = &self.exchange.lanes[consumer];
        lane.put(item);
        if lane.items.len() >= ITEMS_WAITING {
            lane.bell.ring();
        }
    }

    /// Wakes a consumer: nothing more will be sent for a while.
    #[inline]
    pub fn announce(&self, consumer: usize) {
        self.exchange.lanes[consumer].bell.ring();
    }

    /// Puts an item back that was taken and not needed.
    pub fn put_back(&self, item: Box<T>) {
        self.exchange.pools[self.home].push(item);
    }
}

impl<T> Drop for Producer<T> {
    fn drop(&mut self) {
        // ORDER: Release, so that whoever reads 0 with Acquire sees every item sent before.
        self.exchange.open.fetch_sub(1, Ordering::Release);
        self.exchange.lanes.iter().for_each(|lane| lane.bell.ring());
    }
}

/// One consumer's end.
pub struct Consumer<T> {
    exchange: Arc<Exchange<T>>,
    index: usize,
}

impl<T> Consumer<T> {
    /// Which consumer this is.
    pub fn index(&self) -> usize {
        self.index
    }

    /// The next full item, in the order each producer sent its own.
    #[inline]
    pub fn receive(&self) -> Option<Box<T>> {
        self.lane().items.pop()
    }

    /// How many items wait.
    pub fn len(&self) -> usize {
        self.lane().items.len()
    }

    /// Whether none waits at the moment.
    pub fn is_empty(&self) -> bool {
        self.lane().items.is_empty()
    }

    /// Whether nothing waits and nothing will ever come: all producers are gone.
    pub fn ended(&self) -> bool {
        // ORDER: producers first, lane second; the other way round an item sent in between is missed.
        self.exchange.open.load(Ordering::Acquire) == 0 && self.is_empty()
    }

    /// Gives an emptied item back to producer `home`, and wakes it if it waits.
    #[inline]
    pub fn give_back(&self, home: usize, item: Box<T>) {
        self.exchange.pools[home].push(item);
    }

    /// Rung whenever an item is sent or a producer ends; others with news for this consumer ring it too.
    pub fn doorbell(&self) -> &Arc<Doorbell> {
        &self.lane().bell
    }

    fn lane(&self) -> &Queue<T> {
        &self.exchange.lanes[self.index]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn a_pool_is_a_bound_and_items_go_home() {
        let (producers, consumers) = Exchange::open(2, 1, |home| home);
        let items: Vec<_> = std::iter::from_fn(|| producers[1].take()).collect();
        assert_eq!(items.len(), pool_items(1));
        items.into_iter().for_each(|item| producers[1].send(0, item));
        assert_eq!(consumers[0].len(), pool_items(1));
        let item = consumers[0].receive().unwrap();
        assert_eq!(*item, 1);
        consumers[0].give_back(*item, item);
        assert!(producers[1].take().is_some());
        assert!(producers[1].take().is_none());
        assert!(producers[0].take().is_some());
    }

    #[test]
    fn ends_when_the_last_producer_is_gone_and_nothing_waits() {
        let (mut producers, consumers) = Exchange::open(2, 1, |home| home);
        let last = producers.pop().unwrap();
        drop(producers);
        assert!(consumers[0].doorbell().wait(Duration::ZERO));
        last.send(0, last.take().unwrap());
        assert!(!consumers[0].doorbell().wait(Duration::ZERO), "one alone wakes nobody");
        assert!(!consumers[0].ended());
        drop(last);
        assert!(consumers[0].doorbell().wait(Duration::ZERO));
        assert!(!consumers[0].ended());
        assert!(consumers[0].receive().is_some());
        assert!(consumers[0].ended());
    }

    /// Everything sent arrives, in order, through pools far smaller than the traffic.
    #[test]
    fn nothing_is_lost_between_threads() {
        const ITEMS: u64 = 50_000;
        let (producers, consumers) = Exchange::open(2, 2, |home| (home, 0u64));
        thread::scope(|scope| {
            for producer in producers {
                scope.spawn(move || {
                    for n in 0..ITEMS {
                        let mut item = loop {
                            match producer.take() {
                                Some(item) => break item,
                                None => {
                                    (0..2).for_each(|consumer| producer.announce(consumer));
                                    producer.wait(LONG);
                                }
                            }
                        };
                        item.1 = n;
                        producer.send((n % 2) as usize, item);
                    }
                });
            }
            for consumer in consumers {
                scope.spawn(move || {
                    let mut next = [consumer.index() as u64; 2];
                    while !consumer.ended() {
                        while let Some(item) = consumer.receive() {
                            let home = item.0;
                            assert_eq!(item.1, next[home]);
                            next[home] += 2;
                            consumer.give_back(home, item);
                        }
                        if !consumer.ended() {
                            assert!(consumer.doorbell().wait(LONG), "a ring was lost");
                        }
                    }
                    assert_eq!(next, [ITEMS + consumer.index() as u64; 2]);
                });
            }
        });
    }
}
