//! One address on this node: what is wanted of it, and the commands that bring it there.

use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use viplet_backend_api::{Command, LinkName, Owner};

use super::address::Placement;
use super::announce::Rhythm;
use super::claim::{Claim, Want, withdrawal};
use super::eligibility::{Ineligibility, LEADER_STEADY, LINGER};
use super::{Addresses, Authority, View};
use crate::core::context::{Around, PATIENCE};
use crate::core::control_plane::Stopping;
use crate::core::input::Effect;
use crate::core::jitter::Jitter;
use crate::core::observed::{self, SeenAddress};
use crate::core::report::{Level, Report};
use crate::core::rights::Rights;
use crate::core::rights::election::term;
use crate::core::rights::lease::LeaseName;
use crate::core::settings::OnLinkDown;
use crate::core::time::Moment;
use crate::core::work_queue::Due;

impl Addresses {
    /// Reconciles the next few addresses: commands first, which go to the kernel together, then
    /// what is said of them.
    pub(crate) fn pulse_some(
        &mut self,
        rights: &mut Rights,
        around: &Around<'_>,
        effects: &mut Vec<Effect>,
    ) {
        let mut reports = Vec::new();
        for _ in 0..self.site.settings.per_turn {
            let Some(ip) = self.pulses.pop_first() else { break };
            if self.is_unplanned(ip) {
                continue; // It comes back when it has been planned.
            }
            let commands = match self.tend(ip, rights, around) {
                Some(commands) => commands,
                None => self.pulse(ip, rights, around, &mut reports),
            };
            effects.extend(commands.into_iter().map(Effect::Addresses));
        }
        effects.extend(reports.into_iter().map(Effect::Report));
    }

    /// Whether it is not known yet what decides about an address that Services ask for.
    fn is_unplanned(&self, ip: IpAddr) -> bool {
        let address = self.all.get(&ip);
        let unknown = address.is_some_and(|address| address.authority == Authority::Nobody);
        unknown && self.plans.contains(&ip)
    }

    /// What is to be done for an address that is held in peace; `None`: it has to be looked at as
    /// a whole.
    fn tend(&mut self, ip: IpAddr, rights: &Rights, around: &Around<'_>) -> Option<Vec<Command>> {
        let rhythm = self.rhythm(ip);
        let calm = around.stopping == Stopping::No && !self.site.is_early(around.now);
        if !calm || around.has_control_plane(ip) || self.handovers.is_unsettled(ip) {
            return None;
        }
        let address = self.all.get_mut(&ip)?;
        if address.placement != Placement::Settled || address.is_unsettled() {
            return None;
        }
        let timing = &self.site.settings.timing;
        let until = match &address.authority {
            Authority::Lease(lease) if address.under.as_ref() == Some(lease) => {
                rights.held_in_peace(lease)?
            }
            Authority::EveryNode => term::rolling(around.now, timing),
            _ => return None,
        };
        let claim = address.claim.as_mut().filter(|claim| claim.link_is_up(around.observed))?;
        let (commands, next) = claim.tend(until, around.observed, around.now, rhythm)?;
        let next = next.map(|(at, why)| (address.together(at, why), why));
        let roll = address.roll(timing, around.now);
        let next = next.into_iter().chain(roll).min_by_key(|(at, _)| *at);
        self.timers.rearm(&ip, &mut address.due, next);
        Some(commands)
    }

    fn pulse(
        &mut self,
        ip: IpAddr,
        rights: &mut Rights,
        around: &Around<'_>,
        reports: &mut Vec<Report>,
    ) -> Vec<Command> {
        if !self.all.contains_key(&ip) {
            return Vec::new();
        }
        let want = self.want(ip, rights, around);
        self.ready_claim(ip, want, rights, around);
        let rhythm = self.rhythm(ip);
        let mut commands = Vec::new();
        if let Some(claim) = self.all.get_mut(&ip).and_then(|a| a.claim.as_mut()) {
            let before = (claim.lingers(around.observed), claim.is_announcing());
            commands = claim.reconcile(want, around.observed, around.now, rhythm);
            let came = claim.came_to_be_held(around.observed);
            let after = (claim.lingers(around.observed), claim.is_announcing());
            let vip = claim.vip().clone();
            if came || before != after {
                self.tell_requesters(ip);
            }
            let goes = commands.iter().any(|command| matches!(command, Command::Withdraw { .. }));
            if came || goes {
                let why = View { addresses: self, rights, around }.why_here(ip);
                let held = came.then(|| observed::held(around.observed.reach(ip)));
                let held = held.map(|what| format!("{vip}: {what}: {why}"));
                reports.extend(held.map(|text| Report { level: Level::Info, text }));
                reports.extend(commands.iter().filter_map(|c| withdrawal::report(c, &vip, &why)));
            }
        }
        match self.lingers(ip, around) {
            true => self.here.insert(ip),
            false => self.here.remove(&ip),
        };
        self.let_go(ip, want, rights, around);
        self.rearm(ip, want, around);
        commands
    }

