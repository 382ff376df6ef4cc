//! Packets of a client over a router that has two equal ways to one address.
//!
//! ```text
//!   client 10.3.0.9 ── outside ── 10.3.0.1 frr 10.1.0.1 ── lan ──┬── a 10.1.0.11
//!                                                                └── b 10.1.0.12   both 192.0.2.10
//! ```

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use rustix::process::Signal;
use viplet_lab::{Namespace, Prober, http, wait_until};
use viplet_routers::programs::{Kind, Programs};
use viplet_routers::{Frr, Host, Path, Router, Wires};

use crate::bed::{explained, trial};
use crate::speaker::{Setup, Speaker};
use crate::stage::{self, PATIENCE, ROUTE, await_paths};

const VIP: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 10));

pub(crate) fn trials(programs: &Arc<Programs>) -> Vec<Trial> {
    vec![
        trial(
            programs,
            ("a_planned_stop_of_one_of_two_nodes_loses_no_request", &[Kind::Frr]),
            a_planned_stop_of_one_of_two_nodes_loses_no_request,
        ),
        trial(
            programs,
            ("a_node_whose_cable_is_cut_is_left_as_soon_as_bfd_sees_it", &[Kind::Frr]),
            a_node_whose_cable_is_cut_is_left_as_soon_as_bfd_sees_it,
        ),
        trial(
            programs,
            ("bfd_stays_up_until_a_planned_stop_has_withdrawn_the_route", &[Kind::Frr]),
            bfd_stays_up_until_a_planned_stop_has_withdrawn_the_route,
        ),
    ]
}

struct Fixture {
    wires: Wires,
    client: Host,
    router: Host,
    nodes: [Host; 2],
}

impl Fixture {
    fn new() -> Self {
        let wires = Wires::new(&["outside", "lan"]);
        let (client, router) = (Host::new("client"), Host::router("frr"));
        wires.plug("outside", (&client, "eth0"), &["10.3.0.9/24"]);
        wires.plug("outside", (&router, "eth1"), &["10.3.0.1/24"]);
        wires.plug("lan", (&router, "eth0"), &["10.1.0.1/24"]);
        client.ip("route add default via 10.3.0.1");
        let nodes = [("a", "10.1.0.11/24"), ("b", "10.1.0.12/24")].map(|(name, own)| {
            let node = Host::new(name);
            wires.plug("lan", (&node, "eth0"), &[own]);
            node.ip("route add default via 10.1.0.1");
            node
        });
        Self { wires, client, router, nodes }
    }

    fn frr(&self, programs: &Programs, more: &str) -> Frr {
        let text = stage::configuration(&["10.1.0.11", "10.1.0.12"], more);
        let text = text
            .replace(" no bgp ebgp-req", " bgp bestpath as-path multipath-relax\n no bgp ebgp-req");
        stage::start_frr(programs, &self.router, &text)
    }

    fn speakers(&self, setup: &Setup) -> [Speaker; 2] {
        let ids = ["10.1.0.11", "10.1.0.12"];
        let start =
            |place: usize| setup.clone().with("bgp_routerid", ids[place]).start(&self.nodes[place]);
        [start(0), start(1)]
    }
}

/// A web server on the address of its host that says whose it is.
pub(crate) struct Web {
    stop: Arc<AtomicBool>,
    served: Arc<AtomicU32>,
    thread: Option<JoinHandle<()>>,
}

impl Web {
    pub(crate) fn start(namespace: &Namespace, name: &'static str, port: u16) -> Self {
        let listener = namespace.run(move || TcpListener::bind(("0.0.0.0", port)));
        let listener = listener.expect("a listener");
        listener.set_nonblocking(true).expect("a listener");
        let (stop, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&served));
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let Ok((mut stream, _)) = listener.accept() else {
                    thread::sleep(Duration::from_millis(1));
                    continue;
                };
                let _ = stream.set_nonblocking(false);
                let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
                let _ = stream.read(&mut [0; 1024]);
                let head = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
                if stream.write_all(format!("{head}{name}").as_bytes()).is_ok() {
                    counted.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        Self { stop, served, thread: Some(thread) }
    }

    fn of(host: &Host) -> Self {
        Self::start(&host.namespace, host.name, 80)
    }

    fn served(&self) -> u32 {
        self.served.load(Ordering::Relaxed)
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// A client that asks again and again, each time over a new connection, and tries once more.
struct Requests {
    stop: Arc<AtomicBool>,
    counts: Arc<[AtomicU32; 3]>,
    thread: Option<JoinHandle<()>>,
}

impl Requests {
    fn start(client: &Host) -> Self {
        let (stop, counts) = (Arc::new(AtomicBool::new(false)), Arc::<[AtomicU32; 3]>::default());
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&counts));
        // A thread that is started in a namespace stays in it.
        let thread = client.namespace.run(move || {
            thread::spawn(move || {
                let once = || {
                    http::get_from_here(SocketAddr::new(VIP, 80), "/", Duration::from_millis(300))
                        .is_some_and(|answer| answer.status == 200)
                };
                while !stopped.load(Ordering::Relaxed) {
                    counted[0].fetch_add(1, Ordering::Relaxed);
                    if !once() {
                        counted[1].fetch_add(1, Ordering::Relaxed);
                        if !once() {
                            counted[2].fetch_add(1, Ordering::Relaxed);
                        }
                    }
                    thread::sleep(Duration::from_millis(2));
                }
            })
        });
        Self { stop, counts, thread: Some(thread) }
    }

    /// Asked; failed at first; failed for good.
    fn counts(&self) -> [u32; 3] {
        [0, 1, 2].map(|place: usize| self.counts[place].load(Ordering::Relaxed))
    }
}

