//! What is written to a Service: who holds it, which addresses it has, why it has none. One write
//! per change, none when nothing changes, and never against a newer state (STA).

use std::net::IpAddr;
use std::time::Duration;

use crate::core::addresses::requester::Obstacle;
use crate::core::cluster::record::{Condition, Ingress, Served, ServiceName};
use crate::core::input::{
    ConditionChange, Effect, HostChange, IngressChange, KubernetesRequest, ServiceOutcome,
    ServiceUpdate,
};
use crate::core::jitter::rank;
use crate::core::rights::election::Role;
use crate::core::services::writer::{LOST, Wish};
use crate::core::services::{Around, Entry, Item, Services, Standing};
use crate::core::settings::Updates;
use crate::core::status::ServiceState;
use crate::core::time::Moment;

/// Writes under way at once, and while leases change hands.
const MOST: usize = 8;
const MOST_BESIDE_LEASES: usize = 1;
/// Every node sees why a Service is refused; they wait up to so long for the first to write it.
const REFUSED_RANK: Duration = Duration::from_millis(300);
/// A Service that waits has so long to get what it waits for before that is worth a word.
const WAITING_DELAY: Duration = Duration::from_secs(5);

impl Services {
    /// A write was answered.
    pub fn written(
        &mut self,
        service: &ServiceName,
        attempt: u64,
        outcome: &ServiceOutcome,
        now: Moment,
    ) {
        if !matches!(outcome, ServiceOutcome::Done | ServiceOutcome::Gone) {
            self.counters.write_failures += 1;
        }
        self.writing.remove(service);
        self.agenda.writes.insert(service.clone());
        let next = std::iter::from_fn(|| self.write_queue.pop_first()).take(MOST);
        self.agenda.writes.extend(next);
        if let Some(parting) = self.partings.get_mut(service) {
            // An answer to what was written before the Service was let go says nothing of this.
            if parting.under_way.is_none_or(|(known, _)| known != attempt) {
                return;
            }
            parting.under_way = None;
            let settled = matches!(outcome, ServiceOutcome::Done | ServiceOutcome::Gone);
            if settled || parting.tries >= 5 {
                if let Some(mut parting) = self.partings.remove(service) {
                    self.agenda.rearm(&Item::Service(service.clone()), &mut parting.due, None);
                }
            } else {
                let wait = Duration::from_millis(200).saturating_mul(1 << parting.tries.min(5));
                parting.not_before = now + wait;
            }
            return;
        }
        let Some(entry) = self.entries.get_mut(service) else { return };
        if entry.writer.under_way().is_some_and(|(known, _)| known == attempt) {
            entry.writer.answered(outcome, now);
        }
    }

    /// Writes and says what is due about the Services on the agenda.
    pub(in crate::core) fn write_all(&mut self, around: &Around<'_>, effects: &mut Vec<Effect>) {
        if self.agenda.is_busy() {
            return; // Addresses first.
        }
        for _ in 0..self.settings.per_turn {
            let Some(name) = self.agenda.writes.pop_first() else { return };
            if self.partings.contains_key(&name) {
                self.part(&name, around, effects);
            } else if self.entries.contains_key(&name) {
                self.look_at_service(&name, around);
                self.write(&name, around, effects);
            }
        }
    }

    fn part(&mut self, name: &ServiceName, around: &Around<'_>, effects: &mut Vec<Effect>) {
        let (now, node) = (around.now, self.node.clone());
        let Some(parting) = self.partings.get_mut(name) else { return };
        if self.settings.updates == Updates::Withheld {
            self.partings.remove(name);
            return;
        }
        let lost = parting.under_way.is_some_and(|(_, sent)| now >= sent + LOST);
        let waits = parting.under_way.is_some() && !lost;
        if !waits && now >= parting.not_before {
            self.write_attempts += 1;
            parting.tries += 1;
            parting.under_way = Some((self.write_attempts, now));
            self.counters.writes += 1;
            let ingress = IngressChange { put: Vec::new(), drop: parting.addresses.to_vec() };
            effects.push(Effect::Kubernetes(KubernetesRequest::Service(ServiceUpdate {
                service: name.clone(),
                uid: parting.uid.clone(),
                attempt: self.write_attempts,
                host: HostChange::Remove(node),
                ingress,
                condition: ConditionChange::Remove,
            })));
        }
        let next = parting.under_way.map_or(parting.not_before, |(_, sent)| sent + LOST);
        let item = Item::Service(name.clone());
        self.agenda.rearm(&item, &mut parting.due, Some((next, "a Service is to be left clean")));
    }

