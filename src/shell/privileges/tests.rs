//! Capabilities that are permitted are raised.

use rustix::thread::CapabilitySet;

use super::*;

#[test]
fn what_is_permitted_is_raised() {
    // Capabilities belong to a thread, and each test has its own.
    let mut sets = capabilities(None).unwrap();
    sets.effective = CapabilitySet::empty();
    set_capabilities(None, sets).unwrap();
    raise().unwrap();
    let after = capabilities(None).unwrap();
    assert_eq!((after.effective, after.permitted), (sets.permitted, sets.permitted));
}
