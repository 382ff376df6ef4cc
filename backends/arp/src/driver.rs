//! [`Arp`]: the backend. Addresses go to the kernel; announcements are sent in the caller's
//! turn; claims of our addresses by other stations come back as notices.

mod receiver;

use std::mem::discriminant;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use async_io::Timer;
use receiver::{Receiver, packet_socket};
use socket2::Socket;
use viplet_backend_api::{
    Backend, Command, LinkKind, LinkName, LinkState, Notice, Observation, Refusal, Rival, Tag, Vip,
};
use viplet_netlink::{Kernel, LinkFacts, Placed};

use crate::error;
use crate::filter;
use crate::machine::{Announced, Changed, Held, Origin};
use crate::sys;
use crate::wire::{self, ETHERTYPE_ARP, ETHERTYPE_IPV6, Station};

/// Frames looked at before the caller gets its turn back, however many wait.
const FRAMES_AT_ONCE: usize = 64;
/// A new filter costs more the more addresses are held: after a change the filters stay as they are
/// for this time per address, and at most for [`FILTERS_KEPT_MOST`]. A rival is heard so much later,
/// which is soon enough.
const FILTERS_KEPT_EACH: Duration = Duration::from_micros(100);
const FILTERS_KEPT_MOST: Duration = Duration::from_millis(100);

/// ARP and NDP on the links of this node.
#[derive(Debug)]
pub struct Arp {
    kernel: Kernel,
    sender: Socket,
    announced: Announced,
    held: Held,
    /// Of the kernel's addresses, when `held` was read from them.
    revision: Option<u64>,
    /// Until when `held` and the receivers' filters stay as they are.
    filters_kept: Option<Timer>,
    arp: Receiver,
    advertisements: Receiver,
}

/// The link of the announcement before, as looked up in this turn.
type Known = Option<(LinkName, Option<LinkFacts>)>;

impl Arp {
    /// Opens the kernel's sockets and the one that announces. `tag` marks the addresses of this
    /// instance.
    ///
    /// # Errors
    /// `Forbidden` when the capability `NET_RAW` is missing.
    pub fn open(tag: Tag) -> Result<Self, Refusal> {
        Ok(Self {
            kernel: Kernel::open(tag)?,
            sender: packet_socket()
                .map_err(|e| error::packet("open a packet socket for ARP", &e))?,
            announced: Announced::default(),
            held: Held::default(),
            revision: None,
            filters_kept: None,
            arp: Receiver::new(ETHERTYPE_ARP),
            advertisements: Receiver::new(ETHERTYPE_IPV6),
        })
    }

    /// The outcomes of the installs among the commands, in few system calls.
    fn install_all(&mut self, commands: &[Command]) -> Vec<Result<Placed, Refusal>> {
        let installs: Vec<_> = commands
            .iter()
            .filter_map(|command| match command {
                Command::Install { vip, lifetime } => Some((vip, *lifetime)),
                Command::Announce { .. } | Command::Withdraw { .. } => None,
            })
            .collect();
        self.kernel.install_all(&installs)
    }

    fn placed(&mut self, address: IpAddr, placed: Placed) {
        if placed == Placed::Added {
            self.announced.forget(address);
        }
    }

    fn announce_as_known(&mut self, vip: &Vip, known: &mut Known) -> Result<(), Refusal> {
        if known.as_ref().is_none_or(|(name, _)| *name != vip.link) {
            *known = Some((vip.link.clone(), self.kernel.link(&vip.link)));
        }
        self.announce(vip, known.as_ref().and_then(|(_, link)| link.as_ref()))
    }

    fn announce(&mut self, vip: &Vip, link: Option<&LinkFacts>) -> Result<(), Refusal> {
        let link = link.ok_or_else(|| error::not_up(vip, None))?;
        if matches!(link.kind, LinkKind::Loopback | LinkKind::Dummy | LinkKind::Other) {
            return Ok(());
        }
        if link.state != LinkState::Up {
            return Err(error::not_up(vip, Some(link.state)));
        }
        let odd = || error::odd_hardware(vip, &vip.link);
        let station = station(link).ok_or_else(odd)?;
        match vip.address {
            IpAddr::V4(address) => {
                for form in self.announced.forms(address) {
                    let frame = wire::gratuitous_arp(address, &station, *form).ok_or_else(odd)?;
                    self.send(vip, (link.index, ETHERTYPE_ARP, &link.broadcast.0), &frame)?;
                }
                self.announced.count(address);
                Ok(())
            }
            IpAddr::V6(address) => {
                let source = self.kernel.link_local(link.index).unwrap_or(address);
                let packet =
                    wire::unsolicited_advertisement(address, source, &station).ok_or_else(odd)?;
                let group = station.all_nodes(&link.broadcast.0);
                self.send(vip, (link.index, ETHERTYPE_IPV6, &group), &packet)
            }
        }
    }

