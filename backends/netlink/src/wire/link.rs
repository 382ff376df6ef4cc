//! `RTM_NEWLINK` and `RTM_DELLINK` → [`LinkRecord`]. Pure.
//!
//! ```text
//! struct ifinfomsg (16 bytes)    family, type (ARPHRD_*), index, flags (IFF_*), change mask
//! IFLA_IFNAME                    the link's name, ends with a zero
//! IFLA_PROP_LIST                 nested: IFLA_ALT_IFNAME, once for each alternative name
//! IFLA_LINKINFO                  nested: IFLA_INFO_KIND, the driver's name ("veth", "dummy")
//! ```

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use netlink_packet_route::AddressFamily;
use netlink_packet_route::link::LinkHeader;
use viplet_backend_api::{HardwareAddress, LinkKind, LinkName};

use super::{LinkRecord, Reject, attributes};

/// `IFLA_*` (`linux/if_link.h`).
mod ifla {
    pub(super) const ADDRESS: u16 = 1;
    pub(super) const BROADCAST: u16 = 2;
    pub(super) const IFNAME: u16 = 3;
    pub(super) const OPERSTATE: u16 = 16;
    pub(super) const LINKINFO: u16 = 18;
    pub(super) const PROP_LIST: u16 = 52;
    pub(super) const ALT_IFNAME: u16 = 53;
    /// Inside `IFLA_LINKINFO`.
    pub(super) const INFO_KIND: u16 = 1;
}

/// Drivers of links that carry nothing to another station.
const DUMMIES: [&str; 3] = ["dummy", "ifb", "nlmon"];

/// A link; `None` for what a bridge says of a port of its own.
pub(super) fn decode(payload: &[u8]) -> Result<Option<LinkRecord>, Reject> {
    let header = header(payload)?;
    if !is_link_itself(&header) {
        return Ok(None);
    }
    let (mut name, mut oper, mut altnames) = (None, 0, Vec::new());
    let (mut hardware, mut broadcast) = (HardwareAddress::default(), HardwareAddress::default());
    let mut kind = kind_of(u16::from(header.link_layer_type));
    for (attribute, value) in attributes(payload.get(16..).unwrap_or(&[])) {
        match attribute {
            ifla::ADDRESS => hardware.0 = value.to_vec(),
            ifla::BROADCAST => broadcast.0 = value.to_vec(),
            ifla::IFNAME => name = text(value).and_then(LinkName::new),
            ifla::OPERSTATE => oper = value.first().copied().unwrap_or(0),
            ifla::LINKINFO if is_dummy(value) => kind = LinkKind::Dummy,
            ifla::PROP_LIST => altnames = alternative_names(value),
            _ => {}
        }
    }
    let name = name.ok_or(Reject("a link has no name that can be used"))?;
    let (index, flags) = (header.index, header.flags.bits());
    Ok(Some(LinkRecord { index, name, altnames, kind, flags, oper, hardware, broadcast }))
}

/// The index of a link that is gone; `None` where a port left a bridge.
pub(super) fn decode_gone(payload: &[u8]) -> Result<Option<u32>, Reject> {
    let header = header(payload)?;
    Ok(is_link_itself(&header).then_some(header.index))
}

fn header(payload: &[u8]) -> Result<LinkHeader, Reject> {
    LinkHeader::parse(payload).map_err(|_| Reject("a link message is cut off"))
}

/// Bridges report their ports with the same message types under `AF_BRIDGE`.
fn is_link_itself(header: &LinkHeader) -> bool {
    header.interface_family == AddressFamily::Unspec
}

/// `ARPHRD_*` (`linux/if_arp.h`).
const fn kind_of(arphrd: u16) -> LinkKind {
    match arphrd {
        1 => LinkKind::Ethernet,
        32 => LinkKind::Infiniband,
        772 => LinkKind::Loopback,
        _ => LinkKind::Other,
    }
}

fn is_dummy(info: &[u8]) -> bool {
    let driver = attributes(info).find(|(attribute, _)| *attribute == ifla::INFO_KIND);
    driver.and_then(|(_, value)| text(value)).is_some_and(|driver| DUMMIES.contains(&driver))
}

fn alternative_names(properties: &[u8]) -> Vec<String> {
    attributes(properties)
        .filter(|(attribute, _)| *attribute == ifla::ALT_IFNAME)
        .filter_map(|(_, value)| text(value).map(str::to_owned))
        .collect()
}

/// The text before the zero that ends it.
fn text(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value.split(|byte| *byte == 0).next()?).ok()
}
