//! kube-vip's weaknesses in this place, each of which must not be ours.

use std::time::Duration;

use crate::config::Source;
use crate::core::settings::{
    ClassFilter, EndpointSource, LinkChoice, OnDemand, ServiceElection, ServiceLink, Unclassed,
    Updates,
};
use crate::registry;

use super::{Given, announcing, least, value};

const FILE: &str = "viplet.yaml";

fn seconds(value: u64) -> Duration {
    Duration::from_secs(value)
}

#[test]
fn a_file_without_a_debounce_time_does_not_keep_services_from_being_served() {
    let text = "interface: eth0\nenableServices: true";
    assert!(least().file(FILE, text).loaded().settings.core.services.is_some());
}

#[test]
fn a_file_without_dhcp_attempts_leaves_them_at_their_default() {
    let loaded = least().file(FILE, "interface: eth0").loaded();
    assert_eq!(value(&loaded, "dhcp_backoff_attempts"), "3");
}

#[test]
fn a_file_overrides_defaults_that_are_not_zero() {
    let text = "port: 7443\nleaseDuration: 30\nrenewDeadline: 20\nretryPeriod: 4\nlogging: 4\n\
                leaseName: other\nnamespace: tenant\nprometheusHTTPServer: ''\narpBroadcastRate: 700";
    let settings = least().file(FILE, text).loaded().settings;
    assert_eq!(settings.access.port, 7443);
    assert_eq!(settings.log.0, 4);
    assert_eq!(settings.metrics, None);
    let plane = settings.core.control_plane.expect("a control plane");
    let timing = plane.timing;
    let timing = (timing.duration, timing.renew_deadline, timing.retry_period);
    assert_eq!(timing, (seconds(30), seconds(20), seconds(4)));
    assert_eq!(plane.lease.to_string(), "tenant/other");
    assert_eq!(plane.announce_every, Duration::from_millis(700));
}

#[test]
fn a_zero_or_false_in_the_file_beats_a_default_that_is_neither() {
    let text = "egressWithNftables: false\nloseLeadershipTimeoutSeconds: 0";
    let loaded = least().file(FILE, text).loaded();
    assert_eq!(value(&loaded, "egress_withnftables"), "false");
    assert_eq!(value(&loaded, "vip_loseleadership_timeout_seconds"), "0");
}

#[test]
fn a_false_flag_beats_a_true_in_the_file() {
    let text = "enableNodeLabeling: true";
    let loaded = least().file(FILE, text).args(&["--enableNodeLabeling=false"]).loaded();
    assert_eq!(value(&loaded, "enable_node_labeling"), "false");
}

#[test]
fn fields_that_kube_vip_never_merges_count_from_the_file() {
    let text = "enableLeaderElection: true\nskipDAD: true\nallowInterfaceNotUp: true\n\
                loInterfaceGlobalScope: true\nloseLeadership: true\nzebraVersion: 5\n\
                mpbgpNexthop: fixed\netcd: {endpoints: [a, b]}\nkubernetesAddr: 'api:6443'";
    let loaded = least().file(FILE, text).loaded();
    let given = [
        ("vip_leaderelection", "true"),
        ("vip_skipdad", "true"),
        ("vip_allow_interface_not_up", "true"),
        ("vip_interfaceloglobal", "true"),
        ("vip_loseleadership", "true"),
        ("zebra_version", "5"),
        ("mpbgp_nexthop", "fixed"),
        ("etcdEndpoints", "a,b"),
        ("kubernetes_addr", "api:6443"),
    ];
    for (setting, wanted) in given {
        assert_eq!(value(&loaded, setting), wanted, "{setting}");
    }
}

