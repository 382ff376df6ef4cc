//! Settings as a manifest prints them.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::setting::{Gate, Kind, Role, Setting};
use crate::config::table::printed::{ELSEWHERE, ORDER};
use crate::config::table::{all, find};
use crate::config::{Draft, Inputs, Problem, Purpose, VariableValue, draft, split_arguments};

use super::EVERYTHING;

fn drafted(
    environment: &BTreeMap<String, String>,
    arguments: &[String],
) -> Result<Draft, Vec<Problem>> {
    let (flags, rest) = split_arguments(arguments);
    assert_eq!(rest, Vec::<String>::new());
    let inputs = Inputs {
        environment: environment.clone(),
        flags,
        hostname: "host-1".to_owned(),
        service_account_namespace: None,
        read_file: &|_| Err("config file does not exist".to_owned()),
    };
    draft(&inputs, EVERYTHING, Purpose::Run)
}

#[track_caller]
fn printed(arguments: &str) -> Draft {
    let arguments: Vec<String> = arguments.split_whitespace().map(str::to_owned).collect();
    match drafted(&BTreeMap::new(), &arguments) {
        Ok(draft) => draft,
        Err(problems) => panic!("{}", super::lines(&problems)),
    }
}

fn names(draft: &Draft) -> Vec<&'static str> {
    draft.environment().iter().map(|variable| variable.name).collect()
}

/// The environment as a container gets it.
fn environment(draft: &Draft) -> BTreeMap<String, String> {
    let text = |value| match value {
        VariableValue::Text(text) => text,
        VariableValue::NodeName => "host-1".to_owned(),
    };
    draft.environment().into_iter().map(|v| (v.name.to_owned(), text(v.value))).collect()
}

#[test]
fn the_features_of_the_table_are_those_of_a_build_that_lacks_nothing() {
    let features: BTreeSet<&str> =
        all().map(|setting| setting.feature).filter(|feature| !feature.is_empty()).collect();
    assert_eq!(features, EVERYTHING.iter().copied().collect());
}

#[test]
fn every_name_of_the_order_is_a_setting_with_a_variable_and_stands_there_once() {
    let mut seen = BTreeSet::new();
    for (name, _) in ORDER {
        let setting = find(name).unwrap_or_else(|| panic!("{name}"));
        assert_eq!(setting.environment.first(), Some(name));
        assert!(matches!(setting.role, Role::Switch | Role::Parameter), "{name}");
        assert!(seen.insert(name), "{name}");
    }
    assert!(ELSEWHERE.iter().all(|name| find(name).is_some() && !seen.contains(name)));
}

/// MAN-4 with all that an ARP deployment can be told.
#[test]
fn the_variables_stand_in_kube_vips_order() {
    let draft = printed(
        "--arp --controlplane --services --address 192.0.2.1 --instanceName a --interface eth0 \
         --loInterfaceGlobalScope --serviceInterface eth1 --allowInterfaceNotUp --vipSubnet 24 \
         --dhcpBackoffAttempts 5 --ddns --autodetectcp --servicesElection --lbClassOnly \
         --onlyAllowTrafficServicePorts --leaderElection --loseLeadership --enableNodeLabeling \
         --enableLoadBalancer --enableEndpoints --disableServiceUpdates --mirrorDestInterface m0 \
         --healthCheckPort 8080 --preserveVipOnLeadershipLoss",
    );
    let wanted = "vip_arp port vip_nodename instance_name vip_interface vip_interfaceloglobal \
                  vip_servicesinterface vip_allow_interface_not_up vip_subnet dns_mode dhcp_mode \
                  dhcp_backoff_attempts cp_enable cp_namespace vip_ddns cp_detect svc_enable \
                  svc_leasename svc_election lb_class_only enable_service_security \
                  vip_leaderelection vip_leasename vip_leaseduration vip_renewdeadline \
                  vip_retryperiod vip_loseleadership vip_loseleadership_timeout_seconds \
                  enable_node_labeling lb_enable lb_port lb_fwdmethod address prometheus_server \
                  enable_endpoints disable_service_updates mirror_dest_interface \
                  health_check_port vip_preserve_on_leadership_loss";
    assert_eq!(names(&draft), wanted.split_whitespace().collect::<Vec<_>>());
}

