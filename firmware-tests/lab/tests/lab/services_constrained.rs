//! Constrained nodes: the static program and little memory.

use std::time::Duration;

use libtest_mimic::Trial;
use viplet_lab::binaries::static_viplet;
use viplet_lab::cluster::Cluster;
use viplet_lab::store::{self, Write};
use viplet_lab::{Endpoint, Service, objects, wait_until};

use crate::bed::{services, trial};
use crate::case::skip;

const SERVICES: usize = 1_000;
/// Address space, which is more than what is resident.
const MEMORY: u64 = 16 << 20;
/// For a thousand statuses, on a slow machine.
const PATIENCE: Duration = Duration::from_secs(180);
const NAME: &str = "the static program serves a thousand Services with 16 MiB of memory";

pub(crate) fn trials() -> Vec<Trial> {
    vec![trial(NAME, services, a_thousand)]
}

fn service(number: usize) -> Service {
    let address = format!("10.77.{}.{}", 1 + number / 250, 1 + number % 250);
    Service::new(&format!("web-{number}")).asks(&address)
}

fn a_thousand(cluster: &mut Cluster) {
    let Some(program) = static_viplet() else {
        let why = "there is no static binary of these sources: scripts/build makes one";
        return skip(NAME, why);
    };
    let nodes = cluster.lab.nodes.len();
    let endpoints: Vec<Endpoint> = (0..nodes).map(Endpoint::on).collect();
    let slice = |number| {
        let name = format!("web-{number}");
        let slice = objects::slice("default", (&name, &name), &endpoints);
        (store::slices("default"), Write::Create(slice))
    };
    let object = |number| (store::services("default"), Write::Create(service(number).object()));
    cluster.store().write_all((0..SERVICES).map(slice).collect());
    cluster.store().write_all((0..SERVICES).map(object).collect());
    for node in 0..nodes {
        let program = cluster.manager(program.clone(), node);
        cluster.run(node, &program).limit_address_space(MEMORY);
    }
    wait_until("every Service has its address in its status", PATIENCE, || {
        let all = cluster.store().list(&store::services("default"));
        let written = |one: &&serde_json::Value| {
            one["status"]["loadBalancer"]["ingress"][0]["ip"].is_string()
        };
        all.iter().filter(written).count() == SERVICES
    });
    for node in 0..nodes {
        let process = cluster.process(node);
        assert!(process.runs(), "node {node} has ended:\n{}", process.log());
        let (most, resident) = (process.status_field("VmPeak"), process.status_field("VmRSS"));
        println!("node {node}: {resident} KiB resident, {most} KiB of address space at most");
        assert!(most * 1024 <= MEMORY, "{most} KiB");
    }
}
