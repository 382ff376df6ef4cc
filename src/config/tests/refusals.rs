//! What is refused, what is only pointed at, and in which words.

use super::{Given, least, value};

#[test]
fn everything_wrong_is_said_at_once() {
    let refused = Given::default()
        .env(&[
            ("vip_arp", "yes"),
            ("cp_enable", "true"),
            ("vip_leaseduration", "abc"),
            ("vip_interface", "a name with spaces"),
            ("vip_subnet", "64,24"),
            ("health_check_port", "80"),
        ])
        .args(&["--instanceName", "a/b", "--port"])
        .refused();
    let starts: Vec<&str> =
        refused.lines().map(|line| line.split(": ").next().unwrap_or_default()).collect();
    assert_eq!(
        starts,
        [
            "instance_name=a/b (flag --instanceName)",
            "health_check_port=80 (environment)",
            "vip_arp=yes (environment)",
            "address= (default)",
            "vip_subnet=64,24 (environment)",
            "vip_interface=a name with spaces (environment)",
            "port= (flag --port)",
            "vip_leaseduration=abc (environment)",
        ]
    );
    assert!(refused.contains(
        "vip_leaseduration=abc (environment): not a whole number; accepted: a whole number from 2"
    ));
}

#[test]
fn a_setting_whose_feature_is_missing_is_refused_by_name() {
    for (name, text, feature) in [
        ("bgp_enable", "true", "bgp"),
        ("vip_wireguard", "true", "wireguard"),
        ("vip_routingtable", "true", "route-table"),
        ("lb_enable", "true", "ipvs"),
        ("vip_ddns", "true", "ddns"),
        ("enable_upnp", "true", "upnp"),
        ("enable_service_security", "true", "security"),
        ("mirror_dest_interface", "eth1", "mirror"),
        ("egress_clean", "true", "egress"),
    ] {
        let refused = least().env(&[("svc_enable", "true"), (name, text)]).refused();
        let wanted = format!(
            "{name}={text} (environment): needs the feature {feature}, which this build lacks\n"
        );
        assert!(refused.contains(&wanted), "{refused}");
    }
    let refused = least().args(&["--leaderElectionType", "etcd"]).refused();
    assert!(refused.contains("needs the feature etcd, which this build lacks"));
    // ARP too is a feature.
    let problems = least().load_with(&[]).expect_err("loads");
    assert!(problems[0].to_string().contains("needs the feature arp"));
}

#[test]
fn a_missing_mode_is_the_only_complaint_about_modes() {
    let given = Given::default().env(&[("bgp_enable", "true"), ("svc_enable", "true")]);
    let refused = given.refused();
    assert_eq!(refused.lines().count(), 1, "{refused}");
    assert!(refused.contains("needs the feature bgp"), "{refused}");
}

#[test]
fn what_depends_on_something_that_is_off_is_pointed_at_and_no_error() {
    let given = least().env(&[
        ("bgp_as", "65001"),
        ("svc_leasename", "other"),
        ("dhcp_mode", "ipv6"),
        ("lb_port", "7443"),
        ("vip_routingtableid", "200"),
        ("control_plane_health_check_period_seconds", "1"),
    ]);
    let mut warnings = given.loaded().warnings;
    warnings.sort();
    assert_eq!(
        warnings,
        [
            "bgp_as has no effect: bgp_enable is false",
            "control_plane_health_check_period_seconds has no effect: \
             control_plane_health_check_address is not set",
            "dhcp_mode has no effect: svc_enable is false",
            "lb_port has no effect: lb_enable is false",
            "svc_leasename in the environment has no effect: svc_enable is not set there, and kube-vip reads \
             it only beside that",
            "vip_routingtableid has no effect: vip_routingtable is false",
        ]
    );
}

#[test]
fn the_reason_for_no_effect_is_the_setting_that_has_to_change() {
    let pairs =
        [("vip_arp", "true"), ("svc_enable", "true"), ("lb_enable", "true"), ("lb_port", "1")];
    let given = Given::default().env(&pairs);
    assert_eq!(
        given.load_with(&["arp", "ipvs"]).expect("loads").warnings,
        [
            "lb_enable has no effect: cp_enable is false",
            "lb_port has no effect: cp_enable is false"
        ]
    );
    let name = "control_plane_health_check_address";
    let given = least().env(&[(name, "https://a/livez"), ("backend_health_check_interval", "3")]);
    assert_eq!(given.loaded().warnings.len(), 2);
}

#[test]
fn one_open_gate_of_several_is_enough() {
    let pairs = [
        ("vip_routingtable", "true"),
        ("cp_enable", "true"),
        ("address", "192.0.2.1"),
        ("backend_health_check_interval", "3"),
        ("control_plane_health_check_address", "https://a/livez"),
    ];
    let loaded = Given::default().env(&pairs).load_with(&["route-table"]).expect("loads");
    assert_eq!(loaded.warnings, Vec::<String>::new());
}

