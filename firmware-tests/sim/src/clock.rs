//! True time, and the clocks of nodes that run a little fast or slow.

use std::time::Duration;

use viplet::core::Moment;

/// True time since the world began, in nanoseconds.
pub type Nanos = u64;

/// One millisecond.
pub const MS: Nanos = 1_000_000;
/// One second.
pub const S: Nanos = 1000 * MS;

/// A span as true nanoseconds.
#[must_use]
pub fn nanos(span: Duration) -> Nanos {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// A node's `CLOCK_BOOTTIME`.
#[derive(Clone, Debug)]
pub struct NodeClock {
    since: Nanos,
    read: Nanos,
    /// Parts per million that it is fast.
    ppm: i64,
}

impl NodeClock {
    /// A clock that reads `read` at `now`, and runs `ppm` parts per million fast.
    #[must_use]
    pub fn new(now: Nanos, read: Nanos, ppm: i64) -> Self {
        Self { since: now, read, ppm }
    }

    /// From `now` on it runs at another rate.
    pub fn set_rate(&mut self, now: Nanos, ppm: i64) {
        self.read = nanos(self.moment(now).since_boot());
        self.since = now;
        self.ppm = ppm;
    }

    /// What it reads at `now`.
    #[must_use]
    pub fn moment(&self, now: Nanos) -> Moment {
        let passed = i128::from(now.saturating_sub(self.since));
        let read = i128::from(self.read) + passed + passed * i128::from(self.ppm) / 1_000_000;
        Moment::from_boot(Duration::from_nanos(u64::try_from(read).unwrap_or_default()))
    }

    /// When it reads `moment` or more for the first time.
    #[must_use]
    pub fn when(&self, moment: Moment) -> Nanos {
        let ahead = i128::from(nanos(moment.since_boot()).saturating_sub(self.read));
        let passed = ahead * 1_000_000 / (1_000_000 + i128::from(self.ppm));
        let mut at = self.since.saturating_add(u64::try_from(passed).unwrap_or(u64::MAX));
        while self.moment(at) < moment && at < u64::MAX - 1 {
            at += 1;
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fast_clock_is_ahead_by_its_rate_and_when_undoes_moment() {
        for ppm in [-5000, -200, 0, 200, 5000] {
            let clock = NodeClock::new(3 * S, 1000 * S, ppm);
            let read = clock.moment(13 * S).since_boot();
            let gained = i128::from(nanos(read)) - i128::from(1010 * S);
            assert_eq!(gained, i128::from(ppm) * 10_000);
            let at = clock.when(clock.moment(13 * S));
            assert!(at.abs_diff(13 * S) <= 1, "{at}");
            assert!(clock.moment(at) >= clock.moment(13 * S));
        }
    }
}
