//! Peers as text: `bgp_peers`. Messages name the peer by its place and its address only.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use viplet_backend_api::LinkName;

use super::next_hop::NextHops;
use super::read::{MULTIHOP_TTL, PORT, new_peer};
use super::reader::Reader;
use super::{Bfd, Distance, Password, Peer, PeerAddress, RemoteAs, Source};

const SETTING: &str = "bgp_peers";
const ACCEPTED: &str = "address:as[:password[:multihop[:port[:mp-bgp[:bfd]]]]], IPv6 in brackets, \
                        or unnumbered:interface[:as...]";
/// Intervals of BFD in milliseconds.
const FASTEST: u64 = 10;
const SLOWEST: u64 = 60_000;

/// What a peer that says nothing of it has: the common next hops, and the source that they need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Common {
    pub(super) next_hops: NextHops,
    pub(super) source: Source,
}

/// The peers of `bgp_peers`.
pub(super) fn list(reader: &mut Reader<'_>, common: &Common) -> Vec<Peer> {
    let text = reader.untrimmed(SETTING).to_owned();
    let mut peers = Vec::new();
    for (place, item) in text.split(',').enumerate() {
        if item.trim().is_empty() {
            continue;
        }
        let place = place + 1;
        match one(item.trim_start(), common) {
            Ok(peer) => {
                let doubt = misplaced_multihop(item.trim_start(), &peer);
                let doubt = doubt.map(|why| format!("{SETTING}, peer {place}: {why}"));
                reader.found.warnings.extend(doubt);
                peers.push(peer);
            }
            Err(why) => reader.refuse(SETTING, format!("peer {place}: {why}")),
        }
    }
    peers
}

/// An address that a peer can have.
///
/// # Errors
/// Why it is none, and what is accepted.
pub(super) fn address(address: IpAddr) -> Result<PeerAddress, String> {
    let usable = match address {
        IpAddr::V4(v4) => !v4.is_broadcast(),
        IpAddr::V6(v6) => {
            if v6.is_unicast_link_local() {
                return Err(format!(
                    "the link-local address {address} needs its interface; accepted: \
                     [{address}%eth0]:as in bgp_peers"
                ));
            }
            v6.to_ipv4_mapped().is_none()
        }
    };
    if !usable || address.is_unspecified() || address.is_multicast() {
        return Err(format!("{address} is no address of a peer; accepted: a unicast address"));
    }
    Ok(PeerAddress::Ip(address))
}

fn one(text: &str, common: &Common) -> Result<Peer, String> {
    let (address, rest) = who(text)?;
    let missing = match address {
        PeerAddress::Unnumbered(_) => Missing::External,
        _ => Missing::Wrong,
    };
    next_hops_in_their_field(rest)?;
    let mut fields = rest.splitn(5, ':');
    let mut next = || fields.next().unwrap_or_default();
    let mut peer = new_peer(address, remote_as(next(), missing)?);
    let password = next();
    peer.password = (!password.is_empty()).then(|| Password(password.to_owned()));
    if boolean(next()).ok_or_else(|| wrong_multihop(password))? {
        peer.distance = Distance::Multihop(MULTIHOP_TTL);
    }
    peer.port = port(next().trim())?;
    let (families, bfd) = split_tail(next().trim());
    peer.families = NextHops::of_peer(families)?.or(&common.next_hops).families(&peer, common)?;
    peer.bfd = self::bfd(bfd)?;
    Ok(peer)
}

/// What is said of a field that should be multihop's, with the field before it.
fn wrong_multihop(password: &str) -> String {
    let wrong = "multihop is neither true nor false; accepted: true, false";
    if !is_multihop_word(password) {
        return wrong.to_owned();
    }
    format!(
        "{wrong}. One of these stands in the password's field, which comes before it and may be \
         empty: address:as::true:port"
    )
}

fn is_multihop_word(password: &str) -> bool {
    matches!(password.to_ascii_lowercase().as_str(), "true" | "false")
}

/// The password's field comes before multihop's, and is easily forgotten: kube-vip takes the word
/// as the password, and so do we.
fn misplaced_multihop(text: &str, peer: &Peer) -> Option<String> {
    let password = peer.password.as_ref()?;
    let word = is_multihop_word(&password.0);
    let RemoteAs::Number(number) = peer.remote_as else { return None };
    let last = text.ends_with(&format!("{number}:{}", password.0));
    (word && last).then(|| {
        let name = bracketed(peer);
        format!(
            "what looks like multihop's true or false stands in the password's field and is \
             taken as the password of {}, as kube-vip takes it; if multihop is meant, leave the \
             password empty: {name}:{number}::true (bgp_multihop is for the peer of \
             bgp_peeraddress alone)",
            peer.name()
        )
    })
}

fn bracketed(peer: &Peer) -> String {
    match &peer.address {
        PeerAddress::Ip(IpAddr::V4(v4)) => v4.to_string(),
        PeerAddress::Ip(IpAddr::V6(_)) | PeerAddress::LinkLocal(..) => format!("[{}]", peer.name()),
        PeerAddress::Unnumbered(_) => peer.name(),
    }
}

