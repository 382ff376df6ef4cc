//! Settings of BGP.

use crate::config::setting::{Gate, Kind, Outside, Setting, Unknown};

const BGP: Gate = Gate::AnyOn(&["bgp_enable"]);
const ZEBRA: Gate = Gate::AnyOn(&["zebra_enable"]);
const PEER: Gate = Gate::Given("bgp_peeraddress");
const FEATURE: &str = "bgp";

/// BGP, its peers, and FRR's zebra.
pub(super) const SETTINGS: &[Setting] = &[
    Setting::new(
        &["bgp_attach_ip_to_interface"],
        Kind::Bool,
        "false",
        "Put Services' addresses on the interface too",
    )
    .flags(&["bgpAttachIPToInterface"])
    .file(&["BGPAttachIPToInterface"])
    .of(FEATURE)
    .gate(BGP),
    Setting::new(&["bgp_routerid"], Kind::Address, "", "Router id, an IPv4 address")
        .flags(&["bgpRouterID"])
        .file(&["BGPConfig.RouterID"])
        .of(FEATURE)
        .gate(BGP),
    Setting::new(
        &["bgp_routerinterface"],
        Kind::Interface,
        "",
        "Interface whose first address is the router id; bgp_routerid wins",
    )
    .file(&["BGPConfig.RouterInterface"])
    .of(FEATURE)
    .gate(BGP),
    Setting::new(&["bgp_as"], Kind::Integer(1, 4_294_967_295), "65000", "Our AS number")
        .flags(&["localAS"])
        .file(&["BGPConfig.AS"])
        .of(FEATURE)
        .gate(BGP),
    Setting::new(
        &["bgp_sourceif"],
        Kind::Interface,
        "",
        "Interface to peer from; not with bgp_sourceip",
    )
    .flags(&["sourceIF", "sourceif"])
    .file(&["BGPConfig.SourceIF"])
    .of(FEATURE)
    .gate(BGP),
    Setting::new(
        &["bgp_sourceip"],
        Kind::Address,
        "",
        "Address to peer from; not with bgp_sourceif",
    )
    .flags(&["sourceIP", "sourceip"])
    .file(&["BGPConfig.SourceIP"])
    .of(FEATURE)
    .gate(BGP),
    Setting::new(
        &["bgp_hold_time"],
        Kind::Integer(0, 65_535),
        "30",
        "Hold time of all peers, seconds",
    )
    .outside(Outside::Nearest)
    .flags(&["bgpHoldTimer"])
    .file(&["BGPConfig.HoldTime"])
    .of(FEATURE)
    .gate(BGP),
    Setting::new(
        &["bgp_keepalive_interval"],
        Kind::Integer(0, 65_535),
        "10",
        "Keepalive interval of all peers, seconds",
    )
    .outside(Outside::Nearest)
    .flags(&["bgpKeepAliveInterval"])
    .file(&["BGPConfig.KeepaliveInterval"])
    .of(FEATURE)
    .gate(BGP),
    Setting::new(
        &["bgp_peers"],
        Kind::Peers,
        "",
        "Peers, comma separated: address:as[:password[:multihop[:port[:mp-bgp[:bfd]]]]]",
    )
    .flags(&["bgppeers"])
    .file(&["BGPConfig.Peers", "BGPPeers"])
    .of(FEATURE)
    .gate(BGP),
    Setting::new(&["bgp_peeraddress"], Kind::Address, "", "One more peer: its address")
        .flags(&["peerAddress"])
        .file(&["BGPPeerConfig.Address"])
        .of(FEATURE)
        .gate(BGP),
    Setting::new(
        &["bgp_peeras"],
        Kind::Integer(1, 4_294_967_295),
        "65000",
        "One more peer: its AS number",
    )
    .flags(&["peerAS"])
    .file(&["BGPPeerConfig.AS"])
    .of(FEATURE)
    .gate(PEER),
    Setting::new(&["bgp_peerpass"], Kind::Secret, "", "One more peer: its TCP MD5 password")
        .flags(&["peerPass"])
        .file(&["BGPPeerConfig.Password"])
        .of(FEATURE)
        .gate(PEER),
    Setting::new(
        &["bgp_multihop"],
        Kind::Bool,
        "false",
        "One more peer: it may be several hops away",
    )
    .flags(&["multihop", "multiHop"])
    .file(&["BGPPeerConfig.MultiHop"])
    .of(FEATURE)
    .gate(PEER),
    Setting::new(
        &["mpbgp_nexthop"],
        Kind::Words(&["fixed", "auto_sourceip", "auto_sourceif"], Unknown::Default),
        "",
        "Where multiprotocol next hops come from; empty: off",
    )
    .file(&["MpbgpNexthop"])
    .of(FEATURE)
    .gate(BGP),
    Setting::new(&["mpbgp_ipv4"], Kind::Address, "", "Fixed IPv4 next hop")
        .file(&["MpbgpIPv4"])
        .of(FEATURE)
        .gate(BGP),
    Setting::new(&["mpbgp_ipv6"], Kind::Address, "", "Fixed IPv6 next hop")
        .file(&["MpbgpIPv6"])
        .of(FEATURE)
        .gate(BGP),
    Setting::new(
        &["annotation"],
        Kind::Text,
        "",
        "Prefix of Node annotations that hold BGP settings",
    )
    .unread(&["annotations"])
    .flags(&["annotations"])
    .file(&["Annotations"])
    .of(FEATURE)
    .gate(BGP),
    Setting::new(&["zebra_enable"], Kind::Bool, "false", "Connect to FRR's zebra")
        .flags(&["zebra"])
        .file(&["ZebraEnable"])
        .switch("zebra")
        .gate(BGP),
    Setting::new(&["zebra_url"], Kind::Text, "unix:/var/run/frr/zserv.api", "zebra's socket")
        .flags(&["zebraUrl"])
        .file(&["ZebraURL"])
        .of("zebra")
        .gate(ZEBRA),
    Setting::new(
        &["zebra_version"],
        Kind::Integer(0, 4_294_967_295),
        "6",
        "zebra's protocol version",
    )
    .flags(&["zebraVersion"])
    .file(&["ZebraVersion"])
    .of("zebra")
    .gate(ZEBRA),
    Setting::new(&["zebra_software_name"], Kind::Text, "frr8.3", "zebra's software name")
        .flags(&["zebraSoftwareName"])
        .file(&["ZebraSoftwareName"])
        .of("zebra")
        .gate(ZEBRA),
];

