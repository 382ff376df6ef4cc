//! The Leases that this node stands for: their elections, and the requests about them.

use std::rc::Rc;

use super::candidacy::{Candidacy, Keenness};
use super::election::drive::Handover;
use super::election::{Election, Fitness, Role, Tally};
use super::lease::LeaseName;
use super::machine::Machine;
use super::members::Members;
use super::seen::Seen;
use super::warned::Warned;
use super::{News, Rights, Scope, Subject, Subjects, What};
use crate::core::cluster::record::Scheduling;
use crate::core::context::{Around, PATIENCE, Site};
use crate::core::earlier_run::Leftovers;
use crate::core::input::{Effect, KubernetesRequest, LeaseView, Origin};
use crate::core::settings::ServiceElection;
use crate::core::time::Moment;
use crate::core::work_queue::{Due, Timers, next_due};

impl Rights {
    /// Nothing has been seen yet.
    #[must_use]
    pub(crate) fn new(site: Rc<Site>) -> Self {
        Self {
            site,
            candidacies: Default::default(),
            seen: Default::default(),
            queue: Default::default(),
            pending: Default::default(),
            timers: Timers::default(),
            machine: Rc::default(),
            warned: Warned::default(),
            unreadable: Default::default(),
            past: Tally::default(),
        }
    }

    /// The Lease for all is followed from the start, unless it is the control plane's too: two
    /// elections of one process about one Lease would take each other for somebody else.
    pub(crate) fn follow_lease_for_all(&mut self) {
        if self.site.settings.election == ServiceElection::OneForAll {
            let (lease, now) = (self.site.settings.lease.clone(), self.site.started);
            self.follow(&lease, now);
        }
    }

    /// Follows a Lease; a new election begins with what the watch has told.
    pub(super) fn follow(&mut self, lease: &LeaseName, now: Moment) -> Rc<LeaseName> {
        if let Some((known, _)) = self.candidacies.get_key_value(lease) {
            return Rc::clone(known);
        }
        let name = Rc::new(lease.clone());
        let mut candidacy = Candidacy::new(lease, &self.site);
        candidacy.election.know_machine(&self.machine);
        match self.seen.take(lease) {
            Some(Seen { version, record, seen }) => {
                let view = LeaseView::Present { version, record };
                candidacy.election.observe(Origin::Watch, view, seen);
            }
            None if self.seen.is_complete() && self.is_covered(lease) => {
                candidacy.election.observe(Origin::Watch, LeaseView::Absent, now);
            }
            None => {}
        }
        self.candidacies.insert(Rc::clone(&name), candidacy);
        self.pending.insert(Rc::clone(&name));
        name
    }

    /// Says which machine this is, by which elections know their own records.
    pub(crate) fn know_machine(&mut self, machine: &Rc<Machine>) {
        if Rc::ptr_eq(&self.machine, machine) {
            return;
        }
        self.machine = Rc::clone(machine);
        for (lease, candidacy) in &mut self.candidacies {
            if candidacy.election.know_machine(machine) {
                self.pending.insert(Rc::clone(lease));
            }
        }
    }

    /// A Lease that another machine holds in this node's name, and what that one is called.
    #[must_use]
    pub(crate) fn namesake(&self) -> Option<(&LeaseName, &str)> {
        let mut all = self.candidacies.iter();
        all.find_map(|(lease, one)| Some((&**lease, one.election.namesake()?)))
    }

    /// A subject is to be under this Lease.
    pub(crate) fn join(&mut self, lease: &LeaseName, subject: Subject, now: Moment) {
        let name = self.follow(lease, now);
        if let Some(candidacy) = self.candidacies.get_mut(&name) {
            candidacy.members.insert(subject);
        }
        self.pending.insert(name);
    }

    /// A subject is not under this Lease any more.
    pub(crate) fn leave(&mut self, lease: &LeaseName, subject: &Subject) {
        if let Some(candidacy) = self.candidacies.get_mut(lease) {
            candidacy.members.remove(subject);
        }
        self.look_at(lease);
    }

    /// What a Lease depends on may have changed.
    pub(crate) fn look_at(&mut self, lease: &LeaseName) {
        if let Some((name, _)) = self.candidacies.get_key_value(lease) {
            self.pending.insert(Rc::clone(name));
        }
    }

    /// What an earlier run left is gone: Leases that waited for it may be given back.
    pub(crate) fn look_at_idle(&mut self) {
        let idle = self.candidacies.iter().filter(|(_, one)| one.members.is_empty());
        self.pending.extend(idle.map(|(lease, _)| Rc::clone(lease)));
    }

    /// Every Lease is looked at.
    pub(crate) fn look_at_all(&mut self) {
        self.pending.extend(self.candidacies.keys().cloned());
    }

    /// Somebody else claims what we hold by this Lease: it is renewed at once.
    pub(crate) fn make_sure(&mut self, lease: &LeaseName, now: Moment) {
        self.with_election(lease, |election| election.make_sure(now));
    }

