//! The laws about Services' addresses: one owner each, none where it may not be, one where it
//! may once all is calm, and a status that tells the truth.

use std::collections::BTreeMap;
use std::net::IpAddr;

use viplet::core::cluster::record::{ServiceName, ServiceRecord};
use viplet::core::settings::Updates;
use viplet_backend_api::Owner;

use super::laws::SETTLED;
use super::process::PROMPT;
use super::{Asked, Law, Schedule, World};
use crate::clock::{MS, Nanos, S, nanos};
use crate::placement::{Placement, Places, asks, placements};
use crate::serving::Plane;

/// An address without endpoints is held so long for endpoints that flap (`LINGER` of the core).
const LINGER: Nanos = 3 * S;

/// Announcements of several addresses wait for each other so long (`TOGETHER` of the core).
const TOGETHER: Nanos = 100 * MS;

/// What is followed of Services.
#[derive(Debug, Default)]
pub(crate) struct ServiceLaws {
    /// No more work and no more faults from here on.
    pub(super) calm_from: Nanos,
    /// From here on each address is where it should be.
    pub(super) converge_by: Nanos,
    /// And from here on every status says so.
    pub(super) truth_by: Nanos,
    pub(super) stop: Nanos,
    placements: BTreeMap<IpAddr, Placement>,
    /// When what should become of an address changed last.
    pub(super) changed: BTreeMap<IpAddr, Nanos>,
    holders: BTreeMap<IpAddr, usize>,
    /// When anything went wrong anywhere last.
    pub(super) fault_at: Nanos,
    /// Writes to Services and Nodes.
    pub(super) writes: Vec<Nanos>,
    pub(super) lease_writes: Vec<Nanos>,
    pub(super) events: Vec<Nanos>,
}

/// What is followed of Services per node.
#[derive(Debug, Default)]
pub(crate) struct ServiceTrack {
    /// It could not hear of changes until then.
    deaf_at: Nanos,
    /// Since when it has what it may not have.
    wrong: BTreeMap<IpAddr, Nanos>,
}

impl World {
    pub(super) fn arrange_service_laws(&mut self, heal: Nanos, bound: Nanos, stop: Nanos) {
        let Some(serving) = &self.setup.services else { return };
        let laws = &mut self.laws.services;
        laws.calm_from = heal;
        // Beside what an election takes: a lease's time for the holder before, endpoints' linger.
        laws.converge_by = heal + bound + nanos(serving.duration()) + 5 * S;
        laws.truth_by = laws.converge_by + TRUTH;
        laws.stop = stop;
        assert!(stop > laws.truth_by, "the run is too short to see the truth");
    }

    /// Something was written that Services depend on.
    pub(super) fn objects_changed(&mut self) {
        self.pump_feeds();
        let Some(serving) = &self.setup.services else { return };
        let served = serving.plane == Plane::Served;
        let own = if served { self.setup.vips.clone() } else { Vec::new() };
        let placements = placements(&self.objects, serving, &own);
        let now = self.now;
        let laws = &mut self.laws.services;
        for address in &serving.pool {
            if laws.placements.get(address) != placements.get(address) {
                laws.changed.insert(*address, now);
            }
        }
        laws.placements = placements;
        self.placements_changed();
    }

    /// Holds the laws against this moment.
    pub(super) fn check_services(&mut self) {
        let Some(serving) = &self.setup.services else { return };
        let pool = serving.pool.clone();
        for node in 0..self.nodes.len() {
            if !self.hears(node) {
                self.nodes[node].track.services.deaf_at = self.now;
            }
        }
        for address in &pool {
            if self.setup.may_linger(*address) {
                continue;
            }
            if !self.is_everywhere(*address) {
                self.one_owner_of(*address);
            }
            for node in 0..self.nodes.len() {
                self.only_where_it_may_be(node, *address);
            }
        }
        let laws = &self.laws.services;
        if (laws.converge_by..laws.stop).contains(&self.now) {
            pool.iter().for_each(|address| self.is_where_it_should_be(*address));
        }
    }

    fn one_owner_of(&mut self, address: IpAddr) {
        // What a stopped process only made known is the routers' to drop, by their hold time.
        let mut owners = (0..self.nodes.len()).filter(|node| match self.nodes[*node].schedule {
            Schedule::Paused => {
                self.nodes[*node].kernel.on_links().any(|held| held == (address, Owner::Viplet))
            }
            Schedule::Prompt | Schedule::Starved => self.has(*node, address),
        });
        if let (Some(one), Some(two)) = (owners.next(), owners.next()) {
            let name = |node: usize| self.nodes[node].name.as_str();
            let how = format!("{address} is on {} and on {}", name(one), name(two));
            self.laws.breach(Law::OneOwner, self.now, how);
        }
    }

