//! The sockets of BFD: one that receives for each family and port, one that sends for each
//! session. The kernel drops what came over a router where only one hop is allowed.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::task::{Context, Poll};

use async_io::Async;
use socket2::{Domain, Protocol, SockFilter, Socket, Type};

use super::{Endpoint, Hops};
use crate::wire::LENGTH;

/// RFC 5881 §4.
const SINGLE_HOP: u16 = 3784;
/// RFC 5883 §5.
const MULTIHOP: u16 = 4784;
/// Source ports, RFC 5881 §4.
const FIRST_PORT: u16 = 49152;
const PORTS: u32 = 16384;
/// Source ports tried before giving up for now.
const TRIES: u32 = 32;
/// CS6, network control, in the place of DSCP: a full queue shall not look like a dead path.
const TRAFFIC_CLASS: u32 = 0xc0;
/// `SKF_NET_OFF` (`linux/filter.h`): offsets from here count from the IP header.
const NETWORK_HEADER: u32 = 0xfff0_0000;

/// What decides which socket receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    SingleHopV4,
    SingleHopV6,
    MultihopV4,
    MultihopV6,
}

impl Kind {
    pub(super) fn of(endpoint: &Endpoint) -> Self {
        match (endpoint.hops, endpoint.peer) {
            (Hops::One, IpAddr::V4(_)) => Self::SingleHopV4,
            (Hops::One, IpAddr::V6(_)) => Self::SingleHopV6,
            (Hops::Several, IpAddr::V4(_)) => Self::MultihopV4,
            (Hops::Several, IpAddr::V6(_)) => Self::MultihopV6,
        }
    }

    const fn port(self) -> u16 {
        match self {
            Self::SingleHopV4 | Self::SingleHopV6 => SINGLE_HOP,
            Self::MultihopV4 | Self::MultihopV6 => MULTIHOP,
        }
    }

    const fn any(self) -> IpAddr {
        match self {
            Self::SingleHopV4 | Self::MultihopV4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            Self::SingleHopV6 | Self::MultihopV6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        }
    }

    /// Where the TTL is in the IP header, if it has to be 255 (RFC 5881 §5).
    const fn checked(self) -> Option<u32> {
        match self {
            Self::SingleHopV4 => Some(8),
            Self::SingleHopV6 => Some(7),
            Self::MultihopV4 | Self::MultihopV6 => None,
        }
    }
}

/// Receives for all sessions of a kind.
#[derive(Debug, Default)]
pub(super) struct Receiver {
    socket: Option<Async<UdpSocket>>,
    /// More than any packet that we take.
    buffer: [u8; LENGTH],
}

impl Receiver {
    /// Opens it, unless it is open.
    pub(super) fn open(&mut self, kind: Kind) -> Result<(), String> {
        if self.socket.is_none() {
            self.socket = Some(listen(kind).map_err(|error| {
                let port = kind.port();
                let hint = match error.kind() {
                    io::ErrorKind::AddrInUse => {
                        "; another BFD daemon on this node has it: stop it, or turn off BFD"
                    }
                    _ => "",
                };
                format!("cannot receive BFD at UDP port {port}: {error}{hint}")
            })?);
        }
        Ok(())
    }

    /// The next packet: its first bytes, and who sent it.
    pub(super) fn poll_packet(&mut self, cx: &mut Context<'_>) -> Poll<(&[u8], SocketAddr)> {
        let Some(socket) = &self.socket else { return Poll::Pending };
        loop {
            match socket.get_ref().recv_from(&mut self.buffer) {
                Ok((length, from)) => {
                    return Poll::Ready((self.buffer.get(..length).unwrap_or(&[]), from));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    match socket.poll_readable(cx) {
                        Poll::Ready(Ok(())) => {}
                        Poll::Ready(Err(_)) | Poll::Pending => return Poll::Pending,
                    }
                }
                // A leftover of an ICMP message: the next one may be a packet.
                Err(_) => {}
            }
        }
    }
}

/// Sends for one session, always from the same port (RFC 5881 §4).
#[derive(Debug)]
pub(super) struct Sender {
    socket: UdpSocket,
    to: SocketAddr,
}

