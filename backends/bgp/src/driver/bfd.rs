//! BFD beside the sessions: who is watched, and what a session hears of it.

use std::net::IpAddr;
use std::task::{Context, Poll};

use viplet_bfd::{Endpoint, Event as Seen, Hops, State};

use super::Bgp;
use super::neighbour::{Around, Neighbour};
use crate::machine::Event;
use crate::settings::{Distance, PeerAddress, Source};

impl Bgp {
    /// Watches the peers whose addresses are known, after that has changed.
    pub(super) fn watch_paths(&mut self) {
        let known: Vec<Option<IpAddr>> = self.neighbours.iter().map(Neighbour::address).collect();
        if self.watched.as_ref() == Some(&known) {
            return;
        }
        let peers = self.neighbours.iter().filter_map(|neighbour| {
            let intervals = neighbour.peer.bfd?;
            Some((neighbour.name.clone(), endpoint(neighbour)?, intervals))
        });
        self.bfd.set_peers(peers.collect());
        self.watched = Some(known);
    }

    /// Tells sessions what BFD saw; ready when it saw something.
    pub(super) fn poll_paths(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.watch_paths();
        let mut happened = Poll::Pending;
        while let Poll::Ready(seen) = self.bfd.poll_event(cx) {
            happened = Poll::Ready(());
            self.with_neighbours(|neighbour, around, _| {
                if neighbour.name == seen.key {
                    tell(neighbour, &seen, around);
                }
            });
        }
        happened
    }
}

/// A path that never was up says nothing: the peer may have no BFD (RFC 5882 §4.2).
fn tell(neighbour: &mut Neighbour, seen: &Seen, around: &Around<'_>) {
    let before = std::mem::replace(&mut neighbour.path, seen.state);
    let on_purpose = seen.remote == State::AdminDown || seen.state == State::AdminDown;
    if seen.state == State::Up || on_purpose {
        neighbour.handle(Event::PathUp, around);
    } else if before == State::Up {
        neighbour.handle(Event::PathDown, around);
    }
}

fn endpoint(neighbour: &Neighbour) -> Option<Endpoint> {
    let peer = neighbour.address()?;
    let link = match (&neighbour.peer.address, &neighbour.peer.source) {
        (PeerAddress::LinkLocal(_, link) | PeerAddress::Unnumbered(link), _)
        | (PeerAddress::Ip(_), Source::Link(link)) => Some(link.clone()),
        _ => None,
    };
    let source = match &neighbour.peer.source {
        Source::Address(address) if address.is_ipv4() == peer.is_ipv4() => Some(*address),
        _ => None,
    };
    let hops = match neighbour.peer.distance {
        Distance::Direct | Distance::Secured(1) => Hops::One,
        Distance::Multihop(_) | Distance::Secured(_) => Hops::Several,
    };
    Some(Endpoint { peer, link, source, hops })
}
