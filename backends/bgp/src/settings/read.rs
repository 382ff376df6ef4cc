//! From the text of the settings to [`Declared`]. No message repeats a value that may hold a password.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use viplet_backend_api::{Given, Unacceptable};

use super::declared::{Declared, Shared, with_families};
use super::next_hop::NextHops;
use super::password::File;
use super::peer::Common;
use super::reader::{Findings, Reader};
use super::{
    Distance, Families, GracefulRestart, Listen, Peer, PeerAddress, RemoteAs, RouterId, Settings,
    Source, attributes, peer,
};

/// `bgp_as`, `bgp_peeras`: kube-vip's default.
const AS: u32 = 65_000;
/// The port of BGP (RFC 4271 §8).
pub(super) const PORT: u16 = 179;
/// kube-vip's TTL for `multihop`.
pub(super) const MULTIHOP_TTL: u8 = 50;
/// Longest planned stop: the manifests give a pod 10 s to end (`terminationGracePeriodSeconds`).
const LONGEST_STOP: Duration = Duration::from_secs(8);

/// Reads and checks the settings, once at the start: without the node's annotations, and without
/// looking into files.
///
/// # Errors
/// Every setting that cannot be taken, with what is accepted.
pub fn declare(given: &Given) -> Result<Declared, Vec<Unacceptable>> {
    let mut reader = Reader::new(given);
    let mut settings = speaker(&mut reader);
    let common = Common { next_hops: NextHops::common(&mut reader), source: source(&mut reader) };
    let prefix = reader.text("annotation").trim_end_matches('/');
    let annotation = (!prefix.is_empty()).then(|| prefix.to_owned());
    if annotation.is_none() {
        settings.peers = given_peers(&mut reader, &common);
    }
    let (hold, keepalive) = timers(&mut reader);
    let hops = reader.number("bgp_ttl_security", (0, 254), 0);
    let shared = Shared {
        common,
        hold,
        keepalive,
        hops: u8::try_from(hops).unwrap_or(0),
        password_file: reader.text("bgp_password_file").trim_end_matches('/').to_owned(),
    };
    let Findings { mut wrong, warnings } = reader.found;
    let declared = Declared { settings, shared, annotation, warnings };
    // What can be said without annotations and files is said now.
    wrong.extend(declared.resolve(None, &|_| Ok(File::Folder)).err().into_iter().flatten());
    if wrong.is_empty() { Ok(declared) } else { Err(wrong) }
}

/// All but the peers.
fn speaker(reader: &mut Reader<'_>) -> Settings {
    let restart = reader.number("bgp_graceful_restart_seconds", (0, 4095), 15);
    let listen = reader.number("bgp_listen_port", (0, 65_535), 0);
    Settings {
        local_as: reader.number("bgp_as", (1, u32::MAX), AS),
        router_id: router_id(reader),
        attributes: attributes::read(reader),
        graceful_restart: match u16::try_from(restart) {
            Ok(seconds @ 1..) => GracefulRestart::Within(seconds),
            _ => GracefulRestart::Off,
        },
        graceful_shutdown: stop(reader),
        listen: match u16::try_from(listen) {
            Ok(port @ 1..) => Listen::Port(port),
            _ => Listen::No,
        },
        peers: Vec::new(),
    }
}

/// `bgp_routerid` wins over `bgp_routerinterface`.
fn router_id(reader: &mut Reader<'_>) -> RouterId {
    let link = reader.link("bgp_routerinterface");
    let fixed = reader.value::<Ipv4Addr>("bgp_routerid", "an IPv4 address, as 192.0.2.1");
    match (fixed, link) {
        (Some(id), _) => {
            if id.is_unspecified() {
                let why = "0.0.0.0 is no router id (RFC 6286); accepted: another IPv4 address";
                reader.refuse("bgp_routerid", why);
            }
            RouterId::Fixed(id)
        }
        (None, Some(link)) => RouterId::OfLink(link),
        (None, None) => RouterId::Automatic,
    }
}

/// As the table of settings writes a length of time: `1s`, `500ms`.
fn stop(reader: &mut Reader<'_>) -> Duration {
    let text = reader.text("bgp_graceful_shutdown");
    if text.is_empty() {
        return Duration::from_secs(1);
    }
    let units = [("ns", 1), ("us", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000_u64)];
    let nanoseconds = units
        .iter()
        .find_map(|(unit, size)| text.strip_suffix(unit)?.parse::<u64>().ok()?.checked_mul(*size));
    match nanoseconds.map(Duration::from_nanos).filter(|time| *time <= LONGEST_STOP) {
        Some(time) => time,
        None => {
            let why = "it cannot be taken; accepted: 0s to 8s, as 500ms or 1s; the pod is killed \
                       after 10 s";
            reader.refuse("bgp_graceful_shutdown", why);
            Duration::ZERO
        }
    }
}

