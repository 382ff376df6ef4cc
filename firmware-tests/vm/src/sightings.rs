//! Who reported which address when, and whether two ever had the same one.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::machine::Orders;

/// Between two questions.
const PERIOD: Duration = Duration::from_millis(20);

/// One machine's report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// When the answer came.
    pub at: Instant,
    /// Which machine.
    pub machine: usize,
    /// The addresses that it had.
    pub addresses: Vec<Ipv4Addr>,
}

/// Two machines are asked in turn, until dropped.
#[derive(Debug)]
pub struct Watch {
    seen: Arc<Mutex<Vec<Sighting>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Asks from now on.
    pub fn start(machines: Vec<Orders>) -> Self {
        let seen: Arc<Mutex<Vec<Sighting>>> = Arc::default();
        let stop = Arc::new(AtomicBool::new(false));
        let (shared, stopped) = (Arc::clone(&seen), Arc::clone(&stop));
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                for (machine, orders) in machines.iter().enumerate() {
                    if let Some(addresses) = orders.addresses() {
                        let sighting = Sighting { at: Instant::now(), machine, addresses };
                        shared.lock().unwrap().push(sighting);
                    }
                    thread::sleep(PERIOD);
                }
            }
        });
        Self { seen, stop, thread: Some(thread) }
    }

    /// All reports so far, in order.
    pub fn all(&self) -> Vec<Sighting> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// When two machines surely had the address at once: one had it before and after the other had it.
#[must_use]
pub fn on_two(sightings: &[Sighting], address: Ipv4Addr) -> Option<Instant> {
    let both = |three: &&[Sighting]| {
        three[0].machine == three[2].machine
            && three[0].machine != three[1].machine
            && three.iter().all(|one| one.addresses.contains(&address))
    };
    sightings.windows(3).find(both).map(|three| three[1].at)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

    fn sightings(reports: &[(usize, bool)]) -> Vec<Sighting> {
        let addresses = |has: bool| if has { vec![ADDRESS] } else { Vec::new() };
        let one = |(machine, has): &(usize, bool)| Sighting {
            at: Instant::now(),
            machine: *machine,
            addresses: addresses(*has),
        };
        reports.iter().map(one).collect()
    }

    #[test]
    fn an_address_that_one_has_before_and_after_the_other_has_it_is_on_two() {
        let seen = sightings(&[(0, true), (1, false), (0, true), (1, true), (0, true)]);
        assert!(on_two(&seen, ADDRESS).is_some());
        assert!(on_two(&seen, Ipv4Addr::LOCALHOST).is_none());
    }

    #[test]
    fn an_address_that_moves_is_not_on_two() {
        let seen = sightings(&[(0, true), (1, false), (0, true), (1, true), (0, false), (1, true)]);
        assert!(on_two(&seen, ADDRESS).is_none());
        let dead = sightings(&[(0, true), (1, true), (1, true), (1, true)]);
        assert!(on_two(&dead, ADDRESS).is_none());
    }
}
