//! Where kube-vip's documentation and its code differ (X-01 to X-18 of the list of journeys): both
//! spellings of a flag are taken; whatever else the documentation says is understood, or named with
//! what to use instead. are about manifests and Services: `tests/docs.rs`.

use crate::config::table::{by_flag, find};
use crate::core::settings::{EndpointSource, LinkChoice, PlaneElection, ServiceElection};

use super::{EVERYTHING, Given, announcing, least, value};

fn serving() -> Given {
    least().env(&[("svc_enable", "true")])
}

/// The setting that this flag with this text gives a value to, in BGP mode.
#[track_caller]
fn flag(flag: &str, text: &str, setting: &str) {
    let argument = format!("--{flag}={text}");
    let loaded = announcing().args(&[&argument]).load_with(EVERYTHING).expect("loads");
    assert_eq!(value(&loaded, setting), text, "{argument}");
}

#[test]
fn x01_the_services_interface_has_two_spellings() {
    for name in ["servicesInterface", "serviceInterface"] {
        flag(name, "eth1", "vip_servicesinterface");
    }
}

#[test]
fn x02_multihop_has_two_spellings() {
    for name in ["multiHop", "multihop"] {
        flag(name, "true", "bgp_multihop");
    }
}

#[test]
fn x03_where_to_peer_from_has_two_spellings() {
    for name in ["sourceif", "sourceIF"] {
        flag(name, "eth1", "bgp_sourceif");
    }
    for name in ["sourceip", "sourceIP"] {
        flag(name, "192.0.2.9", "bgp_sourceip");
    }
}

#[test]
fn x04_leases_are_in_kube_system_unless_a_namespace_is_given() {
    let lease = |given: Given| {
        given.loaded().settings.core.control_plane.expect("a control plane").lease.namespace
    };
    assert_eq!(lease(least()), "kube-system");
    assert_eq!(lease(least().args(&["--namespace", "kube-vip"])), "kube-vip");
    assert_eq!(lease(least().args(&["-n", "kube-vip"])), "kube-vip");
}

#[test]
fn x05_the_level_of_the_log_is_slogs_and_0_by_default() {
    let level = |given: Given| given.loaded().settings.log.0;
    assert_eq!(level(least()), 0);
    assert_eq!(level(least().args(&["--log", "-4"])), -4);
    assert_eq!(level(least().env(&[("vip_loglevel", "4")])), 4);
    let meaning = find("vip_loglevel").expect("a setting").meaning;
    assert!(meaning.contains("-4 debug") && meaning.contains("lower shows more"), "{meaning}");
}

#[test]
fn x06_the_prefix_of_annotations_is_a_flag_in_the_plural_and_a_variable_in_the_singular() {
    flag("annotations", "a.example", "annotation");
    let given = announcing().env(&[("annotations", "a.example")]);
    let loaded = given.load_with(&["bgp"]).expect("loads");
    assert_eq!(value(&loaded, "annotation"), "");
    let said = "annotations in the environment has no effect; its name there is annotation";
    assert_eq!(loaded.warnings, [said]);
}

#[test]
fn x07_upnp_has_one_variable() {
    let loaded = serving().env(&[("enableUPNP", "true")]).loaded();
    let said = "enableUPNP in the environment has no effect; its name there is enable_upnp";
    assert_eq!(loaded.warnings, [said]);
    assert!(serving().env(&[("enable_upnp", "true")]).refused().starts_with("enable_upnp=true"));
}

#[test]
fn x08_endpoint_slices_are_the_default_and_endpoints_are_asked_for_by_name() {
    let endpoints = |given: Given| {
        let loaded = given.loaded();
        (loaded.settings.core.services.expect("Services").endpoints, loaded.warnings)
    };
    for given in [
        serving().args(&["--enableEndpointSlices"]),
        serving().args(&["--enableEndpointSlices=false"]),
        serving().env(&[("enable_endpointslices", "false")]),
    ] {
        let (watched, warnings) = endpoints(given);
        assert_eq!(watched, EndpointSource::Slices);
        assert!(warnings[0].contains("has no effect: EndpointSlices are watched unless"));
        assert!(warnings[0].ends_with("enable_endpoints is true"), "{warnings:?}");
    }
    let (watched, warnings) = endpoints(serving().args(&["--enableEndpoints"]));
    assert_eq!((watched, warnings), (EndpointSource::Endpoints, Vec::new()));
}

