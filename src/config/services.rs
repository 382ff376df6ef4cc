//! What is said about Services of type LoadBalancer, as the core takes it.

use viplet_backend_api::{InterfaceName, Presence};

use super::build;
use super::gather::{Gathered, Inputs};
use super::network::PrefixChoice;
use super::settings::Mode;
use crate::core::settings as core;
use core::PrefixLength::{Fixed, OfSubnet};

/// The word for «what fits the address».
const AUTO: &str = "auto";

/// The settings of Services, where they are to be served.
pub(super) fn services(values: &Gathered, inputs: &Inputs<'_>) -> Option<core::Services> {
    if !values.is_on("svc_enable") {
        return None;
    }
    let namespace = values.text("svc_namespace");
    let presence = presence(values);
    let (link, prefix) = match presence {
        Presence::OnLink => (link(values), prefix(values.prefixes())),
        // Never put there: `lo` is a link that is always up.
        Presence::MadeKnown => (loopback(), prefix(None)),
    };
    Some(core::Services {
        namespace: (!namespace.is_empty()).then_some(namespace),
        class: class(values),
        election: election(values),
        on_demand: values.choose(
            "per_service_election_on_demand",
            core::OnDemand::On,
            core::OnDemand::Off,
        ),
        lease: build::lease("svc_leasename", values, inputs)?,
        timing: build::timing(values),
        link,
        presence,
        prefix,
        dns_mode: build::dns_mode(values),
        duplicate_detection: build::duplicate_detection(values),
        announce_every: build::announce_every(values),
        on_link_down: build::on_link_down(values),
        link_not_up: build::link_not_up(values),
        updates: values.choose(
            "disable_service_updates",
            core::Updates::Withheld,
            core::Updates::Written,
        ),
        endpoints: values.choose(
            "enable_endpoints",
            core::EndpointSource::Endpoints,
            core::EndpointSource::Slices,
        ),
        labelling: build::labelling(values),
        control_plane_port: u16::try_from(values.integer("port")).unwrap_or_default(),
        per_turn: core::PER_TURN,
    })
}

/// Who holds a Service's address.
fn election(values: &Gathered) -> core::ServiceElection {
    let everywhere = values.mode().is_some_and(Mode::is_routed);
    match (values.is_on("svc_election"), everywhere) {
        (true, _) => core::ServiceElection::Each,
        (false, true) => core::ServiceElection::EveryNode,
        (false, false) => core::ServiceElection::OneForAll,
    }
}

/// BGP-9: kube-proxy takes the packets of an address that is on no interface.
fn presence(values: &Gathered) -> Presence {
    let attached = values.is_on("bgp_attach_ip_to_interface");
    match values.mode() {
        Some(Mode::Bgp) if !attached => Presence::MadeKnown,
        _ => Presence::OnLink,
    }
}

fn loopback() -> core::ServiceLink {
    let lo =
        InterfaceName::new("lo").map_or(core::LinkChoice::DefaultRoute, core::LinkChoice::Named);
    core::ServiceLink::Choice(lo)
}

/// SVC-6 and SVC-7.
fn class(values: &Gathered) -> core::ClassFilter {
    let name = values.text("lb_class_name");
    if !values.is_on("lb_class_legacy_handling") {
        return core::ClassFilter::Strict { name };
    }
    let unclassed =
        values.choose("lb_class_only", core::Unclassed::Ignored, core::Unclassed::Served);
    core::ClassFilter::Legacy { name, unclassed }
}

/// SVC-11, as far as the settings go.
fn link(values: &Gathered) -> core::ServiceLink {
    let usual = || build::link(values);
    let name = values.text("vip_servicesinterface");
    match InterfaceName::new(&name) {
        Some(_) if name == AUTO => core::ServiceLink::OfSubnet(usual()),
        Some(name) => core::ServiceLink::Choice(core::LinkChoice::Named(name)),
        None => core::ServiceLink::Choice(usual()),
    }
}

/// SVC-12: one length is for the family it fits; nobody means `/24` for IPv6.
fn prefix(choice: Option<PrefixChoice>) -> core::ServicePrefixes {
    let or_auto = |length: Option<u8>| length.map_or(OfSubnet, Fixed);
    let (v4, v6) = match choice {
        Some(PrefixChoice::One(length)) if length <= 32 => (Fixed(length), Fixed(128)),
        Some(PrefixChoice::One(length)) => (Fixed(32), Fixed(length)),
        Some(PrefixChoice::Both(v4, v6)) => (or_auto(v4), or_auto(v6)),
        Some(PrefixChoice::Auto) => (OfSubnet, OfSubnet),
        None => (Fixed(32), Fixed(128)),
    };
    core::ServicePrefixes { v4, v6 }
}
