//! An address that has come under another Lease, and who may have it still by the one before.
//!
//! A node that cannot hear of Services goes by the Lease before: it renews it, or takes it. So
//! that Lease is marked ([`super::moved`]) before anyone takes the address by the new one. Every
//! write of a Lease is a compare-and-swap: who claims or renews it afterwards has seen the mark.

use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use crate::core::addresses::requester::{Authority, Bar, Former, Obstacle};
use crate::core::cluster::record::ServiceName;
use crate::core::control_plane::Stopping;
use crate::core::input::{Effect, KubernetesRequest, Mark};
use crate::core::jitter::rank;
use crate::core::rights::election::{Role, term};
use crate::core::rights::lease::{LeaseName, LeaseRecord};
use crate::core::rights::mark::{Moved, moved};
use crate::core::services::{Around, Entry, Services};
use crate::core::time::Moment;
use crate::core::uid::Uid;
use crate::core::version::is_older;

/// A claim of another node's that was under way when the Lease changed is seen within this.
const UNDER_WAY: Duration = Duration::from_millis(500);
/// Nodes that see a Lease change mark the one before in turns of up to so long.
const LONGEST_RANK: Duration = Duration::from_millis(24);
/// A mark that is not seen is written again.
const AGAIN: Duration = Duration::from_secs(1);
/// A Lease is not given back before it is marked, but for so long.
const MARKED_WITHIN: Duration = Duration::from_secs(5);
/// Where it cannot be marked, the address is taken all the same after this time.
const UNMARKED: Duration = Duration::from_secs(60);
/// A watch that is stuck is noticed and opened anew well within this: what was to be learnt is
/// known by then, whatever is written.
const FORGOTTEN: Duration = Duration::from_secs(300);

/// What is left of a Lease that decided before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Grip {
    /// Nobody has the address by it, nor can take it.
    Gone,
    /// It is this node's own, or nobody wants the address: it is in nobody's way.
    Harmless,
    /// Somebody may have it still.
    Held,
}

impl Services {
    /// Services were told up to this version.
    pub fn heard(&mut self, version: Box<str>) {
        if self.heard.as_deref().is_some_and(|known| !is_older(known, &version)) {
            return;
        }
        for ip in std::mem::take(&mut self.undated) {
            let formers = self.addresses.get_mut(&ip).into_iter().flat_map(|a| &mut a.former);
            let undated = formers.filter(|former| former.version.is_none());
            undated.for_each(|former| former.version = Some(version.clone()));
            self.agenda.plans.insert(ip);
        }
        self.agenda.plans.extend(self.movers.iter().chain(&self.barred));
        self.heard = Some(version);
    }

    /// Who holds an address under the Lease that decided until now: also where no Service asks
    /// for it any more, for that node may not have heard of it when the next one does.
    pub(in crate::core) fn former(
        &mut self,
        ip: IpAddr,
        before: Authority,
        around: &Around<'_>,
    ) -> Option<Former> {
        if matches!(before, Authority::Nobody | Authority::EveryNode) {
            return None;
        }
        let holder = self.holder_under(&before, around);
        let can_mark = self.heard.is_some() && self.lease_of(&before, around).is_some();
        if !can_mark && holder.as_ref() == Some(&self.node) {
            return None;
        }
        self.undated.insert(ip);
        let witness = self.witness(ip, holder.as_deref());
        Some(Former { holder, witness, ..Former::new(before, around.now) })
    }

    fn witness(&self, ip: IpAddr, holder: Option<&str>) -> Option<(ServiceName, Uid)> {
        let names = |entry: &&Entry| {
            let host = entry.record.host();
            host.is_some() && host == holder
        };
        let witness = self.tenants_of(ip).find(names);
        witness.map(|entry| (entry.record.name.clone(), entry.record.uid.clone()))
    }

    /// What happened before this node began to follow an address: other Leases that are marked
    /// for it, and whose holders may not have heard of it.
    fn search(&mut self, ip: IpAddr, around: &Around<'_>) {
        let Some(address) = self.addresses.get_mut(&ip) else { return };
        let authority = address.authority.clone();
        let alone = matches!(authority, Authority::Nobody | Authority::EveryNode);
        if address.searched || alone || !self.book.is_complete() {
            return;
        }
        if around.now > self.started + FORGOTTEN {
            return; // What happened was seen to happen.
        }
        address.searched = true;
        let marked = self.marked.iter().filter_map(|lease| {
            let mark = self.mark_on(lease, ip, around)?;
            let place = self.authority_of(lease, around);
            let holder = self.holder_under(&place, around).filter(|holder| *holder != self.node)?;
            let version = Some(mark.version.into());
            let witness = self.witness(ip, Some(&holder));
            let former = Former { version, witness, ..Former::new(place, around.now) };
            Some(Former { holder: Some(holder), ..former })
        });
        let found: Vec<Former> = marked.filter(|former| former.authority != authority).collect();
        let Some(address) = self.addresses.get_mut(&ip) else { return };
        for former in found {
            if !address.former.iter().any(|known| known.authority == former.authority) {
                address.former.push(former);
                self.movers.insert(ip);
            }
        }
    }

