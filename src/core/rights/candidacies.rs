//! The leases of Services: which this node stands for, and the requests about them.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use crate::core::addresses::requester::{Authority, Obstacle};
use crate::core::control_plane::Stopping;
use crate::core::earlier_run::Leftovers;
use crate::core::input::{Effect, KubernetesRequest, LeaseView, Origin};
use crate::core::report::{Level, Report};
use crate::core::rights::candidacy::{Keenness, Leaving, SUCCESSION, Seat, Told};
use crate::core::rights::election::drive::Handover;
use crate::core::rights::election::{Fitness, Role, Tally};
use crate::core::rights::lease::LeaseName;
use crate::core::rights::seen::Page;
use crate::core::services::{Around, PATIENCE, Services};
use crate::core::settings::ServiceElection;
use crate::core::time::Moment;
use crate::core::work_queue::Item;

/// Leases that change hands at once when the process ends: each address is silent only while its
/// own does, the longer the more do so at once.
const LEAST_AT_ONCE: usize = 2;
/// At most so many do when there is little time, or no other node.
const MOST_AT_ONCE: usize = 8;
/// The same is not said again of another lease within this time, and something else not within that.
const WARNED_AGAIN: Duration = Duration::from_secs(600);
const WARNED_APART: Duration = Duration::from_secs(5);
/// What it takes to give one away.
const PARTING: Duration = Duration::from_millis(50);

impl Services {
    /// The Lease for all is followed from the start, unless it is the control plane's too: two
    /// elections of one process about one Lease would take each other for somebody else.
    #[must_use]
    pub fn with_seat_for_all(mut self) -> Self {
        if self.settings.election == ServiceElection::OneForAll {
            let lease = self.settings.lease.clone();
            self.seat(&lease);
        }
        self
    }

    /// The election about a lease; a new one begins with what the watch has told.
    pub(in crate::core) fn seat(&mut self, lease: &LeaseName) -> Rc<LeaseName> {
        if let Some((known, _)) = self.seats.get_key_value(lease) {
            return Rc::clone(known);
        }
        let name = Rc::new(lease.clone());
        let mut seat = Seat::new(lease, &self.settings, &self.node, self.seed);
        match self.book.take(lease) {
            Some(Page { version, record, seen }) => {
                let view = LeaseView::Present { version, record };
                seat.election.observe(Origin::Watch, view, seen);
            }
            None if self.book.is_complete() && self.is_covered(lease) => {
                seat.election.observe(Origin::Watch, LeaseView::Absent, self.latest);
            }
            None => {}
        }
        self.seats.insert(Rc::clone(&name), seat);
        self.agenda.seats.insert(Rc::clone(&name));
        name
    }

    pub(in crate::core) fn join_seat(&mut self, lease: &Rc<LeaseName>, ip: IpAddr) {
        self.seat(lease);
        self.with_seat(lease, |seat| {
            seat.addresses.insert(ip);
        });
    }

    pub(in crate::core) fn leave_seat(&mut self, lease: &LeaseName, ip: IpAddr) {
        self.with_seat(lease, |seat| {
            seat.addresses.remove(&ip);
        });
    }

    /// Does something with a seat, which is looked at again then.
    pub(crate) fn with_seat(&mut self, lease: &LeaseName, act: impl FnOnce(&mut Seat)) -> bool {
        let Some((name, _)) = self.seats.get_key_value(lease) else { return false };
        let name = Rc::clone(name);
        if let Some(seat) = self.seats.get_mut(&name) {
            act(seat);
        }
        self.agenda.seats.insert(name);
        true
    }

