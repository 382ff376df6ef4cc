//! Asynchronous BFD (RFC 5880) over one hop (RFC 5881) and several (RFC 5883): whether the path
//! to a neighbour works, known in a few times the interval of its packets. BGP uses it for its
//! peers; whatever else depends on a next hop may too.
//!
//! - `wire`: control packets ↔ bytes; pure, never panics.
//! - `machine`: one session: states, poll sequences, intervals, detection; pure.
//! - `driver`: the sessions with their sockets and the timer.
//!
//! It is no [`Backend`](viplet_backend_api::Backend) and refuses no command, so it has no
//! `error.rs`: what keeps a packet from being sent or received is a text ([`Bfd::error`]).

#![cfg_attr(not(test), deny(unused_crate_dependencies))]

mod driver;
pub mod machine;
pub mod wire;

pub use driver::{Bfd, Endpoint, Event, Hops};
pub use machine::Settings;
pub use wire::{Diagnostic, State};
