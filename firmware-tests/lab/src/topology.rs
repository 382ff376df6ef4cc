//! The lab's wiring: a switch with two networks, nodes on both, a client on one, the API on the other.
//!
//! ```text
//!   client 10.77.0.1  fd77::1       n1 10.77.0.11 fd77::11 … n3        api 10.78.0.1
//!      │ eth0                          │ eth0        │ mgmt0             │ mgmt0
//!   ═══╧══════════ bridge lan ═════════╧═══          ╧══ bridge mgmt ════╧═══     (namespace switch)
//! ```

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::namespace::Namespace;
use crate::rtnl::{Lifetime, LinkState, Rtnl};

/// One of a node's two cables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// `eth0`: where the addresses are, 10.77.0.0/24 and fd77::/64.
    Lan,
    /// `mgmt0`: where the API server is, 10.78.0.0/24.
    Mgmt,
}

impl Wire {
    /// The link's name at the node's end.
    pub fn link(self) -> &'static str {
        match self {
            Self::Lan => "eth0",
            Self::Mgmt => "mgmt0",
        }
    }

    fn bridge(self) -> &'static str {
        match self {
            Self::Lan => "lan",
            Self::Mgmt => "mgmt",
        }
    }
}

/// A node: a namespace with `eth0` and `mgmt0`.
#[derive(Debug)]
pub struct Node {
    /// `n1`, `n2`, …
    pub name: String,
    /// Where it lives.
    pub namespace: Namespace,
    /// Its own IPv4 address on the lan.
    pub address: Ipv4Addr,
    /// Its hardware address on the lan.
    pub hardware: [u8; 6],
}

/// The namespaces and their cables.
#[derive(Debug)]
pub struct Lab {
    switch: Namespace,
    /// The nodes, first to last.
    pub nodes: Vec<Node>,
    /// Where the client is: `eth0` on the lan.
    pub client: Namespace,
    /// Where the API server is: `mgmt0`.
    pub api: Namespace,
}

/// The API server's address on the management network.
pub const API_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 1);
/// The client's address on the lan.
pub const CLIENT_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);

impl Lab {
    /// Makes a lab with nodes n1 to n`count`, everything up.
    pub fn new(count: u8) -> Self {
        let switch = Namespace::new("switch");
        switch
            .run(|| {
                let mut rtnl = Rtnl::open();
                rtnl.set_up("lo", LinkState::Up)?;
                rtnl.add_bridge("lan")?;
                rtnl.add_bridge("mgmt")
            })
            .expect("bridges");
        let lab = Self {
            client: Namespace::new("client"),
            api: Namespace::new("api"),
            nodes: Vec::new(),
            switch,
        };
        lab.plug(Wire::Lan, ("client-lan", &lab.client), 1).expect("the client's cable");
        lab.plug(Wire::Mgmt, ("api-mgmt", &lab.api), 1).expect("the API server's cable");
        (1..=count).fold(lab, Self::with_node)
    }

    fn with_node(mut self, number: u8) -> Self {
        let name = format!("n{number}");
        let namespace = Namespace::new(&name);
        let host = 10 + number;
        self.plug(Wire::Lan, (&port(&name, Wire::Lan), &namespace), host).expect("a lan cable");
        self.plug(Wire::Mgmt, (&port(&name, Wire::Mgmt), &namespace), host).expect("a mgmt cable");
        let hardware = namespace.run(|| {
            let mut rtnl = Rtnl::open();
            rtnl.add_default_route(IpAddr::V4(CLIENT_ADDRESS)).expect("a default route");
            rtnl.hardware_address("eth0").expect("eth0 has an address")
        });
        let address = Ipv4Addr::new(10, 77, 0, host);
        self.nodes.push(Node { name, namespace, address, hardware });
        self
    }

