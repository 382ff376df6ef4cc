//! Between the nodes and the API server: requests, answers, the watch of each process, and the
//! trouble that spoils them.

use std::collections::VecDeque;

use serde_json::Value;
use viplet::core::cluster::record::Change;
use viplet::core::input::Mark;
use viplet::core::{Input, LeaseName, LeaseRequest, LeaseVerb, LeaseView, Origin, WriteOutcome};

use super::{Event, Schedule, Who, World};
use crate::api::{Bookmarks, Collection, ListQuery, Resource, Selectors, Watch};
use crate::clock::{MS, Nanos, S, nanos};
use crate::leases::{self, Answer, serve, view};

/// A request under way.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    who: Who,
    request: LeaseRequest,
    wall: String,
    /// Its time was up while the process could not see that.
    overdue: bool,
}

/// What is wrong between the nodes and the API server. Counts: faults may overlap.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Trouble {
    pub(super) outages: u32,
    /// The most that an answer may take, in milliseconds; 0: the usual.
    pub(super) slow_ms: u64,
    /// Requests answered with 500 or 429, in a thousand.
    pub(super) errors: u64,
    /// Writes answered with a 409 that nobody caused, in a thousand.
    pub(super) conflicts: u64,
    /// Answers lost after the request was carried out, in a thousand.
    pub(super) lost: u64,
    /// Watch events are swallowed.
    pub(super) stuck: u32,
    pub(super) resolver_fails: u32,
}

/// A process's watch of its lease.
#[derive(Debug, Default)]
pub(crate) struct Watching {
    number: u64,
    cursor: Option<Watch>,
    /// The version to resume from.
    last: Option<String>,
    /// Sent, but cut off on the way: they arrive when the way is free again, in order.
    held: VecDeque<(String, Input)>,
    /// No event overtakes another.
    at: Nanos,
}

/// A connection that says nothing for so long is broken off by the client.
pub(super) const IDLE: Nanos = 40 * S;

impl World {
    pub(super) fn reaches_api(&self, node: usize) -> bool {
        self.nodes[node].cuts == 0 && self.trouble.outages == 0
    }

    pub(super) fn latency(&mut self) -> Nanos {
        match self.trouble.slow_ms {
            0 => self.rng.micros(200, 8000),
            most => self.rng.micros(1000, most * 1000),
        }
    }

    pub(super) fn call(&mut self, who: Who, request: LeaseRequest) {
        let name = &self.nodes[who.node].name;
        self.trace.line(
            self.now,
            format_args!("{name} > {} {}", request.lease.name, asked(&request.verb)),
        );
        self.called += 1;
        let (call, wall) = (self.called, self.wall(who.node));
        self.queue.at(self.now + nanos(request.timeout), Event::Timeout { call });
        self.calls.insert(call, Call { who, request, wall, overdue: false });
        if self.reaches_api(who.node) {
            let at = self.now + self.latency();
            self.queue.at(at, Event::Arrive { call });
        } else if self.rng.chance(300) {
            // What waits in a socket may arrive long after the client has given up.
            let at = self.now + self.rng.micros(200_000, 20_000_000);
            self.queue.at(at, Event::Arrive { call });
        } else if self.trouble.outages > 0 && self.rng.chance(500) {
            let refused = "connection refused".to_owned();
            let answer = match self.calls[&call].request.verb {
                LeaseVerb::Read => Answer::Read(Err(refused)),
                _ => Answer::Written(WriteOutcome::Unknown(refused)),
            };
            let at = self.now + self.rng.micros(100, 2000);
            self.queue.at(at, Event::Answer { call, answer });
        }
    }

    pub(super) fn arrive(&mut self, call: u64) {
        // A request is carried out even when its sender has given up or died.
        let Some(Call { who, request, wall, .. }) = self.calls.get(&call).cloned() else { return };
        if !self.reaches_api(who.node) {
            return;
        }
        let writes = request.verb != LeaseVerb::Read;
        let answer = if self.rng.chance(self.trouble.errors) {
            let why =
                self.rng.pick(&["500: etcdserver: request timed out", "429: too many requests"]);
            match writes {
                true => Answer::Written(WriteOutcome::Rejected(why.to_owned())),
                false => Answer::Read(Err(why.to_owned())),
            }
        } else if writes && self.rng.chance(self.trouble.conflicts) {
            Answer::Written(WriteOutcome::Conflict)
        } else {
            let answer = serve(&mut self.store, &request.lease, &request.verb, &wall);
            let name = &self.nodes[who.node].name;
            self.trace.line(
                self.now,
                format_args!("server: {name}'s {}: {}", request.lease.name, heard(&answer)),
            );
            if matches!(answer, Answer::Written(WriteOutcome::Stored { .. })) {
                match request.lease == self.setup.plane.lease {
                    true => self.laws.wrote(self.now),
                    false => self.laws.services.lease_writes.push(self.now),
                }
            }
            self.pump_watches();
            if self.rng.chance(self.trouble.lost) {
                return;
            }
            answer
        };
        let at = self.now + self.latency();
        self.queue.at(at, Event::Answer { call, answer });
    }

