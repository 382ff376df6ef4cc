//! ARP and NDP: a virtual address is put on a link of this node and the segment is told, by
//! gratuitous ARP (RFC 826, RFC 5227) or unsolicited neighbour advertisements (RFC 4861 §7.2.6).
//!
//! - `wire`: frames ↔ values; pure, never panics.
//! - `machine`: which claims heard on the segment are a rival's; pure.
//! - `filter`: the classic BPF programs that keep all other traffic away from us; pure.
//! - `driver`: [`Arp`], the packet sockets around `viplet_netlink::Kernel`.
//! - `sys`: link-layer socket addresses; the only unsafe code.
//! - `error`: errno → refusal.

#![cfg_attr(not(test), deny(unused_crate_dependencies))]

mod driver;
mod error;
mod filter;
#[doc(hidden)]
pub mod fuzz;
mod machine;
mod sys;
mod wire;

pub use driver::Arp;
