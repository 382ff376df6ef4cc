//! One BFD session (RFC 5880 §6.8): states, poll sequences, intervals, detection. Pure: time is
//! the duration since some moment before, the discriminator and the jitter's seed are arguments.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::time::Duration;

use super::wire::{Demand, Diagnostic, Packet, Sequence, State};

/// Slowest that a session which is not up may send (RFC 5880 §6.8.3).
const SLOW: Duration = Duration::from_secs(1);
/// No settings make us send faster.
const FASTEST: Duration = Duration::from_millis(1);

/// What a person says about one session (RFC 5880 §6.8.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `bfd.RequiredMinRxInterval`.
    pub receive: Duration,
    /// `bfd.DesiredMinTxInterval`.
    pub transmit: Duration,
    /// `bfd.DetectMult`, 1 to 255.
    pub multiplier: u8,
}

/// A session with one peer. [`Session::receive`] and [`Session::tick`] say what is to be sent.
#[derive(Clone, Debug)]
pub struct Session {
    settings: Settings,
    discriminator: u32,
    random: u64,
    state: State,
    diagnostic: Diagnostic,
    remote: Remote,
    poll: Poll,
    /// `bfd.DesiredMinTxInterval` and `bfd.RequiredMinRxInterval` that are in force: while a poll
    /// sequence runs, those before it, where they are the cautious ones (§6.8.3).
    in_force: Intervals,
    next_packet: Duration,
    heard: Option<Duration>,
}

/// What the other side said last (`bfd.Remote*`, §6.8.1).
#[derive(Clone, Copy, Debug)]
struct Remote {
    discriminator: u32,
    state: State,
    demand: Demand,
    multiplier: u8,
    desired_min_tx: Duration,
    required_min_rx: Duration,
}

impl Remote {
    /// Before anything was heard.
    const UNKNOWN: Self = Self {
        discriminator: 0,
        state: State::Down,
        demand: Demand::Off,
        multiplier: 0,
        desired_min_tx: Duration::ZERO,
        required_min_rx: Duration::from_micros(1),
    };
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Intervals {
    transmit: Duration,
    receive: Duration,
}

/// A poll sequence (§6.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Poll {
    Idle,
    /// Every packet carries P until one with F comes.
    Running,
}

/// A change of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The new state.
    pub state: State,
    /// Why it is not up (ours, not the peer's).
    pub diagnostic: Diagnostic,
    /// What the peer said of its own state last.
    pub remote: State,
}

/// What a session wants after something happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// To be sent at once.
    pub packet: Option<Packet>,
    /// Our state changed.
    pub change: Option<Change>,
}

impl Session {
    /// A session that is down and sends its first packet at `now`. `discriminator` is not 0 and
    /// no other session's; `seed` is any number.
    #[must_use]
    pub fn new(settings: Settings, discriminator: u32, seed: u64, now: Duration) -> Self {
        let mut session = Self {
            settings,
            discriminator,
            random: seed | 1,
            state: State::Down,
            diagnostic: Diagnostic::NONE,
            remote: Remote::UNKNOWN,
            poll: Poll::Idle,
            in_force: Intervals { transmit: SLOW, receive: settings.receive },
            next_packet: now,
            heard: None,
        };
        session.in_force = session.wanted();
        session
    }

    /// Ours: what the peer has to put into `Your Discriminator`.
    #[must_use]
    pub const fn discriminator(&self) -> u32 {
        self.discriminator
    }

    /// Our state.
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// When [`Session::tick`] has something to do.
    #[must_use]
    pub fn deadline(&self) -> Duration {
        let packet = if self.sends() { self.next_packet } else { Duration::MAX };
        packet.min(self.expiry().unwrap_or(Duration::MAX))
    }

    /// The detection time (§6.8.4); `None` before anything was heard.
    #[must_use]
    pub fn detection_time(&self) -> Option<Duration> {
        let interval = self.in_force.receive.max(self.remote.desired_min_tx);
        self.heard.map(|_| interval.saturating_mul(self.remote.multiplier.into()))
    }

    /// Time has come to `now`: packets that came before it have been given to [`Session::receive`].
    pub fn tick(&mut self, now: Duration) -> Outcome {
        let change = self.expiry().is_some_and(|at| at <= now).then(|| self.expire()).flatten();
        let due = self.sends() && (change.is_some() || self.next_packet <= now);
        Outcome { packet: due.then(|| self.packet(now)), change }
    }

    /// Takes a packet that was meant for this session (§6.8.6, from the seventh check on).
    pub fn receive(&mut self, packet: &Packet, now: Duration) -> Outcome {
        let (before, remote) = (self.sending_interval(), self.remote.state);
        self.remember(packet, now);
        if packet.sequence == Sequence::Final {
            self.finish_poll();
        }
        if self.state == State::AdminDown {
            return Outcome::default();
        }
        let change = self.follow(packet.state).or_else(|| self.ended_on_purpose(remote));
        // The peer wants them faster: at once, not after the long interval (§6.8.3).
        if self.sending_interval() < before {
            let latest = self.jittered(now);
            self.next_packet = self.next_packet.min(latest);
        }
        let answer = (packet.sequence == Sequence::Poll)
            .then(|| Packet { sequence: Sequence::Final, ..self.contents() });
        let told = || change.is_some().then(|| self.packet(now));
        Outcome { packet: answer.or_else(told), change }
    }

    /// Other intervals, in place: the session stays up (§6.8.3).
    pub fn set(&mut self, settings: Settings) {
        if settings != self.settings {
            self.settings = settings;
            self.change_intervals();
        }
    }

