//! What is declared once at the start, and what becomes of it with the node's annotations and the
//! files of passwords, which may come and change later. Pure: files are read by the caller's
//! function.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::BTreeMap;
use std::time::Duration;

use viplet_backend_api::Unacceptable;

use super::password::{File, Passwords};
use super::peer::Common;
use super::reader::Findings;
use super::{Distance, Peer, PeerAddress, RouterId, Settings, Source, node};

/// The settings of BGP, read and checked: all of them but what the node's annotations and the
/// files of passwords add ([`Declared::resolve`]). Equal if nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    /// With the peers as far as each speaks for itself.
    pub(super) settings: Settings,
    pub(super) shared: Shared,
    /// The prefix of the annotations, without a slash at its end.
    pub(super) annotation: Option<String>,
    pub(super) warnings: Vec<String>,
}

/// What all peers have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shared {
    pub(super) common: Common,
    pub(super) hold: Duration,
    pub(super) keepalive: Duration,
    /// `bgp_ttl_security`; 0: off.
    pub(super) hops: u8,
    /// `bgp_password_file`; empty: none.
    pub(super) password_file: String,
}

/// What is known of the settings by now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// All of them.
    Ready(Box<Settings>),
    /// `annotation` is set, and these annotations are still missing on the node, by the first
    /// of their names.
    Waiting(Vec<String>),
}

impl Declared {
    /// The prefix of the node's annotations that hold peers, if they do (`annotation`).
    #[must_use]
    pub fn annotation_prefix(&self) -> Option<&str> {
        self.annotation.as_deref()
    }

    /// What can be taken, and is hardly meant so: for the log at the start.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The settings by name and value, as kube-vip's dump of its configuration has them; no
    /// password.
    #[must_use]
    pub fn lines(&self) -> Vec<(&'static str, String)> {
        let id = match &self.settings.router_id {
            RouterId::Fixed(id) => id.to_string(),
            RouterId::OfLink(link) => format!("of {link}"),
            RouterId::Automatic => "automatic".to_owned(),
        };
        let (address, link) = match &self.shared.common.source {
            Source::Any => (String::new(), String::new()),
            Source::Address(address) => (address.to_string(), String::new()),
            Source::Link(link) => (String::new(), link.to_string()),
        };
        vec![
            ("BGP AS", self.settings.local_as.to_string()),
            ("BGP Router ID", id),
            ("BGP Source IP", address),
            ("BGP Source Interface", link),
            ("BGP Hold Time", self.shared.hold.as_secs().to_string()),
            ("BGP Keepalive Interval", self.shared.keepalive.as_secs().to_string()),
        ]
    }

    /// The settings with what the node's annotations say (where they are known already; they
    /// matter only with a prefix) and with the passwords of files. `files` reads a file or a
    /// folder's entry: [`super::from_disk`].
    ///
    /// # Errors
    /// Every setting that cannot be taken, with what is accepted.
    pub fn resolve(
        &self,
        annotations: Option<&BTreeMap<String, String>>,
        files: &dyn Fn(&str) -> Result<File, String>,
    ) -> Result<Reading, Vec<Unacceptable>> {
        let mut found = Findings::default();
        let (mut settings, mut shared) = (self.settings.clone(), self.shared.clone());
        let mut waiting = None;
        if let Some(prefix) = &self.annotation {
            match node::read(&mut found, prefix, annotations.unwrap_or(&BTreeMap::new())) {
                node::Found::Missing(missing) => waiting = Some(missing),
                node::Found::All(node) => {
                    annotated(&mut found, &mut settings, &mut shared.common, node);
                }
            }
        }
        complete(&mut found, &mut settings.peers, &shared, files);
        match waiting {
            _ if !found.wrong.is_empty() => Err(found.wrong),
            Some(missing) => Ok(Reading::Waiting(missing)),
            None => Ok(Reading::Ready(Box::new(settings))),
        }
    }
}

/// The families of a peer that says nothing of its own about them.
pub(super) fn with_families(found: &mut Findings, peer: &mut Peer, common: &Common) {
    match common.next_hops.families(peer, common) {
        Ok(families) => peer.families = families,
        Err(why) => found.refuse("mpbgp_nexthop", why),
    }
}

/// The node's annotations take the place of the settings; `src-ip` that of `bgp_sourceip`.
fn annotated(found: &mut Findings, settings: &mut Settings, common: &mut Common, node: node::Node) {
    if matches!(common.source, Source::Link(_)) {
        let why = "the node's annotation src-ip gives the source; accepted: not both";
        found.refuse("bgp_sourceif", why);
    }
    common.source = node.source.map_or(Source::Any, Source::Address);
    settings.local_as = node.local_as;
    settings.router_id = node.router_id;
    settings.peers = node.peers;
    for peer in &mut settings.peers {
        with_families(found, peer, common);
    }
}

/// What all peers have in common, beside what each says for itself.
fn complete(
    found: &mut Findings,
    peers: &mut [Peer],
    shared: &Shared,
    files: &dyn Fn(&str) -> Result<File, String>,
) {
    let passwords = Passwords::open(found, &shared.password_file, files);
    for peer in peers {
        peer.hold = shared.hold;
        peer.keepalive = shared.keepalive;
        peer.source = source_for(&shared.common.source, &peer.address);
        secure(found, peer, shared.hops);
        if peer.password.is_none() {
            peer.password = passwords.of(found, peer);
        }
        password_fits(found, peer);
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

fn secure(found: &mut Findings, peer: &mut Peer, hops: u8) {
    if hops == 0 {
        return;
    }
    if hops == 1 && matches!(peer.distance, Distance::Multihop(_)) {
        let name = peer.name();
        let why = format!("1 hop is too near for the multihop peer {name}; accepted: more hops");
        found.refuse("bgp_ttl_security", why);
    }
    peer.distance = Distance::Secured(hops);
}

fn password_fits(found: &mut Findings, peer: &Peer) {
    /// `TCP_MD5SIG_MAXKEYLEN` (`linux/tcp.h`).
    const MOST: usize = 80;
    if peer.password.as_ref().is_some_and(|password| password.0.len() > MOST) {
        let why = format!("the password of {} is too long; accepted: 80 bytes", peer.name());
        found.refuse("bgp_peers", why);
    }
}
