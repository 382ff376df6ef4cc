//! [`Bfd`]: the sessions with their sockets and the timer. Packets that have arrived are always
//! read before anyone is declared down: a process that came late blames nobody for it.

mod socket;

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use async_io::Timer;
use viplet_backend_api::LinkName;

use crate::machine::{Change, Outcome, Session, Settings};
use crate::wire::{self, Diagnostic, Packet, State};
use socket::{Kind, Receiver, Sender};

/// Packets read before the deadlines are looked at, however many wait.
const PACKETS_AT_ONCE: usize = 1024;

/// The two ends of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The peer; a link-local one needs a link.
    pub peer: IpAddr,
    /// The link that packets leave by.
    pub link: Option<LinkName>,
    /// Our address, else the one that the kernel takes.
    pub source: Option<IpAddr>,
    /// How far away the peer may be.
    pub hops: Hops,
}

/// How many hops a session goes over: it decides about the port and the check of the TTL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hops {
    /// One (RFC 5881): what has passed a router is not heard.
    One,
    /// Several (RFC 5883).
    Several,
}

/// The state of a session changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// As given to [`Bfd::set_peers`].
    pub key: String,
    /// Our new state.
    pub state: State,
    /// Why it is not up.
    pub diagnostic: Diagnostic,
    /// The peer's state as it said last. `AdminDown`: it stopped BFD on purpose, which says
    /// nothing about the path (RFC 5882 §3.2).
    pub remote: State,
}

/// BFD to all peers that want it. Nothing is open while none does.
#[derive(Debug)]
pub struct Bfd {
    start: Instant,
    random: u64,
    sessions: BTreeMap<String, Live>,
    receivers: BTreeMap<Kind, Receiver>,
    events: VecDeque<Event>,
    timer: Timer,
}

/// A session with what it needs outside.
#[derive(Debug)]
struct Live {
    endpoint: Endpoint,
    session: Session,
    sender: Option<Sender>,
    /// Why nothing can be received here.
    receive_error: Option<String>,
    /// Why nothing can be sent.
    send_error: Option<String>,
}

