//! The simulator: N cores of viplet, a model API server, a model LAN and model kernels under a
//! seeded scheduler, with the laws of the design checked after every step.
//!
//! Everything here is pure: no I/O, no clock, and all randomness from one seed, so that a seed
//! reproduces a run exactly. [`api`] is also served over HTTP (for the demo and the contract tests).

#![cfg_attr(not(test), deny(unused_crate_dependencies))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

pub mod api;
pub mod clientgo;
pub mod clock;
pub mod kernel;
pub mod lan;
pub mod leases;
pub mod machine;
pub mod objects;
pub mod placement;
pub mod plant;
pub mod queue;
pub mod rng;
pub mod routed;
pub mod router;
pub mod run;
pub mod serving;
pub mod setup;
pub mod trace;
pub mod world;
