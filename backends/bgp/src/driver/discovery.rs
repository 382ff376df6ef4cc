//! Who is at the other end of a link (`unnumbered:eth0`): router solicitations and echo requests
//! go out, router advertisements (RFC 4861 §4.2) and echo replies name the neighbour. We advertise
//! ourselves too, as a router for nobody (lifetime 0): FRR learns by that whom it may speak to.

use std::io;
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::task::{Context, Poll};
use std::time::Duration;

use async_io::Async;
use socket2::{Domain, Protocol, Socket, Type};
use viplet_backend_api::LinkName;

use crate::machine::Moment;
use crate::sys;

const ECHO_REQUEST: u8 = 128;
const ECHO_REPLY: u8 = 129;
const SOLICITATION: u8 = 133;
const ADVERTISEMENT: u8 = 134;
/// RFC 4861 §6.1: what has passed a router is not heard.
const HOPS: u32 = 255;
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
/// Advertised to others so often.
const PERIOD: Duration = Duration::from_secs(10);
/// Asked again so soon at first.
const FIRST: Duration = Duration::from_millis(250);

/// The neighbour on one link.
#[derive(Debug)]
pub(super) struct Discovery {
    link: LinkName,
    socket: Option<(u32, Async<UdpSocket>)>,
    neighbour: Option<Ipv6Addr>,
    next: Moment,
    wait: Duration,
}

impl Discovery {
    pub(super) fn new(link: LinkName, now: Moment) -> Self {
        Self { link, socket: None, neighbour: None, next: now, wait: FIRST }
    }

    pub(super) fn link(&self) -> &LinkName {
        &self.link
    }

    /// Whoever is there.
    pub(super) fn neighbour(&self) -> Option<Ipv6Addr> {
        self.neighbour
    }

    pub(super) fn deadline(&self) -> Moment {
        self.next
    }

    /// The neighbour did not answer: another may be there by now.
    pub(super) fn ask_again(&mut self) {
        self.wait = FIRST;
    }

    /// Asks when it is time; `index` is the link's, if it is there.
    pub(super) fn tick(&mut self, index: Option<u32>, now: Moment) {
        if self.next > now {
            return;
        }
        self.next = now + self.wait;
        self.wait = (self.wait * 2).min(PERIOD);
        if let Err(error) = self.ask(index) {
            log::debug!("{}: cannot look for the neighbour: {error}", self.link);
            self.socket = None;
        }
    }

    fn ask(&mut self, index: Option<u32>) -> io::Result<()> {
        let index = index.ok_or(io::ErrorKind::NotFound)?;
        if self.socket.as_ref().is_none_or(|(known, _)| *known != index) {
            self.neighbour = None;
            self.socket = Some((index, open(&self.link, index)?));
        }
        self.send(&advertisement(), ALL_NODES)?;
        if self.neighbour.is_none() {
            self.send(&[SOLICITATION, 0, 0, 0, 0, 0, 0, 0], ALL_ROUTERS)?;
            // Who is no router says nothing of itself, but answers.
            self.send(&[ECHO_REQUEST, 0, 0, 0, 0x76, 0x69, 0, 1], ALL_ROUTERS)?;
            if self.wait > FIRST * 4 {
                self.send(&[ECHO_REQUEST, 0, 0, 0, 0x76, 0x69, 0, 2], ALL_NODES)?;
            }
        }
        Ok(())
    }

    fn send(&self, message: &[u8], to: Ipv6Addr) -> io::Result<()> {
        let Some((index, socket)) = &self.socket else { return Ok(()) };
        socket.get_ref().send_to(message, SocketAddrV6::new(to, 0, 0, *index)).map(drop)
    }

    /// Takes in what came; ready with a neighbour that was not known before.
    pub(super) fn poll(
        &mut self,
        own: &dyn Fn(Ipv6Addr) -> bool,
        cx: &mut Context<'_>,
    ) -> Poll<Ipv6Addr> {
        loop {
            let Some((_, socket)) = &self.socket else { return Poll::Pending };
            let (kind, from) = match receive(socket.get_ref()) {
                Ok(heard) => heard,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    std::task::ready!(socket.poll_readable(cx)).ok();
                    continue;
                }
                Err(_) => {
                    self.socket = None;
                    return Poll::Pending;
                }
            };
            let Some(from) = from.filter(|from| from.is_unicast_link_local() && !own(*from)) else {
                continue;
            };
            match kind {
                SOLICITATION => drop(self.send(&advertisement(), ALL_NODES)),
                ADVERTISEMENT if self.neighbour != Some(from) => {
                    self.neighbour = Some(from);
                    return Poll::Ready(from);
                }
                ECHO_REPLY if self.neighbour.is_none() => {
                    self.neighbour = Some(from);
                    return Poll::Ready(from);
                }
                _ => {}
            }
        }
    }
}

/// Hop limit not given, no flags, lifetime 0, no times (RFC 4861 §4.2); the kernel fills in the checksum.
const fn advertisement() -> [u8; 16] {
    [ADVERTISEMENT, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
}

/// A raw socket, which std's `UdpSocket` sends and receives datagrams with just as well.
fn open(link: &LinkName, index: u32) -> io::Result<Async<UdpSocket>> {
    let kind = Type::RAW.nonblocking().cloexec();
    let socket = Socket::new(Domain::IPV6, kind, Some(Protocol::ICMPV6))?;
    sys::set_icmpv6_types(&socket, &[ECHO_REPLY, SOLICITATION, ADVERTISEMENT])?;
    socket.bind_device(Some(link.as_str().as_bytes()))?;
    socket.set_multicast_hops_v6(HOPS)?;
    socket.set_unicast_hops_v6(HOPS)?;
    socket.set_multicast_if_v6(index)?;
    socket.set_multicast_loop_v6(false)?;
    // Who is a router already is a member; else solicitations would not reach us.
    socket.join_multicast_v6(&ALL_ROUTERS, index)?;
    Async::new(socket.into())
}

/// The type of the next message, and who sent it.
fn receive(socket: &UdpSocket) -> io::Result<(u8, Option<Ipv6Addr>)> {
    let mut room = [0; 8];
    let (_, from) = socket.recv_from(&mut room)?;
    let [kind, ..] = room;
    Ok(match from {
        SocketAddr::V6(from) => (kind, Some(*from.ip())),
        SocketAddr::V4(_) => (kind, None),
    })
}
