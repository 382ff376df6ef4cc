//! Sessions come up, with each kind of router and over each kind of wire, and routes with them.

use std::net::IpAddr;
use std::sync::Arc;

use libtest_mimic::Trial;
use viplet_lab::wait_until;
use viplet_routers::programs::{Kind, Programs};
use viplet_routers::{Bird, GoBgp, Host, Router, Wires};

use crate::bed::{explained, trial};
use crate::speaker::Setup;
use crate::stage::{self, PATIENCE, Pair, ROUTE, await_paths, await_route, await_session};

const FRR: &[Kind] = &[Kind::Frr];

pub(crate) fn trials(programs: &Arc<Programs>) -> Vec<Trial> {
    vec![
        trial(
            programs,
            (
                "each_of_three_kinds_of_routers_has_the_routes_until_a_planned_stop",
                &[Kind::Frr, Kind::Bird, Kind::GoBgp],
            ),
            each_of_three_kinds_of_routers_has_the_routes_until_a_planned_stop,
        ),
        trial(
            programs,
            ("ipv4_routes_go_over_an_ipv6_session_with_an_ipv6_next_hop", FRR),
            ipv4_routes_go_over_an_ipv6_session_with_an_ipv6_next_hop,
        ),
        trial(
            programs,
            ("routes_of_the_other_family_have_the_fixed_next_hop", FRR),
            routes_of_the_other_family_have_the_fixed_next_hop,
        ),
        trial(
            programs,
            ("an_unnumbered_peer_is_found_by_its_link", FRR),
            an_unnumbered_peer_is_found_by_its_link,
        ),
        trial(
            programs,
            ("a_peer_behind_a_router_is_reached_with_multihop_only", FRR),
            a_peer_behind_a_router_is_reached_with_multihop_only,
        ),
        trial(
            programs,
            ("a_session_within_one_as_carries_routes_with_an_empty_path", FRR),
            a_session_within_one_as_carries_routes_with_an_empty_path,
        ),
        trial(
            programs,
            ("a_router_that_connects_to_us_is_taken_where_we_listen", FRR),
            a_router_that_connects_to_us_is_taken_where_we_listen,
        ),
    ]
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

const BIRD: &str = "
router id 10.1.0.2;
protocol device {}
protocol bgp node {
  local 10.1.0.2 as 65002; neighbor 10.1.0.11 as 65000;
  ipv4 { import all; export none; };
}
";

const GOBGP: &str = "
[global.config]
as = 65003
router-id = \"10.1.0.3\"
[[neighbors]]
[neighbors.config]
neighbor-address = \"10.1.0.11\"
peer-as = 65000
";

fn each_of_three_kinds_of_routers_has_the_routes_until_a_planned_stop(programs: &Programs) {
    let pair = Pair::new();
    let others = [Host::new("bird"), Host::new("gobgp")];
    pair.wires.plug("lan", (&others[0], "eth0"), &["10.1.0.2/24"]);
    pair.wires.plug("lan", (&others[1], "eth0"), &["10.1.0.3/24"]);
    let frr = pair.frr(programs, "");
    let bird = Bird::start(programs.bird.as_ref().unwrap(), &others[0], BIRD);
    let gobgp = GoBgp::start(programs.gobgp.as_ref().unwrap(), &others[1], GOBGP);
    let mut speaker = Setup::new("10.1.0.1:65001,10.1.0.2:65002,10.1.0.3:65003")
        .announcing(&["192.0.2.10", "192.0.2.11"])
        .start(&pair.node);
    let routers: [&dyn Router; 3] = [&frr, &bird, &gobgp];
    let said = std::cell::RefCell::new(String::new());
    explained(
        &[&|| said.borrow().clone(), &|| frr.report(), &|| bird.report(), &|| gobgp.report()],
        || {
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                for router in routers {
                    let path = await_route(router, ROUTE);
                    assert_eq!(path.next_hops, [address("10.1.0.11")]);
                    assert_eq!(path.as_path, "65000");
                    await_route(router, "192.0.2.11/32");
                    wait_until("both are counted", PATIENCE, || {
                        router.neighbour(address("10.1.0.11")).unwrap().prefixes == 2
                    });
                }
                speaker.stop();
                for router in routers {
                    await_paths(router, ROUTE, 0);
                }
            }));
            *said.borrow_mut() = speaker.report();
            outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        },
    );
}

fn ipv4_routes_go_over_an_ipv6_session_with_an_ipv6_next_hop(programs: &Programs) {
    let pair = Pair::new();
    let text =
        stage::configuration(&["fd01::11"], " neighbor fd01::11 capability extended-nexthop\n");
    let frr = stage::start_frr(programs, &pair.router, &text);
    let speaker =
        Setup::new("[fd01::1]:65001").announcing(&["192.0.2.10", "2001:db8::10"]).start(&pair.node);
    explained(&[&|| speaker.report(), &|| frr.report()], || {
        for prefix in [ROUTE, "2001:db8::10/128"] {
            let path = await_route(&frr, prefix);
            assert!(path.next_hops.contains(&address("fd01::11")), "{path:?}");
        }
        wait_until("the kernel has both", PATIENCE, || {
            frr.installed(ROUTE) == 1 && frr.installed("2001:db8::10/128") == 1
        });
    });
}

