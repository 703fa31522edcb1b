//! The words of the domain: ids, time, policies, series, queries.
//!
//! Pure values and functions: no socket, file, clock or thread. Time comes in as an argument.

pub mod column;
pub mod id;
pub mod method;
pub mod policy;
pub mod time;

pub use column::Column;
pub use id::{MetricId, Partition, Partitions};
pub use method::{Formula, Method, MethodSet};
pub use policy::{ArchivePolicy, Item};
pub use time::{Granularity, Measure, SECOND, Timestamp};
