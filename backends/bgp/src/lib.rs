//! BGP-4 (RFC 4271) as a speaker that announces virtual addresses and learns nothing. BFD to its
//! peers is a crate of its own, `viplet-bfd`.
//!
//! - `settings`: what a person says about this speaker and its peers, read from text.
//! - `wire`: messages ↔ bytes; framing and every length check are ours; pure, never panics.
//! - `machine`: one peer's session: states, timers, collisions; pure.
//! - `table`: which addresses are announced, and the few UPDATEs that say so; pure.
//! - `driver`: the sockets of BGP and the backend around them.
//! - `sys`: socket options that no crate has; the only unsafe code.
//! - `error`: errno → refusal.

#![cfg_attr(not(test), deny(unused_crate_dependencies))]

pub mod settings;

mod driver;
mod error;
#[doc(hidden)]
pub mod fuzz;
mod machine;
mod sys;
mod table;
mod wire;

pub use driver::Bgp;
