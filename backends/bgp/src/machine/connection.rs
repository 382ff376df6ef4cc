//! One TCP connection of a session: OPENs compared, hold and keepalive timers, messages in and
//! out of turn. Pure.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::time::Duration;

use super::{Config, Moment, State, Terms};
use crate::settings::RemoteAs;
use crate::wire::notification::Notification;
use crate::wire::open::{NextHops, Open};
use crate::wire::update::Relation;
use crate::wire::{self, Family, Frame, Kind};

/// The wait for an OPEN (RFC 4271 §8.2.2 suggests minutes; a peer that was reached says something
/// within seconds or not at all).
const OPEN_HOLD: Duration = Duration::from_secs(30);

/// One connection.
#[derive(Debug)]
pub(super) struct Connection {
    state: State,
    open: Open,
    peer: Option<Open>,
    /// Negotiated; zero: no KEEPALIVEs and no expiry (RFC 4271 §4.2).
    hold: Duration,
    keepalive: Duration,
    hold_until: Option<Moment>,
    keepalive_at: Option<Moment>,
}

/// What a message means.
#[derive(Debug)]
pub(super) enum Heard {
    Nothing,
    /// An OPEN that can be accepted with this KEEPALIVE.
    Open(Vec<u8>),
    Up(Terms),
    Refresh(Family),
    /// The peer ends the session.
    Ended(Notification),
    /// To be answered with this; and why, for a person.
    Wrong(Notification, String),
}

impl Connection {
    /// A connection over which `open` has just been sent.
    pub(super) fn new(open: Open, now: Moment) -> Self {
        Self {
            state: State::OpenSent,
            open,
            peer: None,
            hold: OPEN_HOLD,
            keepalive: Duration::ZERO,
            hold_until: Some(now + OPEN_HOLD),
            keepalive_at: None,
        }
    }

    pub(super) const fn state(&self) -> State {
        self.state
    }

    /// What the peer said of itself.
    pub(super) const fn peer(&self) -> Option<&Open> {
        self.peer.as_ref()
    }

    pub(super) fn remote_as(&self) -> Option<u32> {
        self.peer.as_ref().map(|peer| peer.asn)
    }

    pub(super) fn deadline(&self) -> Option<Moment> {
        self.hold_until.into_iter().chain(self.keepalive_at).min()
    }

    /// Whether our identifier is the greater one; by the AS numbers where they are the same
    /// (RFC 6286 §2.3).
    pub(super) fn is_ours_greater(&self) -> bool {
        let key = |open: &Open| (open.identifier, open.asn);
        self.peer.as_ref().is_none_or(|peer| key(&self.open) > key(peer))
    }

    /// Why the hold timer has run out, if it has.
    pub(super) fn expired(&self, now: Moment) -> Option<String> {
        let seconds = self.hold.as_secs();
        self.hold_until.filter(|until| *until <= now).map(|_| match self.state {
            State::OpenSent => format!("connected, but the peer sent no OPEN within {seconds} s"),
            _ => format!(
                "nothing was heard from the peer for {seconds} s (hold time): is the way to it cut?"
            ),
        })
    }

    /// The KEEPALIVE that is due, if one is.
    pub(super) fn keepalive(&mut self, now: Moment) -> Option<Vec<u8>> {
        self.keepalive_at.filter(|at| *at <= now)?;
        self.keepalive_at = Some(now + self.keepalive);
        let mut bytes = Vec::new();
        wire::keepalive(&mut bytes);
        Some(bytes)
    }

    pub(super) fn hear(&mut self, frame: &Frame<'_>, config: &Config, now: Moment) -> Heard {
        let heard = match (self.state, frame.kind) {
            (_, Kind::Notification) => match Notification::read(frame.body) {
                Some(said) => Heard::Ended(said),
                None => Heard::Nothing,
            },
            (State::OpenSent, Kind::Open) => self.opened(frame.body, config, now),
            (State::OpenConfirm, Kind::Keepalive) => self.confirmed(config),
            (State::Established, Kind::RouteRefresh) => {
                wire::route_refresh(frame.body).map_or(Heard::Nothing, Heard::Refresh)
            }
            (State::Established, Kind::Update | Kind::Keepalive) => Heard::Nothing,
            _ => self.unexpected(frame.kind),
        };
        if self.state != State::OpenSent && !self.hold.is_zero() {
            self.hold_until = Some(now + self.hold);
        }
        heard
    }

    /// RFC 6608.
    fn unexpected(&self, kind: Kind) -> Heard {
        let subcode = match self.state {
            State::OpenSent => 1,
            State::OpenConfirm => 2,
            _ => 3,
        };
        let answer = Notification::new(5, subcode);
        let why = format!("the peer sent {kind:?} in {}: {answer}", self.state.name());
        Heard::Wrong(answer, why)
    }

