//! One address on this node: where it is to be put, what is wanted of it, and the commands in
//! between.

use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use viplet_backend_api::{Command, LinkName, Owner, Scope, Vip};

use crate::core::addresses::announce::Rhythm;
use crate::core::addresses::claim::{Claim, Want};
use crate::core::addresses::eligibility::{LEADER_STEADY, LINGER};
use crate::core::addresses::requester::{Authority, Obstacle, Place};
use crate::core::control_plane::Stopping;
use crate::core::input::Effect;
use crate::core::jitter::Jitter;
use crate::core::observed::{self, SeenAddress};
use crate::core::report::{Level, Report};
use crate::core::rights::candidacy::Leaving;
use crate::core::rights::election::{Role, term};
use crate::core::rights::lease::LeaseName;
use crate::core::services::request::{AskedLink, asked_link};
use crate::core::services::{Around, PATIENCE, Services};
use crate::core::settings::{OnLinkDown, PrefixLength, ServiceLink};
use crate::core::work_queue::Due;
use crate::core::work_queue::Item;

impl Services {
    /// The link of Services that name none is chosen once and kept while it exists.
    pub(in crate::core) fn choose_link(&mut self, around: &Around<'_>) {
        let gone = self.link.as_ref().is_none_or(|link| around.observed.link(link).is_none());
        if !gone {
            return;
        }
        let (ServiceLink::Choice(choice) | ServiceLink::OfSubnet(choice)) = &self.settings.link;
        let chosen = around.observed.choose(choice);
        if chosen.is_some() && chosen != self.link {
            self.link = chosen;
            self.look_at_addresses();
        }
    }

    /// The address as it is to be put on its link.
    pub(in crate::core) fn vip(&self, ip: IpAddr, around: &Around<'_>) -> Result<Vip, String> {
        let taken = self.taken(ip, around);
        let address = self.addresses.get(&ip).ok_or_else(String::new)?;
        let tenants = address.accepted(&taken, |service| self.ports(service));
        let lead = tenants.first().and_then(|tenant| self.entries.get(&tenant.service));
        let asked = lead.and_then(|entry| asked_link(&entry.record).ok());
        let of_subnet = around.observed.network_of(ip);
        let usual = || {
            self.link.clone().ok_or_else(|| {
                "there is no interface to put it on: waiting for the default route or for the \
                 interface that vip_servicesinterface or vip_interface names"
                    .to_owned()
            })
        };
        let subnet_or_usual = || of_subnet.map_or_else(usual, |(link, _)| Ok(link.clone()));
        let link = match (asked, &self.settings.link) {
            (Some(AskedLink::Named(name)), _) => {
                around.observed.named(&name).ok_or_else(|| missing_link(&name))?
            }
            (Some(AskedLink::OfSubnet), _) | (_, ServiceLink::OfSubnet(_)) => subnet_or_usual()?,
            (Some(AskedLink::Usual) | None, ServiceLink::Choice(_)) => usual()?,
        };
        let (asked_prefix, whole) = match ip {
            IpAddr::V4(_) => (self.settings.prefix.v4, 32),
            IpAddr::V6(_) => (self.settings.prefix.v6, 128),
        };
        let prefix_len = match (asked_prefix, of_subnet) {
            (PrefixLength::Fixed(length), _) => length,
            (PrefixLength::OfSubnet, Some((_, length))) => length,
            (PrefixLength::OfSubnet, None) => {
                return Err(format!(
                    "vip_subnet is auto, and no interface of this node has a network with {ip}; \
                     set a prefix length ({whole}, say) or choose another address"
                ));
            }
        };
        let scope = if link.as_str() == "lo" { Scope::Host } else { Scope::Universe };
        let duplicate_detection = self.settings.duplicate_detection;
        let presence = self.settings.presence;
        Ok(Vip { address: ip, prefix_len, link, presence, scope, duplicate_detection })
    }

