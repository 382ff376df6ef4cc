//! Cables: any number of segments, each a bridge in one namespace in the middle, and hosts on them.

use std::net::IpAddr;
use std::process::Command;

use viplet_lab::Namespace;
use viplet_lab::rtnl::{Lifetime, LinkState, Rtnl};

/// The segments.
#[derive(Debug)]
pub struct Wires {
    switch: Namespace,
}

/// A machine: a namespace with `lo` up and as many links as it is given.
#[derive(Debug)]
pub struct Host {
    /// Its name, at most seven letters: it is part of its ports' names.
    pub name: &'static str,
    /// Where it lives.
    pub namespace: Namespace,
}

impl Wires {
    /// Segments of these names, without hosts.
    pub fn new(segments: &'static [&'static str]) -> Self {
        let switch = Namespace::new("switch");
        switch
            .run(|| {
                let mut rtnl = Rtnl::open();
                segments.iter().try_for_each(|segment| rtnl.add_bridge(segment))
            })
            .expect("bridges");
        Self { switch }
    }

    /// A cable from the host to a segment: `link` at the host's end, up, with these addresses.
    pub fn plug(&self, segment: &'static str, (host, link): (&Host, &'static str), own: &[&str]) {
        let file = host.namespace.file().try_clone().expect("the namespace's file");
        let port = port(host, link);
        self.switch
            .run(move || Rtnl::open().add_port(segment, &port, (&file, link)))
            .expect("a cable");
        host.namespace.run(move || Rtnl::open().set_up(link, LinkState::Up)).expect("a link");
        for address in own {
            host.add(link, address);
        }
    }

    /// Pulls a cable out of the switch: at the other ends nothing is seen of it.
    pub fn cut(&self, host: &Host, link: &str) {
        let port = port(host, link);
        self.switch.run(move || Rtnl::open().set_up(&port, LinkState::Down)).expect("a port");
    }

    /// Plugs it in again.
    pub fn restore(&self, host: &Host, link: &str) {
        let port = port(host, link);
        self.switch.run(move || Rtnl::open().set_up(&port, LinkState::Up)).expect("a port");
    }
}

fn port(host: &Host, link: &str) -> String {
    format!("{}-{link}", host.name)
}

impl Host {
    /// A machine without links.
    pub fn new(name: &'static str) -> Self {
        let namespace = Namespace::new(name);
        namespace.run(|| Rtnl::open().set_up("lo", LinkState::Up)).expect("lo");
        Self { name, namespace }
    }

    /// A machine that forwards, over all paths of a route by ports and addresses.
    pub fn router(name: &'static str) -> Self {
        let host = Self::new(name);
        for (key, value) in [
            ("ipv4/ip_forward", "1"),
            ("ipv6/conf/all/forwarding", "1"),
            ("ipv4/fib_multipath_hash_policy", "1"),
            ("ipv6/fib_multipath_hash_policy", "1"),
        ] {
            host.sysctl(key, value);
        }
        host
    }

    /// Writes below `/proc/sys/net`.
    pub fn sysctl(&self, key: &str, value: &'static str) {
        let path = format!("/proc/sys/net/{key}");
        self.namespace
            .run(move || std::fs::write(&path, value).map_err(|why| format!("{path}: {why}")))
            .unwrap_or_else(|why| panic!("{why}"));
    }

    /// Puts an address (`10.1.0.1/24`) on a link.
    pub fn add(&self, link: &'static str, address: &str) {
        let (ip, prefix) = address.split_once('/').expect("an address with its prefix length");
        let ip: IpAddr = ip.parse().expect("an address");
        let prefix: u8 = prefix.parse().expect("a prefix length");
        self.namespace
            .run(move || Rtnl::open().set_address(link, (ip, prefix), Lifetime::FOREVER))
            .unwrap_or_else(|why| panic!("{address} on {link}: {why}"));
    }

    /// `ip ARGUMENTS` on this machine; what it printed.
    pub fn ip(&self, arguments: &str) -> String {
        let words: Vec<String> = arguments.split_whitespace().map(str::to_owned).collect();
        let output = self.namespace.run(move || Command::new("ip").args(words).output());
        let output = output.expect("the command ip");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: ip {arguments}: {said}", self.name);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}
