//! Links and addresses over rtnetlink: as much as a machine needs to come up and to report.

use std::io;
use std::net::{IpAddr, Ipv4Addr};

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage,
    NetlinkPayload,
};
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

use crate::Settings;
use crate::boot::appears;

/// The first header's length: less is no message.
const HEADER: usize = 16;

/// Brings `lo` and `eth0` up, with the address that the settings give.
pub(crate) fn bring_up(settings: &Settings) -> io::Result<()> {
    set_up("lo")?;
    let index = appears("eth0", || index("eth0").ok())?;
    let (ip, prefix) = settings.address;
    let mut message = AddressMessage::default();
    message.header.family = AddressFamily::Inet;
    message.header.prefix_len = prefix;
    message.header.index = index;
    message.attributes.push(AddressAttribute::Local(IpAddr::V4(ip)));
    message.attributes.push(AddressAttribute::Address(IpAddr::V4(ip)));
    ask(RouteNetlinkMessage::NewAddress(message), NLM_F_ACK | NLM_F_CREATE)?;
    set_up("eth0")?;
    // The host measures from here on, and not how long QEMU's cable takes.
    let state = || std::fs::read_to_string("/sys/class/net/eth0/operstate").ok();
    appears("eth0's carrier", || state().filter(|state| state.trim() == "up")).map(drop)
}

/// The IPv4 addresses of all links.
pub(crate) fn addresses() -> io::Result<Vec<Ipv4Addr>> {
    let mut request = AddressMessage::default();
    request.header.family = AddressFamily::Inet;
    let answers = ask(RouteNetlinkMessage::GetAddress(request), NLM_F_DUMP)?;
    Ok(answers.iter().filter_map(local).collect())
}

fn local(answer: &RouteNetlinkMessage) -> Option<Ipv4Addr> {
    let RouteNetlinkMessage::NewAddress(message) = answer else { return None };
    message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Local(IpAddr::V4(ip)) => Some(*ip),
        _ => None,
    })
}

fn set_up(name: &str) -> io::Result<()> {
    let mut link = named(name);
    link.header.flags = LinkFlags::Up;
    link.header.change_mask = LinkFlags::Up;
    ask(RouteNetlinkMessage::SetLink(link), NLM_F_ACK).map(drop)
}

fn index(name: &str) -> io::Result<u32> {
    let answers = ask(RouteNetlinkMessage::GetLink(named(name)), NLM_F_ACK)?;
    let link = answers.iter().find_map(|answer| match answer {
        RouteNetlinkMessage::NewLink(link) => Some(link.header.index),
        _ => None,
    });
    link.ok_or_else(|| io::Error::other(format!("no link {name}")))
}

fn named(name: &str) -> LinkMessage {
    let mut link = LinkMessage::default();
    link.attributes.push(LinkAttribute::IfName(name.to_owned()));
    link
}

/// Asks the kernel on a socket of its own, and reads until the acknowledgement.
fn ask(message: RouteNetlinkMessage, flags: u16) -> io::Result<Vec<RouteNetlinkMessage>> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | flags;
    let mut request = NetlinkMessage::new(header, NetlinkPayload::from(message));
    request.finalize();
    let mut bytes = vec![0; request.buffer_len()];
    request.serialize(&mut bytes);
    socket.send(&bytes, 0)?;
    let mut answers = Vec::new();
    loop {
        let (datagram, _) = socket.recv_from_full()?;
        let mut rest = datagram.as_slice();
        while rest.len() >= HEADER {
            let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest)
                .map_err(io::Error::other)?;
            let length = usize::try_from(answer.header.length).map_err(io::Error::other)?;
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
            match answer.payload {
                NetlinkPayload::Done(_) => return Ok(answers),
                NetlinkPayload::Error(outcome) => {
                    return outcome.code.map_or(Ok(answers), |_| Err(outcome.to_io()));
                }
                NetlinkPayload::InnerMessage(inner) => answers.push(inner),
                _ => {}
            }
        }
    }
}