/// Options of MP-BGP that stand after a slash, or in the place of another field.
fn next_hops_in_their_field(rest: &str) -> Result<(), String> {
    const OPTION: &str = "mpbgp_";
    let field = rest.split(':').position(|field| field.contains(OPTION));
    if field.is_none_or(|place| place >= 4) && !rest.contains("/mpbgp_") {
        return Ok(());
    }
    Err("its MP-BGP options stand after a slash or in the place of another field; they are the \
         sixth field, after the port, which may be empty: \
         address:as:password:multihop:port:mpbgp_nexthop=fixed;mpbgp_ipv6=2001:db8::1. For all \
         peers alike there are the settings mpbgp_nexthop, mpbgp_ipv4 and mpbgp_ipv6; accepted: \
         either"
        .to_owned())
}

/// In which of their own values two peers of one address differ, by the words of the settings.
pub(super) fn differences(one: &Peer, other: &Peer) -> Vec<String> {
    let number = |peer: &Peer| match peer.remote_as {
        RemoteAs::Number(number) => number.to_string(),
        RemoteAs::External => "any".to_owned(),
    };
    let mut found = Vec::new();
    if one.remote_as != other.remote_as {
        found.push(format!("AS number ({} and {})", number(one), number(other)));
    }
    let mut also = |same: bool, what: &str| found.extend((!same).then(|| what.to_owned()));
    also(one.password == other.password, "password");
    also(one.distance == other.distance, "multihop");
    also(one.port == other.port, "port");
    also(one.families == other.families, "MP-BGP part");
    also(one.bfd == other.bfd, "BFD part");
    found
}

/// How a missing AS number is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Missing {
    External,
    Wrong,
}

/// The peer's address, and the text from its AS number on.
fn who(text: &str) -> Result<(PeerAddress, &str), String> {
    let wrong = || format!("it cannot be read; accepted: {ACCEPTED}");
    if let Some(rest) = text.strip_prefix("unnumbered:") {
        let (link, rest) = rest.split_once(':').unwrap_or((rest, ""));
        let link = LinkName::new(link.trim())
            .ok_or("unnumbered without an interface's name; accepted: unnumbered:eth0:65001")?;
        return Ok((PeerAddress::Unnumbered(link), rest));
    }
    if let Some(rest) = text.strip_prefix('[') {
        let (inside, rest) = rest.split_once(']').ok_or_else(wrong)?;
        let rest = rest.strip_prefix(':').ok_or_else(wrong)?;
        let found = match inside.split_once('%') {
            Some((local, link)) => link_local(local, link).ok_or_else(wrong)?,
            None => address(inside.trim().parse::<Ipv6Addr>().map_err(|_| wrong())?.into())?,
        };
        return Ok((found, rest));
    }
    let (v4, rest) = text.split_once(':').ok_or_else(wrong)?;
    let v4: Ipv4Addr = v4.trim().parse().map_err(|_| wrong())?;
    Ok((address(v4.into())?, rest))
}

fn link_local(address: &str, link: &str) -> Option<PeerAddress> {
    let address: Ipv6Addr = address.parse().ok()?;
    address.is_unicast_link_local().then_some(())?;
    Some(PeerAddress::LinkLocal(address, LinkName::new(link)?))
}

fn remote_as(text: &str, missing: Missing) -> Result<RemoteAs, String> {
    match (text.trim(), missing) {
        ("" | "0", Missing::External) => Ok(RemoteAs::External),
        (text, _) => match text.parse::<u32>() {
            Ok(number @ 1..) => Ok(RemoteAs::Number(number)),
            _ => Err("its AS number is none; accepted: 1 to 4294967295 after the address".into()),
        },
    }
}

/// Go's `strconv.ParseBool`, and nothing for false.
fn boolean(text: &str) -> Option<bool> {
    match text.trim() {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "" | "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

fn port(text: &str) -> Result<u16, String> {
    match text.parse() {
        Ok(port @ 1..) => Ok(port),
        _ if text.is_empty() => Ok(PORT),
        _ => Err("its port is none; accepted: 1 to 65535".into()),
    }
}

/// MP-BGP and BFD. An IPv6 address in MP-BGP has colons too: BFD is what follows the last one, if
/// it looks like it.
fn split_tail(text: &str) -> (&str, &str) {
    match text.rsplit_once(':') {
        Some((families, bfd)) if !bfd.contains('=') && bfd.contains(';') => (families, bfd),
        Some((families, bfd @ ("true" | "false"))) => (families, bfd),
        Some((families, "")) if !families.ends_with(':') => (families, ""),
        Some(_) if !text.contains('=') => text.split_once(':').unwrap_or((text, "")),
        _ => (text, ""),
    }
}

/// `true;receive;transmit;multiplier`, in milliseconds; kube-vip's defaults for what is empty.
fn bfd(text: &str) -> Result<Option<Bfd>, String> {
    let wrong = || {
        format!(
            "its BFD cannot be read; accepted: true;300;300;3: on, interval to receive, interval to \
             send ({FASTEST} to {SLOWEST} ms), multiplier (1 to 255)"
        )
    };
    let mut fields = text.split(';').map(str::trim);
    let enabled = boolean(fields.next().unwrap_or_default()).ok_or_else(wrong)?;
    let mut number = |usual: u64, least, most| match fields.next().unwrap_or_default() {
        "" => Ok(usual),
        text => {
            let number = text.parse().ok().filter(|number| (least..=most).contains(number));
            number.ok_or_else(wrong)
        }
    };
    let receive = Duration::from_millis(number(300, FASTEST, SLOWEST)?);
    let transmit = Duration::from_millis(number(300, FASTEST, SLOWEST)?);
    let multiplier = u8::try_from(number(3, 1, 255)?).unwrap_or(u8::MAX);
    Ok(enabled.then_some(Bfd { receive, transmit, multiplier }))
}
