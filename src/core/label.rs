//! Labels on our own Node object that say which addresses it has (LBL-1).

use std::time::Duration;

use super::jitter::backoff;
use super::time::Moment;

/// The key that kube-vip uses.
pub const KEY: &str = "kube-vip.io/has-ip";
/// A write that was not answered by then is lost.
const LOST: Duration = Duration::from_secs(15);

/// The label as wanted and as written.
#[derive(Clone, Debug)]
pub struct Label<T = Option<String>> {
    /// What the label is; `None` while that is not known: before the first write, and after one
    /// that may or may not have been stored.
    written: Option<T>,
    under_way: Option<(T, Moment)>,
    failures: u32,
    not_before: Moment,
    trouble: Option<String>,
}

impl<T> Default for Label<T> {
    fn default() -> Self {
        Self {
            written: None,
            under_way: None,
            failures: 0,
            not_before: Moment::default(),
            trouble: None,
        }
    }
}

impl<T: Clone + PartialEq> Label<T> {
    /// The write to make now so that the label becomes `wanted`: a value, or its removal.
    pub fn drive(&mut self, wanted: T, now: Moment) -> Option<T> {
        if self.under_way.as_ref().is_some_and(|(_, asked)| now >= *asked + LOST) {
            self.answered(Err("no answer".to_owned()), now);
        }
        let settled = self.written.as_ref() == Some(&wanted);
        if settled || self.under_way.is_some() || now < self.not_before {
            return None;
        }
        self.under_way = Some((wanted.clone(), now));
        Some(wanted)
    }

    /// When [`Label::drive`] has something to do by itself.
    #[must_use]
    pub fn deadline(&self, wanted: &T) -> Option<Moment> {
        match &self.under_way {
            Some((_, asked)) => Some(*asked + LOST),
            None if self.written.as_ref() == Some(wanted) => None,
            None => Some(self.not_before),
        }
    }

    /// The write worked, or why not.
    pub fn answered(&mut self, outcome: Result<(), String>, now: Moment) {
        let Some((value, _)) = self.under_way.take() else { return };
        match outcome {
            Ok(()) => {
                self.written = Some(value);
                self.failures = 0;
                self.trouble = None;
            }
            Err(why) => {
                self.written = None;
                self.failures += 1;
                let wait = backoff(Duration::from_secs(1), Duration::from_secs(60), self.failures);
                self.not_before = now + wait;
                self.trouble = Some(why);
            }
        }
    }

    /// Why the last write failed, if it did.
    #[must_use]
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// Whether it is known to be `wanted`.
    #[must_use]
    pub fn is_settled(&self, wanted: &T) -> bool {
        self.under_way.is_none() && self.written.as_ref() == Some(wanted)
    }

    /// What was written last, if that is known.
    #[must_use]
    pub const fn written(&self) -> Option<&T> {
        self.written.as_ref()
    }
}

impl Label {
    /// Whether the label may be there.
    #[must_use]
    pub fn lingers(&self) -> bool {
        !self.is_settled(&None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_that_a_crashed_run_left_is_removed_at_start_and_nothing_is_written_twice() {
        let mut label: Label = Label::default();
        let t = Moment::default();
        assert_eq!(label.drive(None, t), Some(None));
        label.answered(Ok(()), t);
        assert_eq!(label.drive(None, t), None);
        assert_eq!(label.drive(Some("10.0.0.1".to_owned()), t), Some(Some("10.0.0.1".to_owned())));
        assert!(label.lingers());
    }

    #[test]
    fn a_label_whose_write_got_no_answer_is_written_again_whatever_is_wanted_by_then() {
        let mut label: Label = Label::default();
        let t = Moment::default();
        label.drive(None, t);
        label.answered(Ok(()), t);
        label.drive(Some("10.0.0.1".to_owned()), t);
        label.answered(Err("timeout".to_owned()), t);
        let later = label.deadline(&None).expect("it is repaired");
        assert_eq!(label.drive(None, later), Some(None));
    }

    #[test]
    fn a_refused_label_is_tried_again_later_and_later() {
        let mut label: Label = Label::default();
        let t = Moment::default();
        let mut waits = Vec::new();
        let mut now = t;
        for _ in 0..4 {
            assert!(label.drive(None, now).is_some());
            label.answered(Err("403".to_owned()), now);
            let next = label.deadline(&None).unwrap();
            waits.push(next.since(now).as_secs());
            now = next;
        }
        assert_eq!(waits, [1, 2, 4, 8]);
        assert_eq!(label.trouble(), Some("403"));
    }
}
