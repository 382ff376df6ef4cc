//! Settings: one table, four sources, typed results.
//!
//! [`split_arguments`] takes the settings' flags out of the arguments, [`load`] makes [`Settings`]
//! of them, the environment and a file, or says everything that is wrong at once. Both are pure.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod build;
mod control_plane;
mod draft;
mod file;
mod flags;
mod gather;
mod network;
mod problem;
mod services;
mod setting;
mod settings;
pub mod table;
#[cfg(test)]
mod tests;
mod validate;
mod value;

pub use build::{Effective, Loaded, load};
pub use draft::{Draft, Variable, VariableValue, draft};
pub use flags::{GivenFlag, split_arguments};
pub use gather::Inputs;
pub use problem::{MASK, Problem, Source};
pub use setting::{Empty, Gate, Kind, Role, Setting, Unknown};
pub use settings::{HealthCheck, LogThreshold, Mode, Settings};
pub use validate::Purpose;
