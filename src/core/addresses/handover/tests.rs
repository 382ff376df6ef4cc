//! One address and the Leases that decide about it, one after the other; time and what the watches
//! tell are given by hand.

use std::rc::Rc;
use std::time::Duration;

use super::*;
use crate::core::cluster::Cluster;
use crate::core::cluster::record::Change;
use crate::core::earlier_run::Leftovers;
use crate::core::input::{Effect, KubernetesRequest, LeaseSeen, Mark};
use crate::core::observed::Observed;
use crate::core::rights::lease::{LeaseRecord, Stamp};
use crate::core::rights::mark::with_mark;
use crate::core::services::tests::settings;
use crate::core::settings::ServiceElection;

const START: Moment = Moment::from_boot(Duration::from_secs(1000));
const SECOND: Duration = Duration::from_secs(1);

fn ip() -> IpAddr {
    [192, 0, 2, 1].into()
}

fn lease(name: &str) -> LeaseName {
    LeaseName { namespace: "default".to_owned(), name: name.to_owned() }
}

fn by(name: &str) -> Authority {
    Authority::Lease(Rc::new(lease(name)))
}

/// What node n1 knows.
struct Bench {
    handovers: Handovers,
    address: Address,
    rights: Rights,
    cluster: Cluster,
    observed: Observed,
    version: u64,
    now: Moment,
}

impl Bench {
    /// The address is under the Lease `a`, which `holder` holds.
    fn held_by(holder: &str) -> Self {
        let settings = settings(ServiceElection::Each);
        let site = Site { settings, node: "n1".to_owned(), seed: 1, started: START };
        let mut rights = Rights::new(Rc::new(site));
        let _ = rights.take_leases(Change::Replaced(Vec::new()), START);
        let mut bench = Self {
            handovers: Handovers::default(),
            address: Address { authority: by("a"), ..Address::default() },
            rights,
            cluster: Cluster::default(),
            observed: Observed::default(),
            version: 10,
            now: START,
        };
        bench.handovers.begin_to_follow(ip());
        bench.see("a", holder, None);
        bench
    }

    /// The watch over Leases tells of one, as renewed now.
    fn see(&mut self, name: &str, holder: &str, moved: Option<&str>) {
        self.version += 1;
        let record = LeaseRecord {
            holder: holder.to_owned(),
            duration_seconds: 5,
            acquired: Stamp::Absent,
            renewed: Stamp::At(self.version.to_string()),
            transitions: 0,
            moved: moved.map(Into::into),
            writer: None,
        };
        let seen = LeaseSeen { lease: lease(name), version: self.version.to_string(), record };
        let _ = self.rights.take_leases(Change::Applied(seen), self.now);
    }

    /// Services are told up to this version.
    fn hear(&mut self, version: &str) {
        if let Some(version) = self.cluster.take_version(version.into()) {
            let _ = self.handovers.date(version);
        }
    }

