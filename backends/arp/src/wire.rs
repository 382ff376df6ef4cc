//! ARP and neighbour advertisements ↔ values, without the link-layer header (the kernel builds
//! it). Pure; never panics.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use etherparse::icmpv6::NeighborAdvertisementHeader;
use etherparse::{
    ArpHardwareId, ArpOperation, ArpPacket, ArpPacketSlice, EtherType, Icmpv6Header, Icmpv6Slice,
    Icmpv6Type, IpNumber, Ipv6FlowLabel, Ipv6Header, Ipv6HeaderSlice,
};
use viplet_backend_api::HardwareAddress;

/// Ethertypes (IEEE 802).
pub(crate) const ETHERTYPE_ARP: u16 = 0x0806;
pub(crate) const ETHERTYPE_IPV6: u16 = 0x86dd;
/// All nodes on the link (RFC 4291 §2.7.1).
pub(crate) const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
/// `ARPHRD_INFINIBAND`; etherparse has it as a number only.
const INFINIBAND: ArpHardwareId = ArpHardwareId(32);
/// RFC 4861 §4.4: fixed part of a neighbour advertisement after the ICMPv6 header.
const TARGET: usize = 16;
/// RFC 4861 §4.6.1.
const TARGET_LINK_LAYER_OPTION: u8 = 2;

/// A link layer on which we announce, with the hardware address that we announce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Station {
    /// Ethernet.
    Ethernet([u8; 6]),
    /// IP over InfiniBand (RFC 4391).
    Infiniband([u8; 20]),
}

impl Station {
    pub(crate) fn hardware(&self) -> &[u8] {
        match self {
            Self::Ethernet(bytes) => bytes,
            Self::Infiniband(bytes) => bytes,
        }
    }

    fn arp_type(&self) -> ArpHardwareId {
        match self {
            Self::Ethernet(_) => ArpHardwareId::ETHERNET,
            Self::Infiniband(_) => INFINIBAND,
        }
    }

    /// The hardware address of [`ALL_NODES`] (RFC 2464 §7; RFC 4391 §4). On InfiniBand it has
    /// the scope and the partition key of the link's `broadcast` address.
    pub(crate) fn all_nodes(&self, broadcast: &[u8]) -> Vec<u8> {
        match self {
            Self::Ethernet(_) => vec![0x33, 0x33, 0, 0, 0, 1],
            Self::Infiniband(_) => {
                let scope = broadcast.get(5).map_or(0x12, |byte| 0x10 | (byte & 0x0f));
                let mut group = vec![0x00, 0xff, 0xff, 0xff, 0xff, scope, 0x60, 0x1b];
                group.extend_from_slice(broadcast.get(8..10).unwrap_or(&[0xff, 0xff]));
                group.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
                group
            }
        }
    }
}

/// Which of the two forms a gratuitous ARP has; some stations only heed one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// RFC 5227 §2.3: a request for our own address; target hardware all zero.
    Request,
    /// An unasked reply to ourselves.
    Reply,
}

/// A gratuitous ARP: sender and target protocol address are both `vip`.
pub(crate) fn gratuitous_arp(vip: Ipv4Addr, station: &Station, form: Form) -> Option<Vec<u8>> {
    let own = station.hardware();
    let zero = [0; 20];
    let (operation, target) = match form {
        Form::Request => (ArpOperation::REQUEST, zero.get(..own.len())?),
        Form::Reply => (ArpOperation::REPLY, own),
    };
    let address = vip.octets();
    let packet = ArpPacket::new(
        station.arp_type(),
        EtherType::IPV4,
        operation,
        own,
        &address,
        target,
        &address,
    );
    Some(packet.ok()?.to_bytes().to_vec())
}

