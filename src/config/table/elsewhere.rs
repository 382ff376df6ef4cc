//! The smaller chapters: DHCP, routing table, etcd.

use crate::config::setting::{Gate, Kind, Outside, Setting, Unknown};

const TABLE: Gate = Gate::AnyOn(&["vip_routingtable"]);
const ETCD_ON: Gate = Gate::Is("leaderElectionType", "etcd");

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
    .outside(Outside::Default)
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