    /// The control plane's Lease may decide about addresses here.
    pub(in crate::core) fn look_at_control_plane(&mut self, around: &Around<'_>) {
        let Some(group) = around.control_plane else { return };
        let now = Told::of(&group.election);
        let shared = group.claims.keys().filter(|ip| self.addresses.contains_key(*ip));
        let shared: Vec<(IpAddr, bool)> =
            shared.map(|ip| (*ip, self.is_held(*ip, around))).collect();
        if shared != self.shared {
            self.agenda.plans.extend(shared.iter().chain(&self.shared).map(|(ip, _)| *ip));
            shared.iter().for_each(|(ip, _)| self.tell_tenants(*ip));
            self.shared = shared;
        }
        if now == self.control_plane {
            return;
        }
        self.control_plane = now;
        self.agenda.plans.extend(self.movers.iter().chain(&self.barred));
        self.shared.clone().iter().for_each(|(ip, _)| self.tell_tenants(*ip));
        self.agenda.plans.extend(&self.lodgers);
        if group.lease() == Some(&self.settings.lease) {
            self.look_at_addresses();
        }
    }

    /// Drives every lease on the agenda; requests are sent later.
    pub(in crate::core) fn drive_seats(&mut self, around: &Around<'_>, effects: &mut Vec<Effect>) {
        if let Stopping::By(limit) = around.stopping {
            self.leave_some(around.now, limit);
        }
        for lease in std::mem::take(&mut self.agenda.seats) {
            self.drive_seat(&lease, around, effects);
        }
    }

    fn drive_seat(
        &mut self,
        lease: &Rc<LeaseName>,
        around: &Around<'_>,
        effects: &mut Vec<Effect>,
    ) {
        if !self.seats.contains_key(lease) {
            return;
        }
        let fitness = self.fitness(lease);
        let keenness = self.keenness(lease, around);
        let handover = self.handover(lease, around);
        let held_back = self.is_held_back(lease, around);
        let Some(seat) = self.seats.get_mut(lease) else { return };
        seat.set_keenness(keenness);
        seat.election.stand(fitness, around.now);
        seat.election.tick(around.now);
        seat.held_before |= matches!(seat.election.role(), Role::Holding { .. });
        if seat.leaving == Leaving::Yes && seat.held_before && !seat.is_ours() {
            seat.parted.get_or_insert(around.now);
        }
        let reports = seat.election.take_reports();
        let reports = reports.into_iter().map(|report| self.warned.hush(report, around.now));
        effects.extend(reports.map(Effect::Report));
        let urgency = seat.election.urgency(around.now, handover).filter(|_| !held_back);
        let due = match urgency {
            Some(_) => seat.election.tick_deadline(),
            None => seat.election.deadline(handover).map(|(at, why)| {
                (if held_back { at.max(self.started + PATIENCE) } else { at }, why)
            }),
        };
        let end = seat.parted.map(|at| at + SUCCESSION).filter(|end| *end > around.now);
        let next = end.map(|at| (at, "nobody has taken over a lease that was given away"));
        let due = due.into_iter().chain(next).min_by_key(|(at, _)| *at);
        self.agenda.rearm(&Item::Seat(Rc::clone(lease)), &mut seat.due, due);
        if !seat.election.is_busy() {
            self.desk.done(lease);
        }
        self.desk.queue(lease, urgency, around.now);
        self.tell_addresses(lease);
        self.dismiss(lease);
    }

    /// While the watch over many leases has not told yet, those that it covers are not read one
    /// by one.
    fn is_held_back(&self, lease: &LeaseName, around: &Around<'_>) -> bool {
        let read = self.seats.get(lease).is_some_and(|seat| seat.election.was_read());
        let early = around.now < self.started + PATIENCE;
        !read
            && !self.book.is_complete()
            && early
            && self.is_covered(lease)
            && *lease != self.settings.lease
    }

    /// The addresses of a lease are looked at again when what they depend on has changed.
    fn tell_addresses(&mut self, lease: &Rc<LeaseName>) {
        let Some(seat) = self.seats.get_mut(lease) else { return };
        let now = Told::of(&seat.election);
        if now == seat.told {
            return;
        }
        let new_holder = now.holder != seat.told.holder || now.read != seat.told.read;
        let ends = now.until.is_none() && seat.told.until.is_some();
        if now.moved != seat.told.moved {
            self.agenda.plans.extend(&seat.addresses);
            self.agenda.plans.extend(&self.movers);
        }
        seat.told = now;
        self.agenda.pulses.extend(&seat.addresses);
        if new_holder || ends {
            let addresses: Vec<IpAddr> = seat.addresses.iter().copied().collect();
            addresses.iter().for_each(|ip| self.tell_tenants(*ip));
            self.agenda.plans.extend(&self.movers);
        }
        if new_holder && **lease == self.settings.lease {
            self.look_at_followers();
        }
    }

