//! One address of Services: who shares it, what decides about it, why this node may not hold it.
//! The unit of ownership is the address (design law 1).

use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use super::claim::{ANNOUNCEMENT, Claim};
use super::eligibility::Ineligibility;
use crate::core::cluster::record::{Creation, ServiceName, ServicePort};
use crate::core::rights::Authority;
use crate::core::rights::election::term;
use crate::core::rights::lease::LeaseName;
use crate::core::settings::LeaseTiming;
use crate::core::time::Moment;
use crate::core::work_queue::Due;

/// Periodic announcements of many addresses are sent in turns that are so far apart.
const TOGETHER: Duration = Duration::from_millis(100);

/// A Service that asks for an address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Requester {
    /// When the Service was created: the older one has the better right.
    pub(crate) created: Creation,
    /// Its name.
    pub(crate) service: ServiceName,
}

/// An address of Services.
#[derive(Clone, Debug, Default)]
pub(super) struct Address {
    /// Who asks for it, the oldest first.
    pub(super) requesters: Vec<Requester>,
    /// What decides.
    pub(super) authority: Authority,
    /// The Lease by which this node holds it, if it does.
    pub(super) under: Option<Rc<LeaseName>>,
    /// Why this node may not hold it.
    pub(super) ineligible: Option<Ineligibility>,
    /// Since when there has been no endpoint, while this node holds it all the same.
    pub(super) endless_since: Option<Moment>,
    /// Since when the holder of the Lease for all could have it.
    pub(super) leader_since: Option<Moment>,
    /// What is done about it here.
    pub(super) claim: Option<Box<Claim>>,
    /// Whether its link and prefix may have changed since they were looked at last.
    pub(super) placement: Placement,
    /// Its next time.
    pub(super) due: Due,
}

/// Whether it is known where an address is to be put.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Placement {
    /// It has to be looked at.
    #[default]
    Unsettled,
    /// As its claim says.
    Settled,
}

impl Address {
    /// Whether this node has it, as far as elections go.
    pub(super) fn is_had(&self) -> bool {
        let alone = self.authority == Authority::EveryNode;
        let installed = self.claim.as_ref().is_some_and(|claim| claim.is_installed());
        self.under.is_some() || (alone && installed)
    }

    /// Whether time alone may change what stands in its way, handovers apart.
    pub(super) fn is_unsettled(&self) -> bool {
        self.ineligible.is_some() || self.endless_since.is_some() || self.leader_since.is_some()
    }

    /// When it is to be refreshed, where no lease decides about it.
    pub(super) fn roll(&self, timing: &LeaseTiming, now: Moment) -> Due {
        let alone = self.authority == Authority::EveryNode;
        alone.then(|| (term::next_roll(now, timing), "it is refreshed"))
    }

    /// When something is to be done that is due at `at`: a periodic announcement, which may be a
    /// little late, together with those of other addresses.
    pub(super) fn together(&self, at: Moment, why: &str) -> Moment {
        let burst_over = self.claim.as_ref().is_some_and(|claim| claim.announced() >= 4);
        if why != ANNOUNCEMENT || !burst_over {
            return at;
        }
        let (step, since) = (TOGETHER.as_nanos(), at.since_boot().as_nanos());
        let rest = (step - since % step) % step;
        at + Duration::from_nanos(u64::try_from(rest).unwrap_or_default())
    }

    /// One more Service asks for it.
    pub(super) fn join(&mut self, requester: Requester) {
        if let Err(place) = self.requesters.binary_search(&requester) {
            self.requesters.reserve_exact(1); // Nearly always the only one.
            self.requesters.insert(place, requester);
        }
    }

    /// A Service no longer asks for it.
    pub(super) fn leave(&mut self, service: &ServiceName) {
        self.requesters.retain(|requester| requester.service != *service);
    }

    /// The requesters that get along, the oldest first, given each one's ports and those that are
    /// taken already.
    #[must_use]
    pub(super) fn accepted<'a>(
        &'a self,
        taken: &[ServicePort],
        ports: impl Fn(&'a ServiceName) -> &'a [ServicePort],
    ) -> Vec<&'a Requester> {
        if let (&[], [only]) = (taken, &*self.requesters) {
            return vec![only];
        }
        let mut taken = taken.to_vec();
        let mut accepted = Vec::new();
        for requester in &self.requesters {
            let own = ports(&requester.service);
            if own.iter().all(|port| !taken.contains(port)) {
                taken.extend(own);
                accepted.push(requester);
            }
        }
        accepted
    }

    /// Why a Service may not share the address: who has which of its ports.
    #[must_use]
    pub(super) fn clash<'a>(
        &'a self,
        service: &ServiceName,
        control_plane: &[ServicePort],
        ports: impl Fn(&'a ServiceName) -> &'a [ServicePort] + Copy,
    ) -> Option<(ServicePort, Option<&'a ServiceName>)> {
        let accepted = self.accepted(control_plane, ports);
        if accepted.iter().any(|requester| requester.service == *service) {
            return None;
        }
        let own = self.requesters.iter().find(|requester| requester.service == *service)?;
        let mine = ports(&own.service);
        let theirs = accepted.iter().find_map(|requester| {
            let port = ports(&requester.service).iter().find(|port| mine.contains(port))?;
            Some((*port, Some(&requester.service)))
        });
        theirs.or_else(|| {
            mine.iter().find(|port| control_plane.contains(port)).map(|port| (*port, None))
        })
    }
}

/// A clash for a person.
#[must_use]
pub(crate) fn clash_text(address: IpAddr, port: ServicePort, with: Option<&ServiceName>) -> String {
    match with {
        Some(other) => format!(
            "port {port} of {address} belongs to Service {other}, which is older; choose another \
             port or another address"
        ),
        None => format!(
            "port {port} of {address} is the control plane's own; choose another port or another \
             address"
        ),
    }
}