impl Sender {
    /// Binds to the link, our address and a free port; which is tried first is up to `start`.
    pub(super) fn open(endpoint: &Endpoint, start: u32) -> Result<Self, String> {
        let kind = Kind::of(endpoint);
        let socket = udp(kind).map_err(|error| error.to_string())?;
        let mut scope = 0;
        if let Some(link) = &endpoint.link {
            scope = rustix::net::netdevice::name_to_index(&socket, link.as_str())
                .map_err(|error| format!("link {link}: {error}"))?;
            let bound = socket.bind_device(Some(link.as_str().as_bytes()));
            bound.map_err(|error| format!("link {link}: {error}"))?;
        }
        let prepared = prepare_to_send(&socket, kind);
        prepared.map_err(|error| error.to_string())?;
        let from = endpoint.source.unwrap_or_else(|| kind.any());
        bind(&socket, scoped(from, 0, scope), start).map_err(|e| format!("from {from}: {e}"))?;
        let to = scoped(endpoint.peer, kind.port(), scope);
        Ok(Self { socket: socket.into(), to })
    }

    /// Sends a packet; one that finds no room in the kernel's queue is lost, as on the way.
    pub(super) fn send(&self, packet: &[u8]) -> Result<(), String> {
        match self.socket.send_to(packet, self.to) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error.to_string()),
            _ => Ok(()),
        }
    }

    /// The link's index, where the peer's address is of that link only.
    pub(super) fn scope(&self) -> Option<u32> {
        match self.to {
            SocketAddr::V6(to) => Some(to.scope_id()).filter(|scope| *scope != 0),
            SocketAddr::V4(_) => None,
        }
    }
}

fn scoped(address: IpAddr, port: u16, scope: u32) -> SocketAddr {
    match address {
        IpAddr::V6(v6) if v6.is_unicast_link_local() => {
            SocketAddrV6::new(v6, port, 0, scope).into()
        }
        _ => SocketAddr::new(address, port),
    }
}

fn udp(kind: Kind) -> io::Result<Socket> {
    let domain = if kind.any().is_ipv6() { Domain::IPV6 } else { Domain::IPV4 };
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    if domain == Domain::IPV6 {
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

fn listen(kind: Kind) -> io::Result<Async<UdpSocket>> {
    let socket = udp(kind)?;
    if let Some(offset) = kind.checked() {
        socket.attach_filter(&only_ttl_255(offset))?;
    }
    socket.bind(&SocketAddr::new(kind.any(), kind.port()).into())?;
    Async::new(socket.into())
}

/// Classic BPF: `ldb [offset]; jeq #255; ret all; ret 0`. (`IP_MINTTL` is for TCP alone.)
fn only_ttl_255(offset: u32) -> [SockFilter; 4] {
    [
        SockFilter::new(0x30, 0, 0, NETWORK_HEADER + offset),
        SockFilter::new(0x15, 0, 1, 255),
        SockFilter::new(0x06, 0, 0, u32::MAX),
        SockFilter::new(0x06, 0, 0, 0),
    ]
}

fn prepare_to_send(socket: &Socket, kind: Kind) -> io::Result<()> {
    // Answers go to the other port: nothing is to wait here.
    socket.attach_filter(&[SockFilter::new(0x06, 0, 0, 0)])?;
    if kind.any().is_ipv6() {
        socket.set_unicast_hops_v6(255)?;
        socket.set_tclass_v6(TRAFFIC_CLASS)
    } else {
        socket.set_ttl_v4(255)?;
        socket.set_tos_v4(TRAFFIC_CLASS)
    }
}

fn bind(socket: &Socket, mut from: SocketAddr, start: u32) -> io::Result<()> {
    let mut outcome = Ok(());
    for offset in 0..TRIES {
        let port = start.wrapping_add(offset) % PORTS;
        from.set_port(FIRST_PORT.saturating_add(u16::try_from(port).unwrap_or(0)));
        outcome = socket.bind(&from.into());
        let taken = outcome.as_ref().is_err_and(|e| e.kind() == io::ErrorKind::AddrInUse);
        if !taken {
            break;
        }
    }
    outcome
}
