//! The labels of this node's Node object that say which Services it has (LBL-1).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use super::Services;
use crate::core::addresses::View;
use crate::core::addresses::claim::label_value;
use crate::core::cluster::record::ServiceName;
use crate::core::control_plane::Stopping;
use crate::core::input::{Effect, KubernetesRequest};
use crate::core::jitter::rank;
use crate::core::label::Label;
use crate::core::settings::Labelling;
use crate::core::time::Moment;
use crate::core::work_queue::Due;
use crate::ordered;

/// What the labels are.
#[derive(Clone, Debug, Default)]
pub(super) struct Labels {
    label: Label<BTreeMap<String, String>>,
    /// Keys of those that were written last.
    written: BTreeSet<String>,
}

impl Services {
    /// Writes the labels that have changed.
    pub(crate) fn write_labels(&mut self, view: &View<'_>, effects: &mut Vec<Effect>) {
        if self.site.settings.labelling == Labelling::Off {
            return;
        }
        let (wanted, now) = (self.wanted_labels(view), view.around.now);
        let Some(write) = self.labels.label.drive(wanted, now) else { return };
        let there = view.around.cluster.nodes().get(&self.site.node).map(|node| &node.labels);
        let of_services = there.into_iter().flat_map(|labels| labels.keys());
        let stale =
            of_services.filter(|key| key.starts_with(LABEL) && !write.contains_key(&***key));
        let mut change: BTreeMap<String, Option<String>> =
            ordered::map(stale.map(|key| (key.to_string(), None)));
        let before = self.labels.written.iter().filter(|key| !write.contains_key(*key));
        change.extend(before.map(|key| (key.clone(), None)));
        change.extend(write.iter().map(|(key, value)| (key.clone(), Some(value.clone()))));
        self.labels.written = ordered::set(write.into_keys());
        if change.is_empty() {
            return self.labels.label.answered(Ok(()), now);
        }
        effects.push(Effect::Kubernetes(KubernetesRequest::ServiceLabels(change)));
    }

    /// The labels were written, or not and why.
    pub(crate) fn labelled(&mut self, outcome: Result<(), String>, now: Moment) {
        self.labels.label.answered(outcome, now);
    }

    /// Whether no label is left.
    #[must_use]
    pub(crate) fn is_unlabelled(&self) -> bool {
        let off = self.site.settings.labelling == Labelling::Off;
        off || self.labels.label.is_settled(&BTreeMap::new())
    }

    /// When labels are to be written next.
    #[must_use]
    pub(crate) fn next_labels(&self, view: &View<'_>) -> Due {
        if self.site.settings.labelling == Labelling::Off {
            return None;
        }
        let next = self.labels.label.deadline(&self.wanted_labels(view));
        next.map(|at| (at, "the node's labels of Services"))
    }

    /// The labels that this node's Node object should have for Services (LBL-1).
    fn wanted_labels(&self, view: &View<'_>) -> BTreeMap<String, String> {
        if view.around.stopping != Stopping::No {
            return BTreeMap::new();
        }
        let held = self.entries.values().filter_map(|entry| {
            let held = self.held_for(entry, view);
            (!held.is_empty()).then(|| (label_key(&entry.record.name), label_values(&held)))
        });
        ordered::map(held)
    }
}

/// What the keys of Services' labels begin with (LBL-1).
const LABEL: &str = "service-provided.kube-vip.io/";

/// `service-provided.kube-vip.io/NAME.NAMESPACE`; a name part has 63 characters at the most.
fn label_key(name: &ServiceName) -> String {
    let full = format!("{}.{}", name.name(), name.namespace());
    if full.len() <= 63 {
        return format!("{LABEL}{full}");
    }
    let all = Duration::from_nanos(u64::from(u32::MAX));
    let hash = rank(&[name.namespace(), name.name()], all).as_nanos();
    let start: String = full.chars().take(54).collect();
    format!("{LABEL}{}-{hash:08x}", start.trim_end_matches(['.', '-']))
}

/// Addresses joined by `_`: a label's value has no comma, and 63 characters at the most.
fn label_values(addresses: &[IpAddr]) -> String {
    let mut value = String::new();
    for address in addresses {
        let text = label_value(*address);
        if value.len() + text.len() >= 63 {
            break;
        }
        if !value.is_empty() {
            value.push('_');
        }
        value.push_str(&text);
    }
    value
}
