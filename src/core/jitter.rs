//! Spreads retries over time, from a seed: the same seed gives the same run.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use viplet_backend_api::fnv1a;

/// `SplitMix64` (Steele, Lea, Flood 2014): small, and good enough to spread retries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jitter(u64);

impl Jitter {
    /// Starts from a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A span from zero to `most`, both included.
    pub fn up_to(&mut self, most: Duration) -> Duration {
        let nanos = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(self.next().checked_rem(nanos.saturating_add(1)).unwrap_or(0))
    }

    /// `span` times something from 0.8 to 1.2.
    pub fn around(&mut self, span: Duration) -> Duration {
        span.mul_f64(0.8) + self.up_to(span.mul_f64(0.4))
    }
}

/// A span from zero to `most` that depends on the parts and nothing else: a rank among those
/// who draw for the same thing (FNV-1a, 64 bits, and a `SplitMix64` step to spread its bits).
#[must_use]
pub fn rank(parts: &[&str], most: Duration) -> Duration {
    let bytes = parts.iter().flat_map(|part| part.bytes().chain([0]));
    Jitter::new(fnv1a(bytes)).up_to(most)
}

/// How long to wait after a number of failures in a row: `first`, doubled each time, at most
/// `most`.
#[must_use]
pub fn backoff(first: Duration, most: Duration, failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    first.saturating_mul(1 << doublings).min(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_spreads_the_same_way() {
        let (mut a, mut b) = (Jitter::new(7), Jitter::new(7));
        let second = Duration::from_secs(1);
        assert_eq!((a.up_to(second), a.around(second)), (b.up_to(second), b.around(second)));
    }

    #[test]
    fn a_spread_stays_within_its_bounds() {
        let mut jitter = Jitter::new(1);
        for _ in 0..1000 {
            let span = jitter.around(Duration::from_secs(10));
            assert!((Duration::from_secs(8)..=Duration::from_secs(12)).contains(&span));
            assert!(jitter.up_to(Duration::ZERO).is_zero());
        }
    }

    #[test]
    fn waiting_doubles_up_to_its_bound() {
        let wait = |n| backoff(Duration::from_millis(100), Duration::from_secs(2), n).as_millis();
        assert_eq!([wait(1), wait(2), wait(3), wait(9), wait(99)], [100, 200, 400, 2000, 2000]);
    }
}
