//! Services of type LoadBalancer: what their settings become.

use std::time::Duration;

use crate::core::settings::{
    ClassFilter, DnsMode, EndpointSource, Labelling, LeaseTiming, LinkChoice, LinkNotUp, OnDemand,
    OnLinkDown, PrefixLength, ServiceElection, ServiceLink, Services, Unclassed, Updates,
};
use viplet_backend_api::{DuplicateDetection, InterfaceName};

use super::{Given, least, value};

/// ARP mode with Services alone.
fn serving() -> Given {
    Given::default().env(&[("vip_arp", "true"), ("svc_enable", "true")])
}

fn services(given: &Given) -> Services {
    given.loaded().settings.core.services.expect("Services")
}

fn with(pairs: &[(&str, &str)]) -> Services {
    services(&serving().env(pairs))
}

fn named(name: &str) -> LinkChoice {
    LinkChoice::Named(InterfaceName::new(name).expect("a name"))
}

#[test]
fn services_alone_have_kube_vips_defaults() {
    let loaded = serving().loaded();
    assert_eq!(loaded.warnings, Vec::<String>::new());
    assert_eq!(loaded.settings.core.control_plane, None);
    assert_eq!(loaded.settings.instance, "");
    let services = loaded.settings.core.services.expect("Services");
    let name = "kube-vip.io/kube-vip-class".to_owned();
    assert_eq!(services.namespace, None);
    assert_eq!(services.class, ClassFilter::Legacy { name, unclassed: Unclassed::Served });
    assert_eq!(services.election, ServiceElection::OneForAll);
    assert_eq!(services.on_demand, OnDemand::Off);
    assert_eq!(services.lease.to_string(), "kube-system/plndr-svcs-lock");
    assert_eq!(services.link, ServiceLink::Choice(LinkChoice::DefaultRoute));
    assert_eq!(services.prefix.v4, PrefixLength::Fixed(32));
    assert_eq!(services.prefix.v6, PrefixLength::Fixed(128));
    assert_eq!(services.dns_mode, DnsMode::First);
    assert_eq!(services.duplicate_detection, DuplicateDetection::Kernel);
    assert_eq!(services.announce_every, Duration::from_secs(3));
    assert_eq!(services.on_link_down, OnLinkDown::Keep);
    assert_eq!(services.link_not_up, LinkNotUp::Wait);
    assert_eq!(services.updates, Updates::Written);
    assert_eq!(services.endpoints, EndpointSource::Slices);
    assert_eq!(services.labelling, Labelling::Off);
    assert_eq!(services.control_plane_port, 6443);
}

#[test]
fn without_svc_enable_there_are_no_services_and_what_is_theirs_has_no_effect() {
    let given = least().env(&[
        ("svc_enable", "false"),
        ("svc_election", "true"),
        ("svc_namespace", "a"),
        ("lb_class_name", "x"),
        ("lb_class_only", "true"),
        ("enable_endpoints", "true"),
    ]);
    let loaded = given.loaded();
    assert_eq!(loaded.settings.core.services, None);
    assert_eq!(loaded.warnings.len(), 5, "{:?}", loaded.warnings);
    assert!(
        loaded.warnings.iter().all(|text| text.ends_with("has no effect: svc_enable is false"))
    );
    assert_eq!(loaded.settings.instance, "");
}

/// CFG-5: beside kube-vips that elect one node for all, an election for each Service would make a
/// second holder.
#[test]
fn a_variable_of_services_counts_only_beside_svc_enable_as_in_kube_vip() {
    let variables = [
        ("svc_election", "true"),
        ("lb_class_name", "x"),
        ("lb_class_only", "true"),
        ("lb_class_legacy_handling", "false"),
        ("svc_namespace", "a"),
        ("svc_leasename", "a/b"),
    ];
    let flags = Given::default().args(&["--arp", "--services"]);
    let loaded = flags.clone().env(&variables).loaded();
    assert_eq!(loaded.settings, flags.loaded().settings);
    assert_eq!(loaded.warnings.len(), variables.len(), "{:?}", loaded.warnings);
    for (name, _) in variables {
        let wanted =
            format!("{name} in the environment has no effect: svc_enable is not set there");
        assert!(loaded.warnings.iter().any(|text| text.starts_with(&wanted)), "{name}");
    }
    // Its value does not matter for that: the flag turns Services on.
    let beside = flags.clone().env(&variables).env(&[("svc_enable", "1")]).loaded();
    let services = beside.settings.core.services.expect("Services");
    assert_eq!(services.election, ServiceElection::Each);
    assert_eq!(services.class, ClassFilter::Strict { name: "x".to_owned() });
    // Flags count wherever svc_enable comes from.
    let each = self::services(&flags.args(&["--servicesElection"]));
    assert_eq!(each.election, ServiceElection::Each);
}