    fn write(&mut self, name: &ServiceName, around: &Around<'_>, effects: &mut Vec<Effect>) {
        let now = around.now;
        let wish = self.wish(name, around);
        let most = if self.desk.is_crowded() { MOST_BESIDE_LEASES } else { MOST };
        let full = self.writing.len() >= most && !self.writing.contains(name);
        let turn = wish.as_ref().map_or(Duration::ZERO, |_| self.turn(name, around));
        let Some(entry) = self.entries.get_mut(name) else { return };
        let writer = &mut entry.writer;
        if writer.under_way().is_some_and(|(_, sent)| now >= sent + LOST) {
            writer.answered(&ServiceOutcome::Failed("no answer".to_owned()), now);
            self.writing.remove(name);
        }
        if wish.is_none() {
            writer.settled();
        }
        let news = wish.filter(|wish| !writer.has_stored(wish));
        let ready = writer.under_way().is_none() && now >= writer.not_before();
        match news {
            Some(_) if ready && full => {
                self.write_queue.insert(name.clone());
            }
            Some(_) if ready && !writer.is_our_turn(turn, now) => {}
            Some(wish) if ready => {
                self.write_attempts += 1;
                writer.begin(self.write_attempts, wish.clone(), now);
                self.writing.insert(name.clone());
                self.counters.writes += 1;
                effects.push(Effect::Kubernetes(KubernetesRequest::Service(ServiceUpdate {
                    service: name.clone(),
                    uid: entry.record.uid.clone(),
                    attempt: self.write_attempts,
                    host: wish.host,
                    ingress: wish.ingress,
                    condition: wish.condition,
                })));
            }
            Some(_) | None => {}
        }
        self.rearm_service(name, now);
    }

    /// When a Service is to be looked at again by itself.
    fn rearm_service(&mut self, name: &ServiceName, now: Moment) {
        let unresolved = self.unresolved(name);
        let Some(entry) = self.entries.get_mut(name) else { return };
        entry.writer.rest(now);
        let writer = &entry.writer;
        let (state, since) = writer.state();
        let lost = writer.under_way().map(|(_, sent)| sent + LOST);
        let delay = match state {
            Some(ServiceState::Refused) => Some(REFUSED_RANK),
            Some(ServiceState::Waiting | ServiceState::Pending) => {
                Some(WAITING_DELAY + Duration::from_millis(500))
            }
            _ => None,
        };
        let unresolved = (state == Some(ServiceState::Held) && !unresolved.is_empty())
            .then_some(crate::core::services::events::UNRESOLVED);
        let patience = delay.or(unresolved).map(|delay| since + delay);
        let repeat = writer.said.map(|(_, at)| at + crate::core::services::events::REPEAT);
        let times = [
            lost.map(|at| (at, "an answer about a Service is overdue")),
            Some((writer.not_before(), "a Service is to be written again")),
            writer.turn_at().map(|at| (at, "nobody else has written it")),
            patience.map(|at| (at, "a Service has waited")),
            repeat
                .filter(|_| delay.or(unresolved).is_some())
                .map(|at| (at, "an Event is to be repeated")),
        ];
        let next =
            times.into_iter().flatten().filter(|(at, _)| *at > now).min_by_key(|(at, _)| *at);
        self.agenda.rearm(&Item::Service(name.clone()), &mut entry.due, next);
    }

    /// What is to be changed on a Service by this node now.
    fn wish(&self, name: &ServiceName, around: &Around<'_>) -> Option<Wish> {
        let entry = self.entries.get(name)?;
        if self.settings.updates == Updates::Withheld {
            return None;
        }
        let wish = match &entry.standing {
            Standing::Ignored(_) => self.clean_wish(entry, ConditionChange::Remove),
            Standing::Refused(_) | Standing::Waiting(_) => {
                self.clean_wish(entry, self.trouble_condition(entry, around))
            }
            Standing::Asking => self.holder_wish(entry, around),
        };
        let idle = wish.host == HostChange::Keep
            && wish.ingress == IngressChange::default()
            && wish.condition == ConditionChange::Keep;
        (!idle).then_some(wish)
    }

