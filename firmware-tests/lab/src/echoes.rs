//! Which echo requests were answered, and when: the silences of an address.
//!
//! A silence is a time in which requests were lost. A gap without answers in which nothing was
//! asked, or in which answers only waited to be read, is the client's own wait for a processor.

use std::time::{Duration, Instant};

/// An answer that comes later than this did not come in time: the request waited for a neighbour.
const LATE: Duration = Duration::from_millis(100);

/// Requests in the order of their sequence numbers, which have 16 bits on the wire.
#[derive(Debug, Default)]
pub(crate) struct Echoes {
    requests: Vec<Request>,
    /// When answers came, in order.
    answers: Vec<Instant>,
}

#[derive(Debug)]
struct Request {
    sent: Instant,
    answered: Option<Instant>,
}

impl Request {
    fn in_time(&self) -> Option<Instant> {
        self.answered.filter(|at| *at - self.sent <= LATE)
    }
}

impl Echoes {
    /// Notes a request that is about to go out; its sequence number.
    pub(crate) fn ask(&mut self, now: Instant) -> u16 {
        let number = self.requests.len();
        self.requests.push(Request { sent: now, answered: None });
        low_bits(number)
    }

    /// Notes the answer to the latest request of this number.
    pub(crate) fn answer(&mut self, sequence: u16, now: Instant) {
        self.answers.push(now);
        let latest = self.requests.len().checked_sub(1);
        let back = latest.map(|latest| low_bits(latest).wrapping_sub(sequence));
        let place = latest.zip(back).and_then(|(latest, back)| latest.checked_sub(back.into()));
        if let Some(place) = place {
            self.requests[place].answered.get_or_insert(now);
        }
    }

    /// When answers came, in order.
    pub(crate) fn answers(&self) -> &[Instant] {
        &self.answers
    }

    /// The longest silence between `since` and `now`: from the last request that was answered in
    /// time to the answer to the next one. One that began before `since` counts whole, one that
    /// lasts counts until `now`.
    pub(crate) fn longest_silence(&self, since: Instant, now: Instant) -> Duration {
        let from = self.requests.partition_point(|request| request.sent < since);
        let before = self.requests[..from].iter().rposition(|request| request.in_time().is_some());
        let mut heard = before.map_or(since, |place| self.requests[place].sent);
        let mut longest = Duration::ZERO;
        let mut lost = false;
        for request in &self.requests[before.map_or(from, |place| place + 1)..] {
            match request.in_time() {
                Some(answered) => {
                    if lost {
                        longest = longest.max(answered - heard);
                    }
                    (heard, lost) = (request.sent, false);
                }
                None => lost |= now - request.sent > LATE,
            }
        }
        if lost { longest.max(now - heard) } else { longest }
    }
}

fn low_bits(number: usize) -> u16 {
    u16::try_from(number & 0xffff).expect("16 bits")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Requests at these milliseconds; each answered after so many, or never.
    fn echoes(origin: Instant, sent: impl IntoIterator<Item = (u64, Option<u64>)>) -> Echoes {
        let mut echoes = Echoes::default();
        for (at, answered) in sent {
            let at = origin + Duration::from_millis(at);
            let number = echoes.ask(at);
            if let Some(after) = answered {
                echoes.answer(number, at + Duration::from_millis(after));
            }
        }
        echoes
    }

    #[test]
    fn a_gap_in_which_no_request_was_lost_is_no_silence() {
        let origin = Instant::now();
        let seen = echoes(origin, [(0, Some(0)), (1, Some(40)), (41, Some(1)), (90, Some(1))]);
        let now = origin + Duration::from_millis(95);
        assert_eq!(seen.longest_silence(origin, now), Duration::ZERO);
    }

    #[test]
    fn a_silence_reaches_from_the_last_request_heard_to_the_next_answer() {
        let origin = Instant::now();
        let sent = [(0, Some(1)), (10, None), (20, Some(150)), (30, Some(2)), (40, Some(1))];
        let seen = echoes(origin, sent);
        let now = origin + Duration::from_millis(200);
        assert_eq!(seen.longest_silence(origin, now), Duration::from_millis(32));
        // It began before, and counts whole; what is over before `since` does not count.
        let later = |millis| seen.longest_silence(origin + Duration::from_millis(millis), now);
        assert_eq!(later(15), Duration::from_millis(32));
        assert_eq!(later(35), Duration::ZERO);
    }

    #[test]
    fn a_silence_that_lasts_counts_until_now() {
        let origin = Instant::now();
        let seen = echoes(origin, [(0, Some(1)), (10, None), (20, None)]);
        let at = |millis| origin + Duration::from_millis(millis);
        assert_eq!(seen.longest_silence(origin, at(50)), Duration::ZERO, "it may yet come");
        assert_eq!(seen.longest_silence(origin, at(500)), Duration::from_millis(500));
    }

    #[test]
    fn sequence_numbers_that_begin_anew_find_their_requests() {
        let origin = Instant::now();
        let sent = (0..70_000).map(|at| (at, (at != 69_000).then_some(0)));
        let seen = echoes(origin, sent);
        let now = origin + Duration::from_secs(80);
        assert_eq!(seen.longest_silence(origin, now), Duration::from_millis(2));
    }
}