    /// What should become of an address here.
    fn want(&mut self, ip: IpAddr, around: &Around<'_>) -> Want {
        let Some(address) = self.addresses.get(&ip) else { return Want::Nothing };
        let (authority, under) = (address.authority.clone(), address.under.clone());
        let free = address.obstacle.is_none();
        let stopping = self.is_leaving(&authority, around.stopping);
        let nobody = matches!(authority, Authority::ControlPlane | Authority::Nobody);
        if nobody || (stopping && under.is_none()) {
            return Want::Nothing;
        }
        if let (Role::Holding { until }, true) =
            (self.role_under(&authority, around), free && !stopping)
        {
            self.now_under(ip, &authority, around);
            return Want::Hold { until: self.held_until(ip, until) };
        }
        // Under another Lease than it should be: held until that one is had, or another has it.
        if let Some(old) = under.filter(|old| authority != Authority::Lease(Rc::clone(old))) {
            let taken = self.holder_under(&authority, around).is_some_and(|h| h != self.node);
            let old = Authority::Lease(old);
            if let (Role::Holding { until }, true) = (self.role_under(&old, around), free && !taken)
            {
                return Want::Hold { until: self.held_until(ip, until) };
            }
        }
        let unread = self.obstacle_is(ip, &Obstacle::Unread);
        if (free || unread) && !stopping && self.may_adopt(&authority, around) {
            return Want::LeaveBe;
        }
        Want::Nothing
    }

    pub(in crate::core) fn obstacle_is(&self, ip: IpAddr, obstacle: &Obstacle) -> bool {
        self.addresses.get(&ip).is_some_and(|address| address.obstacle.as_ref() == Some(obstacle))
    }

    /// Until its Lease is read and claimed again, what an earlier run left here stays.
    fn may_adopt(&self, authority: &Authority, around: &Around<'_>) -> bool {
        if around.now.since(self.started) >= self.settings.timing.duration {
            return false;
        }
        let unread = |read: bool, holder: Option<&str>| match holder {
            None => !read,
            Some(holder) => holder == self.node,
        };
        match authority {
            Authority::Nobody | Authority::ControlPlane => false,
            Authority::EveryNode => true,
            Authority::ControlPlaneLease => around.control_plane.is_some_and(|group| {
                unread(group.election.was_read(), group.election.holder()) && !group.has_held()
            }),
            Authority::Lease(lease) => self.seats.get(&**lease).is_some_and(|seat| {
                unread(seat.election.was_read(), seat.election.holder()) && !seat.held_before
            }),
        }
    }

    fn now_under(&mut self, ip: IpAddr, authority: &Authority, around: &Around<'_>) {
        let lease = match authority {
            Authority::Lease(lease) => Rc::clone(lease),
            Authority::ControlPlaneLease => match around.control_plane {
                Some(group) => Rc::new(group.settings.lease.clone()),
                None => return,
            },
            Authority::Nobody | Authority::EveryNode | Authority::ControlPlane => return,
        };
        let Some(address) = self.addresses.get_mut(&ip) else { return };
        let before = address.under.replace(Rc::clone(&lease));
        if let Some(before) = before.filter(|before| *before != lease) {
            self.leave_seat(&before, ip);
        }
    }

    /// Reconciles some of the addresses on the agenda: commands first, which go to the kernel
    /// together, then what is said of them.
    pub(in crate::core) fn pulse_some(&mut self, around: &Around<'_>, effects: &mut Vec<Effect>) {
        let mut reports = Vec::new();
        for _ in 0..self.settings.per_turn {
            let Some(ip) = self.agenda.pulses.pop_first() else { break };
            if self.is_unplanned(ip) {
                continue; // It comes back when it has been planned.
            }
            let commands = match self.tend(ip, around) {
                Some(commands) => commands,
                None => self.pulse(ip, around, &mut reports),
            };
            effects.extend(commands.into_iter().map(Effect::Addresses));
        }
        effects.extend(reports.into_iter().map(Effect::Report));
    }

    /// Whether it is not known yet who decides about an address that Services ask for.
    fn is_unplanned(&self, ip: IpAddr) -> bool {
        let address = self.addresses.get(&ip);
        let unknown = address.is_some_and(|address| address.authority == Authority::Nobody);
        unknown && self.agenda.plans.contains(&ip)
    }

    /// What is to be done for an address that is held in peace; `None`: it has to be looked at as a
    /// whole.
    fn tend(&mut self, ip: IpAddr, around: &Around<'_>) -> Option<Vec<Command>> {
        let rhythm = self.rhythm(ip);
        let calm = around.stopping == Stopping::No && around.now >= self.started + PATIENCE;
        if !calm || around.has_control_plane(ip) {
            return None;
        }
        let address = self.addresses.get_mut(&ip)?;
        if address.place != Place::Settled || address.is_unsettled() {
            return None;
        }
        let until = match &address.authority {
            Authority::Lease(lease) if address.under.as_ref() == Some(lease) => {
                let seat = self.seats.get(&**lease).filter(|seat| seat.leaving == Leaving::No)?;
                let Role::Holding { until } = seat.election.role() else { return None };
                until
            }
            Authority::EveryNode => term::rolling(around.now, &self.settings.timing),
            _ => return None,
        };
        let claim = address.claim.as_mut().filter(|claim| claim.link_is_up(around.observed))?;
        let (commands, next) = claim.tend(until, around.observed, around.now, rhythm)?;
        let next = next.map(|(at, why)| (address.together(at, why), why));
        let roll = address.roll(&self.settings.timing, around.now);
        let next = next.into_iter().chain(roll).min_by_key(|(at, _)| *at);
        self.agenda.rearm(&Item::Address(ip), &mut address.due, next);
        Some(commands)
    }