fn routes_of_the_other_family_have_the_fixed_next_hop(programs: &Programs) {
    let pair = Pair::new();
    let frr = pair.frr(programs, "");
    pair.node.add("eth0", "fd01::12/64");
    let speaker = Setup::new("10.1.0.1:65001::::mpbgp_nexthop=fixed;mpbgp_ipv6=fd01::12")
        .announcing(&["192.0.2.10", "2001:db8::10"])
        .start(&pair.node);
    explained(&[&|| speaker.report(), &|| frr.report()], || {
        let path = await_route(&frr, "2001:db8::10/128");
        assert_eq!(path.next_hops.first(), Some(&address("fd01::12")));
        assert_eq!(await_route(&frr, ROUTE).next_hops, [address("10.1.0.11")]);
    });
}

const UNNUMBERED: &str = "
router bgp 65001
 bgp router-id 10.1.0.1
 no bgp ebgp-requires-policy
 no bgp default ipv4-unicast
 neighbor eth0 interface remote-as external
 address-family ipv4 unicast
  neighbor eth0 activate
 exit-address-family
 address-family ipv6 unicast
  neighbor eth0 activate
 exit-address-family
";

fn an_unnumbered_peer_is_found_by_its_link(programs: &Programs) {
    let wires = Wires::new(&["wire"]);
    let (router, node) = (Host::router("frr"), Host::new("node"));
    wires.plug("wire", (&router, "eth0"), &[]);
    wires.plug("wire", (&node, "eth0"), &[]);
    let frr = stage::start_frr(programs, &router, UNNUMBERED);
    let speaker = Setup::new("unnumbered:eth0")
        .with("bgp_routerid", "10.1.0.11")
        .with("bgp_listen_port", "179")
        .announcing(&["192.0.2.10", "2001:db8::10"])
        .start(&node);
    explained(&[&|| speaker.report(), &|| frr.report()], || {
        for prefix in [ROUTE, "2001:db8::10/128"] {
            let path = await_route(&frr, prefix);
            let local = path.next_hops.iter().any(|hop| match hop {
                IpAddr::V6(hop) => hop.segments()[0] == 0xfe80,
                IpAddr::V4(_) => false,
            });
            assert!(local, "{path:?}");
        }
    });
}

fn a_peer_behind_a_router_is_reached_with_multihop_only(programs: &Programs) {
    let wires = Wires::new(&["near", "far"]);
    let (router, middle, node) = (Host::new("frr"), Host::router("middle"), Host::new("node"));
    wires.plug("near", (&node, "eth0"), &["10.1.0.11/24"]);
    wires.plug("near", (&middle, "eth0"), &["10.1.0.2/24"]);
    wires.plug("far", (&middle, "eth1"), &["10.2.0.2/24"]);
    wires.plug("far", (&router, "eth0"), &["10.2.0.1/24"]);
    node.ip("route add default via 10.1.0.2");
    router.ip("route add default via 10.2.0.2");
    let text = stage::configuration(&["10.1.0.11"], " neighbor 10.1.0.11 ebgp-multihop 4\n");
    let frr = stage::start_frr(programs, &router, &text);
    let direct = Setup::new("10.2.0.1:65001").start(&node);
    explained(&[&|| direct.report(), &|| frr.report()], || {
        wait_until("the speaker says that it cannot connect", PATIENCE, || {
            direct.said(&["10.2.0.1"]) && !frr.neighbour(address("10.1.0.11")).unwrap().is_up()
        });
    });
    drop(direct);
    let speaker = Setup::new("10.2.0.1:65001::true").start(&node);
    explained(&[&|| speaker.report(), &|| frr.report()], || {
        assert_eq!(await_route(&frr, ROUTE).next_hops, [address("10.1.0.11")]);
    });
}

fn a_session_within_one_as_carries_routes_with_an_empty_path(programs: &Programs) {
    let pair = Pair::new();
    let text = stage::configuration(&["10.1.0.11"], "").replace("65001", "65000");
    let frr = stage::start_frr(programs, &pair.router, &text);
    let speaker =
        Setup::new("10.1.0.1:65000").with("bgp_local_preference", "222").start(&pair.node);
    explained(&[&|| speaker.report(), &|| frr.report()], || {
        let path = await_route(&frr, ROUTE);
        assert_eq!(path.local_preference, Some(222));
        assert!(matches!(path.as_path.as_str(), "" | "Local"), "{path:?}");
    });
}

/// The router refuses our connections, as a firewall does: only its own comes through.
fn a_router_that_connects_to_us_is_taken_where_we_listen(programs: &Programs) {
    let pair = Pair::new();
    let frr = pair.frr(programs, " neighbor 10.1.0.11 timers connect 1\n");
    // Another port than that of the router: our own attempts find nobody.
    let speaker =
        Setup::new("10.1.0.1:65001:::1179").with("bgp_listen_port", "179").start(&pair.node);
    explained(&[&|| speaker.report(), &|| frr.report()], || {
        await_session(&frr, "10.1.0.11");
        await_route(&frr, ROUTE);
    });
}
