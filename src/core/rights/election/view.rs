//! What is known of the Lease object, and which reports of it are news.

use crate::core::input::{LeaseView, Origin};
use crate::core::rights::lease::LeaseRecord;
use crate::core::time::Moment;
use crate::core::version::is_older;

/// The object as last seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// It was never read.
    Nothing,
    /// It does not exist. If it did, its last holder may still be acting on it.
    Absent { last: Option<(LeaseRecord, Moment)> },
    /// It exists.
    Present {
        version: String,
        record: LeaseRecord,
        /// When WE saw the record change last (client-go's `observedTime`).
        seen: Moment,
    },
}

/// What a report brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// The record differs from the one known.
    Changed { holder_changed: bool },
    /// The record is the same; other parts of the object may have changed.
    Same,
    /// It is older than what is known: a watch event that a write has overtaken.
    Older,
}

impl Known {
    /// Takes a report in.
    pub(super) fn take(&mut self, view: LeaseView, now: Moment, origin: Origin) -> Taken {
        match view {
            LeaseView::Absent => {
                let changed = !matches!(self, Self::Absent { .. });
                self.forget();
                if changed { Taken::Changed { holder_changed: false } } else { Taken::Same }
            }
            LeaseView::Present { version, record } => self.present(version, record, now, origin),
        }
    }

    fn present(
        &mut self,
        version: String,
        record: LeaseRecord,
        now: Moment,
        origin: Origin,
    ) -> Taken {
        let (seen, taken) = match self {
            Self::Present { version: known, .. }
                if origin == Origin::Watch && is_older(&version, known) =>
            {
                return Taken::Older;
            }
            Self::Present { record: known, seen, .. } if known.is_same_hold(&record) => {
                (*seen, Taken::Same)
            }
            Self::Present { record: known, .. } => {
                (now, Taken::Changed { holder_changed: known.holder != record.holder })
            }
            Self::Nothing | Self::Absent { .. } => {
                (now, Taken::Changed { holder_changed: !record.holder.is_empty() })
            }
        };
        *self = Self::Present { version, record, seen };
        taken
    }

    /// Our own write was stored, unless the watch has brought something newer already.
    pub(super) fn store(&mut self, version: String, record: LeaseRecord, now: Moment) {
        if matches!(self, Self::Present { version: known, .. } if is_older(&version, known)) {
            return;
        }
        *self = Self::Present { version, record, seen: now };
    }

    /// The object is gone.
    pub(super) fn forget(&mut self) {
        let last = match std::mem::replace(self, Self::Nothing) {
            Self::Present { record, seen, .. } => Some((record, seen)),
            Self::Absent { last } => last,
            Self::Nothing => None,
        };
        *self = Self::Absent { last };
    }

    /// The holder that the object names; `None` while there is no object.
    pub(super) fn holder(&self) -> Option<&str> {
        match self {
            Self::Present { record, .. } => Some(&record.holder),
            Self::Nothing | Self::Absent { .. } => None,
        }
    }

    /// The object, if there is one: its version, its record, when that was seen to change.
    pub(super) fn object(&self) -> Option<(&str, &LeaseRecord, Moment)> {
        match self {
            Self::Present { version, record, seen } => Some((version, record, *seen)),
            Self::Nothing | Self::Absent { .. } => None,
        }
    }

    /// The last record and when it was seen to change.
    pub(super) fn last(&self) -> Option<(&LeaseRecord, Moment)> {
        match self {
            Self::Present { record, seen, .. } => Some((record, *seen)),
            Self::Absent { last } => last.as_ref().map(|(record, seen)| (record, *seen)),
            Self::Nothing => None,
        }
    }
}