    /// What should become of an address here.
    fn want(&mut self, ip: IpAddr, rights: &mut Rights, around: &Around<'_>) -> Want {
        let Some(address) = self.all.get(&ip) else { return Want::Nothing };
        let (authority, under) = (address.authority.clone(), address.under.clone());
        let free = address.ineligible.is_none();
        let unread = address.ineligible == Some(Ineligibility::Unread);
        let leaving = rights.is_leaving(&authority, around.stopping);
        let nobody = matches!(authority, Authority::ControlPlane | Authority::Nobody);
        if nobody || (leaving && under.is_none()) {
            return Want::Nothing;
        }
        let right = rights.right(&authority, around);
        let taken = right.elsewhere().is_some();
        if let (Some(until), true) = (right.until(), free && !leaving) {
            self.now_under(ip, &authority, rights, around);
            return Want::Hold { until: self.held_until(ip, until) };
        }
        // Under another Lease than it should be: held until that one is had, or another has it.
        if let Some(old) = under.filter(|old| authority.lease() != Some(old)) {
            let old = rights.right(&Authority::Lease(old), around);
            if let (Some(until), true) = (old.until(), free && !taken) {
                return Want::Hold { until: self.held_until(ip, until) };
            }
        }
        let may_adopt = self.site.is_young(around.now) && (free || unread) && !leaving;
        if may_adopt && rights.may_be_ours_still(&authority, around) {
            return Want::LeaveBe;
        }
        Want::Nothing
    }

    /// Until when an address may be held whose right lasts until then.
    fn held_until(&self, ip: IpAddr, until: Moment) -> Moment {
        let under = self.all.get(&ip).and_then(|address| address.under.as_ref());
        self.handovers.held_until(ip, under, until)
    }

    fn now_under(
        &mut self,
        ip: IpAddr,
        authority: &Authority,
        rights: &mut Rights,
        around: &Around<'_>,
    ) {
        let Some(lease) = rights.lease_of(authority, around) else { return };
        let Some(address) = self.all.get_mut(&ip) else { return };
        let before = address.under.replace(Rc::clone(&lease));
        if let Some(before) = before.filter(|before| *before != lease) {
            rights.leave(&before, &ip.into());
        }
    }

    /// A claim with the address as it is to be, where there is anything to do about it.
    fn ready_claim(&mut self, ip: IpAddr, want: Want, rights: &Rights, around: &Around<'_>) {
        if around.has_control_plane(ip) {
            if let Some(address) = self.all.get_mut(&ip) {
                address.claim = None; // The control plane's own claim sees to it.
            }
            return;
        }
        let Some(address) = self.all.get(&ip) else { return };
        let holds = matches!(want, Want::Hold { .. });
        let ours = |seen: &SeenAddress| seen.owner != Owner::Node;
        let needed = match &address.claim {
            Some(_) => holds && address.placement == Placement::Unsettled,
            None => want != Want::Nothing || around.observed.everywhere(ip).any(ours),
        };
        let view = View { addresses: self, rights, around };
        let Some(vip) = needed.then(|| view.vip(ip)).and_then(Result::ok) else { return };
        let Some(address) = self.all.get_mut(&ip) else { return };
        address.placement = Placement::Settled;
        let as_it_is = |claim: &Claim| {
            (&claim.vip().link, claim.vip().prefix_len) == (&vip.link, vip.prefix_len)
        };
        if !address.claim.as_deref().is_some_and(as_it_is) {
            address.claim = Some(Box::new(Claim::new(vip)));
        }
    }

