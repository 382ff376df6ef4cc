//! The control plane's address on every node, and the check of the API server that gates it.

use super::*;
use crate::core::settings::{HealthGate, PlaneElection};

fn plane(health: HealthGate) -> ControlPlane {
    ControlPlane { election: PlaneElection::EveryNode, health, ..control_plane(&[VIP]) }
}

fn started(health: HealthGate) -> Node {
    let mut node = Node::new(plane(health));
    node.start(vec![link("eth0", LinkState::Up)], vec![]);
    node
}

fn checked(node: &mut Node, outcome: Result<(), &str>) {
    node.give(Input::ControlPlaneChecked(outcome.map_err(str::to_owned)));
}

#[test]
fn without_an_election_the_address_is_here_at_once_stays_and_no_lease_is_written() {
    let mut node = started(HealthGate::Open);
    assert!(node.has(VIP));
    for _ in 0..600 {
        node.pass(millis(100));
        assert!(node.has(VIP));
    }
    assert_eq!(node.record, None);
    assert_eq!(node.core.status(node.now).not_ready, [] as [&str; 0]);
}

/// Issue 13, fault 6: the log says what status says.
#[test]
fn an_address_that_no_peer_was_told_of_is_not_logged_as_announced_and_changes_are_logged_once() {
    let mut node = Node::new(plane(HealthGate::Open));
    let reach = |told| {
        Input::Observed(Notice::Reach(viplet_backend_api::Reach { address: ip(VIP), told, of: 2 }))
    };
    node.give(reach(0));
    node.start(vec![link("eth0", LinkState::Up)], vec![]);
    assert!(node.has(VIP) && node.said("held, announced to no peer yet"));
    assert!(!node.said("held and announced"));
    let not_ready = node.core.status(node.now).not_ready.join("; ");
    assert!(not_ready.contains("none of 2 peers was told"), "{not_ready}");
    for (told, words) in
        [(1, "announced to 1 of 2 peers now"), (0, "announced to no peer any more")]
    {
        assert!(!node.said(words));
        node.give(reach(told));
        node.pass(Duration::from_secs(60));
        let lines = node.done.iter().filter(
            |(_, effect)| matches!(effect, Effect::Report(report) if report.text.contains(words)),
        );
        assert_eq!(lines.count(), 1, "{words}: {:?}", node.done);
    }
}

#[test]
fn a_stray_copy_that_goes_does_not_make_an_address_announced_that_no_peer_was_told_of() {
    let mut node = Node::new(plane(HealthGate::Open));
    let reach = viplet_backend_api::Reach { address: ip(VIP), told: 0, of: 2 };
    node.give(Input::Observed(Notice::Reach(reach)));
    let links = vec![link("eth0", LinkState::Up), link("eth1", LinkState::Up)];
    node.start(links, vec![address("eth1", VIP, Owner::Viplet)]);
    let link = LinkName::new("eth1").unwrap();
    node.give(Input::Observed(Notice::AddressGone { link, address: ip(VIP) }));
    node.pass(Duration::from_secs(60));
    assert!(node.has(VIP) && !node.said("held and announced"), "{:?}", node.done);
    let not_ready = node.core.status(node.now).not_ready.join("; ");
    assert!(not_ready.contains("none of 2 peers was told"), "{not_ready}");
}

#[test]
fn an_address_that_peers_were_told_of_is_logged_with_how_many() {
    let mut node = Node::new(plane(HealthGate::Open));
    let reach = viplet_backend_api::Reach { address: ip(VIP), told: 1, of: 2 };
    node.give(Input::Observed(Notice::Reach(reach)));
    node.start(vec![link("eth0", LinkState::Up)], vec![]);
    assert!(node.said("held and announced to 1 of 2 peers"), "{:?}", node.done);
}

#[test]
fn the_kernel_drops_it_when_nobody_refreshes_it() {
    let node = started(HealthGate::Open);
    let lifetime = node.commands().into_iter().find_map(|command| match command {
        Command::Install { lifetime, .. } => Some(lifetime.as_secs()),
        _ => None,
    });
    assert!((1..=5).contains(&lifetime.expect("it is installed")), "{lifetime:?}");
}

#[test]
fn it_is_withdrawn_at_a_stop() {
    let mut node = started(HealthGate::Open);
    node.give(Input::Stop);
    assert!(!node.has(VIP));
}

#[test]
fn it_waits_for_the_first_check_that_succeeds() {
    let mut node = started(HealthGate::Failures(3));
    node.pass(Duration::from_secs(10));
    assert!(!node.has(VIP));
    checked(&mut node, Err("connection refused"));
    assert!(!node.has(VIP));
    let not_ready = node.core.status(node.now).not_ready.join("; ");
    assert!(
        not_ready.contains("failed 1 health checks in a row: connection refused"),
        "{not_ready}"
    );
    checked(&mut node, Ok(()));
    assert!(node.has(VIP));
}

#[test]
fn it_goes_after_so_many_failures_in_a_row_and_comes_back_at_the_first_success() {
    let mut node = started(HealthGate::Failures(3));
    checked(&mut node, Ok(()));
    for outcome in [Err("500"), Err("500"), Ok(()), Err("500"), Err("500")] {
        checked(&mut node, outcome);
        assert!(node.has(VIP));
    }
    checked(&mut node, Err("500"));
    assert!(!node.has(VIP));
    checked(&mut node, Ok(()));
    assert!(node.has(VIP));
}

#[test]
fn a_leader_whose_api_server_fails_its_checks_gives_the_lease_up() {
    let health = HealthGate::Failures(2);
    let mut node = Node::new(ControlPlane { health, ..control_plane(&[VIP]) });
    node.start(vec![link("eth0", LinkState::Up)], vec![]);
    checked(&mut node, Ok(()));
    node.pass(Duration::from_secs(1));
    assert!(node.has(VIP));
    checked(&mut node, Err("timeout"));
    checked(&mut node, Err("timeout"));
    assert!(!node.has(VIP));
    assert_eq!(node.record.clone().map(|record| record.holder), Some(String::new()));
}

/// Peers that kept an earlier run's routes would drop those that are not announced again yet.
#[test]
fn all_is_announced_only_once_a_lease_of_an_earlier_run_is_claimed_again() {
    let mut node = Node::started(control_plane(&[VIP]));
    assert!(node.core.is_settled(node.now));
    let settings = node.core.settings().clone();
    node.core = Core::new(settings, node.now);
    node.api = Api::Silent;
    node.start(vec![link("eth0", LinkState::Up)], vec![address("eth0", VIP, Owner::Viplet)]);
    let view = node.view();
    let lease = control_plane(&[VIP]).lease;
    node.give(Input::Lease { lease, origin: Origin::Watch, view });
    assert!(!node.core.is_settled(node.now), "it is not claimed yet");
    node.pass(Duration::from_secs(6));
    assert!(node.core.is_settled(node.now), "peers are not left waiting for ever");
}
