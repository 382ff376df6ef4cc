//! The election against answers given by hand.

use super::drive::Handover;
use super::*;
use crate::core::input::{LeaseRequest, LeaseVerb, LeaseView, Origin, WriteOutcome};
use crate::core::rights::lease::{LeaseRecord, Stamp};

mod namesakes;

const DURATION: Duration = Duration::from_secs(5);

struct Bench {
    election: Election,
    now: Moment,
    version: u64,
}

fn bench() -> Bench {
    let terms = Terms {
        courtesy: crate::core::rights::election::Courtesy::Race,
        lease: LeaseName { namespace: "kube-system".to_owned(), name: "plndr-cp-lock".to_owned() },
        identity: "n1".to_owned(),
        annotations: BTreeMap::new(),
        timing: LeaseTiming {
            duration: DURATION,
            renew_deadline: Duration::from_secs(3),
            retry_period: Duration::from_secs(1),
        },
    };
    let now = Moment::from_boot(Duration::from_secs(100));
    Bench { election: Election::new(terms, 1), now, version: 10 }
}

fn record(holder: &str, renewed: u64) -> LeaseRecord {
    LeaseRecord {
        holder: holder.to_owned(),
        duration_seconds: 5,
        acquired: Stamp::At("a".to_owned()),
        renewed: Stamp::At(renewed.to_string()),
        transitions: 4,
        moved: None,
        writer: None,
    }
}

impl Bench {
    fn drive(&mut self) -> Option<LeaseRequest> {
        self.election.drive(self.now, Handover::Clear)
    }

    fn pass(&mut self, span: Duration) {
        self.now = self.now + span;
    }

    fn see(&mut self, record: LeaseRecord) {
        self.version += 1;
        let view = LeaseView::Present { version: self.version.to_string(), record };
        self.election.observe(Origin::Watch, view, self.now);
    }

    /// The answer to a read.
    fn read(&mut self, record: LeaseRecord) {
        self.version += 1;
        let view = LeaseView::Present { version: self.version.to_string(), record };
        self.election.observe(Origin::Read, view, self.now);
    }

    fn answer(&mut self, outcome: WriteOutcome) {
        let attempt = self.election.attempts;
        self.election.written(attempt, outcome, self.now);
    }

    fn store(&mut self, request: &LeaseRequest) {
        let (LeaseVerb::Create { record, .. } | LeaseVerb::Replace { record, .. }) = &request.verb
        else {
            panic!("a write was expected, not {request:?}");
        };
        self.version += 1;
        let version = self.version.to_string();
        self.answer(WriteOutcome::Stored { version, record: record.clone() });
    }

    /// Reads an absent lease, creates it, holds it.
    fn hold(&mut self) {
        assert_eq!(self.drive().map(|r| r.verb), Some(LeaseVerb::Read));
        self.election.observe(Origin::Read, LeaseView::Absent, self.now);
        let create = self.drive().expect("a create");
        self.store(&create);
        assert!(matches!(self.election.role(), Role::Holding { .. }));
    }

    /// The next moment at which something is due must come, and something must be done then.
    fn next(&mut self) -> LeaseRequest {
        for _ in 0..10 {
            let (at, _) = self.election.deadline(Handover::Clear).expect("a deadline");
            self.now = self.now.max(at);
            if let Some(request) = self.drive() {
                return request;
            }
        }
        panic!("deadlines pass and nothing is asked");
    }
}

#[test]
fn a_lease_that_does_not_exist_is_created_and_held_until_its_duration_less_a_margin() {
    let mut bench = bench();
    bench.hold();
    let Role::Holding { until } = bench.election.role() else { panic!("not holding") };
    assert!(until < bench.now + DURATION);
    assert!(until > bench.now + DURATION.mul_f64(0.9));
}

#[test]
fn another_holders_lease_is_left_alone_for_one_full_duration_after_it_was_seen() {
    let mut bench = bench();
    bench.drive();
    bench.read(record("n2", 1));
    let seen = bench.now;
    bench.pass(Duration::from_millis(4999));
    assert_eq!(bench.drive(), None);
    let take = bench.next();
    assert!(bench.now >= seen + DURATION);
    assert!(bench.now < seen + DURATION + Duration::from_millis(100));
    assert!(matches!(take.verb, LeaseVerb::Replace { record, .. } if record.transitions == 5));
}

#[test]
fn a_renewal_seen_puts_the_takeover_off_and_a_change_beside_the_spec_does_not() {
    let mut bench = bench();
    bench.drive();
    bench.read(record("n2", 1));
    let seen = bench.now;
    bench.pass(Duration::from_secs(4));
    bench.see(record("n2", 1));
    assert!(bench.election.deadline(Handover::Clear).unwrap().0 < seen + DURATION.mul_f64(1.1));
    bench.see(record("n2", 2));
    assert!(bench.election.deadline(Handover::Clear).unwrap().0 >= bench.now + DURATION);
}

