//! When a session is attempted again: later and later up to a bound, never quite at the same time
//! as others (RFC 4271 §10 asks for jitter). Pure.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::time::Duration;

use super::Moment;

const FIRST: Duration = Duration::from_millis(500);
const MOST: Duration = Duration::from_secs(10);

/// The waits of one peer.
#[derive(Debug)]
pub(super) struct Retry {
    wait: Duration,
    seed: u64,
}

impl Retry {
    pub(super) const fn new(seed: u64) -> Self {
        Self { wait: FIRST, seed }
    }

    /// The next attempt comes soon again.
    pub(super) const fn reset(&mut self) {
        self.wait = FIRST;
    }

    /// When to try again; the wait after this one is twice as long.
    pub(super) fn next(&mut self, now: Moment) -> Moment {
        let at = self.peek(now);
        self.wait = (self.wait * 2).min(MOST);
        self.seed = mixed(self.seed);
        at
    }

    /// As [`Retry::next`], but nothing has failed: the wait stays.
    pub(super) fn peek(&self, now: Moment) -> Moment {
        // 0.75 to 1 of the wait.
        let millis = u64::try_from(self.wait.as_millis()).unwrap_or(0);
        now + Duration::from_millis(millis - mixed(self.seed) % (millis / 4 + 1))
    }
}

/// splitmix64.
const fn mixed(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_bound_and_differ_between_peers() {
        let waits = |seed| {
            let mut retry = Retry::new(seed);
            (0..9).map(|_| retry.next(Duration::ZERO)).collect::<Vec<_>>()
        };
        let one = waits(1);
        assert!(one.iter().all(|wait| *wait <= MOST) && one[8] >= MOST * 3 / 4, "{one:?}");
        assert!(one[0] <= FIRST && one[0] >= FIRST * 3 / 4);
        assert_ne!(one, waits(2));
    }
}
