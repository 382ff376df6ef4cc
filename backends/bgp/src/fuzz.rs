//! Ways in for fuzzing: bytes as they might come from a peer, and sessions driven by bytes. Each
//! panics where something does not hold that must.
#![allow(clippy::panic)]

use std::time::Duration;

use crate::machine::{Action, Config, Event, Session, Side, State};
use crate::settings::RemoteAs;
use crate::wire::notification::Notification;
use crate::wire::open::{AsWidth, Capabilities, Open};
use crate::wire::{self, Family, Frame, Kind};

/// Frames and decodes `bytes` as a connection would.
pub fn framing(bytes: &[u8]) {
    let mut rest = bytes;
    while let Ok(Some(frame)) = wire::frame(rest) {
        match frame.kind {
            Kind::Open => drop(Open::read(frame.body)),
            Kind::Notification => drop(Notification::read(frame.body).map(|n| n.to_string())),
            Kind::RouteRefresh => drop(wire::route_refresh(frame.body)),
            Kind::Update | Kind::Keepalive => {}
        }
        let Some((_, after)) = rest.split_at_checked(frame.length()) else {
            panic!("a message that is longer than what came in");
        };
        rest = after;
    }
    let _ = Open::read(bytes);
}

/// Drives one session by `bytes`: each chooses an event, some take more bytes.
pub fn session(bytes: &[u8]) {
    let mut driver = Driver::new();
    let mut rest = bytes;
    while let Some(choice) = wire::take_u8(&mut rest) {
        driver.step(choice, &mut rest);
        driver.check();
    }
}

/// A session, and what a driver would know of it.
struct Driver {
    session: Session,
    now: Duration,
    /// Connections that stand, and the attempt that is under way.
    open: [bool; 2],
    attempt: bool,
    up: bool,
}

impl Driver {
    fn new() -> Self {
        let config = Config {
            local_as: 65000,
            remote_as: RemoteAs::Number(65001),
            hold: Duration::from_secs(9),
            keepalive: Duration::from_secs(3),
        };
        let session = Session::new(config, 1, Duration::ZERO);
        Self { session, now: Duration::ZERO, open: [false; 2], attempt: false, up: false }
    }

    fn step(&mut self, choice: u8, rest: &mut &[u8]) {
        let side = if choice & 0x80 == 0 { Side::Ours } else { Side::Theirs };
        match choice & 0x0f {
            0 => self.now += Duration::from_millis(u64::from(choice) * 20),
            1 | 2 => self.handle(Event::Tick),
            3 | 4 => self.connected(side),
            5 => self.handle(Event::Lost(side, "gone".to_owned())),
            6 | 7 => self.message(side, Kind::Open, &peer_open(rest)),
            8 | 9 => self.message(side, Kind::Keepalive, &[]),
            10 => self.message(side, Kind::Update, &[0; 4]),
            11 => self.any_message(side, rest),
            12 => self.handle(Event::Garbled(side, Notification::new(1, 1))),
            13 => self.handle(Event::PathDown),
            14 => self.handle(Event::PathUp),
            _ => self.message(side, Kind::Notification, &[6, choice]),
        }
    }

    fn connected(&mut self, side: Side) {
        if side == Side::Theirs || self.attempt {
            if *self.slot(side) {
                if !self.session.may_replace(side) {
                    return;
                }
                self.handle(Event::Lost(side, "replaced".to_owned()));
            }
            self.attempt &= side == Side::Theirs;
            *self.slot(side) = true;
            self.handle(Event::Connected(side, ours()));
        }
    }

    fn any_message(&mut self, side: Side, rest: &mut &[u8]) {
        let length = usize::from(wire::take_u8(rest).unwrap_or(0));
        let body = wire::take(rest, length.min(rest.len())).unwrap_or_default();
        self.message(side, Kind::Open, body);
    }

    fn message(&mut self, side: Side, kind: Kind, body: &[u8]) {
        self.handle(Event::Message(side, Frame { kind, body }));
    }

    fn slot(&mut self, side: Side) -> &mut bool {
        let [ours, theirs] = &mut self.open;
        if side == Side::Ours { ours } else { theirs }
    }

    fn handle(&mut self, event: Event<'_>) {
        for action in self.session.handle(event, self.now) {
            match action {
                Action::Connect => {
                    assert!(!self.attempt, "two attempts at once");
                    self.attempt = true;
                }
                Action::Send(side, bytes) => {
                    assert!(*self.slot(side), "sends on a connection that is closed");
                    assert!(
                        matches!(wire::frame(&bytes), Ok(Some(_))),
                        "what is sent is no message"
                    );
                }
                Action::Close(side) => {
                    *self.slot(side) = false;
                    self.attempt &= side == Side::Theirs;
                }
                Action::Up(side, _) => {
                    assert!(!self.up && *self.slot(side), "up twice, or over nothing");
                    self.up = true;
                }
                Action::Down => {
                    assert!(self.up, "down twice");
                    self.up = false;
                }
                Action::Refresh(_) => assert!(self.up, "a refresh of nothing"),
            }
        }
    }

    fn check(&self) {
        let established = self.session.state() == State::Established;
        assert_eq!(established, self.up, "the state is not what was said");
        assert_eq!(self.session.established().is_some(), self.up);
    }
}

fn ours() -> Open {
    open(65000, 5)
}

fn open(asn: u32, identifier: u8) -> Open {
    let capabilities = Capabilities {
        families: Family::BOTH.to_vec(),
        as_width: AsWidth::Four,
        ..Capabilities::default()
    };
    Open { asn, hold: 9, identifier: [10, 0, 0, identifier].into(), capabilities }
}

/// Mostly one that can be accepted.
fn peer_open(rest: &mut &[u8]) -> Vec<u8> {
    let identifier = wire::take_u8(rest).unwrap_or(9);
    let asn = if identifier == 77 { 65009 } else { 65001 };
    let mut bytes = Vec::new();
    open(asn, identifier).write(&mut bytes);
    bytes.split_off(wire::HEADER)
}
