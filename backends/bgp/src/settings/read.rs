//! From the text of the settings and of a node's annotations to [`Settings`]. Pure: files are
//! read by the caller's function. No message repeats a value that may hold a password.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;
use std::time::Duration;

use viplet_backend_api::{Given, LinkName, Unacceptable};

use super::next_hop::NextHops;
use super::password::{File, Passwords};
use super::peer::Common;
use super::{
    Distance, Families, GracefulRestart, Listen, Peer, PeerAddress, RemoteAs, RouterId, Settings,
    Source, attributes, node, peer,
};

/// `bgp_as`, `bgp_peeras`: kube-vip's default.
const AS: u32 = 65_000;
/// The port of BGP (RFC 4271 §8).
pub(super) const PORT: u16 = 179;
/// kube-vip's TTL for `multihop`.
pub(super) const MULTIHOP_TTL: u8 = 50;
/// Longest planned stop: the manifests give a pod 10 s to end (`terminationGracePeriodSeconds`).
const LONGEST_STOP: Duration = Duration::from_secs(8);

/// What is known of the settings by now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// All of them.
    Ready(Box<Settings>),
    /// `annotation` is set, and these annotations are still missing on the node, by the first
    /// of their names.
    Waiting(Vec<String>),
}

/// Reads the settings. `annotations` are the node's, where they are known already; they matter
/// only where the setting `annotation` is given. `files` reads a file or a folder's entry:
/// [`super::from_disk`].
///
/// # Errors
/// Every setting that cannot be taken, with what is accepted.
pub fn read(
    given: &Given,
    annotations: Option<&BTreeMap<String, String>>,
    files: &dyn Fn(&str) -> Result<File, String>,
) -> Result<Reading, Vec<Unacceptable>> {
    let mut reader = Reader { given, wrong: Vec::new() };
    let mut settings = common(&mut reader);
    let prefix = reader.text("annotation").trim_end_matches('/');
    let mut common =
        Common { next_hops: NextHops::common(&mut reader), source: source(&mut reader) };
    let mut waiting = None;
    if prefix.is_empty() {
        settings.peers = given_peers(&mut reader, &common);
    } else {
        match node::read(&mut reader, prefix, annotations.unwrap_or(&BTreeMap::new())) {
            node::Found::Missing(missing) => waiting = Some(missing),
            node::Found::All(found) => annotated(&mut reader, &mut settings, &mut common, found),
        }
    }
    complete(&mut reader, &mut settings.peers, &common, files);
    unique(&mut reader, &settings.peers);
    match waiting {
        _ if !reader.wrong.is_empty() => Err(reader.wrong),
        Some(missing) => Ok(Reading::Waiting(missing)),
        None => Ok(Reading::Ready(Box::new(settings))),
    }
}

/// What is wrong with the settings, as far as it can be known at the start of the program:
/// without the node's annotations, and without looking into files.
#[must_use]
pub fn check(given: &Given) -> Vec<Unacceptable> {
    read(given, None, &|_| Ok(File::Folder)).err().unwrap_or_default()
}

/// The settings by name, and what was wrong with them so far.
pub(super) struct Reader<'a> {
    given: &'a Given,
    pub(super) wrong: Vec<Unacceptable>,
}

impl<'a> Reader<'a> {
    pub(super) fn text(&self, setting: &str) -> &'a str {
        self.given.text(setting).trim()
    }

    /// As it was written: a password may end with a space.
    pub(super) fn untrimmed(&self, setting: &str) -> &'a str {
        self.given.text(setting)
    }

    pub(super) fn refuse(&mut self, setting: &'static str, why: impl Into<String>) {
        self.wrong.push(Unacceptable { setting, why: why.into() });
    }

    /// A value of a type that says itself what it takes; `None` where nothing is given.
    pub(super) fn value<T: FromStr>(&mut self, setting: &'static str, accepted: &str) -> Option<T> {
        let text = self.text(setting);
        if text.is_empty() {
            return None;
        }
        let parsed = text.parse().ok();
        if parsed.is_none() {
            self.refuse(setting, format!("it cannot be read; accepted: {accepted}"));
        }
        parsed
    }

    /// A number between limits, both included.
    pub(super) fn number(&mut self, setting: &'static str, limits: (u32, u32), usual: u32) -> u32 {
        let (least, most) = limits;
        let accepted = format!("a whole number from {least} to {most}");
        let number = self.value(setting, &accepted).unwrap_or(usual);
        if !(least..=most).contains(&number) {
            self.refuse(setting, format!("it is out of range; accepted: {accepted}"));
        }
        number
    }

    pub(super) fn link(&mut self, setting: &'static str) -> Option<LinkName> {
        let text = self.text(setting);
        if text.is_empty() {
            return None;
        }
        let link = LinkName::new(text);
        if link.is_none() {
            self.refuse(setting, "it is not the name of an interface; accepted: eth0");
        }
        link
    }
}

