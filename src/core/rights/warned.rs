//! What the log says of a thousand leases: what is wrong with all of them once.

use std::time::Duration;

use crate::core::report::{Level, Report};
use crate::core::time::Moment;

/// The same is not said again of another lease within this time.
const WARNED_AGAIN: Duration = Duration::from_secs(600);
/// And something else not within this.
const WARNED_APART: Duration = Duration::from_secs(5);

/// What was warned of last about any Service's lease.
#[derive(Clone, Debug, Default)]
pub(super) struct Warned {
    what: String,
    at: Option<Moment>,
}

impl Warned {
    /// What is news about one lease is detail among a thousand; what goes wrong with all of them is
    /// said once, with one of them as the example.
    pub(super) fn hush(&mut self, report: Report, now: Moment) -> Report {
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
}