#[test]
fn x09_flags_of_equinix_metal_are_refused_and_its_variables_pointed_at() {
    for name in ["metal", "packet"] {
        let refused = least().args(&[&format!("--{name}")]).refused();
        assert!(refused.contains("is not a setting any more"), "{refused}");
        assert!(refused.contains(&format!("--{name}")) && refused.contains("annotation names"));
    }
    for name in [
        "metalKey",
        "metalProject",
        "metalProjectID",
        "packetKey",
        "packetProject",
        "packetProjectID",
        "provider-config",
    ] {
        let refused = least().args(&[&format!("--{name}"), "hush"]).refused();
        assert!(refused.contains(&format!("--{name}")) && refused.contains("annotation names"));
        assert!(!name.ends_with("Key") || !refused.contains("hush"), "{refused}");
    }
    for name in [
        "vip_packet",
        "vip_packetproject",
        "vip_packetprojectid",
        "provider_config",
        "PACKET_AUTH_TOKEN",
    ] {
        let warnings = least().env(&[(name, "hush")]).loaded().warnings;
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].starts_with(&format!("{name} has no effect: ")), "{warnings:?}");
        assert!(!warnings[0].contains("hush"), "{warnings:?}");
    }
}

#[test]
fn x10_egress_is_by_nftables_unless_it_is_asked_for_otherwise() {
    assert_eq!(value(&least().loaded(), "egress_withnftables"), "true");
    flag("egressWithNftables", "false", "egress_withnftables");
}

#[test]
fn x12_variables_that_the_table_of_the_documentation_lacks_are_settings() {
    let page = crate::cli::config::reference();
    for name in [
        "vip_routingtable",
        "vip_cleanroutingtable",
        "svc_namespace",
        "lb_class_only",
        "lb_class_name",
        "lb_class_legacy_handling",
        "per_service_election_on_demand",
        "enable_upnp",
        "svc_leasename",
        "vip_leasename",
        "vip_wireguard",
    ] {
        assert_eq!(find(name).and_then(|setting| setting.environment.first()), Some(&name));
        assert!(page.contains(&format!("\n| `{name}` |")), "{name}");
    }
}

#[test]
fn x13_vip_leaderelection_elects_for_the_control_plane_and_not_for_services() {
    let given = announcing().env(&[("vip_leaderelection", "true")]);
    let settings = given.load_with(&["bgp"]).expect("loads").settings.core;
    let plane = settings.control_plane.expect("a control plane");
    assert_eq!(plane.election, PlaneElection::ByLease);
    assert_eq!(settings.services.expect("Services").election, ServiceElection::EveryNode);
    // In ARP mode an address has one holder, whatever it says.
    for text in ["true", "false", ""] {
        let given = serving().env(&[("vip_leaderelection", text)]);
        let settings = given.loaded().settings.core;
        let plane = settings.control_plane.expect("a control plane");
        assert_eq!(plane.election, PlaneElection::ByLease, "{text}");
        assert_eq!(settings.services.expect("Services").election, ServiceElection::OneForAll);
    }
}

#[test]
fn x14_egress_clean_is_read_in_both_cases_and_the_lower_one_wins() {
    let clean = |pairs: &[(&str, &str)]| {
        let loaded = serving().env(pairs).load_with(EVERYTHING).expect("loads");
        value(&loaded, "egress_clean").to_owned()
    };
    assert_eq!(clean(&[("egress_clean", "true")]), "true");
    assert_eq!(clean(&[("EGRESS_CLEAN", "true")]), "true");
    assert_eq!(clean(&[("EGRESS_CLEAN", "true"), ("egress_clean", "")]), "true");
    assert_eq!(clean(&[("EGRESS_CLEAN", "true"), ("egress_clean", "false")]), "false");
}

#[test]
fn x16_bgp_takes_any_interface_for_the_control_plane() {
    for name in ["lo", "ens160"] {
        let given = announcing().env(&[("vip_interface", name)]);
        let plane = given.load_with(&["bgp"]).expect("loads").settings.core.control_plane;
        let link = plane.expect("a control plane").link;
        assert!(matches!(link, LinkChoice::Named(link) if link.as_str() == name));
    }
}

