//! The addresses that one lease decides about: which they are, whether this node is fit to hold
//! them, and what is done about each. The control plane's addresses are one group.

pub mod fitness;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use viplet_backend_api::{Command, LinkName, Owner, Refusal, Vip};

use super::input::{Effect, KubernetesRequest, LeaseRequest};
use super::label::{self, Label};
use super::names::Name;
use super::observed::{self, Observed};
use super::report::{Level, Report};
use super::settings::{ControlPlane, Labelling, LoopbackScope, OnLoss, PlaneElection, Target};
use super::time::Moment;
use crate::core::addresses::announce::Rhythm;
use crate::core::addresses::claim::{Claim, Want, withdrawal};
use crate::core::rights::election::author::CURE;
use crate::core::rights::election::drive::Handover;
use crate::core::rights::election::{Courtesy, Election, Fitness, Role, Terms, term};
use crate::core::rights::lease::LeaseName;
use fitness::Health;

/// An address whose DNS name has moved on is held for so long after its successor is up, for
/// clients that still know the old one.
const FAREWELL: Duration = Duration::from_secs(60);

/// Addresses under one lease.
#[derive(Clone, Debug)]
pub struct Group {
    pub(super) settings: ControlPlane,
    pub(super) election: Election,
    pub(super) names: Vec<Name>,
    pub(super) claims: BTreeMap<IpAddr, Claim>,
    /// Addresses that no name stands for any more, and until when they are held.
    retiring: BTreeMap<IpAddr, Moment>,
    pub(super) link: Option<LinkName>,
    /// Whether addresses of others that the same lease decides about are off this node.
    pub(super) services: Handover,
    pub(super) label: Label,
    /// The lease ran out here and nobody else was seen with it: IPv4 stays (CP-5).
    preserving: bool,
    pub(super) health: Health,
    started: Moment,
    held_before: bool,
}

impl Group {
    /// The control plane's group.
    #[must_use]
    pub fn new(settings: ControlPlane, node: &str, seed: u64, now: Moment) -> Self {
        let terms = Terms {
            lease: settings.lease.clone(),
            identity: node.to_owned(),
            annotations: settings.lease_annotations.clone(),
            timing: settings.timing,
            courtesy: Courtesy::Race,
        };
        let names = settings.targets.iter().filter_map(|target| match target {
            Target::Name(name) => Some(Name::new(name.clone(), settings.dns_mode)),
            Target::Address(_) => None,
        });
        Self {
            election: Election::new(terms, seed),
            names: names.collect(),
            claims: BTreeMap::new(),
            retiring: BTreeMap::new(),
            link: None,
            services: Handover::Clear,
            label: Label::default(),
            preserving: false,
            health: Health::default(),
            started: now,
            held_before: false,
            settings,
        }
    }