#[test]
fn every_setting_of_services_arrives() {
    let services = with(&[
        ("svc_election", "true"),
        ("svc_namespace", "tenant"),
        ("per_service_election_on_demand", "true"),
        ("vip_leaseduration", "5"),
        ("vip_renewdeadline", "3"),
        ("vip_retryperiod", "1"),
        ("dns_mode", "dual"),
        ("vip_skipdad", "true"),
        ("vip_arpRate", "700"),
        ("vip_loseleadership", "true"),
        ("vip_loseleadership_timeout_seconds", "7"),
        ("vip_allow_interface_not_up", "true"),
        ("disable_service_updates", "true"),
        ("enable_endpoints", "true"),
        ("enable_node_labeling", "true"),
        ("port", "7443"),
    ]);
    assert_eq!(services.election, ServiceElection::Each);
    assert_eq!(services.namespace.as_deref(), Some("tenant"));
    assert_eq!(services.on_demand, OnDemand::On);
    let timing = LeaseTiming {
        duration: Duration::from_secs(5),
        renew_deadline: Duration::from_secs(3),
        retry_period: Duration::from_secs(1),
    };
    assert_eq!(services.timing, timing);
    assert_eq!(services.dns_mode, DnsMode::Dual);
    assert_eq!(services.duplicate_detection, DuplicateDetection::Skip);
    assert_eq!(services.announce_every, Duration::from_millis(700));
    assert_eq!(services.on_link_down, OnLinkDown::Yield(Duration::from_secs(7)));
    assert_eq!(services.link_not_up, LinkNotUp::Allow);
    assert_eq!(services.updates, Updates::Withheld);
    assert_eq!(services.endpoints, EndpointSource::Endpoints);
    assert_eq!(services.labelling, Labelling::On);
    assert_eq!(services.control_plane_port, 7443);
}

#[test]
fn the_class_is_as_strict_as_it_was_said_to_be() {
    let legacy = |name: &str, unclassed| ClassFilter::Legacy { name: name.to_owned(), unclassed };
    let strict = |name: &str| ClassFilter::Strict { name: name.to_owned() };
    let class = |pairs: &[(&str, &str)]| with(pairs).class;
    let usual = "kube-vip.io/kube-vip-class";
    assert_eq!(class(&[("lb_class_only", "true")]), legacy(usual, Unclassed::Ignored));
    assert_eq!(class(&[("lb_class_name", "a.b/c")]), legacy("a.b/c", Unclassed::Served));
    assert_eq!(class(&[("lb_class_legacy_handling", "false")]), strict(usual));
    let empty = [("lb_class_legacy_handling", "false"), ("lb_class_name", "")];
    assert_eq!(class(&empty), strict(""));
    let both = serving().env(&[("lb_class_legacy_handling", "false"), ("lb_class_only", "true")]);
    assert_eq!(
        both.loaded().warnings,
        ["lb_class_only has no effect: lb_class_legacy_handling is false"]
    );
}

#[test]
fn the_services_lease_is_in_its_own_namespace_then_the_service_accounts_then_cp_namespace() {
    let lease = |pairs: &[(&str, &str)]| with(pairs).lease.to_string();
    assert_eq!(lease(&[("cp_namespace", "a")]), "a/plndr-svcs-lock");
    assert_eq!(lease(&[("cp_namespace", "a"), ("svc_leasename", "x/y")]), "x/y");
    let mut given = serving().env(&[("cp_namespace", "a"), ("svc_leasename", "y")]);
    given.account = Some("pods\n".to_owned());
    assert_eq!(services(&given).lease.to_string(), "pods/y");
}

