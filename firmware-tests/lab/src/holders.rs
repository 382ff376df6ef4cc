//! Who has an address: one thread lists the addresses of every node every 10 ms, straight from
//! each kernel, and keeps the spans in which each node had each watched address. Where a list takes
//! long (hundreds of addresses) it looks less often.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::rtnl::Rtnl;
use crate::topology::{Lab, is_own};

const PERIOD: Duration = Duration::from_millis(10);

/// A span in which a node was seen with an address: from its first sight to its last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The node's place in the lab.
    pub node: usize,
    /// When it was first seen with the address.
    pub first: Instant,
    /// When it was last seen with it.
    pub last: Instant,
    /// When it was first seen without it again; none while it still has it.
    pub gone: Option<Instant>,
}

/// Who had one address, over time.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    /// In order of `first`.
    pub spans: Vec<Span>,
}

/// Two nodes with one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overlap {
    /// Who.
    pub nodes: (usize, usize),
    /// From when.
    pub from: Instant,
    /// For at least how long.
    pub length: Duration,
}

/// What one sample showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sight {
    There,
    Absent,
}

impl Timeline {
    fn see(&mut self, node: usize, at: Instant, sight: Sight) {
        let open =
            self.spans.iter_mut().rev().find(|span| span.node == node && span.gone.is_none());
        match (open, sight) {
            (Some(span), Sight::There) => span.last = at,
            (Some(span), Sight::Absent) => span.gone = Some(at),
            (None, Sight::There) => {
                self.spans.push(Span { node, first: at, last: at, gone: None });
            }
            (None, Sight::Absent) => {}
        }
    }

    /// Who has it now, as last seen.
    pub fn holders(&self) -> Vec<usize> {
        self.spans.iter().filter(|span| span.gone.is_none()).map(|span| span.node).collect()
    }

    /// Every time that two nodes had it at once. Each span reaches only from first to last sight,
    /// so a hand-over between two samples is never mistaken for an overlap.
    pub fn overlaps(&self) -> Vec<Overlap> {
        let mut found = Vec::new();
        for (place, one) in self.spans.iter().enumerate() {
            for other in &self.spans[place + 1..] {
                let (from, to) = (one.first.max(other.first), one.last.min(other.last));
                if one.node != other.node && from < to {
                    let nodes = (one.node, other.node);
                    found.push(Overlap { nodes, from, length: to - from });
                }
            }
        }
        found
    }

    /// The longest time that two nodes had it at once.
    pub fn longest_overlap(&self) -> Duration {
        self.overlaps().iter().map(|overlap| overlap.length).max().unwrap_or_default()
    }

    /// The longest time since `since` in which nobody had it, up to `now`; a time before somebody
    /// first had it does not count.
    pub fn longest_absence(&self, since: Instant, now: Instant) -> Duration {
        let Some(first) = self.spans.first() else { return now - since };
        let mut had = since.max(first.first);
        let mut longest = Duration::ZERO;
        for span in &self.spans {
            longest = longest.max(span.first.saturating_duration_since(had));
            had = had.max(if span.gone.is_some() { span.last } else { now });
        }
        longest.max(now.saturating_duration_since(had))
    }

    /// The most nodes that ever had it at once.
    pub fn most_holders(&self) -> usize {
        let at_once = |moment: Instant| {
            self.spans.iter().filter(|span| span.first <= moment && moment <= span.last).count()
        };
        self.spans.iter().map(|span| at_once(span.first)).max().unwrap_or_default()
    }

    /// The spans of one node.
    pub fn of(&self, node: usize) -> Vec<&Span> {
        self.spans.iter().filter(|span| span.node == node).collect()
    }
}

/// Which addresses are watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Watched {
    These,
    All,
}

type Timelines = Arc<Mutex<BTreeMap<IpAddr, Timeline>>>;