    fn send(&self, vip: &Vip, to: (u32, u16, &[u8]), frame: &[u8]) -> Result<(), Refusal> {
        let (index, ethertype, hardware) = to;
        sys::address(index, ethertype, hardware)
            .and_then(|address| self.sender.send_to(frame, &address))
            .map(drop)
            .map_err(|e| error::packet(&format!("announce {vip}"), &e))
    }

    /// Opens, narrows or closes the receivers after the addresses held here have changed, unless that
    /// was done just now: then later, in one go.
    fn listen(&mut self, cx: &mut Context<'_>) {
        if self.revision == Some(self.kernel.held_revision()) {
            return;
        }
        if self.filters_kept.as_mut().is_some_and(|timer| Pin::new(timer).poll(cx).is_pending()) {
            return;
        }
        self.listen_now();
        let each = u32::try_from(self.held.len()).unwrap_or(u32::MAX);
        let kept = FILTERS_KEPT_EACH.saturating_mul(each).min(FILTERS_KEPT_MOST);
        self.filters_kept = Some(Timer::after(kept));
    }

    fn listen_now(&mut self) {
        self.revision = Some(self.kernel.held_revision());
        let changed = self.held.update(self.kernel.held());
        self.announced.keep(&self.held);
        for changed in changed {
            let outcome = match changed {
                Changed::V4 => {
                    let vips: Vec<_> = self.held.v4().collect();
                    let open = (!vips.is_empty()).then(|| filter::arp_claims(&vips));
                    self.arp.set(open.as_deref())
                }
                Changed::V6 => {
                    let vips: Vec<_> = self.held.v6().collect();
                    let open = (!vips.is_empty()).then(|| filter::advertisements(&vips));
                    self.advertisements.set(open.as_deref())
                }
            };
            if let Err(error) = outcome {
                log::warn!("cannot listen for rivals: {error}");
            }
        }
    }

    fn poll_rival(&mut self, cx: &mut Context<'_>) -> Poll<Rival> {
        for receiver in [&mut self.arp, &mut self.advertisements] {
            let mut turns = 0..FRAMES_AT_ONCE;
            loop {
                if turns.next().is_none() {
                    // More may wait: the others get their turn first.
                    cx.waker().wake_by_ref();
                    break;
                }
                let Poll::Ready(claim) = receiver.poll_claim(cx) else { break };
                let heard = claim.and_then(|claim| rival(&self.kernel, &self.held, claim));
                if let Some(rival) = heard {
                    // The segment has to hear us whatever form it heeds.
                    self.announced.forget(rival.address);
                    return Poll::Ready(rival);
                }
            }
        }
        Poll::Pending
    }
}

fn rival(kernel: &Kernel, held: &Held, (claim, index): (wire::Claim, u32)) -> Option<Rival> {
    if !held.has(index, claim.address) {
        return None;
    }
    let hardware = claim.hardware?;
    let origin = match kernel.is_own_hardware(&hardware) {
        true => Origin::OwnStation,
        false => Origin::Segment,
    };
    let link = kernel.link_name(index)?.clone();
    let rival = held.is_rival(index, claim.address, origin);
    rival.then_some(Rival { address: claim.address, link, hardware })
}

impl Backend for Arp {
    fn name(&self) -> &'static str {
        "arp"
    }

    fn observe(&mut self) -> Result<Observation, Refusal> {
        let observation = self.kernel.observe()?;
        self.listen_now();
        Ok(observation)
    }

    fn apply_all(&mut self, commands: &[Command]) -> Vec<Result<(), Refusal>> {
        let mut outcomes = Vec::with_capacity(commands.len());
        for alike in commands.chunk_by(|a, b| discriminant(a) == discriminant(b)) {
            let mut placed = self.install_all(alike).into_iter();
            let mut known = None;
            for command in alike {
                outcomes.push(match command {
                    Command::Install { vip, .. } => {
                        let placed = placed.next().unwrap_or(Ok(Placed::Refreshed));
                        placed.map(|placed| self.placed(vip.address, placed))
                    }
                    Command::Announce { vip } => self.announce_as_known(vip, &mut known),
                    Command::Withdraw { address, link } => {
                        self.announced.forget(*address);
                        self.kernel.withdraw(*address, link)
                    }
                });
            }
        }
        outcomes
    }

    fn poll_notice(&mut self, cx: &mut Context<'_>) -> Poll<Notice> {
        let notice = self.kernel.poll_notice(cx);
        self.listen(cx);
        if notice.is_ready() {
            return notice;
        }
        self.poll_rival(cx).map(Notice::Rival)
    }
}

/// The sender's view of a link; `None` where its hardware address has not its type's length.
fn station(link: &LinkFacts) -> Option<Station> {
    let hardware = link.hardware.0.as_slice();
    match link.kind {
        LinkKind::Ethernet => hardware.try_into().ok().map(Station::Ethernet),
        LinkKind::Infiniband => hardware.try_into().ok().map(Station::Infiniband),
        LinkKind::Loopback | LinkKind::Dummy | LinkKind::Other => None,
    }
}
