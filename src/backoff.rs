//! Waiting between tries outside the core: longer each time, never the same as others, for ever.

use std::time::Duration;

use crate::core::jitter::{Jitter, backoff};

/// The next wait doubles up to a limit; each is shortened by up to half at random, so that nodes
/// that failed together do not come back together.
#[derive(Debug)]
pub(crate) struct Backoff {
    first: Duration,
    limit: Duration,
    failures: u32,
    jitter: Jitter,
}

impl Backoff {
    pub(crate) fn new(first: Duration, limit: Duration) -> Self {
        Self { first, limit, failures: 0, jitter: Jitter::new(fastrand::u64(..)) }
    }

    /// All went well: the next wait is a short one again.
    pub(crate) const fn reset(&mut self) {
        self.failures = 0;
    }

    /// How long to wait now.
    pub(crate) fn wait(&mut self) -> Duration {
        self.failures = self.failures.saturating_add(1);
        let whole = backoff(self.first, self.limit, self.failures);
        self.shortened(whole, 2)
    }

    /// `whole`, shortened at random by up to one part of so many.
    pub(crate) fn shortened(&mut self, whole: Duration, parts: u32) -> Duration {
        whole - self.jitter.up_to(whole / parts)
    }
}

#[cfg(test)]
mod tests;
