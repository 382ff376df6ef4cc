//! What decided about an address before, and by which somebody may have it still.

use std::time::Duration;

use super::{Case, FORGOTTEN};
use crate::core::addresses::Authority;
use crate::core::cluster::record::ServiceName;
use crate::core::context::Site;
use crate::core::jitter::rank;
use crate::core::rights::Right;
use crate::core::rights::lease::LeaseName;
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
pub(super) const MARKED_WITHIN: Duration = Duration::from_secs(5);
/// Where it cannot be marked, the address is taken all the same after this time.
const UNMARKED: Duration = Duration::from_secs(60);

/// What is left of a right before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remains {
    /// Nobody has the address by it, nor can take it.
    Gone,
    /// It is this node's own, or nobody wants the address: it is in nobody's way.
    Harmless,
    /// Somebody may have it still.
    Held,
}

/// A right before, and how far its end is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Predecessor {
    /// What decided.
    pub(super) authority: Authority,
    /// Who held it; `None`: nobody, as far as was known, but a claim may have been under way.
    pub(super) holder: Option<String>,
    /// When this node saw the change.
    pub(super) since: Moment,
    /// The Service (and its `metadata.uid`) whose annotation named that node then: when neither
    /// it nor another of the address does, that node has let go.
    witness: Option<(ServiceName, Uid)>,
    /// The version of an older mark on it that was followed.
    pub(super) followed: Option<Box<str>>,
    origin: Origin,
    stage: Stage,
}

/// How this node knows of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// It was seen to decide, or to be marked.
    Seen,
    /// A mark led to it, in a chain of marks.
    Led,
}

/// How far a handover has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Up to which version Services had been told is about to be known.
    Undated,
    /// The Lease is to be marked with this version.
    Unmarked {
        version: Box<str>,
        /// When the mark was asked for last.
        asked: Option<Moment>,
    },
    /// It is marked: nobody has the address by it any more from `over` on.
    Marked { version: Box<str>, over: Moment },
}

impl Predecessor {
    /// The right that an address is under now and soon was; `None`: nobody has to let go.
    pub(super) fn of(case: &Case<'_>) -> Option<Self> {
        if !case.is_decided() {
            return None;
        }
        let before = &case.address.authority;
        let right = case.rights.right(before, case.around);
        let lease = case.rights.lease_of(before, case.around);
        let can_mark = case.around.cluster.version().is_some() && lease.is_some();
        (can_mark || !right.is_ours()).then(|| {
            Self::held_by(case, before.clone(), right.holder(), Origin::Seen, Stage::Undated)
        })
    }

    /// A Lease that was found to be marked for the address, and whose holder may not know.
    pub(super) fn found(case: &Case<'_>, authority: Authority, version: &str) -> Option<Self> {
        let right = case.rights.right(&authority, case.around);
        let holder = right.elsewhere()?;
        let stage = Stage::Unmarked { version: version.into(), asked: None };
        Some(Self::held_by(case, authority, Some(holder), Origin::Seen, stage))
    }

    /// A Lease that a mark with this version leads to.
    pub(super) fn led_to(case: &Case<'_>, authority: Authority, version: Box<str>) -> Self {
        let stage = Stage::Unmarked { version, asked: None };
        Self { witness: None, ..Self::held_by(case, authority, None, Origin::Led, stage) }
    }

    fn held_by(
        case: &Case<'_>,
        authority: Authority,
        holder: Option<&str>,
        origin: Origin,
        stage: Stage,
    ) -> Self {
        let mut services = case.services();
        let witness = services.find(|record| record.host().is_some() && record.host() == holder);
        Self {
            authority,
            holder: holder.map(str::to_owned),
            since: case.around.now,
            witness: witness.map(|record| (record.name.clone(), record.uid.clone())),
            followed: None,
            origin,
            stage,
        }
    }

    /// Services were told up to this version.
    pub(super) fn date(&mut self, version: &str) {
        if self.stage == Stage::Undated {
            self.stage = Stage::Unmarked { version: version.into(), asked: None };
        }
    }

    /// Whether its Lease was seen to be marked.
    #[must_use]
    pub(super) const fn is_marked(&self) -> bool {
        matches!(self.stage, Stage::Marked { .. })
    }

    /// The version of the mark that led to it, where one did.
    #[must_use]
    pub(super) fn led_by(&self) -> Option<&str> {
        match (self.origin, &self.stage) {
            (Origin::Seen, _) | (Origin::Led, Stage::Undated) => None,
            (Origin::Led, Stage::Unmarked { version, .. } | Stage::Marked { version, .. }) => {
                Some(version)
            }
        }
    }