/// An unsolicited neighbour advertisement to all nodes: an IPv6 packet.
pub(crate) fn unsolicited_advertisement(
    vip: Ipv6Addr,
    source: Ipv6Addr,
    station: &Station,
) -> Option<Vec<u8>> {
    let mut payload = vip.octets().to_vec();
    payload.extend_from_slice(&target_link_layer_option(station));
    let flags = NeighborAdvertisementHeader { router: false, solicited: false, r#override: true };
    let kind = Icmpv6Type::NeighborAdvertisement(flags);
    let (from, to) = (source.octets(), ALL_NODES.octets());
    let icmp = Icmpv6Header::with_checksum(kind, from, to, &payload).ok()?;
    let ip = Ipv6Header {
        traffic_class: 0,
        flow_label: Ipv6FlowLabel::ZERO,
        payload_length: u16::try_from(icmp.header_len() + payload.len()).ok()?,
        next_header: IpNumber::IPV6_ICMP,
        // RFC 4861 §7.1.2: receivers drop anything less, so it cannot come from off-link.
        hop_limit: 255,
        source: from,
        destination: to,
    };
    let mut bytes = ip.to_bytes().to_vec();
    bytes.extend_from_slice(&icmp.to_bytes());
    bytes.extend_from_slice(&payload);
    Some(bytes)
}

/// RFC 4861 §4.6.1; its length counts 8 bytes. RFC 4391 §9.3: two reserved bytes on InfiniBand.
fn target_link_layer_option(station: &Station) -> Vec<u8> {
    let mut option = vec![TARGET_LINK_LAYER_OPTION];
    match station {
        Station::Ethernet(address) => {
            option.push(1);
            option.extend_from_slice(address);
        }
        Station::Infiniband(address) => {
            option.extend_from_slice(&[3, 0, 0]);
            option.extend_from_slice(address);
        }
    }
    option
}

/// A frame says: this hardware address has this address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) address: IpAddr,
    /// `None` where the frame does not say it: then it is the frame's sender.
    pub(crate) hardware: Option<HardwareAddress>,
}

/// Why a frame was not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reject(pub(crate) &'static str);

/// Reads the sender's claim out of an ARP packet. A probe (sender 0.0.0.0) claims nothing.
pub(crate) fn read_arp(bytes: &[u8]) -> Result<Option<Claim>, Reject> {
    let packet = ArpPacketSlice::from_slice(bytes).map_err(|_| Reject("ARP: cut off"))?;
    let hardware = match (packet.hw_addr_type(), packet.hw_addr_size()) {
        (ArpHardwareId::ETHERNET, 6) | (INFINIBAND, 20) => packet.sender_hw_addr(),
        _ => return Err(Reject("ARP: unknown hardware type")),
    };
    let sender: [u8; 4] = match packet.proto_addr_type() {
        EtherType::IPV4 => packet.sender_protocol_addr().try_into(),
        _ => return Err(Reject("ARP: not for IPv4")),
    }
    .map_err(|_| Reject("ARP: not an IPv4 address"))?;
    let address = Ipv4Addr::from(sender);
    if address.is_unspecified() {
        return Ok(None);
    }
    let hardware = Some(HardwareAddress(hardware.to_vec()));
    Ok(Some(Claim { address: IpAddr::V4(address), hardware }))
}

/// Reads the claim out of an IPv6 packet with a neighbour advertisement, checked as RFC 4861
/// §7.1.2 asks.
pub(crate) fn read_advertisement(bytes: &[u8]) -> Result<Claim, Reject> {
    const SHORT: Reject = Reject("NA: cut off");
    let ip = Ipv6HeaderSlice::from_slice(bytes).map_err(|_| Reject("NA: no IPv6 header"))?;
    if ip.next_header() != IpNumber::IPV6_ICMP || ip.hop_limit() != 255 {
        return Err(Reject("NA: not ICMPv6, or from off-link"));
    }
    let length = usize::from(ip.payload_length());
    let body = bytes.get(40..).and_then(|rest| rest.get(..length)).ok_or(SHORT)?;
    let icmp = Icmpv6Slice::from_slice(body).map_err(|_| SHORT)?;
    if !matches!(icmp.icmp_type(), Icmpv6Type::NeighborAdvertisement(_)) {
        return Err(Reject("NA: another ICMPv6 message"));
    }
    if !icmp.is_checksum_valid(ip.source(), ip.destination()) {
        return Err(Reject("NA: wrong checksum"));
    }
    let (target, options) = icmp.payload().split_at_checked(TARGET).ok_or(SHORT)?;
    let target: [u8; 16] = target.try_into().map_err(|_| SHORT)?;
    let hardware = link_layer_in(options)?;
    Ok(Claim { address: IpAddr::V6(Ipv6Addr::from(target)), hardware })
}

/// The target link-layer address among the options (RFC 4861 §4.6).
fn link_layer_in(mut options: &[u8]) -> Result<Option<HardwareAddress>, Reject> {
    const BAD: Reject = Reject("NA: malformed option");
    while let [kind, eights, ..] = options {
        if *eights == 0 {
            return Err(BAD);
        }
        let (option, rest) = options.split_at_checked(usize::from(*eights) * 8).ok_or(BAD)?;
        if *kind == TARGET_LINK_LAYER_OPTION {
            // 24 bytes: InfiniBand's form, with two reserved bytes.
            let from = if option.len() == 24 { 4 } else { 2 };
            let address = option.get(from..).ok_or(BAD)?;
            return Ok(Some(HardwareAddress(address.to_vec())));
        }
        options = rest;
    }
    Ok(None)
}

#[cfg(test)]
mod tests;