#[test]
fn leftovers_equal_to_the_default_are_passed_over() {
    let given = least().env(&[
        ("bgp_as", "65000"),
        ("bgp_peeras", "65000"),
        ("lb_fwdmethod", "local"),
        ("lb_port", "6443"),
        ("svc_leasename", "plndr-svcs-lock"),
        ("svc_enable", "false"),
        ("lb_enable", "false"),
    ]);
    assert_eq!(given.loaded().warnings, Vec::<String>::new());
}

#[test]
fn several_modes_are_refused() {
    let given = least().env(&[("bgp_enable", "true"), ("bgp_peers", "192.0.2.9:65000")]);
    let problems = given.load_with(&["arp", "bgp"]).expect_err("loads");
    assert_eq!(problems.len(), 1);
    assert_eq!(
        problems[0].to_string(),
        "vip_arp=true (environment): multiple kube-vip modes detected: vip_arp, bgp_enable; \
         accepted: exactly one"
    );
}

#[test]
fn a_control_plane_without_an_address_is_refused() {
    let refused = least().env(&[("address", "")]).refused();
    assert!(refused.starts_with("address= (default): cp_enable is true, so an address is needed"));
}

#[test]
fn the_older_address_needs_a_prefix_length_and_loses_to_the_newer() {
    let older = Given::default().env(&[
        ("vip_arp", "true"),
        ("cp_enable", "true"),
        ("vip_address", "192.0.2.7"),
    ]);
    assert!(older.refused().contains("vip_subnet must be set"));
    older.clone().env(&[("vip_subnet", "24")]).loaded();
    let both = older.env(&[("address", "192.0.2.1")]).loaded();
    assert_eq!(both.warnings, ["vip_address has no effect: address is set"]);
    let plane = both.settings.core.control_plane.expect("a control plane");
    assert_eq!(format!("{:?}", plane.targets), "[Address(192.0.2.1)]");
}

#[test]
fn prefix_lengths_are_one_for_both_families_or_one_each() {
    let prefix = |address: &str, subnet: &str| {
        let given = least().env(&[("address", address), ("vip_subnet", subnet)]);
        let plane = given.loaded().settings.core.control_plane.expect("a control plane");
        (plane.prefix.v4, plane.prefix.v6)
    };
    assert_eq!(prefix("192.0.2.1", ""), (32, 128));
    assert_eq!(prefix("192.0.2.1", "24"), (24, 24));
    assert_eq!(prefix("192.0.2.1", "/24"), (24, 24));
    assert_eq!(prefix("2001:db8::1", "64"), (32, 64));
    assert_eq!(prefix("192.0.2.1, 2001:db8::1", "24, 64"), (24, 64));
    for (address, subnet) in [
        ("192.0.2.1", "33"),
        ("192.0.2.1", "0"),
        ("192.0.2.1", "24,64,1"),
        ("192.0.2.1", "255.255.255.0"),
        ("192.0.2.1", "auto"),
        ("192.0.2.1", "auto,auto"),
        ("2001:db8::1", "24,129"),
    ] {
        let refused = least().env(&[("address", address), ("vip_subnet", subnet)]).refused();
        assert!(refused.starts_with(&format!("vip_subnet={subnet} (environment): ")), "{refused}");
    }
}

#[test]
fn a_short_prefix_for_an_ipv6_address_is_pointed_at() {
    let given = least().env(&[("address", "2001:db8::1"), ("vip_subnet", "32")]);
    assert!(given.loaded().warnings[0].starts_with("vip_subnet=32 is the length of the IPv6"));
}

#[test]
fn an_address_on_lo_may_be_a_loopback_one() {
    least().env(&[("address", "127.0.0.2"), ("vip_interface", "lo")]).loaded();
}

#[test]
fn a_fast_announcement_becomes_the_usual_one_with_a_warning() {
    let loaded = least().env(&[("vip_arpRate", "499")]).loaded();
    assert_eq!(value(&loaded, "vip_arpRate"), "3000");
    assert_eq!(loaded.warnings, ["vip_arpRate=499: 499 ms is less than 500; 3000 ms is used"]);
    let loaded = least().env(&[("vip_arpRate", "500")]).loaded();
    assert_eq!(value(&loaded, "vip_arpRate"), "500");
}

