//! Settings of the modes and of the control-plane address.

use crate::config::setting::{Gate, Kind, Outside, Setting, Unknown};

const CP: Gate = Gate::AnyOn(&["cp_enable"]);
const ARP: Gate = Gate::AnyOn(&["vip_arp"]);
const CHECKED: Gate = Gate::Given("control_plane_health_check_address");
const BALANCED: Gate = Gate::AnyOn(&["lb_enable"]);
/// The longest time in seconds: a Lease has its duration in an i32.
const LONGEST: i64 = i32::MAX as i64;

/// How addresses are made known: exactly one.
pub(super) const MODES: &[Setting] = &[
    Setting::new(&["vip_arp"], Kind::Bool, "false", "ARP and NDP: one node holds an address")
        .flags(&["arp"])
        .file(&["EnableARP"])
        .switch("arp"),
    Setting::new(&["bgp_enable"], Kind::Bool, "false", "BGP: addresses are announced to routers")
        .flags(&["bgp"])
        .file(&["EnableBGP"])
        .switch("bgp"),
    Setting::new(
        &["vip_routingtable"],
        Kind::Bool,
        "false",
        "Routing table: addresses become routes for a routing daemon",
    )
    .flags(&["table"])
    .file(&["EnableRoutingTable"])
    .switch("route-table"),
    Setting::new(&["vip_wireguard"], Kind::Bool, "false", "WireGuard: addresses at tunnels' ends")
        .flags(&["wireguard"])
        .file(&["EnableWireguard"])
        .switch("wireguard"),
];

/// The address and its link.
pub(super) const ADDRESS: &[Setting] = &[
    Setting::new(&["cp_enable"], Kind::Bool, "false", "Hold an address for the control plane")
        .flags(&["controlplane", "controlPlane"])
        .file(&["EnableControlPlane"]),
    Setting::new(
        &["address"],
        Kind::Targets,
        "",
        "The address or addresses: IPv4, IPv6, DNS names, comma separated",
    )
    .flags(&["address"])
    .file(&["Address"])
    .gate(CP),
    Setting::new(
        &["vip_address"],
        Kind::Targets,
        "",
        "Older name of address, which wins; needs vip_subnet",
    )
    .flags(&["vip"])
    .file(&["VIP"])
    .gate(CP),
    Setting::new(
        &["vip_subnet"],
        Kind::PrefixLengths,
        "",
        "Prefix lengths: 24, or 24,64 for IPv4 and IPv6, or auto (Services in ARP mode); \
         empty: 32 and 128",
    )
    .flags(&["vipSubnet", "cidr"])
    .file(&["VIPSubnet"]),
    Setting::new(
        &["vip_interface"],
        Kind::Interface,
        "",
        "Interface that carries addresses; empty: the default route's",
    )
    .flags(&["interface"])
    .file(&["Interface"]),
    Setting::new(
        &["vip_allow_interface_not_up"],
        Kind::Bool,
        "false",
        "Stand in the election although the interface is not up",
    )
    .flags(&["allowInterfaceNotUp"])
    .file(&["AllowInterfaceNotUp"]),
    Setting::new(
        &["vip_interfaceloglobal"],
        Kind::Bool,
        "false",
        "Global instead of host scope for addresses on lo",
    )
    .flags(&["loInterfaceGlobalScope"])
    .file(&["LoInterfaceGlobalScope"])
    .gate(CP),
    Setting::new(
        &["dns_mode"],
        Kind::Words(&["first", "ipv4", "ipv6", "dual"], Unknown::Default),
        "first",
        "Which addresses of a DNS name count",
    )
    .flags(&["dnsMode"])
    .file(&["DNSMode"]),
    Setting::new(
        &["vip_skipdad"],
        Kind::Bool,
        "false",
        "Add IPv6 addresses without duplicate address detection",
    )
    .file(&["SkipDAD"]),
    Setting::new(
        &["vip_arpRate"],
        Kind::AnnounceInterval,
        "3000",
        "Milliseconds between two announcements of an address; at least 500",
    )
    .file(&["ArpBroadcastRate"])
    .of("arp")
    .gate(ARP),
    Setting::new(
        &["vip_preserve_on_leadership_loss"],
        Kind::Bool,
        "false",
        "Keep IPv4 addresses, unannounced, after losing the lease until another holder is seen",
    )
    .flags(&["preserveVipOnLeadershipLoss"])
    .file(&["PreserveVIPOnLeadershipLoss"])
    .of("arp")
    .gate(CP),
    Setting::new(
        &["vip_loseleadership"],
        Kind::Bool,
        "false",
        "Give the lease up when the interface stays down",
    )
    .flags(&["loseLeadership"])
    .file(&["LoseLeadership"])
    .of("arp")
    .gate(ARP),
    Setting::new(
        &["vip_loseleadership_timeout_seconds"],
        Kind::Integer(0, LONGEST),
        "30",
        "Seconds that the interface may be down before the lease is given up",
    )
    .outside(Outside::Nearest)
    .flags(&["loseLeadershiptTimeoutSeconds", "loseLeadershipTimeoutSeconds"])
    .file(&["LoseLeadershipTimeoutSeconds"])
    .of("arp")
    .gate(Gate::AnyOn(&["vip_loseleadership"])),
    Setting::new(
        &["port"],
        Kind::Integer(1, 65_535),
        "6443",
        "The API server's own port on each control-plane node",
    )
    .flags(&["port"])
    .file(&["Port"]),
    Setting::new(
        &["cp_detect"],
        Kind::Bool,
        "false",
        "Reach the API server of this node on loopback",
    )
    .flags(&["autodetectcp"])
    .file(&["DetectControlPlane"])
    .gate(CP),
];