    /// Acts on what is due; `stopping` says that the process ends.
    pub fn drive(&mut self, observed: &Observed, stopping: Stopping, now: Moment) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.ask_resolver(now, &mut effects);
        self.choose_link(observed);
        self.sync_claims(observed, now);
        self.election.stand(fitness::of(self, observed, stopping, now), now);
        let request = self.drive_election(observed, now);
        effects.extend(self.election.take_reports().into_iter().map(Effect::Report));
        self.reconcile(observed, now, &mut effects);
        effects.extend(request.map(|request| KubernetesRequest::Lease(request).into()));
        self.drive_label(now, &mut effects);
        effects
    }

    fn ask_resolver(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        for name in &mut self.names {
            if name.due(now) {
                effects.push(Effect::Resolve { name: name.name().to_owned() });
            }
        }
    }

    /// The link of the default route is chosen once and kept while it exists: a route that comes
    /// and goes must not carry the address from link to link.
    fn choose_link(&mut self, observed: &Observed) {
        let gone = self.link.as_ref().is_none_or(|link| observed.link(link).is_none());
        if !gone {
            return;
        }
        let chosen = observed.choose(&self.settings.link);
        if chosen.is_some() && chosen != self.link {
            self.link = chosen;
            self.claims.clear();
        }
    }

    fn sync_claims(&mut self, observed: &Observed, now: Moment) {
        let Some(link) = self.link.clone() else { return };
        let wanted = self.wanted_addresses();
        for address in &wanted {
            self.retiring.remove(address);
            let vip = self.vip(*address, &link);
            self.claims.entry(*address).or_insert_with(|| Claim::new(vip));
        }
        let holding = matches!(self.role(now), Role::Holding { .. });
        let up = wanted.iter().all(|ip| self.claims.get(ip).is_some_and(|c| c.is_usable(observed)));
        let old: Vec<IpAddr> =
            self.claims.keys().copied().filter(|ip| !wanted.contains(ip)).collect();
        for address in old {
            let until = self.retiring.entry(address).or_insert(now + FAREWELL);
            if holding && !up {
                *until = (*until).max(now + FAREWELL);
            }
            if !holding {
                *until = now;
            }
            let over = now >= *until;
            if over && self.claims.get(&address).is_some_and(|claim| !claim.lingers(observed)) {
                self.claims.remove(&address);
                self.retiring.remove(&address);
            }
        }
    }

    fn wanted_addresses(&self) -> Vec<IpAddr> {
        let literal = self.settings.targets.iter().filter_map(|target| match target {
            Target::Address(address) => Some(*address),
            Target::Name(_) => None,
        });
        literal.chain(self.names.iter().flat_map(|name| name.addresses().iter().copied())).collect()
    }

    fn vip(&self, address: IpAddr, link: &LinkName) -> Vip {
        let on_loopback = link.as_str() == "lo";
        let scope = match self.settings.loopback_scope {
            LoopbackScope::Host if on_loopback => viplet_backend_api::Scope::Host,
            LoopbackScope::Host | LoopbackScope::Global => viplet_backend_api::Scope::Universe,
        };
        Vip {
            address,
            prefix_len: match address {
                IpAddr::V4(_) => self.settings.prefix.v4,
                IpAddr::V6(_) => self.settings.prefix.v6,
            },
            link: link.clone(),
            presence: viplet_backend_api::Presence::OnLink,
            scope,
            duplicate_detection: self.settings.duplicate_detection,
        }
    }

    /// This node's part: the election's, or its own where every node that can has a part.
    pub(super) fn role(&self, now: Moment) -> Role {
        match (self.settings.election, self.election.fitness()) {
            (PlaneElection::ByLease, _) => self.election.role(),
            (PlaneElection::EveryNode, Fitness::Fit) => {
                Role::Holding { until: term::rolling(now, &self.settings.timing) }
            }
            (PlaneElection::EveryNode, _) => Role::Following,
        }
    }

    /// The Lease that decides, if one does.
    pub(super) fn lease(&self) -> Option<&LeaseName> {
        match self.settings.election {
            PlaneElection::ByLease => Some(&self.settings.lease),
            PlaneElection::EveryNode => None,
        }
    }

    fn drive_election(&mut self, observed: &Observed, now: Moment) -> Option<LeaseRequest> {
        if self.settings.election == PlaneElection::EveryNode {
            self.held_before |= matches!(self.role(now), Role::Holding { .. });
            return None;
        }
        let held = matches!(self.election.role(), Role::Holding { .. });
        let request = self.election.drive(now, self.handover(observed));
        let holds = matches!(self.election.role(), Role::Holding { .. });
        self.held_before |= holds;
        let ours = self.election.holder() == Some(self.election.terms().identity.as_str());
        if held && !holds && ours && self.settings.on_loss == OnLoss::PreserveV4 {
            self.preserving = true;
        }
        if holds || !ours || self.election.fitness().ineligible().is_some() {
            self.preserving = false;
        }
        request
    }

    /// Whether everything of this group is off this node.
    pub(super) fn handover(&self, observed: &Observed) -> Handover {
        let claimed = self.claims.values().any(|claim| claim.lingers(observed));
        if claimed || self.may_have_unknown_addresses(observed) {
            Handover::NotYet
        } else {
            self.services
        }
    }

    /// Whether something with our tag is here that may be this group's: an earlier run put it
    /// there, and its name or its link is not known yet in this one.
    fn may_have_unknown_addresses(&self, observed: &Observed) -> bool {
        let unknown = self.link.is_none() || self.names.iter().any(|n| n.addresses().is_empty());
        unknown && observed.addresses().any(|seen| seen.owner == Owner::Viplet)
    }

    /// What should become of an address now.
    pub(super) fn want(&self, address: IpAddr, now: Moment) -> Want {
        let fit = self.election.fitness().ineligible().is_none();
        let farewell_over = self.retiring.get(&address).is_some_and(|until| now >= *until);
        match self.role(now) {
            _ if self.health.is_unknown(self.settings.health) && self.may_adopt(now) => {
                Want::LeaveBe
            }
            _ if !fit || farewell_over => Want::Nothing,
            Role::Holding { until } => Want::Hold { until },
            Role::Following if self.preserving && address.is_ipv4() => {
                Want::Keep(self.settings.timing.duration)
            }
            Role::Following if self.may_adopt(now) => Want::LeaveBe,
            Role::Following => Want::Nothing,
        }
    }

    /// Whether what an earlier run left here may stay until the lease is read and claimed again.
    fn may_adopt(&self, now: Moment) -> bool {
        let young = now.since(self.started) < self.settings.timing.duration;
        let unread_or_ours = match self.election.holder() {
            None => !self.election.was_read(),
            Some(holder) => holder == self.election.terms().identity,
        };
        young && unread_or_ours && !self.held_before
    }

    fn reconcile(&mut self, observed: &Observed, now: Moment, effects: &mut Vec<Effect>) {
        let rhythm = Rhythm::alone(self.settings.announce_every);
        let wants: Vec<(IpAddr, Want)> =
            self.claims.keys().map(|address| (*address, self.want(*address, now))).collect();
        let why = self.why();
        for (address, want) in wants {
            let Some(claim) = self.claims.get_mut(&address) else { continue };
            let commands = claim.reconcile(want, observed, now, rhythm);
            if claim.came_to_be_held(observed) {
                let what = observed::held(observed.reach(address));
                let text = format!("{}: {what}: {why}", claim.vip());
                effects.push(Effect::Report(Report { level: Level::Info, text }));
            }
            let vip = claim.vip();
            let withdrawals =
                commands.iter().filter_map(|command| withdrawal::report(command, vip, &why));
            effects.extend(withdrawals.map(Effect::Report));
            effects.extend(commands.into_iter().map(Effect::Addresses));
        }
    }

    /// Why the node does what it does, in a few words.
    pub(super) fn why(&self) -> String {
        let every_node = self.settings.election == PlaneElection::EveryNode;
        match (self.election.fitness().ineligible(), self.election.role(), self.election.holder()) {
            (Some(why), ..) => why.to_owned(),
            _ if every_node => "every node that can has it (no election)".to_owned(),
            (_, Role::Holding { .. }, _) => "this node holds the lease".to_owned(),
            _ if self.preserving => {
                "the lease ran out and nobody else was seen with it: kept, not announced \
                 (vip_preserve_on_leadership_loss)"
                    .to_owned()
            }
            (_, _, None) if !self.election.was_read() => {
                format!("the lease has not been read yet{}", self.election.trouble_suffix())
            }
            (_, _, None) => format!("the lease does not exist{}", self.election.trouble_suffix()),
            (_, _, Some("")) => {
                format!("nobody holds the lease{}", self.election.trouble_suffix())
            }
            (_, _, Some(holder)) if holder == self.election.terms().identity => {
                format!("this node's lease has run out{}", self.election.trouble_suffix())
            }
            (_, _, Some(holder)) if self.election.namesake().is_some() => {
                format!("{holder} holds the lease: {CURE}")
            }
            (_, _, Some(holder)) => format!("{holder} holds the lease"),
        }
    }

    /// The value that the node's label should have.
    fn wanted_label(&self, now: Moment) -> Option<String> {
        let holds = matches!(self.role(now), Role::Holding { .. })
            && self.election.fitness().ineligible().is_none();
        let first = self.settings.targets.first().filter(|_| holds)?;
        Some(match first {
            Target::Address(address) => crate::core::addresses::claim::label_value(*address),
            Target::Name(name) => name.clone(),
        })
    }

    fn drive_label(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        if self.settings.labelling == Labelling::Off {
            return;
        }
        let wanted = self.wanted_label(now);
        if let Some(value) = self.label.drive(wanted, now) {
            effects.push(Effect::Kubernetes(KubernetesRequest::Label {
                key: label::KEY.to_owned(),
                value,
            }));
        }
    }

    /// The backend refused a command: what to say of it, if it is news.
    pub fn refused(&mut self, command: &Command, refusal: &Refusal, now: Moment) -> Option<Report> {
        let (address, link) = (command.address(), command.link());
        let text = format!("{address} on {link}: {refusal}");
        let Some(claim) = self.claims.get_mut(&address) else {
            return Some(Report { level: Level::Error, text });
        };
        let known = claim.setback().is_some_and(|back| back.refusal == *refusal)
            || claim.muted() == Some(refusal);
        claim.refused(command, refusal.clone(), now);
        (!known).then_some(Report { level: Level::Error, text })
    }

    /// A command was too late to be carried out.
    pub fn late(&mut self, command: &Command, now: Moment) {
        if let Some(claim) = self.claims.get_mut(&command.address()) {
            claim.late(command, now);
        }
    }

    /// Another station announced one of our addresses: we make sure of our claim, and while it
    /// stands we say at once whose the address is (design law 7).
    pub fn contested(&mut self, address: IpAddr, now: Moment) -> bool {
        let Some(claim) = self.claims.get_mut(&address).filter(|claim| claim.is_announcing())
        else {
            return false;
        };
        claim.contested(now);
        self.election.make_sure(now);
        true
    }

    /// Whether this node has held the lease since its start.
    #[must_use]
    pub const fn has_held(&self) -> bool {
        self.held_before
    }

    /// Whether the address is one of those that this group is about.
    pub(super) fn wants(&self, address: IpAddr) -> bool {
        self.wanted_addresses().contains(&address)
    }

    /// Whether it is known which addresses are this group's, and on which link. While a name is
    /// unresolved, any address with our tag may be its.
    pub(super) fn is_known(&self) -> bool {
        self.link.is_some() && self.names.iter().all(|name| !name.addresses().is_empty())
    }

    /// Whether what this node has to do about its addresses is known and done.
    #[must_use]
    pub fn is_settled(&self, now: Moment) -> bool {
        let late = now.since(self.started) >= self.settings.timing.duration;
        let resolved = self.names.iter().all(|name| !name.addresses().is_empty());
        let decided = self.lease().is_none() || self.election.is_decided();
        let checked = !self.health.is_unknown(self.settings.health);
        late || (resolved && checked && decided)
    }

    /// Whether nothing of this group is left: no address here, no lease in our name, no label.
    pub(super) fn is_gone(&self, observed: &Observed) -> bool {
        let ours = self.election.holder() == Some(self.election.terms().identity.as_str());
        let labelled = self.settings.labelling == Labelling::On && self.label.lingers();
        self.handover(observed) == Handover::Clear
            && !ours
            && !self.election.is_claiming()
            && !labelled
    }

    /// The next moment at which something is due.
    #[must_use]
    pub fn deadline(&self, observed: &Observed, now: Moment) -> Option<(Moment, &'static str)> {
        let names = self.names.iter().map(|name| (name.deadline(), "a DNS look-up"));
        let claims = self
            .claims
            .iter()
            .filter_map(|(address, claim)| claim.deadline(self.want(*address, now), observed, now));
        let election = match self.settings.election {
            PlaneElection::ByLease => self.election.deadline(self.handover(observed)),
            PlaneElection::EveryNode => {
                let next = term::next_roll(now, &self.settings.timing);
                Some((next, "addresses are refreshed"))
            }
        };
        let retiring = self.retiring.values().filter(|until| **until > now);
        let farewell = retiring.map(|until| (*until, "an old address has had its time"));
        let labelled = match self.settings.labelling {
            Labelling::Off => None,
            Labelling::On => self.label.deadline(&self.wanted_label(now)),
        };
        let adoption = Some(self.started + self.settings.timing.duration)
            .filter(|end| self.may_adopt(now) && *end > now)
            .map(|end| (end, "adopted addresses were not confirmed"));
        names
            .chain(claims)
            .chain(farewell)
            .chain(election)
            .chain(labelled.map(|at| (at, "the node's label")))
            .chain(adoption)
            .chain(fitness::deadline(self, observed, now))
            .min_by_key(|(at, _)| *at)
    }
}

/// Whether the process is about to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopping {
    /// It runs on.
    No,
    /// It withdraws and releases everything, and ends by then.
    By(Moment),
}