/// The thread that watches, until this value is dropped.
#[derive(Debug)]
pub struct HolderWatch {
    timelines: Timelines,
    rest: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl HolderWatch {
    /// Watches `addresses` on all nodes of `lab`.
    pub fn start(lab: &Lab, addresses: &[IpAddr]) -> Self {
        Self::watch(lab, Watched::These, addresses)
    }

    /// Watches every address on all nodes of `lab` but those that are the nodes' own.
    pub fn start_all(lab: &Lab) -> Self {
        Self::watch(lab, Watched::All, &[])
    }

    fn watch(lab: &Lab, watched: Watched, addresses: &[IpAddr]) -> Self {
        let mut sockets: Vec<Rtnl> =
            lab.nodes.iter().map(|node| node.namespace.run(Rtnl::open)).collect();
        let timelines: Timelines = Arc::default();
        for address in addresses {
            timelines.lock().unwrap().insert(*address, Timeline::default());
        }
        let [rest, stop] = [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
        let (shared, resting, stopped) =
            (Arc::clone(&timelines), Arc::clone(&rest), Arc::clone(&stop));
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                if resting.load(Ordering::Relaxed) {
                    thread::sleep(PERIOD);
                    continue;
                }
                let round = Instant::now();
                for (node, socket) in sockets.iter_mut().enumerate() {
                    let here: BTreeSet<IpAddr> =
                        socket.addresses().into_iter().map(|one| one.address).collect();
                    let at = Instant::now();
                    look(&mut shared.lock().unwrap(), watched, (node, at), &here);
                }
                let took = round.elapsed();
                thread::sleep(PERIOD.saturating_sub(took).max(took));
            }
        });
        Self { timelines, rest, stop, thread: Some(thread) }
    }

    /// Looks no more until [`HolderWatch::resume`]: a look at a thousand addresses costs time that
    /// a measurement may need.
    pub fn rest(&self) {
        self.rest.store(true, Ordering::Relaxed);
    }

    /// Looks again.
    pub fn resume(&self) {
        self.rest.store(false, Ordering::Relaxed);
    }

    /// Forgets all that was: for a watch over all addresses.
    pub fn forget(&self) {
        self.timelines.lock().unwrap().clear();
    }

    /// What was seen of `address` so far.
    pub fn timeline(&self, address: IpAddr) -> Timeline {
        self.timelines.lock().unwrap().get(&address).cloned().unwrap_or_default()
    }

    /// All timelines.
    pub fn timelines(&self) -> BTreeMap<IpAddr, Timeline> {
        self.timelines.lock().unwrap().clone()
    }

    /// Who has `address` now.
    pub fn holders(&self, address: IpAddr) -> Vec<usize> {
        self.timeline(address).holders()
    }
}

/// Notes what one node had at one moment.
fn look(
    timelines: &mut BTreeMap<IpAddr, Timeline>,
    watched: Watched,
    (node, at): (usize, Instant),
    here: &BTreeSet<IpAddr>,
) {
    if watched == Watched::All {
        for address in here.iter().filter(|address| !is_own(**address)) {
            timelines.entry(*address).or_default();
        }
    }
    for (address, timeline) in timelines {
        let sight = if here.contains(address) { Sight::There } else { Sight::Absent };
        timeline.see(node, at, sight);
    }
}

impl Drop for HolderWatch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Sight::{Absent, There};
    use super::*;

    fn timeline(seen: &[(usize, u64, Sight)]) -> Timeline {
        let start = Instant::now();
        let mut timeline = Timeline::default();
        for (node, millis, sight) in seen {
            timeline.see(*node, start + Duration::from_millis(*millis), *sight);
        }
        timeline
    }

    #[test]
    fn a_hand_over_between_two_samples_is_no_overlap() {
        let moved = timeline(&[(0, 0, There), (1, 1, Absent), (0, 10, Absent), (1, 11, There)]);
        assert_eq!(moved.overlaps(), []);
        assert_eq!(moved.holders(), [1]);
        assert_eq!(moved.most_holders(), 1);
    }

    #[test]
    fn an_absence_is_the_time_between_two_holders_and_from_the_last_one_to_now() {
        let seen = timeline(&[(0, 0, There), (0, 10, There), (0, 20, Absent), (1, 70, There)]);
        let first = seen.spans[0].first;
        let at = |millis| first + Duration::from_millis(millis);
        assert_eq!(seen.longest_absence(first, at(80)), Duration::from_millis(60));
        assert_eq!(seen.longest_absence(at(30), at(80)), Duration::from_millis(40));
        let gone = timeline(&[(0, 0, There), (0, 10, Absent)]);
        let first = gone.spans[0].first;
        let now = first + Duration::from_millis(90);
        assert_eq!(gone.longest_absence(first, now), Duration::from_millis(90));
    }

    #[test]
    fn two_nodes_with_the_address_in_two_samples_running_are_an_overlap() {
        let both = timeline(&[
            (0, 0, There),
            (1, 1, There),
            (0, 10, There),
            (1, 11, There),
            (0, 20, Absent),
        ]);
        assert_eq!(both.longest_overlap(), Duration::from_millis(9));
        assert_eq!(both.most_holders(), 2);
    }
}
