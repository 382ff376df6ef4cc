//! Settings of Services of type LoadBalancer and of their egress.

use crate::config::setting::{Empty, Gate, Kind, Role, Setting, Unknown};

const SVC: Gate = Gate::AnyOn(&["svc_enable"]);
const LEGACY: Gate = Gate::AnyOn(&["lb_class_legacy_handling"]);
/// kube-vip reads six variables of Services only where this one is given too (CFG-5).
const ENABLE: &str = "svc_enable";
const DEBOUNCE: &str = "viplet takes in one turn what changed meanwhile, and never waits for more";
const EGRESS_FEATURE: &str = "egress";

/// Services of type LoadBalancer.
pub(super) const SETTINGS: &[Setting] = &[
    Setting::new(
        &["svc_enable"],
        Kind::Bool,
        "false",
        "Hold the addresses of Services of type LoadBalancer",
    )
    .flags(&["services"])
    .file(&["EnableServices"]),
    Setting::new(
        &["svc_election"],
        Kind::Bool,
        "false",
        "Elect a holder for each Service instead of one for all",
    )
    .unread(&["enableServicesElection"])
    .beside(ENABLE)
    .flags(&["servicesElection"])
    .file(&["EnableServicesElection"])
    .gate(SVC),
    Setting::new(
        &["svc_namespace"],
        Kind::Namespace,
        "",
        "Namespace whose Services count; empty: all",
    )
    .beside(ENABLE)
    .file(&["ServiceNamespace"])
    .gate(SVC),
    Setting::new(
        &["svc_leasename"],
        Kind::Lease,
        "plndr-svcs-lock",
        "The Lease for all Services: name, or namespace/name",
    )
    .beside(ENABLE)
    .flags(&["servicesLeaseName"])
    .file(&["ServicesLeaseName"])
    .gate(SVC),
    Setting::new(
        &["vip_servicesinterface"],
        Kind::InterfaceOrAuto,
        "",
        "Interface for Services' addresses; auto: the one of the address' subnet; empty: vip_interface",
    )
    .flags(&["serviceInterface", "servicesInterface"])
    .file(&["ServicesInterface"])
    .gate(SVC),
    Setting::new(
        &["lb_class_name"],
        Kind::Text,
        "kube-vip.io/kube-vip-class",
        "loadBalancerClass that counts as ours; may be empty",
    )
    .unread(&["LoadBalancerClassName"])
    .beside(ENABLE)
    .flags(&["lbClassName"])
    .file(&["LoadBalancerClassName"])
    .empty(Empty::Value)
    .gate(SVC),
    Setting::new(
        &["lb_class_only"],
        Kind::Bool,
        "false",
        "Ignore Services without a loadBalancerClass",
    )
    .beside(ENABLE)
    .flags(&["lbClassOnly"])
    .file(&["LoadBalancerClassOnly"])
    .gate(LEGACY),
    Setting::new(
        &["lb_class_legacy_handling"],
        Kind::Bool,
        "true",
        "Services without a loadBalancerClass count too; false: only those with exactly lb_class_name, \
         which may be empty",
    )
    .unread(&["LoadBalancerClassLegacyHandling"])
    .beside(ENABLE)
    .flags(&["lbClassNameLegacyHandling"])
    .file(&["LoadBalancerClassLegacyHandling"])
    .gate(SVC),
    Setting::new(
        &["enable_service_security"],
        Kind::Bool,
        "false",
        "Drop traffic to ports that the Service does not have",
    )
    .flags(&["onlyAllowTrafficServicePorts"])
    .file(&["EnableServiceSecurity"])
    .switch("security")
    .gate(SVC),
    Setting::new(
        &["disable_service_updates"],
        Kind::Bool,
        "false",
        "Write neither annotations nor status of Services",
    )
    .flags(&["disableServiceUpdates"])
    .file(&["DisableServiceUpdates"])
    .gate(SVC),
    Setting::new(
        &["enable_endpoints"],
        Kind::Bool,
        "false",
        "Watch Endpoints instead of EndpointSlices",
    )
    .flags(&["enableEndpoints"])
    .file(&["EnableEndpoints"])
    .gate(SVC),
    Setting::new(
        &["per_service_election_on_demand"],
        Kind::Bool,
        "false",
        "Elect a holder of their own for Services with kube-vip.io/forcePerServiceElection",
    )
    .flags(&["perServiceElectionOnDemand"])
    .file(&["PerServiceElectionOnDemand"])
    .gate(SVC),
    Setting::new(
        &["debounce_time"],
        Kind::Duration,
        "0s",
        "Time in which events of one Service are taken together, once",
    )
    .flags(&["debounceTime"])
    .file(&["DebounceTime"])
    .role(Role::NoEffect(DEBOUNCE)),
    Setting::new(
        &["mirror_dest_interface"],
        Kind::Interface,
        "",
        "Interface that receives a copy of the traffic on the Services' interface",
    )
    .flags(&["mirrorDestInterface"])
    .file(&["MirrorDestInterface"])
    .switch("mirror")
    .gate(SVC),
    Setting::new(
        &["enable_upnp"],
        Kind::Bool,
        "false",
        "Ask the gateway to forward ports of Services with kube-vip.io/forwardUPNP",
    )
    .unread(&["enableUPNP"])
    .file(&["EnableUPNP"])
    .switch("upnp"),
];

/// Traffic that leaves pods with a Service's address.
pub(super) const EGRESS: &[Setting] = &[
    Setting::new(
        &["egress_podcidr"],
        Kind::Cidrs,
        "",
        "The pods' networks; empty: discovered, else 10.0.0.0/16",
    )
    .file(&["EgressPodCidr"])
    .of(EGRESS_FEATURE)
    .gate(SVC),
    Setting::new(
        &["egress_servicecidr"],
        Kind::Cidrs,
        "",
        "The Services' networks; empty: discovered, else 10.96.0.0/12",
    )
    .file(&["EgressServiceCidr"])
    .of(EGRESS_FEATURE)
    .gate(SVC),
    Setting::new(
        &["egress_withnftables"],
        Kind::Bool,
        "true",
        "nftables; false asked kube-vip for the iptables programs",
    )
    .flags(&["egressWithNftables"])
    .file(&["EgressWithNftables"])
    .of(EGRESS_FEATURE)
    .gate(SVC),
    Setting::new(
        &["egress_enableinternalsnat"],
        Kind::Bool,
        "false",
        "Leave the cluster's own networks out even with the no-internal-traffic annotation",
    )
    .file(&["EgressEnableInternalSNAT"])
    .of(EGRESS_FEATURE)
    .gate(SVC),
    Setting::new(
        &["egress_clean", "EGRESS_CLEAN"],
        Kind::Bool,
        "false",
        "Remove this deployment's egress rules at the start",
    )
    .file(&["EgressClean"])
    .switch(EGRESS_FEATURE)
    .gate(SVC),
    Setting::new(
        &["iptables_backend"],
        Kind::Words(&["nft", "legacy"], Unknown::Default),
        "",
        "Which iptables programs",
    )
    .file(&["IptablesBackend"])
    .role(Role::NoEffect("kube-vip never looks at it and viplet runs no iptables")),
];