    fn with<T>(&mut self, act: impl FnOnce(&mut Handovers, &Case<'_>) -> T) -> T {
        let around = Around {
            cluster: &self.cluster,
            observed: &self.observed,
            control_plane: None,
            stopping: Stopping::No,
            leftovers: Leftovers::None,
            now: self.now,
        };
        let (address, rights) = (&self.address, &self.rights);
        act(&mut self.handovers, &Case { ip: ip(), address, rights, around: &around })
    }

    /// Another Lease decides from now on.
    fn change(&mut self, to: &str) {
        let to = by(to);
        self.with(|handovers, case| handovers.change(case, &to));
        self.address.authority = to;
    }

    fn still_held(&mut self) -> Option<Box<str>> {
        self.with(Handovers::still_held)
    }

    fn outdated(&mut self) -> bool {
        self.with(Handovers::outdated)
    }

    /// The marks that are asked for now.
    fn marks(&mut self) -> Vec<(LeaseName, Mark)> {
        let mut effects = Vec::new();
        let address = Box::new(self.address.clone());
        let addresses = BTreeMap::from([(ip(), address)]);
        self.with(|handovers, case| {
            handovers.mark_all(&addresses, case.rights, case.around, &mut effects);
        });
        let marks = effects.into_iter().filter_map(|effect| match effect {
            Effect::Kubernetes(KubernetesRequest::Mark { lease, mark }) => Some((lease, mark)),
            _ => None,
        });
        marks.collect()
    }
}

/// The address, with `b` deciding now and the version of that told.
fn handed_over(holder: &str) -> Bench {
    let mut bench = Bench::held_by(holder);
    bench.hear("20");
    bench.change("b");
    bench.hear("21");
    bench
}

#[test]
fn an_address_is_not_taken_before_the_version_is_told_the_lease_is_marked_and_the_hold_has_ended() {
    let mut bench = Bench::held_by("n2");
    bench.hear("20");
    bench.change("b");
    assert_eq!(bench.still_held().as_deref(), Some("n2"));
    bench.now = bench.now + SECOND;
    assert_eq!(bench.marks(), [], "up to which version it is so is not known yet");
    bench.hear("21");
    assert_eq!(bench.still_held().as_deref(), Some("n2"));
    let marks = bench.marks();
    let [(marked, mark)] = marks.as_slice() else { panic!("{marks:?}") };
    assert_eq!((marked, &*mark.version, &mark.to), (&lease("a"), "21", &lease("b")));
    let text = with_mark(None, mark).unwrap();
    bench.see("a", "n2", Some(&text));
    bench.now = bench.now + 4 * SECOND;
    assert_eq!(bench.still_held().as_deref(), Some("n2"), "it may not have heard");
    bench.now = bench.now + 2 * SECOND;
    assert_eq!(bench.still_held(), None, "its hold has ended");
    assert!(!bench.handovers.is_unsettled(ip()));
    assert_eq!(bench.handovers.under_way().count(), 0);
}

#[test]
fn a_holder_that_gives_the_lease_back_marked_is_waited_for_no_longer() {
    let mut bench = handed_over("n2");
    assert!(bench.still_held().is_some());
    bench.see("a", "", Some("192.0.2.1@21=default/b"));
    assert_eq!(bench.still_held(), None);
}

#[test]
fn what_this_node_holds_by_the_lease_before_is_in_nobodys_way_but_is_marked_at_once() {
    let mut bench = handed_over("n1");
    assert_eq!(bench.still_held(), None);
    assert!(bench.with(|handovers, case| handovers.awaits_mark(&lease("a"), case.around)));
    assert_eq!(bench.marks().len(), 1, "before its turn among the nodes");
    let _ = bench.still_held();
    assert_eq!(bench.marks(), [], "not again at once");
    bench.now = bench.now + SECOND;
    let _ = bench.still_held();
    assert_eq!(bench.marks().len(), 1, "it was not seen");
    bench.see("a", "n1", Some("192.0.2.1@21=default/b"));
    assert_eq!(bench.still_held(), None);
    assert!(!bench.with(|handovers, case| handovers.awaits_mark(&lease("a"), case.around)));
}

#[test]
fn where_the_lease_cannot_be_marked_the_address_is_taken_after_a_minute() {
    let mut bench = handed_over("n2");
    bench.now = bench.now + 59 * SECOND;
    bench.see("a", "n2", None);
    assert!(bench.still_held().is_some());
    bench.now = bench.now + SECOND;
    assert_eq!(bench.still_held(), None);
}

#[test]
fn an_address_that_comes_back_under_its_lease_waits_only_for_the_lease_between() {
    let mut bench = handed_over("n2");
    assert!(bench.still_held().is_some());
    bench.change("a");
    bench.hear("22");
    assert_eq!(bench.still_held().as_deref(), Some(""), "a claim may be under way");
    let before: Vec<_> = bench.handovers.leases_before(ip()).map(|lease| &*lease.name).collect();
    assert_eq!(before, ["b"], "nobody has to let go of what decides again");
    bench.see("b", "", Some("192.0.2.1@22=default/a"));
    assert_eq!(bench.still_held(), None);
}

#[test]
fn a_node_that_has_not_heard_keeps_an_address_no_longer_than_its_hold_lasted_when_it_saw_the_mark()
{
    let mut bench = Bench::held_by("n2");
    bench.hear("20");
    let until = bench.now + 3 * SECOND;
    bench.see("a", "n2", Some("192.0.2.1@30=default/b"));
    assert!(bench.outdated(), "it does not take it by this Lease");
    let under = Rc::new(lease("a"));
    let held = bench.handovers.held_until(ip(), Some(&under), until);
    assert_eq!(held, bench.now, "it has no hold that could last");
    assert_eq!(bench.handovers.superseded().count(), 1);
    bench.hear("30");
    assert!(!bench.outdated(), "it has heard of Services up to the mark");
    assert_eq!(bench.handovers.held_until(ip(), Some(&under), until), until);
    assert_eq!(bench.handovers.superseded().count(), 0);
}

#[test]
fn a_mark_that_was_written_before_this_node_began_is_found_and_its_holder_waited_for() {
    let mut bench = Bench::held_by("n2");
    bench.hear("40");
    bench.address.authority = by("c");
    bench.see("a", "n2", Some("192.0.2.1@30=default/c"));
    assert_eq!(bench.still_held().as_deref(), Some("n2"));
    bench.now = bench.now + 6 * SECOND;
    assert_eq!(bench.still_held(), None);
}

#[test]
fn a_mark_leads_to_the_lease_that_decided_in_between_and_is_replaced_only_after_that() {
    let mut bench = handed_over("n2");
    bench.see("a", "n2", Some("192.0.2.1@15=default/m"));
    bench.see("m", "n3", None);
    let marked = |bench: &mut Bench| {
        let _ = bench.still_held();
        bench.now = bench.now + SECOND;
        assert!(bench.still_held().is_some());
        let marks = bench.marks().into_iter();
        marks.map(|(lease, mark)| (lease.name, mark.after.map(String::from))).collect::<Vec<_>>()
    };
    assert_eq!(marked(&mut bench), [("m".to_owned(), None)]);
    bench.see("m", "", Some("192.0.2.1@15=default/b"));
    assert_eq!(marked(&mut bench), [("a".to_owned(), Some("15".to_owned()))]);
}

#[test]
fn an_address_that_is_forgotten_leaves_nothing_behind() {
    let mut bench = handed_over("n2");
    let _ = bench.still_held();
    bench.handovers.forget(ip());
    assert!(!bench.handovers.has_predecessors(ip()));
    assert_eq!(bench.handovers.under_way().count(), 0);
    assert_eq!(bench.marks(), []);
}
