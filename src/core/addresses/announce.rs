//! When an address is announced: at once, again soon, then periodically (design law 7).

use std::time::Duration;

use crate::core::time::Moment;

/// After the first announcement. A takeover can cross another station's frame on the wire; what
/// the neighbours heard last counts, so it is said again.
const BURST: [Duration; 3] =
    [Duration::from_millis(50), Duration::from_millis(200), Duration::from_secs(1)];

/// The periodic announcements of one address among many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rhythm {
    /// Time between two announcements.
    pub every: Duration,
    /// Time from the burst to the first periodic announcement, no longer than `every`: addresses
    /// that were taken together are not announced together for ever.
    pub phase: Duration,
}

impl Rhythm {
    /// For an address on its own.
    #[must_use]
    pub const fn alone(every: Duration) -> Self {
        Self { every, phase: every }
    }
}

/// The announcements of one held address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    began: Moment,
    next: Moment,
    /// Announcements that are done, the first one included; of many, the burst's at least.
    done: u8,
}

impl Schedule {
    /// Starts with an announcement that is due at once.
    #[must_use]
    pub const fn new(now: Moment) -> Self {
        Self { began: now, next: now, done: 0 }
    }

    /// The next moment at which [`Schedule::due`] says yes.
    #[must_use]
    pub const fn next(&self) -> Moment {
        self.next
    }

    /// Whether to announce now; if so, the schedule moves on.
    pub fn due(&mut self, now: Moment, rhythm: Rhythm) -> bool {
        if now < self.next {
            return false;
        }
        let done = usize::from(self.done);
        self.next = match BURST.get(done) {
            Some(offset) => (self.began + *offset).max(now + Duration::from_millis(1)),
            None if done == BURST.len() => now + rhythm.phase,
            None => now + rhythm.every,
        };
        self.done = self.done.saturating_add(1);
        true
    }

    /// The last announcement was not made after all: it is due now.
    pub fn postpone(&mut self, now: Moment) {
        self.done = self.done.saturating_sub(1);
        self.next = now;
    }

    /// Says everything again from the start, but not more often than every 100 ms: two stations
    /// that answer each other must not fill the wire.
    pub fn again(&mut self, now: Moment) {
        let soonest = self.began + Duration::from_millis(100);
        if now >= soonest {
            *self = Self::new(now);
        } else {
            self.next = self.next.min(soonest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Moment {
        Moment::from_boot(Duration::from_millis(millis))
    }

    const ALONE: Rhythm = Rhythm::alone(Duration::from_secs(3));

    fn times(schedule: &mut Schedule, rhythm: Rhythm, until: u64) -> Vec<u64> {
        (0..=until).filter(|t| schedule.due(at(*t), rhythm)).collect()
    }

    #[test]
    fn an_address_is_announced_at_once_then_soon_again_then_periodically() {
        let mut schedule = Schedule::new(at(0));
        assert_eq!(times(&mut schedule, ALONE, 8000), [0, 50, 200, 1000, 4000, 7000]);
    }

    #[test]
    fn addresses_taken_together_are_announced_apart_and_none_waits_longer_than_its_interval() {
        let every = Duration::from_secs(3);
        let rhythm = Rhythm { every, phase: Duration::from_millis(700) };
        let mut schedule = Schedule::new(at(0));
        assert_eq!(times(&mut schedule, rhythm, 8000), [0, 50, 200, 1000, 1700, 4700, 7700]);
    }

    #[test]
    fn a_late_turn_does_not_send_the_whole_burst_at_once() {
        let mut schedule = Schedule::new(at(0));
        assert!(schedule.due(at(500), ALONE));
        assert!(!schedule.due(at(500), ALONE));
        assert!(schedule.due(at(501), ALONE));
    }

    #[test]
    fn rivals_that_answer_each_other_do_not_fill_the_wire() {
        let mut schedule = Schedule::new(at(0));
        let mut sent = 0;
        for t in 0..1000 {
            schedule.again(at(t));
            sent += u32::from(schedule.due(at(t), ALONE));
        }
        assert!((10..=30).contains(&sent), "{sent} announcements in a second");
    }
}
