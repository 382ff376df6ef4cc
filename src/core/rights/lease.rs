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

impl LeaseName {
    /// Reads `name`, which is then in `namespace`, or `namespace/name` (ELE-3); `None` where a
    /// part is no name that Kubernetes takes (RFC 1123).
    #[must_use]
    pub fn parse(text: &str, namespace: &str) -> Option<Self> {
        let (namespace, name) = text.split_once('/').unwrap_or((namespace, text));
        let named = name.len() <= 253 && name.split('.').all(is_clean);
        (named && is_label(namespace))
            .then(|| Self { namespace: namespace.to_owned(), name: name.to_owned() })
    }
}

/// RFC 1123 label, as Kubernetes wants the names of namespaces.
#[must_use]
pub fn is_label(text: &str) -> bool {
    text.len() <= 63 && is_clean(text)
}

/// One part of a name: Kubernetes limits the length of the whole, not of each part.
fn is_clean(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let ends = text.starts_with('-') || text.ends_with('-');
    !text.is_empty() && text.bytes().all(inner) && !ends
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
    /// The annotation [`MOVED`], which a renewal leaves as it is.
    pub moved: Option<Box<str>>,
    /// The annotation [`WRITER`].
    #[serde(default)]
    pub writer: Option<Box<str>>,
}

/// Names addresses that this Lease decides about no more: `ADDRESS@VERSION=LEASE`, a comma between
/// two. Who has not seen Services up to that version goes by an older state: by this Lease it
/// takes the address no more, and keeps it no longer than its hold lasted when it saw this.
pub const MOVED: &str = "viplet.io/moved";

/// Names the holder that wrote the Lease and a hardware address of its machine, a blank between
/// them: two machines of one name tell their records from each other's by it. client-go writes it
/// back as it was: it counts only where it names the holder.
pub const WRITER: &str = "viplet.io/writer";

impl LeaseRecord {
    /// The hardware address of the machine that wrote the record, where it is known.
    #[must_use]
    pub fn machine(&self) -> Option<&str> {
        self.writer.as_deref()?.strip_prefix(&self.holder)?.strip_prefix(' ')
    }

    /// Whether nobody claimed, renewed or released it in between.
    #[must_use]
    pub fn is_same_hold(&self, other: &Self) -> bool {
        let key = |record: &Self| (record.duration_seconds, record.transitions);
        self.holder == other.holder
            && self.renewed == other.renewed
            && self.acquired == other.acquired
            && key(self) == key(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_lease_of_a_service_with_the_longest_name_can_be_named() {
        let name = format!("kubevip-{}", "x".repeat(63));
        let lease = LeaseName::parse(&name, "default").expect("a name as Kubernetes takes it");
        assert_eq!(lease.to_string(), format!("default/{name}"));
        assert_eq!(LeaseName::parse(&format!("{}/a", "x".repeat(64)), "default"), None);
        assert_eq!(LeaseName::parse(&"x".repeat(254), "default"), None);
        for text in ["", "a/", "/a", "a/b/c", "A", "-a", "a..b", "a_b"] {
            assert_eq!(LeaseName::parse(text, "default"), None, "{text}");
        }
    }
}
