//! Events about Services: announced, moved, waiting, refused, pending, each with its reason; they
//! are paced, and the latest word about a Service counts.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Entry, Services, wish};
use crate::core::addresses::View;
use crate::core::cluster::record::ServiceName;
use crate::core::input::{Effect, EventWeight, KubernetesRequest, ServiceEvent};
use crate::core::jitter::rank;
use crate::core::observed::peers;
use crate::core::rights::Authority;
use crate::core::settings::Updates;
use crate::core::status::ServiceState;
use crate::core::time::Moment;
use crate::core::work_queue::Due;

/// What lasts is said again, before the API server forgets Events (after an hour).
pub(super) const REPEAT: Duration = Duration::from_secs(50 * 60);
/// Time between two Events, once the burst is used up.
const PACE: Duration = Duration::from_millis(100);
/// A name has so long to be looked up before it is worth a word that it stands for nothing.
pub(super) const UNRESOLVED: Duration = Duration::from_secs(5);
/// How far ahead of the pace a burst may run.
const BURST: Duration = Duration::from_secs(2);

/// While so many wait, what is merely news is left out.
const CROWD: usize = 50;

/// Events that wait for their turn.
#[derive(Clone, Debug)]
pub(super) struct Events {
    waiting: BTreeMap<ServiceName, ServiceEvent>,
    /// When the pace is kept again (GCRA's theoretical arrival time).
    paid_until: Moment,
}

impl Events {
    /// One that has not said anything.
    #[must_use]
    pub(super) fn new(now: Moment) -> Self {
        Self { waiting: BTreeMap::new(), paid_until: now }
    }

    /// The Service's latest word. When a thousand Services move at once, not every one of them is
    /// worth an Event: their status says it. What is wrong is always said.
    fn say(&mut self, event: ServiceEvent) {
        let crowded = self.waiting.len() >= CROWD && event.weight == EventWeight::Normal;
        if !crowded || self.waiting.contains_key(&event.service) {
            self.waiting.insert(event.service.clone(), event);
        }
    }

    /// The Service is gone.
    pub(super) fn forget(&mut self, service: &ServiceName) {
        self.waiting.remove(service);
    }

    fn next(&mut self, now: Moment) -> Option<ServiceEvent> {
        if self.paid_until > now + BURST {
            return None;
        }
        let (_, event) = self.waiting.pop_first()?;
        self.paid_until = self.paid_until.max(now) + PACE;
        Some(event)
    }

    /// When the next one may be said.
    #[must_use]
    pub(super) fn deadline(&self) -> Due {
        let any = !self.waiting.is_empty();
        any.then(|| (self.paid_until - BURST, "an Event"))
    }
}

impl Services {
    /// Records the Events that have waited, as far as the pace allows.
    pub(crate) fn record_events(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        while let Some(event) = self.events.next(now) {
            self.counters.events += 1;
            effects.push(Effect::Kubernetes(KubernetesRequest::Event(event)));
        }
    }

    /// Notes how a Service is, and finds words for what is news.
    pub(super) fn look_for_news(&mut self, name: &ServiceName, view: &View<'_>) {
        let Some(entry) = self.entries.get(name) else { return };
        let (state, text) = self.state_of(entry, view);
        if let Some(entry) = self.entries.get_mut(name) {
            entry.writer.note(state, view.around.now);
        }
        let Some(event) = self.news(name, state, text, view) else { return };
        let said = fingerprint(&event);
        let Some(entry) = self.entries.get_mut(name) else { return };
        let known = entry
            .writer
            .said
            .is_some_and(|(known, at)| known == said && view.around.now.since(at) < REPEAT);
        if !known {
            entry.writer.said = Some((said, view.around.now));
            self.events.say(event);
        }
    }

    fn news(
        &self,
        name: &ServiceName,
        state: ServiceState,
        text: String,
        view: &View<'_>,
    ) -> Option<ServiceEvent> {
        let entry = self.entries.get(name)?;
        let here = || Some(self.site.node.clone());
        let (weight, reason, message, node) = match state {
            ServiceState::Held if self.is_partly_unresolved(entry, view.around.now) => {
                (EventWeight::Warning, "Unresolved", text, here())
            }
            ServiceState::Held => {
                let (reason, message) = self.announced(entry, view)?;
                (EventWeight::Normal, reason, message, here())
            }
            ServiceState::Waiting if self.is_worth_a_word(entry, state, view.around.now) => {
                (EventWeight::Warning, "Waiting", text, None)
            }
            ServiceState::Refused if self.is_worth_a_word(entry, state, view.around.now) => {
                (EventWeight::Warning, "Refused", text, None)
            }
            ServiceState::Pending if self.is_worth_a_word(entry, state, view.around.now) => {
                (EventWeight::Warning, "Pending", text, here())
            }
            ServiceState::Elsewhere if is_at_namesake(entry, view) => {
                (EventWeight::Warning, "NodeNameInUse", text, here())
            }
            _ => return None,
        };
        Some(ServiceEvent {
            service: name.clone(),
            uid: entry.record.uid.clone(),
            weight,
            reason: reason.to_owned(),
            message,
            node,
        })
    }