/// `bgp_peers`, and the peer of `bgp_peeraddress` after them; each once.
fn given_peers(reader: &mut Reader<'_>, common: &Common) -> Vec<Peer> {
    let before = reader.found.wrong.len();
    let listed = peer::list(reader, common);
    let alone = single_peer(reader, common);
    if listed.is_empty() && alone.is_none() && reader.found.wrong.len() == before {
        let why = "no peer is given; accepted: at least one in bgp_peers or bgp_peeraddress, or \
                   annotation for those of the node's annotations";
        reader.refuse("bgp_peers", why);
    }
    let listed = listed.into_iter().map(|peer| (peer, "bgp_peers"));
    let all = listed.chain(alone.map(|peer| (peer, "bgp_peeraddress")));
    each_once(&mut reader.found, all)
}

/// The peer of `bgp_peeraddress`.
fn single_peer(reader: &mut Reader<'_>, common: &Common) -> Option<Peer> {
    let accepted = "an IPv4 or IPv6 address, as 192.0.2.1";
    let address = reader.value::<IpAddr>("bgp_peeraddress", accepted)?;
    let remote_as = reader.number("bgp_peeras", (1, u32::MAX), AS);
    let password = reader.untrimmed("bgp_peerpass").to_owned();
    let multihop = reader.value("bgp_multihop", "true or false").unwrap_or(false);
    match peer::address(address) {
        Ok(address) => {
            let mut peer = new_peer(address, RemoteAs::Number(remote_as));
            peer.password = (!password.is_empty()).then_some(super::Password(password));
            if multihop {
                peer.distance = Distance::Multihop(MULTIHOP_TTL);
            }
            with_families(&mut reader.found, &mut peer, common);
            Some(peer)
        }
        Err(why) => {
            reader.refuse("bgp_peeraddress", why);
            None
        }
    }
}

/// The same peer twice is one peer, with a warning; one that is given in two ways is refused.
fn each_once(found: &mut Findings, all: impl Iterator<Item = (Peer, &'static str)>) -> Vec<Peer> {
    let mut kept: Vec<(Peer, &'static str)> = Vec::new();
    for (peer, setting) in all {
        let Some((first, before)) = kept.iter().find(|(other, _)| other.name() == peer.name())
        else {
            kept.push((peer, setting));
            continue;
        };
        let name = peer.name();
        let places = match *before == setting {
            true => format!("twice in {setting}"),
            false => format!("in {before} and in {setting}"),
        };
        match peer::differences(first, &peer) {
            none if none.is_empty() => found.warnings.push(format!(
                "the peer {name} is given {places}, the same both times: it is one peer; one of \
                 the two can go"
            )),
            differ => found.refuse(
                "bgp_peers",
                format!(
                    "{name} is given {places}, with another {}; accepted: each peer once, or \
                     twice with the same values (bgp_peeraddress has its own in bgp_peeras, \
                     bgp_peerpass and bgp_multihop)",
                    differ.join(", another ")
                ),
            ),
        }
    }
    kept.into_iter().map(|(peer, _)| peer).collect()
}

/// A peer about which nothing more is known; [`Declared::resolve`] adds what all have in common.
pub(super) fn new_peer(address: PeerAddress, remote_as: RemoteAs) -> Peer {
    Peer {
        address,
        port: PORT,
        remote_as,
        password: None,
        distance: Distance::Direct,
        source: Source::Any,
        families: Families::Own,
        hold: Duration::ZERO,
        keepalive: Duration::ZERO,
        bfd: None,
    }
}

fn timers(reader: &mut Reader<'_>) -> (Duration, Duration) {
    let hold = reader.number("bgp_hold_time", (0, 65_535), 30);
    if matches!(hold, 1 | 2) {
        let why = "1 and 2 are no hold times (RFC 4271 §4.2); accepted: 0 (never), or 3 to 65535 \
                   seconds";
        reader.refuse("bgp_hold_time", why);
    }
    let keepalive = reader.number("bgp_keepalive_interval", (0, 65_535), 10);
    let seconds = |number: u32| Duration::from_secs(number.into());
    // 0 is kube-vip's way to say: as the hold time wants it.
    let third = seconds(hold) / 3;
    let keepalive = if keepalive == 0 { third } else { seconds(keepalive).min(third) };
    (seconds(hold), keepalive)
}

fn source(reader: &mut Reader<'_>) -> Source {
    let link = reader.link("bgp_sourceif");
    let address = reader.value("bgp_sourceip", "an IPv4 or IPv6 address, as 192.0.2.1");
    match (link, address) {
        (Some(_), Some(_)) => {
            let why = "bgp_sourceip is given too; accepted: one of the two";
            reader.refuse("bgp_sourceif", why);
            Source::Any
        }
        (Some(link), None) => Source::Link(link),
        (None, Some(address)) => Source::Address(address),
        (None, None) => Source::Any,
    }
}

#[cfg(test)]
mod tests;