    /// A new holder of the Lease for all: it may have a better right to what has a Lease of its
    /// own for its endpoints' sake.
    fn look_at_followers(&mut self) {
        let own = self.addresses.iter().filter(|(_, address)| match &address.authority {
            Authority::Lease(lease) => **lease != self.settings.lease,
            _ => false,
        });
        self.agenda.plans.extend(own.map(|(ip, _)| *ip));
    }

    /// A lease that nothing needs any more and that is not in our name is not followed.
    fn dismiss(&mut self, lease: &Rc<LeaseName>) {
        let Some(seat) = self.seats.get(lease) else { return };
        let for_all =
            **lease == self.settings.lease && self.settings.election == ServiceElection::OneForAll;
        let ours = seat.election.holder() == Some(self.node.as_str());
        let idle = seat.addresses.is_empty() && !ours && !seat.election.is_busy();
        let known = seat.election.was_read() || !self.book.is_complete();
        if for_all || !idle || !known {
            return;
        }
        let Some(mut seat) = self.seats.remove(lease) else { return };
        self.agenda.rearm(&Item::Seat(Rc::clone(lease)), &mut seat.due, None);
        self.desk.queue(lease, None, self.latest);
        self.desk.done(lease);
        add(&mut self.past, seat.election.tally());
        if let Some((seen, at)) = seat.election.to_note() {
            self.book.note(seen, at);
        }
    }

    fn fitness(&self, lease: &Rc<LeaseName>) -> Fitness {
        let Some(seat) = self.seats.get(lease) else { return Fitness::Leaving };
        if seat.leaving == Leaving::Yes {
            return Fitness::Leaving;
        }
        let for_all = **lease == self.settings.lease;
        if seat.addresses.is_empty() {
            // Whoever holds the Lease for all is ready for the first Service.
            return if for_all { Fitness::Fit } else { Fitness::Leaving };
        }
        let obstacle_of = |ip: &IpAddr| {
            self.addresses.get(ip).and_then(|address| {
                let counts = |o: &&Obstacle| !for_all || o.is_of_node();
                address.obstacle.as_ref().filter(counts)
            })
        };
        if seat.addresses.iter().any(|ip| obstacle_of(ip).is_none()) {
            return Fitness::Fit;
        }
        let first = seat.addresses.iter().find_map(obstacle_of);
        first.map_or(Fitness::Leaving, |obstacle| Fitness::Unfit(self.words(obstacle)))
    }

    fn keenness(&self, lease: &Rc<LeaseName>, around: &Around<'_>) -> Keenness {
        let Some(seat) = self.seats.get(lease) else { return Keenness::InTurn };
        let held = |ip: &IpAddr| self.addresses.get(ip).is_some_and(|a| a.under.is_some());
        let has_it = self.any_of(&seat.addresses, held) == Handover::NotYet;
        let leads = || self.leader(around).as_deref() == Some(self.node.as_str());
        if has_it || leads() {
            Keenness::First
        } else if self.nodes.scheduling(&self.node)
            == crate::core::cluster::record::Scheduling::Cordoned
        {
            Keenness::Last
        } else {
            Keenness::InTurn
        }
    }

    /// Whether everything of a lease is off this node.
    fn handover(&self, lease: &Rc<LeaseName>, around: &Around<'_>) -> Handover {
        let Some(seat) = self.seats.get(lease) else { return Handover::Clear };
        let holding = matches!(seat.election.role(), Role::Holding { .. });
        if holding && self.is_to_be_marked(lease, around) {
            return Handover::NotYet;
        }
        if seat.addresses.is_empty() && around.leftovers == Leftovers::Possible {
            return Handover::NotYet;
        }
        let here = |ip: &IpAddr| {
            let elsewhere = self
                .addresses
                .get(ip)
                .is_some_and(|address| address.under.as_ref().is_some_and(|under| under != lease));
            !elsewhere && self.lingers(*ip, around)
        };
        self.any_of(&seat.addresses, here)
    }

