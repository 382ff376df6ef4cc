//! The pure heart: what is wanted against what is observed, and who holds which address.
//!
//! Getters: [`Core::status`], [`Core::counters`], [`Core::next_deadline`].
//! Handle: [`Core::handle`] takes one [`Input`] and the moment at which it happened, changes the
//! state and appends [`Effect`]s, in the order in which they must be carried out.
//! The owner calls `handle(Input::Deadline, now)` no later than `next_deadline()`.
//!
//! No I/O, no clock, no randomness, no async, no iteration over hash maps (design law 10).

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod input;
pub mod lease;
pub mod report;
pub mod settings;
pub mod status;
pub mod time;

pub use input::{Effect, Input, LeaseRequest, LeaseVerb, LeaseView, WriteOutcome};
pub use lease::{LeaseName, LeaseRecord, Stamp};
pub use time::Moment;
