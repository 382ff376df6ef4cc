//! One address of Services: who shares it, which Lease decides about it, why this node may not
//! hold it. The unit of ownership is the address (design law 1).

use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use crate::core::addresses::claim::{ANNOUNCEMENT, Claim};
use crate::core::cluster::record::{Creation, ServiceName, ServicePort};
use crate::core::rights::election::term;
use crate::core::rights::lease::LeaseName;
use crate::core::settings::LeaseTiming;
use crate::core::time::Moment;
use crate::core::uid::Uid;
use crate::core::work_queue::Due;

/// Periodic announcements of many addresses are sent in turns that are so far apart.
const TOGETHER: Duration = Duration::from_millis(100);

/// A Service that asks for an address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tenant {
    /// When the Service was created: the older one has the better right.
    pub(crate) created: Creation,
    /// Which.
    pub(crate) service: ServiceName,
}

/// Who decides about an address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Authority {
    /// Nobody: no Service asks for it.
    #[default]
    Nobody,
    /// It is one of the control plane's addresses and goes where that goes.
    ControlPlane,
    /// The control plane's Lease, which is the Services' too (ELE-4).
    ControlPlaneLease,
    /// This Lease.
    Lease(Rc<LeaseName>),
    /// No Lease: every node that can has it.
    EveryNode,
}

/// An address that has come under another Lease: until its holder has let go, only that holder
/// may have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Former {
    /// The Lease that decided before.
    pub(crate) authority: Authority,
    /// Who held it; `None`: nobody, as far as was known, but a claim may have been under way.
    pub(crate) holder: Option<String>,
    /// When this node saw the change.
    pub(crate) since: Moment,
    /// The Service (and its `metadata.uid`) whose annotation named that node then: when neither
    /// it nor another of the address does, that node has let go.
    pub(crate) witness: Option<(ServiceName, Uid)>,
    /// Up to which version this node had seen Services then; `None`: that is about to be told.
    pub(crate) version: Option<Box<str>>,
    /// Once that Lease is seen to be marked: when nobody has the address by it any more.
    pub(crate) over: Option<Moment>,
    /// When the mark was asked for last.
    pub(crate) asked: Option<Moment>,
    /// The version of an older mark on it that was followed.
    pub(crate) followed: Option<Box<str>>,
    /// The version of the mark that led to it, where it was not seen to decide.
    pub(crate) led: Option<Box<str>>,
}

impl Former {
    /// Nothing is known but the Lease.
    #[must_use]
    pub(crate) const fn new(authority: Authority, since: Moment) -> Self {
        Self {
            authority,
            holder: None,
            since,
            witness: None,
            version: None,
            over: None,
            asked: None,
            followed: None,
            led: None,
        }
    }
}

/// The Lease by which an address is held, or would be, says that another one decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bar {
    /// The Lease that says so.
    pub(crate) lease: Rc<LeaseName>,
    /// Services have to be known up to this version.
    pub(crate) version: Box<str>,
    /// Since when this is known.
    pub(crate) since: Moment,
    /// The end of this node's hold when it came to know.
    pub(crate) until: Moment,
}

/// Why this node may not hold an address now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// Endpoints have not been read yet.
    Unread,
    /// No usable endpoint anywhere.
    NoEndpoints,
    /// Usable endpoints on other nodes only (`externalTrafficPolicy: Local`).
    EndpointsElsewhere(Box<[crate::core::cluster::endpoints::NodeId]>),
    /// The holder of the Lease for all has endpoints of its own.
    LeaderServes(Box<str>),
    /// Somebody still has it under the Lease that decided before.
    StillHeld(Box<str>),
    /// The Lease says that another one decides, and this node has not heard of that change.
    Outdated,
    /// Something about this node: its link, the kernel.
    Node(Box<str>),
}

impl Obstacle {
    /// Whether it is about this node, not about the Service.
    #[must_use]
    pub(crate) const fn is_of_node(&self) -> bool {
        matches!(self, Self::Node(_))
    }
}

