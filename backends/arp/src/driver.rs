//! [`Arp`]: the backend. Addresses go to the kernel; announcements are sent in the caller's
//! turn; claims of our addresses by other stations come back as notices.

use std::io;
use std::task::{Context, Poll};

use async_io::Async;
use socket2::{Domain, Protocol, SockFilter, Socket, Type};
use viplet_backend_api::{
    Backend, Command, HardwareAddress, LinkKind, LinkState, Notice, Observation, Refusal, Rival,
    Vip,
};
use viplet_netlink::{Kernel, LinkFacts};

use crate::error;
use crate::filter::{self, Instruction};
use crate::machine::{Changed, Held, Origin};
use crate::sys;
use crate::wire::{self, ETHERTYPE_ARP, ETHERTYPE_IPV6, Form, Station};

/// `IFA_PROTO` on every address that viplet installs (design law 4).
const TAG: u8 = 118;
/// Longest frame that we look into; the rest of a longer one is cut off.
const FRAME: usize = 2048;
/// `PACKET_OUTGOING`: our own frame, looped back.
const OUTGOING: u8 = 4;
/// Frames looked at before the caller gets its turn back, however many wait.
const FRAMES_AT_ONCE: usize = 64;

/// ARP and NDP on the links of this node.
#[derive(Debug)]
pub struct Arp {
    kernel: Kernel,
    sender: Socket,
    held: Held,
    /// Of the kernel's addresses, when `held` was read from them.
    revision: Option<u64>,
    arp: Ear,
    advertisements: Ear,
}

/// A receiving socket, open only while an address of its family is held here.
#[derive(Debug)]
struct Ear {
    ethertype: u16,
    socket: Option<Async<Socket>>,
}

impl Arp {
    /// Opens the kernel's sockets and the one that announces.
    ///
    /// # Errors
    /// `Forbidden` when the capability `NET_RAW` is missing.
    pub fn open() -> Result<Self, Refusal> {
        Ok(Self {
            kernel: Kernel::open(TAG)?,
            sender: packet_socket()
                .map_err(|e| error::packet("open a packet socket for ARP", &e))?,
            held: Held::default(),
            revision: None,
            arp: Ear { ethertype: ETHERTYPE_ARP, socket: None },
            advertisements: Ear { ethertype: ETHERTYPE_IPV6, socket: None },
        })
    }

