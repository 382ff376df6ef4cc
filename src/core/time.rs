//! Time as the core sees it: an argument, never read from a clock.

use std::fmt;
use std::num::NonZeroU64;
use std::ops::{Add, Sub};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A moment of `CLOCK_BOOTTIME` (it goes on during suspend, and no one sets it): time since boot,
/// to the nanosecond, for 584 years.
///
/// Kept as nanoseconds and one more, so that an `Option<Moment>` is no larger: there may be
/// thousands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "Duration", into = "Duration")]
pub struct Moment(NonZeroU64);

impl Moment {
    /// The moment at which the clock read `since_boot`.
    #[must_use]
    pub const fn from_boot(since_boot: Duration) -> Self {
        // Never above `u64::MAX`.
        let nanos = since_boot.as_nanos();
        let nanos = if nanos < u64::MAX as u128 { nanos as u64 } else { u64::MAX - 1 };
        Self(NonZeroU64::MIN.saturating_add(nanos))
    }

    /// Time since boot.
    #[must_use]
    pub const fn since_boot(self) -> Duration {
        Duration::from_nanos(self.0.get() - 1)
    }

    /// Time from `earlier` to `self`, zero if `earlier` is the later one.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.get().saturating_sub(earlier.0.get()))
    }
}

impl Default for Moment {
    fn default() -> Self {
        Self(NonZeroU64::MIN)
    }
}

impl From<Duration> for Moment {
    fn from(since_boot: Duration) -> Self {
        Self::from_boot(since_boot)
    }
}

impl From<Moment> for Duration {
    fn from(moment: Moment) -> Self {
        moment.since_boot()
    }
}

impl Add<Duration> for Moment {
    type Output = Self;
    fn add(self, span: Duration) -> Self {
        Self::from_boot(self.since_boot().saturating_add(span))
    }
}

impl Sub<Duration> for Moment {
    type Output = Self;
    fn sub(self, span: Duration) -> Self {
        Self::from_boot(self.since_boot().saturating_sub(span))
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}s", self.since_boot().as_secs_f64())
    }
}