    /// Does something with an election, which is looked at again then; whether it is known.
    pub(crate) fn with_election(
        &mut self,
        lease: &LeaseName,
        act: impl FnOnce(&mut Election),
    ) -> bool {
        let Some((name, _)) = self.candidacies.get_key_value(lease) else { return false };
        let name = Rc::clone(name);
        if let Some(candidacy) = self.candidacies.get_mut(&name) {
            act(&mut candidacy.election);
        }
        self.pending.insert(name);
        true
    }

    /// The name as it is kept, so that each text is kept once.
    #[must_use]
    pub(crate) fn name(&self, lease: &LeaseName) -> Rc<LeaseName> {
        match self.candidacies.get_key_value(lease) {
            Some((known, _)) => Rc::clone(known),
            None => Rc::new(lease.clone()),
        }
    }

    /// What a Lease decides about.
    #[must_use]
    pub(crate) fn members(&self, lease: &LeaseName) -> &Members {
        self.candidacies.get(lease).map_or(&Members::None, |candidacy| &candidacy.members)
    }

    /// Elections whose time has come are driven with the others.
    pub(crate) fn wake(&mut self, now: Moment) {
        while let Some(lease) = self.timers.pop(now) {
            if let Some(candidacy) = self.candidacies.get_mut(&lease) {
                candidacy.due = None;
            }
            self.pending.insert(lease);
        }
    }

    /// When something is due next.
    #[must_use]
    pub(crate) fn deadline(&self) -> Due {
        next_due(&self.timers, |lease| self.candidacies.get(lease)?.due)
    }