    pub(super) fn placement_of(&self, address: IpAddr) -> Placement {
        if let Some(placement) = self.laws.services.placements.get(&address) {
            return placement.clone();
        }
        let places = match self.is_planes(address) {
            true => Places::ControlPlane,
            false => Places::Nowhere,
        };
        Placement { places, ..Placement::default() }
    }

    fn is_planes(&self, address: IpAddr) -> bool {
        let serving = self.setup.services.as_ref();
        serving.is_some_and(|serving| serving.plane == Plane::Served)
            && self.setup.vips.contains(&address)
    }

    fn only_where_it_may_be(&mut self, node: usize, address: IpAddr) {
        let wrong = self.has(node, address)
            && !self.is_planes(address)
            && self.asked(node) == Some(Asked::No)
            && !self.placement_of(address).allows(&self.nodes[node].name);
        let now = self.now;
        let changed = self.laws.services.changed.get(&address).copied().unwrap_or_default();
        let track = &mut self.nodes[node].track;
        let calm_at = track.calm_at;
        let services = &mut track.services;
        if !wrong {
            services.wrong.remove(&address);
            return;
        }
        let since = *services.wrong.entry(address).or_insert(now);
        let known = since.max(changed).max(services.deaf_at).max(calm_at);
        if now > known + LINGER + SETTLED {
            let placement = self.placement_of(address);
            let how =
                format!("{} has {address}, which is for {placement:?}", self.nodes[node].name);
            self.laws.breach(Law::OnlyWhereAllowed, self.now, how);
        }
    }

    fn is_where_it_should_be(&mut self, address: IpAddr) {
        if self.is_planes(address) || self.is_everywhere(address) {
            return; // The laws about the control plane and about routes see to it.
        }
        let placement = self.placement_of(address);
        let owners: Vec<usize> =
            (0..self.nodes.len()).filter(|node| self.nodes[*node].kernel.has(address)).collect();
        // One lease for addresses that cannot be on the same nodes: not all of them are served.
        if owners.is_empty() && self.is_at_odds(&placement) {
            return;
        }
        let wanted = placement.places != Places::Nowhere && self.can_be_held(&placement);
        let holder = match (owners.as_slice(), wanted) {
            ([], false) => return,
            ([one], true) if placement.allows(&self.nodes[*one].name) => *one,
            _ => {
                let how = format!("{address} is on {owners:?}, it should be as in {placement:?}");
                return self.laws.breach(Law::Converges, self.now, how);
            }
        };
        let before = *self.laws.services.holders.entry(address).or_insert(holder);
        let name = self.nodes[holder].name.clone();
        if before != holder {
            let how = format!("{address} went to {name} with all faults over");
            self.laws.breach(Law::Converges, self.now, how);
        }
        let serving = self.setup.services.as_ref().expect("Services");
        let every = nanos(serving.settings.announce_every);
        let sent = self.nodes[holder].track.announced.get(&address);
        let last = sent.and_then(|sent| sent.last()).copied().unwrap_or_default();
        if self.now > last + every + TOGETHER + PROMPT {
            let how = format!("{name} holds {address} and has not announced it for a period");
            self.laws.breach(Law::Announced, self.now, how);
        }
        let lost = self.lan.clients.iter().position(|c| c.believes(address) != Some(holder));
        if let Some(client) = lost {
            let how = format!("client {client} does not send {address} to {name}");
            self.laws.breach(Law::Converges, self.now, how);
        }
    }

    /// Whether another address with the same lease can be elsewhere.
    fn is_at_odds(&self, placement: &Placement) -> bool {
        let all = self.laws.services.placements.values();
        let mut others = all.filter(|other| other.lease == placement.lease);
        others.any(|other| other.places != placement.places && other.places != Places::Nowhere)
    }

    /// Whether any node of the cluster can have it.
    fn can_be_held(&self, placement: &Placement) -> bool {
        self.nodes.iter().any(|node| placement.allows(&node.name))
    }

    fn holders_of(&self, address: IpAddr) -> Vec<usize> {
        (0..self.nodes.len()).filter(|node| self.has(*node, address)).collect()
    }

    pub(super) fn status_is_true(&mut self) {
        let Some(serving) = &self.setup.services else { return };
        let laws = &self.laws.services;
        let calm = (laws.truth_by..laws.stop).contains(&self.now);
        if serving.settings.updates == Updates::Withheld || !calm {
            return;
        }
        let all: Vec<ServiceRecord> = self.objects.services().values().cloned().collect();
        for record in all {
            if let Err(how) = self.status_of(&record) {
                let how = format!("{}: {how}", record.name);
                self.laws.breach(Law::TrueStatus, self.now, how);
            }
        }
    }

