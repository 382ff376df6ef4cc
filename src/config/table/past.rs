//! Names of kube-vip's past and of its older documentation: what has no effect, and what is gone.
//!
//! A variable that kube-vip does not read never keeps viplet from starting, because it does not keep
//! kube-vip from it. A flag that kube-vip does not know ends kube-vip, so that a flag may be refused.

use crate::config::setting::{Kind, Role, Setting};

const RAFT: &str = "it belonged to an election that kube-vip gave up; vip_leaderelection and the \
                    vip_lease… settings describe the one there is";
const BALANCER: &str = "lb_enable, lb_port and lb_fwdmethod describe the load balancer";
const METAL: &str = "kube-vip removed Equinix Metal's API too; annotation names the Node annotations \
                     that BGP settings are read from";
const SLICES: &str = "EndpointSlices are watched unless enable_endpoints is true";

/// Accepted, pointed at, without effect.
pub(super) const NO_EFFECT: &[Setting] = &[
    Setting::new(&["vip_configmap"], Kind::Text, "plndr", "Name of a ConfigMap, once")
        .flags(&["configMap", "c"])
        .role(Role::NoEffect("nothing reads that ConfigMap any more")),
    Setting::new(&["vip_singlenode"], Kind::Bool, "false", "Single node, once")
        .flags(&["singleNode"])
        .file(&["SingleNode"])
        .role(Role::NoEffect(RAFT)),
    Setting::new(&["vip_startleader"], Kind::Bool, "false", "Start as leader, once")
        .flags(&["startAsLeader"])
        .file(&["StartAsLeader"])
        .role(Role::NoEffect(RAFT)),
    Setting::new(
        &["vip_peers", "vip_localpeer", "vip_remotepeers", "vip_addpeerstolb"],
        Kind::Text,
        "",
        "Members of an election, once",
    )
    .role(Role::NoEffect(RAFT)),
    Setting::new(&[], Kind::Bool, "false", "Peers as backends, once")
        .file(&["AddPeersAsBackends"])
        .role(Role::NoEffect(RAFT)),
    Setting::new(&[], Kind::Text, "", "A list of load balancers, once")
        .file(&["LoadBalancers"])
        .role(Role::NoEffect(BALANCER)),
    Setting::new(
        &["lb_name", "lb_type", "lb_bindtovip", "lb_backendport", "lb_backends"],
        Kind::Text,
        "",
        "A load balancer, once",
    )
    .role(Role::NoEffect(BALANCER)),
    Setting::new(
        &["vip_cidr"],
        Kind::PrefixLengths,
        "",
        "Older name of vip_subnet; counts with vip_address where vip_subnet is not given",
    )
    .file(&["VIPCIDR"])
    .role(Role::OlderName("vip_subnet")),
    Setting::new(&["enable_endpointslices"], Kind::Bool, "false", "EndpointSlices, once")
        .flags(&["enableEndpointSlices"])
        .role(Role::NoEffect(SLICES)),
    Setting::new(
        &["vip_packet", "vip_packetproject", "vip_packetprojectid", "provider_config"],
        Kind::Text,
        "",
        "Equinix Metal, once",
    )
    .role(Role::NoEffect(METAL)),
    Setting::new(&["PACKET_AUTH_TOKEN"], Kind::Secret, "", "Equinix Metal's key, once")
        .role(Role::NoEffect(METAL)),
];

/// Refused by name.
pub(super) const REMOVED: &[Setting] = &[
    Setting::new(&[], Kind::Bool, "false", "Equinix Metal")
        .flags(&["metal", "packet"])
        .role(Role::Removed(METAL)),
    Setting::new(&[], Kind::Secret, "", "Equinix Metal's key")
        .flags(&["metalKey", "packetKey"])
        .role(Role::Removed(METAL)),
    Setting::new(&[], Kind::Text, "", "Equinix Metal's project, its id and its settings file")
        .flags(&[
            "metalProject",
            "metalProjectID",
            "packetProject",
            "packetProjectID",
            "provider-config",
        ])
        .role(Role::Removed(METAL)),
    Setting::new(&[], Kind::Text, "", "Members of an election")
        .flags(&["localPeer", "remotePeers"])
        .role(Role::Removed(RAFT)),
    Setting::new(&[], Kind::Bool, "false", "A load balancer on the address")
        .flags(&["lbBindToVip"])
        .role(Role::Removed(BALANCER)),
    Setting::new(&[], Kind::Text, "", "A load balancer")
        .flags(&["lbName", "lbType", "lbBackEndPort", "lbBackends"])
        .role(Role::Removed(BALANCER)),
    Setting::new(&[], Kind::Bool, "false", "An election without an address")
        .flags(&["disableVIP"])
        .role(Role::Removed("without cp_enable there is no address for the control plane")),
];
