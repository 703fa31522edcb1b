//! The daemon as its users see it: started as a process, spoken to over its own protocols, read back over HTTP.
//!
//! Each test has a daemon of its own on free ports with a store in a temporary directory, and waits for what it expects
//! instead of sleeping.

#![allow(clippy::unwrap_used)] // a panic is how a test fails

mod harness;

mod attributes;
mod bounds;
mod cli;
mod clients;
mod commands;
mod crash;
mod damage;
mod foreign_clients;
mod full_disk;
mod gnocchiclient;
mod guides;
mod http;
mod lifetime;
mod load;
mod losses;
mod metrics;
mod operating;
mod page;
mod readme;
mod retention;
mod tail;
mod torture;
mod transports;
mod types;