    /// An address that came from another Lease is not taken before it is sure that nobody has it
    /// by that one.
    pub(in crate::core) fn former_obstacle(
        &mut self,
        ip: IpAddr,
        around: &Around<'_>,
    ) -> Option<Obstacle> {
        self.search(ip, around);
        self.follow_marks(ip, around);
        let address = self.addresses.get_mut(&ip).filter(|address| !address.former.is_empty())?;
        let mut former = std::mem::take(&mut address.former);
        let mut left = None;
        former.retain_mut(|former| {
            let grip = self.grip(ip, former, around);
            if grip == Grip::Held && left.is_none() {
                left = Some(former.holder.as_deref().unwrap_or_default().into());
            }
            grip != Grip::Gone
        });
        if former.is_empty() {
            self.movers.remove(&ip);
        } else {
            self.unmarked.insert(ip);
        }
        for former in &former {
            if let Authority::Lease(lease) = &former.authority
                && self.seats.contains_key(lease)
            {
                self.agenda.seats.insert(Rc::clone(lease));
            }
        }
        if let Some(address) = self.addresses.get_mut(&ip) {
            address.former = former;
        }
        left.map(Obstacle::StillHeld)
    }

    fn grip(&self, ip: IpAddr, former: &mut Former, around: &Around<'_>) -> Grip {
        let now_holds = self.holder_under(&former.authority, around);
        let lease = self.lease_of(&former.authority, around);
        let Some(lease) = lease.filter(|_| self.heard.is_some()) else {
            return self.grip_without_marks(ip, former, now_holds, around.now);
        };
        let wanted = self.addresses.get(&ip).map(|address| &address.authority);
        if wanted.is_none_or(|authority| *authority == Authority::Nobody) {
            let over = around.now >= former.since + FORGOTTEN;
            return if over { Grip::Gone } else { Grip::Harmless };
        }
        let ours = now_holds.as_ref() == Some(&self.node);
        let waits = if ours { Grip::Harmless } else { Grip::Held };
        if former.over.is_none() {
            let Some(version) = &former.version else { return waits };
            let mark = self.mark_on(&lease, ip, around);
            if mark.is_none_or(|mark| is_older(mark.version, version)) {
                let over = around.now >= former.since + UNMARKED;
                return if over { Grip::Gone } else { waits };
            }
            // Whoever held it then does so no longer than he did by his last renewal before.
            let held = self.lease_record(&lease, around);
            let timing = &self.settings.timing;
            former.over = held.map(|(record, seen)| term::free_at(record, seen, timing));
            if former.holder != now_holds {
                (former.holder, former.witness) = (now_holds.clone(), None);
            }
        }
        let over = former.over.is_none_or(|over| around.now >= over);
        let gone = over || ours || now_holds.is_none() || now_holds != former.holder;
        if gone || self.has_said_so(ip, former) { Grip::Gone } else { Grip::Held }
    }

    /// Whether the holder before was named by a Service of the address and is no more.
    fn has_said_so(&self, ip: IpAddr, former: &Former) -> bool {
        let Some(holder) = &former.holder else { return false };
        let told = former.witness.as_ref().is_some_and(|(name, uid)| {
            self.tenants_of(ip).any(|entry| entry.record.name == *name && entry.record.uid == *uid)
        });
        told && !self.names_as_host(ip, holder)
    }

    /// What decided before is no Lease that can be marked: its holder has let go when it says so,
    /// when its time is up, or when it had a whole lease's time to see the change.
    fn grip_without_marks(
        &self,
        ip: IpAddr,
        former: &mut Former,
        now_holds: Option<String>,
        now: Moment,
    ) -> Grip {
        let others = now_holds.filter(|holder| *holder != self.node);
        if former.holder.is_none() {
            former.holder.clone_from(&others);
        }
        let moved_on = former.holder.is_some() && others != former.holder;
        let over = now >= self.over_at(former);
        if moved_on || over || self.has_said_so(ip, former) { Grip::Gone } else { Grip::Held }
    }

