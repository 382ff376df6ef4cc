//! Tests of `machine`: states, timers, collisions, and what a person is told.

use proptest::prelude::*;

use super::*;
use crate::wire::open::{AsWidth, Capabilities, Phase, Restart};
use crate::wire::update::Relation;
use crate::wire::{self, Family, Kind};

const SECOND: Duration = Duration::from_secs(1);

fn config() -> Config {
    Config {
        local_as: 65000,
        remote_as: RemoteAs::Number(65001),
        hold: 30 * SECOND,
        keepalive: 10 * SECOND,
    }
}

fn open(asn: u32, identifier: u8, hold: u16) -> Open {
    let capabilities = Capabilities {
        families: vec![Family::V4],
        as_width: AsWidth::Four,
        ..Capabilities::default()
    };
    Open { asn, hold, identifier: [10, 0, 0, identifier].into(), capabilities }
}

/// What we say: identifier 10.0.0.5.
fn ours() -> Open {
    open(65000, 5, 30)
}

fn body(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(&mut bytes);
    bytes.split_off(wire::HEADER)
}

/// A session and the time that it sees.
struct Lab {
    session: Session,
    now: Moment,
}

impl Lab {
    fn new(config: Config) -> Self {
        Self { session: Session::new(config, 7, Duration::ZERO), now: Duration::ZERO }
    }

    fn handle(&mut self, event: Event<'_>) -> Vec<Action> {
        self.session.handle(event, self.now)
    }

    fn hear(&mut self, side: Side, kind: Kind, body: &[u8]) -> Vec<Action> {
        self.handle(Event::Message(side, Frame { kind, body }))
    }

    fn hear_open(&mut self, side: Side, open: &Open) -> Vec<Action> {
        self.hear(side, Kind::Open, &body(|to| open.write(to)))
    }

    fn connect(&mut self, side: Side) {
        if side == Side::Ours {
            assert_eq!(self.handle(Event::Tick), [Action::Connect]);
        }
        let actions = self.handle(Event::Connected(side, ours()));
        assert!(matches!(actions.as_slice(), [Action::Send(_, _)]), "{actions:?}");
    }

    fn establish(&mut self, side: Side, peer: &Open) -> Terms {
        self.connect(side);
        let actions = self.hear_open(side, peer);
        assert!(matches!(actions.as_slice(), [Action::Send(..)]), "{actions:?}");
        assert_eq!(self.session.state(), State::OpenConfirm);
        let mut actions = self.hear(side, Kind::Keepalive, &[]);
        assert_eq!(self.session.state(), State::Established);
        match actions.pop() {
            Some(Action::Up(_, terms)) => terms,
            other => panic!("{other:?}"),
        }
    }

    /// Lets time pass to the next deadline.
    fn wait(&mut self) -> Vec<Action> {
        let at = self.session.deadline().expect("something is due");
        self.now = self.now.max(at);
        self.handle(Event::Tick)
    }

    fn error(&self) -> &str {
        self.session.last_error().unwrap_or("")
    }
}

/// The code and subcode of a NOTIFICATION that is sent on `side`, which is then closed.
fn refusal(side: Side, actions: &[Action]) -> (u8, u8) {
    let sent = actions.iter().find_map(|action| match action {
        Action::Send(to, bytes) if *to == side && bytes[18] == Kind::Notification as u8 => {
            Some((bytes[19], bytes[20]))
        }
        _ => None,
    });
    assert!(actions.contains(&Action::Close(side)), "{actions:?}");
    sent.unwrap_or_else(|| panic!("no NOTIFICATION: {actions:?}"))
}

#[test]
fn a_session_goes_through_the_states_of_the_rfc() {
    let mut lab = Lab::new(config());
    assert_eq!(lab.session.state(), State::Active);
    assert_eq!(lab.handle(Event::Tick), [Action::Connect]);
    assert_eq!(lab.session.state(), State::Connect);
    lab.handle(Event::Connected(Side::Ours, ours()));
    assert_eq!(lab.session.state(), State::OpenSent);
    lab.hear_open(Side::Ours, &open(65001, 9, 90));
    assert_eq!(lab.session.state(), State::OpenConfirm);
    let actions = lab.hear(Side::Ours, Kind::Keepalive, &[]);
    assert!(matches!(actions.as_slice(), [Action::Up(Side::Ours, terms)]
        if terms.relation == Relation::External && terms.families == [Family::V4]));
    assert_eq!(lab.session.remote_as(), Some(65001));
}

