//! viplet itself and the packets of a client whose own router FRR is: what is lost, and for how long.

use std::cell::RefCell;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use rustix::process::Signal;
use viplet_lab::cluster::{Cluster, Plan};
use viplet_lab::wait::stays_for;
use viplet_lab::{Endpoint, Service, wait_until};
use viplet_routers::programs::{Kind, Programs};
use viplet_routers::{Frr, Router};

use crate::bed::{explained, trial};
use crate::stage::{self, PATIENCE, ROUTE, await_paths, await_route};

const FRR: &[Kind] = &[Kind::Frr];
const WITH_API: &[Kind] = &[Kind::Frr, Kind::ApiServer];

pub(crate) fn trials(programs: &Arc<Programs>) -> Vec<Trial> {
    vec![
        trial(
            programs,
            ("viplet_without_election_has_the_control_plane_on_every_node", FRR),
            viplet_without_election_has_the_control_plane_on_every_node,
        ),
        trial(
            programs,
            ("a_viplet_that_was_killed_keeps_its_route_until_it_is_back", FRR),
            a_viplet_that_was_killed_keeps_its_route_until_it_is_back,
        ),
        trial(
            programs,
            ("a_node_of_viplet_without_power_is_left_as_soon_as_bfd_sees_it", FRR),
            a_node_of_viplet_without_power_is_left_as_soon_as_bfd_sees_it,
        ),
        trial(
            programs,
            ("a_router_that_refuses_viplet_is_in_the_log_once_with_what_status_says", FRR),
            a_router_that_refuses_viplet_is_in_the_log_once_with_what_status_says,
        ),
        trial(
            programs,
            ("services_of_policy_local_follow_their_endpoints", WITH_API),
            services_of_policy_local_follow_their_endpoints,
        ),
    ]
}

/// BGP mode to the router on the client's machine.
fn bgp(plan: Plan) -> Plan {
    plan.set("vip_arp", "false")
        .set("bgp_enable", "true")
        .set("bgp_as", "65000")
        .set("bgp_peers", "10.77.0.1:65001")
}

fn control_plane(nodes: u8) -> Plan {
    bgp(Plan::new(nodes).addresses(&["192.0.2.10"]))
}

fn frr(programs: &Programs, cluster: &Cluster, more: &str) -> Frr {
    let peers: Vec<String> =
        cluster.lab.nodes.iter().map(|node| node.address.to_string()).collect();
    let peers: Vec<&str> = peers.iter().map(String::as_str).collect();
    let text = stage::configuration(&peers, more);
    Frr::start_in(programs.frr.as_ref().unwrap(), &cluster.lab.client, &text)
}

/// Runs `test` and tells the whole story when it fails.
fn told(cluster: Cluster, frr: &Frr, test: impl FnOnce(&mut Cluster)) {
    let cluster = RefCell::new(cluster);
    explained(&[&|| frr.report()], || test(&mut cluster.borrow_mut()));
}

fn viplet_without_election_has_the_control_plane_on_every_node(programs: &Programs) {
    let cluster = Cluster::new(control_plane(2).set("vip_leaderelection", "false"));
    let frr = frr(programs, &cluster, "");
    told(cluster, &frr, |cluster| {
        cluster.start_all();
        await_paths(&frr, ROUTE, 2);
        wait_until("two ways in the kernel", PATIENCE, || frr.installed(ROUTE) == 2);
        wait_until("the address answers", PATIENCE, || cluster.prober().answers());
        wait_until("both are ready", PATIENCE, || {
            (0..2).all(|node| cluster.ready(node).is_some_and(|(status, _)| status == 200))
        });
        let page = cluster.get(0, "/status").expect("a page of status").body;
        assert!(page.contains("Established") && page.contains("10.77.0.1"), "{page}");
        let stopped = Instant::now();
        cluster.signal(0, Signal::TERM);
        await_paths(&frr, ROUTE, 1);
        cluster.process(0).wait(PATIENCE);
        let heard = cluster.prober().answered() + 100;
        wait_until("the other answers", PATIENCE, || cluster.prober().answered() > heard);
        let silence = cluster.prober().longest_silence(stopped);
        println!("planned stop of viplet, one of two: {silence:?} of silence at the client");
    });
}

