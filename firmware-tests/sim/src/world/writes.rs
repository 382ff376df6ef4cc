//! What the cores write to Services: read, change, replace with what was read; and Events and
//! labels.

use std::collections::BTreeMap;
use std::net::IpAddr;

use viplet::core::Input;
use viplet::core::cluster::record::ServiceRecord;
use viplet::core::input::{ConditionChange, HostChange, ServiceOutcome, ServiceUpdate};

use super::{Event, Schedule, Who, World};
use crate::clock::{MS, S};

/// An update under way.
#[derive(Clone, Debug)]
pub(crate) struct Writing {
    who: Who,
    update: ServiceUpdate,
}

impl World {
    pub(super) fn update_service(&mut self, who: Who, update: ServiceUpdate) {
        let name = &self.nodes[who.node].name;
        let line = format_args!(
            "{name} > write {} to {}: {:?} {:?} {:?}",
            update.attempt, update.service, update.host, update.ingress, update.condition
        );
        self.trace.line(self.now, line);
        self.law_of_hosts(who, &update);
        self.called += 1;
        let call = self.called;
        self.writings.insert(call, Writing { who, update });
        self.queue.at(self.now + 10 * S, Event::WriteTimeout { call });
        if self.reaches_api(who.node) {
            let at = self.now + self.latency();
            self.queue.at(at, Event::WriteReads { call });
        } else if self.rng.chance(500) {
            let why = "connection refused".to_owned();
            let at = self.now + self.rng.micros(100, 2000);
            self.queue.at(at, Event::Written { call, outcome: ServiceOutcome::Failed(why) });
        }
    }

    /// The GET reaches the server.
    pub(super) fn write_reads(&mut self, call: u64) {
        let Some(Writing { who, update }) = self.writings.get(&call).cloned() else { return };
        if !self.reaches_api(who.node) {
            return;
        }
        let at = self.now + self.latency();
        if self.rng.chance(self.trouble.errors) {
            let outcome = ServiceOutcome::Failed("500: etcdserver: request timed out".to_owned());
            return self.queue.at(at, Event::Written { call, outcome });
        }
        let found = self.objects.services().get(&update.service);
        match found.filter(|record| record.uid == update.uid).cloned() {
            None => self.queue.at(at, Event::Written { call, outcome: ServiceOutcome::Gone }),
            Some(read) => self.queue.at(at, Event::WriteSends { call, read }),
        }
    }

    /// The GET's answer reaches the process, which sends what it makes of it.
    pub(super) fn write_sends(&mut self, call: u64, read: ServiceRecord) {
        let Some(Writing { who, update }) = self.writings.get(&call).cloned() else { return };
        if self.process(who).is_none() || !self.reaches_api(who.node) {
            return;
        }
        if self.nodes[who.node].schedule == Schedule::Paused {
            return self.queue.at(self.now + 100 * MS, Event::WriteSends { call, read });
        }
        let changed = apply(&read, &update);
        if changed == read {
            return self.written(call, ServiceOutcome::Done);
        }
        let at = self.now + self.latency();
        self.queue.at(at, Event::WriteStores { call, who, changed });
    }

    /// The PUT reaches the server. It is carried out even when its sender has given up.
    pub(super) fn write_stores(&mut self, call: u64, who: Who, changed: ServiceRecord) {
        if !self.reaches_api(who.node) {
            return;
        }
        let current = self.objects.services().get(&changed.name);
        let meant = current.is_some_and(|now| now.version == changed.version);
        let gone = current.is_none_or(|now| now.uid != changed.uid);
        let outcome = if self.rng.chance(self.trouble.errors) {
            ServiceOutcome::Failed("429: too many requests".to_owned())
        } else if self.rng.chance(self.trouble.conflicts) || (!meant && !gone) {
            ServiceOutcome::Conflict
        } else if gone {
            ServiceOutcome::Gone
        } else {
            let name = &self.nodes[who.node].name;
            let line = format_args!(
                "server: {name}'s write to {}: host {:?}, ingress {:?}",
                changed.name,
                changed.annotations.as_deref().and_then(|a| a.host.clone()),
                changed.ingress.iter().map(|entry| entry.address).collect::<Vec<_>>(),
            );
            self.trace.line(self.now, line);
            self.laws.services.writes.push(self.now);
            self.law_of_writes(&changed.name.to_string());
            let version = self.store.next_version();
            self.objects.put_service(changed, version);
            self.objects_changed();
            ServiceOutcome::Done
        };
        if self.rng.chance(self.trouble.lost) {
            return;
        }
        let at = self.now + self.latency();
        self.queue.at(at, Event::Written { call, outcome });
    }

    pub(super) fn written(&mut self, call: u64, outcome: ServiceOutcome) {
        let Some(Writing { who, update }) = self.writings.get(&call).cloned() else { return };
        let heard = matches!(&outcome, ServiceOutcome::Failed(_)) || self.reaches_api(who.node);
        if !heard {
            return;
        }
        self.writings.remove(&call);
        let (service, attempt) = (update.service, update.attempt);
        self.give(who, Input::ServiceWritten { service, attempt, outcome });
    }

    pub(super) fn write_timeout(&mut self, call: u64) {
        let Some(Writing { who, .. }) = self.writings.get(&call) else { return };
        if self.nodes[who.node].schedule == Schedule::Paused {
            return self.queue.at(self.now + 100 * MS, Event::WriteTimeout { call });
        }
        self.written(call, ServiceOutcome::Failed("no answer in time".to_owned()));
    }

    pub(super) fn label_services(&mut self, who: Who, labels: BTreeMap<String, Option<String>>) {
        let name = self.nodes[who.node].name.clone();
        self.trace.line(self.now, format_args!("{name} > labels {labels:?}"));
        let outcome = match self.reaches_api(who.node) {
            true => Ok(()),
            false => Err("no answer".to_owned()),
        };
        let known = self.objects.nodes().get(&*name).cloned();
        if let (Ok(()), Some(mut node)) = (&outcome, known) {
            for (key, value) in labels {
                match value {
                    Some(value) => node.labels.insert(key.into(), value.into()),
                    None => node.labels.remove(&*key),
                };
            }
            self.laws.services.writes.push(self.now);
            let version = self.store.next_version();
            self.objects.put_node(node, version);
            self.objects_changed();
        }
        let at = self.now + self.rng.micros(1000, 20_000);
        self.queue.at(at, Event::Give { who, input: Input::ServicesLabelled(outcome) });
    }
}

/// What the program makes of an update.
fn apply(read: &ServiceRecord, update: &ServiceUpdate) -> ServiceRecord {
    let mut record = read.clone();
    let mut annotations = record.annotations.take().unwrap_or_default();
    match &update.host {
        HostChange::Keep => {}
        HostChange::Set(host) => annotations.host = Some(host.as_str().into()),
        HostChange::Remove(host) if annotations.host.as_deref() == Some(host) => {
            annotations.host = None;
        }
        HostChange::Remove(_) => {}
    }
    record.annotations = Some(annotations);
    let gone = |address: Option<IpAddr>| {
        address.is_some_and(|ip| {
            update.ingress.drop.contains(&ip)
                || update.ingress.put.iter().any(|put| put.address == Some(ip))
        })
    };
    let foreign = record.ingress.iter().filter(|known| !gone(known.address)).cloned();
    record.ingress = update.ingress.put.iter().cloned().chain(foreign).collect();
    match &update.condition {
        ConditionChange::Keep => {}
        ConditionChange::Set(condition) => record.condition = Some(Box::new(condition.clone())),
        ConditionChange::Remove => record.condition = None,
    }
    record
}
