//! Nodes that cannot do what a holder must do.

use super::*;

#[test]
fn a_missing_interface_is_waited_for_and_said() {
    let mut node = Node::new(control_plane(&[VIP]));
    node.start(vec![link("eth1", LinkState::Up)], vec![]);
    node.pass(Duration::from_secs(30));
    assert_eq!(node.record, None, "it does not stand");
    let not_ready = node.core.status(node.now).not_ready.join(";");
    assert!(not_ready.contains("interface eth0 does not exist"), "{not_ready}");
    node.give(Input::Observed(Notice::Link(link("eth0", LinkState::Up))));
    assert!(node.has(VIP));
}

#[test]
fn a_candidate_whose_link_is_down_waits_unless_it_is_told_not_to() {
    for (setting, stands) in [(LinkNotUp::Wait, false), (LinkNotUp::Allow, true)] {
        let mut plane = control_plane(&[VIP]);
        plane.link_not_up = setting;
        let mut node = Node::new(plane);
        node.start(vec![link("eth0", LinkState::NoCarrier)], vec![]);
        assert_eq!(node.has(VIP), stands);
    }
}

#[test]
fn a_holder_whose_link_stays_down_hands_over_after_the_time_it_was_given() {
    let mut plane = control_plane(&[VIP]);
    plane.on_link_down = OnLinkDown::Yield(Duration::from_secs(10));
    let mut node = Node::started(plane);
    node.give(Input::Observed(Notice::Link(link("eth0", LinkState::NoCarrier))));
    node.pass(millis(9_900));
    assert!(node.has(VIP));
    node.pass(millis(200));
    assert!(!node.has(VIP));
    assert_eq!(node.record.clone().map(|r| r.holder), Some(String::new()));
    node.pass(Duration::from_secs(60));
    assert!(!node.has(VIP), "it does not stand again while the link is down");
    node.give(Input::Observed(Notice::Link(link("eth0", LinkState::Up))));
    assert!(node.has(VIP));
}

#[test]
fn a_holder_keeps_its_lease_through_a_link_flap_by_default() {
    let mut node = Node::started(control_plane(&[VIP]));
    node.give(Input::Observed(Notice::Link(link("eth0", LinkState::NoCarrier))));
    node.pass(Duration::from_secs(60));
    assert!(node.has(VIP));
    let not_ready = node.core.status(node.now).not_ready.join(";");
    assert!(not_ready.contains("its link eth0 is not up"), "{not_ready}");
}

#[test]
fn a_node_that_may_not_set_addresses_hands_the_lease_over_and_says_why() {
    let mut node = Node::new(control_plane(&[VIP]));
    node.refuse = Some(forbidden());
    node.start(vec![link("eth0", LinkState::Up)], vec![]);
    assert_eq!(node.record.clone().map(|r| r.holder), Some(String::new()));
    assert!(node.said("NET_ADMIN"));
    let not_ready = node.core.status(node.now).not_ready.join(";");
    assert!(not_ready.contains("NET_ADMIN"), "{not_ready}");
    node.done.clear();
    node.pass(Duration::from_secs(120));
    let claims = node
        .done
        .iter()
        .filter(|(_, e)| matches!(e, Effect::Kubernetes(KubernetesRequest::Lease(_))))
        .count();
    assert!((2..20).contains(&claims), "{claims} requests in two minutes");
    node.refuse = None;
    node.pass(Duration::from_secs(120));
    assert!(node.has(VIP));
}

#[test]
fn a_passing_refusal_is_tried_again_without_giving_the_lease_up() {
    let mut node = Node::new(control_plane(&[VIP]));
    let busy = Refusal { class: Class::Transient, reason: "EBUSY".to_owned() };
    node.refuse = Some(busy);
    node.start(vec![link("eth0", LinkState::Up)], vec![]);
    node.refuse = None;
    node.pass(Duration::from_secs(1));
    assert!(node.has(VIP));
    assert_eq!(node.record.map(|r| r.holder), Some("n1".to_owned()));
}