    /// A Service that this node held and that has no address any more.
    fn clean_wish(&self, entry: &Entry, condition: ConditionChange) -> Wish {
        let ours = entry.record.host() == Some(&self.node);
        let drop = entry.record.ingress.iter().filter(|ingress| ours && !ingress.ports.is_empty());
        let there = entry.record.condition.is_some();
        Wish {
            host: if ours { HostChange::Remove(self.node.clone()) } else { HostChange::Keep },
            ingress: IngressChange {
                put: Vec::new(),
                drop: drop.filter_map(|ingress| ingress.address).collect(),
            },
            condition: match condition {
                ConditionChange::Remove if !(there && ours) => ConditionChange::Keep,
                other => other,
            },
        }
    }

    /// A Service's addresses that are here and announced, in its order.
    pub(in crate::core) fn held_for(&self, entry: &Entry, around: &Around<'_>) -> Vec<IpAddr> {
        let addresses = entry.addresses.iter().copied();
        addresses.filter(|ip| self.is_held_for(entry, *ip, around)).collect()
    }

    fn holder_wish(&self, entry: &Entry, around: &Around<'_>) -> Wish {
        let held = self.held_for(entry, around);
        if held.is_empty() {
            return self.loser_wish(entry, around);
        }
        let first = entry.addresses.first().is_some_and(|first| held.contains(first));
        let here =
            entry.addresses.iter().filter(|ip| held.contains(ip) || self.is_coming(**ip, around));
        let put: Vec<Ingress> = here.map(|ip| ingress(*ip, entry)).collect();
        let there = put.iter().all(|wanted| entry.record.ingress.contains(wanted));
        let wanted = |ip: &IpAddr| entry.addresses.contains(ip) || entry.retiring.contains(ip);
        let stale = entry.record.ingress.iter().filter(|known| first && !known.ports.is_empty());
        let drop = stale.filter_map(|known| known.address).filter(|ip| !wanted(ip)).collect();
        let whole = held.len() == entry.addresses.len();
        let bad = entry.record.condition.as_ref().is_some_and(|c| c.served == Served::No);
        let served = self.state_of(entry, around).0 == ServiceState::Held;
        // What is only held for endpoints that may come back is not served: other nodes say so.
        let lasting = held.iter().all(|ip| !self.is_without_endpoints(*ip));
        let condition = if bad && first && whole && served && lasting {
            let message = format!("{} is announced by {}", list(&held), self.node);
            ConditionChange::Set(Condition {
                served: Served::Yes,
                reason: "Announced".into(),
                message: message.into(),
            })
        } else {
            self.trouble_condition(entry, around)
        };
        Wish {
            host: match entry.record.host() {
                Some(host) if host == self.node => HostChange::Keep,
                Some(host) if self.is_as_good(entry, host, around) => HostChange::Keep,
                _ if first => HostChange::Set(self.node.clone()),
                _ => HostChange::Keep,
            },
            ingress: IngressChange { put: if there { Vec::new() } else { put }, drop },
            condition,
        }
    }

