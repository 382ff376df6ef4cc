//! One peer's session (RFC 4271 §8): its states and timers, and which of two connections stays
//! (§6.8). Pure: time and seed are arguments, what is to be done comes back as actions.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod connection;
mod retry;
mod terms;

use std::time::Duration;

use crate::settings::RemoteAs;
use crate::wire::Frame;
use crate::wire::notification::{Notification, cease};
use crate::wire::open::Open;

use connection::{Connection, Heard};
use retry::Retry;
pub(crate) use terms::{Action, Config, Event, Side, State, Terms};

/// Time since some moment before all others.
pub(crate) type Moment = Duration;

/// How long an attempt at a TCP connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// A session that lasted so long was a good one: the next attempt comes soon after it.
const GOOD: Duration = Duration::from_secs(10);

/// Our own attempt at a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attempt {
    /// The next one begins then.
    Waiting(Moment),
    /// One is under way, until then.
    Connecting(Moment),
}

/// A peer that BFD has lost is tried again after so long, whatever BFD says.
const HELD_BACK: Duration = Duration::from_secs(60);

/// Whether a session is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Yes,
    /// Not until BFD sees the peer again (RFC 5882 §4.2).
    OncePathIsUp,
    /// Never again.
    No,
}

/// One peer's session.
#[derive(Debug)]
pub(crate) struct Session {
    config: Config,
    retry: Retry,
    wanted: Wanted,
    attempt: Attempt,
    connections: [Option<Connection>; 2],
    /// Since when it is established.
    established: Option<Moment>,
    remote_as: Option<u32>,
    last_error: Option<String>,
    /// Whether the last attempt ended because of the peer, not of the way to it.
    refused: Refused,
}

/// Who ended the last attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refused {
    /// The way to the peer.
    ByPath,
    /// The peer or we ourselves, by a NOTIFICATION.
    ByPeer,
}

impl Session {
    /// A session that is to be attempted at once. `seed` makes the waits of this peer differ from those of others.
    pub(crate) fn new(config: Config, seed: u64, now: Moment) -> Self {
        Self {
            config,
            retry: Retry::new(seed),
            wanted: Wanted::Yes,
            attempt: Attempt::Waiting(now),
            connections: [None, None],
            established: None,
            remote_as: match config.remote_as {
                RemoteAs::Number(asn) => Some(asn),
                RemoteAs::External => None,
            },
            last_error: None,
            refused: Refused::ByPath,
        }
    }

    pub(crate) fn handle(&mut self, event: Event<'_>, now: Moment) -> Vec<Action> {
        let mut actions = Vec::new();
        match event {
            Event::Connected(side, open) => self.connected(side, open, now, &mut actions),
            Event::Lost(side, why) => self.lost(side, why, now, &mut actions),
            Event::Message(side, frame) => self.message(side, &frame, now, &mut actions),
            Event::Garbled(side, answer) => {
                let why = format!("the peer sent what is not BGP: {answer}; ended the session");
                self.refuse(side, (answer, why), now, &mut actions);
            }
            Event::PathDown => self.path_down(now, &mut actions),
            Event::PathUp => self.path_up(now),
            Event::Stop(notification) => {
                self.wanted = Wanted::No;
                self.end_all(&notification, now, &mut actions);
            }
            Event::Tick => self.tick(now, &mut actions),
        }
        actions
    }

    /// When [`Event::Tick`] is due next.
    pub(crate) fn deadline(&self) -> Option<Moment> {
        let attempt = match self.attempt {
            Attempt::Waiting(until) if !self.idles() || self.is_held_back() => Some(until),
            Attempt::Connecting(until) => Some(until),
            Attempt::Waiting(_) => None,
        };
        let connections = self.connections.iter().flatten().filter_map(Connection::deadline);
        attempt.into_iter().chain(connections).min()
    }

    /// The way to the peer is known now: an attempt that waits is due.
    pub(crate) fn retry_now(&mut self, now: Moment) {
        if let Attempt::Waiting(_) = self.attempt {
            self.attempt = Attempt::Waiting(now);
        }
    }

    pub(crate) fn state(&self) -> State {
        let open = self.connections.iter().flatten().map(Connection::state).max();
        open.unwrap_or(match (self.wanted, self.attempt, self.refused) {
            (Wanted::No | Wanted::OncePathIsUp, ..) => State::Idle,
            (_, Attempt::Connecting(_), _) => State::Connect,
            (.., Refused::ByPeer) => State::Idle,
            (.., Refused::ByPath) => State::Active,
        })
    }

    /// What went wrong last; it stays.
    pub(crate) fn last_error(&self) -> Option<&str> {
        self.last_error.as_deref()
    }

    pub(crate) fn remote_as(&self) -> Option<u32> {
        self.remote_as
    }

    /// The connection over which the session is established.
    pub(crate) fn established(&self) -> Option<Side> {
        Side::BOTH.into_iter().find(|side| self.is_in(*side, State::Established))
    }