/// What kube-vip has no settings for.
pub(super) const OURS: &[Setting] = &[
    Setting::new(
        &["bgp_communities"],
        Kind::Text,
        "",
        "Communities of every route, comma separated: 65000:100, no-export",
    )
    .of(FEATURE)
    .gate(BGP),
    Setting::new(
        &["bgp_large_communities"],
        Kind::Text,
        "",
        "Large communities of every route, comma separated: 65000:1:2",
    )
    .of(FEATURE)
    .gate(BGP),
    Setting::new(
        &["bgp_local_preference"],
        Kind::Text,
        "",
        "Local preference of every route, to peers of our own AS",
    )
    .of(FEATURE)
    .gate(BGP),
    Setting::new(
        &["bgp_med"],
        Kind::Text,
        "",
        "Multi-exit discriminator (MED) of every route; empty: none",
    )
    .of(FEATURE)
    .gate(BGP),
    Setting::new(
        &["bgp_as_path_prepend"],
        Kind::Integer(0, 10),
        "0",
        "How often our AS number is prepended beyond once, to peers of other ASs",
    )
    .of(FEATURE)
    .gate(BGP),
    Setting::new(
        &["bgp_graceful_restart_seconds"],
        Kind::Integer(0, 4095),
        "15",
        "How long peers keep our routes while viplet restarts, seconds; 0: they do not",
    )
    .of(FEATURE)
    .gate(BGP),
    Setting::new(
        &["bgp_graceful_shutdown"],
        Kind::Duration,
        "1s",
        "How long a planned stop lets routers look for other ways before it withdraws",
    )
    .of(FEATURE)
    .gate(BGP),
    Setting::new(
        &["bgp_listen_port"],
        Kind::Integer(0, 65_535),
        "0",
        "Port at which connections of peers are taken too; 0: none are",
    )
    .of(FEATURE)
    .gate(BGP),
    Setting::new(
        &["bgp_ttl_security"],
        Kind::Integer(0, 254),
        "0",
        "Hops that peers may be away at most, by TTL (RFC 5082); 0: not checked",
    )
    .of(FEATURE)
    .gate(BGP),
    Setting::new(
        &["bgp_password_file"],
        Kind::Text,
        "",
        "File with the password of peers that have none, or folder with a file for each peer",
    )
    .of(FEATURE)
    .gate(BGP),
];