    fn pulse(
        &mut self,
        ip: IpAddr,
        around: &Around<'_>,
        reports: &mut Vec<Report>,
    ) -> Vec<Command> {
        if !self.addresses.contains_key(&ip) {
            return Vec::new();
        }
        let want = self.want(ip, around);
        self.ready_claim(ip, want, around);
        let rhythm = self.rhythm(ip);
        let mut commands = Vec::new();
        if let Some(claim) = self.addresses.get_mut(&ip).and_then(|a| a.claim.as_mut()) {
            let before = (claim.lingers(around.observed), claim.is_announcing());
            commands = claim.reconcile(want, around.observed, around.now, rhythm);
            let came = claim.came_to_be_held(around.observed);
            let after = (claim.lingers(around.observed), claim.is_announcing());
            let vip = claim.vip().clone();
            if came || before != after {
                self.tell_tenants(ip);
            }
            let goes = commands.iter().any(|command| matches!(command, Command::Withdraw { .. }));
            let held = came.then(|| observed::held(around.observed.reach(ip)));
            let words = [held, goes.then(|| "is withdrawn".to_owned())];
            reports
                .extend(words.into_iter().flatten().map(|what| self.report(&vip, &what, around)));
        }
        match self.lingers(ip, around) {
            true => self.here.insert(ip),
            false => self.here.remove(&ip),
        };
        self.let_go(ip, want, around);
        self.rearm_address(ip, want, around);
        commands
    }

    fn report(&self, vip: &Vip, what: &str, around: &Around<'_>) -> Report {
        let why = self.why_here(vip.address, around);
        Report { level: Level::Info, text: format!("{vip}: {what}: {why}") }
    }

    /// A claim with the address as it is to be, where there is anything to do about it.
    fn ready_claim(&mut self, ip: IpAddr, want: Want, around: &Around<'_>) {
        if around.has_control_plane(ip) {
            if let Some(address) = self.addresses.get_mut(&ip) {
                address.claim = None; // The control plane's own claim sees to it.
            }
            return;
        }
        let Some(address) = self.addresses.get(&ip) else { return };
        let holds = matches!(want, Want::Hold { .. });
        let ours = |seen: &SeenAddress| seen.owner != Owner::Node;
        let needed = match &address.claim {
            Some(_) => holds && address.place == Place::Unsettled,
            None => want != Want::Nothing || around.observed.everywhere(ip).any(ours),
        };
        let Some(vip) = needed.then(|| self.vip(ip, around)).and_then(Result::ok) else { return };
        let Some(address) = self.addresses.get_mut(&ip) else { return };
        address.place = Place::Settled;
        let as_it_is = |claim: &Claim| {
            (&claim.vip().link, claim.vip().prefix_len) == (&vip.link, vip.prefix_len)
        };
        if !address.claim.as_deref().is_some_and(as_it_is) {
            address.claim = Some(Box::new(Claim::new(vip)));
        }
    }

