//! The words of the domain: ids, time, policies, series, queries.
//!
//! Pure values and functions: no socket, file, clock or thread. Time comes in as an argument.

pub mod batch;
pub mod block;
pub mod codec;
pub mod column;
pub mod drop_reason;
pub mod filter;
pub mod id;
pub mod method;
pub mod metric;
pub mod open_buckets;
pub mod ops;
pub mod packed;
pub mod points;
pub mod policy;
pub mod policy_definition;
pub mod resource;
pub mod resource_type;
pub mod rollup;
pub mod run;
pub mod sample;
pub mod series;
pub mod sketch;
pub mod spread;
pub mod summary;
pub mod time;
pub mod timetext;
pub mod window;

pub use batch::Batch;
pub use column::Column;
pub use drop_reason::DropReason;
pub use id::{MetricId, Partition, Partitions};
pub use method::{Formula, Method, MethodSet};
pub use policy::{ArchivePolicy, Item};
pub use sample::{Flags, Kind, Names, Profile, Sample, SeriesIds};
pub use time::{Granularity, Measure, Measures, SECOND, Timestamp};
