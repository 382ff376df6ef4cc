//! The model LAN: one segment that can be split, and clients with a cache of who has which
//! address, filled by the announcements and answers that they hear.

use std::collections::BTreeMap;
use std::net::IpAddr;

/// Somebody on the segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Station {
    /// A node, by index.
    Node(usize),
    /// A client, by index.
    Client(usize),
    /// The router, in a routed world.
    Router,
}

/// A client's neighbour cache.
#[derive(Clone, Debug, Default)]
pub struct Client {
    cache: BTreeMap<IpAddr, usize>,
    /// Probes in a row that the cached node did not answer.
    silent: BTreeMap<IpAddr, u32>,
}

/// What a client does about an address now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// It asks the node that it knows.
    Unicast(usize),
    /// It asks everybody.
    Broadcast,
}

impl Client {
    /// The node that the client would send to.
    #[must_use]
    pub fn believes(&self, address: IpAddr) -> Option<usize> {
        self.cache.get(&address).copied()
    }

    /// It heard that `node` has the address.
    pub fn hear(&mut self, address: IpAddr, node: usize) {
        self.cache.insert(address, node);
        self.silent.remove(&address);
    }

    /// How it makes sure of the address (Linux: three unicast probes, then it forgets).
    #[must_use]
    pub fn probe(&self, address: IpAddr) -> Probe {
        match self.believes(address) {
            Some(node) => Probe::Unicast(node),
            None => Probe::Broadcast,
        }
    }

    /// The node that it asked did not answer.
    pub fn unanswered(&mut self, address: IpAddr) {
        let silent = self.silent.entry(address).or_default();
        *silent += 1;
        if *silent >= 3 {
            self.cache.remove(&address);
            self.silent.remove(&address);
        }
    }
}

/// The segment.
#[derive(Clone, Debug, Default)]
pub struct Lan {
    /// Which part of the split segment a station is in; 0 when it is not split off.
    parts: BTreeMap<Station, u32>,
    /// Frames lost, in a thousand.
    pub loss_permille: u64,
    /// The clients.
    pub clients: Vec<Client>,
}

impl Lan {
    /// A whole segment with these clients.
    #[must_use]
    pub fn new(clients: Vec<Client>) -> Self {
        Self { clients, ..Self::default() }
    }

    /// Moves a station to a part of the segment.
    pub fn split(&mut self, station: Station, part: u32) {
        self.parts.insert(station, part);
    }

    /// Whether a station is split off.
    #[must_use]
    pub fn is_split_off(&self, station: Station) -> bool {
        self.parts.get(&station).is_some_and(|part| *part != 0)
    }

    /// The segment is whole again.
    pub fn heal(&mut self) {
        self.parts.clear();
        self.loss_permille = 0;
    }

    /// Whether two stations hear each other.
    #[must_use]
    pub fn connected(&self, a: Station, b: Station) -> bool {
        let part = |station| self.parts.get(&station).copied().unwrap_or_default();
        part(a) == part(b)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_follows_announcements_and_forgets_the_silent() {
        let (mut client, vip) = (Client::default(), "192.0.2.10".parse().unwrap());
        assert_eq!(client.probe(vip), Probe::Broadcast);
        client.hear(vip, 0);
        client.hear(vip, 1);
        assert_eq!(client.probe(vip), Probe::Unicast(1));
        client.unanswered(vip);
        client.unanswered(vip);
        assert_eq!(client.believes(vip), Some(1));
        client.unanswered(vip);
        assert_eq!(client.believes(vip), None);
    }

    #[test]
    fn a_split_segment_keeps_its_parts_apart() {
        let mut lan = Lan::default();
        lan.split(Station::Node(1), 1);
        assert!(!lan.connected(Station::Node(0), Station::Node(1)));
        assert!(lan.connected(Station::Node(0), Station::Client(0)));
        lan.heal();
        assert!(lan.connected(Station::Node(0), Station::Node(1)));
    }
}
