//! The laws of the routed world: every node that may have an address that no lease decides about
//! has it and announces it, nobody else does, and a restart costs no route.

use std::collections::BTreeMap;
use std::net::IpAddr;

use viplet::core::input::{HostChange, ServiceUpdate};
use viplet::core::rights::election::term;
use viplet::core::settings::HealthGate;
use viplet_backend_api::Owner;

use super::faults::{BESIDE, STALE};
use super::laws::SETTLED;
use super::routing::Succeeded;
use super::{Asked, Law, Schedule, Who, World};
use crate::clock::{MS, Nanos, S, nanos};
use crate::lan::Station;

/// A node that has been fit for so long has what it may have, and its router knows.
const STEADY: Nanos = 3 * S;
/// Changes closer together than this may be seen in another order.
const APART: Nanos = S;
/// Writes to a Service for one thing that happened: who lets go, who takes it, why.
const WRITES: u32 = 4;

/// What is followed per node.
#[derive(Debug, Default)]
pub(crate) struct RouteTrack {
    /// Since when it is fit for an address.
    fit: BTreeMap<IpAddr, Nanos>,
    /// Since when its API server is known to be ill.
    ill_since: Option<Nanos>,
    /// Since when nobody looks after its addresses.
    pub(super) unattended: Option<Nanos>,
}

/// What is followed of the whole.
#[derive(Debug, Default)]
pub(crate) struct RouteLaws {
    /// The last two changes of anything that Services depend on.
    changes: [Nanos; 2],
    /// Things that happened to Services, nodes, sessions.
    causes: u64,
    /// Writes to a Service since one of them.
    writes: BTreeMap<String, (u64, u32)>,
}

impl RouteLaws {
    pub(super) fn change(&mut self, now: Nanos) {
        self.causes += 1;
        self.changes = [self.changes[1], now];
    }

    pub(super) fn cause(&mut self) {
        self.causes += 1;
    }
}

impl World {
    /// Holds the laws of the routed world against this moment.
    pub(super) fn check_routes(&mut self) {
        if self.setup.routed.is_none() {
            return;
        }
        let all = self.setup.addresses();
        for node in 0..self.nodes.len() {
            for address in &all {
                self.fit_means_announced(node, *address);
            }
            self.ill_means_withdrawn(node);
            self.kernel_is_dead_man(node);
        }
        let laws = &self.laws.services;
        if (laws.converge_by..laws.stop).contains(&self.now) {
            all.iter().for_each(|address| self.next_hops_are_right(*address));
        }
    }

    /// Whether every node that can has this address.
    pub(super) fn is_everywhere(&self, address: IpAddr) -> bool {
        match self.setup.has_plane() && self.setup.vips.contains(&address) {
            true => self.setup.plane_is_everywhere(),
            false => self.setup.services_are_everywhere(),
        }
    }

    fn may_have(&self, node: usize, address: IpAddr) -> bool {
        match self.setup.has_plane() && self.setup.vips.contains(&address) {
            true => self.is_well(node),
            false => self.placement_of(address).allows(&self.nodes[node].name),
        }
    }

    /// Whether the node's API server is known to be well, where that counts.
    fn is_well(&self, node: usize) -> bool {
        let HealthGate::Failures(most) = self.setup.plane.health else { return true };
        self.nodes[node].process.as_ref().is_some_and(|process| {
            let checks = process.speaker.checks;
            checks.succeeded == Succeeded::Once && checks.failures < most
        })
    }

    /// What the nodes may have has changed, if only for an instant.
    pub(super) fn placements_changed(&mut self) {
        if self.setup.routed.is_none() {
            return;
        }
        for node in 0..self.nodes.len() {
            let mut fit = std::mem::take(&mut self.nodes[node].track.routes.fit);
            fit.retain(|address, _| self.may_have(node, *address));
            self.nodes[node].track.routes.fit = fit;
        }
    }

    fn is_fit(&self, node: usize, address: IpAddr) -> bool {
        let Some(process) = &self.nodes[node].process else { return false };
        let heard = self.router[node].life() == Some(process.life);
        heard
            && !self.lan.is_split_off(Station::Node(node))
            && process.asked == Asked::No
            && self.calm(node)
            && self.hears(node)
            && self.may_have(node, address)
    }

    /// No gap: neither when other nodes stop or fail, nor when endpoints change elsewhere.
    fn fit_means_announced(&mut self, node: usize, address: IpAddr) {
        let fit = self.is_everywhere(address) && self.is_fit(node, address);
        let (now, name) = (self.now, self.nodes[node].name.clone());
        let track = &mut self.nodes[node].track;
        if !fit {
            track.routes.fit.remove(&address);
            return;
        }
        let since = *track.routes.fit.entry(address).or_insert(now);
        let steady = now > since.max(track.calm_at) + STEADY;
        let [before, last] = self.laws.routes.changes;
        let muddled = now < last + SETTLED && last < before + APART;
        if steady && !muddled && !self.router[node].has(address) {
            let how = format!("{name} is fit for {address}, and the router has no route by it");
            self.laws.breach(Law::NextHops, now, how);
        }
    }

