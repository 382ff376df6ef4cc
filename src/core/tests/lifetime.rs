//! Start, restart, loss and stop.

use super::*;

#[test]
fn the_kernel_never_keeps_an_address_longer_than_the_lease_lasts() {
    let mut node = Node::started(control_plane(&[VIP]));
    node.pass(Duration::from_secs(7));
    node.api = Api::Silent;
    node.pass(Duration::from_secs(10));
    let renewed = |(_, e): &&(Moment, Effect)| {
        matches!(
            e,
            Effect::Kubernetes(KubernetesRequest::Lease(LeaseRequest {
                verb: LeaseVerb::Replace { .. },
                ..
            }))
        )
    };
    let sent: Vec<Moment> = node.done.iter().filter(renewed).map(|(at, _)| *at).collect();
    for (at, effect) in &node.done {
        let Effect::Addresses(Command::Install { lifetime, .. }) = effect else { continue };
        let gone = *at + Duration::from_secs(u64::from(lifetime.as_secs()));
        let base = sent.iter().filter(|s| *s <= at).max().copied().unwrap_or(*at);
        assert!(gone < base + Duration::from_secs(5), "installed at {at} for {lifetime:?}");
    }
    assert!(!node.has(VIP));
}

#[test]
fn an_outage_shorter_than_the_lease_does_not_cost_the_address() {
    let mut node = Node::started(control_plane(&[VIP]));
    node.pass(Duration::from_secs(1));
    node.api = Api::Silent;
    node.pass(Duration::from_secs(3));
    node.api = Api::Answers;
    node.pass(Duration::from_secs(3));
    assert!(node.commands().iter().all(|c| !matches!(c, Command::Withdraw { .. })));
}

#[test]
fn a_restart_within_the_lease_adopts_the_address_without_a_gap() {
    let mut node = Node::new(control_plane(&[VIP]));
    node.other_holds("n1");
    node.start(vec![link("eth0", LinkState::Up)], vec![address("eth0", VIP, Owner::Viplet)]);
    assert!(node.commands().iter().all(|c| !matches!(c, Command::Withdraw { .. })));
    assert!(matches!(node.commands()[..], [Command::Install { .. }, Command::Announce { .. }]));
}

#[test]
fn a_leftover_is_removed_as_soon_as_another_is_seen_to_hold_the_lease() {
    for owner in [Owner::Viplet, Owner::Predecessor, Owner::Unmarked] {
        let mut node = Node::new(control_plane(&[VIP]));
        node.api = Api::Silent;
        node.start(vec![link("eth0", LinkState::Up)], vec![address("eth0", VIP, owner)]);
        assert_eq!(node.commands().len(), 0, "unread: left as it is");
        node.other_holds("n2");
        assert!(matches!(node.commands()[..], [Command::Withdraw { .. }]));
    }
}

#[test]
fn a_kube_vip_leftover_does_not_outlive_a_lease_that_cannot_be_read() {
    let mut node = Node::new(control_plane(&[VIP]));
    node.api = Api::Silent;
    let leftover = address("eth0", VIP, Owner::Predecessor);
    node.start(vec![link("eth0", LinkState::Up)], vec![leftover]);
    node.pass(Duration::from_secs(6));
    assert!(node.kernel.is_empty());
}

#[test]
fn what_an_earlier_run_left_and_nobody_wants_is_removed_and_nothing_else_is() {
    let mut node = Node::new(control_plane(&[VIP]));
    let there = vec![
        Address { valid_for: None, ..address("eth0", "10.0.0.99", Owner::Viplet) },
        address("eth0", "10.0.0.98", Owner::Predecessor),
        address("eth0", "10.0.0.97", Owner::Unmarked),
        address("eth0", "10.0.0.5", Owner::Node),
        address("eth1", VIP, Owner::Viplet),
    ];
    node.start(vec![link("eth0", LinkState::Up), link("eth1", LinkState::Up)], there);
    let left: Vec<String> = node.kernel.keys().map(|(a, l)| format!("{a} {l}")).collect();
    assert_eq!(left, ["10.0.0.5 eth0", "10.0.0.40 eth0", "10.0.0.97 eth0", "10.0.0.98 eth0"]);
}

#[test]
fn a_stop_withdraws_first_and_releases_then() {
    let mut node = Node::started(control_plane(&[VIP]));
    node.done.clear();
    node.give(Input::Stop);
    let order: Vec<&str> = node
        .done
        .iter()
        .filter_map(|(_, effect)| match effect {
            Effect::Addresses(Command::Withdraw { .. }) => Some("withdraw"),
            Effect::Kubernetes(KubernetesRequest::Lease(_)) => Some("release"),
            Effect::Stopped => Some("stopped"),
            _ => None,
        })
        .collect();
    assert_eq!(order, ["withdraw", "release", "stopped"]);
    assert_eq!(node.record.map(|record| record.holder), Some(String::new()));
}

#[test]
fn a_stop_ends_within_a_second_when_the_api_server_hangs() {
    let mut node = Node::started(control_plane(&[VIP]));
    node.api = Api::Silent;
    node.give(Input::Stop);
    assert!(!node.has(VIP));
    node.pass(Duration::from_secs(1));
    assert!(node.done.iter().any(|(_, effect)| *effect == Effect::Stopped));
}

#[test]
fn a_follower_stops_at_once() {
    let mut node = Node::started(control_plane(&[VIP]));
    node.other_holds("n2");
    node.give(Input::Stop);
    assert!(node.done.iter().any(|(_, effect)| *effect == Effect::Stopped));
}