#[test]
fn fields_of_services_that_kube_vip_never_merges_or_overwrites_count_from_the_file() {
    let text = "enableServices: true\nloadBalancerClassOnly: true\nloadBalancerClassName: x\n\
                servicesLeaseName: a/b\ndisableServiceUpdates: true\nenableEndpoints: true\n\
                perServiceElectionOnDemand: true\nenableServicesElection: true\n\
                serviceNamespace: tenant\nservicesInterface: auto\ninstanceName: two";
    let settings = least().file(FILE, text).loaded().settings;
    let services = settings.core.services.expect("Services");
    let class = ClassFilter::Legacy { name: "x".to_owned(), unclassed: Unclassed::Ignored };
    assert_eq!(services.class, class);
    assert_eq!(services.lease.to_string(), "a/b");
    assert_eq!(services.updates, Updates::Withheld);
    assert_eq!(services.endpoints, EndpointSource::Endpoints);
    assert_eq!(services.on_demand, OnDemand::On);
    assert_eq!(services.election, ServiceElection::Each);
    assert_eq!(services.namespace.as_deref(), Some("tenant"));
    assert_eq!(services.link, ServiceLink::OfSubnet(LinkChoice::DefaultRoute));
    assert_eq!(settings.instance, "two");
    let strict = least().file(FILE, "enableServices: true\nloadBalancerClassLegacyHandling: false");
    let strict = strict.loaded().settings.core.services.expect("Services");
    assert!(matches!(strict.class, ClassFilter::Strict { .. }), "{:?}", strict.class);
}

#[test]
fn the_dhcp_mode_flag_counts_and_without_it_dns_mode_does() {
    let mode =
        |arguments: &[&str]| value(&least().args(arguments).loaded(), "dhcp_mode").to_owned();
    assert_eq!(mode(&["--dhcpMode", "dual"]), "dual");
    assert_eq!(mode(&["--dhcpMode", "dual", "--dnsMode", "ipv6"]), "dual");
    assert_eq!(mode(&["--dnsMode", "ipv6"]), "ipv6");
    assert_eq!(mode(&[]), "ipv4");
}

#[test]
fn the_config_file_variable_is_read_and_beats_the_flag() {
    let mut given = least().file("good.yaml", "interface: eth7");
    given.arguments = vec!["--config-file".to_owned(), "missing.yaml".to_owned()];
    let loaded = given.env(&[("config_file", "good.yaml")]).loaded();
    assert_eq!(value(&loaded, "vip_interface"), "eth7");
    assert_eq!(loaded.settings.config_file, Some("good.yaml".into()));
}

#[test]
fn a_debounce_time_is_accepted_from_everywhere_and_said_to_have_no_effect() {
    let wanted = [
        "debounce_time has no effect: viplet takes in one turn what changed meanwhile, and never \
         waits for more",
    ];
    let given = least().env(&[("svc_enable", "true")]);
    assert_eq!(given.clone().env(&[("debounce_time", "300ms")]).loaded().warnings, wanted);
    assert_eq!(given.clone().args(&["--debounceTime", "300ms"]).loaded().warnings, wanted);
    assert_eq!(given.file(FILE, "debounceTime: 300ms").loaded().warnings, wanted);
}

#[test]
fn the_peer_flags_count_without_the_peer_variable() {
    let given = least().args(&[
        "--peerAddress",
        "192.0.2.9",
        "--peerAS",
        "65001",
        "--peerPass",
        "secret",
        "--multihop",
        "--bgppeers",
        "192.0.2.8:65000",
        "--bgppeers",
        "192.0.2.7:65000",
    ]);
    let loaded = given.loaded();
    assert_eq!(value(&loaded, "bgp_peeraddress"), "192.0.2.9");
    assert_eq!(value(&loaded, "bgp_peeras"), "65001");
    assert_eq!(value(&loaded, "bgp_peerpass"), "********");
    assert_eq!(value(&loaded, "bgp_multihop"), "true");
    assert_eq!(value(&loaded, "bgp_peers"), "192.0.2.8:65000,192.0.2.7:65000");
}

#[test]
fn lease_timing_that_makes_client_go_panic_is_refused() {
    let refused = |duration: &str, deadline: &str, retry: &str| {
        let names = ["vip_leaseduration", "vip_renewdeadline", "vip_retryperiod"];
        let pairs: Vec<_> = names.into_iter().zip([duration, deadline, retry]).collect();
        least().env(&pairs).refused()
    };
    assert_eq!(
        refused("10", "10", "2"),
        "vip_renewdeadline=10 (environment): not less than the lease; accepted: less than \
         vip_leaseduration=10\n"
    );
    assert_eq!(
        refused("15", "12", "10"),
        "vip_retryperiod=10 (environment): too long; accepted: 1.2 times it is less than \
         vip_renewdeadline=12\n"
    );
    assert!(refused("1", "1", "1").contains("vip_leaseduration=1 (environment): out of range"));
    assert!(refused("15", "10", "0").contains("vip_retryperiod=0 (environment): out of range"));
    assert!(refused("15", "10", "-2").contains("vip_retryperiod=-2"));
    // The tightest that kube-vip's documentation uses.
    let pairs = [("vip_leaseduration", "5"), ("vip_renewdeadline", "3"), ("vip_retryperiod", "1")];
    least().env(&pairs).loaded();
}