    fn plug(&self, wire: Wire, (port, at): (&str, &Namespace), host: u8) -> io::Result<()> {
        let (port, file) = (port.to_owned(), at.file().try_clone()?);
        self.switch
            .run(move || Rtnl::open().add_port(wire.bridge(), &port, (&file, wire.link())))?;
        at.run(move || {
            let mut rtnl = Rtnl::open();
            let link = wire.link();
            rtnl.set_up("lo", LinkState::Up)?;
            rtnl.set_up(link, LinkState::Up)?;
            let network = match wire {
                Wire::Lan => 77,
                Wire::Mgmt => 78,
            };
            let v4 = IpAddr::V4(Ipv4Addr::new(10, network, 0, host));
            rtnl.set_address(link, (v4, 24), Lifetime::FOREVER)?;
            if wire == Wire::Lan {
                // fd77::11 for n1: the last group reads like the IPv4 address.
                let group = u16::from_str_radix(&host.to_string(), 16).expect("digits");
                let v6 = IpAddr::V6(Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, group));
                rtnl.set_address(link, (v6, 64), Lifetime::FOREVER)?;
            }
            Ok(())
        })
    }

    /// Where the bridges are: `lan` and `mgmt`.
    pub fn switch(&self) -> &Namespace {
        &self.switch
    }

    /// Pulls a node's cable at the switch.
    pub fn cut(&self, node: usize, wire: Wire) {
        self.set_port(node, wire, LinkState::Down);
    }

    /// Plugs a node's cable in again.
    pub fn restore(&self, node: usize, wire: Wire) {
        self.set_port(node, wire, LinkState::Up);
    }

    /// Tells the client that all of 10.77.0.0/16 is on its link: room for many addresses.
    pub fn widen(&self) {
        let wide = |rtnl: &mut Rtnl| {
            rtnl.set_address("eth0", (IpAddr::V4(CLIENT_ADDRESS), 16), Lifetime::FOREVER)
        };
        self.client.run(move || wide(&mut Rtnl::open())).expect("a wider network");
    }

    /// Gives a node one more link on the lan, up and without an address of its own.
    pub fn add_link(&self, node: usize, link: &'static str) {
        let node = &self.nodes[node];
        let (port, file) = (format!("{}-{link}", node.name), node.namespace.file().try_clone());
        let file = file.expect("the namespace's file");
        self.switch
            .run(move || Rtnl::open().add_port("lan", &port, (&file, link)))
            .expect("a new cable");
        node.rtnl(move |rtnl| rtnl.set_up(link, LinkState::Up)).expect("the new link comes up");
    }

    fn set_port(&self, node: usize, wire: Wire, state: LinkState) {
        let name = port(&self.nodes[node].name, wire);
        self.switch.run(move || Rtnl::open().set_up(&name, state)).expect("the switch's port");
    }
}

/// Whether an address is a machine's own in this lab: below 10.77.0.100 and fd77::100, on the
/// management network, on `lo`, or link-local. All others are virtual ones.
pub fn is_own(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(ip) => {
            let [first, second, third, host] = ip.octets();
            first == 127 || second == 78 || (second == 77 && third == 0 && host < 100)
        }
        IpAddr::V6(ip) => {
            let [first, rest @ .., host] = ip.segments();
            let low = rest == [0; 6] && host < 0x100;
            first & 0xffc0 == 0xfe80 || ((first == 0xfd77 || first == 0) && low)
        }
    }
}

fn port(node: &str, wire: Wire) -> String {
    format!("{node}-{}", wire.bridge())
}

impl Node {
    /// Whether this node has the address, on any link.
    pub fn has(&self, address: IpAddr) -> bool {
        self.namespace.run(move || Rtnl::open().has(address))
    }

    /// Works on this node's links and addresses.
    pub fn rtnl<R: Send + 'static>(&self, work: impl FnOnce(&mut Rtnl) -> R + Send + 'static) -> R {
        self.namespace.run(move || work(&mut Rtnl::open()))
    }
}