/// Issue 13, fault 6: the log, `status` and `readyz` say the same.
fn a_router_that_refuses_viplet_is_in_the_log_once_with_what_status_says(programs: &Programs) {
    let plan = control_plane(1).set("vip_leaderelection", "false").set("bgp_as", "65077");
    let cluster = Cluster::new(plan);
    let frr = frr(programs, &cluster, "");
    told(cluster, &frr, |cluster| {
        cluster.start(0);
        let refused = ["10.77.0.1: no session", "Bad Peer AS"];
        wait_until("why is in the log", PATIENCE, || cluster.process(0).said(&refused));
        let page = |cluster: &Cluster| cluster.status(0).expect("a page of status");
        let sent = |cluster: &Cluster| page(cluster)["peers"][0]["bgp"]["sent"].as_u64();
        let first = sent(cluster);
        let more = first.map(|sent| sent + 3);
        wait_until("it is tried again and again", PATIENCE, || sent(cluster) >= more);
        let log = cluster.process(0).log();
        assert_eq!(log.matches("Bad Peer AS").count(), 1, "{log}");
        assert!(log.contains("held, announced to no peer yet"), "{log}");
        assert!(!log.contains("held and announced"), "{log}");
        let page = page(cluster);
        let why = page["peers"][0]["last_error"].as_str().unwrap_or_default();
        assert!(why.contains("Bad Peer AS"), "{page}");
        assert_eq!(page["addresses"][0]["state"], "pending", "{page}");
        assert!(cluster.ready(0).is_some_and(|(status, _)| status != 200));
    });
}

fn a_viplet_that_was_killed_keeps_its_route_until_it_is_back(programs: &Programs) {
    let cluster = Cluster::new(control_plane(1).set("bgp_graceful_restart_seconds", "60"));
    let frr = frr(programs, &cluster, "");
    told(cluster, &frr, |cluster| {
        cluster.start(0);
        await_route(&frr, ROUTE);
        wait_until("the address answers", PATIENCE, || cluster.prober().answers());
        let killed = Instant::now();
        cluster.retire(0);
        let kept = || {
            let paths = frr.paths(ROUTE);
            assert_eq!(paths.len(), 1, "withdrawn after {:?}", killed.elapsed());
            paths[0].stale
        };
        wait_until("the route is kept as a stale one", PATIENCE, kept);
        cluster.start(0);
        wait_until("the route is confirmed", PATIENCE, || !kept());
        stays_for("the route is there", Duration::from_secs(1), || !kept());
        let silence = cluster.prober().longest_silence(killed);
        println!("viplet killed and started again: {silence:?} of silence at the client");
    });
}