    /// Whether there are more elections to be driven than one turn was long enough for.
    #[must_use]
    pub(crate) fn is_busy(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Drives elections that have to be, as many as a turn has time for; requests are sent later.
    pub(crate) fn drive(
        &mut self,
        subjects: &impl Subjects,
        around: &Around<'_>,
        effects: &mut Vec<Effect>,
    ) -> Vec<News> {
        let mut news = Vec::new();
        for _ in 0..self.site.settings.per_turn {
            let Some(lease) = self.pending.pop_first() else { break };
            self.drive_one(&lease, subjects, around, effects);
            self.tell(&lease, &mut news);
            self.dismiss(&lease, around.now);
        }
        news
    }

    fn drive_one(
        &mut self,
        lease: &Rc<LeaseName>,
        subjects: &impl Subjects,
        around: &Around<'_>,
        effects: &mut Vec<Effect>,
    ) {
        let Some(candidacy) = self.candidacies.get(lease) else { return };
        let fitness = self.fitness(lease, candidacy, subjects);
        let keenness = self.keenness(candidacy, subjects, around);
        let handover = handover(lease, candidacy, subjects, around);
        let held_back = self.is_held_back(lease, candidacy, around.now);
        let Some(candidacy) = self.candidacies.get_mut(lease) else { return };
        candidacy.set_keenness(keenness);
        candidacy.election.stand(fitness, around.now);
        candidacy.election.tick(around.now);
        candidacy.note(around.now);
        let election = &mut candidacy.election;
        let reports = election.take_reports().into_iter();
        effects.extend(reports.map(|one| Effect::Report(self.warned.hush(one, around.now))));
        let urgency = election.urgency(around.now, handover).filter(|_| !held_back);
        let due = match urgency {
            Some(_) => election.tick_deadline(),
            None => election.deadline(handover).map(|(at, why)| {
                (if held_back { at.max(self.site.started + PATIENCE) } else { at }, why)
            }),
        };
        let end = candidacy.succession_ends().filter(|end| *end > around.now);
        let next = end.map(|at| (at, "nobody has taken over a lease that was given away"));
        let due = due.into_iter().chain(next).min_by_key(|(at, _)| *at);
        self.timers.rearm(lease, &mut candidacy.due, due);
        if !candidacy.election.is_busy() {
            self.queue.done(lease);
        }
        self.queue.queue(lease, urgency, around.now);
    }

    /// While the watch over many leases has not told yet, those that it covers are not read one
    /// by one.
    fn is_held_back(&self, lease: &LeaseName, candidacy: &Candidacy, now: Moment) -> bool {
        !candidacy.election.was_read()
            && !self.seen.is_complete()
            && self.site.is_early(now)
            && self.is_covered(lease)
            && *lease != self.site.settings.lease
    }

    /// Hands out what has changed about a Lease.
    fn tell(&mut self, lease: &Rc<LeaseName>, news: &mut Vec<News>) {
        let Some(candidacy) = self.candidacies.get_mut(lease) else { return };
        let Some((before, now)) = candidacy.tell() else { return };
        let new_holder = now.holder != before.holder || now.read != before.read;
        let ends = now.until.is_none() && before.until.is_some();
        let marks = (now.moved != before.moved).then_some(What::Marks);
        let holder = (new_holder || ends).then_some(What::Holder);
        let all = marks.into_iter().chain([What::Hold]).chain(holder);
        news.extend(all.map(|what| News { lease: Rc::clone(lease), what }));
    }

    /// A lease that nothing needs any more and that is not in our name is not followed.
    fn dismiss(&mut self, lease: &Rc<LeaseName>, now: Moment) {
        let Some(candidacy) = self.candidacies.get(lease) else { return };
        let settings = &self.site.settings;
        let for_all = **lease == settings.lease && settings.election == ServiceElection::OneForAll;
        let busy = candidacy.election.is_busy();
        let idle = candidacy.members.is_empty() && !candidacy.is_ours() && !busy;
        let known = candidacy.election.was_read() || !self.seen.is_complete();
        if for_all || !idle || !known {
            return;
        }
        let Some(mut candidacy) = self.candidacies.remove(lease) else { return };
        self.timers.rearm(lease, &mut candidacy.due, None);
        self.queue.queue(lease, None, now);
        self.queue.done(lease);
        add(&mut self.past, candidacy.election.tally());
        if let Some((seen, at)) = candidacy.election.to_note() {
            self.seen.note(seen, at);
        }
    }

    fn fitness(
        &self,
        lease: &LeaseName,
        candidacy: &Candidacy,
        subjects: &impl Subjects,
    ) -> Fitness {
        if candidacy.is_leaving() {
            return Fitness::Leaving;
        }
        let for_all = *lease == self.site.settings.lease;
        if candidacy.members.is_empty() {
            // Whoever holds the Lease for all is ready for the first Service.
            return if for_all { Fitness::Fit } else { Fitness::Leaving };
        }
        let counts = |scope: &Scope| !for_all || *scope == Scope::Node;
        let kept_from = |member: &&Subject| subjects.ineligible(member).filter(counts).is_some();
        if candidacy.members.iter().any(|member| !kept_from(&member)) {
            return Fitness::Fit;
        }
        let first = candidacy.members.iter().find(kept_from);
        first.map_or(Fitness::Leaving, |member| Fitness::Unfit(subjects.reason(member)))
    }

    fn keenness(
        &self,
        candidacy: &Candidacy,
        subjects: &impl Subjects,
        around: &Around<'_>,
    ) -> Keenness {
        let node = self.site.node.as_str();
        if subjects.holds_any(&candidacy.members) || self.leader(around) == Some(node) {
            Keenness::First
        } else if around.cluster.scheduling(node) == Scheduling::Cordoned {
            Keenness::Last
        } else {
            Keenness::InTurn
        }
    }

    /// Sends what the queue lets through. The Lease for all has a connection of its own.
    pub(crate) fn send_requests(
        &mut self,
        subjects: &impl Subjects,
        around: &Around<'_>,
        effects: &mut Vec<Effect>,
    ) -> Vec<News> {
        let mut news = Vec::new();
        while let Some(lease) = self.queue.next() {
            let request = self.candidacies.get_mut(&lease).and_then(|candidacy| {
                let handover = handover(&lease, candidacy, subjects, around);
                let request = candidacy.election.drive(around.now, handover)?;
                let due = candidacy.election.deadline(handover);
                self.timers.rearm(&lease, &mut candidacy.due, due);
                Some(request)
            });
            match request {
                Some(request) => {
                    effects.push(Effect::Kubernetes(KubernetesRequest::Lease(request)));
                }
                None => self.queue.done(&lease),
            }
            // A release ends the hold at the moment at which it is sent.
            self.tell(&lease, &mut news);
        }
        news
    }

    /// Whether addresses wait for requests about leases: what else there is to write can wait.
    #[must_use]
    pub(crate) fn is_crowded(&self) -> bool {
        self.queue.is_crowded()
    }

    /// Whether it is known of every Lease if this node holds it.
    #[must_use]
    pub(crate) fn are_decided(&self) -> bool {
        self.candidacies.values().all(|candidacy| candidacy.election.is_decided())
    }

    /// Numbers of all leases but the one for all.
    #[must_use]
    pub(crate) fn tally(&self) -> Tally {
        let mut sum = self.past;
        let for_all = &self.site.settings.lease;
        let others = self.candidacies.iter().filter(|(lease, _)| ***lease != *for_all);
        others.for_each(|(_, candidacy)| add(&mut sum, candidacy.election.tally()));
        sum
    }

    /// The election about the Lease for all, where it is not the control plane's.
    #[must_use]
    pub(crate) fn election_for_all(&self) -> Option<&Election> {
        let one = self.site.settings.election == ServiceElection::OneForAll;
        let candidacy = self.candidacies.get(&self.site.settings.lease).filter(|_| one);
        candidacy.map(|candidacy| &candidacy.election)
    }
}

/// Whether everything of a lease is off this node.
fn handover(
    lease: &LeaseName,
    candidacy: &Candidacy,
    subjects: &impl Subjects,
    around: &Around<'_>,
) -> Handover {
    let holding = matches!(candidacy.election.role(), Role::Holding { .. });
    let awaits_mark = holding && subjects.awaits_mark(lease);
    let left = candidacy.members.is_empty() && around.leftovers == Leftovers::Possible;
    match awaits_mark || left || subjects.lingers_any(&candidacy.members, lease) {
        true => Handover::NotYet,
        false => Handover::Clear,
    }
}

fn add(sum: &mut Tally, tally: Tally) {
    sum.renewals += tally.renewals;
    sum.failures += tally.failures;
    sum.transitions += tally.transitions;
    sum.rejects += tally.rejects;
}
