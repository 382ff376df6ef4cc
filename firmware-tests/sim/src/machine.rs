//! What runs on a node: viplet's core, or a stand-in that speaks the core's words.

use viplet::core::settings::PlaneElection;
use viplet::core::status::RoleStatus;
use viplet::core::{Core, Effect, Input, Moment};

/// What a node says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its part in the election.
    pub role: RoleStatus,
    /// When it holds: until when.
    pub until: Option<Moment>,
    /// Who it thinks holds the lease.
    pub holder: String,
}

/// A program in the core's words.
pub trait Machine {
    /// Takes an input, appends effects.
    fn handle(&mut self, input: Input, now: Moment, effects: &mut Vec<Effect>);
    /// When it wants [`Input::Deadline`].
    fn next_deadline(&self, now: Moment) -> Option<(Moment, &'static str)>;
    /// What it says of itself.
    fn standing(&self, now: Moment) -> Standing;
    /// Whether everything that it is to announce for now has been announced.
    fn is_settled(&self, now: Moment) -> bool;
}

impl Machine for Core {
    fn handle(&mut self, input: Input, now: Moment, effects: &mut Vec<Effect>) {
        Self::handle(self, input, now, effects);
    }

    fn next_deadline(&self, now: Moment) -> Option<(Moment, &'static str)> {
        Self::next_deadline(self, now)
    }

    fn standing(&self, now: Moment) -> Standing {
        let plane = self.settings().control_plane.as_ref();
        if plane.is_none_or(|plane| plane.election == PlaneElection::EveryNode) {
            return Standing { role: RoleStatus::Following, until: None, holder: String::new() };
        }
        let status = self.status(now);
        let lease = status.leases.into_iter().next().expect("a core with a control plane");
        let until = lease.held_for.map(|left| now + left);
        Standing { role: lease.role, until, holder: lease.holder }
    }

    fn is_settled(&self, now: Moment) -> bool {
        Self::is_settled(self, now)
    }
}
