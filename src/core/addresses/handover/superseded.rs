//! A handover as a node sees it that has not heard of it: the Lease by which it holds an address,
//! or would, says that another one decides.

use std::net::IpAddr;
use std::rc::Rc;

use super::{Case, FORGOTTEN, Handovers};
use crate::core::rights::lease::LeaseName;
use crate::core::time::Moment;
use crate::core::version::is_older;

/// What such a Lease says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Superseded {
    /// The Lease that says so.
    lease: Rc<LeaseName>,
    /// Services have to be known up to this version.
    version: Box<str>,
    /// Since when this is known.
    since: Moment,
    /// The end of this node's hold when it came to know.
    until: Moment,
}

impl Superseded {
    /// When it changes something by itself.
    pub(super) fn times(&self) -> [Moment; 2] {
        [self.until, self.since + FORGOTTEN]
    }
}

impl Handovers {
    /// Whether the Lease by which this node has the address, or would take it, says that another
    /// decides, this node has not heard why, and its hold of then has ended.
    pub(in crate::core::addresses) fn outdated(&mut self, case: &Case<'_>) -> bool {
        let known = self.of.get(&case.ip).and_then(|handover| handover.superseded.as_ref());
        let found = find(case, known);
        if found.is_none() && known.is_none() {
            return false;
        }
        let now = case.around.now;
        let over = |one: &Superseded| now >= one.until && now < one.since + FORGOTTEN;
        let outdated = found.as_ref().is_some_and(over);
        self.of.entry(case.ip).or_default().superseded = found;
        self.index(case.ip, &case.address.authority);
        outdated
    }

    /// Until when an address may be held that is `under` a Lease which is held until `until`.
    #[must_use]
    pub(in crate::core::addresses) fn held_until(
        &self,
        ip: IpAddr,
        under: Option<&Rc<LeaseName>>,
        until: Moment,
    ) -> Moment {
        let superseded = self.of.get(&ip).and_then(|handover| handover.superseded.as_ref());
        let this = superseded.filter(|one| under == Some(&one.lease));
        this.map_or(until, |one| one.until.min(until))
    }
}

fn find(case: &Case<'_>, known: Option<&Superseded>) -> Option<Superseded> {
    let heard = case.around.cluster.version()?;
    let wanted = case.rights.lease_of(&case.address.authority, case.around);
    let under = case.address.under.as_ref();
    let lease = under.or(wanted.as_ref())?;
    let mark = case.rights.mark_on(lease, case.ip, case.around)?;
    let stays = wanted.as_ref() == Some(lease);
    if stays && !is_older(heard, mark.version) {
        return None;
    }
    let same = known.filter(|known| known.lease == *lease && *known.version == *mark.version);
    if let Some(known) = same {
        return Some(known.clone());
    }
    let authority = case.rights.authority_of(lease, case.around);
    let right = case.rights.right(&authority, case.around);
    let until = right.until().filter(|_| under.is_some()).unwrap_or(case.around.now);
    let (lease, version) = (Rc::clone(lease), mark.version.into());
    Some(Superseded { lease, version, since: case.around.now, until })
}