    /// What a node has to write that does not hold the Service: that it let go, if nobody has
    /// taken it over, and why.
    fn loser_wish(&self, entry: &Entry, around: &Around<'_>) -> Wish {
        let ours = entry.record.host() == Some(&self.node);
        // What belongs to an older Service is lost to this one, wherever it is.
        let lost = |ip: &IpAddr| self.clash(entry, *ip, around).is_some();
        let gone = entry.addresses.iter().all(|ip| {
            let under = self.addresses.get(ip).is_some_and(|address| address.is_had());
            let off = !under && !self.lingers(*ip, around);
            // Where it is here for another Service, that one names this node first: whoever
            // waits for it to be gone goes by the annotations. Nobody waits for what every node
            // has, and there that one names any of them.
            let named = || {
                around.has_control_plane(*ip)
                    || self.is_for_every_node(*ip, around)
                    || self.another_names(entry, *ip, &self.node)
            };
            off || (lost(ip) && named())
        });
        let elsewhere = |ip: &IpAddr| {
            let authority = self.addresses.get(ip).map(|address| &address.authority)?;
            self.holder_under(authority, around).filter(|holder| *holder != self.node)
        };
        // A Lease for several addresses may be with a node that cannot have them all.
        let powerless = |ip: &IpAddr| {
            elsewhere(ip).is_some_and(|holder| self.is_out_of_reach(*ip, &holder, around))
        };
        let unowned = entry.addresses.first().is_none_or(|ip| {
            let nobody = || elsewhere(ip).is_none() || powerless(ip);
            lost(ip) || nobody() || self.obstacle_is(*ip, &Obstacle::NoEndpoints)
        });
        let barred = entry.addresses.iter().any(|ip| {
            let barred = self.addresses.get(ip).is_some_and(|address| address.obstacle.is_some());
            lost(ip) || barred || powerless(ip)
        });
        let letting_go = ours && gone && unowned && barred;
        let shown = entry.record.ingress.iter().filter(|known| !known.ports.is_empty());
        let drop = shown.filter_map(|known| known.address).filter(lost);
        Wish {
            host: if letting_go { HostChange::Remove(self.node.clone()) } else { HostChange::Keep },
            ingress: IngressChange {
                put: Vec::new(),
                drop: if letting_go { drop.collect() } else { Vec::new() },
            },
            condition: self.trouble_condition(entry, around),
        }
    }

    /// The condition that says why a Service is not served, when it has not been for long enough.
    fn trouble_condition(&self, entry: &Entry, around: &Around<'_>) -> ConditionChange {
        let (state, text) = self.state_of(entry, around);
        let reason = match state {
            ServiceState::Refused => "Refused",
            ServiceState::Waiting => "Waiting",
            _ => return ConditionChange::Keep,
        };
        let known = entry.record.condition.as_deref().filter(|c| c.served == Served::No);
        // Nodes may have different words for what they wait for.
        let same = known.is_some_and(|known| {
            *known.reason == *reason && (state == ServiceState::Waiting || *known.message == *text)
        });
        if same || !self.is_worth_a_word(entry, state, around.now) {
            return ConditionChange::Keep;
        }
        let (reason, message) = (reason.into(), text.into());
        ConditionChange::Set(Condition { served: Served::No, reason, message })
    }

    /// Whether it has been like this for long enough, this node's rank among all that see it
    /// included.
    pub(in crate::core) fn is_worth_a_word(
        &self,
        entry: &Entry,
        state: ServiceState,
        now: Moment,
    ) -> bool {
        let name = &entry.record.name;
        let parts = [self.node.as_str(), name.namespace(), name.name()];
        let delay = match state {
            ServiceState::Refused => rank(&parts, REFUSED_RANK),
            _ => WAITING_DELAY + rank(&parts, Duration::from_millis(500)),
        };
        let (known, since) = entry.writer.state();
        known == Some(state) && now >= since + delay
    }

    /// Whether an address is about to be held here: nothing stands in its way, and an IPv6
    /// address may still be probed for duplicates.
    fn is_coming(&self, ip: IpAddr, around: &Around<'_>) -> bool {
        self.addresses.get(&ip).is_some_and(|address| {
            let claim = address.claim.as_deref();
            let installed =
                claim.is_some_and(|c| c.setback().is_none() && c.lingers(around.observed));
            let role = self.role_under(&address.authority, around);
            address.obstacle.is_none() && installed && matches!(role, Role::Holding { .. })
        })
    }

    /// Whether an address is held here and this Service is one that may share it.
    pub(in crate::core) fn is_held_for(
        &self,
        entry: &Entry,
        ip: IpAddr,
        around: &Around<'_>,
    ) -> bool {
        self.is_held(ip, around) && self.clash(entry, ip, around).is_none()
    }
}

fn ingress(ip: IpAddr, entry: &Entry) -> Ingress {
    Ingress { address: Some(ip), hostname: None, ports: entry.record.ports.clone() }
}

/// Addresses for a person.
pub(in crate::core) fn list(addresses: &[IpAddr]) -> String {
    let texts: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    texts.join(", ")
}
