//! What kube-vip's users bring along works as it is.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::{Mode, Source};
use crate::core::settings::{LeaseTiming, LinkChoice, PrefixLengths, Target};
use crate::kube::Detect;
use crate::shell::http::Listen;

use super::{Given, least, value};

/// The order and the values of a generated control-plane manifest.
const MANIFEST: &[(&str, &str)] = &[
    ("vip_arp", "true"),
    ("port", "6443"),
    ("vip_nodename", "n1"),
    ("vip_interface", "eth0"),
    ("vip_subnet", "32"),
    ("dns_mode", "first"),
    ("dhcp_mode", "ipv4"),
    ("cp_enable", "true"),
    ("cp_namespace", "kube-system"),
    ("vip_ddns", "false"),
    ("vip_leaderelection", "true"),
    ("vip_leasename", "plndr-cp-lock"),
    ("vip_leaseduration", "15"),
    ("vip_renewdeadline", "10"),
    ("vip_retryperiod", "2"),
    ("bgp_peeraddress", ""),
    ("bgp_peerpass", ""),
    ("address", "192.168.0.40"),
    ("prometheus_server", ":2112"),
];

#[test]
fn the_environment_of_a_kube_vip_control_plane_manifest_loads_without_a_word() {
    let loaded = Given::default().env(MANIFEST).loaded();
    assert_eq!(loaded.warnings, Vec::<String>::new());
    let settings = loaded.settings;
    assert_eq!(settings.mode, Mode::Arp);
    assert_eq!(settings.core.node, "n1");
    assert_eq!(settings.metrics, Some(Listen::Everywhere(2112)));
    assert_eq!(settings.health_port, None);
    assert_eq!(settings.access.kubeconfig, None);
    assert_eq!(settings.access.port, 6443);
    assert_eq!(settings.access.detect_control_plane, Detect::Off);
    let plane = settings.core.control_plane.expect("a control plane");
    assert_eq!(plane.lease.to_string(), "kube-system/plndr-cp-lock");
    assert_eq!(plane.targets, [Target::Address("192.168.0.40".parse().expect("an address"))]);
    assert_eq!(plane.prefix, PrefixLengths { v4: 32, v6: 32 });
    assert_eq!(plane.announce_every, Duration::from_secs(3));
    assert!(matches!(plane.link, LinkChoice::Named(name) if name.as_str() == "eth0"));
    let timing = LeaseTiming {
        duration: Duration::from_secs(15),
        renew_deadline: Duration::from_secs(10),
        retry_period: Duration::from_secs(2),
    };
    assert_eq!(plane.timing, timing);
}

#[test]
fn flags_stand_before_or_after_the_sub_command_and_the_rest_is_left_alone() {
    let text = "--arp -n tenant manager --interface eth0 --address=192.0.2.1 --bogus x -- --arp";
    let arguments: Vec<String> = text.split(' ').map(str::to_owned).collect();
    let (flags, rest) = crate::config::split_arguments(&arguments);
    let given: Vec<(&str, Option<&str>)> =
        flags.iter().map(|flag| (flag.setting, flag.value.as_deref())).collect();
    let wanted = [
        ("vip_arp", Some("true")),
        ("cp_namespace", Some("tenant")),
        ("vip_interface", Some("eth0")),
        ("address", Some("192.0.2.1")),
    ];
    assert_eq!(given, wanted);
    assert_eq!(rest, ["manager", "--bogus", "x", "--", "--arp"]);
}

#[test]
fn the_helm_charts_environment_for_a_control_plane_loads() {
    let loaded = Given::default()
        .env(&[
            ("vip_interface", ""),
            ("vip_arp", "true"),
            ("lb_enable", "true"),
            ("lb_port", "6443"),
            ("vip_subnet", "32"),
            ("cp_enable", "1"),
            ("svc_enable", "false"),
            ("svc_election", "false"),
            ("vip_leaderelection", "false"),
            ("prometheus_server", ":2112"),
            ("vip_address", "192.0.2.7"),
        ])
        .load_with(&["arp", "ipvs"])
        .expect("loads");
    let plane = loaded.settings.core.control_plane.expect("a control plane");
    assert_eq!(plane.targets, [Target::Address("192.0.2.7".parse().expect("an address"))]);
    assert_eq!(plane.link, LinkChoice::DefaultRoute);
    // The one remark is about the election.
    assert_eq!(loaded.warnings.len(), 1, "{:?}", loaded.warnings);
    assert!(loaded.warnings[0].contains("vip_leaderelection=false"));
}

#[test]
fn an_explicit_kubeconfig_is_one_that_is_not_looked_for_anyway() {
    let kubeconfig = |path: &str| {
        let given = least().env(&[("k8s_config_file", path), ("HOME", "/root")]);
        given.loaded().settings.access.kubeconfig
    };
    assert_eq!(kubeconfig("/etc/kubernetes/admin.conf"), None);
    assert_eq!(kubeconfig("/root/.kube/config"), None);
    assert_eq!(kubeconfig("/etc/other.conf"), Some(PathBuf::from("/etc/other.conf")));
}

#[test]
fn the_lease_is_in_its_own_namespace_then_the_service_accounts_then_cp_namespace() {
    let lease = |given: Given| {
        given.loaded().settings.core.control_plane.expect("a control plane").lease.to_string()
    };
    let account = |mut given: Given| {
        given.account = Some("pods\n".to_owned());
        given
    };
    assert_eq!(lease(least().env(&[("cp_namespace", "a")])), "a/plndr-cp-lock");
    assert_eq!(lease(account(least().env(&[("cp_namespace", "a")]))), "pods/plndr-cp-lock");
    assert_eq!(lease(account(least().env(&[("vip_leasename", "x/y")]))), "x/y");
}

#[test]
fn the_node_is_the_host_in_lower_case_unless_named() {
    assert_eq!(least().loaded().settings.core.node, "host-1");
    assert_eq!(least().args(&["--nodeName", "N2"]).loaded().settings.core.node, "n2");
}

#[test]
fn a_variable_that_kube_vip_reads_under_two_names_is_taken_under_both() {
    for (name, setting) in [("INSTANCE_NAME", "instance_name"), ("EGRESS_CLEAN", "egress_clean")] {
        let given = least().env(&[("svc_enable", "true"), (name, "true")]);
        let loaded = given.load_with(&["arp", "egress"]).expect("loads");
        assert_eq!(value(&loaded, setting), "true", "{name}");
    }
}

#[test]
fn an_upper_case_alias_counts_only_where_the_main_name_is_empty() {
    let given = least().env(&[("INSTANCE_NAME", "b"), ("instance_name", "a")]);
    assert_eq!(value(&given.loaded(), "instance_name"), "a");
    let given = least().env(&[("INSTANCE_NAME", "b"), ("instance_name", "")]);
    assert_eq!(value(&given.loaded(), "instance_name"), "b");
}

#[test]
fn the_node_name_in_effect_is_shown_even_when_it_is_the_hosts() {
    let loaded = Given::default()
        .env(&[("vip_arp", "true"), ("cp_enable", "true"), ("address", "192.0.2.1")])
        .loaded();
    let line = loaded.effective.iter().find(|line| line.setting == "vip_nodename").unwrap();
    assert_eq!((line.value.as_str(), &line.source), ("host-1", &Source::Default));
}
