//! The Lease object as an election sees it: `coordination.k8s.io/v1`, as client-go writes it
//! (`k8s.io/client-go/tools/leaderelection/resourcelock`).

use std::fmt;

use serde::{Deserialize, Serialize};

/// Namespace and name of a Lease.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LeaseName {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl fmt::Display for LeaseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// A time in a record. The core compares times of records, it never reads them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stamp {
    /// The shell writes the wall clock's time at the moment of sending (RFC 3339, microseconds).
    Now,
    /// As the API server gave it.
    At(String),
    /// The field was not there.
    Absent,
}

/// `spec` of a Lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseRecord {
    /// `holderIdentity`; empty: released.
    pub holder: String,
    /// `leaseDurationSeconds`; 0 when the field was absent or negative.
    pub duration_seconds: u32,
    /// `acquireTime`.
    pub acquired: Stamp,
    /// `renewTime`.
    pub renewed: Stamp,
    /// `leaseTransitions`.
    pub transitions: u32,
}