impl Drop for Requests {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn a_planned_stop_of_one_of_two_nodes_loses_no_request(programs: &Programs) {
    let fixture = Fixture::new();
    let frr = fixture.frr(programs, "");
    let setup = Setup::new("10.1.0.1:65001").with("bgp_graceful_shutdown", "1s");
    let [mut a, b] = fixture.speakers(&setup);
    let webs = [Web::of(&fixture.nodes[0]), Web::of(&fixture.nodes[1])];
    explained(&[&|| b.report(), &|| frr.report()], || {
        await_paths(&frr, ROUTE, 2);
        wait_until("two ways in the kernel", PATIENCE, || frr.installed(ROUTE) == 2);
        let requests = Requests::start(&fixture.client);
        wait_until("both nodes are asked", PATIENCE, || webs.iter().all(|web| web.served() > 20));
        a.stop();
        await_paths(&frr, ROUTE, 1);
        wait_until("one way in the kernel", PATIENCE, || frr.installed(ROUTE) == 1);
        let from = webs[1].served();
        wait_until("the other is asked on", PATIENCE, || webs[1].served() > from + 100);
        let [asked, late, lost] = requests.counts();
        println!("planned stop: {asked} requests, {late} at the second try, {lost} lost");
        assert_eq!(lost, 0, "of {asked} requests");
    });
}

fn echoes(host: &Host) -> u64 {
    let text = host.namespace.run(|| std::fs::read_to_string("/proc/thread-self/net/snmp"));
    let text = text.expect("/proc/thread-self/net/snmp");
    let mut rows = text.lines().filter_map(|line| line.strip_prefix("Icmp: "));
    let (names, values) = (rows.next().expect("names"), rows.next().expect("values"));
    let place = names.split(' ').position(|name| name == "InEchos").expect("InEchos");
    values.split(' ').nth(place).and_then(|value| value.parse().ok()).expect("a number")
}

/// Which node the client's echo requests reach: all of them go one way.
fn reached(fixture: &Fixture, prober: &Prober) -> usize {
    let before = [0, 1].map(|place: usize| echoes(&fixture.nodes[place]));
    let enough = prober.answered() + 20;
    wait_until("the address answers", PATIENCE, || prober.answered() > enough);
    usize::from(echoes(&fixture.nodes[1]) - before[1] > echoes(&fixture.nodes[0]) - before[0])
}

const BFD: &str = " neighbor 10.1.0.11 bfd 3 50 50\n neighbor 10.1.0.12 bfd 3 50 50\n";

fn all_up(frr: &Frr) -> bool {
    let peers = frr.bfd_peers();
    peers.len() == 2 && peers.iter().all(|peer| peer.status == "up")
}

fn a_node_whose_cable_is_cut_is_left_as_soon_as_bfd_sees_it(programs: &Programs) {
    let fixture = Fixture::new();
    let frr = fixture.frr(programs, BFD);
    let speakers = fixture.speakers(&Setup::new("10.1.0.1:65001:::179::true;50;50;3"));
    explained(&[&|| speakers[0].report(), &|| speakers[1].report(), &|| frr.report()], || {
        await_paths(&frr, ROUTE, 2);
        wait_until("BFD is up with both", PATIENCE, || all_up(&frr));
        for peer in frr.bfd_peers() {
            assert_eq!(peer.remote, [50, 50, 3], "{peer:?}");
        }
        wait_until("two ways in the kernel", PATIENCE, || frr.installed(ROUTE) == 2);
        let prober = Prober::start(&fixture.client.namespace, VIP);
        let place = reached(&fixture, &prober);
        let node = &fixture.nodes[place];
        let cut = Instant::now();
        fixture.wires.cut(node, "eth0");
        await_paths(&frr, ROUTE, 1);
        let gone = cut.elapsed();
        wait_until("the other node answers", PATIENCE, || {
            prober.first_answer_since(cut + Duration::from_millis(1)).is_some() && prober.answers()
        });
        let silence = prober.longest_silence(cut);
        println!(
            "a cable cut, BFD 50 ms x 3: the route was gone after {gone:?}; {silence:?} of silence at the client"
        );
        let own = ["10.1.0.11", "10.1.0.12"][place];
        wait_until("the speaker has seen it too", PATIENCE, || speakers[place].said(&["bfd"]));
        assert!(silence < Duration::from_secs(3), "that was the hold time: {silence:?}");
        fixture.wires.restore(node, "eth0");
        await_paths(&frr, ROUTE, 2);
        wait_until(&format!("BFD is up with {own} again"), PATIENCE, || all_up(&frr));
    });
}

fn bfd_stays_up_until_a_planned_stop_has_withdrawn_the_route(programs: &Programs) {
    let fixture = Fixture::new();
    let frr = fixture.frr(programs, BFD);
    let setup = Setup::new("10.1.0.1:65001:::179::true;50;50;3");
    let [a, b] = fixture.speakers(&setup.with("bgp_graceful_shutdown", "2s"));
    explained(&[&|| a.report(), &|| b.report(), &|| frr.report()], || {
        await_paths(&frr, ROUTE, 2);
        wait_until("BFD is up with both", PATIENCE, || all_up(&frr));
        a.signal(Signal::TERM);
        wait_until("GRACEFUL_SHUTDOWN of one", PATIENCE, || {
            let paths = frr.paths(ROUTE);
            assert_eq!(paths.len(), 2, "withdrawn before anybody was asked to look elsewhere");
            assert!(all_up(&frr), "BFD ended before the route was withdrawn");
            paths.iter().any(Path::is_asked_to_be_left)
        });
        await_paths(&frr, ROUTE, 1);
        wait_until("it has ended as planned", PATIENCE, || a.said(&["stopped"]));
        assert!(frr.bfd_peers().iter().any(|peer| peer.status == "up"), "the other is still there");
    });
}
