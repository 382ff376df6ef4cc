//! The harness itself: the three routers speak with each other.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::Trial;
use viplet_lab::wait_until;
use viplet_routers::programs::{Kind, Programs};
use viplet_routers::{Bird, Frr, GoBgp, Host, Router, Wires};

use crate::bed;

pub(crate) fn trials(programs: &Arc<Programs>) -> Vec<Trial> {
    vec![bed::trial(
        programs,
        (
            "routers_of_all_three_kinds_tell_each_other_routes",
            &[Kind::Frr, Kind::Bird, Kind::GoBgp],
        ),
        routers_of_all_three_kinds_tell_each_other_routes,
    )]
}

const FRR: &str = "
router bgp 65001
 bgp router-id 10.1.0.1
 no bgp ebgp-requires-policy
 no bgp default ipv4-unicast
 no bgp network import-check
 neighbor 10.1.0.2 remote-as 65002
 neighbor 10.1.0.3 remote-as 65003
 address-family ipv4 unicast
  network 192.0.2.1/32
  neighbor 10.1.0.2 activate
  neighbor 10.1.0.3 activate
 exit-address-family
";

const BIRD: &str = "
router id 10.1.0.2;
protocol device {}
protocol static { ipv4; route 192.0.2.2/32 blackhole; }
protocol bgp frr {
  local 10.1.0.2 as 65002; neighbor 10.1.0.1 as 65001;
  ipv4 { import all;
    export filter { bgp_community.add((65002, 7)); bgp_large_community.add((65002, 7, 8)); bgp_med = 5; accept; }; };
}
";

const GOBGP: &str = "
[global.config]
as = 65003
router-id = \"10.1.0.3\"
[[neighbors]]
[neighbors.config]
neighbor-address = \"10.1.0.1\"
peer-as = 65001
";

fn routers_of_all_three_kinds_tell_each_other_routes(programs: &Programs) {
    let wires = Wires::new(&["lan"]);
    let hosts = [Host::router("frr"), Host::router("bird"), Host::router("gobgp")];
    for (host, own) in hosts.iter().zip(["10.1.0.1/24", "10.1.0.2/24", "10.1.0.3/24"]) {
        wires.plug("lan", (host, "eth0"), &[own]);
    }
    let frr = Frr::start(programs.frr.as_ref().unwrap(), &hosts[0], FRR);
    let bird = Bird::start(programs.bird.as_ref().unwrap(), &hosts[1], BIRD);
    let gobgp = GoBgp::start(programs.gobgp.as_ref().unwrap(), &hosts[2], GOBGP);
    let reports: [&dyn Fn() -> String; 3] =
        [&|| frr.report(), &|| bird.report(), &|| gobgp.report()];
    bed::explained(&reports, || {
        let at = |last: u8| IpAddr::from([10, 1, 0, last]);
        let timeout = Duration::from_secs(30);
        wait_until("FRR has BIRD's route", timeout, || !frr.paths("192.0.2.2/32").is_empty());
        wait_until("BIRD has FRR's route", timeout, || !bird.paths("192.0.2.1/32").is_empty());
        wait_until("GoBGP has both", timeout, || {
            ["192.0.2.1/32", "192.0.2.2/32"].iter().all(|route| !gobgp.paths(route).is_empty())
        });
        let path = &frr.paths("192.0.2.2/32")[0];
        assert_eq!(path.next_hops, [at(2)]);
        assert_eq!((path.as_path.as_str(), path.med, path.stale), ("65002", Some(5), false));
        assert_eq!(path.communities, ["65002:7"]);
        assert_eq!(path.large_communities, ["65002:7:8"]);
        assert_eq!(path.from, Some(at(2)));
        let seen = gobgp.paths("192.0.2.2/32").remove(0);
        assert_eq!((seen.as_path.as_str(), &seen.communities), ("65001 65002", &path.communities));
        assert_eq!(seen.large_communities, path.large_communities);
        let seen = bird.paths("192.0.2.1/32").remove(0);
        assert_eq!((seen.as_path.as_str(), &seen.next_hops), ("65001", &vec![at(1)]));
        for (router, peer) in [(&frr as &dyn Router, 2), (&frr, 3), (&bird, 1), (&gobgp, 1)] {
            let neighbour = router.neighbour(at(peer)).unwrap();
            assert!(neighbour.is_up(), "{neighbour:?}");
        }
        assert_eq!(frr.neighbour(at(2)).unwrap().prefixes, 1);
        assert_eq!(bird.neighbour(at(1)).unwrap().prefixes, 1);
        assert_eq!(gobgp.neighbour(at(1)).unwrap().prefixes, 2);
        assert!(frr.neighbour(at(9)).is_none());
        wait_until("the kernel of FRR's machine has it", timeout, || {
            frr.installed("192.0.2.2/32") == 1
        });
    });
}