#[test]
fn the_shorter_hold_time_counts_and_zero_means_no_timers() {
    let mut lab = Lab::new(config());
    lab.establish(Side::Ours, &open(65001, 9, 9));
    assert_eq!(lab.session.deadline(), Some(3 * SECOND));
    let mut lab = Lab::new(config());
    lab.establish(Side::Ours, &open(65001, 9, 0));
    assert_eq!(lab.session.deadline(), None);
}

#[test]
fn keepalives_are_sent_in_time_and_silence_ends_the_session() {
    let mut lab = Lab::new(config());
    lab.establish(Side::Ours, &open(65001, 9, 90));
    for second in [10, 20] {
        let actions = lab.wait();
        assert_eq!(lab.now, second * SECOND);
        assert!(matches!(actions.as_slice(), [Action::Send(_, bytes)] if bytes[18] == 4));
    }
    lab.now = 30 * SECOND;
    let actions = lab.handle(Event::Tick);
    assert_eq!(refusal(Side::Ours, &actions), (4, 0));
    assert!(actions.contains(&Action::Down));
    assert!(lab.error().contains("nothing was heard from the peer for 30 s"), "{}", lab.error());
}

#[test]
fn what_is_heard_winds_the_hold_timer_up() {
    let mut lab = Lab::new(config());
    lab.establish(Side::Ours, &open(65001, 9, 90));
    for kind in [Kind::Keepalive, Kind::Update] {
        lab.now += 29 * SECOND;
        let _ = lab.handle(Event::Tick);
        assert!(lab.hear(Side::Ours, kind, &[0; 4]).is_empty());
        assert_eq!(lab.session.state(), State::Established);
    }
}

#[test]
fn a_peer_that_never_says_open_is_given_up() {
    let mut lab = Lab::new(config());
    lab.connect(Side::Ours);
    assert_eq!(refusal(Side::Ours, &lab.wait()), (4, 0));
    assert!(lab.error().contains("sent no OPEN"), "{}", lab.error());
}

#[test]
fn a_wrong_as_is_refused_and_both_numbers_are_said() {
    let mut lab = Lab::new(config());
    lab.connect(Side::Ours);
    let actions = lab.hear_open(Side::Ours, &open(65009, 9, 90));
    assert_eq!(refusal(Side::Ours, &actions), (2, 2));
    assert!(lab.error().contains("65009") && lab.error().contains("65001"), "{}", lab.error());
    assert_eq!(lab.session.state(), State::Idle);
}

#[test]
fn any_as_but_ours_will_do_for_an_external_peer_without_a_number() {
    let config = Config { remote_as: RemoteAs::External, ..config() };
    let mut lab = Lab::new(config);
    assert_eq!(lab.establish(Side::Ours, &open(4_200_000_000, 9, 90)).remote_as, 4_200_000_000);
    let mut lab = Lab::new(config);
    lab.connect(Side::Ours);
    assert_eq!(refusal(Side::Ours, &lab.hear_open(Side::Ours, &open(65000, 9, 90))), (2, 2));
}

#[test]
fn an_impossible_identifier_or_hold_time_is_refused() {
    let internal = Config { remote_as: RemoteAs::Number(65000), ..config() };
    let nobody = Open { identifier: [0; 4].into(), ..open(65001, 9, 90) };
    for (config, peer, answer) in [
        (config(), nobody, (2, 3)),
        (internal, open(65000, 5, 90), (2, 3)),
        (config(), open(65001, 9, 1), (2, 6)),
        (config(), open(65001, 9, 2), (2, 6)),
    ] {
        let mut lab = Lab::new(config);
        lab.connect(Side::Ours);
        assert_eq!(refusal(Side::Ours, &lab.hear_open(Side::Ours, &peer)), answer, "{peer:?}");
    }
    // RFC 6286: the same identifier in another AS is another router.
    Lab::new(config()).establish(Side::Ours, &open(65001, 5, 90));
}

#[test]
fn peers_without_a_family_in_common_are_told_so_plainly() {
    let mut lab = Lab::new(config());
    lab.connect(Side::Ours);
    let mut peer = open(65001, 9, 90);
    peer.capabilities.families = vec![Family::V6];
    assert_eq!(refusal(Side::Ours, &lab.hear_open(Side::Ours, &peer)), (2, 7));
    assert!(lab.error().contains("no address family in common"), "{}", lab.error());
    assert!(lab.error().contains("the peer takes IPv6 unicast"), "{}", lab.error());
}

#[test]
fn a_peer_without_capabilities_takes_ipv4_and_short_as_numbers() {
    let peer = Open { capabilities: Capabilities::default(), ..open(65001, 9, 90) };
    let terms = Lab::new(config()).establish(Side::Ours, &peer);
    assert_eq!((terms.families, terms.as_width), (vec![Family::V4], AsWidth::Two));
}