#[test]
fn services_are_on_their_own_link_else_the_usual_one_else_the_default_routes() {
    let link = |pairs: &[(&str, &str)]| with(pairs).link;
    assert_eq!(link(&[("vip_interface", "eth0")]), ServiceLink::Choice(named("eth0")));
    let both = [("vip_interface", "eth0"), ("vip_servicesinterface", "eth1")];
    assert_eq!(link(&both), ServiceLink::Choice(named("eth1")));
    let auto = [("vip_servicesinterface", "auto")];
    assert_eq!(link(&auto), ServiceLink::OfSubnet(LinkChoice::DefaultRoute));
    let auto = [("vip_interface", "eth0"), ("vip_servicesinterface", "auto")];
    assert_eq!(link(&auto), ServiceLink::OfSubnet(named("eth0")));
    // The control plane stays where it is.
    let given = least().env(&[("svc_enable", "true"), ("vip_servicesinterface", "eth1")]);
    let plane = given.loaded().settings.core.control_plane.expect("a control plane");
    assert_eq!(plane.link, LinkChoice::DefaultRoute);
}

#[test]
fn prefix_lengths_of_services_are_of_one_family_each_and_may_be_the_subnets() {
    use PrefixLength::{Fixed, OfSubnet};
    for (subnet, v4, v6) in [
        ("", Fixed(32), Fixed(128)),
        ("32", Fixed(32), Fixed(128)),
        ("/24", Fixed(24), Fixed(128)),
        ("64", Fixed(32), Fixed(64)),
        ("24,64", Fixed(24), Fixed(64)),
        ("auto", OfSubnet, OfSubnet),
        ("auto,auto", OfSubnet, OfSubnet),
        ("auto,64", OfSubnet, Fixed(64)),
        ("24,auto", Fixed(24), OfSubnet),
    ] {
        let prefix = with(&[("vip_subnet", subnet)]).prefix;
        assert_eq!((prefix.v4, prefix.v6), (v4, v6), "{subnet}");
    }
}

#[test]
fn an_automatic_prefix_is_for_arp_mode_without_a_control_plane_address() {
    for subnet in ["auto", "auto,auto", "auto,64", "24,auto"] {
        let plane = least().env(&[("svc_enable", "true"), ("vip_subnet", subnet)]).refused();
        let wanted = format!("vip_subnet={subnet} (environment): auto is for Services in ARP mode");
        assert!(plane.starts_with(&format!("{wanted}, not with an address")), "{plane}");
        let bgp = Given::default().env(&[
            ("bgp_enable", "true"),
            ("bgp_peers", "192.0.2.9:65000"),
            ("svc_enable", "true"),
            ("vip_subnet", subnet),
        ]);
        let problems = super::lines(&bgp.load_with(&["bgp"]).expect_err("loads"));
        assert!(problems.starts_with(&format!("{wanted}, not in BGP mode")), "{problems}");
    }
}

#[test]
fn an_address_without_a_control_plane_is_harmless_and_pointed_at() {
    for (name, subnet) in [("address", "auto"), ("vip_address", "")] {
        let loaded = serving().env(&[(name, "192.0.2.1"), ("vip_subnet", subnet)]).loaded();
        assert_eq!(loaded.settings.core.control_plane, None);
        assert_eq!(loaded.warnings, [format!("{name} has no effect: cp_enable is false")]);
    }
}

/// H-02.
#[test]
fn the_helm_charts_default_environment_loads_in_this_build() {
    let given = Given::default().env(&[
        ("vip_interface", ""),
        ("vip_arp", "true"),
        ("lb_enable", "true"),
        ("lb_port", "6443"),
        ("vip_subnet", "32"),
        ("cp_enable", "false"),
        ("svc_enable", "true"),
        ("svc_election", "false"),
        ("vip_leaderelection", "false"),
        ("prometheus_server", ":2112"),
    ]);
    let loaded = given.loaded();
    assert_eq!(loaded.warnings, ["lb_enable has no effect: cp_enable is false"]);
    assert!(loaded.settings.core.services.is_some());
}

