//! What kube-vip 1.2.3 starts with, viplet starts with, and means the same, unless it cannot work.
//!
//! The tables are what the program itself took and refused when it was started, in a network namespace
//! of its own, with one variable after the other.

use crate::config::table;
use crate::core::settings::{HealthGate, PlaneElection, ServiceElection};

use super::{EVERYTHING, Given, announcing, least, lines, value};

/// Go's `strconv.ParseBool`.
const BOOLEANS: [(&str, bool); 12] = [
    ("1", true),
    ("t", true),
    ("T", true),
    ("TRUE", true),
    ("true", true),
    ("True", true),
    ("0", false),
    ("f", false),
    ("F", false),
    ("FALSE", false),
    ("false", false),
    ("False", false),
];

/// Every boolean variable that kube-vip reads.
const SWITCHES: &[&str] = &[
    "bgp_attach_ip_to_interface",
    "bgp_enable",
    "bgp_multihop",
    "cp_detect",
    "cp_enable",
    "disable_service_updates",
    "egress_clean",
    "EGRESS_CLEAN",
    "egress_enableinternalsnat",
    "egress_withnftables",
    "enable_endpoints",
    "enable_node_labeling",
    "enable_service_security",
    "enable_upnp",
    "lb_class_legacy_handling",
    "lb_class_only",
    "lb_enable",
    "per_service_election_on_demand",
    "svc_election",
    "svc_enable",
    "vip_allow_interface_not_up",
    "vip_arp",
    "vip_cleanroutingtable",
    "vip_ddns",
    "vip_interfaceloglobal",
    "vip_leaderelection",
    "vip_loseleadership",
    "vip_preserve_on_leadership_loss",
    "vip_routingtable",
    "vip_singlenode",
    "vip_skipdad",
    "vip_startleader",
    "vip_wireguard",
    "zebra_enable",
];