    fn ill_means_withdrawn(&mut self, node: usize) {
        let HealthGate::Failures(most) = self.setup.plane.health else { return };
        let young = nanos(self.setup.plane.timing.duration) + S;
        let ill = self.nodes[node].process.as_ref().is_some_and(|process| {
            let checks = process.speaker.checks;
            let known = checks.succeeded == Succeeded::Once || self.now > process.started + young;
            known && (checks.failures >= most || checks.succeeded == Succeeded::Never)
        });
        let now = self.now;
        let track = &mut self.nodes[node].track;
        if !ill {
            track.routes.ill_since = None;
            return;
        }
        let since = *track.routes.ill_since.get_or_insert(now);
        let known = since.max(track.calm_at);
        let has = self.setup.vips.iter().find(|address| self.has(node, **address));
        if let (Some(address), true) = (has, self.setup.has_plane() && now > known + SETTLED) {
            let name = &self.nodes[node].name;
            let how = format!("{name} has {address}, and its API server fails its checks");
            self.laws.breach(Law::OnlyWhereAllowed, now, how);
        }
    }

    /// What is on a link of a node whose process is dead or stopped goes by itself.
    fn kernel_is_dead_man(&mut self, node: usize) {
        let attended =
            self.nodes[node].process.is_some() && self.nodes[node].schedule != Schedule::Paused;
        let now = self.now;
        let track = &mut self.nodes[node].track.routes;
        if attended {
            track.unattended = None;
            return;
        }
        let since = *track.unattended.get_or_insert(now);
        let duration = self.setup.plane.timing.duration;
        let longest = nanos(duration + term::kernel_lateness(duration)) + 200 * MS;
        let kernel = &self.nodes[node].kernel;
        let known = [STALE, BESIDE];
        let ours = |(ip, owner): &(IpAddr, Owner)| *owner == Owner::Viplet && !known.contains(ip);
        let left = kernel.on_links().find(ours);
        if let (Some((address, _)), true) = (left, now > since + longest) {
            let how = format!("{} is dead and still has {address}", self.nodes[node].name);
            self.laws.breach(Law::DeadMan, now, how);
        }
    }

    /// With all faults over, the router sends to exactly the nodes that may have the address.
    fn next_hops_are_right(&mut self, address: IpAddr) {
        let nodes = || 0..self.nodes.len();
        let has: Vec<usize> =
            nodes().filter(|node| self.nodes[*node].kernel.has(address)).collect();
        let hops: Vec<usize> = nodes().filter(|node| self.router[*node].has(address)).collect();
        let wanted: Vec<usize> = match self.is_everywhere(address) {
            true => nodes().filter(|node| self.may_have(*node, address)).collect(),
            false => has.clone(),
        };
        if hops != wanted || has != wanted {
            let how = format!("{address} is on {has:?}, next hops {hops:?}, wanted {wanted:?}");
            self.laws.breach(Law::NextHops, self.now, how);
        }
    }

    /// A node asks for something to be written to a Service.
    pub(super) fn law_of_hosts(&mut self, who: Who, update: &ServiceUpdate) {
        let host = matches!(update.host, HostChange::Set(_));
        let quick = self.nodes[who.node].schedule == Schedule::Prompt;
        if self.setup.routed.is_none() || !host || !quick {
            return;
        }
        let peering = &self.router[who.node];
        let started = self.nodes[who.node].process.as_ref().map_or(0, |process| process.started);
        let down_since = peering.changed_at.max(started + 2 * S);
        if peering.life() != Some(who.life) && self.now > down_since + 500 * MS {
            let name = &self.nodes[who.node].name;
            let how = format!("{name} calls {} its own; no peer heard of it", update.service);
            self.laws.breach(Law::TrueStatus, self.now, how);
        }
    }

    /// The server stored what a node wrote to a Service.
    pub(super) fn law_of_writes(&mut self, service: &str) {
        let calm = self.now > self.laws.services.fault_at + 10 * S;
        if self.setup.routed.is_none() || !calm {
            return;
        }
        let causes = self.laws.routes.causes;
        let entry = self.laws.routes.writes.entry(service.to_owned()).or_default();
        let count = if entry.0 == causes { entry.1 + 1 } else { 1 };
        *entry = (causes, count);
        if count > WRITES {
            let how = format!("{service} was written {count} times, and nothing had happened");
            self.laws.breach(Law::FewWrites, self.now, how);
        }
    }
}