impl Bfd {
    /// Without sessions. `seed` is different on every node and every start.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            start: Instant::now(),
            random: seed | 1,
            sessions: BTreeMap::new(),
            receivers: BTreeMap::new(),
            events: VecDeque::new(),
            timer: Timer::never(),
        }
    }

    /// The peers from now on, each key once. A session whose endpoint stays keeps its state, with
    /// other intervals too; the peers of those that end are told so. Call [`Bfd::poll_event`] next.
    pub fn set_peers(&mut self, peers: Vec<(String, Endpoint, Settings)>) {
        let now = self.now();
        let mut before = std::mem::take(&mut self.sessions);
        for (key, endpoint, intervals) in peers {
            let kept = before.remove(&key).filter(|live| live.endpoint == endpoint);
            let live = match kept {
                Some(mut live) => {
                    live.session.set(intervals);
                    live
                }
                None => self.begin(endpoint, intervals, now),
            };
            self.sessions.insert(key, live);
        }
        for mut live in before.into_values() {
            live.send_admin_down(now);
        }
        let sessions = &self.sessions;
        self.receivers.retain(|kind, _| sessions.values().any(|live| live.kind() == *kind));
    }

    /// Waits for the next change of a session's state.
    pub fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        loop {
            // The moment before reading: whatever arrived until then is read.
            let now = self.now();
            self.hear(cx, now);
            self.advance(now);
            if let Some(event) = self.events.pop_front() {
                return Poll::Ready(event);
            }
            let next = self.sessions.values().map(|live| live.session.deadline()).min();
            let Some(at) = next.and_then(|next| self.start.checked_add(next)) else {
                return Poll::Pending;
            };
            self.timer.set_at(at);
            if Future::poll(Pin::new(&mut self.timer), cx).is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// Our state of a session; `None` where there is none.
    #[must_use]
    pub fn state(&self, key: &str) -> Option<State> {
        self.sessions.get(key).map(|live| live.session.state())
    }

    /// Why packets of a session cannot be sent or received here, in words for a person. It is
    /// tried again with every packet that is due.
    #[must_use]
    pub fn error(&self, key: &str) -> Option<&str> {
        let live = self.sessions.get(key)?;
        live.receive_error.as_deref().or(live.send_error.as_deref())
    }

    /// Holds all sessions down on purpose and tells their peers at once.
    pub fn admin_down(&mut self) {
        let now = self.now();
        for live in self.sessions.values_mut() {
            live.send_admin_down(now);
        }
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn begin(&mut self, endpoint: Endpoint, intervals: Settings, now: Duration) -> Live {
        let discriminator = self.discriminator();
        let seed = self.next_random();
        let session = Session::new(intervals, discriminator, seed, now);
        Live { endpoint, session, sender: None, receive_error: None, send_error: None }
    }

    /// One that no session has, and not 0 (RFC 5880 §6.8.1).
    fn discriminator(&mut self) -> u32 {
        loop {
            let new = u32::try_from(self.next_random() >> 32).unwrap_or(0);
            let taken = |live: &Live| live.session.discriminator() == new;
            if new != 0 && !self.sessions.values().any(taken) {
                return new;
            }
        }
    }

    fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Reads what has arrived.
    fn hear(&mut self, cx: &mut Context<'_>, now: Duration) {
        for (kind, receiver) in &mut self.receivers {
            for _ in 0..PACKETS_AT_ONCE {
                let Poll::Ready((bytes, from)) = receiver.poll_packet(cx) else { break };
                let Ok(packet) = wire::decode(bytes) else { continue };
                let found = self.sessions.iter_mut().find(|(_, live)| {
                    live.kind() == *kind && live.is_from(&from) && live.is_for(&packet)
                });
                if let Some((key, live)) = found {
                    let outcome = live.session.receive(&packet, now);
                    self.events.extend(live.carry_out(outcome).map(|c| event(key, c)));
                }
            }
        }
    }

    /// Declares down who was not heard, sends what is due.
    fn advance(&mut self, now: Duration) {
        for (key, live) in &mut self.sessions {
            if live.session.deadline() > now {
                continue;
            }
            let opened = self.receivers.entry(live.kind()).or_default().open(live.kind());
            note(&mut live.receive_error, opened.err());
            let outcome = live.session.tick(now);
            self.events.extend(live.carry_out(outcome).map(|change| event(key, change)));
        }
    }
}

fn event(key: &str, change: Change) -> Event {
    let Change { state, diagnostic, remote } = change;
    Event { key: key.to_owned(), state, diagnostic, remote }
}

impl Live {
    fn kind(&self) -> Kind {
        Kind::of(&self.endpoint)
    }

    fn is_from(&self, from: &SocketAddr) -> bool {
        let scope = self.sender.as_ref().and_then(Sender::scope);
        let same_link = match from {
            SocketAddr::V6(from) => scope.is_none_or(|scope| scope == from.scope_id()),
            SocketAddr::V4(_) => true,
        };
        from.ip() == self.endpoint.peer && same_link
    }

    /// §6.8.6: by our discriminator, or by the addresses where the peer does not know it yet.
    fn is_for(&self, packet: &Packet) -> bool {
        let named = packet.your_discriminator;
        named == 0 || named == self.session.discriminator()
    }

    fn carry_out(&mut self, outcome: Outcome) -> Option<Change> {
        if let Some(packet) = outcome.packet {
            self.send(&packet);
        }
        outcome.change
    }

    fn send_admin_down(&mut self, now: Duration) {
        let packet = self.session.admin_down(now);
        self.send(&packet);
    }

    fn send(&mut self, packet: &Packet) {
        let opened = match self.sender.take() {
            Some(sender) => Ok(sender),
            None => Sender::open(&self.endpoint, self.session.discriminator()),
        };
        let sent = opened.and_then(|sender| sender.send(&packet.encode()).map(|()| sender));
        let why = sent.as_ref().err();
        let why = why.map(|why| format!("cannot send BFD to {}: {why}", self.endpoint.peer));
        self.sender = sent.ok();
        note(&mut self.send_error, why);
    }
}

/// Keeps what is wrong now, and logs it when it is new.
fn note(place: &mut Option<String>, why: Option<String>) {
    if let Some(why) = why.as_ref().filter(|why| place.as_ref() != Some(why)) {
        log::warn!("{why}");
    }
    *place = why;
}