    fn over_at(&self, former: &Former) -> Moment {
        former.since
            + match former.holder {
                Some(_) => self.settings.timing.duration,
                None => UNDER_WAY,
            }
    }

    /// Moments at which something about a Lease before changes by itself.
    pub(in crate::core) fn former_times(
        &self,
        former: &Former,
        authority: &Authority,
    ) -> [Option<Moment>; 4] {
        if *authority == Authority::Nobody {
            return [Some(former.since + FORGOTTEN), None, None, None];
        }
        let give_back = former.since + MARKED_WITHIN;
        let last = former.over.unwrap_or(former.since + UNMARKED);
        let mark = former.over.is_none().then(|| self.mark_due(former));
        [Some(last), Some(give_back), mark, Some(self.over_at(former))]
    }

    fn mark_due(&self, former: &Former) -> Moment {
        let lease = match &former.authority {
            Authority::Lease(lease) => lease.name.as_str(),
            _ => "",
        };
        match former.asked {
            Some(asked) => asked + AGAIN,
            None => former.since + rank(&[&self.node, lease, "mark"], LONGEST_RANK),
        }
    }

    /// Asks for the marks that are due.
    pub(in crate::core) fn mark_all(&mut self, around: &Around<'_>, effects: &mut Vec<Effect>) {
        for ip in std::mem::take(&mut self.unmarked) {
            let Some(address) = self.addresses.get_mut(&ip) else { continue };
            let mut former = std::mem::take(&mut address.former);
            let authority = address.authority.clone();
            let led = former.iter().filter(|former| former.led.is_some());
            let led: Vec<Former> = led.cloned().collect();
            for former in &mut former {
                effects.extend(self.mark(ip, former, (&authority, &led), around));
            }
            if let Some(address) = self.addresses.get_mut(&ip) {
                address.former = former;
            }
        }
    }

    fn mark(
        &self,
        ip: IpAddr,
        former: &mut Former,
        (authority, led): (&Authority, &[Former]),
        around: &Around<'_>,
    ) -> Option<Effect> {
        if former.over.is_some() || *authority == Authority::Nobody {
            return None;
        }
        let lease = self.lease_of(&former.authority, around)?;
        let to = match authority {
            Authority::ControlPlane => around.control_plane?.lease()?.clone(),
            other => self.lease_of(other, around)?.as_ref().clone(),
        };
        let version = former.version.clone()?;
        let ours = self.holder_under(&former.authority, around).as_ref() == Some(&self.node);
        let due = self.mark_due(former);
        let known = self.mark_on(&lease, ip, around);
        // What an older mark leads to comes first: it would be lost.
        let leads_on =
            |known: &Moved<'_>| led.iter().any(|one| one.led.as_deref() == Some(known.version));
        let early = around.now < due && !(ours && former.asked.is_none());
        if early || known.as_ref().is_some_and(leads_on) {
            return None;
        }
        former.asked = Some(around.now);
        let after = known.map(|known| known.version.into());
        let mark = Mark { address: ip, version, to, after };
        Some(Effect::Kubernetes(KubernetesRequest::Mark { lease: lease.as_ref().clone(), mark }))
    }

    /// A mark leads to a Lease that decided in between, unseen by this node.
    fn follow_marks(&mut self, ip: IpAddr, around: &Around<'_>) {
        let (Some(heard), Some(address)) = (self.heard.clone(), self.addresses.get(&ip)) else {
            return;
        };
        let authority = address.authority.clone();
        if authority == Authority::Nobody {
            return;
        }
        let mut found = Vec::new();
        let places = address.former.iter().map(|former| (&former.authority, &former.followed));
        for (place, followed) in places.chain([(&authority, &address.followed)]) {
            let mark = self.lease_of(place, around).and_then(|lease| {
                let mark = self.mark_on(&lease, ip, around)?;
                let version: Box<str> = mark.version.into();
                Some((version, LeaseName::parse(mark.to, "")?))
            });
            let news = mark.filter(|(version, _)| {
                !is_older(&heard, version) && followed.as_ref() != Some(version)
            });
            found.push(news);
        }
        let Some(address) = self.addresses.get_mut(&ip) else { return };
        let own = found.pop().flatten();
        if let Some((version, _)) = &own {
            address.followed = Some(version.clone());
        }
        for (former, news) in address.former.iter_mut().zip(&found) {
            if let Some((version, _)) = news {
                former.followed = Some(version.clone());
            }
        }
        for (version, lease) in found.into_iter().chain([own]).flatten() {
            let led_to = self.authority_of(&lease, around);
            let Some(address) = self.addresses.get_mut(&ip) else { return };
            let known = address.former.iter().any(|former| former.authority == led_to);
            if led_to != authority && !known {
                let (led, version) = (Some(version.clone()), Some(version));
                address.former.push(Former { led, version, ..Former::new(led_to, around.now) });
                self.movers.insert(ip);
            }
        }
    }

