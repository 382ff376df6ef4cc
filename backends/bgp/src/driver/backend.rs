//! The contract: commands in the caller's turn, notices of what the kernel and the peers say.

use std::mem::discriminant;
use std::net::IpAddr;
use std::task::{Context, Poll};
use std::time::Duration;

use viplet_backend_api::{
    Backend, Command, Lifetime, LinkName, NodeSettings, Notice, Observation, PeerStatus, Peers,
    Presence, Refusal, Vip,
};

use super::{Bgp, Leaving};
use crate::error;
use crate::table::Completeness;

/// Room for notices that is kept when there are none.
const NOTICES_AT_REST: usize = 32;

impl Backend for Bgp {
    fn name(&self) -> &'static str {
        "bgp"
    }

    fn observe(&mut self) -> Result<Observation, Refusal> {
        let mut observation = self.kernel.observe()?;
        self.node.replace(&observation);
        self.holdings.replace(&observation);
        self.withdraw_what_is_not_here();
        observation.addresses.extend(self.holdings.made_known(self.now()));
        Ok(observation)
    }

    fn apply_all(&mut self, commands: &[Command]) -> Vec<Result<(), Refusal>> {
        let mut outcomes = Vec::with_capacity(commands.len());
        for alike in commands.chunk_by(|a, b| discriminant(a) == discriminant(b)) {
            outcomes.extend(match alike.first() {
                Some(Command::Withdraw { .. }) => self.withdraw_all(alike),
                Some(Command::Install { .. }) => self.install_all(alike),
                Some(Command::Announce { .. }) | None => self.announce_all(alike),
            });
        }
        self.wake();
        outcomes
    }

    fn poll_notice(&mut self, cx: &mut Context<'_>) -> Poll<Notice> {
        if !self.waker.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            self.waker = Some(cx.waker().clone());
        }
        loop {
            match self.notices.pop_front() {
                Some(Notice::Reach(reach)) => match self.counted.latest(reach) {
                    Some(reach) => return Poll::Ready(Notice::Reach(reach)),
                    None => continue,
                },
                Some(notice) => return Poll::Ready(notice),
                None => {}
            }
            if let Poll::Ready(notice) = self.kernel.poll_notice(cx) {
                return Poll::Ready(self.heard(notice));
            }
            let happened = self.look_after(cx);
            self.count();
            let due = self.poll_deadline(cx);
            if happened.is_pending() && due.is_pending() && self.notices.is_empty() {
                self.notices.shrink_to(NOTICES_AT_REST);
                return Poll::Pending;
            }
        }
    }

    fn peers(&mut self) -> Option<&mut dyn Peers> {
        Some(self)
    }

    fn node_settings(&mut self) -> Option<&mut dyn NodeSettings> {
        let wanted = self.source.as_ref().is_some_and(|source| source.prefix().is_some());
        wanted.then_some(self)
    }
}

impl Peers for Bgp {
    fn statuses(&self) -> Vec<PeerStatus> {
        let now = self.now();
        let waiting = self.source.as_ref().and_then(|source| source.status(now));
        waiting.into_iter().chain(self.neighbours.iter().map(|peer| peer.status(now))).collect()
    }

    fn settled(&mut self) {
        self.completeness = Completeness::Whole;
        self.advertise();
        self.wake();
    }

    fn prepare_to_stop(&mut self) -> Duration {
        self.leaving = Leaving::Soon;
        self.readvertise();
        self.advertise();
        self.wake();
        let told = self.neighbours.iter().any(super::Neighbour::is_up) && !self.table.is_empty();
        if told { self.settings.graceful_shutdown } else { Duration::ZERO }
    }
}

impl Bgp {
    /// Peers first: while the address is still here, their packets are taken.
    fn withdraw_all(&mut self, commands: &[Command]) -> Vec<Result<(), Refusal>> {
        for command in commands {
            let (address, link) = (command.address(), command.link());
            // A copy on another link than the one that was announced says nothing of the route,
            // unless it is the last one that takes packets here.
            if self.table.is_announced_on(address, link) || !self.holdings.has_beside(address, link)
            {
                self.table.remove(address);
            }
        }
        self.advertise();
        commands.iter().map(|command| self.withdraw(command.address(), command.link())).collect()
    }

