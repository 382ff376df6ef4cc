//! On which link a Service's address is put, with which prefix, and what is refused there; names.

use std::fs;
use std::net::IpAddr;

use libtest_mimic::Trial;
use rustix::mount::mount_bind;
use viplet_lab::cluster::{Cluster, Plan};
use viplet_lab::rtnl::{LinkState, Listed};
use viplet_lab::{Service, wait_until};

use crate::bed::{
    assert_never_held, everywhere, held, ip, serve, services, settle, trial, wait_for_refusal,
    wait_for_warning,
};
use crate::case::SOON;
use crate::taking::listed;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("serviceInterface puts the address on that link", services, named),
        trial("serviceInterface=auto finds the link of the address' network", other, found),
        trial("vip_servicesinterface=auto finds the link of each address", auto, found_by_itself),
        trial("vip_subnet gives the prefix lengths of both families", fixed, lengths),
        trial(
            "vip_subnet=auto takes the link's prefix, and refuses where there is none",
            copied,
            of_link,
        ),
        trial("an unknown link is refused with its name, on that Service alone", services, unknown),
        trial("serviceVLAN is refused with a reason", services, vlan),
        trial("a Service that asks for a name is held at its address", services, host_name),
    ]
}

const SECOND: &str = "eth1";

fn other() -> Plan {
    services().set("vip_servicesinterface", SECOND)
}

fn auto() -> Plan {
    services().set("vip_interface", SECOND).set("vip_servicesinterface", "auto")
}

fn fixed() -> Plan {
    services().set("vip_subnet", "25,65")
}

fn copied() -> Plan {
    services().set("vip_subnet", "auto")
}

/// Gives every node a second link while `body` runs.
fn with_second_link(cluster: &mut Cluster, body: impl FnOnce(&mut Cluster)) {
    for node in 0..3 {
        let there = cluster.lab.nodes[node].rtnl(|rtnl| rtnl.set_up(SECOND, LinkState::Up).is_ok());
        if !there {
            cluster.lab.add_link(node, SECOND);
        }
    }
    body(cluster);
    for node in &cluster.lab.nodes {
        node.rtnl(|rtnl| rtnl.set_up(SECOND, LinkState::Down)).expect("the second link goes down");
    }
}

fn on(cluster: &Cluster, node: usize, address: IpAddr) -> (Listed, String) {
    let found = listed(cluster, node, address).expect("the address is there");
    let index = found.link;
    let name = cluster.lab.nodes[node].rtnl(move |rtnl| {
        ["eth0", SECOND].into_iter().find(|link| rtnl.index(link).ok() == Some(index))
    });
    (found, name.unwrap_or("another link").to_owned())
}

fn named(cluster: &mut Cluster) {
    with_second_link(cluster, |cluster| {
        cluster.start_all();
        let service = Service::new("web").asks("10.77.1.1").annotate("serviceInterface", SECOND);
        let holder = held(cluster, &service, ip("10.77.1.1"));
        assert_eq!(on(cluster, holder, ip("10.77.1.1")).1, SECOND);
        let holder = held(cluster, &Service::new("usual").asks("10.77.1.2"), ip("10.77.1.2"));
        assert_eq!(on(cluster, holder, ip("10.77.1.2")).1, "eth0");
    });
}

fn found(cluster: &mut Cluster) {
    with_second_link(cluster, |cluster| {
        cluster.start_all();
        let service = Service::new("web").asks("10.77.0.200").annotate("serviceInterface", "auto");
        let holder = held(cluster, &service, ip("10.77.0.200"));
        assert_eq!(on(cluster, holder, ip("10.77.0.200")).1, "eth0");
        let holder = held(cluster, &Service::new("usual").asks("10.77.0.201"), ip("10.77.0.201"));
        assert_eq!(on(cluster, holder, ip("10.77.0.201")).1, SECOND);
    });
}

fn found_by_itself(cluster: &mut Cluster) {
    with_second_link(cluster, |cluster| {
        cluster.start_all();
        for (name, address, link) in [("in", "10.77.0.200", "eth0"), ("out", "10.77.1.1", SECOND)] {
            let holder = held(cluster, &Service::new(name).asks(address), ip(address));
            assert_eq!(on(cluster, holder, ip(address)).1, link, "{address}");
        }
    });
}

fn lengths(cluster: &mut Cluster) {
    cluster.start_all();
    let service = Service::new("web").asks("10.77.1.1,fd77::101");
    serve(cluster, &service, &[ip("10.77.1.1"), ip("fd77::101")]);
    for (address, length) in [("10.77.1.1", 25), ("fd77::101", 65)] {
        let holder = cluster.wait_for_holder_of(ip(address), SOON);
        assert_eq!(on(cluster, holder, ip(address)).0.prefix, length, "{address}");
    }
}

fn of_link(cluster: &mut Cluster) {
    cluster.start_all();
    let inside = Service::new("inside").asks("10.77.0.200");
    let holder = held(cluster, &inside, ip("10.77.0.200"));
    assert_eq!(on(cluster, holder, ip("10.77.0.200")).0.prefix, 24);
    let outside = Service::new("outside").asks("10.77.1.1");
    serve(cluster, &outside, &[]);
    wait_for_warning(cluster, &outside, &["10.77.1.1"]);
    assert_never_held(cluster, ip("10.77.1.1"));
}

fn unknown(cluster: &mut Cluster) {
    cluster.start_all();
    let service = Service::new("web").asks("10.77.1.1").annotate("serviceInterface", "nowhere0");
    serve(cluster, &service, &[]);
    wait_for_warning(cluster, &service, &["nowhere0"]);
    settle(cluster);
    assert_never_held(cluster, ip("10.77.1.1"));
}

fn vlan(cluster: &mut Cluster) {
    cluster.start_all();
    let service = Service::new("web").asks("10.77.1.1").annotate("serviceVLAN", "eth0.100");
    serve(cluster, &service, &[]);
    wait_for_refusal(cluster, &service, &["serviceVLAN"]);
    settle(cluster);
    assert_never_held(cluster, ip("10.77.1.1"));
}

/// Gives each node a hosts file of its own and no name server; later calls change it.
fn hosts(cluster: &Cluster, text: &str) {
    for node in &cluster.lab.nodes {
        let [hosts, servers] =
            ["hosts", "servers"].map(|what| cluster.folder().join(format!("{what}-{}", node.name)));
        let mounted = hosts.exists();
        fs::write(&hosts, text).unwrap();
        fs::write(&servers, "nameserver 127.0.0.1\n").unwrap();
        if !mounted {
            node.namespace.run(move || {
                mount_bind(&hosts, "/etc/hosts").unwrap();
                mount_bind(&servers, "/etc/resolv.conf").unwrap();
            });
        }
    }
}

fn host_name(cluster: &mut Cluster) {
    hosts(cluster, "");
    cluster.start_all();
    let service = Service::new("web").asks("web.example.test");
    cluster.ping(ip("10.77.1.1"));
    cluster.store().serve(&service, &everywhere());
    wait_for_warning(cluster, &service, &["web.example.test"]);
    hosts(cluster, "10.77.1.1 web.example.test\n");
    cluster.wait_for_holder_of(ip("10.77.1.1"), 2 * SOON);
    wait_until("the status names the address", SOON, || {
        cluster.store().ingress_addresses(&service) == ["10.77.1.1"]
    });
}
