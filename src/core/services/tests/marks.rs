//! The Lease that decides about an address changes, and a node that renews the one before, or
//! could take it, does not hear of that: the Lease before tells it.

use std::time::Duration;

use super::town::{Town, asking, ip, settings};
use crate::core::services::moved::moved;
use crate::core::settings::ServiceElection::Each;

const VIP: &str = "10.0.0.1";

fn town(nodes: usize) -> Town {
    let mut town = Town::new(nodes, settings(Each));
    town.settle();
    town.serve(asking("web", VIP));
    town.settle();
    town
}

fn put_under(town: &mut Town, lease: &str) {
    let lease = lease.into();
    town.change("web", |record| {
        record.annotations.as_mut().unwrap().rare_mut().lease = Some(lease)
    });
}

/// Whether a lease says that the address is no longer its own.
fn is_marked(town: &Town, lease: &str) -> bool {
    let record = town.lease(lease).unwrap();
    moved(record.moved.as_deref(), ip(VIP)).is_some()
}

#[test]
fn a_holder_that_has_not_heard_lets_go_before_another_takes_it_by_the_new_lease() {
    let mut town = town(2);
    let holder = town.holder(VIP);
    town.cut_watches(holder);
    put_under(&mut town, "shared");
    town.forget_silence();
    town.pass(Duration::from_secs(20)); // Never two holders.
    assert_ne!(town.holder(VIP), holder);
    assert!(town.longest_silence(VIP) < Duration::from_secs(2), "{:?}", town.longest_silence(VIP));
    town.list(holder);
    town.pass(Duration::from_secs(20));
    assert_ne!(town.holder(VIP), holder, "it stays where it is");
}

#[test]
fn a_holder_that_hears_of_the_change_a_little_later_keeps_the_address_all_the_while() {
    let mut town = town(3);
    let holder = town.holder(VIP);
    town.cut_watches(holder);
    put_under(&mut town, "shared");
    town.forget_silence();
    town.pass(Duration::from_secs(2));
    town.list(holder);
    town.pass(Duration::from_secs(20));
    assert_eq!(town.holder(VIP), holder);
    assert_eq!(town.longest_silence(VIP), Duration::ZERO);
    assert_eq!(town.lease("shared").unwrap().holder, format!("n{}", holder + 1));
}

#[test]
fn a_node_that_has_not_heard_does_not_take_it_by_the_lease_before() {
    for blind in 0..3 {
        let mut town = town(3);
        if town.holder(VIP) == blind {
            continue;
        }
        town.cut_watches(blind);
        put_under(&mut town, "shared");
        town.pass(Duration::from_secs(1));
        assert!(is_marked(&town, "kubevip-web"));
        town.pass(Duration::from_secs(30)); // Never two holders.
        town.list(blind);
        town.pass(Duration::from_secs(20));
        town.holder(VIP);
    }
}

#[test]
fn a_lease_that_was_never_made_is_made_to_be_marked() {
    let mut town = Town::new(2, settings(Each));
    town.settle();
    town.put(asking("web", VIP)); // No endpoint: nobody claims its lease.
    town.settle();
    assert_eq!(town.lease("kubevip-web"), None);
    town.cut_watches(0);
    put_under(&mut town, "shared");
    town.endpoints("web", &["n1", "n2"]);
    town.pass(Duration::from_secs(1));
    assert!(is_marked(&town, "kubevip-web"));
    assert_eq!(town.holder(VIP), 1);
}

#[test]
fn a_node_that_starts_after_the_change_waits_for_a_holder_that_has_not_heard() {
    let mut town = town(3);
    let holder = town.holder(VIP);
    let others: Vec<usize> = (0..3).filter(|n| *n != holder).collect();
    town.kill(others[0]);
    town.cut_watches(holder);
    put_under(&mut town, "shared");
    town.pass(Duration::from_millis(200));
    assert!(is_marked(&town, "kubevip-web"));
    assert_eq!(town.holder(VIP), holder);
    town.start(others[0]);
    town.pass(Duration::from_secs(20)); // Never two holders.
    assert_ne!(town.holder(VIP), holder);
}

#[test]
fn a_lease_is_given_back_marked() {
    let mut town = town(2);
    put_under(&mut town, "shared");
    while !town.lease("kubevip-web").unwrap().holder.is_empty() {
        town.pass(Duration::from_millis(1));
    }
    assert!(is_marked(&town, "kubevip-web"));
}

#[test]
fn a_mark_is_in_nobodys_way_once_the_lease_decides_again() {
    let mut town = town(2);
    put_under(&mut town, "shared");
    town.settle();
    town.change("web", |record| record.annotations.as_mut().unwrap().rare_mut().lease = None);
    town.settle();
    assert!(is_marked(&town, "kubevip-web") && is_marked(&town, "shared"));
    assert_eq!(town.lease("kubevip-web").unwrap().holder, format!("n{}", town.holder(VIP) + 1));
    let before = town.holder(VIP);
    town.power_off(before);
    town.pass(Duration::from_secs(8));
    assert_ne!(town.holder(VIP), before);
}
