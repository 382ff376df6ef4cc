//! The contract between viplet's core and its backends: the [`Backend`] trait and its few types.
//!
//! A backend makes virtual addresses present on this node, tells the network about them, and
//! reports what it OBSERVES (dumped from the kernel or the peer), never what it was told to do.
//! Calls come in this order: [`Backend::observe`] once, then any number of [`Backend::apply_all`]
//! and [`Backend::poll_notice`]. A backend decides nothing: who holds an address, and until
//! when, is the core's business.

#![cfg_attr(not(test), deny(unused_crate_dependencies))]

mod command;
mod error;
mod given;
mod hash;
mod interface;
mod node_settings;
mod observation;
mod peer;
mod tag;

pub use command::{Command, DuplicateDetection, Lifetime, LinkName, Presence, Scope, Vip};
pub use error::{Class, Refusal};
pub use given::{Given, Unacceptable};
pub use hash::fnv1a;
pub use interface::InterfaceName;
pub use node_settings::NodeSettings;
pub use observation::{
    Address, DefaultRoute, HardwareAddress, Link, LinkKind, LinkState, Notice, Observation, Owner,
    Reach, Rival, Usability,
};
pub use peer::{BgpSession, PeerStatus, Peers, Session};
pub use tag::Tag;

use std::task::{Context, Poll};

/// One way of making addresses present and known: ARP/NDP, BGP, a route table, WireGuard. What
/// only some can do is a trait of its own, which the backend hands out.
pub trait Backend {
    /// The backend's name as its Cargo feature spells it, for logs and metrics.
    fn name(&self) -> &'static str;

    /// Dumps everything afresh from the kernel or the peer.
    ///
    /// # Errors
    /// When the dump is refused; the caller asks again later.
    fn observe(&mut self) -> Result<Observation, Refusal>;

    /// Carries out commands in the caller's turn, as if one after another, and gives the outcome
    /// of each in their order: when this returns, each is done or refused, and none half done.
    /// What becomes of one says nothing about the others; what a refusal keeps back is the
    /// caller's business (viplet's `core/carry.rs`: no two commands are about one address).
    fn apply_all(&mut self, commands: &[Command]) -> Vec<Result<(), Refusal>>;

    /// As [`Backend::apply_all`], of one.
    ///
    /// # Errors
    /// With the kernel's or the peer's reason.
    fn apply(&mut self, command: &Command) -> Result<(), Refusal> {
        self.apply_all(std::slice::from_ref(command)).pop().unwrap_or(Ok(()))
    }

    /// Waits for the next thing observed. After an overrun the backend dumps by itself and
    /// yields a [`Notice::Snapshot`].
    fn poll_notice(&mut self, cx: &mut Context<'_>) -> Poll<Notice>;

    /// The peers that it announces to; `None` where the network is a segment.
    fn peers(&mut self) -> Option<&mut dyn Peers> {
        None
    }

    /// Where some of its settings are in this node's annotations: what takes them.
    fn node_settings(&mut self) -> Option<&mut dyn NodeSettings> {
        None
    }
}
