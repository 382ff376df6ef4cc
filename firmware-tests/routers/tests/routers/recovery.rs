//! Crashes, restarts and silence, on either side.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use libtest_mimic::Trial;
use rustix::process::Signal;
use viplet_lab::{Prober, wait_until};
use viplet_routers::programs::{Kind, Programs};
use viplet_routers::{Host, Router};

use crate::bed::{explained, trial};
use crate::speaker::Setup;
use crate::stage::{PATIENCE, Pair, ROUTE, await_paths, await_route, await_session};

const FRR: &[Kind] = &[Kind::Frr];
const VIP: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 10));

pub(crate) fn trials(programs: &Arc<Programs>) -> Vec<Trial> {
    vec![
        trial(
            programs,
            ("a_killed_speaker_that_is_back_in_time_loses_no_packet", FRR),
            a_killed_speaker_that_is_back_in_time_loses_no_packet,
        ),
        trial(
            programs,
            ("a_killed_speaker_that_does_not_come_back_is_forgotten", FRR),
            a_killed_speaker_that_does_not_come_back_is_forgotten,
        ),
        trial(
            programs,
            ("a_peer_that_was_restarted_has_the_routes_again", FRR),
            a_peer_that_was_restarted_has_the_routes_again,
        ),
        trial(
            programs,
            ("a_frozen_speaker_loses_its_routes_at_the_peer", FRR),
            a_frozen_speaker_loses_its_routes_at_the_peer,
        ),
        trial(
            programs,
            ("a_frozen_peer_is_given_up_when_the_hold_time_is_over", FRR),
            a_frozen_peer_is_given_up_when_the_hold_time_is_over,
        ),
    ]
}

/// Hold time 3 s: the least that RFC 4271 allows.
fn brief(peers: &str) -> Setup {
    Setup::new(peers).with("bgp_hold_time", "3").with("bgp_keepalive_interval", "1")
}

/// A client behind the router, with a way back.
fn client(pair: &Pair) -> Host {
    let client = Host::new("client");
    pair.wires.plug("lan", (&client, "eth0"), &["10.3.0.9/24"]);
    pair.router.add("eth0", "10.3.0.1/24");
    client.ip("route add default via 10.3.0.1");
    pair.node.ip("route add default via 10.1.0.1");
    client
}

fn a_killed_speaker_that_is_back_in_time_loses_no_packet(programs: &Programs) {
    let pair = Pair::new();
    let client = client(&pair);
    let frr = pair.frr(programs, "");
    let setup = Setup::new("10.1.0.1:65001").with("bgp_graceful_restart_seconds", "60");
    let mut speaker = setup.start(&pair.node);
    explained(&[&|| frr.report()], || {
        await_route(&frr, ROUTE);
        wait_until("it is in the kernel", PATIENCE, || frr.installed(ROUTE) == 1);
        let prober = Prober::start(&client.namespace, VIP);
        wait_until("it answers", PATIENCE, || prober.answered() > 10);
        let killed = std::time::Instant::now();
        speaker.kill();
        wait_until("the route is kept as a stale one", PATIENCE, || {
            let paths = frr.paths(ROUTE);
            assert_eq!(paths.len(), 1, "it was withdrawn");
            paths[0].stale
        });
        let again = setup.start(&pair.node);
        explained(&[&|| again.report()], || {
            wait_until("the route is confirmed", PATIENCE, || {
                let paths = frr.paths(ROUTE);
                assert_eq!(paths.len(), 1, "it was withdrawn");
                !paths[0].stale
            });
            let enough = prober.answered() + 100;
            wait_until("it still answers", PATIENCE, || prober.answered() > enough);
            assert!(
                prober.longest_silence(killed).is_zero(),
                "{:?}",
                prober.longest_silence(killed)
            );
        });
    });
}

fn a_killed_speaker_that_does_not_come_back_is_forgotten(programs: &Programs) {
    let pair = Pair::new();
    let frr = pair.frr(programs, "");
    let setup = Setup::new("10.1.0.1:65001").with("bgp_graceful_restart_seconds", "2");
    let mut speaker = setup.start(&pair.node);
    explained(&[&|| frr.report()], || {
        await_route(&frr, ROUTE);
        speaker.kill();
        await_paths(&frr, ROUTE, 0);
    });
}

fn a_peer_that_was_restarted_has_the_routes_again(programs: &Programs) {
    let pair = Pair::new();
    let mut frr = pair.frr(programs, "");
    let speaker = brief("10.1.0.1:65001").start(&pair.node);
    explained(&[&|| speaker.report()], || {
        await_route(&frr, ROUTE);
        frr.restart_bgpd(&pair.router);
        await_session(&frr, "10.1.0.11");
        await_route(&frr, ROUTE);
    });
}

fn a_frozen_speaker_loses_its_routes_at_the_peer(programs: &Programs) {
    let pair = Pair::new();
    let frr = pair.frr(programs, "");
    let speaker = brief("10.1.0.1:65001").start(&pair.node);
    explained(&[&|| speaker.report(), &|| frr.report()], || {
        await_route(&frr, ROUTE);
        speaker.signal(Signal::STOP);
        await_paths(&frr, ROUTE, 0);
        speaker.signal(Signal::CONT);
        wait_until("the speaker says why", PATIENCE, || speaker.said(&["10.1.0.1", "hold time"]));
        await_route(&frr, ROUTE);
    });
}

fn a_frozen_peer_is_given_up_when_the_hold_time_is_over(programs: &Programs) {
    let pair = Pair::new();
    let frr = pair.frr(programs, "");
    let speaker = brief("10.1.0.1:65001").start(&pair.node);
    explained(&[&|| speaker.report()], || {
        await_route(&frr, ROUTE);
        frr.bgpd().signal(Signal::STOP);
        wait_until("the speaker says why", PATIENCE, || speaker.said(&["10.1.0.1", "hold time"]));
        frr.bgpd().signal(Signal::CONT);
        // Its own hold timer ran out too: after the thaw it may see that before it reads ours.
        wait_until("the peer is told", PATIENCE, || {
            frr.bgpd().said(&["NOTIFICATION", "Hold Timer Expired"])
        });
        await_session(&frr, "10.1.0.11");
        await_route(&frr, ROUTE);
    });
}
