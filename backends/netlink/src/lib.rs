//! The kernel over rtnetlink: links, addresses and routes as observed state, and addresses put on
//! and taken off links with a lifetime that the kernel itself enforces.
//!
//! - `wire` and `encode`: netlink bytes ↔ records; pure, never panics.
//! - `addresses`: all addresses in order; pure.
//! - `observed`: the table of links and addresses; pure; turns kernel messages into notices and
//!   tells the node's own addresses from those that may be taken over.
//! - `census`: how many IPv4 addresses a link has, and what the removal of one takes along; pure.
//! - `filter`: keeps what is of no concern away from the monitor; pure.
//! - `request`: one socket for questions and changes, answered in the caller's turn.
//! - `monitor`: one socket that hears every change.
//! - `driver`: [`Kernel`], which joins them.
//! - `restore`: what the removal of an IPv4 address would take along, and how to put it back.
//! - `holdings`: the addresses that a backend has here, those included that are on no link; pure.
//! - `error`: errno → refusal with a class, a reason and what to do.

#![cfg_attr(not(test), deny(unused_crate_dependencies))]

mod addresses;
mod census;
mod driver;
mod encode;
mod error;
mod filter;
#[doc(hidden)]
pub mod fuzz;
mod holdings;
mod monitor;
mod observed;
mod request;
mod restore;
mod wire;

pub use driver::{Kernel, Placed};
pub use error::{Capability, io_refusal};
pub use holdings::Holdings;
pub use observed::LinkFacts;
