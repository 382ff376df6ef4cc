//! Two machines with one name: whose a record in our name is.

use std::rc::Rc;

use viplet_backend_api::{DefaultRoute, HardwareAddress, Link, LinkKind, LinkName, LinkState};

use super::*;
use crate::core::rights::machine::Machine;

fn machine(last: u8) -> Rc<Machine> {
    let link = Link {
        name: LinkName::new("eth0").unwrap(),
        altnames: Vec::new(),
        kind: LinkKind::Ethernet,
        state: LinkState::Up,
        hardware: HardwareAddress(vec![2, 0, 0, 0, 0, last]),
        default_route: DefaultRoute::V4,
    };
    Rc::new(Machine::of([link].iter()))
}

/// A candidate on the first machine.
fn bench_on_machine() -> Bench {
    let mut bench = bench();
    bench.election.know_machine(&machine(1));
    bench
}

/// A record in our name, written by that machine.
fn signed(last: u8, renewed: u64) -> LeaseRecord {
    let writer = Some(format!("n1 02:00:00:00:00:{last:02x}").into());
    LeaseRecord { writer, ..record("n1", renewed) }
}

impl Bench {
    fn said(&mut self, what: &str) -> usize {
        self.election.take_reports().iter().filter(|report| report.text.contains(what)).count()
    }

    /// The lease is left alone until a whole duration after now, and then taken.
    fn waits_for_a_whole_duration(&mut self) {
        self.waits_for_a_whole_duration_since(self.now);
    }

    fn waits_for_a_whole_duration_since(&mut self, seen: Moment) {
        assert_eq!(self.election.role(), Role::Following);
        assert!(!self.election.is_ours() && self.election.is_decided());
        let known = self.election.transitions();
        let take = self.next();
        let LeaseVerb::Replace { record, .. } = &take.verb else { panic!("no claim: {take:?}") };
        assert!(self.now >= seen + DURATION);
        assert_eq!((record.transitions, &record.acquired), (known + 1, &Stamp::Now));
        self.store(&take);
        assert!(self.election.is_ours());
        assert!(matches!(self.election.role(), Role::Holding { .. }));
    }
}

#[test]
fn a_record_in_our_name_that_changes_by_another_hand_ends_our_hold_and_is_said_by_name_once() {
    for mut bench in [bench(), bench_on_machine()] {
        bench.hold();
        bench.see(record("n1", 7));
        bench.see(record("n1", 8));
        assert_eq!(bench.said("give each its own host name or vip_nodename"), 1);
        assert!(
            bench.election.holder().unwrap().starts_with("n1 in another process or on another")
        );
        bench.waits_for_a_whole_duration();
        assert_eq!(bench.said("no other machine holds it in this node's name any more"), 1);
    }
}

#[test]
fn a_record_of_another_machine_of_our_name_is_waited_for_from_the_first_moment() {
    let mut bench = bench_on_machine();
    bench.drive();
    bench.read(signed(2, 1));
    assert_eq!(bench.election.holder(), Some("n1 on another machine (02:00:00:00:00:02)"));
    bench.pass(Duration::from_secs(4));
    assert_eq!(bench.drive(), None);
    bench.see(signed(2, 2));
    bench.waits_for_a_whole_duration();
}

#[test]
fn our_own_machines_record_from_before_a_restart_is_claimed_at_once_and_signed_again() {
    let mut bench = bench_on_machine();
    bench.drive();
    bench.read(signed(1, 1));
    let LeaseVerb::Replace { record, .. } = bench.drive().unwrap().verb else { panic!("no claim") };
    assert_eq!((record.transitions, &record.acquired), (4, &Stamp::At("a".to_owned())));
    assert_eq!(record.machine(), Some("02:00:00:00:00:01"));
}

#[test]
fn a_signature_counts_only_with_the_holder_that_it_names() {
    let mut bench = bench_on_machine();
    bench.drive();
    bench.read(LeaseRecord { writer: Some("n2 02:00:00:00:00:09".into()), ..record("n1", 1) });
    assert!(matches!(bench.drive().unwrap().verb, LeaseVerb::Replace { .. }));
}

