//! What the lab asks of rtnetlink: bridges, veth pairs, addresses, routes, and dumps of addresses.

use std::fs::File;
use std::io;
use std::net::IpAddr;
use std::os::fd::AsRawFd;

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage,
    NetlinkPayload,
};
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressMessage, AddressProtocol, CacheInfo,
};
use netlink_packet_route::link::{
    InfoBridge, InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

/// A socket to the kernel, in the namespace of the thread that opened it.
#[derive(Debug)]
pub struct Rtnl {
    socket: Socket,
    sequence: u32,
}

/// One address as the kernel lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The link's index.
    pub link: u32,
    /// The address.
    pub address: IpAddr,
    /// Its prefix length.
    pub prefix: u8,
    /// Seconds it remains valid, `u32::MAX` for ever.
    pub valid: u32,
    /// Seconds it may still be chosen as a source.
    pub preferred: u32,
    /// `IFA_PROTO`, 0 when absent.
    pub protocol: u8,
}

/// How long an address that the lab adds lives, and how it is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// `valid_lft` in seconds, `u32::MAX` for ever.
    pub valid: u32,
    /// `preferred_lft` in seconds.
    pub preferred: u32,
    /// `IFA_PROTO`, 0 for none.
    pub protocol: u8,
}

impl Lifetime {
    /// For ever and untagged, as an administrator adds it.
    pub const FOREVER: Self = Self { valid: u32::MAX, preferred: u32::MAX, protocol: 0 };
    /// As kube-vip leaves one behind: for ever, untagged, never a source.
    pub const KUBE_VIP: Self = Self { valid: u32::MAX, preferred: 0, protocol: 0 };
}

impl Rtnl {
    /// Opens one here.
    pub fn open() -> Self {
        let mut socket = Socket::new(NETLINK_ROUTE).expect("netlink");
        socket.bind_auto().expect("netlink binds");
        socket.connect(&SocketAddr::new(0, 0)).expect("netlink connects");
        Self { socket, sequence: 0 }
    }