/// An address of Services.
#[derive(Clone, Debug, Default)]
pub(crate) struct Address {
    /// Who asks for it, the oldest first.
    pub(crate) tenants: Vec<Tenant>,
    /// Who decides.
    pub(crate) authority: Authority,
    /// Who decided before, and may have it still.
    pub(crate) former: Vec<Former>,
    /// The version of the last mark on the Lease that decides that was followed.
    pub(crate) followed: Option<Box<str>>,
    /// Whether it was looked for other Leases that are marked for it.
    pub(crate) searched: bool,
    /// Why it may not be held by the Lease by which it is, or would be, from some moment on.
    pub(crate) bar: Option<Box<Bar>>,
    /// The Lease by which this node holds it, if it does.
    pub(crate) under: Option<Rc<LeaseName>>,
    /// Why this node may not hold it.
    pub(crate) obstacle: Option<Obstacle>,
    /// Since when there has been no endpoint, while this node holds it all the same.
    pub(crate) endless_since: Option<Moment>,
    /// Since when the holder of the Lease for all could have it.
    pub(crate) leader_since: Option<Moment>,
    /// What is done about it here.
    pub(crate) claim: Option<Box<Claim>>,
    /// Whether its link and prefix may have changed since they were looked at last.
    pub(crate) place: Place,
    /// Its next time.
    pub(crate) due: Due,
}

/// Whether it is known where an address is to be put.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Place {
    /// It has to be looked at.
    #[default]
    Unsettled,
    /// As its claim says.
    Settled,
}

impl Address {
    /// Whether this node has it, as far as elections go.
    pub(crate) fn is_had(&self) -> bool {
        let alone = self.authority == Authority::EveryNode;
        let installed = self.claim.as_ref().is_some_and(|claim| claim.is_installed());
        self.under.is_some() || (alone && installed)
    }

    /// Whether time alone may change what stands in its way.
    pub(crate) fn is_unsettled(&self) -> bool {
        self.obstacle.is_some()
            || !self.former.is_empty()
            || self.bar.is_some()
            || self.endless_since.is_some()
            || self.leader_since.is_some()
    }

    /// When it is to be refreshed, where no lease decides about it.
    pub(crate) fn roll(&self, timing: &LeaseTiming, now: Moment) -> Due {
        let alone = self.authority == Authority::EveryNode;
        alone.then(|| (term::next_roll(now, timing), "it is refreshed"))
    }

    /// When something is to be done that is due at `at`: a periodic announcement, which may be a
    /// little late, together with those of other addresses.
    pub(crate) fn together(&self, at: Moment, why: &str) -> Moment {
        let burst_over = self.claim.as_ref().is_some_and(|claim| claim.announced() >= 4);
        if why != ANNOUNCEMENT || !burst_over {
            return at;
        }
        let (step, since) = (TOGETHER.as_nanos(), at.since_boot().as_nanos());
        let rest = (step - since % step) % step;
        at + Duration::from_nanos(u64::try_from(rest).unwrap_or_default())
    }

    /// One more Service asks for it.
    pub(crate) fn join(&mut self, tenant: Tenant) {
        if let Err(place) = self.tenants.binary_search(&tenant) {
            self.tenants.reserve_exact(1); // Nearly always the only one.
            self.tenants.insert(place, tenant);
        }
    }

    /// A Service no longer asks for it.
    pub(crate) fn leave(&mut self, service: &ServiceName) {
        self.tenants.retain(|tenant| tenant.service != *service);
    }

    /// The tenants that get along, the oldest first, given each one's ports and those that are
    /// taken already.
    #[must_use]
    pub(crate) fn accepted<'a>(
        &'a self,
        taken: &[ServicePort],
        ports: impl Fn(&'a ServiceName) -> &'a [ServicePort],
    ) -> Vec<&'a Tenant> {
        if let (&[], [only]) = (taken, &*self.tenants) {
            return vec![only];
        }
        let mut taken = taken.to_vec();
        let mut accepted = Vec::new();
        for tenant in &self.tenants {
            let own = ports(&tenant.service);
            if own.iter().all(|port| !taken.contains(port)) {
                taken.extend(own);
                accepted.push(tenant);
            }
        }
        accepted
    }

    /// Why a Service may not share the address: who has which of its ports.
    #[must_use]
    pub(crate) fn clash<'a>(
        &'a self,
        service: &ServiceName,
        control_plane: &[ServicePort],
        ports: impl Fn(&'a ServiceName) -> &'a [ServicePort] + Copy,
    ) -> Option<(ServicePort, Option<&'a ServiceName>)> {
        let accepted = self.accepted(control_plane, ports);
        if accepted.iter().any(|tenant| tenant.service == *service) {
            return None;
        }
        let own = self.tenants.iter().find(|tenant| tenant.service == *service)?;
        let mine = ports(&own.service);
        let theirs = accepted.iter().find_map(|tenant| {
            let port = ports(&tenant.service).iter().find(|port| mine.contains(port))?;
            Some((*port, Some(&tenant.service)))
        });
        theirs.or_else(|| {
            mine.iter().find(|port| control_plane.contains(port)).map(|port| (*port, None))
        })
    }
}

/// The key of an address in texts for a person.
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
