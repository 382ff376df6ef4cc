//! Rights as their owners see them, without addresses: elections drive themselves, an API server
//! stores what they write.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use super::lease::{LeaseName, LeaseRecord, Stamp};
use super::{Authority, FirstList, Members, Rights, Scope, Subject, Subjects, What};
use crate::core::cluster::Cluster;
use crate::core::cluster::record::{Change, ServiceName};
use crate::core::context::{Around, Site};
use crate::core::control_plane::Stopping;
use crate::core::earlier_run::Leftovers;
use crate::core::input::{
    Effect, KubernetesRequest, LeaseRequest, LeaseSeen, LeaseVerb, LeaseView, Origin, WriteOutcome,
};
use crate::core::observed::Observed;
use crate::core::services::tests::settings;
use crate::core::settings::ServiceElection;
use crate::core::time::Moment;

/// The owner of a request that has no address yet.
#[derive(Default)]
struct Owner {
    /// Why this node cannot serve it, if it cannot.
    trouble: Option<&'static str>,
    /// Whether an address is here that the right was used for.
    has_address: bool,
}

impl Subjects for Owner {
    fn ineligible(&self, _: &Subject) -> Option<Scope> {
        self.trouble.map(|_| Scope::Subject)
    }

    fn reason(&self, _: &Subject) -> String {
        self.trouble.unwrap_or_default().to_owned()
    }

    fn holds_any(&self, _: &Members) -> bool {
        self.has_address
    }

    fn lingers_any(&self, _: &Members, _: &LeaseName) -> bool {
        self.has_address
    }

    fn awaits_mark(&self, _: &LeaseName) -> bool {
        false
    }
}

/// Rights of one node and the Leases that are stored.
struct Bench {
    rights: Rights,
    cluster: Cluster,
    observed: Observed,
    owner: Owner,
    stored: BTreeMap<LeaseName, (u64, LeaseRecord)>,
    version: u64,
    now: Moment,
    news: Vec<What>,
}

impl Bench {
    fn new() -> Self {
        let started = Moment::from_boot(Duration::from_secs(1000));
        let settings = settings(ServiceElection::Each);
        let site = Rc::new(Site { settings, node: "n1".to_owned(), seed: 1, started });
        let mut rights = Rights::new(site);
        let first = rights.take_leases(Change::Replaced(Vec::new()), started);
        assert_eq!(first, FirstList::Yes);
        Self {
            rights,
            cluster: Cluster::default(),
            observed: Observed::default(),
            owner: Owner::default(),
            stored: BTreeMap::new(),
            version: 1,
            now: started,
            news: Vec::new(),
        }
    }

    /// Lets time pass and everything be done that is due.
    fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        loop {
            self.turn();
            match self.rights.deadline().filter(|(at, _)| *at <= end) {
                Some((at, _)) => self.now = self.now.max(at),
                None => break,
            }
        }
        self.now = end;
    }

    fn turn(&mut self) {
        loop {
            let around = Around {
                cluster: &self.cluster,
                observed: &self.observed,
                control_plane: None,
                stopping: Stopping::No,
                leftovers: Leftovers::None,
                now: self.now,
            };
            let mut effects = Vec::new();
            self.rights.wake(self.now);
            let driven = self.rights.drive(&self.owner, &around, &mut effects);
            let sent = self.rights.send_requests(&self.owner, &around, &mut effects);
            self.news.extend(driven.iter().chain(&sent).map(|news| news.what));
            let requests = effects.into_iter().filter_map(|effect| match effect {
                Effect::Kubernetes(KubernetesRequest::Lease(request)) => Some(request),
                _ => None,
            });
            let requests: Vec<LeaseRequest> = requests.collect();
            if requests.is_empty() {
                return;
            }
            requests.into_iter().for_each(|request| self.serve(request));
        }
    }

    fn serve(&mut self, LeaseRequest { lease, verb, .. }: LeaseRequest) {
        let (now, known) = (self.now, self.stored.get(&lease).cloned());
        let (attempt, record) = match verb {
            LeaseVerb::Read => {
                let view = known.map_or(LeaseView::Absent, |(version, record)| {
                    LeaseView::Present { version: version.to_string(), record }
                });
                let read = |election: &mut super::election::Election| {
                    election.observe(Origin::Read, view, now);
                };
                assert!(self.rights.with_election(&lease, read));
                return;
            }
            LeaseVerb::Create { attempt, record, .. }
            | LeaseVerb::Replace { attempt, record, .. } => (attempt, record),
        };
        let version = self.store(&lease, record);
        let (_, record) = self.stored[&lease].clone();
        let outcome = WriteOutcome::Stored { version: version.to_string(), record };
        self.rights.with_election(&lease, |election| election.written(attempt, outcome, now));
    }

    fn store(&mut self, lease: &LeaseName, record: LeaseRecord) -> u64 {
        self.version += 1;
        let renewed = Stamp::At(self.version.to_string());
        self.stored.insert(lease.clone(), (self.version, LeaseRecord { renewed, ..record }));
        self.version
    }

    /// Another machine writes itself into the Lease, and the watch says so.
    fn other_takes(&mut self, lease: &LeaseName, name: &str) {
        let (_, record) = self.stored[lease].clone();
        let version = self.store(lease, LeaseRecord { holder: name.to_owned(), ..record });
        let record = self.stored[lease].1.clone();
        let seen = LeaseSeen { lease: lease.clone(), version: version.to_string(), record };
        let _ = self.rights.take_leases(Change::Applied(seen), self.now);
    }

    fn holder(&self, lease: &LeaseName) -> Option<String> {
        let authority = Authority::Lease(Rc::new(lease.clone()));
        let around = Around {
            cluster: &self.cluster,
            observed: &self.observed,
            control_plane: None,
            stopping: Stopping::No,
            leftovers: Leftovers::None,
            now: self.now,
        };
        let right = self.rights.right(&authority, &around);
        assert!(!right.is_held() || right.is_ours(), "held in another's name");
        assert!(right.elsewhere().is_none() || !right.is_held());
        right.holder().map(str::to_owned)
    }

    fn holds(&self, lease: &LeaseName) -> bool {
        let authority = Authority::Lease(Rc::new(lease.clone()));
        let around = Around {
            cluster: &self.cluster,
            observed: &self.observed,
            control_plane: None,
            stopping: Stopping::No,
            leftovers: Leftovers::None,
            now: self.now,
        };
        self.rights.right(&authority, &around).until().is_some_and(|until| until > self.now)
    }
}