/// MAN-4, with `--services --controlplane --arp --inCluster --taint`.
#[test]
fn the_environment_of_a_generated_daemonset_loads_without_a_word() {
    let given = Given::default().env(&[
        ("vip_arp", "true"),
        ("port", "6443"),
        ("vip_nodename", "n1"),
        ("vip_interface", "eth0"),
        ("vip_servicesinterface", "eth1"),
        ("vip_subnet", "32"),
        ("dns_mode", "first"),
        ("dhcp_mode", "ipv4"),
        ("cp_enable", "true"),
        ("cp_namespace", "kube-system"),
        ("svc_enable", "true"),
        ("svc_leasename", "plndr-svcs-lock"),
        ("svc_election", "true"),
        ("vip_leaderelection", "true"),
        ("vip_leasename", "plndr-cp-lock"),
        ("vip_leaseduration", "5"),
        ("vip_renewdeadline", "3"),
        ("vip_retryperiod", "1"),
        ("address", "192.168.0.40"),
        ("prometheus_server", ":2112"),
    ]);
    let loaded = given.loaded();
    assert_eq!(loaded.warnings, Vec::<String>::new());
    assert!(
        loaded.settings.core.services.is_some() && loaded.settings.core.control_plane.is_some()
    );
}

#[test]
fn both_parts_may_share_one_lease() {
    let given = least().env(&[("svc_enable", "true"), ("svc_leasename", "plndr-cp-lock")]);
    let settings = given.loaded().settings.core;
    assert_eq!(
        settings.services.expect("Services").lease,
        settings.control_plane.expect("a control plane").lease
    );
}

#[test]
fn another_mode_than_arp_is_refused_for_services_too() {
    for (mode, feature) in
        [("bgp_enable", "bgp"), ("vip_routingtable", "route-table"), ("vip_wireguard", "wireguard")]
    {
        let given = Given::default().env(&[(mode, "true"), ("svc_enable", "true")]);
        let refused = given.refused();
        assert!(refused.contains(&format!("needs the feature {feature}")), "{refused}");
    }
}

/// J-26.
#[test]
fn the_instance_is_the_one_named_else_the_services_namespace() {
    let instance = |given: Given| given.loaded().settings.instance;
    assert_eq!(instance(serving().env(&[("svc_namespace", "finance")])), "finance");
    let both = serving().env(&[("svc_namespace", "finance"), ("instance_name", "two")]);
    assert_eq!(instance(both), "two");
    let plane = least().env(&[("instance_name", "two")]).loaded();
    assert_eq!((plane.settings.instance.as_str(), plane.warnings.len()), ("two", 0));
}

#[test]
fn what_is_in_effect_for_services_is_shown_with_its_source() {
    let loaded = serving().env(&[("svc_leasename", "a/b"), ("lb_class_name", "")]).loaded();
    assert_eq!(value(&loaded, "svc_enable"), "true");
    assert_eq!(value(&loaded, "svc_leasename"), "a/b");
    assert_eq!(value(&loaded, "lb_class_name"), "");
    for setting in ["svc_election", "vip_servicesinterface", "svc_namespace", "enable_endpoints"] {
        value(&loaded, setting);
    }
}

/// kube-vip: the generated timeout is a second `vip_loseleadership`, which does not parse.
#[test]
fn the_time_that_a_link_may_be_down_is_a_setting_of_its_own() {
    let refused = serving().env(&[("vip_loseleadership", "30")]).refused();
    assert!(refused.starts_with("vip_loseleadership=30 (environment): neither true nor false"));
}

/// A peer that keeps the routes of a dead node longer than its lease lasts would be a second holder.
#[test]
fn timers_that_nobody_set_suit_an_election_and_are_shown_as_they_are() {
    let bgp = Given::default().env(&[
        ("bgp_enable", "true"),
        ("bgp_peers", "192.0.2.9:65000"),
        ("svc_enable", "true"),
        ("vip_leaseduration", "15"),
        ("vip_renewdeadline", "10"),
        ("vip_retryperiod", "2"),
    ]);
    let hold = |given: &Given| {
        let loaded = given.load_with(&["bgp"]).expect("loads");
        let lines = loaded.settings.backend.lines();
        let hold = lines.into_iter().find(|(name, _)| *name == "BGP Hold Time");
        let shown = value(&loaded, "bgp_hold_time");
        // A build without BGP has no settings of its own for it.
        assert!(hold.is_none_or(|(_, hold)| hold == shown), "what is shown is what counts");
        shown.to_owned()
    };
    assert_eq!(hold(&bgp), "30");
    let elected = bgp.clone().env(&[("svc_election", "true")]);
    assert_eq!(hold(&elected), "15");
    assert_eq!(hold(&elected.clone().env(&[("bgp_hold_time", "90")])), "90");
}
