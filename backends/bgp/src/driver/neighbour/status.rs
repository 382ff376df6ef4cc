//! A peer as `viplet status` and the metrics show it.

use viplet_backend_api::{BgpSession, PeerStatus, Session};

use super::Neighbour;
use crate::machine::{Moment, State};

impl Neighbour {
    /// What went wrong last, for a person.
    pub(super) fn last_error(&self) -> Option<String> {
        let last = self.session.last_error().or(self.warning.as_deref())?;
        // The peer's kernel drops what is signed with another password: we see nothing but silence.
        let signed = self.peer.password.is_some() && last.starts_with("no answer");
        Some(format!("{last}{}", if signed { " Has it the same password?" } else { "" }))
    }

    /// As of now.
    pub(in crate::driver) fn status(&self, now: Moment) -> PeerStatus {
        let (state, since) = self.state;
        let told = self.rib_out.as_ref().map_or(0, |(_, rib_out)| rib_out.len());
        PeerStatus {
            name: self.name.clone(),
            session: match state {
                State::Established => Session::Up,
                _ => Session::Down,
            },
            since: now.saturating_sub(since),
            addresses: told.try_into().unwrap_or(u32::MAX),
            last_error: self.last_error(),
            established: self.counts.established,
            lost: self.counts.lost,
            bgp: Some(BgpSession {
                remote_as: self.session.remote_as(),
                state: state.name().into(),
                bfd: self.peer.bfd.map(|_| self.path.name().into()),
                sent: self.counts.sent,
                received: self.counts.received,
                updates: self.counts.updates,
            }),
        }
    }
}
