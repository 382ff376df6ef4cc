//! The static binary in virtual machines: QEMU without KVM, stock Debian kernels, an initramfs with
//! viplet and a tiny init (`../vm-init`) and nothing else, all of it read-only.
//!
//! ```text
//!   client 10.77.0.1, model API server       n1 10.77.0.11        n2 10.77.0.12
//!      │ eth0                                   │ TAP                │ TAP
//!   ═══╧══════════════ bridge lan ══════════════╧════════════════════╧═══   (the lab's switch)
//! ```
//!
//! `scripts/vm` puts what a machine is made of into `target/vm` and runs the tests.

#![cfg_attr(not(test), deny(unused_crate_dependencies))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

mod archive;
pub mod machine;
pub mod parts;
pub mod segment;
pub mod sightings;

pub use machine::Vm;
pub use parts::{Kind, Parts};
pub use segment::{SERVICE, Segment, VIP};