    fn announce(&mut self, vip: &Vip) -> Result<(), Refusal> {
        let link = self.kernel.link(&vip.link).ok_or_else(|| error::not_up(vip, None))?;
        if matches!(link.kind, LinkKind::Loopback | LinkKind::Other) {
            return Ok(());
        }
        if link.state != LinkState::Up {
            return Err(error::not_up(vip, Some(link.state)));
        }
        let odd = || error::odd_hardware(vip, &vip.link);
        let station = station(&link).ok_or_else(odd)?;
        match vip.address {
            std::net::IpAddr::V4(address) => {
                for form in [Form::Request, Form::Reply] {
                    let frame = wire::gratuitous_arp(address, &station, form).ok_or_else(odd)?;
                    self.send(vip, (link.index, ETHERTYPE_ARP, &link.broadcast.0), &frame)?;
                }
                Ok(())
            }
            std::net::IpAddr::V6(address) => {
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

    /// Opens, narrows or closes the ears after the addresses held here have changed.
    fn listen(&mut self) {
        let now = Some(self.kernel.held_revision());
        if std::mem::replace(&mut self.revision, now) == now {
            return;
        }
        for changed in self.held.update(self.kernel.held()) {
            let outcome = match changed {
                Changed::V4 => {
                    let vips = self.held.v4();
                    let open = (!vips.is_empty()).then(|| filter::arp_claims(&vips));
                    self.arp.set(open.as_deref())
                }
                Changed::V6 => {
                    let vips = self.held.v6();
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
        for ear in [&self.arp, &self.advertisements] {
            let mut turns = 0..FRAMES_AT_ONCE;
            loop {
                if turns.next().is_none() {
                    // More may wait: the others get their turn first.
                    cx.waker().wake_by_ref();
                    break;
                }
                match ear.poll_claim(cx) {
                    Poll::Ready(claim) => {
                        let rival = claim.and_then(|(claim, index)| self.rival(claim, index));
                        if let Some(rival) = rival {
                            return Poll::Ready(rival);
                        }
                    }
                    Poll::Pending => break,
                }
            }
        }
        Poll::Pending
    }

    fn rival(&self, claim: wire::Claim, index: u32) -> Option<Rival> {
        let hardware = claim.hardware?;
        let origin = if self.kernel.is_own_hardware(&hardware) {
            Origin::OwnStation
        } else {
            Origin::Segment
        };
        let link = self.kernel.link_name(index)?.clone();
        let rival = self.held.is_rival(index, claim.address, origin);
        rival.then_some(Rival { address: claim.address, link, hardware })
    }
}

impl Backend for Arp {
    fn name(&self) -> &'static str {
        "arp"
    }

    fn observe(&mut self) -> Result<Observation, Refusal> {
        let observation = self.kernel.observe()?;
        self.listen();
        Ok(observation)
    }

    fn apply(&mut self, command: &Command) -> Result<(), Refusal> {
        match command {
            Command::Install { vip, lifetime } => self.kernel.install(vip, *lifetime),
            Command::Withdraw { vip } => self.kernel.withdraw(vip),
            Command::Announce { vip } => self.announce(vip),
        }
    }

    fn poll_notice(&mut self, cx: &mut Context<'_>) -> Poll<Notice> {
        let notice = self.kernel.poll_notice(cx);
        self.listen();
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
        LinkKind::Loopback | LinkKind::Other => None,
    }
}

/// Receives nothing until it is bound to an ethertype; the kernel builds the link-layer header.
fn packet_socket() -> io::Result<Socket> {
    Socket::new(Domain::PACKET, Type::DGRAM, Some(Protocol::from(0)))
}

impl Ear {
    /// Listens for what `program` passes; without one, closes.
    fn set(&mut self, program: Option<&[Instruction]>) -> io::Result<()> {
        let Some(program) = program else {
            self.socket = None;
            return Ok(());
        };
        let program: Vec<SockFilter> = program
            .iter()
            .map(|i| SockFilter::new(i.code, i.jump_true, i.jump_false, i.operand))
            .collect();
        match &self.socket {
            Some(socket) => socket.get_ref().attach_filter(&program),
            None => {
                let socket = packet_socket()?;
                // The filter first: unfiltered frames would pile up.
                socket.attach_filter(&program)?;
                socket.bind(&sys::address(0, self.ethertype, &[])?)?;
                self.socket = Some(Async::new(socket)?);
                Ok(())
            }
        }
    }

    /// Looks at the next frame: the claim in it, if any, and the index of the link on which it
    /// was heard.
    fn poll_claim(&self, cx: &mut Context<'_>) -> Poll<Option<(wire::Claim, u32)>> {
        let Some(socket) = &self.socket else { return Poll::Pending };
        let mut buffer = [0; FRAME];
        Poll::Ready(match sys::receive(socket.get_ref(), &mut buffer) {
            Ok((_, from)) if from.pkttype == OUTGOING => None,
            Ok((frame, from)) => self.read(frame, &from).map(|claim| (claim, from.index)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return socket.poll_readable(cx).map(|_| None);
            }
            // ENETDOWN is reported once when a link goes down; the socket stays good.
            Err(error) => {
                log::debug!("packet socket: {error}");
                None
            }
        })
    }

    fn read(&self, frame: &[u8], from: &sys::Sender) -> Option<wire::Claim> {
        let read = match self.ethertype {
            ETHERTYPE_ARP => wire::read_arp(frame),
            _ => wire::read_advertisement(frame).map(Some),
        };
        match read {
            Ok(Some(claim)) => {
                let sender = || HardwareAddress(from.hardware.clone());
                let hardware = Some(claim.hardware.unwrap_or_else(sender));
                Some(wire::Claim { hardware, ..claim })
            }
            Ok(None) => None,
            Err(reject) => {
                log::debug!("rejected a frame: {}", reject.0);
                None
            }
        }
    }
}
