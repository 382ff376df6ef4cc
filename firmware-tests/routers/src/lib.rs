//! Real routers for tests: FRR, BIRD and GoBGP, each in a network namespace of the lab, with its
//! own configuration, sockets and folder; nothing outlives the process that made it.

#![cfg_attr(not(test), deny(unused_crate_dependencies))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

pub mod bird;
pub mod folder;
pub mod frr;
pub mod gobgp;
pub mod programs;
pub mod router;
pub mod shelter;
pub mod vty;
pub mod wires;

pub use bird::Bird;
pub use frr::Frr;
pub use gobgp::GoBgp;
pub use router::{Neighbour, Path, Router};
pub use wires::{Host, Wires};