    /// Whether a name beside the addresses that are held stands for nothing, and has for a while.
    fn is_partly_unresolved(&self, entry: &Entry, now: Moment) -> bool {
        let settled = now >= entry.writer.state().1 + UNRESOLVED;
        settled && !self.names.unresolved(&entry.names).is_empty()
    }

    /// That this node announces the Service, unless the Service says so already.
    fn announced(&self, entry: &Entry, view: &View<'_>) -> Option<(&'static str, String)> {
        let host = entry.record.host();
        let first = entry.addresses.first()?;
        let reach = view.around.observed.reach(*first);
        if host == Some(&self.site.node) && reach.is_none() {
            return None;
        }
        let place = match reach {
            Some(reach) => peers(reach),
            None => {
                let link = view.vip(*first).map(|vip| vip.link.to_string());
                format!("on {}", link.unwrap_or_default())
            }
        };
        let alone = view.authority(*first) == Some(&Authority::EveryNode);
        let what = wish::list(&entry.addresses);
        let egress = match entry.record.wants_egress() {
            true => "; kube-vip.io/egress is not done by this version",
            false => "",
        };
        let withheld = self.site.settings.updates == Updates::Withheld;
        Some(match host.filter(|host| !withheld && !alone && *host != self.site.node) {
            Some(other) => (
                "Moved",
                format!(
                    "{what}: announced by {} {place}, before by {other}{egress}",
                    self.site.node
                ),
            ),
            None => {
                ("Announced", format!("{what}: announced by {} {place}{egress}", self.site.node))
            }
        })
    }
}

/// Whether another machine with this node's name holds one of its addresses.
fn is_at_namesake(entry: &Entry, view: &View<'_>) -> bool {
    entry.addresses.iter().any(|ip| view.right(*ip).is_at_namesake())
}

fn fingerprint(event: &ServiceEvent) -> u64 {
    let all = Duration::from_nanos(u64::MAX - 1);
    let hash = rank(&[&event.reason, &event.message], all);
    u64::try_from(hash.as_nanos()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(n: usize) -> ServiceEvent {
        ServiceEvent {
            service: ServiceName::new("default", &format!("s{n}")),
            uid: "u".into(),
            weight: EventWeight::Normal,
            reason: "Announced".to_owned(),
            message: String::new(),
            node: None,
        }
    }

    fn all_of(events: &mut Events, start: Moment) -> (usize, u64) {
        let mut said = std::iter::from_fn(|| events.next(start)).count();
        assert!((10..=30).contains(&said), "{said} at once");
        let mut now = start;
        while let Some((at, _)) = events.deadline() {
            now = now.max(at);
            said += std::iter::from_fn(|| events.next(now)).count();
            now = now + Duration::from_millis(10);
        }
        (said, now.since(start).as_secs())
    }

    #[test]
    fn a_thousand_warnings_are_paced_and_all_are_said() {
        let start = Moment::from_boot(Duration::from_secs(100));
        let mut events = Events::new(start);
        let warning = |n| ServiceEvent { weight: EventWeight::Warning, ..event(n) };
        (0..1000).for_each(|n| events.say(warning(n)));
        let (said, seconds) = all_of(&mut events, start);
        assert_eq!(said, 1000);
        assert!((90..=110).contains(&seconds), "{seconds} s");
    }

    #[test]
    fn a_thousand_addresses_that_move_at_once_are_not_a_thousand_events() {
        let start = Moment::from_boot(Duration::from_secs(100));
        let mut events = Events::new(start);
        (0..1000).for_each(|n| events.say(event(n)));
        assert_eq!(all_of(&mut events, start).0, CROWD);
    }

    #[test]
    fn of_two_words_about_one_service_only_the_later_is_said() {
        let start = Moment::from_boot(Duration::from_secs(100));
        let mut events = Events::new(start);
        events.say(event(1));
        events.say(ServiceEvent { message: "later".to_owned(), ..event(1) });
        assert_eq!(events.next(start).map(|event| event.message), Some("later".to_owned()));
        assert_eq!(events.next(start), None);
    }
}
