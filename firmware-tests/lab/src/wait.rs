//! Waiting for a condition: polled every few milliseconds, with a deadline and a name.

use std::thread;
use std::time::{Duration, Instant};

/// Polls `condition` until it is true; panics when `timeout` passes first. Returns the time it took.
#[track_caller]
pub fn wait_until(what: &str, timeout: Duration, mut condition: impl FnMut() -> bool) -> Duration {
    wait_for(what, timeout, || condition().then_some(())).1
}

/// Polls `probe` until it gives something; returns it and the time it took.
#[track_caller]
pub fn wait_for<T>(
    what: &str,
    timeout: Duration,
    mut probe: impl FnMut() -> Option<T>,
) -> (T, Duration) {
    let start = Instant::now();
    loop {
        if let Some(found) = probe() {
            return (found, start.elapsed());
        }
        assert!(start.elapsed() < timeout, "waited {timeout:?} in vain: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Watches for `span` that `condition` never fails; panics at once when it does.
#[track_caller]
pub fn stays_for(what: &str, span: Duration, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while start.elapsed() < span {
        assert!(condition(), "after {:?} no longer so: {what}", start.elapsed());
        thread::sleep(Duration::from_millis(5));
    }
}