    /// Makes a bridge and brings it up.
    pub fn add_bridge(&mut self, name: &str) -> io::Result<()> {
        let mut link = named(name);
        link.header.flags = LinkFlags::Up;
        link.header.change_mask = LinkFlags::Up;
        link.attributes.push(LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::Bridge),
            LinkInfo::Data(InfoData::Bridge(vec![InfoBridge::MulticastSnooping(false)])),
        ]));
        self.create(RouteNetlinkMessage::NewLink(link))
    }

    /// Makes a veth pair: `name` here as a port of `bridge`, up; `peer` in `namespace`, down.
    pub fn add_port(
        &mut self,
        bridge: &str,
        name: &str,
        (namespace, peer): (&File, &str),
    ) -> io::Result<()> {
        let mut other = named(peer);
        other.attributes.push(LinkAttribute::NetNsFd(namespace.as_raw_fd()));
        let mut link = named(name);
        link.header.flags = LinkFlags::Up;
        link.header.change_mask = LinkFlags::Up;
        link.attributes.push(LinkAttribute::Controller(index(self, bridge)?));
        link.attributes.push(LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::Veth),
            LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(other))),
        ]));
        self.create(RouteNetlinkMessage::NewLink(link))
    }

    /// Makes a link that is there a port of `bridge`, and brings it up.
    pub fn join(&mut self, name: &str, bridge: &str) -> io::Result<()> {
        let mut link = named(name);
        link.header.flags = LinkFlags::Up;
        link.header.change_mask = LinkFlags::Up;
        link.attributes.push(LinkAttribute::Controller(index(self, bridge)?));
        self.change(RouteNetlinkMessage::SetLink(link), NLM_F_ACK)
    }

    /// Sets a link up or down.
    pub fn set_up(&mut self, name: &str, state: LinkState) -> io::Result<()> {
        let mut link = named(name);
        link.header.change_mask = LinkFlags::Up;
        if state == LinkState::Up {
            link.header.flags = LinkFlags::Up;
        }
        self.change(RouteNetlinkMessage::SetLink(link), NLM_F_ACK)
    }

    /// Renames a link (it must be down on old kernels).
    pub fn rename(&mut self, name: &str, new: &str) -> io::Result<()> {
        let mut link = LinkMessage::default();
        link.header.index = index(self, name)?;
        link.attributes.push(LinkAttribute::IfName(new.to_owned()));
        self.change(RouteNetlinkMessage::SetLink(link), NLM_F_ACK)
    }

    /// The hardware address of a link.
    pub fn hardware_address(&mut self, name: &str) -> io::Result<[u8; 6]> {
        let link = self.link(name)?;
        link.attributes
            .iter()
            .find_map(|attribute| match attribute {
                LinkAttribute::Address(bytes) => bytes.as_slice().try_into().ok(),
                _ => None,
            })
            .ok_or_else(|| io::Error::other(format!("{name} has no hardware address")))
    }

    /// The index of a link.
    pub fn index(&mut self, name: &str) -> io::Result<u32> {
        index(self, name)
    }

    /// Adds an address, or gives it the lifetime anew.
    pub fn set_address(
        &mut self,
        link: &str,
        (address, prefix): (IpAddr, u8),
        lifetime: Lifetime,
    ) -> io::Result<()> {
        let mut message = self.address_message(link, address, prefix)?;
        let mut cache = CacheInfo::default();
        cache.ifa_preferred = lifetime.preferred;
        cache.ifa_valid = lifetime.valid;
        message.attributes.push(AddressAttribute::CacheInfo(cache));
        if address.is_ipv6() {
            message.attributes.push(AddressAttribute::Flags(AddressFlags::Nodad));
        }
        if lifetime.protocol != 0 {
            let tag = AddressProtocol::Other(lifetime.protocol);
            message.attributes.push(AddressAttribute::Protocol(tag));
        }
        let flags = NLM_F_ACK | NLM_F_CREATE | netlink_packet_core::NLM_F_REPLACE;
        self.change(RouteNetlinkMessage::NewAddress(message), flags)
    }

    /// Removes an address.
    pub fn remove_address(&mut self, link: &str, (ip, prefix): (IpAddr, u8)) -> io::Result<()> {
        let message = self.address_message(link, ip, prefix)?;
        self.change(RouteNetlinkMessage::DelAddress(message), NLM_F_ACK)
    }

    /// Removes an address from a link by its index.
    pub fn remove_address_at(&mut self, link: u32, (ip, prefix): (IpAddr, u8)) -> io::Result<()> {
        let message = address_at(link, (ip, prefix));
        self.change(RouteNetlinkMessage::DelAddress(message), NLM_F_ACK)
    }

    /// Adds a default route by `gateway`.
    pub fn add_default_route(&mut self, gateway: IpAddr) -> io::Result<()> {
        let header = RouteHeader {
            address_family: family(gateway),
            table: RouteHeader::RT_TABLE_MAIN,
            protocol: RouteProtocol::Boot,
            scope: RouteScope::Universe,
            kind: RouteType::Unicast,
            ..RouteHeader::default()
        };
        let mut route = RouteMessage::default();
        route.header = header;
        route.attributes.push(RouteAttribute::Gateway(match gateway {
            IpAddr::V4(ip) => RouteAddress::Inet(ip),
            IpAddr::V6(ip) => RouteAddress::Inet6(ip),
        }));
        self.create(RouteNetlinkMessage::NewRoute(route))
    }

    /// Every address in this namespace.
    pub fn addresses(&mut self) -> Vec<Listed> {
        let request = RouteNetlinkMessage::GetAddress(AddressMessage::default());
        let mut found = Vec::new();
        self.ask(request, NLM_F_DUMP, |answer| {
            if let RouteNetlinkMessage::NewAddress(message) = answer {
                found.extend(listed(&message));
            }
        })
        .expect("the kernel lists its addresses");
        found
    }

    /// Whether `address` is here, on any link.
    pub fn has(&mut self, address: IpAddr) -> bool {
        self.addresses().iter().any(|listed| listed.address == address)
    }

    fn address_message(
        &mut self,
        link: &str,
        ip: IpAddr,
        prefix: u8,
    ) -> io::Result<AddressMessage> {
        Ok(address_at(index(self, link)?, (ip, prefix)))
    }

    fn link(&mut self, name: &str) -> io::Result<LinkMessage> {
        let mut found = None;
        self.ask(RouteNetlinkMessage::GetLink(named(name)), NLM_F_ACK, |answer| {
            if let RouteNetlinkMessage::NewLink(link) = answer {
                found = Some(link);
            }
        })?;
        found.ok_or_else(|| io::Error::other(format!("no link {name}")))
    }

    fn create(&mut self, message: RouteNetlinkMessage) -> io::Result<()> {
        self.change(message, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL)
    }

    fn change(&mut self, message: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
        self.ask(message, flags, |_| {})
    }

    fn ask(
        &mut self,
        message: RouteNetlinkMessage,
        flags: u16,
        mut each: impl FnMut(RouteNetlinkMessage),
    ) -> io::Result<()> {
        self.sequence += 1;
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | flags;
        header.sequence_number = self.sequence;
        let mut request = NetlinkMessage::new(header, NetlinkPayload::from(message));
        request.finalize();
        let mut bytes = vec![0; request.buffer_len()];
        request.serialize(&mut bytes);
        self.socket.send(&bytes, 0)?;
        loop {
            let (datagram, _) = self.socket.recv_from_full()?;
            let mut rest = datagram.as_slice();
            while rest.len() >= 16 {
                let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest)
                    .map_err(io::Error::other)?;
                let length = (answer.header.length as usize + 3) & !3;
                rest = &rest[length.min(rest.len())..];
                match answer.payload {
                    _ if answer.header.sequence_number != self.sequence => {}
                    NetlinkPayload::Done(_) => return Ok(()),
                    NetlinkPayload::Error(outcome) => {
                        return match outcome.code {
                            None => Ok(()),
                            Some(_) => Err(outcome.to_io()),
                        };
                    }
                    NetlinkPayload::InnerMessage(inner) => each(inner),
                    _ => {}
                }
            }
        }
    }
}