    fn is_in(&self, side: Side, state: State) -> bool {
        self.slot_ref(side).as_ref().is_some_and(|c| c.state() == state)
    }

    /// Whether no attempt is due: unwanted, or a connection is there already.
    fn idles(&self) -> bool {
        self.wanted != Wanted::Yes || self.connections.iter().any(Option::is_some)
    }

    /// Whether it waits for the path alone.
    fn is_held_back(&self) -> bool {
        self.wanted == Wanted::OncePathIsUp && self.connections.iter().all(Option::is_none)
    }

    fn slot(&mut self, side: Side) -> &mut Option<Connection> {
        let [ours, theirs] = &mut self.connections;
        match side {
            Side::Ours => ours,
            Side::Theirs => theirs,
        }
    }

    fn slot_ref(&self, side: Side) -> &Option<Connection> {
        let [ours, theirs] = &self.connections;
        match side {
            Side::Ours => ours,
            Side::Theirs => theirs,
        }
    }

    fn connected(&mut self, side: Side, open: Open, now: Moment, actions: &mut Vec<Action>) {
        if side == Side::Ours {
            self.attempt = Attempt::Waiting(self.retry.peek(now));
        }
        let established = self.established();
        let refusal = match (self.wanted, established) {
            (Wanted::Yes, None) => None,
            (Wanted::Yes, Some(old)) if side == Side::Theirs && self.may_have_restarted(old) => {
                // RFC 4724 §5: the peer has restarted, the old connection just does not know.
                self.last_error = Some("the peer opened a new connection: it restarted".to_owned());
                self.drop_connection(old, now, actions);
                None
            }
            (Wanted::Yes, Some(_)) => Some(cease::COLLISION),
            (Wanted::OncePathIsUp, _) => Some(cease::BFD_DOWN),
            (Wanted::No, _) => Some(cease::CONNECTION_REJECTED),
        };
        if let Some(subcode) = refusal {
            send(side, &Notification::cease(subcode), actions);
            actions.push(Action::Close(side));
            return;
        }
        let mut bytes = Vec::new();
        open.write(&mut bytes);
        actions.push(Action::Send(side, bytes));
        *self.slot(side) = Some(Connection::new(open, now));
    }

    /// Whether a new connection may take the place of the one on this side.
    pub(crate) fn may_replace(&self, side: Side) -> bool {
        !self.is_in(side, State::Established) || self.may_have_restarted(side)
    }

    fn may_have_restarted(&self, side: Side) -> bool {
        let peer = self.slot_ref(side).as_ref().and_then(Connection::peer);
        peer.is_some_and(|open| open.capabilities.graceful_restart.is_some())
    }

    fn lost(&mut self, side: Side, why: String, now: Moment, actions: &mut Vec<Action>) {
        if side == Side::Ours && matches!(self.attempt, Attempt::Connecting(_)) {
            self.attempt = Attempt::Waiting(self.retry.next(now));
        } else if self.slot_ref(side).is_none() {
            return;
        }
        // Of two connections one has to go: no error.
        if self.slot_ref(side.other()).is_none() || self.is_in(side, State::Established) {
            self.refused = Refused::ByPath;
            self.last_error = Some(why);
        }
        self.drop_connection(side, now, actions);
    }

    /// Forgets a connection that is closed or to be closed without a word.
    fn drop_connection(&mut self, side: Side, now: Moment, actions: &mut Vec<Action>) {
        actions.push(Action::Close(side));
        let Some(connection) = self.slot(side).take() else { return };
        if connection.state() == State::Established {
            self.ended(now, actions);
        } else if self.connections.iter().all(Option::is_none)
            && !matches!(self.attempt, Attempt::Connecting(_))
        {
            self.attempt = Attempt::Waiting(self.retry.next(now));
        }
    }

    /// The session is no longer established.
    fn ended(&mut self, now: Moment, actions: &mut Vec<Action>) {
        let lasted =
            self.established.take().map_or(Duration::ZERO, |since| now.saturating_sub(since));
        if lasted >= GOOD {
            self.retry.reset();
        }
        self.attempt = Attempt::Waiting(self.retry.next(now));
        actions.push(Action::Down);
    }

    fn message(&mut self, side: Side, frame: &Frame<'_>, now: Moment, actions: &mut Vec<Action>) {
        let config = self.config;
        let Some(connection) = self.slot(side).as_mut() else { return };
        match connection.hear(frame, &config, now) {
            Heard::Nothing => {}
            Heard::Open(reply) => {
                self.remote_as = self.slot_ref(side).as_ref().and_then(Connection::remote_as);
                if self.survives_collision(side, now, actions) {
                    actions.push(Action::Send(side, reply));
                }
            }
            Heard::Up(terms) => self.up(side, terms, now, actions),
            Heard::Refresh(family) => actions.push(Action::Refresh(family)),
            Heard::Ended(notification) => self.notified(side, &notification, now, actions),
            Heard::Wrong(answer, why) => self.refuse(side, (answer, why), now, actions),
        }
    }

