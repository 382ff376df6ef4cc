//! BFD: the decoder, and a session driven by bytes.

use std::time::Duration;

use viplet_bfd::machine::{Outcome, Session};
use viplet_bfd::wire::{self, LENGTH};
use viplet_bfd::{Settings, State};

/// Any bytes: what is read is written as it was.
pub(crate) fn packet(bytes: &[u8]) {
    match wire::decode(bytes) {
        Ok(packet) => {
            let again = wire::decode(&packet.encode());
            assert_eq!(again, Ok(packet), "read, written, and read differently");
        }
        Err(why) => assert!(!why.to_string().is_empty(), "refused without a word"),
    }
}

/// Each byte chooses what happens to the session; packets take the bytes that follow.
pub(crate) fn session(bytes: &[u8]) {
    let mut rest = bytes.iter().copied();
    let mut driven = Driven::new();
    while let Some(choice) = rest.next() {
        match choice & 7 {
            0 | 1 => driven.later(u64::from(choice >> 3) * 3),
            2 => driven.later(u64::from(choice) * 100),
            3..=5 => {
                let mut packet = [0; LENGTH];
                packet.iter_mut().zip(&mut rest).for_each(|(to, from)| *to = from);
                driven.packet(packet);
            }
            6 => driven.session.set(intervals(rest.next().unwrap_or(0), choice >> 3)),
            _ if choice == 0xff => driven.admin_down(),
            _ => driven.later(1),
        }
        driven.check();
    }
}

fn intervals(times: u8, multiplier: u8) -> Settings {
    let ms = |n: u8| Duration::from_millis(u64::from(n) * 50);
    Settings { receive: ms(times >> 4), transmit: ms(times & 0xf), multiplier }
}

struct Driven {
    session: Session,
    now: Duration,
    stopped: Option<()>,
}

impl Driven {
    fn new() -> Self {
        let session = Session::new(intervals(0x11, 3), 1, 9, Duration::ZERO);
        Self { session, now: Duration::ZERO, stopped: None }
    }

    fn later(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
        let outcome = self.session.tick(self.now);
        self.outcome(&outcome);
        assert!(self.session.deadline() > self.now, "it would spin");
    }

    fn packet(&mut self, mut bytes: [u8; LENGTH]) {
        bytes[0] = bytes[0] & 0x1f | 0x20;
        bytes[1] &= !0x05;
        bytes[3] = 24;
        if let Ok(packet) = wire::decode(&bytes) {
            let outcome = self.session.receive(&packet, self.now);
            self.outcome(&outcome);
            assert!(self.session.detection_time().is_some(), "heard, and no detection time");
        }
    }

    fn admin_down(&mut self) {
        self.stopped = Some(());
        let packet = self.session.admin_down(self.now);
        assert_eq!(packet.state, State::AdminDown);
    }

    fn outcome(&self, outcome: &Outcome) {
        if let Some(packet) = outcome.packet {
            let up = matches!(packet.state, State::Init | State::Up);
            assert!(!up || packet.your_discriminator != 0, "up with nobody");
            assert_eq!(wire::decode(&packet.encode()), Ok(packet), "not what a peer would take");
        }
        if let Some(change) = outcome.change {
            assert_eq!(change.state, self.session.state(), "another state than was said");
        }
    }

    fn check(&self) {
        let state = self.session.state();
        assert_eq!(state == State::AdminDown, self.stopped.is_some(), "held down, and left it");
        let lives = matches!(state, State::Init | State::Up);
        assert!(!lives || self.session.detection_time().is_some(), "up without an end");
    }
}
