//! The shell: the only part of viplet that touches the world.

pub mod calendar;
pub mod dump;
pub mod http;
pub mod logger;
pub mod metrics;
pub mod process;
pub mod source;
