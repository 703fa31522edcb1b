//! The HTTP API, version 1 of the reference's, over an [`Index`](orzo_store::Index) and an [`Engine`].
//!
//! [`Server`] reads requests from sockets, [`Api`] answers them: a plain function from request to
//! answer, run on blocking threads. Below it there is one file per kind of object (`v1`), and beside
//! it what all of them need: JSON in the API's dialect, the wording of errors, pages, conditional
//! requests, who may do what.
//!
//! Not here: storage, arithmetic over series, and the clock.

mod accept;
mod allowance;
mod api;
pub mod auth;
mod call;
mod conditional;
mod config;
mod cors;
mod desk;
pub mod engine;
mod error;
mod inbox;
mod json;
mod measures;
mod number;
mod page;
mod patience;
mod query;
mod request;
mod response;
mod schema;
mod server;
mod socket;
mod ui;
mod v1;

pub use api::Api;
pub use auth::{AuthMode, Identity, RuleError, TokenCheck, TokenRefused};
pub use config::{BUILD, Config, Ctx, Limits};
pub use engine::{Engine, EngineError, EngineStatus, Post, Query};
pub use patience::{Patience, Waiting};
pub use response::Response;
pub use server::{ApiSlot, Drained, Server};
pub use ui::PageFacts;
#[doc(hidden)]
pub use v1::grammars;