    /// What is over and done with is forgotten.
    fn let_go(&mut self, ip: IpAddr, want: Want, rights: &mut Rights, around: &Around<'_>) {
        let Some(address) = self.all.get_mut(&ip) else { return };
        let before = address.claim.is_some();
        let lingers = address.claim.as_ref().is_some_and(|claim| claim.lingers(around.observed));
        if want != Want::Nothing || lingers {
            return;
        }
        let punished = address
            .claim
            .as_ref()
            .is_some_and(|claim| claim.setback().is_some() || claim.kept_out(around.now).is_some());
        if !punished {
            address.claim = None;
        }
        let under = address.under.take();
        let gone = before && address.claim.is_none() && address.authority == Authority::EveryNode;
        if under.is_some() || gone {
            address.endless_since = None;
            self.plans.insert(ip);
            self.tell_requesters(ip);
        }
        self.part_from_leases(ip, under, rights);
        self.forget_if_idle(ip);
    }

    fn forget_if_idle(&mut self, ip: IpAddr) {
        let address = self.all.get(&ip);
        let idle = address.is_some_and(|a| a.requesters.is_empty() && a.claim.is_none());
        if !idle || self.handovers.has_predecessors(ip) {
            return;
        }
        if let Some(mut address) = self.all.remove(&ip) {
            self.handovers.forget(ip);
            self.under_control_plane.remove(&ip);
            self.timers.rearm(&ip, &mut address.due, None);
        }
    }

    /// An address that is off this node may be what a lease waited for to be given back.
    fn part_from_leases(&mut self, ip: IpAddr, under: Option<Rc<LeaseName>>, rights: &mut Rights) {
        let wanted = self.all.get(&ip).and_then(|address| address.authority.lease());
        if let Some(under) = under {
            if wanted != Some(&under) {
                rights.leave(&under, &ip.into());
            }
            rights.look_at(&under);
        }
        if let Some(wanted) = wanted {
            rights.look_at(wanted);
        }
    }

    fn rearm(&mut self, ip: IpAddr, want: Want, around: &Around<'_>) {
        let next = self.next_time(ip, want, around);
        if let Some(address) = self.all.get_mut(&ip) {
            let next = next.map(|(at, why)| (address.together(at, why), why));
            self.timers.rearm(&ip, &mut address.due, next);
        }
    }

    fn next_time(&self, ip: IpAddr, want: Want, around: &Around<'_>) -> Due {
        let address = self.all.get(&ip)?;
        let claim = address.claim.as_ref();
        let work = claim.and_then(|claim| claim.deadline(want, around.observed, around.now));
        let rest = claim.and_then(|claim| claim.kept_out_until(around.now));
        let timing = &self.site.settings.timing;
        let handover = self.handovers.next_change(ip, &address.authority, &self.site, around.now);
        let lapses = [
            claim.and_then(|_| address.roll(timing, around.now)),
            rest.map(|at| (at, "the node may stand again")),
            address.endless_since.map(|at| (at + LINGER, "there is no endpoint anywhere")),
            address.leader_since.map(|at| (at + LEADER_STEADY, "the leader can serve it")),
            handover.map(|at| (at, "the former holder's time")),
            self.link_lapse(address.claim.as_ref().map(|claim| &claim.vip().link), around),
            self.adoption_ends(want),
            Some((self.site.started + PATIENCE, "nodes have not been read")),
        ];
        let lapses = lapses.into_iter().flatten().filter(|(at, _)| *at > around.now);
        lapses.chain(work).min_by_key(|(at, _)| *at)
    }

    fn adoption_ends(&self, want: Want) -> Due {
        let end = self.site.started + self.site.settings.timing.duration;
        (want == Want::LeaveBe).then_some((end, "adopted addresses were not confirmed"))
    }

    fn link_lapse(&self, link: Option<&LinkName>, around: &Around<'_>) -> Due {
        let OnLinkDown::Yield(after) = self.site.settings.on_link_down else { return None };
        let down = around.observed.link(link?)?.down_since?;
        Some((down + after, "the link has been down"))
    }

    fn rhythm(&self, ip: IpAddr) -> Rhythm {
        let every = self.site.settings.announce_every;
        let number = match ip {
            IpAddr::V4(v4) => u64::from(u32::from(v4)),
            IpAddr::V6(v6) => u128::from(v6).to_le_bytes().iter().fold(0, |sum, byte| {
                u64::wrapping_add(u64::wrapping_mul(sum, 257), u64::from(*byte))
            }),
        };
        Rhythm { every, phase: Jitter::new(number).up_to(every).max(Duration::from_millis(1)) }
    }
}
