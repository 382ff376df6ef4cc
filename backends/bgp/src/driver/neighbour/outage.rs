//! What the log has said of one peer's time without a session: each reason once. Pure.

use std::collections::BTreeSet;

/// Different reasons in one time without a session; further ones are in `viplet status` alone.
const MOST: usize = 8;

/// The reasons that the log has said since there was a session last.
#[derive(Debug, Default)]
pub(super) struct Outage {
    said: BTreeSet<String>,
}

impl Outage {
    /// Whether a reason is to be said now; from then on it is not.
    pub(super) fn is_news(&mut self, why: &str) -> bool {
        self.said.len() < MOST && self.said.insert(why.to_owned())
    }

    /// There is a session: what ends it is news again.
    pub(super) fn end(&mut self) {
        self.said.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_said_once_until_there_was_a_session() {
        let mut outage = Outage::default();
        assert!(outage.is_news("bad peer AS") && !outage.is_news("bad peer AS"));
        assert!(outage.is_news("refused") && !outage.is_news("bad peer AS"));
        outage.end();
        assert!(outage.is_news("bad peer AS"));
    }

    #[test]
    fn reasons_that_are_never_the_same_do_not_fill_the_log() {
        let mut outage = Outage::default();
        let said = (0..1000).filter(|n| outage.is_news(&format!("reason {n}"))).count();
        assert_eq!(said, MOST);
    }
}
