//! A lab on one machine: network namespaces joined by bridges, the real `viplet` binary on every
//! node, an API server, a client that watches. Needs nothing but Linux and the right to make
//! namespaces (root, or unprivileged user namespaces); nothing outlives the process that made it.
//!
//! The tests (`tests/lab.rs`), the demo and the benchmark are written with it.

#![cfg_attr(not(test), deny(unused_crate_dependencies))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

mod account;
pub mod api;
pub mod binaries;
pub mod capture;
pub mod cluster;
pub mod demo;
mod echoes;
pub mod holders;
pub mod http;
pub mod namespace;
pub mod objects;
pub mod privilege;
pub mod prober;
pub mod process;
mod raw;
pub mod rtnl;
pub mod store;
pub mod sweep;
pub mod topology;
pub mod wait;

pub use account::{Request, refused};
pub use capture::{Capture, Frame, FrameKind};
pub use holders::{HolderWatch, Timeline};
pub use namespace::Namespace;
pub use objects::{Endpoint, Health, Service};
pub use prober::Prober;
pub use process::{Process, Program};
pub use topology::{Lab, Node, Wire};
pub use viplet_kubeapi::timed;
pub use wait::wait_until;
