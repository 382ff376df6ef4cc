//! The waits: how they grow, and that they differ.

use super::*;

#[test]
fn waits_grow_to_the_limit_and_no_further_and_start_over_after_a_reset() {
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(10));
    for tries in 0..40 {
        let whole = Duration::from_millis(200 << tries.min(6)).min(Duration::from_secs(10));
        let wait = backoff.wait();
        assert!(wait >= whole / 2 && wait <= whole, "{tries}: {wait:?}");
    }
    backoff.reset();
    assert!(backoff.wait() <= Duration::from_millis(200));
}

#[test]
fn two_nodes_do_not_wait_equally_long() {
    let mut one = Backoff::new(Duration::from_secs(1), Duration::from_secs(10));
    let mut other = Backoff::new(Duration::from_secs(1), Duration::from_secs(10));
    assert_ne!([one.wait(), one.wait(), one.wait()], [other.wait(), other.wait(), other.wait()]);
}
