//! Tests of `holdings`.

use viplet_backend_api::{DuplicateDetection, Scope};

use super::*;

const START: Duration = Duration::ZERO;

fn link(name: &str) -> LinkName {
    LinkName::new(name).unwrap()
}

fn vip(presence: Presence) -> Vip {
    Vip {
        address: "10.9.0.1".parse().unwrap(),
        prefix_len: 32,
        link: link("lo"),
        presence,
        scope: Scope::Universe,
        duplicate_detection: DuplicateDetection::Skip,
    }
}

fn lifetime(seconds: u32) -> Lifetime {
    Lifetime::from_secs(seconds).unwrap()
}

fn seen(link_name: &str, owner: Owner) -> Address {
    Address {
        link: link(link_name),
        owner,
        ..address(&vip(Presence::OnLink), Duration::from_secs(9), START)
    }
}

#[test]
fn one_that_is_only_made_known_is_reported_once_and_dies_with_its_lifetime() {
    let (mut holdings, vip) = (Holdings::default(), vip(Presence::MadeKnown));
    let first = holdings.make_known(&vip, lifetime(5), START);
    assert!(matches!(first, Some(Notice::Address(seen)) if seen.address == vip.address));
    let later = Duration::from_secs(3);
    assert_eq!(holdings.make_known(&vip, lifetime(5), later), None, "a refresh is no news");
    assert_eq!(holdings.deadline(), Some(Duration::from_secs(8)));
    assert_eq!(holdings.expired(Duration::from_secs(7)), []);
    assert!(holdings.has(&vip));
    assert_eq!(holdings.expired(Duration::from_secs(8)), std::slice::from_ref(&vip));
    assert!(!holdings.has_anywhere(vip.address) && holdings.deadline().is_none());
}

#[test]
fn what_is_forgotten_is_what_is_known_as_being_on_that_link() {
    let (mut holdings, vip) = (Holdings::default(), vip(Presence::MadeKnown));
    holdings.make_known(&vip, lifetime(5), START);
    assert_eq!(holdings.forget(vip.address, &link("eth0")), None);
    assert!(holdings.has(&vip) && holdings.has_beside(vip.address, &link("eth0")));
    let gone = Notice::AddressGone { link: link("lo"), address: vip.address };
    assert_eq!(holdings.forget(vip.address, &link("lo")), Some(gone));
    assert!(!holdings.has(&vip));
}

#[test]
fn on_a_link_is_what_the_kernel_has_there_as_ours() {
    let (mut holdings, vip) = (Holdings::default(), vip(Presence::OnLink));
    holdings.put_on_link(&vip);
    assert!(holdings.has(&vip) && !holdings.has_beside(vip.address, &vip.link));
    holdings.notice(&Notice::Address(seen("eth0", Owner::Viplet)));
    assert!(holdings.has_beside(vip.address, &vip.link));
    holdings.notice(&Notice::LinkGone(link("eth0")));
    assert!(!holdings.has_beside(vip.address, &vip.link));
    let addresses = vec![seen("lo", Owner::Node)];
    holdings.notice(&Notice::Snapshot(Observation { links: Vec::new(), addresses }));
    assert!(!holdings.has_anywhere(vip.address), "the node's own is not ours");
}
