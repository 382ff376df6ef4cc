//! The LAN: announcements, what clients make of them, and what other nodes hear.

use std::net::IpAddr;

use viplet_backend_api::{Notice, Rival};

use super::{Event, Who, World, hardware};
use crate::clock::S;
use crate::kernel::eth0;
use crate::lan::{Probe, Station};

impl World {
    /// A node tells everybody that it has an address.
    pub(super) fn broadcast(&mut self, from: usize, address: IpAddr) {
        let nodes = (0..self.nodes.len()).filter(|node| *node != from).map(Station::Node);
        let clients = (0..self.lan.clients.len()).map(Station::Client);
        let stations: Vec<Station> = nodes.chain(clients).collect();
        for to in stations {
            self.send(from, to, address);
        }
    }

    fn send(&mut self, from: usize, to: Station, address: IpAddr) {
        if self.rng.chance(self.lan.loss_permille) {
            return;
        }
        let at = self.now + self.rng.micros(50, 1500);
        self.queue.at(at, Event::Frame { from, to, address });
    }

    pub(super) fn frame(&mut self, from: usize, to: Station, address: IpAddr) {
        if !self.lan.connected(Station::Node(from), to) {
            return;
        }
        match to {
            Station::Client(client) => self.lan.clients[client].hear(address, from),
            Station::Router => {} // It goes by what it is told in its sessions.
            Station::Node(node) => {
                let kernel = &self.nodes[node].kernel;
                if kernel.link_is_up() && kernel.has(address) {
                    let rival = Rival { address, link: eth0(), hardware: hardware(from) };
                    let who = Who { node, life: self.nodes[node].lives };
                    self.notify(who, Notice::Rival(rival));
                }
            }
        }
    }

    /// The clients make sure of what they know, as neighbour discovery does for what is in use.
    pub(super) fn probe(&mut self) {
        self.queue.at(self.now + S, Event::Probe);
        for client in 0..self.lan.clients.len() {
            for address in self.setup.addresses() {
                self.probe_one(client, address);
            }
        }
    }

    fn probe_one(&mut self, client: usize, address: IpAddr) {
        let station = Station::Client(client);
        let answers = |node: &usize| {
            let heard = self.lan.connected(Station::Node(*node), station);
            heard && self.nodes[*node].kernel.answers(address)
        };
        match self.lan.clients[client].probe(address) {
            Probe::Unicast(node) if answers(&node) => {}
            Probe::Unicast(_) => self.lan.clients[client].unanswered(address),
            Probe::Broadcast => {
                let who: Vec<usize> = (0..self.nodes.len()).filter(answers).collect();
                who.into_iter().for_each(|node| self.send(node, station, address));
            }
        }
    }
}
