//! The API through a real socket, over an index and an engine in memory: what clients rely on, and
//! where Orzo answers otherwise than the reference (whose crashes and accidents nobody relies on).

#![allow(clippy::unwrap_used)] // a panic is how a test fails

#[path = "../support/mod.rs"]
mod support;

mod aggregates;
mod bad_input;
mod batch;
mod desk;
mod errors;
mod http;
mod measures;
mod metrics;
mod openapi;
mod policies;
mod projects;
mod pushes;
mod query_limits;
mod random;
mod resource_types;
mod resources;
mod search;
mod site;
mod traps;