    /// Holds the session down on purpose (§6.8.16); the packet tells the peer so.
    pub fn admin_down(&mut self, now: Duration) -> Packet {
        self.enter(State::AdminDown, Diagnostic::ADMINISTRATIVELY_DOWN);
        self.packet(now)
    }

    /// When nothing was heard for the detection time.
    fn expiry(&self) -> Option<Duration> {
        Some(self.heard?.saturating_add(self.detection_time()?))
    }

    fn expire(&mut self) -> Option<Change> {
        self.heard = None;
        self.remote = Remote::UNKNOWN;
        let lost = matches!(self.state, State::Init | State::Up);
        lost.then(|| self.enter(State::Down, Diagnostic::DETECTION_TIME_EXPIRED))
    }

    fn remember(&mut self, packet: &Packet, now: Duration) {
        self.remote = Remote {
            discriminator: packet.my_discriminator,
            state: packet.state,
            demand: packet.demand,
            multiplier: packet.multiplier,
            desired_min_tx: Duration::from_micros(packet.desired_min_tx.into()),
            required_min_rx: Duration::from_micros(packet.required_min_rx.into()),
        };
        self.heard = Some(now);
    }

    /// The state machine of §6.2.
    fn follow(&mut self, remote: State) -> Option<Change> {
        let next = match (self.state, remote) {
            (State::Down, State::Down) => State::Init,
            (State::Down, State::Init) | (State::Init, State::Init | State::Up) => State::Up,
            (State::Init | State::Up, State::AdminDown) | (State::Up, State::Down) => State::Down,
            (_, _) => return None,
        };
        let diagnostic = match next {
            State::Down => Diagnostic::NEIGHBOR_SIGNALED_DOWN,
            State::Up => Diagnostic::NONE,
            _ => self.diagnostic,
        };
        Some(self.enter(next, diagnostic))
    }

    /// The peer ended BFD while it was down anyway: nothing speaks against the path any more.
    fn ended_on_purpose(&self, before: State) -> Option<Change> {
        let news = self.remote.state == State::AdminDown && before != State::AdminDown;
        let Self { state, diagnostic, .. } = *self;
        news.then_some(Change { state, diagnostic, remote: State::AdminDown })
    }

    fn enter(&mut self, state: State, diagnostic: Diagnostic) -> Change {
        self.state = state;
        self.diagnostic = diagnostic;
        self.change_intervals();
        Change { state, diagnostic, remote: self.remote.state }
    }

    /// What our packets say, by state and settings.
    fn wanted(&self) -> Intervals {
        let transmit = self.settings.transmit.max(FASTEST);
        let slow = self.state != State::Up;
        Intervals {
            transmit: if slow { transmit.max(SLOW) } else { transmit },
            // 0 would ask for no packets at all.
            receive: self.settings.receive.max(FASTEST),
        }
    }

    /// After a change of what our packets say: while up, the peer has to confirm it before we
    /// send more slowly or expect its packets sooner.
    fn change_intervals(&mut self) {
        let wanted = self.wanted();
        if wanted == self.in_force && self.poll == Poll::Idle {
            return;
        }
        if self.state == State::Up {
            self.poll = Poll::Running;
            self.in_force.transmit = self.in_force.transmit.min(wanted.transmit);
            self.in_force.receive = self.in_force.receive.max(wanted.receive);
        } else {
            self.poll = Poll::Idle;
            self.in_force = wanted;
        }
    }

    fn finish_poll(&mut self) {
        self.poll = Poll::Idle;
        self.in_force = self.wanted();
    }

    /// The interval between two of our packets, before jitter (§6.8.2).
    fn sending_interval(&self) -> Duration {
        self.in_force.transmit.max(self.remote.required_min_rx)
    }

    /// Whether packets are sent periodically (§6.8.7).
    fn sends(&self) -> bool {
        let both_up = self.state == State::Up && self.remote.state == State::Up;
        let silent = self.remote.demand == Demand::On && both_up && self.poll == Poll::Idle;
        !self.remote.required_min_rx.is_zero() && !silent
    }

    /// The next periodic packet, which is sent now.
    fn packet(&mut self, now: Duration) -> Packet {
        self.next_packet = self.jittered(now);
        let polls = self.poll == Poll::Running;
        let sequence = if polls { Sequence::Poll } else { Sequence::Periodic };
        Packet { sequence, ..self.contents() }
    }

    /// When the packet after one at `now` is due: 75 to 100 % of the interval, 75 to 90 % where a
    /// single lost one counts (§6.8.7).
    fn jittered(&mut self, now: Duration) -> Duration {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let most: u64 = if self.settings.multiplier == 1 { 150 } else { 250 };
        let per_mille = u32::try_from(750 + (self.random >> 32) % (most + 1)).unwrap_or(750);
        let interval = self.sending_interval();
        now.saturating_add(interval.saturating_mul(per_mille) / 1000)
    }

    fn contents(&self) -> Packet {
        let wanted = self.wanted();
        Packet {
            diagnostic: self.diagnostic,
            state: self.state,
            sequence: Sequence::Periodic,
            demand: Demand::Off,
            multiplier: self.settings.multiplier.max(1),
            my_discriminator: self.discriminator,
            your_discriminator: self.remote.discriminator,
            desired_min_tx: micros(wanted.transmit),
            required_min_rx: micros(wanted.receive),
            required_min_echo_rx: 0,
        }
    }
}

fn micros(interval: Duration) -> u32 {
    u32::try_from(interval.as_micros()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
