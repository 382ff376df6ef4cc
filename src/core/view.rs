//! The core's state in the words of [`Status`] and [`Counters`].

use std::net::IpAddr;
use std::time::Duration;

use super::addresses::View as AddressView;
use super::observed::{Observed, Sight, state_text, unheard};
use super::services::Services;
use super::status::{AddressState, AddressStatus, LeaseStatus, RoleStatus, Why};
use super::{Core, Counters, Moment, Status};
use crate::core::addresses::claim::{Claim, Want};
use crate::core::cluster::record::ServiceName;
use crate::core::control_plane::Group;
use crate::core::rights::election::author::CURE;
use crate::core::rights::election::{Election, Role};
use crate::ordered;

/// A lease that nobody has taken for so long after it was free is worth a word.
const GRACE: Duration = Duration::from_secs(2);

impl Core {
    /// The state now.
    #[must_use]
    pub fn status(&self, now: Moment) -> Status {
        let groups = || self.control_plane.iter();
        let addresses = groups().flat_map(|group| addresses(group, &self.observed, now));
        let links = groups().filter_map(|group| group.link.as_ref()).map(|name| {
            let seen = self.observed.link(name);
            (name.to_string(), seen.map_or("missing", |s| state_text(s.link.state)).to_owned())
        });
        let for_all = self.election_for_all().map(|election| {
            let (holder, me) = (election.holder(), election.terms().identity.as_str());
            let reason = match holder {
                Some("") | None => {
                    format!("nobody holds the lease{}", election.trouble_suffix())
                }
                Some(holder) if holder == me => "this node holds the lease".to_owned(),
                Some(holder) if election.namesake().is_some() => {
                    format!("{holder} holds the lease: {CURE}")
                }
                Some(holder) => format!("{holder} holds the lease"),
            };
            lease_entry(election, reason, now)
        });
        let mut status = Status {
            node: self.settings.node.clone(),
            leases: groups().filter_map(|group| lease(group, now)).chain(for_all).collect(),
            addresses: addresses.collect(),
            links: ordered::map(links),
            services: self
                .with_view(now, |services, view| services.statuses(view))
                .unwrap_or_default(),
            not_ready: Vec::new(),
        };
        status.not_ready = self.not_ready(&status, now);
        status
    }

    /// Whether all that this node is to announce for now has been given to the backend.
    #[must_use]
    pub fn is_settled(&self, now: Moment) -> bool {
        let plane = self.control_plane.as_ref().is_none_or(|group| group.is_settled(now));
        let services = self.rooms.as_ref().is_none_or(|rooms| rooms.is_settled(now));
        *self.observed.sight() == Sight::Clear && plane && services
    }

    /// Why a Service is as it is; `None` where there is no such Service of type LoadBalancer.
    #[must_use]
    pub fn why(&self, service: &ServiceName, now: Moment) -> Option<Why> {
        self.with_view(now, |services, view| services.why(service, view))?
    }

    /// Numbers since the start.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let mut counters = self.counters.clone();
        for group in self.control_plane.iter() {
            let Some(name) = group.lease().map(ToString::to_string) else { continue };
            let tally = group.election.tally();
            counters.renewals.insert(name.clone(), tally.renewals);
            counters.renewal_failures.insert(name.clone(), tally.failures);
            counters.transitions.insert(name, tally.transitions);
            let rejects = counters.rejects.entry("lease answer out of order".to_owned());
            *rejects.or_default() += tally.rejects;
        }
        if let Some(election) = self.election_for_all() {
            let (name, tally) = (election.terms().lease.to_string(), election.tally());
            counters.renewals.insert(name.clone(), tally.renewals);
            counters.renewal_failures.insert(name.clone(), tally.failures);
            counters.transitions.insert(name, tally.transitions);
        }
        let now = Moment::default(); // Numbers do not depend on it.
        let services = self.with_view(now, |services, view| services.counters(view));
        counters.services = services.unwrap_or_default();
        counters
    }

    /// Reads something of Services, where they are served.
    fn with_view<T>(
        &self,
        now: Moment,
        read: impl FnOnce(&Services, &AddressView<'_>) -> T,
    ) -> Option<T> {
        let rooms = self.rooms.as_ref()?;
        let around = rooms.around(&self.outside(now));
        Some(read(&rooms.services, &rooms.view(&around)))
    }

    fn election_for_all(&self) -> Option<&Election> {
        self.rooms.as_ref()?.rights.election_for_all()
    }

    /// Design law 8: the addresses that should be here are here and announced, and this node
    /// could take over if it had to.
    fn not_ready(&self, status: &Status, now: Moment) -> Vec<String> {
        let mut reasons = Vec::new();
        match self.observed.sight() {
            Sight::Never => reasons.push("the kernel's links have not been read yet".to_owned()),
            Sight::Blind(why) => reasons.push(format!("the kernel cannot be observed: {why}")),
            Sight::Clear => {}
        }
        for group in self.control_plane.iter() {
            let ineligible = group.election.fitness().ineligible();
            let Some(lease) = group.lease() else {
                reasons.extend(ineligible.map(|why| format!("control plane: {why}")));
                continue;
            };
            if let Some(called) = group.election.namesake() {
                reasons.push(format!("lease {lease}: {called} holds it: {CURE}"));
            } else if let Some(why) = ineligible {
                reasons.push(format!("lease {lease}: this node does not stand: {why}"));
            } else if !group.election.was_read() {
                let trouble = group.election.trouble_suffix();
                reasons.push(format!("lease {lease}: not read yet{trouble}"));
            } else if let Some(since) = group.election.ownerless_since(now)
                && now.since(since) > GRACE
            {
                let (seconds, trouble) =
                    (now.since(since).as_secs(), group.election.trouble_suffix());
                reasons.push(format!("lease {lease}: nobody has held it for {seconds} s{trouble}"));
            }
        }
        let pending =
            |a: &&AddressStatus| matches!(a.state, AddressState::Pending | AddressState::Blocked);
        for entry in status.addresses.iter().filter(pending) {
            let what = entry.address.map_or_else(
                || entry.name.clone().unwrap_or_default(),
                |address| address.to_string(),
            );
            reasons.push(format!("{what}: {}", entry.reason));
        }
        let services = self.with_view(now, |services, view| services.not_ready(view));
        reasons.extend(services.into_iter().flatten());
        reasons
    }
}