    fn up(&mut self, side: Side, terms: Terms, now: Moment, actions: &mut Vec<Action>) {
        let other = side.other();
        if self.slot_ref(other).is_some() {
            send(other, &Notification::cease(cease::COLLISION), actions);
            self.drop_connection(other, now, actions);
        }
        if matches!(self.attempt, Attempt::Connecting(_)) && side == Side::Theirs {
            actions.push(Action::Close(Side::Ours));
            self.attempt = Attempt::Waiting(now);
        }
        self.established = Some(now);
        self.refused = Refused::ByPath;
        actions.push(Action::Up(side, terms));
    }

    /// RFC 4271 §6.8, RFC 6286 §2.3: of two connections that both know the peer, the one stays
    /// that was opened by the side with the greater identifier.
    fn survives_collision(&mut self, side: Side, now: Moment, actions: &mut Vec<Action>) -> bool {
        let other = side.other();
        if !self.is_in(other, State::OpenConfirm) {
            return true;
        }
        let ours_stays = self.slot_ref(side).as_ref().is_none_or(Connection::is_ours_greater);
        let stays = if ours_stays { Side::Ours } else { Side::Theirs };
        send(stays.other(), &Notification::cease(cease::COLLISION), actions);
        self.drop_connection(stays.other(), now, actions);
        stays == side
    }

    /// The peer ended the session by a NOTIFICATION.
    fn notified(
        &mut self,
        side: Side,
        said: &Notification,
        now: Moment,
        actions: &mut Vec<Action>,
    ) {
        let collision = *said == Notification::cease(cease::COLLISION);
        // Of two connections one has to go: no error.
        if !(collision && self.slot_ref(side.other()).is_some()) {
            self.refused = Refused::ByPeer;
            let advice = said.advice();
            let sign = if advice.is_empty() { "" } else { "; " };
            self.last_error = Some(format!("the peer ended the session: {said}{sign}{advice}"));
        }
        self.drop_connection(side, now, actions);
    }

    fn refuse(
        &mut self,
        side: Side,
        (answer, why): (Notification, String),
        now: Moment,
        actions: &mut Vec<Action>,
    ) {
        if self.slot_ref(side).is_none() {
            return;
        }
        send(side, &answer, actions);
        self.refused = Refused::ByPeer;
        self.last_error = Some(why);
        self.drop_connection(side, now, actions);
    }

    fn path_down(&mut self, now: Moment, actions: &mut Vec<Action>) {
        if self.wanted != Wanted::Yes {
            return;
        }
        self.wanted = Wanted::OncePathIsUp;
        self.last_error = Some("BFD: the peer does not answer; waiting until it does".to_owned());
        self.end_all(&Notification::cease(cease::BFD_DOWN), now, actions);
        // Not for ever: its BFD may be gone for good while it is there.
        self.attempt = Attempt::Waiting(now + HELD_BACK);
    }

    fn path_up(&mut self, now: Moment) {
        if self.wanted == Wanted::OncePathIsUp {
            self.wanted = Wanted::Yes;
            self.retry.reset();
            self.attempt = Attempt::Waiting(now);
        }
    }

    fn end_all(&mut self, said: &Notification, now: Moment, actions: &mut Vec<Action>) {
        for side in Side::BOTH {
            if self.slot_ref(side).is_some() {
                send(side, said, actions);
                self.drop_connection(side, now, actions);
            }
        }
        if matches!(self.attempt, Attempt::Connecting(_)) {
            actions.push(Action::Close(Side::Ours));
        }
        self.attempt = Attempt::Waiting(now);
    }

    fn tick(&mut self, now: Moment, actions: &mut Vec<Action>) {
        for side in Side::BOTH {
            self.tick_connection(side, now, actions);
        }
        match self.attempt {
            Attempt::Connecting(until) if until <= now => {
                let why = format!(
                    "no answer to a TCP connection within {} s: is the peer there, and its port open?",
                    CONNECT.as_secs()
                );
                self.lost(Side::Ours, why, now, actions);
            }
            Attempt::Waiting(until) if until <= now && self.is_held_back() => self.path_up(now),
            Attempt::Waiting(until) if until <= now && !self.idles() => {
                self.attempt = Attempt::Connecting(now + CONNECT);
                actions.push(Action::Connect);
            }
            Attempt::Connecting(_) | Attempt::Waiting(_) => {}
        }
    }

    fn tick_connection(&mut self, side: Side, now: Moment, actions: &mut Vec<Action>) {
        let Some(connection) = self.slot(side).as_mut() else { return };
        if let Some(why) = connection.expired(now) {
            self.refuse(side, (Notification::new(4, 0), why), now, actions);
        } else if let Some(bytes) = connection.keepalive(now) {
            actions.push(Action::Send(side, bytes));
        }
    }
}

fn send(side: Side, notification: &Notification, actions: &mut Vec<Action>) {
    let mut bytes = Vec::new();
    notification.write(&mut bytes);
    actions.push(Action::Send(side, bytes));
}

#[cfg(test)]
mod tests;
