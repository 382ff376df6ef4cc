//! Whose the entries of an address are that are observed, and which of them the claim may touch.

use viplet_backend_api::{LinkState, Owner, Presence, Usability};

use super::Claim;
use crate::core::observed::{Lifespan, Observed, SeenAddress};

impl Claim {
    /// Why this address will never be put here: the node has it as its own.
    #[must_use]
    pub fn blocked(&self, observed: &Observed) -> Option<String> {
        let own = observed.own_of_node(self.vip.address, &self.vip.link)?;
        Some(format!(
            "{} is this node's own address on {}: it is never taken and never removed; give the \
             virtual address one that no node has",
            self.vip.address, own.link
        ))
    }

    /// Whether it is on its link, ours and answering.
    #[must_use]
    pub fn is_usable(&self, observed: &Observed) -> bool {
        let here = observed.on(self.vip.address, &self.vip.link);
        here.is_some_and(|s| ours(s) && s.usability == Usability::Usable)
    }

    /// Whether anything of it may still be on this node by our doing.
    #[must_use]
    pub fn lingers(&self, observed: &Observed) -> bool {
        let left = |seen: &SeenAddress| {
            is_marked(seen) || (ours(seen) && seen.link == self.vip.link && self.is_put_on_link())
        };
        self.installed_until.is_some() || observed.everywhere(self.vip.address).any(left)
    }

    /// Whether its link can carry traffic.
    #[must_use]
    pub fn link_is_up(&self, observed: &Observed) -> bool {
        observed.link(&self.vip.link).is_some_and(|seen| seen.link.state == LinkState::Up)
    }

    pub(super) fn is_put_on_link(&self) -> bool {
        self.vip.presence == Presence::OnLink
    }

    /// Whether the kernel would keep it after the process has died: another hand put it there, or
    /// changed it (`ip address replace`).
    pub(super) fn stays_for_ever(&self, seen: &SeenAddress) -> bool {
        self.is_put_on_link() && seen.lifespan == Lifespan::Endless
    }
}

/// Whether we may touch it on the link where we claim it: installed by us, left by kube-vip, or put
/// there by hand.
pub(super) fn ours(seen: &SeenAddress) -> bool {
    seen.owner != Owner::Node
}

/// Whether we may touch it on any link: by its form it is ours or kube-vip's.
pub(super) fn is_marked(seen: &SeenAddress) -> bool {
    matches!(seen.owner, Owner::Viplet | Owner::Predecessor)
}
