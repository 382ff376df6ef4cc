//! The watches that Services need, of each process: list, then changes; resumed after a break,
//! listed afresh after a gap.

use std::collections::VecDeque;

use viplet::core::cluster::record::{Change, NodeRecord};
use viplet::core::input::LeaseSeen;
use viplet::core::{Input, LeaseName, LeaseView};

use super::cluster::IDLE;
use super::{Event, Schedule, Who, World};
use crate::clock::{MS, Nanos};
use crate::leases::view;
use crate::objects::SORTS;

/// A watch of one sort.
#[derive(Debug, Default)]
pub(crate) struct Feed {
    number: u64,
    /// Sent up to this version.
    cursor: Option<u64>,
    /// The version to resume from.
    last: Option<u64>,
    held: VecDeque<(u64, Input)>,
    under_way: usize,
    at: Nanos,
}

impl World {
    pub(super) fn open_feed(&mut self, who: Who, sort: usize, number: u64) {
        let reaches = self.reaches_api(who.node);
        let again = self.now + self.rng.micros(300_000, 2_000_000);
        let Some(process) = self.process(who) else { return };
        let feed = &process.feeds[sort];
        if feed.number != number || feed.cursor.is_some() {
            return;
        }
        if !reaches {
            return self.queue.at(again, Event::OpenFeed { who, sort, number });
        }
        let last = feed.last;
        let since = last.unwrap_or_else(|| self.objects.version());
        if last.is_none() {
            self.send_feed(who, sort, since, self.objects.list(SORTS[sort]));
        }
        let opened = self.objects.since(SORTS[sort], since);
        let Some(process) = self.process(who) else { return };
        let feed = &mut process.feeds[sort];
        if opened.is_err() {
            feed.last = None;
            return self.queue.at(self.now + 10 * MS, Event::OpenFeed { who, sort, number });
        }
        feed.cursor = Some(since);
        self.queue.at(self.now + IDLE, Event::SilentFeed { who, sort, number });
        self.pump_feeds();
    }

    /// The server sends each watch what is new.
    pub(super) fn pump_feeds(&mut self) {
        if self.setup.services.is_none() {
            return;
        }
        self.take_over_leases();
        for node in 0..self.nodes.len() {
            for (sort, of) in SORTS.into_iter().enumerate() {
                let version = self.objects.version();
                let Some(process) = self.nodes[node].process.as_mut() else { continue };
                let who = Who { node, life: process.life };
                let feed = &mut process.feeds[sort];
                let Some(cursor) = feed.cursor else { continue };
                let Ok(news) = self.objects.since(of, cursor) else {
                    feed.last = None;
                    self.break_feed(node, sort);
                    continue;
                };
                feed.cursor = Some(version);
                for (version, input) in news {
                    self.send_feed(who, sort, version, input);
                }
            }
        }
    }

    /// Leases are kept in the JSON store; their watchers are served from the objects.
    fn take_over_leases(&mut self) {
        let Ok(events) = self.store.events(&mut self.lease_cursor) else { return };
        for event in events {
            let metadata = &event["object"]["metadata"];
            let text = |field: &str| metadata[field].as_str().unwrap_or_default().to_owned();
            let lease = LeaseName { namespace: text("namespace"), name: text("name") };
            let at = text("resourceVersion").parse().unwrap_or_default();
            match (event["type"].as_str(), view(&event["object"])) {
                (Some("DELETED"), _) | (_, LeaseView::Absent) => {
                    self.objects.delete_lease(&lease, at);
                }
                (_, LeaseView::Present { version, record }) => {
                    self.objects.put_lease(LeaseSeen { lease, version, record }, at);
                }
            }
        }
    }

    fn send_feed(&mut self, who: Who, sort: usize, version: u64, input: Input) {
        let at = self.now + self.latency();
        let times = if self.rng.chance(20) { 2 } else { 1 };
        let input = self.labels_of_own_node(who, input);
        let Some(process) = self.process(who) else { return };
        let feed = &mut process.feeds[sort];
        feed.at = feed.at.max(at);
        feed.under_way += times;
        let (number, at) = (feed.number, feed.at);
        for _ in 0..times {
            let input = input.clone();
            self.queue.at(at, Event::FromFeed { who, sort, number, version, input });
        }
    }