/// Whether a link is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// Up.
    Up,
    /// Down: as if the cable were out.
    Down,
}

fn named(name: &str) -> LinkMessage {
    let mut link = LinkMessage::default();
    link.attributes.push(LinkAttribute::IfName(name.to_owned()));
    link
}

fn address_at(link: u32, (ip, prefix): (IpAddr, u8)) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = family(ip);
    message.header.prefix_len = prefix;
    message.header.index = link;
    message.attributes.push(AddressAttribute::Local(ip));
    message.attributes.push(AddressAttribute::Address(ip));
    message
}

fn index(rtnl: &mut Rtnl, name: &str) -> io::Result<u32> {
    Ok(rtnl.link(name)?.header.index)
}

fn family(address: IpAddr) -> AddressFamily {
    match address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    }
}

fn listed(message: &AddressMessage) -> Option<Listed> {
    let (mut local, mut remote) = (None, None);
    let (mut valid, mut preferred, mut protocol) = (u32::MAX, u32::MAX, 0);
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Local(ip) => local = Some(*ip),
            AddressAttribute::Address(ip) => remote = Some(*ip),
            AddressAttribute::CacheInfo(cache) => {
                (valid, preferred) = (cache.ifa_valid, cache.ifa_preferred);
            }
            AddressAttribute::Protocol(tag) => protocol = u8::from(*tag),
            _ => {}
        }
    }
    Some(Listed {
        link: message.header.index,
        address: local.or(remote)?,
        prefix: message.header.prefix_len,
        valid,
        preferred,
        protocol,
    })
}