#[test]
fn flags_of_older_documentation_are_understood_or_named_with_what_to_use() {
    flag("cidr", "24", "vip_subnet");
    flag("controlPlane", "true", "cp_enable");
    flag("kubeConfig", "/etc/rancher/k3s/k3s.yaml", "k8s_config_file");
    for (name, instead) in [
        ("localPeer", "vip_leaderelection"),
        ("remotePeers", "vip_leaderelection"),
        ("lbBindToVip", "lb_enable"),
        ("lbBackEndPort", "lb_port"),
        ("disableVIP", "cp_enable"),
    ] {
        let refused = least().args(&[&format!("--{name}=x")]).refused();
        assert!(refused.contains(&format!("--{name}")) && refused.contains(instead), "{refused}");
    }
    for (name, variable) in [("singleNode", "vip_singlenode"), ("startAsLeader", "vip_startleader")]
    {
        let warnings = least().args(&[&format!("--{name}")]).loaded().warnings;
        assert!(warnings[0].starts_with(&format!("{variable} has no effect: ")), "{warnings:?}");
        assert!(warnings[0].contains("vip_leaderelection"), "{warnings:?}");
    }
}

/// The flags of `kube-vip manager --help`; those that stand without a value are the booleans.
#[test]
fn every_flag_of_kube_vip_is_one_of_ours_with_a_value_where_it_has_one() {
    let booleans = "allowInterfaceNotUp arp autodetectcp bgp bgpAttachIPToInterface cleanRoutingTable \
                    controlplane ddns disableServiceUpdates egressWithNftables enableEndpoints \
                    enableLoadBalancer enableNodeLabeling lbClassNameLegacyHandling lbClassOnly \
                    leaderElection loInterfaceGlobalScope loseLeadership multihop \
                    onlyAllowTrafficServicePorts perServiceElectionOnDemand \
                    preserveVipOnLeadershipLoss services servicesElection table wireguard zebra";
    let others = "address annotations bgpHoldTimer bgpKeepAliveInterval bgpRouterID bgppeers config-file \
                  controlPlaneHealthCheckAddress controlPlaneHealthCheckCAPath \
                  controlPlaneHealthCheckFailureThreshold controlPlaneHealthCheckPeriodSeconds \
                  controlPlaneHealthCheckTimeoutSeconds debounceTime dhcpBackoffAttempts dhcpMode \
                  dnsMode etcdCACert etcdCert etcdEndpoints etcdKey healthCheckPort instanceName \
                  interface k8sConfigPath lbClassName lbForwardingMethod lbPort leaderElectionType \
                  leaseDuration leaseName leaseRenewDuration leaseRetry localAS log \
                  loseLeadershiptTimeoutSeconds mirrorDestInterface n namespace nodeName peerAS \
                  peerAddress peerPass port prometheusHTTPServer routingProtocol serviceInterface \
                  servicesLeaseName sourceIF sourceIP tableID tableType vip vipSubnet zebraSoftwareName \
                  zebraUrl zebraVersion";
    for (names, alone) in [(booleans, true), (others, false)] {
        for name in names.split_whitespace() {
            let setting = by_flag(name).unwrap_or_else(|| panic!("--{name}"));
            assert_eq!(setting.is_bool(), alone, "--{name}");
        }
    }
}

/// Go's flags take numbers with a base; its variables do not.
#[test]
fn numbers_of_flags_are_gos() {
    for (text, wanted) in [
        ("0x1A0B", "6667"),
        ("0b101", "5"),
        ("0o17", "15"),
        ("017", "15"),
        ("1_024", "1024"),
        ("+7", "7"),
        ("7443", "7443"),
    ] {
        let loaded = least().args(&["--port", text]).loaded();
        assert_eq!(value(&loaded, "port"), wanted, "{text}");
    }
    assert!(
        least().args(&["--port", "0x"]).refused().contains("port=0x (flag --port): not a whole")
    );
    assert!(least().env(&[("port", "0x1A0B")]).refused().contains("not a whole number"));
    assert_eq!(value(&least().env(&[("port", "017")]).loaded(), "port"), "17");
}