    /// What an earlier run left is gone: Leases that waited for it may be given back.
    pub fn look_at_idle_leases(&mut self) {
        let idle = self.seats.iter().filter(|(_, seat)| seat.addresses.is_empty());
        self.agenda.seats.extend(idle.map(|(lease, _)| Rc::clone(lease)));
    }

    /// Whether something is so of any of these addresses that may be here: the smaller set is
    /// gone through.
    fn any_of(&self, addresses: &BTreeSet<IpAddr>, here: impl Fn(&IpAddr) -> bool) -> Handover {
        let found = if addresses.len() < self.here.len() {
            addresses.iter().any(|ip| self.here.contains(ip) && here(ip))
        } else {
            self.here.iter().any(|ip| addresses.contains(ip) && here(ip))
        };
        if found { Handover::NotYet } else { Handover::Clear }
    }

    /// Whether anything under the control plane's Lease is still here by our doing.
    #[must_use]
    pub fn handover_under_control_plane(&self, around: &Around<'_>) -> Handover {
        self.any_of(&self.lodgers, |ip| self.lingers(*ip, around))
    }

    /// The process is about to end: what no lease of ours decides about is let go at once.
    pub fn prepare_to_stop(&mut self) {
        self.agenda.plans.extend(&self.lodgers);
        let everywhere = self.addresses.iter().filter(|(_, a)| a.authority == Authority::EveryNode);
        self.agenda.plans.extend(everywhere.map(|(ip, _)| ip));
    }

    /// The process ends: leases are given away a few at a time, so that all are by then.
    fn leave_some(&mut self, now: Moment, limit: Moment) {
        let busy = self.seats.values().filter(|seat| seat.is_parting(now)).count();
        let left = self.seats.values().filter(|seat| seat.is_ours()).count();
        let alone = self.nodes.names().eq([self.node.as_str()]);
        let at_once = if alone { MOST_AT_ONCE } else { at_once(left, limit.since(now)) };
        let mut free = at_once.saturating_sub(busy);
        for (lease, seat) in &mut self.seats {
            if seat.leaving == Leaving::Yes {
                continue;
            }
            let holds = seat.is_ours() || seat.election.is_claiming();
            if holds && free == 0 {
                continue;
            }
            free -= usize::from(holds);
            seat.leaving = Leaving::Yes;
            self.agenda.seats.insert(Rc::clone(lease));
            self.agenda.plans.extend(&seat.addresses);
        }
    }

    /// Whether nothing of Services is left on this node, no lease in our name, no label.
    #[must_use]
    pub fn is_gone(&self, around: &Around<'_>) -> bool {
        let ours = |seat: &Seat| {
            seat.election.holder() == Some(self.node.as_str()) || seat.election.is_claiming()
        };
        let left = self.here.iter().any(|ip| self.lingers(*ip, around));
        let labelled = self.settings.labelling == crate::core::settings::Labelling::On
            && !self.label.is_settled(&Default::default());
        !left && !self.seats.values().any(ours) && !labelled
    }

    /// How many leases are in our name, and how many addresses are held by them: what a stop has
    /// to give back.
    #[must_use]
    pub fn burden(&self) -> (u32, u32) {
        let ours = |seat: &&Seat| seat.election.holder() == Some(self.node.as_str());
        let leases = self.seats.values().filter(ours).count();
        let addresses = self.addresses.values().filter(|address| address.claim.is_some()).count();
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        (count(leases), count(addresses))
    }

    /// Sends what the desk lets through. The Lease for all has a connection of its own.
    pub(in crate::core) fn send_requests(
        &mut self,
        around: &Around<'_>,
        effects: &mut Vec<Effect>,
    ) {
        while let Some(lease) = self.desk.next() {
            let handover = self.handover(&lease, around);
            let request = self.seats.get_mut(&lease).and_then(|seat| {
                let request = seat.election.drive(around.now, handover)?;
                let due = seat.election.deadline(handover);
                self.agenda.rearm(&Item::Seat(Rc::clone(&lease)), &mut seat.due, due);
                Some(request)
            });
            match request {
                Some(request) => {
                    effects.push(Effect::Kubernetes(KubernetesRequest::Lease(request)))
                }
                None => self.desk.done(&lease),
            }
            // A release ends the hold at the moment at which it is sent.
            self.tell_addresses(&lease);
        }
    }