    /// What is left of it; its stage moves on.
    pub(super) fn remains(&mut self, case: &Case<'_>) -> Remains {
        let right = case.rights.right(&self.authority, case.around);
        let lease = case.rights.lease_of(&self.authority, case.around);
        let Some(lease) = lease.filter(|_| case.around.cluster.version().is_some()) else {
            return self.remains_without_mark(case, &right);
        };
        let now = case.around.now;
        if case.address.authority == Authority::Nobody {
            let over = now >= self.since + FORGOTTEN;
            return if over { Remains::Gone } else { Remains::Harmless };
        }
        let waits = if right.is_ours() { Remains::Harmless } else { Remains::Held };
        let over = match &self.stage {
            Stage::Undated => return waits,
            Stage::Unmarked { version, .. } if !is_marked(case, &lease, version) => {
                return if now >= self.since + UNMARKED { Remains::Gone } else { waits };
            }
            Stage::Unmarked { version, .. } => {
                // Whoever held it then does so no longer than he did by his last renewal before.
                let over = case.rights.free_at(&lease, case.around).unwrap_or(now);
                self.stage = Stage::Marked { version: version.clone(), over };
                if self.holder.as_deref() != right.holder() {
                    (self.holder, self.witness) = (right.holder().map(str::to_owned), None);
                }
                over
            }
            Stage::Marked { over, .. } => *over,
        };
        let another = right.holder().is_none() || right.holder() != self.holder.as_deref();
        let gone = now >= over || right.is_ours() || another || self.has_said_so(case);
        if gone { Remains::Gone } else { Remains::Held }
    }

    /// Whether the holder before was named by a Service of the address and is no more.
    fn has_said_so(&self, case: &Case<'_>) -> bool {
        let Some(holder) = self.holder.as_deref() else { return false };
        let told = self.witness.as_ref().is_some_and(|(name, uid)| {
            case.services().any(|record| record.name == *name && record.uid == *uid)
        });
        told && !case.services().any(|record| record.host() == Some(holder))
    }

    /// What decided before is no Lease that can be marked: its holder has let go when it says so,
    /// when its time is up, or when it had a whole lease's time to see the change.
    fn remains_without_mark(&mut self, case: &Case<'_>, right: &Right<'_>) -> Remains {
        let others = right.elsewhere();
        if self.holder.is_none() {
            self.holder = others.map(str::to_owned);
        }
        let moved_on = self.holder.is_some() && others != self.holder.as_deref();
        let over = case.around.now >= self.over_at(case.rights.site());
        let gone = moved_on || over || self.has_said_so(case);
        if gone { Remains::Gone } else { Remains::Held }
    }

    fn over_at(&self, site: &Site) -> Moment {
        self.since
            + match self.holder {
                Some(_) => site.settings.timing.duration,
                None => UNDER_WAY,
            }
    }

    /// Moments at which something about it changes by itself.
    pub(super) fn times(&self, authority: &Authority, site: &Site) -> [Option<Moment>; 4] {
        if *authority == Authority::Nobody {
            return [Some(self.since + FORGOTTEN), None, None, None];
        }
        let give_back = self.since + MARKED_WITHIN;
        let (last, mark) = match &self.stage {
            Stage::Marked { over, .. } => (*over, None),
            _ => (self.since + UNMARKED, Some(self.mark_due(&site.node))),
        };
        [Some(last), Some(give_back), mark, Some(self.over_at(site))]
    }

    /// When the mark is to be asked for by this node.
    #[must_use]
    pub(super) fn mark_due(&self, node: &str) -> Moment {
        match self.stage {
            Stage::Unmarked { asked: Some(asked), .. } => asked + AGAIN,
            _ => {
                let lease = self.authority.lease().map_or("", |lease| lease.name.as_str());
                self.since + rank(&[node, lease, "mark"], LONGEST_RANK)
            }
        }
    }

    /// The version to mark its Lease with, where that is to be done: by its holder at once, by
    /// others in their turn.
    #[must_use]
    pub(super) fn version_to_mark(&self, case: &Case<'_>) -> Option<Box<str>> {
        let Stage::Unmarked { version, asked } = &self.stage else { return None };
        let ours = case.rights.right(&self.authority, case.around).is_ours();
        let due = case.around.now >= self.mark_due(case.node()) || (ours && asked.is_none());
        due.then(|| version.clone())
    }

    /// The mark was asked for.
    pub(super) fn note_asked(&mut self, now: Moment) {
        if let Stage::Unmarked { asked, .. } = &mut self.stage {
            *asked = Some(now);
        }
    }
}

/// Whether a Lease says that another decides about the address, as of this version or later.
fn is_marked(case: &Case<'_>, lease: &LeaseName, version: &str) -> bool {
    let mark = case.rights.mark_on(lease, case.ip, case.around);
    mark.is_some_and(|mark| !is_older(mark.version, version))
}
