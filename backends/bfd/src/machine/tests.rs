//! Tests of the session, alone and with another over a modelled wire.

use proptest::prelude::*;

use super::*;

const MS: Duration = Duration::from_millis(1);

fn intervals(receive: u64, transmit: u64, multiplier: u8) -> Settings {
    let ms = Duration::from_millis;
    Settings { receive: ms(receive), transmit: ms(transmit), multiplier }
}

/// Two sessions and the time; packets take no time.
struct Pair {
    sides: [Session; 2],
    now: Duration,
    cut: Cut,
    changes: Vec<(usize, Duration, Change)>,
    sent: Vec<(usize, Duration, Packet)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Cut {
    No,
    Yes,
}

impl Pair {
    fn new(left: Settings, right: Settings) -> Self {
        let session = |settings, n| Session::new(settings, n, 7 * u64::from(n), Duration::ZERO);
        let sides = [session(left, 1), session(right, 2)];
        Self { sides, now: Duration::ZERO, cut: Cut::No, changes: vec![], sent: vec![] }
    }

    fn take(&mut self, side: usize, outcome: Outcome) {
        self.changes.extend(outcome.change.map(|change| (side, self.now, change)));
        let Some(packet) = outcome.packet else { return };
        self.sent.push((side, self.now, packet));
        if self.cut == Cut::No {
            let read = super::super::wire::decode(&packet.encode()).unwrap();
            let answer = self.sides[1 - side].receive(&read, self.now);
            self.take(1 - side, answer);
        }
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let side = usize::from(self.sides[1].deadline() < self.sides[0].deadline());
            let at = self.sides[side].deadline();
            if at > end {
                break;
            }
            self.now = self.now.max(at);
            let outcome = self.sides[side].tick(self.now);
            self.take(side, outcome);
        }
        self.now = end;
    }

    fn states(&self) -> [State; 2] {
        [self.sides[0].state(), self.sides[1].state()]
    }

    /// The times between periodic packets of a side since `from`.
    fn gaps(&self, side: usize, from: Duration) -> Vec<Duration> {
        let times: Vec<_> = self
            .sent
            .iter()
            .filter(|(s, at, p)| *s == side && *at >= from && p.sequence != Sequence::Final)
            .map(|(_, at, _)| *at)
            .collect();
        times.windows(2).map(|pair| pair[1] - pair[0]).collect()
    }
}

fn up(left: Settings, right: Settings) -> Pair {
    let mut pair = Pair::new(left, right);
    pair.run(Duration::from_secs(5));
    assert_eq!(pair.states(), [State::Up; 2]);
    pair
}

#[test]
fn two_sessions_come_up_through_init_and_stay_up() {
    let pair = up(intervals(50, 50, 3), intervals(50, 50, 3));
    let left: Vec<_> = pair.changes.iter().filter(|c| c.0 == 0).map(|c| c.2.state).collect();
    assert!(left.ends_with(&[State::Up]), "{left:?}");
    assert!(pair.changes.len() <= 4, "{:?}", pair.changes);
    assert!(pair.changes.iter().all(|c| c.2.diagnostic == Diagnostic::NONE));
}

#[test]
fn a_session_that_is_not_up_sends_no_faster_than_once_in_three_quarters_of_a_second() {
    let mut pair = Pair::new(intervals(50, 50, 3), intervals(50, 50, 3));
    pair.cut = Cut::Yes;
    pair.run(Duration::from_secs(60));
    let gaps = pair.gaps(0, Duration::ZERO);
    assert!(gaps.len() >= 58);
    assert!(gaps.iter().all(|gap| (750 * MS..=1000 * MS).contains(gap)), "{gaps:?}");
    assert!(pair.sent.iter().all(|(_, _, packet)| packet.desired_min_tx == 1_000_000));
}