/// Who holds the address.
pub(super) const ELECTION: &[Setting] = &[
    Setting::new(
        &["vip_leaderelection"],
        Kind::Bool,
        "false",
        "Elect one holder in modes that could do without; ARP mode always elects",
    )
    .flags(&["leaderElection"])
    .file(&["EnableLeaderElection"]),
    Setting::new(
        &[],
        Kind::Words(&["kubernetes", "etcd"], Unknown::Refused),
        "kubernetes",
        "Where the election takes place",
    )
    .flags(&["leaderElectionType"])
    .file(&["LeaderElectionType"])
    .switch("etcd"),
    Setting::new(
        &["vip_leasename"],
        Kind::Lease,
        "plndr-cp-lock",
        "The control plane's Lease: name, or namespace/name",
    )
    .flags(&["leaseName"])
    .file(&["LeaseName"])
    .gate(CP),
    Setting::new(
        &["vip_leaseduration"],
        Kind::Integer(2, LONGEST),
        "15",
        "Seconds that a lease lasts without renewal",
    )
    .flags(&["leaseDuration"])
    .file(&["LeaseDuration"]),
    Setting::new(
        &["vip_renewdeadline"],
        Kind::Integer(1, LONGEST),
        "10",
        "Seconds without renewal after which the holder warns; less than the duration",
    )
    .flags(&["leaseRenewDuration"])
    .file(&["RenewDeadline"]),
    Setting::new(
        &["vip_retryperiod"],
        Kind::Integer(1, LONGEST),
        "2",
        "Seconds between two tries; 1.2 times it is less than the renew deadline",
    )
    .flags(&["leaseRetry"])
    .file(&["RetryPeriod"]),
    Setting::new(
        &["vip_leaseannotations"],
        Kind::TextMap,
        "{}",
        "Annotations for the control plane's Lease, a JSON object",
    )
    .file(&["LeaseAnnotations"])
    .gate(CP),
];

/// The check that BGP and routing-table mode make before they announce.
pub(super) const HEALTH_CHECK: &[Setting] = &[
    Setting::new(
        &["control_plane_health_check_address"],
        Kind::Url,
        "",
        "URL that must answer 200 before the address is announced",
    )
    .flags(&["controlPlaneHealthCheckAddress"])
    .file(&["ControlPlaneHealthCheck.Address"])
    .gate(Gate::AnyOn(&["bgp_enable", "vip_routingtable"])),
    Setting::new(
        &["control_plane_health_check_period_seconds"],
        Kind::Integer(1, LONGEST),
        "5",
        "Seconds between two checks",
    )
    .flags(&["controlPlaneHealthCheckPeriodSeconds"])
    .file(&["ControlPlaneHealthCheck.PeriodSeconds"])
    .gate(CHECKED),
    Setting::new(
        &["control_plane_health_check_timeout_seconds"],
        Kind::Integer(0, LONGEST),
        "3",
        "Seconds that a check may take; 0: as long as it takes",
    )
    .outside(Outside::Nearest)
    .flags(&["controlPlaneHealthCheckTimeoutSeconds"])
    .file(&["ControlPlaneHealthCheck.TimeoutSeconds"])
    .gate(CHECKED),
    Setting::new(
        &["control_plane_health_check_failure_threshold"],
        Kind::Integer(1, LONGEST),
        "3",
        "Failures in a row before the address is withdrawn",
    )
    .outside(Outside::Nearest)
    .flags(&["controlPlaneHealthCheckFailureThreshold"])
    .file(&["ControlPlaneHealthCheck.FailureThreshold"])
    .gate(CHECKED),
    Setting::new(
        &["control_plane_health_check_ca_path"],
        Kind::Text,
        "",
        "CA certificates for the check, beside the system's",
    )
    .flags(&["controlPlaneHealthCheckCAPath"])
    .file(&["ControlPlaneHealthCheck.CAPath"])
    .gate(CHECKED),
];

/// IPVS in front of the API servers.
pub(super) const LOAD_BALANCER: &[Setting] = &[
    Setting::new(
        &["lb_enable"],
        Kind::Bool,
        "false",
        "Spread connections to the control-plane address over all API servers (IPVS)",
    )
    .flags(&["enableLoadBalancer"])
    .file(&["EnableLoadBalancer"])
    .switch("ipvs")
    .gate(CP),
    Setting::new(&["lb_port"], Kind::Integer(1, 65_535), "6443", "Port of the load balancer")
        .flags(&["lbPort"])
        .file(&["LoadBalancerPort"])
        .of("ipvs")
        .gate(BALANCED),
    Setting::new(
        &["lb_fwdmethod"],
        Kind::Words(&["local", "masquerade", "tunnel", "directroute", "bypass"], Unknown::Default),
        "local",
        "How connections are forwarded",
    )
    .flags(&["lbForwardingMethod"])
    .file(&["LoadBalancerForwardingMethod"])
    .of("ipvs")
    .gate(BALANCED),
    Setting::new(
        &["backend_health_check_interval"],
        Kind::Integer(0, LONGEST),
        "0",
        "Seconds between two checks of an API server; 0: 5",
    )
    .file(&["BackendHealthCheckInterval"])
    .gate(Gate::AnyOn(&["lb_enable", "vip_routingtable"])),
];
