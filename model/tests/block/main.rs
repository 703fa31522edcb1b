//! Sealed blocks as others meet them: how small they are, and that old ones can be read.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod datasets;
mod fixtures;
mod python_random;
mod sizes;