#[test]
fn messages_out_of_turn_get_the_subcode_of_the_state() {
    let mut lab = Lab::new(config());
    lab.connect(Side::Ours);
    assert_eq!(refusal(Side::Ours, &lab.hear(Side::Ours, Kind::Update, &[0; 4])), (5, 1));
    let mut lab = Lab::new(config());
    lab.connect(Side::Ours);
    lab.hear_open(Side::Ours, &open(65001, 9, 90));
    assert_eq!(refusal(Side::Ours, &lab.hear(Side::Ours, Kind::Update, &[0; 4])), (5, 2));
    let mut lab = Lab::new(config());
    lab.establish(Side::Ours, &open(65001, 9, 90));
    let actions = lab.hear_open(Side::Ours, &open(65001, 9, 90));
    assert_eq!(refusal(Side::Ours, &actions), (5, 3));
}

#[test]
fn what_a_peer_says_at_the_end_is_kept_with_its_meaning() {
    for (code, subcode, words) in [
        (6, 2, "Administrative Shutdown (6/2): maintenance"),
        (6, 1, "Maximum Number of Prefixes Reached (6/1); raise the limit"),
        (6, 5, "Connection Rejected (6/5); it does not know this node"),
        (2, 2, "Bad Peer AS (2/2); it expects another AS number"),
        (6, 10, "BFD Down (6/10)"),
    ] {
        let mut lab = Lab::new(config());
        lab.establish(Side::Ours, &open(65001, 9, 90));
        let text = [&[code, subcode, 11], b"maintenance".as_slice()].concat();
        let actions = lab.hear(Side::Ours, Kind::Notification, &text);
        assert_eq!(actions, [Action::Close(Side::Ours), Action::Down]);
        assert!(lab.error().contains(words), "{}", lab.error());
    }
}

#[test]
fn of_two_connections_the_one_of_the_greater_identifier_stays() {
    for (identifier, first, stays) in [
        (9, Side::Ours, Side::Theirs),
        (9, Side::Theirs, Side::Theirs),
        (1, Side::Ours, Side::Ours),
        (1, Side::Theirs, Side::Ours),
    ] {
        let peer = open(65001, identifier, 90);
        let mut lab = Lab::new(config());
        lab.connect(Side::Ours);
        lab.connect(Side::Theirs);
        assert!(matches!(lab.hear_open(first, &peer).as_slice(), [Action::Send(..)]));
        let actions = lab.hear_open(first.other(), &peer);
        assert_eq!(refusal(stays.other(), &actions), (6, 7), "{identifier} {first:?}");
        let up = lab.hear(stays, Kind::Keepalive, &[]);
        assert!(matches!(up.as_slice(), [Action::Up(side, _)] if *side == stays), "{up:?}");
        assert_eq!(lab.session.last_error(), None);
    }
}

#[test]
fn a_connection_that_the_peer_gives_up_for_another_is_no_error() {
    let mut lab = Lab::new(config());
    lab.connect(Side::Ours);
    lab.connect(Side::Theirs);
    lab.handle(Event::Lost(Side::Ours, "closed".to_owned()));
    assert_eq!(lab.session.last_error(), None);
    lab.handle(Event::Lost(Side::Theirs, "closed".to_owned()));
    assert_eq!(lab.session.last_error(), Some("closed"));
}

#[test]
fn a_second_connection_is_refused_unless_the_peer_restarts_gracefully() {
    let mut lab = Lab::new(config());
    lab.establish(Side::Ours, &open(65001, 9, 90));
    let actions = lab.handle(Event::Connected(Side::Theirs, ours()));
    assert_eq!(refusal(Side::Theirs, &actions), (6, 7));
    assert_eq!(lab.session.state(), State::Established);

    let mut peer = open(65001, 9, 90);
    let restart = Restart { phase: Phase::Settled, seconds: 120, preserved: vec![] };
    peer.capabilities.graceful_restart = Some(restart);
    let mut lab = Lab::new(config());
    lab.establish(Side::Ours, &peer);
    let actions = lab.handle(Event::Connected(Side::Theirs, ours()));
    assert!(actions.starts_with(&[Action::Close(Side::Ours), Action::Down]), "{actions:?}");
    assert_eq!(lab.session.state(), State::OpenSent);
}

