//! Refusals of this backend: the packet socket's errno, and links that nothing can be sent on.

use std::io;

use viplet_backend_api::{Class, LinkName, LinkState, Refusal, Vip};
use viplet_netlink::{Capability, io_refusal};

/// Opening or using a packet socket failed.
pub(crate) fn packet(action: &str, error: &io::Error) -> Refusal {
    io_refusal(action, error, Capability::NetRaw, "")
}

/// The link cannot carry an announcement now.
pub(crate) fn not_up(vip: &Vip, state: Option<LinkState>) -> Refusal {
    let why = match state {
        None => "does not exist",
        Some(LinkState::AdminDown) => "is switched off",
        Some(_) => "has no carrier",
    };
    lost(vip, &format!("{} {why}: waiting for it", vip.link))
}

/// A link whose hardware address has an unusable form.
pub(crate) fn odd_hardware(vip: &Vip, link: &LinkName) -> Refusal {
    lost(vip, &format!("{link} has no hardware address of its type"))
}

fn lost(vip: &Vip, why: &str) -> Refusal {
    Refusal { class: Class::Lost, reason: format!("cannot announce {}: {why}", vip.address) }
}
