//! What stands beside our addresses: other instances of viplet, what was put there by hand, and
//! what a service proxy binds to links of its own.

use super::*;

fn ours_for(text: &str, seconds: u64) -> Address {
    let valid_for = Some(Duration::from_secs(seconds));
    Address { valid_for, ..address("eth0", text, Owner::Viplet) }
}

fn withdrawn(node: &Node, text: &str) -> bool {
    node.commands()
        .iter()
        .any(|command| matches!(command, Command::Withdraw { address, .. } if *address == ip(text)))
}

#[test]
fn what_another_instance_with_our_tag_holds_beside_us_is_left_alone_and_when_dead_runs_out() {
    let (first, second) = ("10.0.0.51", "10.0.0.52");
    let mut node = Node::new(control_plane(&[VIP]));
    node.start(vec![link("eth0", LinkState::Up)], vec![ours_for(first, 3)]);
    for _ in 0..20 {
        node.pass(millis(500));
        // The other instances refresh theirs; one more comes later.
        for text in [first, second] {
            let key = (ip(text), LinkName::new("eth0").unwrap());
            node.expiry.insert(key.clone(), node.now + Duration::from_secs(3));
            if node.kernel.insert(key, ours_for(text, 3)).is_none() {
                node.give(Input::Observed(Notice::Address(ours_for(text, 3))));
            }
        }
    }
    assert!(node.has(VIP) && node.has(first) && node.has(second));
    assert!(!withdrawn(&node, first) && !withdrawn(&node, second));
    node.pass(Duration::from_secs(4));
    assert!(node.has(VIP) && !node.has(first) && !node.has(second));
}

#[test]
fn one_with_our_tag_that_would_stay_for_ever_is_removed_even_if_it_was_made_so_later() {
    let mut node = Node::new(control_plane(&[VIP]));
    node.start(vec![link("eth0", LinkState::Up)], vec![ours_for("10.0.0.51", 3)]);
    let for_ever = Address { valid_for: None, ..ours_for("10.0.0.51", 3) };
    node.give(Input::Observed(Notice::Address(for_ever)));
    assert!(withdrawn(&node, "10.0.0.51"));
    assert!(node.said("left by an earlier run"));
}

#[test]
fn a_plain_copy_on_the_wanted_link_is_taken_over_by_the_holder() {
    let mut node = Node::new(control_plane(&[VIP]));
    node.other_holds("n1");
    let plain = address("eth0", VIP, Owner::Unmarked);
    node.start(vec![link("eth0", LinkState::Up)], vec![plain]);
    assert!(node.has(VIP));
    assert!(matches!(node.commands()[..], [Command::Install { .. }, Command::Announce { .. }]));
}

#[test]
fn an_address_that_another_hand_makes_permanent_on_the_holder_gets_its_lifetime_back_at_once() {
    for owner in [Owner::Unmarked, Owner::Viplet] {
        let mut node = Node::started(control_plane(&[VIP]));
        node.pass(millis(1500));
        node.done.clear();
        let replaced = Address { valid_for: None, ..address("eth0", VIP, owner) };
        let key = (replaced.address, replaced.link.clone());
        node.expiry.remove(&key);
        node.kernel.insert(key.clone(), replaced.clone());
        node.give(Input::Observed(Notice::Address(replaced)));
        node.pass(millis(150));
        assert!(node.kernel[&key].valid_for.is_some(), "{:?}", node.done);
        assert!(node.commands().iter().all(|c| !matches!(c, Command::Withdraw { .. })));
    }
}

#[test]
fn a_copy_that_viplet_left_on_another_link_goes_and_the_log_says_where_the_address_belongs() {
    let mut node = Node::new(control_plane(&[VIP]));
    let links = vec![link("eth0", LinkState::Up), link("other", LinkState::Up)];
    node.start(links, vec![address("other", VIP, Owner::Viplet)]);
    node.pass(Duration::from_secs(5));
    assert!(node.has(VIP));
    let copy = format!("{VIP} on other: the copy is withdrawn: the address belongs on eth0");
    assert!(node.said(&copy) && !node.said("is withdrawn: this node holds"), "{:?}", node.done);
}

#[test]
fn two_hands_that_undo_each_other_over_a_lifetime_do_not_spin() {
    let mut node = Node::started(control_plane(&[VIP]));
    node.done.clear();
    for _ in 0..100 {
        node.give(Input::Observed(Notice::Address(address("eth0", VIP, Owner::Unmarked))));
        node.pass(millis(10));
    }
    let installs = node.commands().iter().filter(|c| matches!(c, Command::Install { .. })).count();
    assert!((5..=15).contains(&installs), "{installs} installs in a second");
}

#[test]
fn a_plain_copy_on_another_link_keeps_the_node_out_and_on_lo_or_a_dummy_it_does_not() {
    for (kind, held) in [
        (LinkKind::Ethernet, false),
        (LinkKind::Other, false),
        (LinkKind::Loopback, true),
        (LinkKind::Dummy, true),
    ] {
        for owner in [Owner::Unmarked, Owner::Node] {
            let mut node = Node::new(control_plane(&[VIP]));
            let other = Link { kind, ..link("other", LinkState::Up) };
            let copy = address("other", VIP, owner);
            node.start(vec![link("eth0", LinkState::Up), other], vec![copy]);
            assert_eq!(node.has(VIP), held, "{kind:?} {owner:?}");
            let other = LinkName::new("other").unwrap();
            assert!(node.kernel.contains_key(&(ip(VIP), other)), "never removed");
        }
    }
}

#[test]
fn the_nodes_own_address_with_a_networks_length_keeps_the_node_out_on_any_link() {
    for kind in [LinkKind::Ethernet, LinkKind::Loopback, LinkKind::Dummy] {
        let mut node = Node::new(control_plane(&[VIP]));
        let other = Link { kind, ..link("other", LinkState::Up) };
        let own = Address { prefix_len: 24, ..address("other", VIP, Owner::Node) };
        node.start(vec![link("eth0", LinkState::Up), other], vec![own]);
        assert!(!node.has(VIP), "{kind:?}");
    }
}

#[test]
fn a_link_is_found_by_its_alternative_name_whenever_it_gets_it() {
    let name = "an-alternative-name-that-is-longer-than-fifteen-bytes";
    let mut plane = control_plane(&[VIP]);
    plane.link = LinkChoice::Named(InterfaceName::new(name).unwrap());
    let mut node = Node::new(plane);
    node.start(vec![link("eth0", LinkState::Up)], vec![]);
    assert!(!node.has(VIP));
    let named = Link { altnames: vec![name.to_owned()], ..link("eth0", LinkState::Up) };
    node.give(Input::Observed(Notice::Link(named)));
    node.pass(Duration::from_secs(1));
    assert!(node.kernel.contains_key(&(ip(VIP), LinkName::new("eth0").unwrap())));
}