#[test]
fn an_unreachable_peer_is_tried_for_ever_and_ever_more_slowly() {
    let mut lab = Lab::new(config());
    let mut waits = Vec::new();
    for _ in 0..12 {
        let before = lab.now;
        assert_eq!(lab.wait(), [Action::Connect]);
        waits.push(lab.now - before);
        lab.handle(Event::Lost(Side::Ours, "connection refused".to_owned()));
        assert_eq!((lab.session.state(), lab.error()), (State::Active, "connection refused"));
    }
    assert!(waits[1] < SECOND && waits[11] > 7 * SECOND && waits[11] <= 10 * SECOND, "{waits:?}");
}

#[test]
fn an_attempt_without_an_answer_ends() {
    let mut lab = Lab::new(config());
    assert_eq!(lab.wait(), [Action::Connect]);
    assert_eq!(lab.wait(), [Action::Close(Side::Ours)]);
    assert_eq!(lab.now, CONNECT);
    assert!(lab.error().contains("no answer to a TCP connection"), "{}", lab.error());
}

#[test]
fn after_a_good_session_the_next_attempt_comes_soon() {
    let mut lab = Lab::new(config());
    for _ in 0..8 {
        lab.wait();
        lab.handle(Event::Lost(Side::Ours, "refused".to_owned()));
    }
    lab.now = lab.session.deadline().unwrap();
    lab.establish(Side::Ours, &open(65001, 9, 0));
    lab.now += 60 * SECOND;
    let actions = lab.handle(Event::Lost(Side::Ours, "reset".to_owned()));
    assert_eq!(actions, [Action::Close(Side::Ours), Action::Down]);
    assert!(lab.session.deadline().unwrap() - lab.now <= SECOND / 2);
}

#[test]
fn a_session_that_bfd_ends_is_not_tried_until_the_path_is_back() {
    let mut lab = Lab::new(config());
    lab.establish(Side::Ours, &open(65001, 9, 90));
    let actions = lab.handle(Event::PathDown);
    assert_eq!(refusal(Side::Ours, &actions), (6, 10));
    assert!(actions.contains(&Action::Down));
    assert_eq!(lab.session.state(), State::Idle);
    let actions = lab.handle(Event::Connected(Side::Theirs, ours()));
    assert_eq!(refusal(Side::Theirs, &actions), (6, 10));
    assert!(lab.handle(Event::Tick).is_empty());
    lab.handle(Event::PathUp);
    assert_eq!(lab.handle(Event::Tick), [Action::Connect]);
}

#[test]
fn a_peer_whose_bfd_never_comes_back_is_tried_again_after_a_while() {
    let mut lab = Lab::new(config());
    lab.establish(Side::Ours, &open(65001, 9, 90));
    lab.handle(Event::PathDown);
    lab.now = lab.session.deadline().expect("it does not wait for ever");
    lab.handle(Event::Tick);
    assert_eq!(lab.handle(Event::Tick), [Action::Connect]);
}

#[test]
fn a_stopped_session_says_so_and_stays_stopped() {
    let mut lab = Lab::new(config());
    lab.establish(Side::Ours, &open(65001, 9, 90));
    let actions = lab.handle(Event::Stop(Notification::shutdown(2, "bye")));
    assert_eq!(refusal(Side::Ours, &actions), (6, 2));
    assert_eq!((lab.session.state(), lab.session.deadline()), (State::Idle, None));
    lab.handle(Event::PathUp);
    assert!(lab.handle(Event::Tick).is_empty());
}

#[test]
fn a_route_refresh_is_passed_on() {
    let mut lab = Lab::new(config());
    lab.establish(Side::Ours, &open(65001, 9, 90));
    let actions = lab.hear(Side::Ours, Kind::RouteRefresh, &[0, 1, 0, 1]);
    assert_eq!(actions, [Action::Refresh(Family::V4)]);
}

/// Checks what holds at all times.
fn check(session: &Session) {
    let up = Side::BOTH.into_iter().filter(|side| session.is_in(*side, State::Established));
    assert!(up.count() <= 1);
    assert_eq!(session.established().is_some(), session.state() == State::Established);
    if session.wanted == Wanted::Yes && session.connections.iter().all(Option::is_none) {
        assert!(session.deadline().is_some(), "it would wait for ever");
    }
}

proptest! {
    #[test]
    fn any_events_keep_the_invariants(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        crate::fuzz::session(&bytes);
    }
}

#[test]
fn the_invariants_hold_in_a_whole_session() {
    let mut lab = Lab::new(config());
    check(&lab.session);
    lab.establish(Side::Theirs, &open(65001, 9, 90));
    check(&lab.session);
    lab.handle(Event::Lost(Side::Theirs, "gone".to_owned()));
    check(&lab.session);
}
