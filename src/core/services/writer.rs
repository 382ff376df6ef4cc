//! The writes about one Service: which one is under way, what became of the last one, and when
//! the next may be.

use std::time::Duration;

use crate::core::input::{ConditionChange, HostChange, IngressChange, ServiceOutcome};
use crate::core::jitter::backoff;
use crate::core::status::ServiceState;
use crate::core::time::Moment;

/// A write that was not answered by then is lost.
pub(super) const LOST: Duration = Duration::from_secs(30);
/// After another has undone what we wrote, it is not written again sooner.
const REWRITE: Duration = Duration::from_secs(1);
/// The same to be written again within this time: somebody undoes it.
const SOON: Duration = Duration::from_secs(30);

/// What is to be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wish {
    pub(super) host: HostChange,
    pub(super) ingress: IngressChange,
    pub(super) condition: ConditionChange,
}

/// The writes of one Service.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    stored_at: Option<Moment>,
    /// `None`: nothing is under way, and nothing about earlier writes matters any more.
    course: Option<Box<Course>>,
    /// How it was when it was looked at last, and since when.
    state: Option<ServiceState>,
    since: Moment,
    /// What was said of it last, and when.
    pub(super) said: Option<(u64, Moment)>,
}

/// Writes that are under way, or that the next one depends on.
#[derive(Clone, Debug, Default)]
struct Course {
    under_way: Option<(u64, Moment)>,
    wish: Option<Wish>,
    /// Stored since the object was seen last.
    stored: Option<Wish>,
    /// Times in a row that the same was to be written again soon.
    rewrites: u32,
    failures: u32,
    not_before: Moment,
    /// When it is this node's turn to write what several nodes want written.
    turn_at: Option<Moment>,
    trouble: Option<Box<str>>,
}

impl Course {
    fn matters(&self, stored_at: Option<Moment>, now: Moment) -> bool {
        let undone = self.rewrites > 0 && stored_at.is_some_and(|at| now < at + SOON);
        let waits = self.under_way.is_some() || self.turn_at.is_some();
        let pending = waits || self.stored.is_some();
        pending || undone || self.failures > 0 || now < self.not_before
    }
}

impl Writer {
    /// For a Service that was seen first at `now`.
    #[must_use]
    pub(super) fn new(now: Moment) -> Self {
        Self { stored_at: None, course: None, state: None, since: now, said: None }
    }

    /// The object was seen anew: what was stored may be in it, or overwritten.
    pub(super) fn seen(&mut self, now: Moment) {
        self.settled();
        self.rest(now);
    }

    /// Forgets what does not matter any more.
    pub(super) fn rest(&mut self, now: Moment) {
        let stored_at = self.stored_at;
        self.course = self.course.take().filter(|course| course.matters(stored_at, now));
    }

    /// Why the last write failed, if it did.
    #[must_use]
    pub(super) fn trouble(&self) -> Option<&str> {
        self.course.as_ref()?.trouble.as_deref()
    }

    /// How it is, and since when.
    #[must_use]
    pub(super) fn state(&self) -> (Option<ServiceState>, Moment) {
        (self.state, self.since)
    }

    /// How it is now.
    pub(super) fn note(&mut self, state: ServiceState, now: Moment) {
        if self.state == Some(state) {
            return;
        }
        self.state = Some(state);
        self.since = now;
        self.said = None;
    }

    /// The write that is under way, by its number, and when it was sent.
    #[must_use]
    pub(super) fn under_way(&self) -> Option<(u64, Moment)> {
        self.course.as_ref()?.under_way
    }

    /// When the next write may be, at the earliest.
    #[must_use]
    pub(super) fn not_before(&self) -> Moment {
        self.course.as_ref().map_or(Moment::default(), |course| course.not_before)
    }

    /// Whether just this was stored since the object was seen last.
    #[must_use]
    pub(super) fn has_stored(&self, wish: &Wish) -> bool {
        self.course.as_ref().is_some_and(|course| course.stored.as_ref() == Some(wish))
    }

    /// Nothing is to be changed: what was stored is in the object as it was seen last.
    pub(super) fn settled(&mut self) {
        if let Some(course) = &mut self.course {
            course.stored = None;
            course.turn_at = None;
        }
    }

    /// Whether it is this node's turn to write what is to be written, `turn` after it came up.
    pub(super) fn is_our_turn(&mut self, turn: Duration, now: Moment) -> bool {
        if turn == Duration::ZERO {
            return true;
        }
        now >= *self.course.get_or_insert_default().turn_at.get_or_insert(now + turn)
    }

    /// When that is.
    #[must_use]
    pub(super) fn turn_at(&self) -> Option<Moment> {
        self.course.as_ref()?.turn_at
    }

    /// A write begins.
    pub(super) fn begin(&mut self, attempt: u64, wish: Wish, now: Moment) {
        let course = self.course.get_or_insert_default();
        course.under_way = Some((attempt, now));
        course.turn_at = None;
        course.wish = Some(wish);
    }

    /// The write that was under way was answered.
    pub(super) fn answered(&mut self, outcome: &ServiceOutcome, now: Moment) {
        let course = self.course.get_or_insert_default();
        course.under_way = None;
        let wish = course.wish.take();
        let again = match outcome {
            ServiceOutcome::Done => {
                let soon = self.stored_at.is_some_and(|at| now.since(at) < SOON);
                course.rewrites = if soon { course.rewrites + 1 } else { 0 };
                if course.rewrites > 2 {
                    let times = course.rewrites - 2;
                    course.not_before = now + backoff(REWRITE, Duration::from_secs(60), times);
                }
                course.stored = wish;
                self.stored_at = Some(now);
                course.failures = 0;
                course.trouble = None;
                return;
            }
            // The watch tells what has become of it.
            ServiceOutcome::Gone => Duration::from_secs(5),
            ServiceOutcome::Conflict => {
                backoff(Duration::from_millis(50), Duration::from_secs(5), course.failures + 1)
            }
            ServiceOutcome::Refused(_) => {
                backoff(Duration::from_secs(5), Duration::from_secs(300), course.failures + 1)
            }
            ServiceOutcome::Failed(_) => {
                backoff(Duration::from_millis(500), Duration::from_secs(30), course.failures + 1)
            }
        };
        course.failures += 1;
        course.not_before = now + again;
        if let ServiceOutcome::Refused(why) | ServiceOutcome::Failed(why) = outcome {
            course.trouble = Some(why.as_str().into());
        }
    }
}