#[test]
fn silence_is_noticed_when_the_detection_time_is_over() {
    let mut pair = up(intervals(50, 50, 3), intervals(50, 50, 3));
    assert_eq!(pair.sides[0].detection_time(), Some(150 * MS));
    pair.cut = Cut::Yes;
    let last = pair.sides[0].heard.unwrap();
    pair.run(Duration::from_secs(1));
    let (_, at, change) = pair.changes.iter().rfind(|c| c.0 == 0).copied().unwrap();
    assert_eq!(at, last + 150 * MS);
    let why = (change.state, change.diagnostic);
    assert_eq!(why, (State::Down, Diagnostic::DETECTION_TIME_EXPIRED));
    pair.cut = Cut::No;
    pair.run(Duration::from_secs(5));
    assert_eq!(pair.states(), [State::Up; 2]);
}

/// kube-vip takes one for the other.
#[test]
fn the_transmit_interval_is_what_we_send_by_and_the_receive_interval_what_we_ask_for() {
    let mut pair = up(intervals(200, 100, 3), intervals(20, 20, 5));
    let from = pair.now;
    pair.run(Duration::from_secs(3));
    let (_, _, packet) = pair.sent.iter().rfind(|(side, ..)| *side == 0).unwrap();
    assert_eq!((packet.desired_min_tx, packet.required_min_rx), (100_000, 200_000));
    let slowest = |side| pair.gaps(side, from).into_iter().max().unwrap();
    assert!((95 * MS..=100 * MS).contains(&slowest(0)), "{:?}", slowest(0));
    assert!((190 * MS..=200 * MS).contains(&slowest(1)), "{:?}", slowest(1));
    assert_eq!(pair.sides[0].detection_time(), Some(5 * 200 * MS));
    assert_eq!(pair.sides[1].detection_time(), Some(3 * 100 * MS));
}

#[test]
fn packets_are_jittered_and_with_multiplier_one_never_late() {
    for (multiplier, most) in [(3, 100), (1, 90)] {
        let mut pair = up(intervals(100, 100, multiplier), intervals(100, 100, 3));
        let from = pair.now;
        pair.run(Duration::from_secs(20));
        let gaps = pair.gaps(0, from);
        assert!(gaps.iter().all(|gap| (75 * MS..=most * MS).contains(gap)), "{gaps:?}");
        assert!(gaps.iter().max().unwrap() > gaps.iter().min().unwrap());
    }
}

#[test]
fn a_peer_that_says_down_is_believed_at_once() {
    for remote in [State::Down, State::AdminDown] {
        let mut pair = up(intervals(50, 50, 3), intervals(50, 50, 3));
        let told = Packet { state: remote, ..pair.sides[1].contents() };
        let outcome = pair.sides[0].receive(&told, pair.now);
        let diagnostic = Diagnostic::NEIGHBOR_SIGNALED_DOWN;
        assert_eq!(outcome.change, Some(Change { state: State::Down, diagnostic, remote }));
        assert_eq!(outcome.packet.map(|p| p.state), Some(State::Down), "and told so");
    }
}

#[test]
fn a_peer_that_ends_bfd_on_purpose_while_it_is_down_is_heard_once() {
    let mut pair = Pair::new(intervals(50, 50, 3), intervals(50, 50, 3));
    let on_purpose = Packet { state: State::AdminDown, ..pair.sides[1].contents() };
    let outcome = pair.sides[0].receive(&on_purpose, pair.now);
    let seen = outcome.change.map(|change| (change.state, change.remote));
    assert_eq!(seen, Some((State::Down, State::AdminDown)));
    assert_eq!(pair.sides[0].receive(&on_purpose, pair.now).change, None);
}

#[test]
fn a_session_held_down_stays_down_and_its_peer_knows_why() {
    let mut pair = up(intervals(50, 50, 3), intervals(50, 50, 3));
    let packet = pair.sides[0].admin_down(pair.now);
    pair.take(0, Outcome { packet: Some(packet), change: None });
    assert_eq!(packet.diagnostic, Diagnostic::ADMINISTRATIVELY_DOWN);
    let (_, _, seen) = pair.changes.last().unwrap();
    assert_eq!((seen.state, seen.remote), (State::Down, State::AdminDown));
    pair.run(Duration::from_secs(10));
    assert_eq!(pair.states(), [State::AdminDown, State::Down]);
}