    pub(super) fn answered(&mut self, call: u64, answer: Answer) {
        let Some(Call { who, request, overdue, .. }) = self.calls.get(&call).cloned() else {
            return;
        };
        let refused = matches!(&answer, Answer::Written(WriteOutcome::Unknown(_)));
        if !refused && !self.reaches_api(who.node) {
            return;
        }
        // Answer and timeout are both there when a stopped process goes on: either may win.
        if overdue && self.rng.chance(500) {
            return;
        }
        self.calls.remove(&call);
        let lease = request.lease;
        self.give(
            who,
            match answer {
                Answer::Read(Ok(view)) => Input::Lease { lease, origin: Origin::Read, view },
                Answer::Read(Err(reason)) => Input::LeaseUnreadable { lease, reason },
                Answer::Written(outcome) => {
                    Input::LeaseWritten { lease, attempt: attempt(&request.verb), outcome }
                }
            },
        );
    }

    pub(super) fn timeout(&mut self, call: u64) {
        let Some(entry) = self.calls.get_mut(&call) else { return };
        if self.nodes[entry.who.node].schedule == Schedule::Paused {
            entry.overdue = true;
            return;
        }
        let (who, request) = (entry.who, entry.request.clone());
        // Still on its way: the server may yet get it, the process will not hear of it.
        entry.who.life = 0;
        let (lease, reason) = (request.lease, "no answer in time".to_owned());
        self.give(
            who,
            match request.verb {
                LeaseVerb::Read => Input::LeaseUnreadable { lease, reason },
                ref verb => Input::LeaseWritten {
                    lease,
                    attempt: attempt(verb),
                    outcome: WriteOutcome::Unknown(reason),
                },
            },
        );
    }

    /// The process died. What it sent may still be carried out.
    pub(super) fn forget_calls_of(&mut self, node: usize) {
        for call in self.calls.values_mut().filter(|call| call.who.node == node) {
            call.who.life = 0;
        }
    }

    pub(super) fn overdue_calls_time_out(&mut self, node: usize) {
        let overdue = |(call, entry): (&u64, &Call)| {
            (entry.who.node == node && entry.overdue).then_some(*call)
        };
        let calls: Vec<u64> = self.calls.iter().filter_map(overdue).collect();
        calls.into_iter().for_each(|call| self.timeout(call));
    }

    pub(super) fn mark(&mut self, who: Who, lease: LeaseName, mark: Mark) {
        let name = &self.nodes[who.node].name;
        self.trace.line(self.now, format_args!("{name} > mark {lease}: {mark:?}"));
        if self.reaches_api(who.node) {
            let at = self.now + self.latency();
            self.queue.at(at, Event::Mark { who, lease, mark });
        }
    }

    /// Carried out even when its sender has died.
    pub(super) fn mark_arrives(&mut self, who: Who, lease: &LeaseName, mark: &Mark) {
        if !self.reaches_api(who.node) || self.rng.chance(self.trouble.errors) {
            return;
        }
        let wall = self.wall(who.node);
        let seen = leases::mark(&mut self.store, lease, mark, &wall);
        let line = format_args!("server: {lease} is marked: {seen:?}");
        self.trace.line(self.now, line);
        self.pump_watches();
        if self.rng.chance(self.trouble.lost) {
            return;
        }
        if let Some(seen) = seen {
            let at = self.now + self.latency();
            let input = Input::Leases(Change::Applied(seen));
            self.queue.at(at, Event::Give { who, input });
        }
    }

    // The watch: list, then changes; resumed after a break, listed afresh after 410.

    pub(super) fn open_watch(&mut self, who: Who, number: u64) {
        let reaches = self.reaches_api(who.node);
        let lease = self.setup.plane.lease.clone();
        let again = self.now + self.rng.micros(300_000, 2_000_000);
        let Some(process) = self.process(who) else { return };
        if process.watching.number != number || process.watching.cursor.is_some() {
            return;
        }
        if !reaches {
            return self.queue.at(again, Event::Open { who, watch: number });
        }
        let last = process.watching.last.clone();
        let of = Collection::within(Resource::Leases, &lease.namespace);
        let selectors =
            Selectors::parse(&format!("metadata.name={}", lease.name), "").expect("a selector");
        let since = match last {
            Some(last) => last,
            None => {
                let query = ListQuery { selectors: selectors.clone(), ..ListQuery::default() };
                let list = self.store.list(&of, &query).expect("a list");
                let found = list["items"].get(0).map_or(LeaseView::Absent, view);
                let version = text(&list["metadata"]["resourceVersion"]);
                let input = Input::Lease { lease, origin: Origin::Watch, view: found };
                self.send_event(who, version.clone(), input);
                version
            }
        };
        let opened = self.store.watch(of, selectors, &since, Bookmarks::On);
        let Some(process) = self.process(who) else { return };
        match opened {
            Ok(cursor) => {
                process.watching.cursor = Some(cursor);
                self.queue.at(self.now + IDLE, Event::Silence { who, watch: number });
                self.pump_watches();
            }
            Err(_) => {
                process.watching.last = None;
                self.queue.at(self.now + 10 * MS, Event::Open { who, watch: number });
            }
        }
    }

