//! viplet itself in BGP mode: a lab of three nodes with a real API server, and FRR as the router
//! of their segment. Each test has a lab of its own.
//!
//! ```text
//!   n1 n2 n3  10.77.0.11 … 13 ── lan ── 10.77.0.254 frr (AS 65001)
//! ```

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::Trial;
use rustix::process::Signal;
use serde_json::json;
use viplet_kubeapi::real::RealError;
use viplet_lab::cluster::{Cluster, Plan, Timing};
use viplet_lab::rtnl::{LinkState, Rtnl};
use viplet_lab::store::{self, Write};
use viplet_lab::{Endpoint, Request, Service, objects, refused, wait_until};
use viplet_routers::programs::{Kind, Programs};
use viplet_routers::{Frr, Host, Router};

use crate::bed::{explained, trial};
use crate::stage::{self, PATIENCE};
use crate::traffic::Web;

/// The node's addresses, as the router's peers.
const NODES: [&str; 3] = ["10.77.0.11", "10.77.0.12", "10.77.0.13"];
const WEB: &str = "192.0.2.20";
const ROUTE: &str = "192.0.2.20/32";
/// For a thousand of something.
const LONG: Duration = Duration::from_secs(120);
const PLANE: &str = "10.77.0.100/32";

pub(crate) fn trials(programs: &Arc<Programs>) -> Vec<Trial> {
    type Test = fn(&Programs);
    let all: [(&'static str, Test); 9] = [
        ("every_node_announces_a_service_and_not_every_one_writes_its_status", everywhere),
        ("with_svc_election_one_node_announces", elected),
        ("the_control_planes_address_is_announced_by_every_node_and_is_on_its_interface", plane),
        ("an_api_server_that_fails_its_checks_takes_the_address_off_its_node", checked),
        ("a_node_that_stops_withdraws_and_the_others_go_on", stopped),
        ("a_killed_program_that_starts_again_loses_no_route", restarted),
        ("status_and_metrics_show_each_peer_and_what_is_wrong_with_it", seen),
        ("peers_in_the_nodes_annotations_are_waited_for_and_followed", annotated),
        ("a_thousand_services_reach_four_peers_in_few_updates", thousand),
    ];
    all.into_iter().map(|(name, test)| trial(programs, (name, &[Kind::Frr]), test)).collect()
}

fn plan() -> Plan {
    Plan::services(3)
        .timing(Timing::DEFAULT)
        .set("vip_arp", "false")
        .set("bgp_enable", "true")
        .set("vip_leaderelection", "false")
        .set("bgp_as", "65000")
        .set("bgp_peers", "10.77.0.254:65001")
        .set("bgp_graceful_shutdown", "300ms")
}

struct Fixture {
    cluster: Cluster,
    /// Each with its machine; most tests have one.
    routers: Vec<(Frr, Host)>,
}

impl Fixture {
    /// With a router at each of these addresses.
    fn new(programs: &Programs, plan: Plan, routers: &[&'static str]) -> Result<Self, RealError> {
        let cluster = Cluster::try_new(plan)?;
        cluster.register_nodes();
        let routers = routers.iter().map(|own| router(programs, &cluster, own)).collect();
        Ok(Self { cluster, routers })
    }

    fn frr(&self) -> &Frr {
        &self.routers[0].0
    }

    fn test(mut self, test: impl FnOnce(&mut Self)) {
        self.cluster.start_all();
        let before = self.cluster.requests().len();
        let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| test(&mut self)));
        explained(&[&|| self.frr().report(), &|| self.cluster.story()], || {
            if let Err(panic) = told {
                std::panic::resume_unwind(panic);
            }
            let refused = refused(&self.cluster.store(), &self.cluster.requests()[before..]);
            assert!(refused.is_empty(), "manifests/rbac.yaml does not allow {refused:?}");
        });
    }

    /// The nodes that the router has a path to, by their place.
    fn announcers(&self, prefix: &str) -> Vec<usize> {
        let paths = self.frr().paths(prefix);
        let from = |node: &str| paths.iter().any(|path| path.from == node.parse().ok());
        (0..NODES.len()).filter(|place| from(NODES[*place])).collect()
    }

    #[track_caller]
    fn await_announcers(&self, prefix: &str, nodes: &[usize]) {
        wait_until(&format!("{prefix} is announced by {nodes:?}"), PATIENCE, || {
            self.announcers(prefix) == nodes
        });
    }

    #[track_caller]
    fn await_status(&self, service: &Service) {
        wait_until("the status names the address", PATIENCE, || {
            self.cluster.store().ingress_addresses(service) == [WEB]
        });
    }
}