fn request() -> Subject {
    Subject::Request { service: ServiceName::new("default", "web"), index: 0 }
}

fn lease() -> LeaseName {
    LeaseName { namespace: "default".to_owned(), name: "kubevip-web".to_owned() }
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_request_without_an_address_wins_an_election_and_the_right_is_renewed() {
    let mut bench = Bench::new();
    bench.rights.join(&lease(), request(), bench.now);
    assert!(!bench.holds(&lease()));
    bench.pass(SECOND);
    assert!(bench.holds(&lease()));
    assert_eq!(bench.holder(&lease()).as_deref(), Some("n1"));
    assert!(bench.news.contains(&What::Holder));
    bench.pass(20 * SECOND);
    assert!(bench.holds(&lease()), "four durations later");
}

#[test]
fn a_request_without_an_address_loses_its_right_to_another_node() {
    let mut bench = Bench::new();
    bench.rights.join(&lease(), request(), bench.now);
    bench.pass(SECOND);
    bench.news.clear();
    bench.other_takes(&lease(), "n2");
    bench.turn();
    assert!(!bench.holds(&lease()));
    assert_eq!(bench.holder(&lease()).as_deref(), Some("n2"));
    assert!(bench.news.contains(&What::Holder));
}

#[test]
fn a_node_that_cannot_serve_a_request_gives_its_right_back_once_nothing_is_left_of_it() {
    let mut bench = Bench::new();
    bench.rights.join(&lease(), request(), bench.now);
    bench.pass(SECOND);
    bench.owner = Owner { trouble: Some("no DHCP server answers"), has_address: true };
    bench.rights.look_at(&lease());
    bench.pass(SECOND);
    assert_eq!(bench.stored[&lease()].1.holder, "n1", "the address is here still");
    bench.owner.has_address = false;
    bench.rights.look_at(&lease());
    bench.pass(SECOND);
    assert_eq!(bench.stored[&lease()].1.holder, "");
    assert!(!bench.holds(&lease()));
}

#[test]
fn a_request_that_gets_its_address_stays_under_the_same_right() {
    let mut bench = Bench::new();
    bench.rights.join(&lease(), request(), bench.now);
    bench.pass(SECOND);
    bench.rights.join(&lease(), Subject::Address([192, 0, 2, 7].into()), bench.now);
    bench.rights.leave(&lease(), &request());
    bench.pass(SECOND);
    assert!(bench.holds(&lease()));
    assert_eq!(bench.rights.members(&lease()).len(), 1);
}

#[test]
fn what_another_machine_takes_in_this_nodes_name_is_held_no_more_and_named_with_what_to_do() {
    let mut bench = Bench::new();
    bench.rights.join(&lease(), request(), bench.now);
    bench.pass(SECOND);
    bench.news.clear();
    bench.other_takes(&lease(), "n1");
    bench.turn();
    assert!(!bench.holds(&lease()));
    assert!(bench.news.contains(&What::Holder));
    let called = bench.holder(&lease()).unwrap();
    assert_eq!(bench.rights.namesake(), Some((&lease(), called.as_str())));
    assert!(called.starts_with("n1 in another process"), "{called}");
    for _ in 0..5 {
        bench.pass(2 * SECOND);
        bench.other_takes(&lease(), "n1");
        bench.turn();
        assert!(!bench.holds(&lease()), "it is renewed by the other");
    }
    bench.pass(7 * SECOND);
    assert!(bench.holds(&lease()), "the other is gone");
    assert_eq!(bench.rights.namesake(), None);
}