    fn authority_of(&self, lease: &LeaseName, around: &Around<'_>) -> Authority {
        match around.control_plane {
            Some(group) if group.lease() == Some(lease) => Authority::ControlPlaneLease,
            _ => Authority::Lease(self.lease_name(lease)),
        }
    }

    /// The Lease of an authority, where it is one that Services go by.
    fn lease_of(&self, authority: &Authority, around: &Around<'_>) -> Option<Rc<LeaseName>> {
        match authority {
            Authority::Nobody | Authority::EveryNode | Authority::ControlPlane => None,
            Authority::ControlPlaneLease => {
                Some(Rc::new(around.control_plane?.settings.lease.clone()))
            }
            Authority::Lease(lease) => Some(Rc::clone(lease)),
        }
    }

    fn lease_record<'a>(
        &'a self,
        lease: &LeaseName,
        around: &Around<'a>,
    ) -> Option<(&'a LeaseRecord, Moment)> {
        match around.control_plane {
            Some(group) if group.lease() == Some(lease) => group.election.record(),
            _ => match self.seats.get(lease) {
                Some(seat) => seat.election.record(),
                None => self.book.page(lease).map(|page| (&page.record, page.seen)),
            },
        }
    }

    fn mark_on<'a>(
        &'a self,
        lease: &LeaseName,
        ip: IpAddr,
        around: &Around<'a>,
    ) -> Option<Moved<'a>> {
        let (record, _) = self.lease_record(lease, around)?;
        moved(record.moved.as_deref(), ip)
    }

    /// Whether the Lease by which this node has the address, or would take it, says that another
    /// decides, and this node has not heard why.
    pub(in crate::core) fn bar(&mut self, ip: IpAddr, around: &Around<'_>) -> Option<Obstacle> {
        let found = self.find_bar(ip, around);
        let address = self.addresses.get_mut(&ip)?;
        match found {
            None => self.barred.remove(&ip),
            Some(_) => self.barred.insert(ip),
        };
        address.bar = found;
        let bar = address.bar.as_deref()?;
        let barred = around.now >= bar.until && around.now < bar.since + FORGOTTEN;
        barred.then_some(Obstacle::Outdated)
    }

    fn find_bar(&self, ip: IpAddr, around: &Around<'_>) -> Option<Box<Bar>> {
        let heard = self.heard.as_deref()?;
        let address = self.addresses.get(&ip)?;
        let wanted = self.lease_of(&address.authority, around);
        let lease = address.under.clone().or_else(|| wanted.clone())?;
        let mark = self.mark_on(&lease, ip, around)?;
        let stays = wanted.as_ref() == Some(&lease);
        if stays && !is_older(heard, mark.version) {
            return None;
        }
        let known = address.bar.as_ref();
        let known = known.filter(|bar| bar.lease == lease && *bar.version == *mark.version);
        if let Some(known) = known {
            return Some(known.clone());
        }
        let authority = self.authority_of(&lease, around);
        let until = match self.role_under(&authority, around) {
            Role::Holding { until } if address.under.is_some() => until,
            _ => around.now,
        };
        let version = mark.version.into();
        Some(Box::new(Bar { lease, version, since: around.now, until }))
    }

    /// Until when an address may be held that its Lease, held until then, may be marked for.
    pub(in crate::core) fn held_until(&self, ip: IpAddr, until: Moment) -> Moment {
        let address = self.addresses.get(&ip);
        let bar = address.and_then(|address| {
            address.bar.as_deref().filter(|bar| address.under.as_ref() == Some(&bar.lease))
        });
        bar.map_or(until, |bar| bar.until.min(until))
    }

    /// When a bar changes something by itself.
    pub(in crate::core) fn bar_times(bar: &Bar) -> [Moment; 2] {
        [bar.until, bar.since + FORGOTTEN]
    }

    /// Whether a lease that this node holds has to be marked before it is given back.
    pub(in crate::core) fn is_to_be_marked(&self, lease: &LeaseName, around: &Around<'_>) -> bool {
        if self.heard.is_none() || around.stopping != Stopping::No {
            return false;
        }
        let formers = self.movers.iter().filter_map(|ip| self.addresses.get(ip));
        formers.flat_map(|address| &address.former).any(|former| {
            let this = matches!(&former.authority, Authority::Lease(known) if **known == *lease);
            this && former.over.is_none() && around.now < former.since + MARKED_WITHIN
        })
    }
}
