//! What happened, taken in: each input goes to the room that it is about.

use std::net::IpAddr;
use std::time::Duration;

use viplet_backend_api::{Command, Notice, Refusal, Rival};

use super::observed::Sight;
use super::report::{Level, Report};
use super::rights::election::Election;
use super::turn::Rooms;
use super::{Core, Effect, Input, LeaseName, Moment, Phase};

/// A stop that the API server or the kernel holds up is over by then (SIG-2; an orchestrator's
/// patience is longer, a person's is not).
const STOP_LIMIT: Duration = Duration::from_millis(800);
/// And for each lease that has to be given back, one after the other.
const STOP_PER_LEASE: Duration = Duration::from_millis(30);
/// And for each address that has to be withdrawn.
const STOP_PER_ADDRESS: Duration = Duration::from_millis(2);
/// The whole stop (SIG-5: a pod is gone within 10 s).
const LONGEST_STOP: Duration = Duration::from_secs(8);

impl Core {
    pub(super) fn take(&mut self, input: Input, now: Moment, effects: &mut Vec<Effect>) {
        match input {
            Input::Deadline => {}
            Input::Observed(notice) => self.observe(notice, now, effects),
            Input::Refused(refusals) => {
                for (command, refusal) in refusals {
                    self.counters.refusals += 1;
                    let report = self.refused(&command, &refusal, now);
                    effects.extend(report.map(Effect::Report));
                }
            }
            Input::Late { commands, by } => self.late(&commands, by, now, effects),
            Input::Lease { lease, origin, view } => {
                self.with_lease(&lease, |election| election.observe(origin, view, now));
            }
            Input::LeaseUnreadable { lease, reason } => {
                self.with_lease(&lease, |election| election.unreadable(reason, now));
            }
            Input::LeaseWritten { lease, attempt, outcome } => {
                self.with_lease(&lease, |election| election.written(attempt, outcome, now));
            }
            Input::Resolved { name, outcome } => self.resolved(&name, outcome, now, effects),
            Input::Labelled(outcome) => {
                if let Some(group) = &mut self.control_plane {
                    group.label.answered(outcome, now);
                }
            }
            Input::ControlPlaneChecked(outcome) => {
                if let Some(group) = &mut self.control_plane {
                    group.health.checked(outcome);
                }
            }
            Input::Stop => self.begin_to_stop(now),
            Input::Services(_)
            | Input::Endpoints(_)
            | Input::Nodes(_)
            | Input::Leases(_)
            | Input::ServiceWritten { .. }
            | Input::ServicesHeard(_)
            | Input::ServicesLabelled(_) => match &mut self.rooms {
                Some(rooms) => rooms.take(input, now),
                None => self.reject("services are not served"),
            },
        }
    }

    pub(super) fn count_unreadable(&mut self, input: &Input) {
        let (what, number) = match input {
            Input::Services(change) => ("a Service that cannot be read", change.unreadable()),
            Input::Endpoints(change) => ("endpoints that cannot be read", change.unreadable()),
            Input::Nodes(change) => ("a Node that cannot be read", change.unreadable()),
            Input::Leases(change) => ("a Lease that cannot be read", change.unreadable()),
            _ => return,
        };
        (0..number).for_each(|_| self.reject(what));
    }

    fn begin_to_stop(&mut self, now: Moment) {
        if self.phase != Phase::Running {
            return;
        }
        self.rooms.iter_mut().for_each(|rooms| rooms.addresses.prepare_to_stop());
        let (leases, addresses) = self.rooms.as_ref().map_or((0, 0), Rooms::burden);
        let more =
            STOP_PER_LEASE.saturating_mul(leases) + STOP_PER_ADDRESS.saturating_mul(addresses);
        let limit = (STOP_LIMIT + more).min(LONGEST_STOP);
        self.phase = Phase::Stopping { limit: now + limit };
    }

    fn reject(&mut self, why: &str) {
        *self.counters.rejects.entry(why.to_owned()).or_default() += 1;
    }