#[test]
fn a_count_of_transitions_at_its_end_stays_there_for_the_api_server_takes_no_more() {
    let most = i32::MAX.unsigned_abs();
    for known in [most - 1, most] {
        let mut bench = bench();
        bench.drive();
        bench.read(LeaseRecord { transitions: known, ..record("", 1) });
        let LeaseVerb::Replace { record, .. } = bench.drive().unwrap().verb else { panic!() };
        assert_eq!(record.transitions, most);
    }
}

#[test]
fn a_refusal_that_lasts_is_said_once_and_again_when_its_reason_changes_or_it_ends() {
    let mut bench = bench();
    let mut said = Vec::new();
    bench.hold();
    for reason in ["403 forbidden", "403 forbidden", "403 forbidden", "503 away", "503 away"] {
        bench.next();
        bench.answer(WriteOutcome::Rejected(reason.to_owned()));
        let loud = bench.election.take_reports().into_iter().filter(|r| r.level == Level::Warn);
        said.extend(loud.map(|report| report.text));
    }
    let of = |text: &str| said.iter().filter(|line| line.contains(text)).count();
    assert!(of("403 forbidden") >= 1 && of("a request failed") == 2, "{said:?}");
    let renewal = bench.next();
    bench.store(&renewal);
    let news = bench.election.take_reports();
    assert!(news.iter().any(|report| report.text.contains("succeed again")), "{news:?}");
}

#[test]
fn a_released_lease_is_taken_in_the_same_turn() {
    let mut bench = bench();
    bench.drive();
    bench.read(record("n2", 1));
    bench.pass(Duration::from_secs(1));
    bench.see(LeaseRecord { duration_seconds: 1, ..record("", 2) });
    assert!(matches!(bench.drive().unwrap().verb, LeaseVerb::Replace { .. }));
}

#[test]
fn our_own_lease_from_before_a_restart_is_claimed_at_once_and_is_no_transition() {
    let mut bench = bench();
    bench.drive();
    bench.read(record("n1", 1));
    let LeaseVerb::Replace { record, .. } = bench.drive().unwrap().verb else { panic!("no claim") };
    assert_eq!((record.transitions, record.acquired), (4, Stamp::At("a".to_owned())));
}

#[test]
fn a_hold_that_cannot_be_renewed_ends_by_itself_and_is_tried_again_for_ever() {
    let mut bench = bench();
    bench.hold();
    let Role::Holding { until } = bench.election.role() else { panic!("not holding") };
    let mut tries = 0;
    while bench.now < until + Duration::from_secs(60) {
        bench.next();
        bench.answer(WriteOutcome::Rejected("503 etcd is away".to_owned()));
        tries += 1;
        assert_eq!(bench.election.role() == Role::Following, bench.now >= until);
    }
    assert!((50..200).contains(&tries), "{tries} tries in a minute");
    let reports: Vec<String> = bench.election.take_reports().into_iter().map(|r| r.text).collect();
    assert!(reports.iter().any(|text| text.contains("lost") && text.contains("etcd is away")));
    assert!(reports.iter().any(|text| text.contains("renew deadline is missed")));
}

#[test]
fn a_renewal_counts_from_when_it_was_sent_not_from_when_it_was_answered() {
    let mut bench = bench();
    bench.hold();
    let renew = bench.next();
    let sent = bench.now;
    bench.pass(Duration::from_millis(900));
    bench.store(&renew);
    let timing = bench.election.terms.timing;
    assert_eq!(bench.election.role(), Role::Holding { until: term::until(sent, &timing) });
}

#[test]
fn an_answer_after_the_end_of_what_it_renewed_makes_no_holder() {
    let mut bench = bench();
    bench.drive();
    bench.election.observe(Origin::Read, LeaseView::Absent, bench.now);
    let mut create = bench.drive().expect("a create");
    bench.election.call.as_mut().unwrap().timeout = Duration::from_secs(60);
    create.timeout = Duration::from_secs(60);
    bench.pass(DURATION);
    bench.store(&create);
    assert_eq!(bench.election.role(), Role::Following);
}

#[test]
fn a_holder_that_sees_another_name_is_none_from_that_moment() {
    let mut bench = bench();
    bench.hold();
    bench.see(record("n2", 9));
    assert_eq!(bench.election.role(), Role::Following);
}

#[test]
fn a_watch_event_older_than_our_own_write_changes_nothing() {
    let mut bench = bench();
    bench.hold();
    let old = LeaseView::Present { version: "3".to_owned(), record: record("n2", 1) };
    bench.election.observe(Origin::Watch, old, bench.now);
    assert!(matches!(bench.election.role(), Role::Holding { .. }));
    assert_eq!(bench.election.tally().rejects, 1);
}

