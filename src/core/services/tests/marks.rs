//! The Lease that decides about an address changes, and a node that renews the one before, or
//! could take it, does not hear of that: the Lease before tells it.

use std::time::Duration;

use super::fixture::{Fixture, asking, ip, settings};
use crate::core::rights::mark::moved;
use crate::core::settings::ServiceElection::Each;

const VIP: &str = "10.0.0.1";

fn fixture(nodes: usize) -> Fixture {
    let mut fixture = Fixture::new(nodes, settings(Each));
    fixture.settle();
    fixture.serve(asking("web", VIP));
    fixture.settle();
    fixture
}

fn put_under(fixture: &mut Fixture, lease: &str) {
    let lease = lease.into();
    fixture.change("web", |record| {
        record.annotations.as_mut().unwrap().rare_mut().lease = Some(lease)
    });
}

/// Whether a lease says that the address is no longer its own.
fn is_marked(fixture: &Fixture, lease: &str) -> bool {
    let record = fixture.lease(lease).unwrap();
    moved(record.moved.as_deref(), ip(VIP)).is_some()
}

#[test]
fn a_holder_that_has_not_heard_lets_go_before_another_takes_it_by_the_new_lease() {
    let mut fixture = fixture(2);
    let holder = fixture.holder(VIP);
    fixture.cut_watches(holder);
    put_under(&mut fixture, "shared");
    fixture.forget_silence();
    fixture.pass(Duration::from_secs(20)); // Never two holders.
    assert_ne!(fixture.holder(VIP), holder);
    assert!(
        fixture.longest_silence(VIP) < Duration::from_secs(2),
        "{:?}",
        fixture.longest_silence(VIP)
    );
    fixture.list(holder);
    fixture.pass(Duration::from_secs(20));
    assert_ne!(fixture.holder(VIP), holder, "it stays where it is");
}

#[test]
fn a_holder_that_hears_of_the_change_a_little_later_keeps_the_address_all_the_while() {
    let mut fixture = fixture(3);
    let holder = fixture.holder(VIP);
    fixture.cut_watches(holder);
    put_under(&mut fixture, "shared");
    fixture.forget_silence();
    fixture.pass(Duration::from_secs(2));
    fixture.list(holder);
    fixture.pass(Duration::from_secs(20));
    assert_eq!(fixture.holder(VIP), holder);
    assert_eq!(fixture.longest_silence(VIP), Duration::ZERO);
    assert_eq!(fixture.lease("shared").unwrap().holder, format!("n{}", holder + 1));
}

#[test]
fn a_node_that_has_not_heard_does_not_take_it_by_the_lease_before() {
    for blind in 0..3 {
        let mut fixture = fixture(3);
        if fixture.holder(VIP) == blind {
            continue;
        }
        fixture.cut_watches(blind);
        put_under(&mut fixture, "shared");
        fixture.pass(Duration::from_secs(1));
        assert!(is_marked(&fixture, "kubevip-web"));
        fixture.pass(Duration::from_secs(30)); // Never two holders.
        fixture.list(blind);
        fixture.pass(Duration::from_secs(20));
        fixture.holder(VIP);
    }
}

#[test]
fn a_lease_that_was_never_made_is_made_to_be_marked() {
    let mut fixture = Fixture::new(2, settings(Each));
    fixture.settle();
    fixture.put(asking("web", VIP)); // No endpoint: nobody claims its lease.
    fixture.settle();
    assert_eq!(fixture.lease("kubevip-web"), None);
    fixture.cut_watches(0);
    put_under(&mut fixture, "shared");
    fixture.endpoints("web", &["n1", "n2"]);
    fixture.pass(Duration::from_secs(1));
    assert!(is_marked(&fixture, "kubevip-web"));
    assert_eq!(fixture.holder(VIP), 1);
}

#[test]
fn a_node_that_starts_after_the_change_waits_for_a_holder_that_has_not_heard() {
    let mut fixture = fixture(3);
    let holder = fixture.holder(VIP);
    let others: Vec<usize> = (0..3).filter(|n| *n != holder).collect();
    fixture.kill(others[0]);
    fixture.cut_watches(holder);
    put_under(&mut fixture, "shared");
    fixture.pass(Duration::from_millis(200));
    assert!(is_marked(&fixture, "kubevip-web"));
    assert_eq!(fixture.holder(VIP), holder);
    fixture.start(others[0]);
    fixture.pass(Duration::from_secs(20)); // Never two holders.
    assert_ne!(fixture.holder(VIP), holder);
}

#[test]
fn a_lease_is_given_back_marked() {
    let mut fixture = fixture(2);
    put_under(&mut fixture, "shared");
    while !fixture.lease("kubevip-web").unwrap().holder.is_empty() {
        fixture.pass(Duration::from_millis(1));
    }
    assert!(is_marked(&fixture, "kubevip-web"));
}

#[test]
fn a_mark_is_in_nobodys_way_once_the_lease_decides_again() {
    let mut fixture = fixture(2);
    put_under(&mut fixture, "shared");
    fixture.settle();
    fixture.change("web", |record| record.annotations.as_mut().unwrap().rare_mut().lease = None);
    fixture.settle();
    assert!(is_marked(&fixture, "kubevip-web") && is_marked(&fixture, "shared"));
    assert_eq!(
        fixture.lease("kubevip-web").unwrap().holder,
        format!("n{}", fixture.holder(VIP) + 1)
    );
    let before = fixture.holder(VIP);
    fixture.power_off(before);
    fixture.pass(Duration::from_secs(8));
    assert_ne!(fixture.holder(VIP), before);
}