#[test]
fn unknown_words_are_the_default_with_a_warning_where_kube_vip_takes_them() {
    let loaded = least().env(&[("dns_mode", "both"), ("lb_fwdmethod", "NAT")]).loaded();
    assert_eq!(value(&loaded, "dns_mode"), "first");
    assert_eq!(
        loaded.warnings,
        [
            "dns_mode=both: not known; accepted: first, ipv4, ipv6, dual; first is used",
            "lb_fwdmethod=NAT: not known; accepted: local, masquerade, tunnel, directroute, \
             bypass; local is used",
        ]
    );
    assert_eq!(value(&least().env(&[("dns_mode", "DUAL")]).loaded(), "dns_mode"), "dual");
    let refused = least().args(&["--leaderElectionType", "raft"]).refused();
    assert!(refused.contains("not known; accepted: kubernetes, etcd"));
}

#[test]
fn without_leader_election_an_arp_address_still_has_one_holder_and_we_say_so() {
    let loaded = least().env(&[("vip_leaderelection", "false")]).loaded();
    assert_eq!(
        loaded.warnings,
        [
            "vip_leaderelection=false: in ARP mode an address has one holder, so the election runs on \
          plndr-cp-lock all the same"
        ]
    );
    assert_eq!(least().loaded().warnings, Vec::<String>::new());
}

#[test]
fn removed_settings_are_refused_by_name() {
    for arguments in [&["--metal"][..], &["--provider-config", "x"], &["--metalKey", "hush"]] {
        let refused = least().args(arguments).refused();
        assert!(refused.contains("is not a setting any more"), "{refused}");
        assert!(refused.contains(arguments[0]), "{refused}");
        assert!(!refused.contains("hush"), "{refused}");
    }
}

#[test]
fn settings_without_effect_are_accepted_and_pointed_at() {
    let given = least()
        .env(&[("vip_singlenode", "true"), ("vip_startleader", "true")])
        .args(&["--configMap", "plndr"]);
    let warnings = given.loaded().warnings;
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    assert!(warnings.iter().all(|warning| warning.contains(" has no effect: ")));
}

#[test]
fn urls_names_and_ports_are_checked() {
    for (name, text) in [
        ("control_plane_health_check_address", "example.com/livez"),
        ("control_plane_health_check_address", "ftp://example.com"),
        ("control_plane_health_check_address", "https://"),
        ("instance_name", "a/b"),
        ("instance_name", "ä"),
        ("health_check_port", "1023"),
        ("kubernetes_addr", "a b:1"),
        ("vip_leasename", "a/b/c"),
        ("vip_leasename", "Upper"),
        ("cp_namespace", "a.b"),
        ("vip_leaseannotations", "[1]"),
        ("vip_leaseannotations", "{\"a\": 1}"),
        ("bgp_multihop", "yes"),
        ("bgp_as", "none"),
        ("vip_nodename", "a b"),
        ("vip_loglevel", "debug"),
        ("vip_interface", "eth0:1"),
    ] {
        let refused = least().env(&[(name, text)]).refused();
        assert!(refused.starts_with(&format!("{name}={text} (environment): ")), "{refused}");
        assert!(refused.contains("accepted: "), "{refused}");
        assert_eq!(refused.lines().count(), 1, "{refused}");
    }
    let longest = "a".repeat(243);
    least().env(&[("instance_name", &longest), ("health_check_port", "1024")]).loaded();
    let longer = "a".repeat(244);
    assert!(least().env(&[("instance_name", &longer)]).refused().contains("at most 243 bytes"));
}

#[test]
fn secrets_are_shown_neither_in_effect_nor_in_problems() {
    let given = least().env(&[
        ("bgp_peerpass", "hush"),
        ("bgp_peers", "192.0.2.1:65000:hush:false,[2001:db8::1]:65000:hush,2001:db8::2:1:hush"),
    ]);
    let loaded = given.loaded();
    assert!(!format!("{:?}{:?}", loaded.effective, loaded.warnings).contains("hush"));
    assert_eq!(
        value(&loaded, "bgp_peers"),
        "192.0.2.1:65000:********,[2001:db8::1]:65000:********,********"
    );
    let enabled =
        given.env(&[("bgp_enable", "true"), ("bgp_sourceif", "a"), ("bgp_sourceip", "x")]);
    let problems = enabled.load_with(&["bgp"]).expect_err("loads");
    assert!(!format!("{problems:?}").contains("hush"));
}

#[test]
fn a_password_in_a_server_address_is_shown_neither_in_effect_nor_in_problems() {
    let address = [("kubernetes_addr", "https://admin:hush@api:6443")];
    let loaded = least().env(&address).loaded();
    assert_eq!(value(&loaded, "kubernetes_addr"), "https://********@api:6443");
    for name in ["kubernetes_addr", "control_plane_health_check_address"] {
        let answer = least().env(&[(name, "ftp://admin:hush@a b/livez")]).refused();
        assert!(answer.contains(name) && !answer.contains("hush"), "{answer}");
    }
}
