//! Waiting between tries: longer each time, never the same as others, for ever.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

/// The next wait doubles up to a limit; each is shortened by up to half at random, so that nodes
/// that failed together do not come back together.
#[derive(Debug)]
pub(crate) struct Backoff {
    first: Duration,
    limit: Duration,
    next: Duration,
    random: u64,
}

impl Backoff {
    pub(crate) fn new(first: Duration, limit: Duration) -> Self {
        // A hasher's seed is the standard library's only source of randomness.
        let random = RandomState::new().hash_one(0_u8) | 1;
        Self { first, limit, next: first, random }
    }

    /// All went well: the next wait is a short one again.
    pub(crate) const fn reset(&mut self) {
        self.next = self.first;
    }

    /// How long to wait now.
    pub(crate) fn wait(&mut self) -> Duration {
        let whole = self.next.min(self.limit);
        self.next = whole.saturating_mul(2);
        whole.mul_f64(0.5 + self.fraction() / 2.0)
    }

    /// A number from 0 to 1 (xorshift).
    pub(crate) fn fraction(&mut self) -> f64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        f64::from(u32::try_from(self.random >> 32).unwrap_or(0)) / f64::from(u32::MAX)
    }
}

#[cfg(test)]
mod tests;
