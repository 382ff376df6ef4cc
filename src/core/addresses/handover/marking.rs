//! Marks on Leases: writing those that are due, finding those that others have written, and
//! following where they lead.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::predecessor::Predecessor;
use super::{Case, FORGOTTEN, Handovers};
use crate::core::addresses::address::Address;
use crate::core::addresses::{Authority, Rights};
use crate::core::context::Around;
use crate::core::input::{Effect, KubernetesRequest, Mark};
use crate::core::rights::lease::LeaseName;
use crate::core::version::is_older;

impl Handovers {
    /// Asks for the marks that are due.
    pub(in crate::core::addresses) fn mark_all(
        &mut self,
        addresses: &BTreeMap<IpAddr, Box<Address>>,
        rights: &Rights,
        around: &Around<'_>,
        effects: &mut Vec<Effect>,
    ) {
        for ip in std::mem::take(&mut self.unmarked) {
            let (Some(address), Some(handover)) = (addresses.get(&ip), self.of.get_mut(&ip)) else {
                continue;
            };
            let case = Case { ip, address, rights, around };
            let led = handover.predecessors.iter().filter_map(Predecessor::led_by);
            let led: Vec<Box<str>> = led.map(Into::into).collect();
            for predecessor in &mut handover.predecessors {
                effects.extend(mark(&case, predecessor, &led));
            }
        }
    }

    /// What happened before this node began to follow an address: other Leases that are marked
    /// for it, and whose holders may not have heard of it.
    pub(super) fn search(&mut self, case: &Case<'_>) {
        let Case { ip, rights, around, .. } = *case;
        if !self.unsearched.contains(&ip) || !case.is_decided() || !rights.has_seen_all() {
            return;
        }
        if around.now > rights.site().started + FORGOTTEN {
            return self.unsearched.clear(); // What happened was seen to happen.
        }
        self.unsearched.remove(&ip);
        let authority = &case.address.authority;
        let found = rights.marked().filter_map(|lease| {
            let mark = rights.mark_on(lease, ip, around)?;
            Predecessor::found(case, rights.authority_of(lease, around), mark.version)
        });
        for predecessor in found.filter(|found| found.authority != *authority) {
            self.add(case, predecessor);
        }
    }

    /// A mark leads to a Lease that decided in between, unseen by this node.
    pub(super) fn follow_marks(&mut self, case: &Case<'_>) {
        let Some(heard) = case.around.cluster.version() else { return };
        let authority = &case.address.authority;
        if *authority == Authority::Nobody {
            return;
        }
        let mut found = Vec::new();
        let handover = self.of.get_mut(&case.ip);
        for predecessor in handover.into_iter().flat_map(|one| &mut one.predecessors) {
            let news = lead(case, &predecessor.authority, predecessor.followed.as_deref(), heard);
            if let Some((version, _)) = &news {
                predecessor.followed = Some(version.clone());
            }
            found.extend(news);
        }
        let followed = self.of.get(&case.ip).and_then(|one| one.followed.as_deref());
        if let Some((version, lease)) = lead(case, authority, followed, heard) {
            self.of.entry(case.ip).or_default().followed = Some(version.clone());
            found.push((version, lease));
        }
        for (version, lease) in found {
            let led_to = case.rights.authority_of(&lease, case.around);
            if led_to != *authority {
                self.add(case, Predecessor::led_to(case, led_to, version));
            }
        }
    }

    /// One more right by which somebody may have the address, unless it is known.
    fn add(&mut self, case: &Case<'_>, predecessor: Predecessor) {
        let handover = self.of.entry(case.ip).or_default();
        let mut known = handover.predecessors.iter();
        if known.all(|known| known.authority != predecessor.authority) {
            handover.predecessors.push(predecessor);
            self.index(case.ip, &case.address.authority);
        }
    }
}

/// The mark to write for one right before, if it is due.
fn mark(case: &Case<'_>, predecessor: &mut Predecessor, led: &[Box<str>]) -> Option<Effect> {
    let Case { ip, rights, around, .. } = *case;
    let to = match &case.address.authority {
        Authority::Nobody => return None,
        Authority::ControlPlane => around.control_plane?.lease()?.clone(),
        other => rights.lease_of(other, around)?.as_ref().clone(),
    };
    let lease = rights.lease_of(&predecessor.authority, around)?;
    let version = predecessor.version_to_mark(case)?;
    let known = rights.mark_on(&lease, ip, around);
    // What an older mark leads to comes first: it would be lost.
    if known.is_some_and(|known| led.iter().any(|version| **version == *known.version)) {
        return None;
    }
    predecessor.note_asked(around.now);
    let after = known.map(|known| known.version.into());
    let mark = Mark { address: ip, version, to, after };
    Some(Effect::Kubernetes(KubernetesRequest::Mark { lease: lease.as_ref().clone(), mark }))
}

/// Where the mark on an authority's Lease leads, if it was not followed yet and this node has
/// heard of Services up to its version.
fn lead(
    case: &Case<'_>,
    authority: &Authority,
    followed: Option<&str>,
    heard: &str,
) -> Option<(Box<str>, LeaseName)> {
    let lease = case.rights.lease_of(authority, case.around)?;
    let mark = case.rights.mark_on(&lease, case.ip, case.around)?;
    let to = LeaseName::parse(mark.to, "")?;
    let news = !is_older(heard, mark.version) && followed != Some(mark.version);
    news.then(|| (mark.version.into(), to))
}
