//! The order in which settings stand in a printed manifest, and when: kube-vip's (MAN-4). What is not
//! in this list follows it, in the table's order, where it has been changed.

use Printed::{Always, Changed, With};

/// When a setting is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Printed {
    /// Always, even empty.
    Always,
    /// Where it is not the default.
    Changed,
    /// Where this setting is on, or where it is not the default.
    With(&'static str),
}

const CP: Printed = With("cp_enable");
const ELECTED: Printed = With("vip_leaderelection");
const BGP: Printed = With("bgp_enable");
const BALANCED: Printed = With("lb_enable");
const CHECKED: Printed = With("control_plane_health_check_address");

/// kube-vip's settings in kube-vip's order.
pub const ORDER: &[(&str, Printed)] = &[
    ("vip_arp", Always),
    ("port", Always),
    ("vip_nodename", Always),
    ("instance_name", Changed),
    ("vip_interface", Changed),
    ("vip_interfaceloglobal", Changed),
    ("vip_servicesinterface", Changed),
    ("vip_allow_interface_not_up", Changed),
    ("vip_subnet", Changed),
    ("dns_mode", Always),
    ("dhcp_mode", Always),
    ("dhcp_backoff_attempts", Changed),
    ("cp_enable", Changed),
    ("cp_namespace", CP),
    ("vip_ddns", Changed),
    ("cp_detect", Changed),
    ("svc_enable", Changed),
    ("svc_leasename", With("svc_enable")),
    ("svc_election", Changed),
    ("lb_class_only", Changed),
    ("enable_service_security", Changed),
    ("vip_leaderelection", Changed),
    ("vip_leasename", ELECTED),
    ("vip_leaseduration", ELECTED),
    ("vip_renewdeadline", ELECTED),
    ("vip_retryperiod", ELECTED),
    ("vip_loseleadership", Changed),
    ("vip_loseleadership_timeout_seconds", With("vip_loseleadership")),
    ("enable_node_labeling", Changed),
    ("annotation", Changed),
    ("vip_wireguard", Changed),
    ("vip_routingtable", Changed),
    ("bgp_enable", Changed),
    ("bgp_attach_ip_to_interface", Changed),
    ("bgp_routerid", BGP),
    ("bgp_as", BGP),
    ("bgp_peeraddress", BGP),
    ("bgp_peerpass", BGP),
    ("bgp_peeras", BGP),
    ("bgp_sourceif", Changed),
    ("bgp_sourceip", Changed),
    ("bgp_peers", Changed),
    ("control_plane_health_check_address", Changed),
    ("control_plane_health_check_period_seconds", CHECKED),
    ("control_plane_health_check_timeout_seconds", CHECKED),
    ("control_plane_health_check_failure_threshold", CHECKED),
    ("control_plane_health_check_ca_path", Changed),
    ("lb_enable", Changed),
    ("lb_port", BALANCED),
    ("lb_fwdmethod", BALANCED),
    // One of the two stands here: the one that counts.
    ("vip_address", Changed),
    ("address", Always),
    ("prometheus_server", Always),
    ("enable_endpoints", Changed),
    ("disable_service_updates", Changed),
    ("mirror_dest_interface", Changed),
    ("health_check_port", Changed),
    ("vip_preserve_on_leadership_loss", Changed),
];

/// Settings that a manifest says otherwise, or that are the generating machine's own.
pub const ELSEWHERE: &[&str] = &["config_file", "k8s_config_file"];
