//! What waits for the next commit: records by partition, in memory that serves one commit after the other.

use orzo_model::{Partition, Partitions};

use crate::command::Pending;

/// Records by partition, each list in the order in which they came.
pub(crate) struct Gathered {
    partitions: Partitions,
    lists: Vec<Vec<Pending>>,
    len: usize,
    /// The longest list that was taken since memory was last let go, and in the time before that.
    longest: [usize; 2],
}

impl Gathered {
    pub(crate) fn new(partitions: Partitions) -> Self {
        let lists = partitions.all().map(|_| Vec::new()).collect();
        Gathered { partitions, lists, len: 0, longest: [0; 2] }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[inline]
    pub(crate) fn push(&mut self, pending: Pending) {
        self.lists[self.partitions.of(pending.record.id).index()].push(pending);
        self.len += 1;
    }

    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&Pending) -> bool) {
        self.lists.iter_mut().for_each(|list| list.retain(&mut keep));
        self.len = self.lists.iter().map(Vec::len).sum();
    }

    /// Takes what there is of a partition.
    pub(crate) fn take(&mut self, partition: Partition) -> Vec<Pending> {
        let taken = std::mem::take(&mut self.lists[partition.index()]);
        self.len -= taken.len();
        self.longest[0] = self.longest[0].max(taken.len());
        taken
    }

    /// Gives the memory of a list back.
    pub(crate) fn give_back(&mut self, partition: Partition, mut emptied: Vec<Pending>) {
        let list = &mut self.lists[partition.index()];
        if list.capacity() == 0 {
            emptied.clear();
            *list = emptied;
        }
    }

    /// Lets memory go that was not needed since this was called last, nor in the time before: as many may come again,
    /// but a burst is not remembered for ever.
    pub(crate) fn let_go(&mut self) {
        let longest = self.longest[0].max(self.longest[1]);
        self.longest = [0, self.longest[0]];
        // While the store stalls lists wait: they only grow, and would be copied each time.
        let empty = self.lists.iter_mut().filter(|list| list.is_empty());
        empty.for_each(|list| list.shrink_to(2 * longest));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Payload, Record};
    use crate::testing::policy;
    use orzo_model::MetricId;

    fn pending(id: u128) -> Pending {
        let record = Record {
            id: MetricId::from_bits(id),
            back_window: 0,
            payload: Payload::Measures(Default::default()),
        };
        Pending { record, policy: policy(), samples: 1 }
    }

    #[test]
    fn memory_serves_again_until_a_burst_is_long_ago() {
        let partitions = Partitions::new(2).unwrap();
        let partition = partitions.of(MetricId::from_bits(0));
        let mut gathered = Gathered::new(partitions);
        let mut second = |count: usize| {
            (0..count).for_each(|_| gathered.push(pending(0)));
            assert_eq!(gathered.is_empty(), count == 0);
            let taken = gathered.take(partition);
            assert_eq!((taken.len(), gathered.is_empty()), (count, true));
            gathered.give_back(partition, taken);
            gathered.let_go();
            gathered.lists[partition.index()].capacity()
        };
        assert!(second(1000) >= 1000);
        assert!(second(10) >= 1000);
        assert!((10..100).contains(&second(10)));
        assert_eq!([second(0), second(0)], [20, 0]);
    }

    #[test]
    fn what_is_not_kept_is_not_counted() {
        let mut gathered = Gathered::new(Partitions::new(2).unwrap());
        (0..10).for_each(|id| gathered.push(pending(id)));
        gathered.retain(|pending| pending.record.id == MetricId::from_bits(7));
        assert!(!gathered.is_empty());
        gathered.retain(|_| false);
        assert!(gathered.is_empty());
    }
}
