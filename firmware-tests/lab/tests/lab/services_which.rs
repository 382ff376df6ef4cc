//! Which Services are served, and with which addresses.

use libtest_mimic::Trial;
use serde_json::json;
use viplet_lab::Service;
use viplet_lab::cluster::{Cluster, Plan};
use viplet_lab::wait_until;

use crate::bed::{
    assert_never_held, held, ip, serve, services, settle, trial, wait_for_event, wait_for_ingress,
    wait_for_refusal,
};
use crate::case::SOON;

pub(crate) fn trials() -> Vec<Trial> {
    vec![trial("a Service's address is held, heard, and written to its status", services, plain)]
}

fn plain(cluster: &mut Cluster) {
    cluster.start_all();
    let service = Service::new("web").asks("10.77.1.1");
    let holder = held(cluster, &service, ip("10.77.1.1"));
    wait_for_ingress(cluster, &service, &["10.77.1.1"]);
    let node = cluster.lab.nodes[holder].name.clone();
    wait_until("vipHost names the node", SOON, || {
        cluster.store().annotation(&service, "vipHost").as_deref() == Some(&node)
    });
}