    fn opened(&mut self, body: &[u8], config: &Config, now: Moment) -> Heard {
        let peer = match Open::read(body) {
            Ok(peer) => peer,
            Err(answer) => {
                let why = format!("the peer's OPEN cannot be read: {answer}");
                return Heard::Wrong(answer, why);
            }
        };
        if let Err((answer, why)) = self.judge(&peer, config) {
            return Heard::Wrong(answer, why);
        }
        self.agree_on_timers(peer.hold, config, now);
        self.peer = Some(peer);
        self.state = State::OpenConfirm;
        let mut reply = Vec::new();
        wire::keepalive(&mut reply);
        Heard::Open(reply)
    }

    /// RFC 4271 §6.2.
    fn judge(&self, peer: &Open, config: &Config) -> Result<(), (Notification, String)> {
        judge_as(peer.asn, config)?;
        let ours = peer.identifier == self.open.identifier && peer.asn == config.local_as;
        if peer.identifier.is_unspecified() || ours {
            let why = format!(
                "the peer's router id is {}, which {}: give each router its own (bgp_routerid)",
                peer.identifier,
                if ours { "is ours too" } else { "is none" },
            );
            return Err((Notification::new(2, 3), why));
        }
        if matches!(peer.hold, 1 | 2) {
            let why = format!(
                "the peer wants a hold time of {} s; the protocol has 0, or 3 s and more",
                peer.hold
            );
            return Err((Notification::new(2, 6), why));
        }
        if self.common(peer).is_empty() {
            return Err(self.no_common_family(peer));
        }
        Ok(())
    }

    /// RFC 5492 §3: the data names what we would have wanted.
    fn no_common_family(&self, peer: &Open) -> (Notification, String) {
        let names = |families: &[Family]| {
            families.iter().map(|family| family.name()).collect::<Vec<_>>().join(" and ")
        };
        let ours = &self.open.capabilities.families;
        let wanted = ours.iter().flat_map(|family| {
            let [high, low] = family.afi().to_be_bytes();
            [1, 4, high, low, 0, Family::UNICAST]
        });
        let answer = Notification { data: wanted.collect(), ..Notification::new(2, 7) };
        let theirs = spoken(peer);
        let theirs =
            if theirs.is_empty() { "neither IPv4 nor IPv6".to_owned() } else { names(&theirs) };
        let why = format!(
            "no address family in common: we can announce {}, the peer takes {theirs} unicast: \
             activate the family for this neighbour at the peer, or see mpbgp_nexthop",
            names(ours),
        );
        (answer, why)
    }

    fn common(&self, peer: &Open) -> Vec<Family> {
        let theirs = spoken(peer);
        self.open.capabilities.families.iter().copied().filter(|f| theirs.contains(f)).collect()
    }

    fn agree_on_timers(&mut self, theirs: u16, config: &Config, now: Moment) {
        self.hold = config.hold.min(Duration::from_secs(u64::from(theirs)));
        if self.hold.is_zero() {
            self.hold_until = None;
            self.keepalive_at = None;
            return;
        }
        let third = self.hold / 3;
        let wanted = if config.keepalive.is_zero() { third } else { config.keepalive.min(third) };
        self.keepalive = wanted.max(Duration::from_millis(100));
        self.keepalive_at = Some(now + self.keepalive);
    }

    fn confirmed(&mut self, config: &Config) -> Heard {
        let Some(peer) = &self.peer else { return Heard::Nothing };
        self.state = State::Established;
        let extended =
            [&self.open, peer].iter().all(|open| open.capabilities.next_hops == NextHops::Extended);
        Heard::Up(Terms {
            remote_as: peer.asn,
            relation: match peer.asn == config.local_as {
                true => Relation::Internal,
                false => Relation::External,
            },
            as_width: peer.capabilities.as_width,
            families: self.common(peer),
            next_hops: if extended { NextHops::Extended } else { NextHops::SameFamily },
        })
    }
}

fn judge_as(asn: u32, config: &Config) -> Result<(), (Notification, String)> {
    let fits = match config.remote_as {
        RemoteAs::Number(expected) => asn == expected && asn != 0,
        RemoteAs::External => asn != config.local_as && asn != 0,
    };
    if fits {
        return Ok(());
    }
    let why = match config.remote_as {
        RemoteAs::Number(expected) => format!(
            "the peer says that it is AS {asn}, the settings say AS {expected}: correct one of them"
        ),
        RemoteAs::External => {
            format!(
                "the peer says that it is AS {asn}; only an AS other than ours ({}) will do",
                config.local_as
            )
        }
    };
    Err((Notification::new(2, 2), why))
}

/// What a peer takes: IPv4 if it says nothing (RFC 4760 §8).
fn spoken(peer: &Open) -> Vec<Family> {
    match peer.capabilities.families.as_slice() {
        [] => vec![Family::V4],
        some => some.to_vec(),
    }
}