#[test]
fn a_conflict_leads_to_a_read_and_a_storm_of_conflicts_does_not_become_a_storm_of_requests() {
    let mut bench = bench();
    bench.hold();
    let start = bench.now;
    let mut requests = 0;
    while bench.now < start + Duration::from_secs(4) {
        let request = bench.next();
        requests += 1;
        match request.verb {
            LeaseVerb::Read => {
                let (stored, _) = bench.election.record().expect("it is held");
                let stored = stored.clone();
                bench.read(stored);
            }
            _ => bench.answer(WriteOutcome::Conflict),
        }
    }
    assert!((4..60).contains(&requests), "{requests} requests in four seconds");
}

#[test]
fn a_deleted_lease_is_created_again_by_its_holder_at_once_and_by_others_when_it_ran_out() {
    let mut holder = bench();
    holder.hold();
    holder.election.observe(Origin::Watch, LeaseView::Absent, holder.now);
    assert!(matches!(holder.drive().unwrap().verb, LeaseVerb::Create { .. }));

    let mut other = bench();
    other.drive();
    other.read(record("n2", 1));
    let seen = other.now;
    other.election.observe(Origin::Watch, LeaseView::Absent, other.now);
    assert!(matches!(other.next().verb, LeaseVerb::Create { .. }));
    assert!(other.now >= seen + DURATION);
}

#[test]
fn an_unfit_holder_releases_once_its_addresses_are_gone_and_not_before() {
    let mut bench = bench();
    bench.hold();
    bench.election.stand(Fitness::Unfit("the link is down".to_owned()), bench.now);
    assert_eq!(bench.election.drive(bench.now, Handover::NotYet), None);
    let release = bench.drive().expect("a release");
    let LeaseVerb::Replace { record, .. } = &release.verb else { panic!("no release") };
    assert_eq!((record.holder.as_str(), record.duration_seconds), ("", 1));
    bench.store(&release);
    assert_eq!((bench.election.role(), bench.drive()), (Role::Following, None));
}

#[test]
fn an_answer_that_never_comes_is_given_up_and_the_lease_is_read_before_the_next_write() {
    let mut bench = bench();
    bench.hold();
    bench.next();
    let next = bench.next();
    assert_eq!(next.verb, LeaseVerb::Read);
}

#[test]
fn a_store_restored_from_a_backup_with_older_versions_is_believed_when_read() {
    let mut bench = bench();
    bench.hold();
    bench.next();
    bench.answer(WriteOutcome::Conflict);
    assert_eq!(bench.next().verb, LeaseVerb::Read);
    let restored = LeaseView::Present { version: "2".to_owned(), record: record("n1", 1) };
    bench.election.observe(Origin::Read, restored, bench.now);
    let LeaseVerb::Replace { version, .. } = bench.next().verb else { panic!("no renewal") };
    assert_eq!(version, "2");
}

#[test]
fn a_hold_is_over_when_the_release_is_sent_whether_or_not_it_is_answered() {
    let mut bench = bench();
    bench.hold();
    bench.election.stand(Fitness::Unfit("the link is down".to_owned()), bench.now);
    let release = bench.drive().expect("a release");
    assert!(matches!(release.verb, LeaseVerb::Replace { record, .. } if record.holder.is_empty()));
    assert_eq!(bench.election.role(), Role::Following);
    bench.election.stand(Fitness::Fit, bench.now);
    bench.drive();
    assert_eq!(bench.election.role(), Role::Following, "fit again, and another may have it by now");
}

#[test]
fn a_watch_event_that_overtakes_the_answer_to_a_read_does_not_stand_for_it() {
    let mut bench = bench();
    bench.hold();
    bench.next();
    bench.answer(WriteOutcome::Unknown("the connection broke".to_owned()));
    assert_eq!(bench.next().verb, LeaseVerb::Read);
    let old = LeaseView::Present { version: "3".to_owned(), record: record("n2", 1) };
    bench.election.observe(Origin::Watch, old, bench.now);
    assert!(matches!(bench.election.role(), Role::Holding { .. }));
    assert_eq!(bench.drive(), None, "the read is still under way");
}

#[test]
fn a_late_answer_does_not_hide_what_the_watch_has_brought_since() {
    let mut bench = bench();
    bench.hold();
    let renew = bench.next();
    bench.version += 1;
    let stored = bench.version;
    bench.see(record("n2", 9));
    bench.version = stored - 1;
    bench.store(&renew);
    assert_eq!((bench.election.role(), bench.election.holder()), (Role::Following, Some("n2")));
}