fn router(programs: &Programs, cluster: &Cluster, own: &'static str) -> (Frr, Host) {
    let host = Host::router("frr");
    let file = host.namespace.file().try_clone().expect("the namespace's file");
    let port = format!("frr-{}", own.rsplit('.').next().expect("an address"));
    let switch = cluster.lab.switch();
    let plugged = switch.run(move || Rtnl::open().add_port("lan", &port, (&file, "eth0")));
    plugged.expect("a cable");
    host.namespace.run(|| Rtnl::open().set_up("eth0", LinkState::Up)).expect("eth0");
    host.add("eth0", &format!("{own}/24"));
    let text =
        stage::configuration(&NODES, "").replace("router-id 10.1.0.1", &format!("router-id {own}"));
    let text =
        text.replace(" no bgp ebgp-req", " bgp bestpath as-path multipath-relax\n no bgp ebgp-req");
    (stage::start_frr(programs, &host, &text), host)
}

/// Runs `test` with viplet on every node; where there is no API server it says so.
fn with_fixture(programs: &Programs, plan: Plan, test: impl FnOnce(&mut Fixture)) {
    with_routers(programs, plan, &["10.77.0.254"], test);
}

fn with_routers(
    programs: &Programs,
    plan: Plan,
    routers: &[&'static str],
    test: impl FnOnce(&mut Fixture),
) {
    match Fixture::new(programs, plan, routers) {
        Ok(fixture) => fixture.test(test),
        Err(why) => println!("SKIPPED: viplet with FRR: {why}"),
    }
}

fn web() -> Service {
    Service::new("web").asks(WEB)
}

fn on_all() -> Vec<Endpoint> {
    (0..3).map(Endpoint::on).collect()
}

fn everywhere(programs: &Programs) {
    with_fixture(programs, plan(), |fixture| {
        fixture.cluster.store().serve(&web(), &on_all());
        fixture.await_announcers(ROUTE, &[0, 1, 2]);
        fixture.await_status(&web());
        let host = fixture.cluster.store().annotation(&web(), "vipHost");
        assert!(host.is_some_and(|host| ["n1", "n2", "n3"].contains(&host.as_str())));
        wait_until("each node says it", PATIENCE, || {
            let events = fixture.cluster.store().events(&web());
            let said = |node: &str| {
                let text = format!("announced by {node} to 1 of 1 peers");
                events.iter().any(|event| event.message.contains(&text))
            };
            ["n1", "n2", "n3"].into_iter().all(said)
        });
        let stored = |one: &&Request| one.resource == "services/status" && one.code == 200;
        let requests = fixture.cluster.requests();
        let writes: Vec<&Request> = requests.iter().filter(stored).collect();
        // Who writes follows from the Service's name; another takes over when nothing is written for a turn.
        assert!((1..3).contains(&writes.len()), "{writes:?}");
        fixture.cluster.store().delete(&web());
        fixture.await_announcers(ROUTE, &[]);
        assert_eq!(fixture.cluster.store().held_leases(), [] as [&str; 0]);
    });
}

fn elected(programs: &Programs) {
    with_fixture(programs, plan().set("svc_election", "true"), |fixture| {
        fixture.cluster.store().serve(&web(), &on_all());
        wait_until("one node announces it", PATIENCE, || fixture.announcers(ROUTE).len() == 1);
        fixture.await_status(&web());
        let holder = fixture.announcers(ROUTE)[0];
        fixture.cluster.power_off(holder);
        wait_until(
            "another one does",
            PATIENCE,
            || matches!(fixture.announcers(ROUTE)[..], [one] if one != holder),
        );
    });
}

fn plane(programs: &Programs) {
    let plan = plan().and_control_plane().set("vip_interface", "lo");
    with_fixture(programs, plan, |fixture| {
        fixture.await_announcers(PLANE, &[0, 1, 2]);
        let vip = fixture.cluster.vip();
        assert!(fixture.cluster.lab.nodes.iter().all(|node| node.has(vip)));
        fixture.cluster.process(0).signal(Signal::TERM);
        wait_until("its node has it no more", PATIENCE, || !fixture.cluster.lab.nodes[0].has(vip));
        fixture.await_announcers(PLANE, &[1, 2]);
    });
}

fn checked(programs: &Programs) {
    let plan = plan()
        .and_control_plane()
        .set("vip_interface", "lo")
        .set("control_plane_health_check_address", "http://127.0.0.1:8099/livez")
        .set("control_plane_health_check_period_seconds", "1")
        .set("control_plane_health_check_failure_threshold", "2");
    with_fixture(programs, plan, |fixture| {
        let web = Web::start(&fixture.cluster.lab.nodes[1].namespace, "n1", 8099);
        fixture.await_announcers(PLANE, &[1]);
        drop(web);
        fixture.await_announcers(PLANE, &[]);
        let ready = fixture.cluster.ready(1).expect("it answers");
        assert!(ready.1.contains("health checks in a row"), "{ready:?}");
    });
}

fn stopped(programs: &Programs) {
    with_fixture(programs, plan(), |fixture| {
        fixture.cluster.store().serve(&web(), &on_all());
        fixture.await_announcers(ROUTE, &[0, 1, 2]);
        fixture.cluster.process(1).signal(Signal::TERM);
        wait_until("its route is about to go", PATIENCE, || {
            let from = NODES[1].parse::<IpAddr>().ok();
            let paths = fixture.frr().paths(ROUTE);
            let own = paths.iter().find(|path| path.from == from);
            let marked = |path: &viplet_routers::Path| {
                path.communities.iter().any(|c| c.to_lowercase().contains("graceful"))
            };
            own.is_none_or(marked)
        });
        fixture.await_announcers(ROUTE, &[0, 2]);
    });
}

fn restarted(programs: &Programs) {
    with_fixture(programs, plan(), |fixture| {
        for number in 0..20 {
            let service = Service::new(&format!("web-{number}")).asks(&format!("192.0.2.{number}"));
            fixture.cluster.store().serve(&service, &on_all());
        }
        let all = || (0..20).map(|number| format!("192.0.2.{number}/32"));
        all().for_each(|route| fixture.await_announcers(&route, &[0, 1, 2]));
        fixture.cluster.process(0).kill();
        fixture.cluster.start(0);
        let up = |fixture: &Fixture| {
            let peer = NODES[0].parse().expect("an address");
            fixture.frr().neighbour(peer).is_some_and(|peer| peer.is_up() && peer.prefixes == 20)
        };
        let fresh = |fixture: &Fixture| {
            all().all(|route| fixture.frr().paths(&route).iter().all(|path| !path.stale))
        };
        let whole = |fixture: &Fixture| all().all(|route| fixture.announcers(&route) == [0, 1, 2]);
        wait_until("every route is fresh again", PATIENCE, || {
            assert!(whole(fixture), "a route is gone");
            up(fixture) && fresh(fixture)
        });
    });
}

fn seen(programs: &Programs) {
    let plan = plan().set("bgp_peers", "10.77.0.254:65001,10.77.0.253:65001");
    with_fixture(programs, plan, |fixture| {
        fixture.cluster.store().serve(&web(), &on_all());
        fixture.await_announcers(ROUTE, &[0, 1, 2]);
        let status = fixture.cluster.status(0).expect("it answers");
        let peers = status["peers"].as_array().expect("peers").clone();
        assert_eq!(peers.len(), 2, "{status}");
        assert_eq!(peers[0]["bgp"]["state"], "Established", "{status}");
        assert_eq!(peers[0]["addresses"], 1, "{status}");
        assert_ne!(peers[1]["bgp"]["state"], "Established", "{status}");
        wait_until("what is wrong is said", PATIENCE, || {
            let status = fixture.cluster.status(0).expect("it answers");
            status["peers"][1]["last_error"].is_string()
        });
        let metrics = fixture.cluster.get(0, "/metrics").expect("metrics").body;
        let up = "kube_vip_manager_bgp_session_info{state=\"SESSION_STATE_ESTABLISHED\",\
                  peer=\"10.77.0.254:179\"} 1";
        assert!(metrics.contains(up), "{metrics}");
        assert!(metrics.contains("viplet_peer_up{peer=\"10.77.0.253\"} 0"), "{metrics}");
    });
}

fn annotated(programs: &Programs) {
    let plan = plan().set("bgp_peers", "").set("annotation", "bgp.example");
    with_fixture(programs, plan, |fixture| {
        fixture.cluster.store().serve(&web(), &on_all());
        for (place, node) in NODES.iter().enumerate().take(2) {
            let annotations = json!({
                "bgp.example/bgp-peers-0-node-asn": "65000",
                "bgp.example/bgp-peers-0-src-ip": node,
                "bgp.example/bgp-peers-0-peer-asn": "65001",
                "bgp.example/bgp-peers-0-peer-ip": "10.77.0.254",
            });
            let patch = json!({"metadata": {"annotations": annotations}});
            let path = format!("/api/v1/nodes/n{}", place + 1);
            fixture.cluster.store().write(&path, Write::Merge(patch));
        }
        fixture.await_announcers(ROUTE, &[0, 1]);
        let elsewhere = json!({"bgp.example/bgp-peers-0-peer-ip": "10.77.0.253"});
        let patch = json!({"metadata": {"annotations": elsewhere}});
        fixture.cluster.store().write("/api/v1/nodes/n1", Write::Merge(patch));
        fixture.await_announcers(ROUTE, &[1]);
    });
}

fn thousand(programs: &Programs) {
    const SERVICES: usize = 1_000;
    let own = ["10.77.0.251", "10.77.0.252", "10.77.0.253", "10.77.0.254"];
    let plan = plan().unaudited().set(
        "bgp_peers",
        "10.77.0.251:65001,10.77.0.252:65001,10.77.0.253:65001,10.77.0.254:65001",
    );
    with_routers(programs, plan, &own, |fixture| {
        let name = |n: usize| format!("web-{n}");
        let slices = (0..SERVICES).map(|n| {
            let slice = objects::slice("default", (&name(n), &name(n)), &on_all());
            (store::slices("default"), Write::Create(slice))
        });
        fixture.cluster.store().write_all(slices.collect());
        let services = (0..SERVICES).map(|n| {
            let address = format!("198.18.{}.{}", n / 250, n % 250 + 1);
            let object = Service::new(&name(n)).asks(&address).object();
            (store::services("default"), Write::Create(object))
        });
        fixture.cluster.store().write_all(services.collect());
        let peer = NODES[0].parse().expect("an address");
        let told = |frr: &Frr| frr.neighbour(peer).is_some_and(|peer| peer.prefixes == 1000);
        let all = |fixture: &Fixture| fixture.routers.iter().all(|(frr, _)| told(frr));
        wait_until("every router has every route", LONG, || all(fixture));
        // A node that finds all of them: the whole table at once.
        fixture.cluster.retire(0);
        wait_until("its routes are gone", LONG, || {
            let left = |frr: &Frr| frr.neighbour(peer).is_some_and(|peer| peer.prefixes > 0);
            !fixture.routers.iter().any(|(frr, _)| left(frr))
        });
        let before: Vec<u64> = updates(fixture, peer);
        fixture.cluster.start(0);
        wait_until("every router has every route again", LONG, || all(fixture));
        let sent: Vec<u64> =
            updates(fixture, peer).iter().zip(before).map(|(now, b)| now - b).collect();
        let memory = fixture.cluster.process(0).status_field("VmRSS");
        println!("1,000 Services, 4 peers: UPDATEs {sent:?}, {memory} KiB resident");
        assert!(sent.iter().all(|count| (1..30).contains(count)), "{sent:?}");
    });
}

fn updates(fixture: &Fixture, peer: IpAddr) -> Vec<u64> {
    let known = |frr: &Frr| frr.neighbour(peer).map_or(0, |peer| peer.updates);
    fixture.routers.iter().map(|(frr, _)| known(frr)).collect()
}