    /// The server sends each watch what is new.
    pub(super) fn pump_watches(&mut self) {
        self.pump_feeds();
        for node in 0..self.nodes.len() {
            let Some(process) = self.nodes[node].process.as_mut() else { continue };
            let who = Who { node, life: process.life };
            let Some(cursor) = process.watching.cursor.as_mut() else { continue };
            let Ok(events) = self.store.events(cursor) else {
                process.watching.last = None;
                self.break_watch(node);
                continue;
            };
            for event in events {
                let lease = self.setup.plane.lease.clone();
                let found = match event["type"].as_str() {
                    Some("DELETED") => LeaseView::Absent,
                    _ => view(&event["object"]),
                };
                let version = text(&event["object"]["metadata"]["resourceVersion"]);
                self.send_event(
                    who,
                    version,
                    Input::Lease { lease, origin: Origin::Watch, view: found },
                );
            }
        }
    }

    fn send_event(&mut self, who: Who, version: String, input: Input) {
        let at = self.now + self.latency();
        let twice = self.rng.chance(20);
        let Some(process) = self.process(who) else { return };
        let watch = process.watching.number;
        process.watching.at = process.watching.at.max(at);
        let at = process.watching.at;
        let deliver = Event::Deliver { who, watch, version, input };
        if twice {
            self.queue.at(at, deliver.clone());
        }
        self.queue.at(at, deliver);
    }

    pub(super) fn deliver(&mut self, who: Who, number: u64, version: String, input: Input) {
        let passes = self.reaches_api(who.node) && self.trouble.stuck == 0;
        let Some(process) = self.process(who) else { return };
        let watching = &mut process.watching;
        if watching.number != number {
            return;
        }
        if !passes || !watching.held.is_empty() {
            return watching.held.push_back((version, input));
        }
        watching.last = Some(version);
        self.give(who, input);
    }

    /// The watch ends, for whatever reason; it is opened again soon.
    pub(super) fn break_watch(&mut self, node: usize) {
        let at = self.now + self.rng.micros(10_000, 1_000_000);
        let Some(process) = self.nodes[node].process.as_mut() else { return };
        let who = Who { node, life: process.life };
        let watching = &mut process.watching;
        watching.number += 1;
        watching.cursor = None;
        watching.held.clear();
        let watch = watching.number;
        self.queue.at(at, Event::Open { who, watch });
    }

    pub(super) fn silence(&mut self, who: Who, number: u64) {
        let silent = |process: &mut super::Process| {
            let watching = &process.watching;
            (watching.number == number).then_some(!watching.held.is_empty())
        };
        match self.process(who).and_then(silent) {
            Some(true) => self.break_watch(who.node),
            Some(false) => {
                self.queue.at(self.now + IDLE / 4, Event::Silence { who, watch: number });
            }
            None => {}
        }
    }

    /// The way is free again: what was held arrives, or the connection turns out to be dead.
    pub(super) fn release_watch(&mut self, node: usize) {
        if !self.reaches_api(node) || self.trouble.stuck > 0 {
            return;
        }
        if self.rng.chance(400) {
            return self.break_watch(node);
        }
        let Some(process) = self.nodes[node].process.as_mut() else { return };
        let who = Who { node, life: process.life };
        let held: Vec<_> = process.watching.held.drain(..).collect();
        for (version, input) in held {
            self.send_event(who, version, input);
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn attempt(verb: &LeaseVerb) -> u64 {
    match verb {
        LeaseVerb::Create { attempt, .. } | LeaseVerb::Replace { attempt, .. } => *attempt,
        LeaseVerb::Read => 0,
    }
}

fn asked(verb: &LeaseVerb) -> String {
    match verb {
        LeaseVerb::Read => "read the lease".to_owned(),
        LeaseVerb::Create { attempt, .. } => format!("write {attempt}: create the lease"),
        LeaseVerb::Replace { attempt, version, record } => {
            format!("write {attempt}: lease {version} to {:?}", record.holder)
        }
    }
}

fn heard(answer: &Answer) -> String {
    match answer {
        Answer::Written(WriteOutcome::Stored { version, record }) => {
            format!("stored as {version} for {:?}", record.holder)
        }
        Answer::Written(outcome) => format!("{outcome:?}"),
        Answer::Read(Ok(_)) => "read".to_owned(),
        Answer::Read(Err(why)) => format!("not read: {why}"),
    }
}