#[test]
fn a_node_without_a_default_route_says_what_to_set() {
    let mut plane = control_plane(&[VIP]);
    plane.link = LinkChoice::DefaultRoute;
    let mut node = Node::new(plane);
    let mut without = link("eth0", LinkState::Up);
    without.default_route = DefaultRoute::None;
    node.start(vec![without], vec![]);
    let not_ready = node.core.status(node.now).not_ready.join(";");
    assert!(not_ready.contains("set vip_interface"), "{not_ready}");
    node.give(Input::Observed(Notice::Link(link("eth0", LinkState::Up))));
    assert!(node.has(VIP));
}

/// kube-vip notices that its interface's default route is gone, logs it, and that is all.
#[test]
fn the_default_routes_interface_keeps_its_address_without_the_route_and_is_chosen_anew_when_it_goes()
 {
    let mut plane = control_plane(&[VIP]);
    plane.link = LinkChoice::DefaultRoute;
    let mut node = Node::new(plane);
    node.start(vec![link("eth0", LinkState::Up)], vec![]);
    assert!(node.has(VIP));
    let mut without = link("eth0", LinkState::Up);
    without.default_route = DefaultRoute::None;
    node.give(Input::Observed(Notice::Link(without)));
    node.pass(Duration::from_secs(20));
    assert!(node.has(VIP), "the route is for what leaves the node, the address for what comes");
    node.done.clear();
    node.give(Input::Observed(Notice::Link(link("eth1", LinkState::Up))));
    node.give(Input::Observed(Notice::LinkGone(LinkName::new("eth0").unwrap())));
    node.pass(Duration::from_secs(1));
    let on_eth1 = |command: &&Command| matches!(command, Command::Install { vip, .. } if vip.link.as_str() == "eth1");
    assert!(node.commands().iter().any(on_eth1), "{:?}", node.commands());
}

#[test]
fn readiness_says_that_nobody_holds_an_address_that_cannot_be_held() {
    let mut node = Node::started(control_plane(&[VIP]));
    assert_eq!(node.core.status(node.now).not_ready, Vec::<String>::new());
    node.api = Api::Silent;
    node.pass(Duration::from_secs(20));
    let not_ready = node.core.status(node.now).not_ready.join(";");
    assert!(not_ready.contains("nobody has held it for"), "{not_ready}");
}

#[test]
fn one_address_that_cannot_be_installed_does_not_cost_the_others() {
    let mut node = Node::new(control_plane(&[VIP, "fd00::40"]));
    let reason = "IPv6 is disabled on eth0".to_owned();
    node.refuse = Some(Refusal { class: Class::Misconfigured, reason });
    node.refuses = |command| command.address().is_ipv6();
    node.start(vec![link("eth0", LinkState::Up)], vec![]);
    for _ in 0..60 {
        node.pass(Duration::from_secs(1));
        assert!(node.has(VIP));
    }
    let not_ready = node.core.status(node.now).not_ready.join(";");
    assert!(not_ready.contains("IPv6 is disabled"), "{not_ready}");
}

#[test]
fn one_address_that_is_the_nodes_own_on_another_link_does_not_cost_the_others() {
    let mut node = Node::new(control_plane(&[VIP, "10.0.0.41"]));
    let links = vec![link("eth0", LinkState::Up), link("eth1", LinkState::Up)];
    node.start(links, vec![address("eth1", "10.0.0.41", Owner::Node)]);
    node.pass(Duration::from_secs(60));
    assert!(node.has(VIP));
    assert!(node.commands().iter().all(|c| c.address() == ip(VIP)));
}

#[test]
fn a_link_that_stays_down_is_given_up_once_even_where_a_link_may_be_down() {
    let mut plane = control_plane(&[VIP]);
    plane.on_link_down = OnLinkDown::Yield(Duration::from_secs(10));
    plane.link_not_up = LinkNotUp::Allow;
    let mut node = Node::started(plane);
    node.give(Input::Observed(Notice::Link(link("eth0", LinkState::NoCarrier))));
    node.pass(Duration::from_secs(60));
    assert!(!node.has(VIP));
    let releases = |(_, effect): &&(Moment, Effect)| {
        matches!(effect, Effect::Kubernetes(KubernetesRequest::Lease(LeaseRequest { verb: LeaseVerb::Replace { record, .. }, .. }))
            if record.holder.is_empty())
    };
    assert_eq!(node.done.iter().filter(releases).count(), 1);
}
