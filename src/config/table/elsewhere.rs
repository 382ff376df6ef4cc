//! The smaller chapters: DHCP, routing table, etcd; what has no effect and what is gone.

use crate::config::setting::{Gate, Kind, Role, Setting, Unknown};

const TABLE: Gate = Gate::AnyOn(&["vip_routingtable"]);
const ETCD_ON: Gate = Gate::Is("leaderElectionType", "etcd");
const RAFT: Role = Role::NoEffect("it belonged to an election that kube-vip gave up");
const METAL: Role =
    Role::Removed("kube-vip removed Equinix Metal's API too; use annotation for BGP settings");

/// Addresses from DHCP.
pub(super) const DHCP: &[Setting] = &[
    Setting::new(
        &["vip_ddns"],
        Kind::Bool,
        "false",
        "Get the address for a host name by DHCP, which puts it into the DNS",
    )
    .flags(&["ddns"])
    .file(&["DDNS"])
    .switch("ddns"),
    Setting::new(
        &["dhcp_mode"],
        Kind::Words(&["ipv4", "ipv6", "dual"], Unknown::Default),
        "ipv4",
        "Families to ask DHCP for; not given: dns_mode unless that is first, else ipv4",
    )
    .flags(&["dhcpMode"])
    .file(&["DHCPMode"])
    .of("dhcp")
    .gate(Gate::AnyOn(&["svc_enable", "vip_ddns"])),
    Setting::new(
        &["dhcp_backoff_attempts"],
        Kind::Integer(0, 4_294_967_295),
        "3",
        "DHCP attempts before giving up; 0: for ever",
    )
    .flags(&["dhcpBackoffAttempts"])
    .file(&["DHCPBackoffAttempts"])
    .of("dhcp")
    .gate(Gate::AnyOn(&["svc_enable", "vip_ddns"])),
];

/// Routes for a routing daemon.
pub(super) const ROUTING_TABLE: &[Setting] = &[
    Setting::new(
        &["vip_routingtableid"],
        Kind::Integer(0, 4_294_967_295),
        "198",
        "Kernel table that receives the routes",
    )
    .flags(&["tableID"])
    .file(&["RoutingTableID"])
    .of("route-table")
    .gate(TABLE),
    Setting::new(
        &["vip_routingtabletype"],
        Kind::Integer(0, 11),
        "1",
        "Route type (RTN_*): 1 unicast, 2 local",
    )
    .flags(&["tableType"])
    .file(&["RoutingTableType"])
    .of("route-table")
    .gate(TABLE),
    Setting::new(
        &["vip_routingprotocol"],
        Kind::Integer(0, 255),
        "248",
        "rtm_protocol of the routes; 0 becomes 1",
    )
    .flags(&["routingProtocol"])
    .file(&["RoutingProtocol"])
    .of("route-table")
    .gate(TABLE),
    Setting::new(
        &["vip_cleanroutingtable"],
        Kind::Bool,
        "false",
        "Remove leftover routes of table and protocol after the start",
    )
    .flags(&["cleanRoutingTable"])
    .file(&["CleanRoutingTable"])
    .of("route-table")
    .gate(TABLE),
];

/// Election in etcd.
pub(super) const ETCD: &[Setting] = &[
    Setting::new(&[], Kind::Text, "", "CA certificates for etcd")
        .flags(&["etcdCACert"])
        .file(&["Etcd.CAFile"])
        .of("etcd")
        .gate(ETCD_ON),
    Setting::new(&[], Kind::Text, "", "Client certificate for etcd")
        .flags(&["etcdCert"])
        .file(&["Etcd.ClientCertFile"])
        .of("etcd")
        .gate(ETCD_ON),
    Setting::new(&[], Kind::Text, "", "Client key for etcd")
        .flags(&["etcdKey"])
        .file(&["Etcd.ClientKeyFile"])
        .of("etcd")
        .gate(ETCD_ON),
    Setting::new(&[], Kind::List, "", "etcd's members, comma separated")
        .flags(&["etcdEndpoints"])
        .file(&["Etcd.Endpoints"])
        .of("etcd")
        .gate(ETCD_ON),
];

/// Accepted, reported, ignored: kube-vip does nothing with them either.
pub(super) const NO_EFFECT: &[Setting] = &[
    Setting::new(&["vip_configmap"], Kind::Text, "plndr", "Name of a ConfigMap, once")
        .flags(&["configMap", "c"])
        .role(Role::NoEffect("nothing reads that ConfigMap any more")),
    Setting::new(&["vip_singlenode"], Kind::Bool, "false", "Single node, once")
        .file(&["SingleNode"])
        .role(RAFT),
    Setting::new(&["vip_startleader"], Kind::Bool, "false", "Start as leader, once")
        .file(&["StartAsLeader"])
        .role(RAFT),
    Setting::new(&[], Kind::Bool, "false", "Peers as backends, once")
        .file(&["AddPeersAsBackends"])
        .role(RAFT),
    Setting::new(&[], Kind::Text, "", "A list of load balancers, once")
        .file(&["LoadBalancers"])
        .role(Role::NoEffect("lb_enable, lb_port and lb_fwdmethod describe the load balancer")),
    Setting::new(&["vip_cidr"], Kind::Text, "", "Prefix length, once")
        .file(&["VIPCIDR"])
        .role(Role::NoEffect("vip_subnet is its name now")),
    Setting::new(&[], Kind::Bool, "false", "EndpointSlices, once")
        .flags(&["enableEndpointSlices"])
        .role(Role::NoEffect("EndpointSlices are watched unless enable_endpoints is true")),
];

/// Refused by name.
pub(super) const REMOVED: &[Setting] = &[
    Setting::new(&[], Kind::Bool, "false", "Equinix Metal").flags(&["metal"]).role(METAL),
    Setting::new(&[], Kind::Secret, "", "Equinix Metal's key").flags(&["metalKey"]).role(METAL),
    Setting::new(&[], Kind::Text, "", "Equinix Metal's project")
        .flags(&["metalProject"])
        .role(METAL),
    Setting::new(&[], Kind::Text, "", "Equinix Metal's project id")
        .flags(&["metalProjectID"])
        .role(METAL),
    Setting::new(&[], Kind::Text, "", "Equinix Metal's settings file")
        .flags(&["provider-config"])
        .role(METAL),
];