    /// A core is told only its own node's labels.
    fn labels_of_own_node(&self, who: Who, input: Input) -> Input {
        let own = self.nodes[who.node].name.as_str();
        let strip = |node: NodeRecord| match &*node.name == own {
            true => node,
            false => NodeRecord { labels: Default::default(), ..node },
        };
        match input {
            Input::Nodes(Change::Replaced(all)) => {
                Input::Nodes(Change::Replaced(all.into_iter().map(strip).collect()))
            }
            Input::Nodes(Change::Applied(node)) => Input::Nodes(Change::Applied(strip(node))),
            other => other,
        }
    }

    pub(super) fn fed(&mut self, who: Who, sort: usize, number: u64, news: (u64, Input)) {
        let passes = self.reaches_api(who.node) && self.trouble.stuck == 0;
        let Some(process) = self.process(who) else { return };
        let feed = &mut process.feeds[sort];
        if feed.number != number {
            return;
        }
        feed.under_way -= 1;
        if !passes || !feed.held.is_empty() {
            return feed.held.push_back(news);
        }
        feed.last = Some(news.0);
        self.tell(who, news);
    }

    /// What is told of Services is followed by up to which version that was.
    fn tell(&mut self, who: Who, (version, input): (u64, Input)) {
        let heard = matches!(input, Input::Services(_));
        self.give(who, input);
        if heard {
            self.give(who, Input::ServicesHeard(version.to_string().into()));
        }
    }

    /// A watch ends, for whatever reason; it is opened again soon.
    pub(super) fn break_feed(&mut self, node: usize, sort: usize) {
        let at = self.now + self.rng.micros(10_000, 1_000_000);
        let Some(process) = self.nodes[node].process.as_mut() else { return };
        let who = Who { node, life: process.life };
        let feed = &mut process.feeds[sort];
        feed.number += 1;
        feed.cursor = None;
        feed.under_way = 0;
        feed.held.clear();
        let number = feed.number;
        self.queue.at(at, Event::OpenFeed { who, sort, number });
    }

    pub(super) fn break_some_feeds(&mut self, node: usize) {
        if self.setup.services.is_none() {
            return;
        }
        for sort in 0..SORTS.len() {
            if self.rng.chance(600) {
                self.break_feed(node, sort);
            }
        }
    }

    pub(super) fn silent_feed(&mut self, who: Who, sort: usize, number: u64) {
        let Some(process) = self.process(who) else { return };
        let feed = &process.feeds[sort];
        if feed.number != number {
            return;
        }
        if feed.held.is_empty() {
            return self.queue.at(self.now + IDLE / 4, Event::SilentFeed { who, sort, number });
        }
        self.break_feed(who.node, sort);
    }

    /// The way is free again.
    pub(super) fn release_feeds(&mut self, node: usize) {
        let free = self.reaches_api(node) && self.trouble.stuck == 0;
        if self.setup.services.is_none() || !free {
            return;
        }
        for sort in 0..SORTS.len() {
            if self.rng.chance(300) {
                self.break_feed(node, sort);
                continue;
            }
            let Some(process) = self.nodes[node].process.as_mut() else { return };
            let who = Who { node, life: process.life };
            // At once, for nothing that is still under way may overtake it.
            let held: Vec<_> = process.feeds[sort].held.drain(..).collect();
            for (version, input) in held {
                self.process(who).into_iter().for_each(|p| p.feeds[sort].last = Some(version));
                self.tell(who, (version, input));
            }
        }
    }

    /// Whether the node's process hears of what changes within a moment.
    pub(super) fn hears(&self, node: usize) -> bool {
        let open = |feed: &Feed| {
            let late = feed.at > self.now + 20 * MS;
            feed.cursor.is_some() && feed.last.is_some() && feed.held.is_empty() && !late
        };
        let Some(process) = &self.nodes[node].process else { return false };
        process.feeds.iter().all(open)
            && self.nodes[node].schedule == Schedule::Prompt
            && self.reaches_api(node)
            && self.trouble.slow_ms == 0
            && self.trouble.stuck == 0
    }
}
