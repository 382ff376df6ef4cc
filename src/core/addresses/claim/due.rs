//! When something is due for an address, if nothing happens before.

use std::time::Duration;

use super::{Claim, LastInstall, REINSTALL, UNSEEN, Want, ours};
use crate::core::observed::{Observed, SeenAddress};
use crate::core::rights::election::term;
use crate::core::time::Moment;

/// The word for an announcement that is due.
pub const ANNOUNCEMENT: &str = "an announcement";

/// A moment and what is due then.
pub type Due = (Moment, &'static str);

impl Claim {
    /// The next moment at which [`Claim::reconcile`] has something to do by itself.
    #[must_use]
    pub fn deadline(&self, want: Want, observed: &Observed, now: Moment) -> Option<Due> {
        let want = if self.blocked(observed).is_some() { Want::Nothing } else { want };
        let strays = self.strays_at.map(|at| at + UNSEEN).filter(|at| *at > now);
        let strays = strays.map(|at| (at, "a copy on another link is still there"));
        let retry =
            self.setback.as_ref().map(|back| (back.again, "a refused command is due again"));
        let here = observed.on(self.vip.address, &self.vip.link);
        let work = match want {
            Want::Hold { until } => {
                let announcing = self.announcing.as_ref().filter(|_| self.is_usable(observed));
                let announce = announcing.map(|s| (s.next(), ANNOUNCEMENT));
                let install = self.install_due(until, here, now);
                [announce, install].into_iter().flatten().min_by_key(|(at, _)| *at)
            }
            Want::Keep(lifetime) => self.keep_due(lifetime, here),
            Want::LeaveBe => None,
            Want::Nothing => here.filter(|seen| ours(seen)).map(|_| {
                (self.withdrawn_at.map_or(now, |at| at + UNSEEN), "a withdrawal is unseen")
            }),
        };
        let work = match (work, retry) {
            (Some((at, why)), Some((again, _))) => Some((at.max(again), why)),
            (work, _) => work,
        };
        work.into_iter().chain(strays).min_by_key(|(at, _)| *at)
    }

    /// When to install or refresh next, if at all in this hold.
    pub(super) fn install_due(
        &self,
        until: Moment,
        here: Option<&SeenAddress>,
        now: Moment,
    ) -> Option<Due> {
        let last_call = term::last_install(until);
        if now > last_call {
            return None;
        }
        let Some(end) = self.installed_until else { return Some((now, "an install")) };
        if self.last_install == LastInstall::TooLate {
            return Some((now, "an install was late"));
        }
        if here.is_some_and(|seen| self.stays_for_ever(seen)) {
            return Some((self.installed_at + REINSTALL, "an address would stay for ever"));
        }
        if here.is_some_and(ours) {
            return refresh_due(end, last_call, now, until);
        }
        let patience = if self.seen { REINSTALL } else { UNSEEN };
        Some((self.installed_at + patience, "an install is unseen"))
    }

    /// When to refresh an address that is kept. The kernel's dead-man dropped it just before the
    /// lease ran out: it comes back.
    pub(super) fn keep_due(&self, lifetime: Duration, here: Option<&SeenAddress>) -> Option<Due> {
        if self.last_install == LastInstall::TooLate {
            return Some((self.installed_at, "an install was late"));
        }
        if here.is_some_and(ours) {
            return Some((self.installed_at + lifetime / 3, "a kept address"));
        }
        self.installed_until?;
        let patience = if self.seen { REINSTALL } else { UNSEEN };
        Some((self.installed_at + patience, "a kept address is gone"))
    }
}

/// When to refresh an address that the kernel would drop at `end`. Renewals bring far more than
/// half a second; when they fail, one refresh at the last moment uses the hold up.
fn refresh_due(end: Moment, last_call: Moment, now: Moment, until: Moment) -> Option<Due> {
    let last_refresh = last_call - Duration::from_millis(50);
    let due = last_refresh.min(end - Duration::from_millis(200));
    let seconds = term::lifetime(now, until).map_or(0, |l| u64::from(l.as_secs()));
    let gain = (now + Duration::from_secs(seconds)).since(end);
    let worth = Duration::from_millis(if now >= due { 100 } else { 500 });
    if gain > worth {
        return Some((now, "a refresh"));
    }
    let gains = end + Duration::from_millis(100) < last_refresh + Duration::from_secs(1);
    let next = if now < due { due } else { last_refresh };
    (gains && now < next).then_some((next, "a refresh without a renewal"))
}
