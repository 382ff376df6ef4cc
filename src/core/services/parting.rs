//! A Service that is gone for us and may still be there with another type or class: what this node
//! wrote to it is taken off.

use std::net::IpAddr;
use std::time::Duration;

use super::Services;
use super::writer::LOST;
use crate::core::cluster::record::ServiceName;
use crate::core::input::{
    ConditionChange, Effect, HostChange, IngressChange, KubernetesRequest, ServiceOutcome,
    ServiceUpdate,
};
use crate::core::settings::Updates;
use crate::core::time::Moment;
use crate::core::uid::Uid;
use crate::core::work_queue::Due;

/// So often it is tried.
const TRIES: u32 = 5;

/// The writes that leave a Service clean.
#[derive(Clone, Debug)]
pub(super) struct Parting {
    uid: Uid,
    addresses: Box<[IpAddr]>,
    tries: u32,
    /// The write that is under way, by its number, and when it was sent.
    under_way: Option<(u64, Moment)>,
    not_before: Moment,
    pub(super) due: Due,
}

impl Parting {
    /// What is left on it: our annotation, and the entries of these addresses.
    #[must_use]
    pub(super) fn new(uid: Uid, addresses: &[IpAddr]) -> Self {
        Self {
            uid,
            addresses: addresses.into(),
            tries: 0,
            under_way: None,
            not_before: Moment::default(),
            due: None,
        }
    }

    /// Whether a write is due now.
    fn is_due(&self, now: Moment) -> bool {
        let waits = self.under_way.is_some_and(|(_, sent)| now < sent + LOST);
        !waits && now >= self.not_before
    }

    /// The write with this number, which is under way from here on.
    fn write(
        &mut self,
        service: &ServiceName,
        node: &str,
        attempt: u64,
        now: Moment,
    ) -> ServiceUpdate {
        self.tries += 1;
        self.under_way = Some((attempt, now));
        ServiceUpdate {
            service: service.clone(),
            uid: self.uid.clone(),
            attempt,
            host: HostChange::Remove(node.to_owned()),
            ingress: IngressChange { put: Vec::new(), drop: self.addresses.to_vec() },
            condition: ConditionChange::Remove,
        }
    }
}

impl Services {
    /// Takes what this node wrote off a Service that is gone for it.
    pub(super) fn part(&mut self, name: &ServiceName, now: Moment, effects: &mut Vec<Effect>) {
        let Some(parting) = self.partings.get_mut(name) else { return };
        if self.site.settings.updates == Updates::Withheld {
            self.partings.remove(name);
            return;
        }
        if parting.is_due(now) {
            let update = parting.write(name, &self.site.node, self.writes.number(), now);
            self.counters.writes += 1;
            effects.push(Effect::Kubernetes(KubernetesRequest::Service(update)));
        }
        let next = parting.under_way.map_or(parting.not_before, |(_, sent)| sent + LOST);
        let next = Some((next, "a Service is to be left clean"));
        self.timers.rearm(name, &mut parting.due, next);
    }

    /// Such a write was answered.
    pub(super) fn part_answered(
        &mut self,
        name: &ServiceName,
        attempt: u64,
        outcome: &ServiceOutcome,
        now: Moment,
    ) {
        let Some(parting) = self.partings.get_mut(name) else { return };
        // An answer to what was written before the Service was let go says nothing of this.
        if parting.under_way.is_none_or(|(known, _)| known != attempt) {
            return;
        }
        parting.under_way = None;
        let settled = matches!(outcome, ServiceOutcome::Done | ServiceOutcome::Gone);
        if !settled && parting.tries < TRIES {
            let wait = Duration::from_millis(200).saturating_mul(1 << parting.tries.min(5));
            parting.not_before = now + wait;
        } else if let Some(mut parting) = self.partings.remove(name) {
            self.timers.rearm(name, &mut parting.due, None);
        }
    }
}
