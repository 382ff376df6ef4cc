//! The arithmetic of a lease: until when a holder may act, and from when another may take over.
//!
//! The two never overlap. A holder counts from the moment it SENT its last successful renewal;
//! the others count from the moment they SAW it, which is later. Both count the duration that
//! stands in the record; the holder takes a margin off for clocks that do not run alike.

use std::time::Duration;

use crate::core::rights::lease::LeaseRecord;
use crate::core::settings::LeaseTiming;
use crate::core::time::Moment;

/// What a holder takes off its lease for the time that a withdrawal takes. The kernel needs none
/// of it for the addresses that it drops by itself.
const WITHDRAWAL: Duration = Duration::from_millis(100);

/// How long an address may outlive `lifetime` at most: `ADDRCONF_TIMER_FUZZ` (`HZ / 4`) and a
/// little for the work queue; and the timer wheel is the coarser the farther off a timer is, by
/// up to 8/63 of its time (`kernel/time/timer.c`, `LVL_START`, `LVL_GRAN`).
#[must_use]
pub fn kernel_lateness(lifetime: Duration) -> Duration {
    let fuzz = Duration::from_millis(250);
    fuzz + Duration::from_millis(50) + (lifetime + fuzz) * 8 / 63
}

/// The duration as it is written in the record: whole seconds.
#[must_use]
pub fn duration_seconds(timing: &LeaseTiming) -> u32 {
    u32::try_from(timing.duration.as_secs()).unwrap_or(u32::MAX).max(1)
}

/// The end of a hold whose last successful renewal was sent at `sent` (design law 2). The margin,
/// 2 % and 100 ms, covers two clocks that are 1 % apart and the time that a withdrawal takes.
#[must_use]
pub fn until(sent: Moment, timing: &LeaseTiming) -> Moment {
    let duration = Duration::from_secs(u64::from(duration_seconds(timing)));
    sent + duration.saturating_sub(duration / 50 + WITHDRAWAL)
}

/// Time between two renewals: a third of the duration, so that two may fail; never more often
/// than the retry period, never later than two thirds of the renew deadline.
#[must_use]
pub fn renew_every(timing: &LeaseTiming) -> Duration {
    (timing.duration / 3).max(timing.retry_period).min(timing.renew_deadline.saturating_mul(2) / 3)
}

/// Whatever no lease decides about is held as if one were renewed at moments a third of its
/// duration apart: the kernel drops it when the process hangs.
#[must_use]
pub fn rolling(now: Moment, timing: &LeaseTiming) -> Moment {
    until(rolled(now, timing), timing)
}

/// The next of those moments.
#[must_use]
pub fn next_roll(now: Moment, timing: &LeaseTiming) -> Moment {
    rolled(now, timing) + roll_every(timing)
}

fn rolled(now: Moment, timing: &LeaseTiming) -> Moment {
    let since = now.since_boot().as_nanos() % roll_every(timing).as_nanos();
    let since = Duration::from_nanos(u64::try_from(since).unwrap_or_default());
    Moment::from_boot(now.since_boot().saturating_sub(since))
}

fn roll_every(timing: &LeaseTiming) -> Duration {
    (timing.duration / 3).max(Duration::from_millis(300))
}

/// From when on another candidate may take a lease whose record it saw change last at `seen`.
///
/// This is the only place that says when a holder counts as gone: evidence other than the
/// lease (peers that watch each other) belongs here.
#[must_use]
pub fn free_at(record: &LeaseRecord, seen: Moment, timing: &LeaseTiming) -> Moment {
    if record.holder.is_empty() {
        return seen;
    }
    // client-go reads a missing duration as «expired»; waiting our own duration is safer.
    let seconds = if record.duration_seconds == 0 {
        duration_seconds(timing)
    } else {
        record.duration_seconds
    };
    seen + Duration::from_secs(u64::from(seconds))
}

/// A check of the kernel's within the last second of an address is followed by the next one a
/// full second later (`ADDRCONF_TIMER_FUZZ_MAX`); any address that comes to any link causes one.
const KERNEL_RECHECK: Duration = Duration::from_millis(1200);