/// Every other variable that kube-vip reads, with values that it starts with.
const VALUES: &[(&str, &[&str])] = &[
    ("address", &["192.0.2.1", "2001:db8::1", "192.0.2.1,2001:db8::1", "LOCALHOST", "a_b.example"]),
    ("annotation", &["metal.equinix.com", "a b"]),
    ("backend_health_check_interval", &["0", "7", "99999"]),
    ("bgp_as", &["1", "007", "4294967295"]),
    ("bgp_hold_time", &["0", "3", "65535"]),
    ("bgp_keepalive_interval", &["0", "1", "65535"]),
    ("bgp_peeraddress", &["192.0.2.8", "2001:db8::8"]),
    ("bgp_peeras", &["1", "4294967295"]),
    ("bgp_peerpass", &["hush", "a:b,c", "ä"]),
    ("bgp_peers", &["192.0.2.9:65001", "192.0.2.9:65001,,[2001:db8::9]:65001::true:179"]),
    ("bgp_routerid", &["192.0.2.7"]),
    ("bgp_routerinterface", &["lo"]),
    ("bgp_sourceif", &["lo"]),
    ("bgp_sourceip", &["192.0.2.7", "2001:db8::7"]),
    ("config_file", &[]),
    ("control_plane_health_check_address", &["http://a/", "HTTPS://127.0.0.1:6443/livez"]),
    ("control_plane_health_check_ca_path", &["/etc/kubernetes/pki/ca.crt"]),
    ("control_plane_health_check_failure_threshold", &["1", "99999"]),
    ("control_plane_health_check_period_seconds", &["1", "99999"]),
    ("control_plane_health_check_timeout_seconds", &["1", "99999"]),
    ("cp_namespace", &["kube-system", "a-1"]),
    ("debounce_time", &["0s", "300ms", "-1s", "300", "abc"]),
    ("dhcp_backoff_attempts", &["0", "7", "+7"]),
    ("dhcp_mode", &["ipv4", "ipv6", "dual", "x", "IPv4"]),
    ("dns_mode", &["first", "ipv4", "ipv6", "dual", "x", "IPv6"]),
    ("egress_podcidr", &["10.0.0.0/8", "10.0.0.1/8", "10.0.0.0/8, 2001:db8::/32"]),
    ("egress_servicecidr", &["10.0.0.0/8", "10.0.0.0/8,2001:db8::/32"]),
    ("health_check_port", &["1024", "65535"]),
    ("instance_name", &["A.b-c_d"]),
    ("INSTANCE_NAME", &["A.b-c_d"]),
    ("iptables_backend", &["nft", "legacy", "x"]),
    ("k8s_config_file", &["/etc/rancher/k3s/k3s.yaml"]),
    ("kubernetes_addr", &["a:6443", "https://[2001:db8::1]:6443"]),
    ("lb_class_name", &["", "a b", "example.com/x"]),
    (
        "lb_fwdmethod",
        &["local", "masquerade", "tunnel", "directroute", "bypass", "MASQUERADE", "x"],
    ),
    ("lb_port", &["1", "65535"]),
    ("mirror_dest_interface", &["lo"]),
    ("mpbgp_ipv4", &["192.0.2.7"]),
    ("mpbgp_ipv6", &["2001:db8::7"]),
    ("mpbgp_nexthop", &["x", "both"]),
    ("port", &["1", "65535"]),
    ("prometheus_server", &[":2113", "localhost:2113", "[::]:2113", "0.0.0.0:2113"]),
    ("svc_leasename", &["x", "a/x", "a.b"]),
    ("svc_namespace", &["a"]),
    ("vip_address", &["192.0.2.1"]),
    ("vip_arpRate", &["-1", "0", "+7", "499", "99999", "9223372036854775807"]),
    ("vip_configmap", &["x"]),
    ("vip_interface", &["lo"]),
    ("vip_leaseannotations", &["{}", "null", r#"{"a":"b"}"#, r#"{"a":null}"#]),
    ("vip_leaseduration", &["11", "+15", "0015", "99999", "2147483647"]),
    ("vip_leasename", &["x", "a/x", "1.2.3.4"]),
    ("vip_loglevel", &["-4", "0", "5", "127"]),
    ("vip_loseleadership_timeout_seconds", &["-1", "0", "99999"]),
    ("vip_nodename", &["a", "A_B", "1.2.3.4"]),
    ("vip_renewdeadline", &["3", "14"]),
    ("vip_retryperiod", &["1", "8"]),
    ("vip_routingprotocol", &["0", "255"]),
    ("vip_routingtableid", &["0", "4294967295"]),
    ("vip_routingtabletype", &["1", "2"]),
    ("vip_servicesinterface", &["lo", "auto"]),
    ("vip_subnet", &["24", "/24", "032", "24,64", "/24,/64", "24, 64", "24,"]),
    ("zebra_software_name", &["frr8.3"]),
    ("zebra_url", &["unix:/run/frr/zserv.api"]),
    ("zebra_version", &["0", "6"]),
];

/// kube-vip's settings with this one variable: in the mode that it belongs to, and complete.
fn kube_vip(name: &str, text: &str) -> Given {
    let routed = ["bgp_", "mpbgp_", "zebra_", "annotation", "control_plane_"];
    let mode = match name {
        "bgp_enable" | "vip_routingtable" | "vip_wireguard" if is_true(text) => "",
        "bgp_enable" => "vip_arp",
        _ if routed.iter().any(|prefix| name.starts_with(prefix)) => "bgp_enable",
        _ => "vip_arp",
    };
    let mut given = announcing();
    given.environment.remove("bgp_enable");
    given = given.env(&[("vip_leaderelection", "true"), (mode, "true"), (name, text)]);
    given.environment.remove("");
    if name == "vip_address" {
        given.environment.remove("address");
        given = given.env(&[("vip_subnet", "32")]);
    }
    if name == "vip_arp" && !is_true(text) {
        given = given.env(&[("bgp_enable", "true")]);
    }
    given
}

fn is_true(text: &str) -> bool {
    BOOLEANS.contains(&(text, true))
}

#[test]
fn every_variable_that_kube_vip_reads_is_taken_in_each_of_its_spellings() {
    for name in SWITCHES {
        for (text, wanted) in BOOLEANS {
            let loaded = kube_vip(name, text).load_with(EVERYTHING);
            let loaded = loaded.unwrap_or_else(|found| panic!("{name}={text}: {}", lines(&found)));
            let setting = table::all().find(|s| s.environment.contains(name)).expect("a setting");
            if !matches!(setting.role, crate::config::Role::NoEffect(_)) {
                assert_eq!(value(&loaded, setting.name), wanted.to_string(), "{name}={text}");
            }
        }
    }
    for (name, texts) in VALUES {
        for text in *texts {
            let loaded = kube_vip(name, text).load_with(EVERYTHING);
            assert!(loaded.is_ok(), "{name}={text}: {}", lines(&loaded.err().unwrap_or_default()));
        }
    }
}

#[test]
fn the_tables_here_have_every_variable_of_the_settings_that_kube_vip_reads() {
    use crate::config::Role::{NoEffect, OlderName};
    let ours = |name: &str| {
        let only_ours = [
            "bgp_communities",
            "bgp_large_communities",
            "bgp_local_preference",
            "bgp_med",
            "bgp_as_path_prepend",
            "bgp_graceful_restart_seconds",
            "bgp_graceful_shutdown",
            "bgp_listen_port",
            "bgp_ttl_security",
            "bgp_password_file",
            "record_file",
        ];
        only_ours.contains(&name)
    };
    for setting in table::all().filter(|s| !matches!(s.role, NoEffect(_) | OlderName(_))) {
        for name in setting.environment.iter().filter(|name| !ours(name)) {
            let known = SWITCHES.contains(name) || VALUES.iter().any(|(other, _)| other == name);
            assert!(known, "{name}");
        }
    }
}

/// Values with which kube-vip starts and works, and what it makes of them.
#[test]
fn odd_values_mean_what_kube_vip_makes_of_them() {
    let bgp = |name: &str, text: &str| announcing().env(&[(name, text)]).load_with(&["bgp"]);
    for (name, text, wanted) in [
        ("bgp_hold_time", "70000", "65535"),
        ("bgp_keepalive_interval", "4294967295", "65535"),
        ("mpbgp_nexthop", "both", ""),
        ("vip_leaseduration", "5", "15"),
        ("vip_renewdeadline", "0", "10"),
        ("vip_retryperiod", "300", "2"),
        ("vip_leasename", "Upper", "plndr-cp-lock"),
        ("svc_leasename", "a/b/c", "plndr-svcs-lock"),
        ("vip_subnet", "24,", "24,128"),
        ("prometheus_server", "off", ""),
        ("address", "::ffff:192.0.2.1", "192.0.2.1"),
    ] {
        let loaded = bgp(name, text).unwrap_or_else(|found| panic!("{}", lines(&found)));
        assert_eq!(value(&loaded, name), wanted, "{name}={text}");
        let silent = ["vip_subnet", "address"].contains(&name);
        let told = loaded.warnings.iter().any(|warning| warning.contains(name));
        assert!(told || silent, "{name}={text}: {:?}", loaded.warnings);
    }
    for (name, text, wanted) in [
        ("health_check_port", "70000", "0"),
        ("prometheus_server", "2112", ""),
        ("prometheus_server", ":0", ""),
        ("vip_leaseannotations", "null", "{}"),
        ("vip_leaseannotations", r#"{"a":null}"#, r#"{"a":""}"#),
    ] {
        assert_eq!(value(&least().env(&[(name, text)]).loaded(), name), wanted, "{name}={text}");
    }
    let patience = [("vip_loseleadership", "true"), ("vip_loseleadership_timeout_seconds", "-1")];
    let loaded = least().env(&patience).loaded();
    assert_eq!(value(&loaded, "vip_loseleadership_timeout_seconds"), "0");
}

#[test]
fn a_health_check_without_a_limit_of_time_or_with_a_threshold_below_1_is_kube_vips() {
    let given = announcing().env(&[
        ("control_plane_health_check_address", "https://127.0.0.1:6443/livez"),
        ("control_plane_health_check_timeout_seconds", "0"),
        ("control_plane_health_check_failure_threshold", "-1"),
    ]);
    let settings = given.load_with(&["bgp"]).expect("loads").settings;
    let check = settings.health_check.expect("a check");
    assert!(check.within.as_secs() > 1_000_000, "{:?}", check.within);
    let plane = settings.core.control_plane.expect("a control plane");
    assert_eq!(plane.health, HealthGate::Failures(1));
}

#[test]
fn a_bad_value_of_a_setting_that_does_not_matter_is_pointed_at_and_no_error() {
    for (name, text) in [
        ("bgp_routerid", "1.2.3"),
        ("bgp_sourceif", "a b"),
        ("bgp_sourceip", "localhost"),
        ("bgp_peeraddress", "a_b"),
        ("bgp_as", "0"),
        ("mpbgp_ipv6", "192.0.2.1/32"),
        ("vip_routingtableid", "4294967296"),
        ("vip_routingtabletype", "300"),
        ("vip_routingprotocol", "-1"),
        ("backend_health_check_interval", "-1"),
        ("control_plane_health_check_period_seconds", "0"),
        ("svc_namespace", "x/y"),
        ("lb_port", "0"),
        ("egress_podcidr", "10.0.0.0"),
    ] {
        let given = least().env(&[(name, text), ("svc_enable", "false")]);
        let warnings = given.loaded().warnings;
        let wanted = format!("{name}={text} has no effect: ");
        assert!(warnings.iter().any(|warning| warning.starts_with(&wanted)), "{warnings:?}");
    }
    // What this build lacks does not matter either, and what an unreadable gate hides may.
    let egress = least().env(&[("svc_enable", "true"), ("egress_podcidr", ",")]).loaded();
    assert!(egress.warnings[0].contains("needs the feature egress"), "{:?}", egress.warnings);
    let refused = least().env(&[("bgp_enable", "yes"), ("bgp_routerid", "1.2.3")]).refused();
    assert!(refused.contains("bgp_enable=yes") && refused.contains("bgp_routerid=1.2.3"));
}

/// kube-vip does not start with these, whatever else is set.
#[test]
fn a_value_that_kube_vip_cannot_read_is_an_error_everywhere() {
    for name in SWITCHES {
        let setting = table::all().find(|s| s.environment.contains(name)).expect("a setting");
        if matches!(setting.role, crate::config::Role::NoEffect(_)) {
            continue;
        }
        for text in ["yes", "on", "tRUE", "2"] {
            let refused = least().env(&[("svc_enable", "true"), (name, text)]).refused();
            let wanted = format!("{}={text} (environment", setting.name);
            assert!(refused.contains(&wanted), "{name}={text}: {refused}");
        }
    }
    for (name, text) in [("bgp_as", "abc"), ("lb_port", "1e3"), ("vip_routingtableid", "")] {
        let given = least().env(&[(name, text)]);
        assert_eq!(given.load().is_err(), !text.is_empty(), "{name}={text}");
    }
}

/// Beside kube-vips that do not read them, such names would give an address two holders.
#[test]
fn no_variable_that_kube_vip_does_not_read_steers_anything() {
    let base = least().env(&[("svc_enable", "true")]);
    let plain = base.loaded();
    let read: Vec<&str> = table::all().flat_map(|s| s.environment).copied().collect();
    let mut tried = 0;
    for setting in table::all() {
        let names = setting.unread.iter().chain(setting.flags).chain(setting.file).copied();
        for name in names.filter(|name| !read.contains(name)) {
            let loaded = base.clone().env(&[(name, "true")]).loaded();
            assert_eq!(loaded.settings, plain.settings, "{name}");
            assert_eq!(loaded.effective, plain.effective, "{name}");
            tried += 1;
        }
        for name in setting.unread {
            let main = setting.environment.first().expect("a variable");
            let loaded = base.clone().env(&[(name, "true")]).loaded();
            let wanted =
                format!("{name} in the environment has no effect; its name there is {main}");
            assert_eq!(loaded.warnings, [wanted]);
        }
    }
    assert!(tried > 150, "{tried}");
}

#[test]
fn an_election_is_asked_for_under_its_own_name_only() {
    let loaded =
        least().env(&[("svc_enable", "true"), ("enableServicesElection", "true")]).loaded();
    let services = loaded.settings.core.services.expect("Services");
    assert_eq!(services.election, ServiceElection::OneForAll);
    let said =
        "enableServicesElection in the environment has no effect; its name there is svc_election";
    assert_eq!(loaded.warnings, [said]);
}

/// The file counts in viplet. A kube-vip with the same file would elect by another Lease.
#[test]
fn a_file_that_kube_vip_would_elect_otherwise_with_is_pointed_at() {
    let loaded = least().file("a.yaml", "leaseName: other\nleaseDuration: 20").loaded();
    assert_eq!(value(&loaded, "vip_leasename"), "other");
    let said = "a.yaml: leaseName counts here, but kube-vip takes it from no file and goes by \
                plndr-cp-lock: beside kube-vip set vip_leasename in the environment";
    assert_eq!(loaded.warnings, [said]);
    let variable = [("vip_leasename", "other")];
    let loaded = least().file("a.yaml", "leaseName: other").env(&variable).loaded();
    assert_eq!(loaded.warnings, Vec::<String>::new());
}

#[test]
fn a_problem_names_what_was_meant_for_its_setting() {
    let mut given = least().env(&[("Address", "192.0.2.7")]);
    given.environment.remove("address");
    let refused = given.refused();
    assert!(refused.contains("an address is needed"), "{refused}");
    assert!(
        refused.contains("Address in the environment has no effect; its name there is address")
    );
}

#[test]
fn the_older_prefix_length_counts_only_where_kube_vip_would_not_start() {
    let older = Given::default().env(&[
        ("vip_arp", "true"),
        ("cp_enable", "true"),
        ("vip_address", "192.0.2.7"),
        ("vip_cidr", "24"),
    ]);
    let loaded = older.loaded();
    assert_eq!(
        loaded.warnings,
        ["vip_cidr=24 counts as vip_subnet, because vip_address stands without it; write \
          vip_subnet=24, or address instead of vip_address"]
    );
    assert_eq!(value(&loaded, "vip_subnet"), "24");
    let plane = loaded.settings.core.control_plane.expect("a control plane");
    assert_eq!(plane.prefix.v4, 24);
    // kube-vip starts with these, and takes no notice of the older name.
    for more in [("address", "192.0.2.7"), ("vip_subnet", "32")] {
        let loaded = older.clone().env(&[more]).loaded();
        let plane = loaded.settings.core.control_plane.expect("a control plane");
        assert_eq!(plane.prefix.v4, 32, "{more:?}");
        assert!(
            loaded.warnings[0].starts_with("vip_cidr has no effect: "),
            "{:?}",
            loaded.warnings
        );
    }
    let wrong = older.env(&[("vip_cidr", "mask")]).refused();
    assert!(
        wrong.starts_with("vip_subnet=mask (environment vip_cidr): no prefix length"),
        "{wrong}"
    );
}

/// In BGP mode without an election every node has the address, whatever the Lease's name.
#[test]
fn an_election_in_bgp_mode_takes_its_name_and_times_seriously() {
    let elected = announcing().env(&[("vip_leaderelection", "true")]);
    for (name, text) in [("vip_leasename", "Upper"), ("vip_leaseduration", "5")] {
        let problems = elected.clone().env(&[(name, text)]).load_with(&["bgp"]);
        assert!(problems.is_err(), "{name}={text}");
    }
    let plane = announcing().load_with(&["bgp"]).expect("loads").settings.core.control_plane;
    assert_eq!(plane.expect("a control plane").election, PlaneElection::EveryNode);
}
