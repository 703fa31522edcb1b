//! Everything that reaches a shard but samples, and what comes out of it.

use std::sync::Arc;

use crossbeam::channel::Sender;
use orzo_model::drop_reason::DropReason;
use orzo_model::sample::{Flags, Kind};
use orzo_model::series::SeriesKind;
use orzo_model::{ArchivePolicy, Column, Granularity, Measure, Measures, Method, MetricId, Partition};
use orzo_store::index::Heard;
use orzo_store::{Blob, Seq};

use crate::record::Record;
use crate::series_table::{CheckpointJob, Number, SeriesRef};

/// Told once what became of a post.
pub type Ack = Sender<Result<(), PostError>>;

/// Why a post was not stored. Nothing of what this shard was given is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PostError {
    /// The store is stalled or queues are full: try again later.
    #[error("busy")]
    Busy,
    /// The store failed.
    #[error("{0}")]
    Failed(String),
}

/// Measures of one metric.
#[derive(Clone, Debug)]
pub struct Post {
    /// By which it is stored.
    pub id: MetricId,
    /// What is kept of it.
    pub policy: Arc<ArchivePolicy>,
    /// What its values are.
    pub kind: SeriesKind,
    /// One batch.
    pub measures: Measures,
}

/// Which fresh buckets a reader wants.
#[derive(Clone, Copy, Debug)]
pub struct ReadKey {
    /// Whose.
    pub id: MetricId,
    /// How wide.
    pub width: Granularity,
    /// Which column.
    pub method: Method,
}

/// A record on its way into a commit.
#[derive(Clone, Debug)]
pub struct Pending {
    /// What came.
    pub record: Record,
    /// What is kept of it.
    pub policy: Arc<ArchivePolicy>,
    /// How many statsd samples made it; 0 if it came over HTTP.
    pub samples: u64,
}

/// What the index said of a statsd series.
#[derive(Clone, Debug)]
pub enum Resolution {
    /// It is stored by this id.
    Metric {
        /// By which it is stored.
        id: MetricId,
        /// What is kept of it.
        policy: Arc<ArchivePolicy>,
        /// The last level of a gauge, as of its last checkpoint.
        level: Option<Measure>,
    },
    /// Its samples are lost, for this reason.
    Refused(DropReason),
}

/// Whose last batches are asked for.
#[derive(Clone, Debug)]
pub enum Hearing {
    /// Of series that spoke after a silence or were checkpointed since this was asked last.
    News,
    /// Of these, if they are in memory.
    Of(Vec<MetricId>),
}

/// One thing a shard is asked to do.
#[derive(Debug)]
pub enum Command {
    /// Stores measures.
    Post(Vec<Post>, Ack),
    /// Wants buckets that the store may not have.
    Read(Vec<ReadKey>, Sender<Vec<Column>>),
    /// Somebody wants to know who was heard.
    Heard(Hearing, Sender<Vec<Heard>>),
    /// The index has answered.
    Resolved(Vec<(MetricId, Resolution)>),
    /// Another shard's slot is stored here.
    Forward(Vec<Pending>),
    /// These metrics are deleted.
    Forget(Vec<MetricId>),
    /// This policy has changed.
    PolicyChanged(Arc<ArchivePolicy>),
    /// A checkpoint has ended.
    Checkpointed {
        /// Whose.
        partition: Partition,
        /// Whether it is in the store.
        stored: bool,
    },
    /// Wants everything that is dirty by now stored, whatever its age, and to be told when it is.
    Checkpoint(Sender<()>),
    /// Nothing more will come: store everything and end.
    Stop,
}

/// A statsd series the index does not know yet.
#[derive(Clone, Debug)]
pub struct Name {
    /// The hash of the name.
    pub id: MetricId,
    /// Its type.
    pub kind: Kind,
    /// How `bytes` are put together, and the profile.
    pub flags: Flags,
    /// The name as it rode along.
    pub bytes: Box<[u8]>,
}

/// What a turn wants done.
#[derive(Debug, Default)]
pub struct Outbox {
    /// For the index.
    pub names: Vec<Name>,
    /// For the flushers.
    pub checkpoints: Vec<CheckpointJob>,
    /// For readers.
    pub replies: Vec<(Sender<Vec<Column>>, Vec<Column>)>,
    /// For those who asked who was heard.
    pub heard: Vec<(Sender<Vec<Heard>>, Vec<Heard>)>,
    /// For other shards.
    pub forwards: Vec<Pending>,
}

/// What one blob says.
#[derive(Debug)]
pub(crate) struct Lot {
    pub(crate) partition: Partition,
    pub(crate) seq: Seq,
    pub(crate) records: Vec<Pending>,
    /// Of each record.
    pub(crate) series: Vec<SeriesRef>,
}

/// One commit: append the blobs, then apply it, then tell those who wait.
#[derive(Debug, Default)]
pub struct Commit {
    /// For the backlog, all or nothing.
    pub blobs: Vec<Blob>,
    pub(crate) lots: Vec<Lot>,
    /// The numbers that the blobs tell, once they are stored.
    pub(crate) numbers: Vec<(MetricId, Number)>,
    /// Who waits.
    pub acks: Vec<Ack>,
}