fn a_node_of_viplet_without_power_is_left_as_soon_as_bfd_sees_it(programs: &Programs) {
    let plan = control_plane(2)
        .set("vip_leaderelection", "false")
        .set("bgp_peers", "10.77.0.1:65001:::179::true;50;50;3");
    let cluster = Cluster::new(plan);
    let bfd = " neighbor 10.77.0.11 bfd 3 50 50\n neighbor 10.77.0.12 bfd 3 50 50\n";
    let frr = frr(programs, &cluster, bfd);
    told(cluster, &frr, |cluster| {
        cluster.start_all();
        await_paths(&frr, ROUTE, 2);
        wait_until("BFD is up with both", PATIENCE, || {
            let peers = frr.bfd_peers();
            peers.len() == 2 && peers.iter().all(|peer| peer.status == "up")
        });
        wait_until("two ways in the kernel", PATIENCE, || frr.installed(ROUTE) == 2);
        wait_until("the address answers", PATIENCE, || cluster.prober().answers());
        // The one that the client's packets go to.
        let way = cluster.lab.client.run(|| {
            let mut command = std::process::Command::new("ip");
            command.args(["route", "get", "192.0.2.10"]).output().expect("the command ip").stdout
        });
        let node = usize::from(String::from_utf8_lossy(&way).contains("via 10.77.0.12"));
        let off = Instant::now();
        cluster.power_off(node);
        await_paths(&frr, ROUTE, 1);
        let gone = off.elapsed();
        wait_until("the other answers", PATIENCE, || {
            let later = off + Duration::from_millis(1);
            cluster.prober().first_answer_since(later).is_some() && cluster.prober().answers()
        });
        let silence = cluster.prober().longest_silence(off);
        println!(
            "power-off, BFD 50 ms x 3: the route was gone after {gone:?}; {silence:?} of silence at the client"
        );
    });
}

fn services(nodes: u8) -> Plan {
    bgp(Plan::services(nodes))
}

fn from(frr: &Frr, prefix: &str) -> Vec<IpAddr> {
    let mut all: Vec<IpAddr> = frr.paths(prefix).iter().filter_map(|path| path.from).collect();
    all.sort();
    all
}

#[track_caller]
fn await_nodes(frr: &Frr, prefix: &str, nodes: &[u8]) {
    let wanted: Vec<IpAddr> = nodes.iter().map(|node| [10, 77, 0, 10 + node].into()).collect();
    wait_until(&format!("{prefix} comes from {wanted:?}"), PATIENCE, || {
        from(frr, prefix) == wanted
    });
}

fn services_of_policy_local_follow_their_endpoints(programs: &Programs) {
    let cluster = Cluster::new(services(2).set("vip_leaderelection", "false"));
    let frr = frr(programs, &cluster, "");
    cluster.register_nodes();
    told(cluster, &frr, |cluster| {
        cluster.start_all();
        let local = Service::new("local").asks("192.0.2.21").local();
        cluster.store().serve(&local, &[Endpoint::on(0)]);
        await_nodes(&frr, "192.0.2.21/32", &[1]);
        cluster.store().set_slice(&local, "", &[Endpoint::on(0), Endpoint::on(1)]);
        await_nodes(&frr, "192.0.2.21/32", &[1, 2]);
        cluster.store().set_slice(&local, "", &[Endpoint::on(1)]);
        await_nodes(&frr, "192.0.2.21/32", &[2]);
        cluster.store().set_slice(&local, "", &[]);
        await_nodes(&frr, "192.0.2.21/32", &[]);
        cluster.store().set_slice(&local, "", &[Endpoint::on(0)]);
        await_nodes(&frr, "192.0.2.21/32", &[1]);
        let everywhere = Service::new("everywhere").asks("192.0.2.22");
        cluster.store().serve(&everywhere, &[Endpoint::on(0)]);
        await_nodes(&frr, "192.0.2.22/32", &[1, 2]);
        cluster.store().delete(&everywhere);
        await_nodes(&frr, "192.0.2.22/32", &[]);
        time_to_route(cluster, &frr);
    });
}

/// The median time from a Service's creation to its route at the router.
fn time_to_route(cluster: &Cluster, frr: &Frr) {
    let mut times: Vec<Duration> = (0..11)
        .map(|number| {
            let address = format!("192.0.2.{}", 100 + number);
            let service = Service::new(&format!("timed-{number}")).asks(&address);
            let start = Instant::now();
            cluster.store().serve(&service, &[Endpoint::on(0)]);
            let prefix = format!("{address}/32");
            wait_until("the route", PATIENCE, || !frr.paths(&prefix).is_empty());
            start.elapsed()
        })
        .collect();
    times.sort();
    println!("Service created to route at FRR: median {:?}, longest {:?}", times[5], times[10]);
}
