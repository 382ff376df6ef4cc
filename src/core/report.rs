//! What the core tells a person: one line, a level, and always the reason (design law 9).

use serde::{Deserialize, Serialize};

/// How much it matters (`log::Level` without the crate).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Level {
    /// Something is broken and a person should look.
    Error,
    /// Something is not as it should be; viplet goes on.
    Warn,
    /// A change that a person may want to know of.
    Info,
    /// Detail.
    Debug,
}

/// One line for the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// How much it matters.
    pub level: Level,
    /// What happened, why, what to do next.
    pub text: String,
}
