//! API servers for tests: the model one over HTTP ([`http`]), the real kube-apiserver ([`real`]),
//! and a small blocking client that shows what they answer as it is ([`client`]).
//!
//! The contract tests run the same checks against both, so that the model stays honest.

#![cfg_attr(not(test), deny(unused_crate_dependencies))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

pub mod client;
pub mod http;
pub mod real;
mod timed;

pub use timed::timed;