    fn withdraw(&mut self, address: IpAddr, link: &LinkName) -> Result<(), Refusal> {
        match self.holdings.forget(address, link) {
            // It was put on no link: a copy that somebody put there by hand is not ours.
            Some(gone) => {
                self.notices.push_back(gone);
                self.kernel.withdraw_marked(address, link)?;
            }
            None => self.kernel.withdraw(address, link)?,
        }
        self.holdings.take_off_link(address, link);
        Ok(())
    }

    /// Peers are told of all new addresses together.
    fn announce_all(&mut self, commands: &[Command]) -> Vec<Result<(), Refusal>> {
        let vips = commands.iter().filter_map(|command| match command {
            Command::Announce { vip } => Some(vip),
            Command::Install { .. } | Command::Withdraw { .. } => None,
        });
        let outcomes = vips.map(|vip| self.announce(vip)).collect();
        self.advertise();
        self.count();
        outcomes
    }

    /// The outcomes of the installs among the commands, in their order.
    fn install_all(&mut self, commands: &[Command]) -> Vec<Result<(), Refusal>> {
        let installs = || {
            commands.iter().filter_map(|command| match command {
                Command::Install { vip, lifetime } => Some((vip, *lifetime)),
                Command::Announce { .. } | Command::Withdraw { .. } => None,
            })
        };
        let on_links: Vec<_> =
            installs().filter(|(vip, _)| vip.presence == Presence::OnLink).collect();
        let mut placed = self.kernel.install_all(&on_links).into_iter();
        installs()
            .map(|(vip, lifetime)| match vip.presence {
                Presence::OnLink => match placed.next() {
                    Some(Err(refusal)) => Err(refusal),
                    _ => {
                        self.holdings.put_on_link(vip);
                        Ok(())
                    }
                },
                Presence::MadeKnown => self.make_known(vip, lifetime),
            })
            .collect()
    }

    fn make_known(&mut self, vip: &Vip, lifetime: Lifetime) -> Result<(), Refusal> {
        if let Some(link) = self.node.link_of(vip.address) {
            return Err(error::node_own(vip, link));
        }
        let now = self.now();
        let notice = self.holdings.make_known(vip, lifetime, now);
        if notice.is_some() && !self.table.contains(vip.address) {
            self.nobody_told(vip.address);
        }
        self.notices.extend(notice);
        Ok(())
    }

    fn announce(&mut self, vip: &Vip) -> Result<(), Refusal> {
        if !self.holdings.has(vip) {
            return Err(error::not_here(vip));
        }
        if self.table.insert(vip.address, &vip.link) && vip.presence == Presence::OnLink {
            self.nobody_told(vip.address);
        }
        Ok(())
    }

    /// Takes in what the kernel says, and adds to it what only we know.
    fn heard(&mut self, mut notice: Notice) -> Notice {
        let stale = match &notice {
            Notice::AddressGone { address, .. } => self.is_still_there(*address),
            _ => false,
        };
        self.node.notice(&notice);
        if !stale {
            self.holdings.notice(&notice);
        }
        if matches!(notice, Notice::Snapshot(_) | Notice::AddressGone { .. } | Notice::LinkGone(_))
        {
            self.withdraw_what_is_not_here();
        }
        let now = self.now();
        match &mut notice {
            Notice::Snapshot(observation) => {
                observation.addresses.extend(self.holdings.made_known(now));
            }
            Notice::LinkGone(gone) => {
                let kept = self.holdings.made_known(now).filter(|address| address.link == *gone);
                self.notices.extend(kept.map(Notice::Address));
            }
            _ => {}
        }
        notice
    }

    /// A notice may be older than what was done since.
    fn is_still_there(&self, address: IpAddr) -> bool {
        self.table.contains(address) && self.kernel.held().any(|(_, held)| held == address)
    }

    /// Peers are told of no address whose packets cannot be taken here.
    fn withdraw_what_is_not_here(&mut self) {
        let gone: Vec<IpAddr> =
            self.table.iter().filter(|address| !self.holdings.has_anywhere(*address)).collect();
        if gone.is_empty() {
            return;
        }
        for address in gone {
            log::warn!("{address} is gone from its link: withdrawn from all peers");
            self.table.remove(address);
        }
        self.advertise();
    }
}