/// The longest valid lifetime, in whole seconds, with which an address installed at `now` is
/// gone by `until` even if nobody refreshes it; `None` when that is less than a second. Where
/// two seconds or more are left beside it, a check at the wrong moment is allowed for too.
#[must_use]
pub fn lifetime(now: Moment, until: Moment) -> Option<viplet_backend_api::Lifetime> {
    let end = until + WITHDRAWAL;
    let left = end.since(now + kernel_lateness(Duration::ZERO));
    // Whole seconds s with s + s * 8/63 <= left.
    let usual = left.as_millis() * 63 / 71 / 1000;
    let safe = u128::from(end.since(now + KERNEL_RECHECK).as_secs());
    let seconds = if safe >= 2 { usual.min(safe) } else { usual };
    viplet_backend_api::Lifetime::from_secs(u32::try_from(seconds).unwrap_or(u32::MAX - 1))
}

/// The last moment at which an install still gets a lifetime of one second.
#[must_use]
pub fn last_install(until: Moment) -> Moment {
    let second = Duration::from_secs(1);
    until + WITHDRAWAL - kernel_lateness(second) - second
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::rights::lease::Stamp;

    fn timing(duration: u64, deadline: u64, retry: u64) -> LeaseTiming {
        LeaseTiming {
            duration: Duration::from_secs(duration),
            renew_deadline: Duration::from_secs(deadline),
            retry_period: Duration::from_secs(retry),
        }
    }

    fn record(holder: &str, duration_seconds: u32) -> LeaseRecord {
        LeaseRecord {
            holder: holder.to_owned(),
            duration_seconds,
            acquired: Stamp::Now,
            renewed: Stamp::Now,
            transitions: 0,
            moved: None,
            writer: None,
        }
    }

    const T: Moment = Moment::from_boot(Duration::from_secs(1000));

    #[test]
    fn a_hold_ends_before_anyone_may_take_over_even_with_clocks_one_percent_apart() {
        for (duration, deadline, retry) in [(2, 1, 0), (5, 3, 1), (15, 10, 2), (60, 40, 5)] {
            let timing = timing(duration, deadline, retry);
            let held = until(T, &timing).since(T);
            let free = free_at(&record("other", duration_seconds(&timing)), T, &timing).since(T);
            assert!(held.mul_f64(1.01) + Duration::from_millis(50) < free, "{duration}");
            assert!((held + WITHDRAWAL).mul_f64(1.01) < free, "the kernel, {duration}");
        }
    }

    #[test]
    fn a_released_lease_is_free_at_once_and_one_without_a_duration_is_not() {
        let timing = timing(15, 10, 2);
        assert_eq!(free_at(&record("", 1), T, &timing), T);
        assert_eq!(free_at(&record("x", 0), T, &timing), T + Duration::from_secs(15));
    }

    #[test]
    fn an_unrefreshed_address_is_gone_before_the_hold_ends() {
        let end = T + Duration::from_secs(5);
        for millis in 0..5000 {
            let now = T + Duration::from_millis(millis);
            if let Some(lifetime) = lifetime(now, end) {
                let lifetime = Duration::from_secs(u64::from(lifetime.as_secs()));
                assert!(now + lifetime + kernel_lateness(lifetime) <= end + WITHDRAWAL);
            } else {
                assert!(now > last_install(end));
            }
        }
    }

    #[test]
    fn a_kill_right_after_a_renewal_leaves_the_kernel_a_second_more_where_the_lease_is_long_enough()
    {
        for duration in [5, 10, 15, 60] {
            let end = until(T, &timing(duration, duration - 1, 1));
            let sent = T + Duration::from_millis(10);
            let lifetime = u64::from(lifetime(sent, end).unwrap().as_secs());
            let gone = sent + Duration::from_secs(lifetime) + KERNEL_RECHECK;
            assert!(gone <= T + Duration::from_secs(duration), "{duration}");
        }
    }

    #[test]
    fn renewals_are_a_third_of_the_lease_apart_and_within_the_renew_deadline() {
        assert_eq!(renew_every(&timing(15, 10, 2)), Duration::from_secs(5));
        assert_eq!(renew_every(&timing(15, 10, 8)), Duration::from_secs(20) / 3);
        assert!(renew_every(&timing(5, 3, 1)) < Duration::from_secs(2));
    }
}