    fn status_of(&self, record: &ServiceRecord) -> Result<(), String> {
        let addresses = asks(record, &self.objects);
        let has = |ip: &&IpAddr| self.placement_of(**ip).requesters.contains(&record.name);
        let held: Vec<IpAddr> = addresses
            .iter()
            .filter(has)
            .copied()
            .filter(|ip| !self.holders_of(*ip).is_empty())
            .collect();
        let host = record.annotations.as_deref().and_then(|a| a.host.as_deref());
        let first = addresses.first().filter(|first| held.contains(first));
        let holders = first.map(|first| self.holders_of(*first)).unwrap_or_default();
        // Where several nodes have it, any of them is right.
        let named = holders.iter().find(|node| Some(self.nodes[**node].name.as_str()) == host);
        let wanted = named.or(holders.first()).copied();
        let wanted = wanted.map(|node| self.nodes[node].name.as_str());
        if (first.is_some() || held.is_empty()) && host != wanted {
            return Err(format!("vipHost is {host:?}, its holder is {wanted:?}"));
        }
        let ours = record.ingress.iter().filter(|entry| !entry.ports.is_empty());
        let shown: Vec<IpAddr> = ours.filter_map(|entry| entry.address).collect();
        if let Some(missing) = held.iter().find(|ip| !shown.contains(ip)) {
            return Err(format!("{missing} is held and not in its status"));
        }
        let stale = shown.iter().find(|ip| !addresses.contains(ip));
        // While nobody holds it, what it had stays in its status: it may come back.
        if let (Some(stale), true) = (stale, first.is_some()) {
            return Err(format!("{stale} is in its status and not asked for"));
        }
        let entries = record
            .ingress
            .iter()
            .filter(|entry| entry.address.is_some_and(|ip| held.contains(&ip)));
        match entries.into_iter().find(|entry| entry.ports != record.ports) {
            Some(entry) => Err(format!("{:?} has other ports in its status", entry.address)),
            None => Ok(()),
        }
    }

    /// An address of a Service is withdrawn by its node: there must be a reason.
    pub(super) fn law_of_withdrawal(&mut self, node: usize, address: IpAddr) {
        let Some(serving) = &self.setup.services else { return };
        let patience = nanos(serving.duration()) * 2 + 10 * S;
        let laws = &self.laws.services;
        let changed = laws.changed.get(&address).copied().unwrap_or_default();
        let disturbed = laws.fault_at + patience > self.now || changed + patience > self.now;
        let placement = self.placement_of(address);
        let ours = serving.pool.contains(&address) && !self.is_planes(address);
        // The leader has the better right where a Service follows its endpoints.
        let may_move = placement.local || disturbed || self.asked(node) != Some(Asked::No);
        if ours && !may_move && placement.allows(&self.nodes[node].name) {
            let how = format!("{} withdrew {address} for no reason", self.nodes[node].name);
            self.laws.breach(Law::StaysUp, self.now, how);
        }
    }

    pub(super) fn service_verdict(&mut self) {
        let Some(serving) = &self.setup.services else { return };
        let laws = &self.laws.services;
        let idle = laws.truth_by..laws.stop;
        let within = |times: &[Nanos]| times.iter().filter(|at| idle.contains(at)).count() as u64;
        let (writes, events) = (within(&laws.writes), within(&laws.events));
        let renewals = within(&laws.lease_writes);
        let every =
            nanos(viplet::core::rights::election::term::renew_every(&serving.settings.timing));
        let leases = laws.holders.len() as u64 + 1;
        let allowed = leases * ((laws.stop - laws.truth_by) / every + 2);
        let how = if writes > 0 {
            format!("{writes} writes to Services and Nodes while idle")
        } else if events > 0 {
            format!("{events} Events while idle")
        } else if renewals > allowed {
            format!("{renewals} writes of leases while idle, {allowed} are allowed")
        } else {
            return;
        };
        self.laws.breach(Law::FewWrites, self.now, how);
    }

    /// Names of Services, for the trace.
    pub(super) fn event_said(&mut self, service: &ServiceName, reason: &str) {
        self.trace.line(self.now, format_args!("Event {reason} about {service}"));
        self.laws.services.events.push(self.now);
    }
}

/// A write that failed during a fault is repeated within this.
pub(super) const TRUTH: Nanos = 45 * S;