#[test]
fn addresses_are_checked_before_anything_starts() {
    for (address, why) in [
        ("192.168.0.400", "192.168.0.400: neither an IP address nor a DNS name"),
        ("192.168.0.4/24", "no prefix length here, that is vip_subnet's"),
        ("--controlplane", "neither an IP address nor a DNS name"),
        ("10.77.0.120,10.77.0.12O", "10.77.0.12O: a mistyped IPv4 address"),
        ("192.0.2.1,2001:db8::g", "2001:db8::g: neither an IP address nor a DNS name"),
        ("a..b", "neither an IP address nor a DNS name"),
        ("224.0.0.1", "multicast"),
        ("ff02::1", "multicast"),
        ("255.255.255.255", "broadcast"),
        ("127.0.0.2", "loopback"),
        ("::1", "loopback"),
        ("fe80::1", "link-local"),
        ("0.0.0.0", "DHCP"),
        ("192.0.2.1,::", "DHCP"),
    ] {
        let refused = least().env(&[("address", address)]).refused();
        assert!(refused.starts_with(&format!("address={address} (environment): ")), "{refused}");
        assert!(refused.contains(why), "{refused}");
    }
}

#[test]
fn a_health_check_period_of_zero_is_refused() {
    let name = "control_plane_health_check_period_seconds";
    let given = announcing().env(&[
        ("control_plane_health_check_address", "https://127.0.0.1:6443/livez"),
        (name, "0"),
    ]);
    let refused = super::lines(&given.load_with(&["bgp"]).expect_err("loads"));
    assert!(refused.starts_with(&format!("{name}=0 (environment): out of range")), "{refused}");
}

#[test]
fn bgp_without_a_peer_and_with_as_zero_is_refused() {
    let given = Given::default().env(&[
        ("bgp_enable", "true"),
        ("cp_enable", "true"),
        ("address", "192.0.2.1"),
        ("bgp_as", "0"),
    ]);
    let problems = given.load_with(&["bgp"]).expect_err("loads");
    let names: Vec<&str> = problems.iter().map(|problem| problem.setting.as_str()).collect();
    // What peers there have to be is for the backend to say, where this build has it.
    let wanted: &[&str] = match registry::FEATURES.contains(&"bgp") {
        true => &["bgp_as", "bgp_peers"],
        false => &["bgp_as"],
    };
    assert_eq!(names, wanted);
}

#[test]
fn a_variable_that_shells_use_too_is_pointed_at_when_it_beats_what_was_said() {
    let given = least().args(&["--port", "6443"]).env(&[("port", "8080")]);
    let loaded = given.loaded();
    assert_eq!(value(&loaded, "port"), "8080");
    assert_eq!(loaded.warnings.len(), 1, "{:?}", loaded.warnings);
    assert!(
        loaded.warnings[0].starts_with("port=8080 of the environment beats 6443 (flag --port)")
    );
    // A shell's leftover is named with where it came from.
    let refused = least().env(&[("port", "tcp://10.0.0.1:80")]).refused();
    assert!(refused.starts_with("port=tcp://10.0.0.1:80 (environment): not a whole number"));
    let loaded = least().args(&["--port", "8080"]).env(&[("port", "8080")]).loaded();
    assert_eq!(loaded.warnings, Vec::<String>::new());
    assert_eq!(
        loaded.effective.iter().find(|line| line.setting == "port").map(|line| &line.source),
        Some(&Source::Environment("port".to_owned()))
    );
}

#[test]
fn no_mode_is_an_error_and_not_a_crash() {
    let refused = Given::default().refused();
    assert!(refused.contains("vip_arp=false (default): no valid kube-vip mode detected"));
    assert!(refused.contains("cp_enable=false (default): no features are enabled"));
}