/// All but the peers.
fn common(reader: &mut Reader<'_>) -> Settings {
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

/// `bgp_peers`, and the peer of `bgp_peeraddress` after them.
fn given_peers(reader: &mut Reader<'_>, common: &Common) -> Vec<Peer> {
    let before = reader.wrong.len();
    let mut peers = peer::list(reader, common);
    let accepted = "an IPv4 or IPv6 address, as 192.0.2.1";
    if let Some(address) = reader.value::<IpAddr>("bgp_peeraddress", accepted) {
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
                with_families(reader, &mut peer, common);
                peers.push(peer);
            }
            Err(why) => reader.refuse("bgp_peeraddress", why),
        }
    }
    if peers.is_empty() && reader.wrong.len() == before {
        let why = "no peer is given; accepted: at least one in bgp_peers or bgp_peeraddress, or \
                   annotation for those of the node's annotations";
        reader.refuse("bgp_peers", why);
    }
    peers
}

/// The families of a peer that says nothing of its own about them.
fn with_families(reader: &mut Reader<'_>, peer: &mut Peer, common: &Common) {
    match common.next_hops.families(peer, common) {
        Ok(families) => peer.families = families,
        Err(why) => reader.refuse("mpbgp_nexthop", why),
    }
}

/// The node's annotations take the place of the settings; `src-ip` that of `bgp_sourceip`.
fn annotated(
    reader: &mut Reader<'_>,
    settings: &mut Settings,
    common: &mut Common,
    found: node::Node,
) {
    if matches!(common.source, Source::Link(_)) {
        let why = "the node's annotation src-ip gives the source; accepted: not both";
        reader.refuse("bgp_sourceif", why);
    }
    common.source = found.source.map_or(Source::Any, Source::Address);
    settings.local_as = found.local_as;
    settings.router_id = found.router_id;
    settings.peers = found.peers;
    for peer in &mut settings.peers {
        with_families(reader, peer, common);
    }
}

/// A peer about which nothing more is known; [`complete`] adds what all have in common.
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

/// What all peers have in common, beside what each says for itself.
fn complete(
    reader: &mut Reader<'_>,
    peers: &mut [Peer],
    common: &Common,
    files: &dyn Fn(&str) -> Result<File, String>,
) {
    let (hold, keepalive) = timers(reader);
    let security = reader.number("bgp_ttl_security", (0, 254), 0);
    let security = u8::try_from(security).unwrap_or(0);
    let passwords = Passwords::open(reader, files);
    for peer in peers {
        peer.hold = hold;
        peer.keepalive = keepalive;
        peer.source = source_for(&common.source, &peer.address);
        secure(reader, peer, security);
        if peer.password.is_none() {
            peer.password = passwords.of(reader, peer);
        }
        password_fits(reader, peer);
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

/// An address serves the peers of its family; the others are reached from wherever the kernel says.
fn source_for(common: &Source, peer: &PeerAddress) -> Source {
    match (common, peer) {
        (Source::Address(ours), PeerAddress::Ip(theirs)) if ours.is_ipv4() == theirs.is_ipv4() => {
            common.clone()
        }
        (Source::Link(_), PeerAddress::Ip(_)) => common.clone(),
        _ => Source::Any,
    }
}

fn secure(reader: &mut Reader<'_>, peer: &mut Peer, hops: u8) {
    if hops == 0 {
        return;
    }
    if hops == 1 && matches!(peer.distance, Distance::Multihop(_)) {
        let name = peer.name();
        let why = format!("1 hop is too near for the multihop peer {name}; accepted: more hops");
        reader.refuse("bgp_ttl_security", why);
    }
    peer.distance = Distance::Secured(hops);
}

fn password_fits(reader: &mut Reader<'_>, peer: &Peer) {
    /// `TCP_MD5SIG_MAXKEYLEN` (`linux/tcp.h`).
    const MOST: usize = 80;
    if peer.password.as_ref().is_some_and(|password| password.0.len() > MOST) {
        let why = format!("the password of {} is too long; accepted: 80 bytes", peer.name());
        reader.refuse("bgp_peers", why);
    }
}

fn unique(reader: &mut Reader<'_>, peers: &[Peer]) {
    let mut names = BTreeSet::new();
    for name in peers.iter().map(Peer::name) {
        if names.contains(&name) {
            reader.refuse("bgp_peers", format!("{name} is given twice; accepted: each peer once"));
        }
        names.insert(name);
    }
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
