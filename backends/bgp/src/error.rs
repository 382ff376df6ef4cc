//! Refusals of this backend.

use viplet_backend_api::{Class, LinkName, Refusal, Vip};

/// The address is the node's own.
pub(crate) fn node_own(vip: &Vip, link: &LinkName) -> Refusal {
    Refusal {
        class: Class::Misconfigured,
        reason: format!(
            "{} is this node's own address on {link}; choose an address that no node has",
            vip.address
        ),
    }
}

/// Nothing here would take the packets that the announcement draws.
pub(crate) fn not_here(vip: &Vip) -> Refusal {
    Refusal {
        class: Class::Lost,
        reason: format!(
            "cannot announce {}: it is not on {} (any more); it is put there first",
            vip.address, vip.link
        ),
    }
}
