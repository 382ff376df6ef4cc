//! All that goes into the core and all that comes out. Everything here can be serialised, so a
//! run can be recorded and replayed.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use viplet_backend_api::{Command, Notice, Refusal};

use super::report::Report;
use crate::core::cluster::record::{
    Change, Condition, Ingress, NodeRecord, ServiceName, ServiceRecord, SliceName, SliceRecord,
};
use crate::core::rights::lease::{LeaseName, LeaseRecord};

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Input {
    /// A deadline is due, or may be: always harmless.
    Deadline,
    /// The backend observed something.
    Observed(Notice),
    /// Commands that could not be carried out, and why. Success is not reported: it is observed.
    Refused(Vec<(Command, Refusal)>),
    /// Commands that put or announce addresses and that nobody carried out, as they were too old
    /// by then ([`super::carry::FRESH`]). No backend has failed: they are decided anew.
    Late {
        /// What was not carried out.
        commands: Vec<Command>,
        /// How old the decision was.
        by: Duration,
    },
    /// A Lease was read: by the watch, or by a [`LeaseVerb::Read`].
    Lease {
        /// Which one.
        lease: LeaseName,
        /// How it was read.
        origin: Origin,
        /// What it said.
        view: LeaseView,
    },
    /// A read of a Lease failed.
    LeaseUnreadable {
        /// Which one.
        lease: LeaseName,
        /// Why, for a person.
        reason: String,
    },
    /// The answer to a [`LeaseVerb::Create`] or [`LeaseVerb::Replace`].
    LeaseWritten {
        /// Which one.
        lease: LeaseName,
        /// The attempt's number from the request.
        attempt: u64,
        /// What became of it.
        outcome: WriteOutcome,
    },
    /// The API server on this node was checked (`control_plane_health_check_address`), or why
    /// that failed.
    ControlPlaneChecked(Result<(), String>),
    /// A DNS name was looked up; addresses in the resolver's order.
    Resolved {
        /// The name.
        name: String,
        /// Its addresses, or why there are none.
        outcome: Result<Vec<IpAddr>, String>,
    },
    /// The node's labels were written, or not and why.
    Labelled(Result<(), String>),
    /// Services of type LoadBalancer, in the namespaces that count.
    Services(Change<ServiceRecord, ServiceName>),
    /// EndpointSlices, or Endpoints, in the same namespaces.
    Endpoints(Change<SliceRecord, SliceName>),
    /// Nodes.
    Nodes(Change<NodeRecord, Box<str>>),
    /// Leases in the same namespaces, by a watch over all of them.
    Leases(Change<LeaseSeen, LeaseName>),
    /// The answer to a [`KubernetesRequest::Service`].
    ServiceWritten {
        /// Which Service.
        service: ServiceName,
        /// The attempt's number from the request.
        attempt: u64,
        /// What became of it.
        outcome: ServiceOutcome,
    },
    /// Services have been told up to this version: after a list, an event, a bookmark.
    ServicesHeard(Box<str>),
    /// The node's labels of Services were written, or not and why.
    ServicesLabelled(Result<(), String>),
    /// The node stops: withdraw everything, release every lease.
    Stop,
}
use super::uid::Uid;

/// How a Lease was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    /// By the watch: it may lag behind our own writes.
    Watch,
    /// The answer to a [`LeaseVerb::Read`]: it counts even when it is older than what is known,
    /// for the API server's store may have been restored from a backup.
    Read,
}

/// What a Lease said when it was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LeaseView {
    /// There is no such object.
    Absent,
    /// It exists.
    Present {
        /// `metadata.resourceVersion`: opaque.
        version: String,
        /// Its spec.
        record: LeaseRecord,
    },
}

/// What became of a write of a Lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WriteOutcome {
    /// Stored. What the server answered.
    Stored {
        /// The new `metadata.resourceVersion`.
        version: String,
        /// The spec as stored.
        record: LeaseRecord,
    },
    /// 409: somebody else wrote first (or created first).
    Conflict,
    /// 404 on a replace: the object was deleted.
    Gone,
    /// The server refused for good (403, 422) or for now (5xx, 429); nothing was stored.
    Rejected(String),
    /// No answer in time, or the connection broke: it may or may not have been stored.
    Unknown(String),
}

/// A Lease as a watch over many saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseSeen {
    /// Which one.
    pub lease: LeaseName,
    /// `metadata.resourceVersion`: opaque.
    pub version: String,
    /// Its spec.
    pub record: LeaseRecord,
}

/// What became of a [`KubernetesRequest::Service`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServiceOutcome {
    /// It is as asked; it may have been so already.
    Done,
    /// There is no such Service any more, or another one of the same name.
    Gone,
    /// Somebody else wrote at the same time (409).
    Conflict,
    /// Permission is missing, or the server refused for good.
    Refused(String),
    /// The server did not answer, or not now.
    Failed(String),
}

