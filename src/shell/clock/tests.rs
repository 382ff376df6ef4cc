//! The timer fires at its moment.

use super::*;

#[test]
fn a_timer_fires_at_its_moment_and_can_be_set_again() {
    let mut timer = Timer::new().unwrap();
    for _ in 0..3 {
        let at = now() + Duration::from_millis(5);
        smol::block_on(std::future::poll_fn(|cx| match timer.poll_at(Some(at), cx) {
            Ok(poll) => poll,
            Err(error) => panic!("{error}"),
        }));
        assert!(now() >= at);
    }
}
