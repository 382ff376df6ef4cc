//! How a Service is, as this node sees it, and why in one line.

use std::net::IpAddr;

use super::{Entry, Services, Standing};
use crate::core::addresses::eligibility::Ineligibility;
use crate::core::addresses::{View, clash_text};
use crate::core::status::ServiceState;

impl Services {
    /// How a Service is, and why in one line.
    pub(super) fn state_of(&self, entry: &Entry, view: &View<'_>) -> (ServiceState, String) {
        match &entry.standing {
            Standing::Ignored(why) => (ServiceState::Ignored, why.to_string()),
            Standing::Refused(refused) => (ServiceState::Refused, refused.text.clone()),
            Standing::Waiting(why) => (ServiceState::Waiting, why.to_string()),
            Standing::Asking => {
                let states = entry.addresses.iter().map(|ip| state_at(entry, *ip, view));
                let worst = |state: &ServiceState| match state {
                    ServiceState::Held => 0,
                    ServiceState::Elsewhere => 1,
                    ServiceState::Ignored => 2,
                    ServiceState::Pending => 3,
                    ServiceState::Waiting => 4,
                    ServiceState::Refused => 5,
                };
                let found = states.max_by_key(|(state, _)| worst(state));
                let (state, text) =
                    found.unwrap_or((ServiceState::Waiting, "it has no address yet".to_owned()));
                (state, self.with_unresolved(entry, text))
            }
        }
    }

    /// A text about a Service, and which of the names that it asks for stand for nothing: one of
    /// several addresses that was mistyped is such a name.
    fn with_unresolved(&self, entry: &Entry, text: String) -> String {
        let unresolved = self.names.unresolved(&entry.names);
        if unresolved.is_empty() { text } else { format!("{text}; {unresolved}") }
    }
}

/// How a Service is with one of its addresses.
pub(super) fn state_at(entry: &Entry, ip: IpAddr, view: &View<'_>) -> (ServiceState, String) {
    if let Some((port, with)) = view.clash(&entry.record.name, ip) {
        return (ServiceState::Refused, clash_text(ip, port, with));
    }
    if view.authority(ip).is_none() {
        return (ServiceState::Pending, format!("{ip} has not been looked at yet"));
    }
    let ineligible = view.ineligible(ip);
    if ineligible == Some(&Ineligibility::NoEndpoints) {
        return (ServiceState::Waiting, no_endpoints(entry, view));
    }
    if view.is_held(ip) {
        return (ServiceState::Held, "this node holds it".to_owned());
    }
    let right = view.right(ip);
    if let Some(holder) = right.elsewhere() {
        return (ServiceState::Elsewhere, format!("{holder} holds it{}", right.advice()));
    }
    match ineligible {
        None if right.is_held() => (ServiceState::Pending, view.pending(ip)),
        Some(Ineligibility::EndpointsElsewhere(_)) => (ServiceState::Elsewhere, view.why_here(ip)),
        _ => (ServiceState::Pending, view.why_here(ip)),
    }
}

/// Why nobody serves it who could.
pub(super) fn no_endpoints(entry: &Entry, view: &View<'_>) -> String {
    match view.around.cluster.reach(&entry.record.name).unready {
        0 => "it has no endpoint on any node: no pod matches its selector, or none is there yet"
            .to_owned(),
        count => format!("none of its {count} endpoints is ready on any node"),
    }
}
