//! Orzo: collects statsd metrics, keeps their aggregates, serves them over the Gnocchi API.
//!
//! This crate only joins the others: configuration and command line, the threads and what they share
//! (`daemon`), the API's view of the shards (`engine`), and what the daemon says about itself (`scrape`).

pub mod bench;
pub mod check;
pub mod cli;
pub mod commands;
pub mod config;
mod control;
mod daemon;
mod defaults;
mod engine;
mod janitor;
mod logging;
mod medic;
mod notify;
mod pages;
mod reload;
mod scrape;
pub mod series;
mod sockets;
mod stores;
mod take_over;
mod threads;

pub use daemon::serve;
