//! The Kubernetes transport against a server on loopback that misbehaves as told.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    missing_docs,
    unreachable_pub
)]

mod access;
mod api_tasks;
mod calls;
mod certificates;
mod circle;
mod credentials;
mod leases;
mod lists;
mod outcomes;
mod probes;
mod server;
mod services;
mod setup;
mod store;
mod threads;
mod tls;
mod watches;
