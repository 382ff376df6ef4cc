//! What routes carry, as FRR shows it.

use std::sync::Arc;

use libtest_mimic::Trial;
use viplet_lab::wait_until;
use viplet_routers::Router;
use viplet_routers::programs::{Kind, Programs};

use crate::bed::{explained, trial};
use crate::speaker::Setup;
use crate::stage::{PATIENCE, Pair, ROUTE, await_paths, await_route};

pub(crate) fn trials(programs: &Arc<Programs>) -> Vec<Trial> {
    vec![
        trial(
            programs,
            ("communities_med_and_prepended_numbers_reach_the_peer", &[Kind::Frr]),
            communities_med_and_prepended_numbers_reach_the_peer,
        ),
        trial(
            programs,
            ("a_planned_stop_asks_for_other_ways_before_it_withdraws", &[Kind::Frr]),
            a_planned_stop_asks_for_other_ways_before_it_withdraws,
        ),
        trial(
            programs,
            ("an_as_number_of_four_octets_is_told_whole", &[Kind::Frr]),
            an_as_number_of_four_octets_is_told_whole,
        ),
    ]
}

fn communities_med_and_prepended_numbers_reach_the_peer(programs: &Programs) {
    let pair = Pair::new();
    let frr = pair.frr(programs, "");
    let speaker = Setup::new("10.1.0.1:65001")
        .with("bgp_communities", "65000:1,65000:2")
        .with("bgp_large_communities", "65000:1:2,65000:3:4")
        .with("bgp_med", "77")
        .with("bgp_as_path_prepend", "2")
        .with("bgp_local_preference", "222")
        .start(&pair.node);
    explained(&[&|| speaker.report(), &|| frr.report()], || {
        let path = await_route(&frr, ROUTE);
        assert_eq!(path.as_path, "65000 65000 65000");
        assert_eq!(path.med, Some(77));
        assert_eq!(path.communities, ["65000:1", "65000:2"]);
        assert_eq!(path.large_communities, ["65000:1:2", "65000:3:4"]);
        assert_ne!(path.local_preference, Some(222), "LOCAL_PREF is not for eBGP peers");
    });
}

fn a_planned_stop_asks_for_other_ways_before_it_withdraws(programs: &Programs) {
    let pair = Pair::new();
    let frr = pair.frr(programs, "");
    let speaker =
        Setup::new("10.1.0.1:65001").with("bgp_graceful_shutdown", "2s").start(&pair.node);
    explained(&[&|| speaker.report(), &|| frr.report()], || {
        let path = await_route(&frr, ROUTE);
        assert!(path.communities.is_empty(), "{path:?}");
        speaker.signal(rustix::process::Signal::TERM);
        wait_until("GRACEFUL_SHUTDOWN", PATIENCE, || {
            let paths = frr.paths(ROUTE);
            assert!(!paths.is_empty(), "withdrawn before anybody was asked to look elsewhere");
            paths[0].is_asked_to_be_left()
        });
        await_paths(&frr, ROUTE, 0);
        wait_until("the reason is told", PATIENCE, || {
            let neighbour = frr.neighbour([10, 1, 0, 11].into()).unwrap();
            neighbour.last_error.contains("Administrative")
        });
    });
}

fn an_as_number_of_four_octets_is_told_whole(programs: &Programs) {
    let pair = Pair::new();
    let text = crate::stage::configuration(&["10.1.0.11"], "").replace("65000", "4200000001");
    let frr = crate::stage::start_frr(programs, &pair.router, &text);
    let speaker = Setup::new("10.1.0.1:65001").with("bgp_as", "4200000001").start(&pair.node);
    explained(&[&|| speaker.report(), &|| frr.report()], || {
        assert_eq!(await_route(&frr, ROUTE).as_path, "4200000001");
    });
}
