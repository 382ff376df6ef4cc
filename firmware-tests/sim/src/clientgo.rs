//! A foreign candidate that follows the rules of client-go's leader election
//! (`k8s.io/client-go/tools/leaderelection`) and puts addresses up as kube-vip does: we share
//! leases with such candidates and must keep to the same rules.
//!
//! It polls, it never watches; it takes a lease over by its own `observedTime`; it holds until
//! its renew deadline has passed.

use std::net::IpAddr;
use std::time::Duration;

use viplet::core::settings::{ControlPlane, Target};
use viplet::core::status::RoleStatus;
use viplet::core::{
    Effect, Input, KubernetesRequest, LeaseRecord, LeaseRequest, LeaseVerb, LeaseView, Moment,
    Stamp, WriteOutcome,
};
use viplet_backend_api::{Command, Lifetime, Scope, Vip};

use crate::kernel::eth0;
use crate::machine::{Machine, Standing};
use crate::rng::Rng;

/// `JitterFactor` of client-go's acquire loop.
const JITTER: f64 = 1.2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lead {
    Follows,
    /// Until the renew loop gives up.
    Leads {
        gives_up: Moment,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Runs,
    Stops { by: Moment },
}

/// The candidate.
pub struct ClientGo {
    identity: String,
    plane: ControlPlane,
    rng: Rng,
    lead: Lead,
    life: Life,
    /// The record and version last read, and when the record was seen to change.
    observed: Option<(String, LeaseRecord, Moment)>,
    busy: Option<u64>,
    attempts: u64,
    next_try: Moment,
    next_announcement: Moment,
}

impl ClientGo {
    /// A candidate that starts now.
    #[must_use]
    pub fn new(identity: &str, plane: ControlPlane, seed: u64, now: Moment) -> Self {
        Self {
            identity: identity.to_owned(),
            plane,
            rng: Rng::new(seed),
            lead: Lead::Follows,
            life: Life::Runs,
            observed: None,
            busy: None,
            attempts: 0,
            next_try: now,
            next_announcement: now,
        }
    }

    fn vips(&self) -> Vec<Vip> {
        let address = |target: &Target| match target {
            Target::Address(address) => Some(*address),
            Target::Name(_) => None,
        };
        let vip = |address: IpAddr| Vip {
            address,
            prefix_len: if address.is_ipv4() { 32 } else { 128 },
            link: eth0(),
            presence: viplet_backend_api::Presence::OnLink,
            scope: Scope::Universe,
            duplicate_detection: self.plane.duplicate_detection,
        };
        self.plane.targets.iter().filter_map(address).map(vip).collect()
    }

    fn commands(&self, make: impl Fn(Vip) -> Command, effects: &mut Vec<Effect>) {
        effects.extend(self.vips().into_iter().map(|vip| Effect::Addresses(make(vip))));
    }

    fn install(&self, effects: &mut Vec<Effect>) {
        let lifetime = Lifetime::from_secs(u32::MAX - 1).expect("a lifetime");
        self.commands(|vip| Command::Install { vip, lifetime }, effects);
    }

    fn ask(&mut self, verb: impl FnOnce(u64) -> LeaseVerb, effects: &mut Vec<Effect>) {
        self.attempts += 1;
        self.busy = Some(self.attempts);
        effects.push(Effect::Kubernetes(KubernetesRequest::Lease(LeaseRequest {
            lease: self.plane.lease.clone(),
            verb: verb(self.attempts),
            timeout: self.plane.timing.renew_deadline / 2,
        })));
    }

    fn again(&mut self, now: Moment) {
        self.busy = None;
        let retry = self.plane.timing.retry_period;
        let wait = match self.lead {
            Lead::Leads { .. } => retry,
            Lead::Follows => retry + self.rng.up_to(retry.mul_f64(JITTER)),
        };
        self.next_try = now + wait;
    }

    fn record(&self, current: Option<&LeaseRecord>) -> LeaseRecord {
        let fresh = LeaseRecord {
            holder: self.identity.clone(),
            duration_seconds: u32::try_from(self.plane.timing.duration.as_secs()).unwrap_or(15),
            acquired: Stamp::Now,
            renewed: Stamp::Now,
            transitions: current.map_or(0, |record| record.transitions),
            moved: None,
            writer: current.and_then(|record| record.writer.clone()),
        };
        match current {
            Some(record) if record.holder == self.identity => {
                LeaseRecord { acquired: record.acquired.clone(), ..fresh }
            }
            Some(record) => LeaseRecord { transitions: record.transitions + 1, ..fresh },
            None => fresh,
        }
    }

    fn read(&mut self, view: LeaseView, now: Moment, effects: &mut Vec<Effect>) {
        let LeaseView::Present { version, record } = view else {
            let (record, annotations) = (self.record(None), self.plane.lease_annotations.clone());
            return self.ask(|attempt| LeaseVerb::Create { attempt, record, annotations }, effects);
        };
        let seen = match &self.observed {
            Some((_, known, seen)) if *known == record => *seen,
            _ => now,
        };
        self.observed = Some((version.clone(), record.clone(), seen));
        let lasts = Duration::from_secs(u64::from(record.duration_seconds));
        let valid = !record.holder.is_empty() && now < seen + lasts;
        if valid && record.holder != self.identity {
            return self.again(now);
        }
        let record = self.record(Some(&record));
        self.ask(|attempt| LeaseVerb::Replace { attempt, version, record }, effects);
    }

    fn written(&mut self, outcome: WriteOutcome, now: Moment, effects: &mut Vec<Effect>) {
        let WriteOutcome::Stored { version, record } = outcome else { return self.again(now) };
        self.observed = Some((version, record, now));
        let timing = self.plane.timing;
        let led = matches!(self.lead, Lead::Leads { .. });
        // The renew loop sleeps one period, then polls until its own deadline.
        let gives_up = now + timing.retry_period + timing.renew_deadline;
        self.lead = Lead::Leads { gives_up };
        if !led {
            self.install(effects);
            self.next_announcement = now;
        }
        self.again(now);
    }

    fn lose(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        self.commands(|vip| vip.withdrawal(), effects);
        self.lead = Lead::Follows;
        // kube-vip ends and is started again: it knows nothing of what it saw.
        self.observed = None;
        self.busy = None;
        self.attempts += 1;
        self.next_try = now + Duration::from_secs(1);
    }

    fn stop(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        self.life = Life::Stops { by: now + Duration::from_millis(500) };
        let led = matches!(self.lead, Lead::Leads { .. });
        self.lead = Lead::Follows;
        self.commands(|vip| vip.withdrawal(), effects);
        let Some((version, record, _)) = self.observed.clone().filter(|_| led) else {
            return effects.push(Effect::Stopped);
        };
        let record = LeaseRecord { holder: String::new(), duration_seconds: 1, ..record };
        let record = LeaseRecord { acquired: Stamp::Now, renewed: Stamp::Now, ..record };
        self.ask(|attempt| LeaseVerb::Replace { attempt, version, record }, effects);
    }

    fn due(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        if let Life::Stops { by } = self.life {
            if now >= by {
                effects.push(Effect::Stopped);
            }
            return;
        }
        if let Lead::Leads { gives_up } = self.lead {
            if now >= gives_up {
                return self.lose(now, effects);
            }
            if now >= self.next_announcement {
                self.next_announcement = now + self.plane.announce_every;
                // kube-vip's ticker puts back what is missing.
                self.install(effects);
                self.commands(|vip| Command::Announce { vip }, effects);
            }
        }
        if self.busy.is_none() && now >= self.next_try {
            self.ask(|_| LeaseVerb::Read, effects);
        }
    }
}

impl Machine for ClientGo {
    fn handle(&mut self, input: Input, now: Moment, effects: &mut Vec<Effect>) {
        match (input, self.life) {
            (Input::Stop, Life::Runs) => return self.stop(now, effects),
            (Input::LeaseWritten { attempt, .. }, Life::Stops { .. })
                if self.busy == Some(attempt) =>
            {
                return effects.push(Effect::Stopped);
            }
            (Input::Lease { view, .. }, Life::Runs) if self.busy.is_some() => {
                self.read(view, now, effects);
            }
            (Input::LeaseUnreadable { .. }, Life::Runs) if self.busy.is_some() => self.again(now),
            (Input::LeaseWritten { attempt, outcome, .. }, Life::Runs)
                if self.busy == Some(attempt) =>
            {
                self.written(outcome, now, effects);
            }
            _ => {}
        }
        self.due(now, effects);
    }

    fn next_deadline(&self, _: Moment) -> Option<(Moment, &'static str)> {
        if let Life::Stops { by } = self.life {
            return Some((by, "the stop has its limit"));
        }
        let lead = match self.lead {
            Lead::Leads { gives_up } => [Some(gives_up), Some(self.next_announcement)],
            Lead::Follows => [None, None],
        };
        let poll = self.busy.is_none().then_some(self.next_try);
        lead.into_iter().chain([poll]).flatten().min().map(|at| (at, "a foreign candidate"))
    }

    fn standing(&self, _: Moment) -> Standing {
        let holder = self.observed.as_ref().map(|(_, record, _)| record.holder.clone());
        let (role, until) = match self.lead {
            Lead::Leads { gives_up } => (RoleStatus::Holding, Some(gives_up)),
            Lead::Follows => (RoleStatus::Following, None),
        };
        Standing { role, until, holder: holder.unwrap_or_default() }
    }

    fn is_settled(&self, _: Moment) -> bool {
        true
    }
}
