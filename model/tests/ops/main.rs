//! The query engine against the reference's own answers, and against an obvious twin.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod aggregates;
mod calendar;
mod evaluation;
mod grammar;
mod history;
mod reads;
mod twin;
mod vectors;
mod world;
