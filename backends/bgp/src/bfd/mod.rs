//! Asynchronous BFD (RFC 5880) over one hop (RFC 5881) and several (RFC 5883): whether the path
//! to a BGP peer works, known in a few times the interval of its packets.

mod driver;
pub mod machine;
mod socket;
pub mod wire;

pub use driver::{Bfd, Endpoint, Event};
pub use wire::{Diagnostic, State};