    /// What is over and done with is forgotten.
    fn let_go(&mut self, ip: IpAddr, want: Want, around: &Around<'_>) {
        let Some(address) = self.addresses.get_mut(&ip) else { return };
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
            self.agenda.plans.insert(ip);
            self.tell_tenants(ip);
        }
        self.part_from_seats(ip, under);
        let gone = self
            .addresses
            .get(&ip)
            .is_some_and(|a| a.tenants.is_empty() && a.claim.is_none() && a.former.is_empty());
        if gone && let Some(mut address) = self.addresses.remove(&ip) {
            self.movers.remove(&ip);
            self.barred.remove(&ip);
            self.lodgers.remove(&ip);
            self.agenda.rearm(&Item::Address(ip), &mut address.due, None);
        }
    }

    /// An address that is off this node may be what a lease waited for to be given back.
    fn part_from_seats(&mut self, ip: IpAddr, under: Option<Rc<LeaseName>>) {
        let wanted = self.addresses.get(&ip).and_then(|address| match &address.authority {
            Authority::Lease(lease) => Some(Rc::clone(lease)),
            _ => None,
        });
        if let Some(under) = under {
            if wanted.as_ref() != Some(&under) {
                self.leave_seat(&under, ip);
            }
            self.agenda.seats.insert(under);
        }
        self.agenda.seats.extend(wanted);
    }

    fn rearm_address(&mut self, ip: IpAddr, want: Want, around: &Around<'_>) {
        let next = self.address_due(ip, want, around);
        if let Some(address) = self.addresses.get_mut(&ip) {
            let next = next.map(|(at, why)| (address.together(at, why), why));
            self.agenda.rearm(&Item::Address(ip), &mut address.due, next);
        }
    }

    fn address_due(&self, ip: IpAddr, want: Want, around: &Around<'_>) -> Due {
        let address = self.addresses.get(&ip)?;
        let claim = address.claim.as_ref();
        let work = claim.and_then(|claim| claim.deadline(want, around.observed, around.now));
        let rest = claim.and_then(|claim| claim.kept_out_until(around.now));
        let former = address.former.iter();
        let former = former.flat_map(|former| self.former_times(former, &address.authority));
        let bar = address.bar.iter().flat_map(|bar| Self::bar_times(bar)).map(Some);
        let changes = former.chain(bar).flatten().filter(|at| *at > around.now).min();
        let lapses = [
            claim.and_then(|_| address.roll(&self.settings.timing, around.now)),
            rest.map(|at| (at, "the node may stand again")),
            address.endless_since.map(|at| (at + LINGER, "there is no endpoint anywhere")),
            address.leader_since.map(|at| (at + LEADER_STEADY, "the leader can serve it")),
            changes.map(|at| (at, "the former holder's time")),
            self.link_lapse(address.claim.as_ref().map(|claim| &claim.vip().link), around),
            self.adoption_ends(want),
            Some((self.started + PATIENCE, "nodes have not been read")),
        ];
        let lapses = lapses.into_iter().flatten().filter(|(at, _)| *at > around.now);
        lapses.chain(work).min_by_key(|(at, _)| *at)
    }

    fn adoption_ends(&self, want: Want) -> Due {
        let end = self.started + self.settings.timing.duration;
        (want == Want::LeaveBe).then_some((end, "adopted addresses were not confirmed"))
    }

    fn link_lapse(&self, link: Option<&LinkName>, around: &Around<'_>) -> Due {
        let OnLinkDown::Yield(after) = self.settings.on_link_down else { return None };
        let down = around.observed.link(link?)?.down_since?;
        Some((down + after, "the link has been down"))
    }

    fn rhythm(&self, ip: IpAddr) -> Rhythm {
        let every = self.settings.announce_every;
        let number = match ip {
            IpAddr::V4(v4) => u64::from(u32::from(v4)),
            IpAddr::V6(v6) => u128::from(v6).to_le_bytes().iter().fold(0, |sum, byte| {
                u64::wrapping_add(u64::wrapping_mul(sum, 257), u64::from(*byte))
            }),
        };
        Rhythm { every, phase: Jitter::new(number).up_to(every).max(Duration::from_millis(1)) }
    }

    /// Whether an address is present and announced here.
    pub(in crate::core) fn is_held(&self, ip: IpAddr, around: &Around<'_>) -> bool {
        let Some(address) = self.addresses.get(&ip) else { return false };
        let claim = match address.authority {
            Authority::ControlPlane => around.control_plane.and_then(|group| group.claims.get(&ip)),
            _ => address.claim.as_deref(),
        };
        let heard = around.observed.reach(ip).is_none_or(|reach| reach.told > 0);
        claim.is_some_and(|claim| {
            let announced = claim.is_announcing() && claim.muted().is_none();
            announced && heard && claim.is_usable(around.observed)
        })
    }

    /// Whether an address of this Lease may still be on this node.
    pub(in crate::core) fn lingers(&self, ip: IpAddr, around: &Around<'_>) -> bool {
        let Some(address) = self.addresses.get(&ip) else { return false };
        if around.has_control_plane(ip) {
            return false;
        }
        address.claim.as_ref().is_some_and(|claim| claim.lingers(around.observed))
            || around.observed.everywhere(ip).any(|seen| seen.owner == Owner::Viplet)
    }

    fn is_leaving(&self, authority: &Authority, stopping: Stopping) -> bool {
        match authority {
            Authority::Lease(lease) => {
                self.seats.get(&**lease).is_some_and(|seat| seat.leaving == Leaving::Yes)
            }
            _ => stopping != Stopping::No,
        }
    }
}

/// Why an address cannot be put on an interface that is not there.
pub(in crate::core) fn missing_link(name: impl std::fmt::Display) -> String {
    format!("interface {name} does not exist here: waiting for it")
}