    /// Numbers of all leases but the one for all.
    pub(in crate::core) fn tally(&self) -> Tally {
        let mut sum = self.past;
        let others = self.seats.iter().filter(|(lease, _)| ***lease != self.settings.lease);
        others.for_each(|(_, seat)| add(&mut sum, seat.election.tally()));
        sum
    }

    /// The Lease for all and its election, where it is not the control plane's.
    #[must_use]
    pub(crate) fn lease_for_all(&self) -> Option<&Seat> {
        let one = self.settings.election == ServiceElection::OneForAll;
        self.seats.get(&self.settings.lease).filter(|_| one)
    }
}

/// How many of `left` leases are given away at once when there is so much time for all of them; a
/// quarter of it is not reckoned with.
fn at_once(left: usize, time: Duration) -> usize {
    let whole = PARTING.saturating_mul(u32::try_from(left).unwrap_or(u32::MAX)).as_nanos();
    let needed = whole.div_ceil((time * 3 / 4).as_nanos().max(1));
    usize::try_from(needed).unwrap_or(usize::MAX).clamp(LEAST_AT_ONCE, MOST_AT_ONCE)
}

fn add(sum: &mut Tally, tally: Tally) {
    sum.renewals += tally.renewals;
    sum.failures += tally.failures;
    sum.transitions += tally.transitions;
    sum.rejects += tally.rejects;
}

/// What was warned of last about any Service's lease.
#[derive(Clone, Debug, Default)]
pub(in crate::core) struct Warned {
    what: String,
    at: Option<Moment>,
}

impl Warned {
    /// What is news about one lease is detail among a thousand; what goes wrong with all of them is
    /// said once, with one of them as the example.
    fn hush(&mut self, report: Report, now: Moment) -> Report {
        let quiet = match report.level {
            Level::Error | Level::Debug => false,
            Level::Info => true,
            Level::Warn => self.is_known(&report.text, now),
        };
        if quiet { Report { level: Level::Debug, ..report } } else { report }
    }

    fn is_known(&mut self, text: &str, now: Moment) -> bool {
        let what = text.strip_prefix("lease ").and_then(|rest| rest.split_once(": "));
        let what = what.map_or(text, |(_, what)| what);
        let since = self.at.map(|at| now.since(at));
        let known = match since {
            None => false,
            Some(since) if self.what == what => since < WARNED_AGAIN,
            Some(since) => since < WARNED_APART,
        };
        if !known {
            (self.what, self.at) = (what.to_owned(), Some(now));
        }
        known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_wrong_with_a_thousand_leases_is_warned_of_once_and_again_when_it_changes() {
        let mut warned = Warned::default();
        let mut loud = |what: &str, seconds: u64| {
            let now = Moment::from_boot(Duration::from_secs(seconds));
            let one = |n| Report { level: Level::Warn, text: format!("lease a/{n}: {what}") };
            let all = (0..1000).map(|n| warned.hush(one(n), now));
            all.filter(|report| report.level == Level::Warn).count()
        };
        assert_eq!(loud("403", 10), 1);
        assert_eq!(loud("403", 500), 0);
        assert_eq!(loud("503", 510), 1);
        assert_eq!(loud("503", 1200), 1);
    }

    #[test]
    fn leases_are_given_away_few_at_once_unless_there_are_many_for_the_time() {
        let seconds = Duration::from_secs;
        for (left, time, expected) in [
            (1, seconds(1), 2),
            (100, seconds(4), 2),
            (300, seconds(8), 3),
            (1_000, seconds(8), 8),
            (3, Duration::ZERO, 8),
        ] {
            assert_eq!(at_once(left, time), expected, "{left} in {time:?}");
        }
    }
}
