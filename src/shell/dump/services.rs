//! The dump's lines about Services of type LoadBalancer.

use super::{dns_mode, link};
use crate::cli::services::word;
use crate::core::settings::{
    ClassFilter, EndpointSource, Labelling, OnDemand, PrefixLength, ServiceElection, ServiceLink,
    Services, Unclassed, Updates,
};
use crate::core::status::ServiceStatus;

/// Says each setting with its name.
pub(super) fn settings(services: &Services, mut say: impl FnMut(&str, String)) {
    let namespace = services.namespace.as_deref().unwrap_or("all");
    say("Services Namespace", namespace.to_owned());
    say("Load Balancer Class", class(&services.class));
    let each = services.election == ServiceElection::Each;
    say("Services Election", each.to_string());
    say("Per Service Election On Demand", (services.on_demand == OnDemand::On).to_string());
    say("Services Lease Name", services.lease.to_string());
    say("Services Lease Duration", format!("{} seconds", services.timing.duration.as_secs_f64()));
    say("Services Interface", interface(&services.link));
    let (v4, v6) = (prefix(services.prefix.v4), prefix(services.prefix.v6));
    say("Services Subnet", format!("{v4},{v6}"));
    say("Services DNS Mode", dns_mode(services.dns_mode).to_owned());
    let millis = services.announce_every.as_millis();
    say("Services ARP Broadcast Rate", millis.to_string());
    say("Disable Service Updates", (services.updates == Updates::Withheld).to_string());
    let endpoints = services.endpoints == EndpointSource::Endpoints;
    say("Enable Endpoints", endpoints.to_string());
    say("Services Node Labeling", (services.labelling == Labelling::On).to_string());
}

/// One Service on one line.
pub(super) fn one(service: &ServiceStatus) -> String {
    let addresses: Vec<String> = service.addresses.iter().map(ToString::to_string).collect();
    let or_none = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
    format!(
        "{} {} addresses={} holder={} lease={}: {}",
        service.service,
        word(service.state),
        or_none(&addresses.join(",")),
        or_none(&service.holder),
        or_none(&service.lease),
        service.reason
    )
}

fn class(class: &ClassFilter) -> String {
    match class {
        ClassFilter::Legacy { name, unclassed: Unclassed::Served } => format!("{name} or none"),
        ClassFilter::Legacy { name, unclassed: Unclassed::Ignored } => name.clone(),
        ClassFilter::Strict { name } if name.is_empty() => "none".to_owned(),
        ClassFilter::Strict { name } => format!("exactly {name}"),
    }
}

fn interface(choice: &ServiceLink) -> String {
    match choice {
        ServiceLink::Choice(choice) => link(choice),
        ServiceLink::OfSubnet(choice) => format!("auto, else {}", link(choice)),
    }
}

fn prefix(length: PrefixLength) -> String {
    match length {
        PrefixLength::Fixed(length) => length.to_string(),
        PrefixLength::OfSubnet => "auto".to_owned(),
    }
}
