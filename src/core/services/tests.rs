//! Services on several nodes: cores, kernels that do what they are told, and an API server, with
//! a few milliseconds between them. One behaviour per test.

mod everywhere;
pub(crate) mod fixture;
mod holding;
mod marks;
mod namesakes;
mod sharing;
mod standing_firm;
mod successions;
mod turns;
mod unreadable;
mod writing;

pub(crate) use fixture::{service, settings};
