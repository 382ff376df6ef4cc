//! Taking, announcing, keeping and giving up addresses.

use super::*;
use viplet_backend_api::Rival;

#[test]
fn an_address_is_announced_in_the_turn_in_which_it_is_taken_and_in_a_burst_after_it() {
    let mut node = Node::started(control_plane(&[VIP]));
    let start = node.now;
    assert!(matches!(node.commands()[..], [Command::Install { .. }, Command::Announce { .. }]));
    node.pass(Duration::from_secs(8));
    let announced: Vec<u128> = node
        .done
        .iter()
        .filter(|(_, e)| matches!(e, Effect::Addresses(Command::Announce { .. })))
        .map(|(at, _)| at.since(start).as_millis())
        .collect();
    assert_eq!(announced, [0, 50, 200, 1000, 4000, 7000]);
}

#[test]
fn every_address_of_the_control_plane_is_taken_both_families() {
    let node = Node::started(control_plane(&[VIP, "fd00::40", "10.0.0.41"]));
    assert!(node.has(VIP) && node.has("fd00::40") && node.has("10.0.0.41"));
}

#[test]
fn a_follower_has_nothing_and_takes_over_when_the_holder_releases() {
    let mut node = Node::new(control_plane(&[VIP]));
    node.record = Some(LeaseRecord {
        holder: "n2".to_owned(),
        duration_seconds: 5,
        acquired: Stamp::Absent,
        renewed: Stamp::Absent,
        transitions: 0,
        moved: None,
        writer: None,
    });
    node.start(vec![link("eth0", LinkState::Up)], vec![]);
    assert!(!node.has(VIP));
    node.other_holds("");
    assert!(node.has(VIP));
}

#[test]
fn an_address_that_somebody_removes_is_put_back_and_announced() {
    let mut node = Node::started(control_plane(&[VIP]));
    node.pass(Duration::from_secs(2));
    node.done.clear();
    node.kernel.clear();
    node.expiry.clear();
    let link = LinkName::new("eth0").unwrap();
    node.give(Input::Observed(Notice::AddressGone { link, address: ip(VIP) }));
    assert!(node.has(VIP));
    assert!(node.commands().iter().any(|c| matches!(c, Command::Announce { .. })));
}

#[test]
fn two_programs_that_undo_each_other_do_not_spin() {
    let mut node = Node::started(control_plane(&[VIP]));
    node.done.clear();
    for _ in 0..100 {
        node.kernel.clear();
        node.expiry.clear();
        let link = LinkName::new("eth0").unwrap();
        node.give(Input::Observed(Notice::AddressGone { link, address: ip(VIP) }));
        node.pass(millis(10));
    }
    let installs = node.commands().iter().filter(|c| matches!(c, Command::Install { .. })).count();
    assert!((5..=15).contains(&installs), "{installs} installs in a second");
}

#[test]
fn a_rival_is_answered_at_once_and_the_lease_is_made_sure_of() {
    let mut node = Node::started(control_plane(&[VIP]));
    node.pass(millis(1500));
    node.done.clear();
    let rival = Rival {
        address: ip(VIP),
        link: LinkName::new("eth0").unwrap(),
        hardware: HardwareAddress(vec![6; 6]),
    };
    node.give(Input::Observed(Notice::Rival(rival)));
    assert!(node.commands().iter().any(|c| matches!(c, Command::Announce { .. })));
    assert!(
        node.done.iter().any(|(_, e)| matches!(e, Effect::Kubernetes(KubernetesRequest::Lease(_))))
    );
    assert!(node.said("announces it too"));
}

#[test]
fn an_ipv6_address_is_announced_again_when_duplicate_detection_is_through() {
    let mut node = Node::started(control_plane(&["fd00::40"]));
    let tentative = |usability| {
        let mut seen = address("eth0", "fd00::40", Owner::Viplet);
        seen.usability = usability;
        Input::Observed(Notice::Address(seen))
    };
    node.give(tentative(Usability::Tentative));
    node.done.clear();
    node.pass(millis(1200));
    assert!(node.commands().iter().all(|c| !matches!(c, Command::Announce { .. })));
    node.give(tentative(Usability::Usable));
    assert!(node.commands().iter().any(|c| matches!(c, Command::Announce { .. })));
}

#[test]
fn an_address_that_failed_duplicate_detection_is_put_back_without_it() {
    let with = |usability| {
        let mut seen = address("eth0", "fd00::40", Owner::Viplet);
        seen.usability = usability;
        Input::Observed(Notice::Address(seen))
    };
    let gone = || {
        Input::Observed(Notice::AddressGone {
            link: LinkName::new("eth0").unwrap(),
            address: ip("fd00::40"),
        })
    };
    // The kernel marks a permanent address, and removes one with a lifetime.
    for failure in [vec![with(Usability::Duplicate)], vec![with(Usability::Tentative), gone()]] {
        let mut node = Node::started(control_plane(&["fd00::40"]));
        node.done.clear();
        for input in failure {
            node.give(input);
        }
        let installs: Vec<DuplicateDetection> = node
            .commands()
            .iter()
            .filter_map(|c| match c {
                Command::Install { vip, .. } => Some(vip.duplicate_detection),
                _ => None,
            })
            .collect();
        assert_eq!(installs, [DuplicateDetection::Skip]);
    }
}

#[test]
fn a_name_that_moves_brings_the_new_address_up_before_the_old_one_goes() {
    let mut node = Node::started(control_plane(&["api.example.com"]));
    let answer = |text: &str| Input::Resolved {
        name: "api.example.com".to_owned(),
        outcome: Ok(vec![ip(text)]),
    };
    node.give(answer("10.0.0.1"));
    assert!(node.has("10.0.0.1"));
    node.give(answer("10.0.0.2"));
    assert!(node.has("10.0.0.1") && node.has("10.0.0.2"));
    let failed = Err("SERVFAIL".to_owned());
    node.give(Input::Resolved { name: "api.example.com".to_owned(), outcome: failed });
    node.pass(Duration::from_secs(59));
    assert!(node.has("10.0.0.1"));
    node.pass(Duration::from_secs(2));
    assert!(!node.has("10.0.0.1") && node.has("10.0.0.2"));
}

#[test]
fn the_nodes_own_address_is_never_taken_and_never_removed() {
    let mut node = Node::new(control_plane(&[VIP]));
    node.start(vec![link("eth0", LinkState::Up)], vec![address("eth0", VIP, Owner::Node)]);
    node.pass(Duration::from_secs(20));
    node.give(Input::Stop);
    assert_eq!(node.commands(), Vec::<&Command>::new());
    assert!(node.kernel.values().any(|a| a.owner == Owner::Node));
    assert!(node.said("this node's own address"));
}

#[test]
fn an_address_that_is_put_back_is_announced_in_the_same_turn_even_just_after_an_announcement() {
    let mut node = Node::started(control_plane(&[VIP]));
    node.pass(millis(1010));
    node.done.clear();
    node.kernel.clear();
    node.expiry.clear();
    let link = LinkName::new("eth0").unwrap();
    let mut effects = Vec::new();
    let gone = Input::Observed(Notice::AddressGone { link, address: ip(VIP) });
    node.core.handle(gone, node.now, &mut effects);
    let backend = |effect: &Effect| matches!(effect, Effect::Addresses(_));
    let commands: Vec<_> = effects.into_iter().filter(backend).collect();
    assert!(matches!(
        commands[..],
        [Effect::Addresses(Command::Install { .. }), Effect::Addresses(Command::Announce { .. })]
    ));
}