#[test]
fn a_poll_is_answered_at_once_and_ends_with_the_answer() {
    let mut pair = up(intervals(50, 50, 3), intervals(50, 50, 3));
    let poll = Packet { sequence: Sequence::Poll, ..pair.sides[1].contents() };
    let outcome = pair.sides[0].receive(&poll, pair.now);
    assert_eq!(outcome.packet.map(|packet| packet.sequence), Some(Sequence::Final));
    assert!(pair.sent.iter().any(|(_, _, p)| p.sequence == Sequence::Poll), "on coming up");
    assert!(pair.sides.iter().all(|side| side.poll == Poll::Idle));
}

#[test]
fn other_intervals_are_agreed_on_while_the_session_stays_up() {
    let mut pair = up(intervals(50, 50, 3), intervals(50, 50, 3));
    let changes = pair.changes.len();
    pair.cut = Cut::Yes;
    pair.sides[0].set(intervals(20, 200, 3));
    pair.run(30 * MS);
    // Not agreed on yet: as fast as before, and as patient.
    assert_eq!(pair.sides[0].sending_interval(), 50 * MS);
    assert_eq!(pair.sides[0].in_force.receive, 50 * MS);
    pair.cut = Cut::No;
    pair.run(Duration::from_secs(2));
    assert_eq!(pair.sides[0].sending_interval(), 200 * MS);
    assert_eq!(pair.sides[1].sending_interval(), 50 * MS);
    assert_eq!(pair.sides[1].detection_time(), Some(600 * MS));
    assert_eq!((pair.states(), pair.changes.len()), ([State::Up; 2], changes));
}

#[test]
fn a_peer_in_demand_mode_is_left_in_peace_while_both_are_up() {
    let mut pair = up(intervals(50, 50, 3), intervals(50, 50, 3));
    let demand = Packet { demand: Demand::On, ..pair.sides[1].contents() };
    pair.sides[0].receive(&demand, pair.now);
    assert!(!pair.sides[0].sends());
    pair.sides[0].set(intervals(100, 100, 3));
    assert!(pair.sides[0].sends(), "but polled");
}

#[test]
fn a_peer_that_wants_no_packets_gets_none_and_can_change_its_mind() {
    let mut pair = up(intervals(50, 50, 3), intervals(50, 50, 3));
    let quiet = Packet { required_min_rx: 0, ..pair.sides[1].contents() };
    pair.sides[0].receive(&quiet, pair.now);
    assert!(!pair.sides[0].sends());
    pair.sides[0].receive(&pair.sides[1].contents(), pair.now);
    assert!(pair.sides[0].deadline() <= pair.now + 50 * MS);
}

#[test]
fn a_peer_that_started_again_is_met_with_its_new_discriminator() {
    let mut pair = up(intervals(50, 50, 3), intervals(50, 50, 3));
    pair.sides[1] = Session::new(intervals(50, 50, 3), 77, 5, pair.now);
    pair.run(Duration::from_secs(5));
    assert_eq!(pair.states(), [State::Up; 2]);
    assert_eq!(pair.sides[0].remote.discriminator, 77);
}

#[test]
fn intervals_of_zero_do_not_make_a_session_spin() {
    let mut pair = up(intervals(0, 0, 1), intervals(0, 0, 1));
    let before = pair.sent.len();
    pair.run(100 * MS);
    assert!(pair.sent.len() - before < 400);
}

proptest! {
    #[test]
    fn no_packets_at_any_time_make_a_session_panic_or_stop(
        steps in prop::collection::vec((any::<[u8; 24]>(), 0_u32..2_000_000), 0..60),
        receive in 0_u64..70_000,
        multiplier in any::<u8>(),
    ) {
        let mut session = Session::new(intervals(receive, receive, multiplier), 1, 3, Duration::ZERO);
        let mut now = Duration::ZERO;
        for (mut bytes, later) in steps {
            bytes[0] = bytes[0] & 0x1f | 0x20;
            bytes[1] &= !0x05;
            bytes[3] = 24;
            now += Duration::from_micros(later.into());
            session.tick(now);
            if let Ok(packet) = super::super::wire::decode(&bytes) {
                session.receive(&packet, now);
                prop_assert!(session.detection_time().is_some());
            }
            let silent = session.remote.required_min_rx.is_zero() || !session.sends();
            prop_assert!(silent || session.deadline() < Duration::MAX);
        }
    }
}