#[test]
fn our_own_claim_whose_answer_is_lost_is_ours_when_the_watch_shows_it() {
    for start in [bench, bench_on_machine] {
        for seen_first in [false, true] {
            let mut bench = start();
            bench.hold();
            let renewal = bench.next();
            let LeaseVerb::Replace { record, .. } = renewal.verb else { panic!("no renewal") };
            let stored = LeaseRecord { renewed: Stamp::At("now".to_owned()), ..record };
            let lost = WriteOutcome::Unknown("the connection broke".to_owned());
            if seen_first {
                bench.see(stored);
                bench.answer(lost);
            } else {
                bench.answer(lost);
                bench.see(stored);
            }
            assert_eq!(bench.election.namesake(), None);
            assert!(matches!(bench.election.role(), Role::Holding { .. }));
            let mut again = bench.next();
            if again.verb == LeaseVerb::Read {
                let (stored, _) = bench.election.record().unwrap();
                let stored = stored.clone();
                bench.read(stored);
                again = bench.next();
            }
            bench.store(&again);
            assert!(matches!(bench.election.role(), Role::Holding { .. }));
        }
    }
}

#[test]
fn a_change_by_a_program_that_does_not_sign_is_no_lost_claim_of_a_machine_that_does() {
    let mut bench = bench_on_machine();
    bench.hold();
    bench.next();
    bench.answer(WriteOutcome::Unknown("the connection broke".to_owned()));
    bench.see(record("n1", 9));
    bench.waits_for_a_whole_duration();
}

#[test]
fn of_two_that_create_the_lease_in_one_name_only_the_one_whose_write_is_stored_holds_it() {
    let of_ours = |bench: &mut Bench| {
        bench.drive();
        bench.election.observe(Origin::Read, LeaseView::Absent, bench.now);
        let Some(LeaseVerb::Create { record, .. }) = bench.drive().map(|r| r.verb) else {
            panic!("no create")
        };
        LeaseRecord { renewed: Stamp::At("1".to_owned()), ..record }
    };
    for shown in [None, Some(())] {
        let mut bench = bench();
        let record = of_ours(&mut bench);
        let mut seen = bench.now;
        if shown.is_some() {
            bench.see(record.clone());
        }
        bench.answer(WriteOutcome::Conflict);
        assert_eq!(bench.next().verb, LeaseVerb::Read);
        bench.read(record);
        if shown.is_none() {
            seen = bench.now;
        }
        bench.waits_for_a_whole_duration_since(seen);
    }
}

#[test]
fn our_own_write_that_the_watch_shows_before_its_answer_is_ours() {
    let mut bench = bench();
    bench.hold();
    let renewal = bench.next();
    let LeaseVerb::Replace { record, .. } = &renewal.verb else { panic!("no renewal") };
    bench.see(LeaseRecord { renewed: Stamp::At("now".to_owned()), ..record.clone() });
    assert!(matches!(bench.election.role(), Role::Holding { .. }));
    bench.version -= 1;
    bench.store(&renewal);
    assert_eq!(bench.election.namesake(), None);
    assert!(matches!(bench.election.role(), Role::Holding { .. }));
}

#[test]
fn a_write_that_came_after_ours_in_our_name_is_noticed_before_ours_is_answered() {
    let mut bench = bench();
    bench.hold();
    let renewal = bench.next();
    bench.version += 1;
    bench.see(record("n1", 9));
    bench.version -= 2;
    bench.store(&renewal);
    bench.waits_for_a_whole_duration();
}

#[test]
fn what_another_machine_holds_in_our_name_is_not_released_by_us() {
    let mut bench = bench_on_machine();
    bench.drive();
    bench.read(signed(2, 1));
    bench.election.stand(Fitness::Leaving, bench.now);
    assert_eq!(bench.drive(), None);
    assert_eq!(bench.election.deadline(Handover::Clear), None);
}

#[test]
fn the_end_of_the_link_that_we_signed_with_does_not_make_our_own_record_anothers() {
    let mut bench = bench_on_machine();
    bench.hold();
    assert!(!bench.election.know_machine(&machine(5)));
    let renewal = bench.next();
    bench.store(&renewal);
    assert!(matches!(bench.election.role(), Role::Holding { .. }));
}

#[test]
fn a_lease_that_another_machine_deleted_is_taken_only_when_its_time_is_up() {
    let mut bench = bench_on_machine();
    bench.drive();
    bench.read(signed(2, 1));
    let seen = bench.now;
    bench.election.observe(Origin::Watch, LeaseView::Absent, bench.now);
    assert!(matches!(bench.next().verb, LeaseVerb::Create { .. }));
    assert!(bench.now >= seen + DURATION);
}