#[test]
fn the_variables_of_bgp_stand_in_kube_vips_order() {
    let draft = printed(
        "--bgp --controlplane --services --vip 192.0.2.1 --vipSubnet 32 --annotations a.example \
         --bgpAttachIPToInterface --bgpRouterID 192.0.2.9 --sourceIF eth0 \
         --bgppeers 192.0.2.7:65001 --controlPlaneHealthCheckAddress https://a.example/livez \
         --controlPlaneHealthCheckCAPath /ca",
    );
    let wanted = "vip_arp port vip_nodename vip_subnet dns_mode dhcp_mode cp_enable cp_namespace \
                  svc_enable svc_leasename annotation bgp_enable bgp_attach_ip_to_interface \
                  bgp_routerid bgp_as bgp_peeraddress bgp_peerpass bgp_peeras bgp_sourceif \
                  bgp_peers control_plane_health_check_address \
                  control_plane_health_check_period_seconds \
                  control_plane_health_check_timeout_seconds \
                  control_plane_health_check_failure_threshold \
                  control_plane_health_check_ca_path vip_address prometheus_server";
    assert_eq!(names(&draft), wanted.split_whitespace().collect::<Vec<_>>());
}

#[test]
fn the_least_is_what_kube_vip_always_prints() {
    let draft = printed("--arp --services");
    let wanted = "vip_arp port vip_nodename dns_mode dhcp_mode svc_enable svc_leasename address \
                  prometheus_server";
    assert_eq!(names(&draft), wanted.split_whitespace().collect::<Vec<_>>());
    assert_eq!(environment(&draft)["address"], "");
}

/// kube-vip prints the time-out as a second `vip_loseleadership`.
#[test]
fn no_variable_is_printed_twice_and_the_time_out_of_losing_leadership_has_its_own() {
    let draft = printed("--arp --services --loseLeadership --loseLeadershiptTimeoutSeconds 7");
    let environment = environment(&draft);
    assert_eq!(environment.len(), draft.environment().len());
    assert_eq!(environment["vip_loseleadership"], "true");
    assert_eq!(environment["vip_loseleadership_timeout_seconds"], "7");
}

/// kube-vip prints no more than a part of its settings.
#[test]
fn every_setting_that_was_changed_is_printed_and_reads_back() {
    let printable = |setting: &&Setting| {
        matches!(setting.role, Role::Switch | Role::Parameter)
            && !ELSEWHERE.contains(&setting.name)
            && setting.name != "vip_nodename"
    };
    for setting in all().filter(printable) {
        let mut given = BTreeMap::from([(setting.name, sample(setting))]);
        open(setting.gate, &mut given);
        complete(&mut given);
        let (variables, flags): (Vec<_>, Vec<_>) = given
            .iter()
            .partition(|(name, _)| find(name).is_some_and(|s| !s.environment.is_empty()));
        let variables = variables.into_iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect();
        let flags: Vec<String> = flags.into_iter().map(|(k, v)| format!("--{k}={v}")).collect();
        let first = drafted(&variables, &flags)
            .unwrap_or_else(|problems| panic!("{given:?}: {}", super::lines(&problems)));
        let second = drafted(&environment(&first), &first.arguments())
            .unwrap_or_else(|problems| panic!("{}: {}", setting.name, super::lines(&problems)));
        for name in given.keys() {
            assert_eq!(first.text(name), second.text(name), "{name} of {given:?}");
        }
        assert_ne!(first.text(setting.name), setting.default, "{}", setting.name);
        assert_eq!(environment(&second), environment(&first), "{given:?}");
    }
}

