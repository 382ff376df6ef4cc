//! The contract between viplet's core and its backends: the [`Backend`] trait and its few types.
//!
//! A backend makes virtual addresses present on this node, tells the network about them, and
//! reports what it OBSERVES (dumped from the kernel or the peer), never what it was told to do.
//! Calls come in this order: [`Backend::observe`] once, then any number of [`Backend::apply`]
//! (or [`Backend::apply_all`]) and [`Backend::poll_notice`]. A backend decides nothing: who holds an address, and until
//! when, is the core's business.

#![cfg_attr(not(test), deny(unused_crate_dependencies))]

mod command;
mod error;
mod given;
mod observation;
mod peer;
mod tag;

pub use command::{Command, DuplicateDetection, Lifetime, LinkName, Presence, Scope, Vip};
pub use error::{Class, Refusal};
pub use given::{Given, Unacceptable};
pub use observation::{
    Address, DefaultRoute, HardwareAddress, Link, LinkKind, LinkState, Notice, Observation, Owner,
    Reach, Rival, Usability,
};
pub use peer::{PeerStatus, Session};
pub use tag::Tag;

use std::collections::{BTreeMap, BTreeSet};
use std::task::{Context, Poll};
use std::time::Duration;

/// One way of making addresses present and known: ARP/NDP, BGP, a route table, WireGuard.
pub trait Backend {
    /// The backend's name as its Cargo feature spells it, for logs and metrics.
    fn name(&self) -> &'static str;

    /// Dumps everything afresh from the kernel or the peer.
    ///
    /// # Errors
    /// When the dump is refused; the caller asks again later.
    fn observe(&mut self) -> Result<Observation, Refusal>;

    /// Carries out one command in the caller's turn: when this returns, it is done or refused.
    ///
    /// # Errors
    /// With the kernel's or the peer's reason; nothing is left half done.
    fn apply(&mut self, command: &Command) -> Result<(), Refusal>;

    /// Carries out several commands in the caller's turn, as if one after another, and gives the
    /// outcome of each in their order; a refused one keeps back only the announcements of its
    /// address that follow: their outcome is `Ok`, as its refusal says it all.
    fn apply_all(&mut self, commands: &[Command]) -> Vec<Result<(), Refusal>> {
        let mut refused = BTreeSet::new();
        let mut one = |command: &Command| {
            let address = command.address();
            if matches!(command, Command::Announce { .. }) && refused.contains(&address) {
                return Ok(());
            }
            self.apply(command).inspect_err(|_| {
                refused.insert(address);
            })
        };
        commands.iter().map(&mut one).collect()
    }

    /// Waits for the next thing observed. After an overrun the backend dumps by itself and
    /// yields a [`Notice::Snapshot`].
    fn poll_notice(&mut self, cx: &mut Context<'_>) -> Poll<Notice>;

    /// The peers that it announces to, in the order of the settings; none where the network is a segment.
    fn peers(&self) -> Vec<PeerStatus> {
        Vec::new()
    }

    /// This node's annotations, at first and whenever they change, where the backend's settings
    /// are to be read from them ([`Backend::annotation_prefix`]).
    fn annotated(&mut self, annotations: &BTreeMap<String, String>) {
        let _ = annotations;
    }

    /// The prefix of the node's annotations that hold settings of this backend, if any do.
    fn annotation_prefix(&self) -> Option<&str> {
        None
    }

    /// Everything that this node is to announce for now has been announced. Before this, peers
    /// that keep what an earlier run announced are not told that they have heard it all
    /// (End-of-RIB, RFC 4724 §3): they would drop the rest.
    fn settled(&mut self) {}

    /// The process is about to end as planned: makes the network look for other ways, and gives
    /// the time for which addresses are better kept until they are withdrawn.
    fn prepare_to_stop(&mut self) -> Duration {
        Duration::ZERO
    }
}