fn lease(group: &Group, now: Moment) -> Option<LeaseStatus> {
    group.lease()?;
    Some(lease_entry(&group.election, group.why(), now))
}

fn lease_entry(election: &Election, reason: String, now: Moment) -> LeaseStatus {
    let (role, held_for) = match (election.role(), election.fitness().ineligible()) {
        (Role::Holding { until }, _) => (RoleStatus::Holding, Some(until.since(now))),
        (Role::Following, Some(_)) => (RoleStatus::Abstaining, None),
        (Role::Following, None) if !election.was_read() => (RoleStatus::Starting, None),
        (Role::Following, None) => (RoleStatus::Following, None),
    };
    LeaseStatus {
        lease: election.terms().lease.to_string(),
        holder: election.holder().unwrap_or_default().to_owned(),
        role,
        held_for,
        renewed_ago: election.renewal_seen().map(|seen| now.since(seen)),
        transitions: election.transitions(),
        reason,
    }
}

fn addresses(group: &Group, observed: &Observed, now: Moment) -> Vec<AddressStatus> {
    let mut entries: Vec<AddressStatus> = group
        .claims
        .iter()
        .map(|(address, claim)| address_entry(group, *address, claim, observed, now))
        .collect();
    let unresolved = group.names.iter().filter(|name| name.addresses().is_empty());
    entries.extend(unresolved.map(|name| AddressStatus {
        address: None,
        name: Some(name.name().to_owned()),
        link: group.link.as_ref().map(ToString::to_string).unwrap_or_default(),
        lease: group.lease().map(ToString::to_string).unwrap_or_default(),
        state: AddressState::Pending,
        announced: 0,
        reason: format!("not resolved: {}", name.trouble().unwrap_or("no answer yet")),
    }));
    entries
}

fn address_entry(
    group: &Group,
    address: IpAddr,
    claim: &Claim,
    observed: &Observed,
    now: Moment,
) -> AddressStatus {
    let (state, reason) = state_of(group, address, claim, observed, now);
    let name = group.names.iter().find(|name| name.addresses().contains(&address));
    AddressStatus {
        address: Some(address),
        name: name.map(|name| name.name().to_owned()),
        link: claim.vip().link.to_string(),
        lease: group.lease().map(ToString::to_string).unwrap_or_default(),
        state,
        announced: claim.announced().into(),
        reason,
    }
}

fn state_of(
    group: &Group,
    address: IpAddr,
    claim: &Claim,
    observed: &Observed,
    now: Moment,
) -> (AddressState, String) {
    if let Some(why) = claim.blocked(observed) {
        return (AddressState::Blocked, why);
    }
    let held = matches!(group.want(address, now), Want::Hold { .. });
    let refused = claim.setback().map(|back| back.refusal.reason.clone());
    if held {
        let muted = claim.muted().map(|refusal| format!("present, not announced: {refusal}"));
        let trouble = refused.or(muted);
        return match trouble {
            Some(why) => (AddressState::Pending, why),
            None if !claim.is_usable(observed) => {
                (AddressState::Pending, "being put on the link".to_owned())
            }
            None if observed.reach(address).is_some_and(|reach| reach.told == 0) => {
                let why = observed.reach(address).map(unheard).unwrap_or_default();
                (AddressState::Pending, why)
            }
            None if !claim.link_is_up(observed) => {
                (AddressState::Pending, format!("its link {} is not up", claim.vip().link))
            }
            None => (AddressState::Held, group.why()),
        };
    }
    if claim.lingers(observed) {
        return (AddressState::Kept, refused.unwrap_or_else(|| group.why()));
    }
    (AddressState::Elsewhere, group.why())
}
