//! A thousand addresses, four peers.

use std::sync::Arc;
use std::time::Instant;

use libtest_mimic::Trial;
use viplet_lab::wait_until;
use viplet_routers::programs::{Kind, Programs};
use viplet_routers::{Frr, Host, Router, Wires};

use crate::bed::{explained, trial};
use crate::speaker::Setup;
use crate::stage::{self, PATIENCE};

pub(crate) fn trials(programs: &Arc<Programs>) -> Vec<Trial> {
    vec![trial(
        programs,
        ("a_thousand_addresses_reach_each_of_four_peers_in_few_updates", &[Kind::Frr]),
        a_thousand_addresses_reach_each_of_four_peers_in_few_updates,
    )]
}

const ROUTERS: [(&str, &str); 4] =
    [("r1", "10.1.0.1"), ("r2", "10.1.0.2"), ("r3", "10.1.0.3"), ("r4", "10.1.0.4")];

fn a_thousand_addresses_reach_each_of_four_peers_in_few_updates(programs: &Programs) {
    let wires = Wires::new(&["lan"]);
    let node = Host::new("node");
    wires.plug("lan", (&node, "eth0"), &["10.1.0.11/24"]);
    let hosts = ROUTERS.map(|(name, own)| {
        let host = Host::new(name);
        wires.plug("lan", (&host, "eth0"), &[&format!("{own}/24")]);
        host
    });
    let text = |own: &str| {
        stage::configuration(&["10.1.0.11"], "").replace("10.1.0.1\n", &format!("{own}\n"))
    };
    let routers: Vec<Frr> = hosts
        .iter()
        .zip(ROUTERS)
        .map(|(host, (_, own))| stage::start_frr(programs, host, &text(own)))
        .collect();
    let addresses: Vec<String> =
        (0..1000).map(|number| format!("198.18.{}.{}", number / 250, number % 250 + 1)).collect();
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    let peers = ROUTERS.map(|(_, own)| format!("{own}:65001")).join(",");
    let started = Instant::now();
    let speaker = Setup::new(&peers).announcing(&addresses).start(&node);
    let known = |router: &Frr| router.neighbour([10, 1, 0, 11].into()).unwrap();
    explained(&[&|| speaker.report(), &|| routers[0].report()], || {
        for router in &routers {
            wait_until("a session", PATIENCE, || known(router).is_up());
        }
        let up = started.elapsed();
        for router in &routers {
            wait_until("1000 routes", PATIENCE, || known(router).prefixes == 1000);
        }
        let updates: Vec<u64> = routers.iter().map(|router| known(router).updates).collect();
        println!(
            "1,000 addresses to 4 peers: sessions up after {up:?}, all routes after {:?}; UPDATEs per peer: {updates:?}",
            started.elapsed()
        );
        assert!(updates.iter().all(|count| (1..30).contains(count)), "{updates:?}");
    });
}
