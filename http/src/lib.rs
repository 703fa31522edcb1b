//! The HTTP API, version 1 of the reference's, over an `Index` and an [`Engine`].

pub mod engine;

pub use engine::{Engine, EngineError, EngineStatus, Post, Query};