/// A value that is not the default.
fn sample(setting: &Setting) -> String {
    let number = |most: i64| {
        let default: i64 = setting.default.parse().unwrap_or_default();
        if default < most { (default + 1).to_string() } else { (default - 1).to_string() }
    };
    let of_a_backend = [
        ("bgp_communities", "65000:1,no-export"),
        ("bgp_large_communities", "65000:1:2"),
        ("bgp_local_preference", "200"),
        ("bgp_med", "5"),
        ("mpbgp_ipv6", "2001:db8::9"),
    ];
    if let Some((_, text)) = of_a_backend.iter().find(|(name, _)| *name == setting.name) {
        return (*text).to_owned();
    }
    let text = match setting.kind {
        Kind::Bool if setting.default == "true" => "false",
        Kind::Bool => "true",
        Kind::Integer(_, most) => return number(most),
        Kind::HighPort => "8080",
        Kind::AnnounceInterval => "700",
        Kind::Duration => "3s",
        Kind::Text | Kind::Secret | Kind::List => "a: 'b' #c",
        Kind::Interface | Kind::InterfaceOrAuto => "eth7",
        Kind::Targets => "192.0.2.1,2001:db8::1",
        Kind::Address => "192.0.2.9",
        Kind::PrefixLengths => "24,64",
        Kind::Cidrs => "10.0.0.0/8",
        Kind::Lease => "other/lock",
        Kind::Namespace => "tenant",
        Kind::TextMap => r#"{"a":"b: \"c\""}"#,
        Kind::Url => "https://a.example/livez",
        Kind::Endpoint => "a.example:6443",
        Kind::Listener => "127.0.0.1:9000",
        Kind::Words(words, _) => words.iter().find(|word| **word != setting.default).expect("two"),
        Kind::Peers => "192.0.2.7:65001:a$b",
        Kind::InstanceName => "A.b-c_d",
    };
    text.to_owned()
}

/// Sets what makes the gate let through.
fn open(gate: Gate, given: &mut BTreeMap<&'static str, String>) {
    let (name, value) = match gate {
        Gate::Always => return,
        Gate::AnyOn([name, ..]) => (*name, "true".to_owned()),
        Gate::AnyOn([]) => return,
        Gate::Given(name) => (name, sample(find(name).expect("a setting"))),
        Gate::Is(name, value) => (name, value.to_owned()),
    };
    given.entry(name).or_insert(value);
    open(find(name).expect("a setting").gate, given);
}

/// Adds what no settings can do without.
fn complete(given: &mut BTreeMap<&'static str, String>) {
    let modes = ["vip_arp", "bgp_enable", "vip_routingtable", "vip_wireguard"];
    let mut add = |name: &'static str, value: &str, wanted: fn(&BTreeMap<&str, String>) -> bool| {
        if wanted(given) {
            given.entry(name).or_insert(value.to_owned());
        }
    };
    add("svc_enable", "true", |_| true);
    add("cp_enable", "true", |_| true);
    add("vip_subnet", "32,128", |_| true);
    add("bgp_peers", "192.0.2.8:65009", |given| given.contains_key("bgp_enable"));
    add("mpbgp_ipv6", "2001:db8::9", |given| given.contains_key("mpbgp_nexthop"));
    // Where the older name is tried, the newer one must not be there.
    add("address", "192.0.2.1", |given| !given.contains_key("vip_address"));
    if !modes.iter().any(|mode| given.contains_key(mode)) {
        given.insert("vip_arp", "true".to_owned());
    }
}

#[test]
fn no_metrics_is_said_as_a_flag_because_an_empty_variable_is_none() {
    let draft = printed("--arp --services --prometheusHTTPServer=");
    assert!(!names(&draft).contains(&"prometheus_server"));
    assert_eq!(draft.arguments(), ["--prometheusHTTPServer="]);
    assert_eq!(draft.probed(), None);
}

#[test]
fn a_setting_without_effect_is_said_and_not_printed() {
    let draft =
        printed("--arp --services --debounceTime 3s --leaseName x --egressWithNftables=false");
    assert!(!names(&draft).iter().any(|name| ["debounce_time", "vip_leasename"].contains(name)));
    assert!(names(&draft).contains(&"egress_withnftables"));
    let warnings = draft.warnings().join("\n");
    assert!(warnings.contains("debounce_time") && warnings.contains("vip_leasename"), "{warnings}");
}

#[test]
fn a_default_that_depends_on_another_setting_is_left_to_the_reader() {
    let draft = printed("--arp --services --dnsMode ipv6");
    assert!(!names(&draft).contains(&"dhcp_mode"));
    assert_eq!(draft.text("dhcp_mode"), "ipv6");
    let given = printed("--arp --services --dnsMode ipv6 --dhcpMode dual");
    assert_eq!(environment(&given)["dhcp_mode"], "dual");
}