    fn refused(&mut self, command: &Command, refusal: &Refusal, now: Moment) -> Option<Report> {
        let address = command.address();
        match (&mut self.control_plane, &mut self.rooms) {
            (Some(group), _) if group.claims.contains_key(&address) => {
                group.refused(command, refusal, now)
            }
            (_, Some(rooms)) if rooms.addresses.claims(address) => {
                rooms.refused(command, refusal, now)
            }
            _ => {
                let text = format!("{address} on {}: {refusal}", command.link());
                Some(Report { level: Level::Error, text })
            }
        }
    }

    fn observe(&mut self, notice: Notice, now: Moment, effects: &mut Vec<Effect>) {
        if let Notice::Blind(refusal) = &notice {
            let text = format!("the kernel cannot be observed: {refusal}; it is tried again");
            effects.push(Effect::Report(Report { level: Level::Error, text }));
        }
        if let Notice::Reach(reach) = &notice {
            self.peer_changes.note(reach, &self.observed, now);
        }
        if let (Notice::Snapshot(all), Sight::Never) = (&notice, self.observed.sight()) {
            self.earlier_run.found(all, now);
        }
        self.strangers.note(&notice);
        if let Some(rooms) = &mut self.rooms {
            rooms.note(&notice);
        }
        if let Some(rival) = self.observed.take(notice, now) {
            self.contest(&rival, now, effects);
        }
        let blind = matches!(self.observed.sight(), Sight::Blind(_));
        if blind && let Some(rooms) = &mut self.rooms {
            rooms.addresses.look_at_all();
        }
    }

    fn contest(&mut self, rival: &Rival, now: Moment, effects: &mut Vec<Effect>) {
        let group = self.control_plane.as_mut();
        let held = group.is_some_and(|group| group.contested(rival.address, now));
        let rooms = self.rooms.as_mut().filter(|_| !held);
        if !held && !rooms.is_some_and(|rooms| rooms.contested(rival.address, now)) {
            return;
        }
        self.counters.rivals += 1;
        let last = self.rivals.insert(rival.address, now);
        if last.is_none_or(|last| now.since(last) > Duration::from_secs(10)) {
            let text = format!(
                "{} on {}: {} announces it too; this node holds its lease, makes sure of it and \
                 announces again. If that goes on, another program or cluster uses the address",
                rival.address, rival.link, rival.hardware
            );
            effects.push(Effect::Report(Report { level: Level::Warn, text }));
        }
    }

    fn with_lease(&mut self, lease: &LeaseName, act: impl FnOnce(&mut Election)) {
        if let Some(group) = &mut self.control_plane
            && group.lease() == Some(lease)
        {
            return act(&mut group.election);
        }
        let rooms = self.rooms.as_mut();
        if !rooms.is_some_and(|rooms| rooms.rights.with_election(lease, act)) {
            self.reject("unknown lease");
        }
    }

    fn resolved(
        &mut self,
        name: &str,
        outcome: Result<Vec<IpAddr>, String>,
        now: Moment,
        effects: &mut Vec<Effect>,
    ) {
        let rooms = self.rooms.as_mut();
        let asked = rooms.is_some_and(|rooms| rooms.services.resolved(name, &outcome, now));
        let names = self.control_plane.iter_mut().flat_map(|group| &mut group.names);
        let Some(known) = names.into_iter().find(|known| known.name() == name) else {
            if !asked {
                self.reject("unknown name");
            }
            return;
        };
        let (before, trouble) = (known.addresses().to_vec(), known.trouble().map(str::to_owned));
        known.resolved(outcome, now);
        if known.addresses() != before {
            let text = format!("{name} stands for {:?} (before: {before:?})", known.addresses());
            effects.push(Effect::Report(Report { level: Level::Info, text }));
            if let Some(rooms) = &mut self.rooms {
                rooms.addresses.look_at_all();
            }
        }
        if let Some(why) = known.trouble().filter(|why| trouble.as_deref() != Some(*why)) {
            let text = format!("{name}: {why}; what is known of it is kept");
            effects.push(Effect::Report(Report { level: Level::Warn, text }));
        }
    }
}
