//! Why a backend could not do something, and what to do about it.

use std::fmt;

/// What kind of failure it is; the shell chooses the retry by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Class {
    /// May work if tried again soon.
    Transient,
    /// Will not work until a person changes something.
    Misconfigured,
    /// What it acts on is gone (the link, the session): wait for it to come back.
    Lost,
    /// Permission is missing; the text names it.
    Forbidden,
}

/// A refused command or dump.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Refusal {
    /// The kind of failure.
    pub class: Class,
    /// What was tried, what the kernel or peer said, what to do: one line for a person.
    pub reason: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for Refusal {}