#[test]
fn with_preserve_the_ipv4_address_stays_unannounced_until_another_holder_is_seen() {
    let mut plane = control_plane(&[VIP, "fd00::40"]);
    plane.on_loss = OnLoss::PreserveV4;
    let mut node = Node::started(plane);
    node.pass(Duration::from_secs(1));
    node.api = Api::Silent;
    node.pass(Duration::from_secs(6));
    assert!(node.has(VIP) && !node.has("fd00::40"));
    node.done.clear();
    node.pass(Duration::from_secs(30));
    assert!(node.has(VIP));
    assert!(node.commands().iter().all(|c| matches!(c, Command::Install { .. })));
    node.other_holds("n2");
    assert!(!node.has(VIP));
}

#[test]
fn the_holders_node_is_labelled_and_the_label_goes_with_the_lease() {
    let mut plane = control_plane(&["fd00::40"]);
    plane.labelling = Labelling::On;
    let mut node = Node::started(plane);
    let labels = |node: &Node| -> Vec<Option<String>> {
        let label = |(_, effect): &(Moment, Effect)| match effect {
            Effect::Kubernetes(KubernetesRequest::Label { value, .. }) => Some(value.clone()),
            _ => None,
        };
        node.done.iter().filter_map(label).collect()
    };
    node.give(Input::Labelled(Ok(())));
    let hex = "fd000000000000000000000000000040".to_owned();
    assert_eq!(labels(&node).last(), Some(&Some(hex)));
    node.give(Input::Labelled(Ok(())));
    node.other_holds("n2");
    assert_eq!(labels(&node).last(), Some(&None));
}

#[test]
fn a_lease_of_our_own_is_not_released_while_an_address_may_be_here_whose_name_is_unresolved() {
    let mut node = Node::new(control_plane(&["api.example.com"]));
    node.other_holds("n1");
    node.start(vec![link("eth0", LinkState::Up)], vec![address("eth0", VIP, Owner::Viplet)]);
    let outcome = Err("SERVFAIL".to_owned());
    node.give(Input::Resolved { name: "api.example.com".to_owned(), outcome });
    assert_eq!(node.record.as_ref().map(|record| record.holder.as_str()), Some("n1"));
    node.kernel.clear();
    node.expiry.clear();
    let link = LinkName::new("eth0").unwrap();
    node.give(Input::Observed(Notice::AddressGone { link, address: ip(VIP) }));
    assert_eq!(node.record.as_ref().map(|record| record.holder.as_str()), Some(""));
}

#[test]
fn with_preserve_an_address_that_is_removed_all_the_same_comes_back_without_a_spin() {
    let mut plane = control_plane(&[VIP]);
    plane.on_loss = OnLoss::PreserveV4;
    let mut node = Node::started(plane);
    node.api = Api::Silent;
    node.pass(Duration::from_secs(6));
    node.kernel.clear();
    node.expiry.clear();
    let link = LinkName::new("eth0").unwrap();
    node.give(Input::Observed(Notice::AddressGone { link, address: ip(VIP) }));
    node.pass(Duration::from_secs(10));
    assert!(node.has(VIP));
}

#[test]
fn something_stale_whose_removal_is_refused_is_asked_for_again_at_its_time() {
    let mut node = Node::new(control_plane(&[VIP]));
    node.refuse = Some(Refusal { class: Class::Transient, reason: "EBUSY".to_owned() });
    node.refuses = |command| matches!(command, Command::Withdraw { .. });
    let there = vec![
        Address { valid_for: None, ..address("eth0", "10.0.0.99", Owner::Viplet) },
        Address { valid_for: None, ..address("eth1", VIP, Owner::Viplet) },
    ];
    node.start(vec![link("eth0", LinkState::Up), link("eth1", LinkState::Up)], there);
    node.pass(Duration::from_secs(3));
    let asked = node.commands().iter().filter(|c| matches!(c, Command::Withdraw { .. })).count();
    assert!((6..=10).contains(&asked), "{asked} withdrawals of two in three seconds");
    assert!(node.said("EBUSY"));
    node.refuse = None;
    node.pass(Duration::from_secs(2));
    assert_eq!(node.kernel.len(), 1, "{:?}", node.kernel);
}

#[test]
fn a_node_short_of_processor_time_keeps_its_address_and_stays_in_the_election() {
    let mut node = Node::started(control_plane(&[VIP]));
    assert!(node.has(VIP));
    node.load = |turn| if turn % 6 == 0 { Duration::ZERO } else { millis(150) };
    for _ in 0..600 {
        node.pass(millis(100));
        assert!(node.has(VIP), "lost at {}: {:?}", node.now, node.core.status(node.now).not_ready);
    }
    let counters = node.core.counters();
    assert!(counters.late > 20 && counters.refusals == 0, "{counters:?}");
    assert!(node.said("short of processor time"));
}

#[test]
fn what_was_too_late_is_given_again_with_the_lifetime_that_is_right_by_then() {
    let mut node = Node::started(control_plane(&[VIP]));
    node.api = Api::Silent;
    let installs = |node: &Node| {
        let lifetime = |command: &&Command| match command {
            Command::Install { lifetime, .. } => Some(lifetime.as_secs()),
            _ => None,
        };
        node.commands().iter().filter_map(lifetime).collect::<Vec<_>>()
    };
    let before = installs(&node);
    let vip = node.commands().iter().find_map(|command| match command {
        Command::Install { vip, .. } => Some(vip.clone()),
        _ => None,
    });
    node.pass(millis(1500));
    let lifetime = viplet_backend_api::Lifetime::from_secs(before[0]).unwrap();
    let commands = vec![Command::Install { vip: vip.unwrap(), lifetime }];
    node.give(Input::Late { commands, by: millis(1500) });
    let after = installs(&node);
    assert!(after.len() > before.len() && after.last() < before.last(), "{before:?} {after:?}");
}