/// What is to be written to a Service: read it, change this and nothing else, replace it with
/// its `resourceVersion`; where nothing changes, write nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceUpdate {
    /// Which one.
    pub service: ServiceName,
    /// `metadata.uid`: another Service of the same name is not meant.
    pub uid: Uid,
    /// Repeated in the answer.
    pub attempt: u64,
    /// `kube-vip.io/vipHost`.
    pub host: HostChange,
    /// `status.loadBalancer.ingress`.
    pub ingress: IngressChange,
    /// `status.conditions`.
    pub condition: ConditionChange,
}

/// What becomes of the annotation `kube-vip.io/vipHost`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HostChange {
    /// It stays.
    Keep,
    /// This node.
    Set(String),
    /// It goes, if it names this node.
    Remove(String),
}

/// What becomes of `status.loadBalancer.ingress`; entries that are in neither list stay.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IngressChange {
    /// Entries to have, in this order and before those of others; those with the same address
    /// give way.
    pub put: Vec<Ingress>,
    /// Addresses whose entries go.
    pub drop: Vec<IpAddr>,
}

/// What becomes of viplet's condition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConditionChange {
    /// It stays.
    Keep,
    /// This one.
    Set(Condition),
    /// It goes.
    Remove,
}

/// An Event (`v1`) about a Service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceEvent {
    /// Which one.
    pub service: ServiceName,
    /// `metadata.uid`.
    pub uid: Uid,
    /// `Normal` or `Warning`.
    pub weight: EventWeight,
    /// One word in CamelCase.
    pub reason: String,
    /// For a person.
    pub message: String,
    /// The node that says it, where it is about this node; `None`: every node says the same,
    /// and the Event is stored once.
    pub node: Option<String>,
}

/// An Event's `type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EventWeight {
    /// `Normal`.
    Normal,
    /// `Warning`.
    Warning,
}

/// That an address has come under another Lease, to be written on the Lease that decided before
/// ([`crate::core::rights::lease::MOVED`]).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Which address.
    pub address: IpAddr,
    /// Up to which version this node has seen Services.
    pub version: Box<str>,
    /// The Lease that decides now.
    pub to: LeaseName,
    /// The version in the entry that this one replaces: where there is another, it stays.
    pub after: Option<Box<str>>,
}

/// A request about a Lease, on the renewals' own connection. At most one is under way per Lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseRequest {
    /// Which one.
    pub lease: LeaseName,
    /// What to do.
    pub verb: LeaseVerb,
    /// The answer must be there within this time, else it counts as unknown.
    pub timeout: Duration,
}

/// What to do with a Lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LeaseVerb {
    /// GET; answered with [`Input::Lease`] or [`Input::LeaseUnreadable`].
    Read,
    /// POST.
    Create {
        /// Repeated in the answer.
        attempt: u64,
        /// The spec to store.
        record: LeaseRecord,
        /// `metadata.annotations` to create it with.
        annotations: BTreeMap<String, String>,
    },
    /// PUT with `metadata.resourceVersion` = `version`: compare-and-swap.
    Replace {
        /// Repeated in the answer.
        attempt: u64,
        /// The version that must still be the current one.
        version: String,
        /// The spec to store.
        record: LeaseRecord,
    },
}

/// A request to the API server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KubernetesRequest {
    /// Read or write a Lease.
    Lease(LeaseRequest),
    /// Set this label on this node's Node object, or remove it where the value is `None`;
    /// answered with [`Input::Labelled`].
    Label {
        /// The label's key.
        key: String,
        /// Its value.
        value: Option<String>,
    },
    /// Write to a Service; answered with [`Input::ServiceWritten`].
    Service(ServiceUpdate),
    /// Write a mark on this Lease, which is made if there is none. What it says then comes back as
    /// [`Input::Leases`]; where it fails nothing does, and it is asked for again.
    Mark {
        /// The Lease.
        lease: LeaseName,
        /// The mark.
        mark: Mark,
    },
    /// Record an Event; not answered.
    Event(ServiceEvent),
    /// Set or remove (`None`) these labels of this node's Node object; answered with
    /// [`Input::ServicesLabelled`].
    ServiceLabels(BTreeMap<String, Option<String>>),
}

/// Something for the shell to do. Each variant names who does it, so that another kind of driver
/// is another variant here and another method of the sink that effects are carried out to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Effect {
    /// For the backend that makes addresses present and known. A refusal comes back as
    /// [`Input::Refused`] BEFORE the effects that follow are carried out, and a
    /// [`Command::Announce`] of an address whose install was refused in the same turn is not
    /// carried out.
    Addresses(Command),
    /// For the API server.
    Kubernetes(KubernetesRequest),
    /// For the resolver: look a DNS name up; answered with [`Input::Resolved`].
    Resolve {
        /// The name.
        name: String,
    },
    /// For the log.
    Report(Report),
    /// For the process: everything is withdrawn and released, or its time is up; it may end.
    Stopped,
}

impl From<KubernetesRequest> for Effect {
    fn from(request: KubernetesRequest) -> Self {
        Self::Kubernetes(request)
    }
}
