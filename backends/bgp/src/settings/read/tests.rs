//! Tests of reading settings, peers and a node's annotations.

use proptest::prelude::*;

use std::collections::BTreeMap;

use viplet_backend_api::LinkName;

use super::super::{Bfd, NextHop, Password, Reading};
use super::*;

const SETTINGS: &[&str] = &[
    "bgp_as",
    "bgp_routerid",
    "bgp_routerinterface",
    "bgp_peers",
    "bgp_peeraddress",
    "bgp_peeras",
    "bgp_peerpass",
    "bgp_multihop",
    "bgp_sourceip",
    "bgp_sourceif",
    "bgp_hold_time",
    "bgp_keepalive_interval",
    "bgp_attach_ip_to_interface",
    "mpbgp_nexthop",
    "mpbgp_ipv4",
    "mpbgp_ipv6",
    "annotation",
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
];

fn given(pairs: &[(&'static str, &str)]) -> Given {
    for (name, _) in pairs {
        assert!(SETTINGS.contains(name), "{name}");
    }
    Given(pairs.iter().map(|(name, value)| (*name, (*value).to_owned())).collect())
}

/// Both steps, as the program does them.
fn read(
    given: &Given,
    annotations: Option<&BTreeMap<String, String>>,
    files: &dyn Fn(&str) -> Result<File, String>,
) -> Result<Reading, Vec<Unacceptable>> {
    declare(given)?.resolve(annotations, files)
}

fn check(given: &Given) -> Vec<Unacceptable> {
    declare(given).err().unwrap_or_default()
}

fn warnings(pairs: &[(&'static str, &str)]) -> String {
    declare(&given(pairs)).unwrap().warnings().join("\n")
}

fn no_files(path: &str) -> Result<File, String> {
    panic!("{path} was read")
}

fn reading(pairs: &[(&'static str, &str)]) -> Result<Reading, Vec<Unacceptable>> {
    read(&given(pairs), None, &no_files)
}

fn settings(pairs: &[(&'static str, &str)]) -> Settings {
    match reading(pairs) {
        Ok(Reading::Ready(settings)) => *settings,
        other => panic!("{pairs:?}: {other:?}"),
    }
}

/// The settings that were refused, and all the words about them.
fn refused(pairs: &[(&'static str, &str)]) -> (Vec<&'static str>, String) {
    let wrong = reading(pairs).expect_err("it was accepted");
    assert_eq!(check(&given(pairs)), wrong, "the check at the start says the same");
    let words = wrong.iter().map(|one| one.why.clone()).collect::<Vec<_>>().join("\n");
    assert!(words.contains("accepted: "), "{words}");
    (wrong.iter().map(|one| one.setting).collect(), words)
}

fn peers(text: &str) -> Vec<Peer> {
    settings(&[("bgp_peers", text)]).peers
}

fn peer(text: &str) -> Peer {
    let mut peers = peers(text);
    assert_eq!(peers.len(), 1, "{text}");
    peers.remove(0)
}

fn password(text: &str) -> Option<Password> {
    Some(Password(text.to_owned()))
}

#[test]
fn an_address_and_an_as_number_are_a_peer_with_kube_vips_defaults() {
    let expected = Peer {
        hold: Duration::from_secs(30),
        keepalive: Duration::from_secs(10),
        ..new_peer(PeerAddress::Ip("192.0.2.1".parse().unwrap()), RemoteAs::Number(65001))
    };
    assert_eq!(peer("192.0.2.1:65001"), expected);
    assert_eq!((expected.port, expected.password), (179, None));
    let settings = settings(&[("bgp_peers", "192.0.2.1:65001")]);
    assert_eq!((settings.local_as, settings.router_id), (65000, RouterId::Automatic));
    assert_eq!(settings.graceful_restart, GracefulRestart::Within(15));
    assert_eq!(settings.graceful_shutdown, Duration::from_secs(1));
    assert_eq!(settings.listen, Listen::No);
}

#[test]
fn every_field_of_a_peer_is_read() {
    let text = "[2001:db8::1]:4200000000:s3cret:true:1790:\
                mpbgp_nexthop=fixed;mpbgp_ipv4=192.0.2.9:true;200;100;5";
    let peer = peer(text);
    assert_eq!(peer.name(), "2001:db8::1");
    assert_eq!(peer.remote_as, RemoteAs::Number(4_200_000_000));
    assert_eq!(peer.password, password("s3cret"));
    assert_eq!((peer.distance, peer.port), (Distance::Multihop(50), 1790));
    let v4 = Some("192.0.2.9".parse().unwrap());
    assert_eq!(peer.families, Families::Both(NextHop::Fixed { v4, v6: None }));
    let ms = Duration::from_millis;
    assert_eq!(peer.bfd, Some(Bfd { receive: ms(200), transmit: ms(100), multiplier: 5 }));
}

#[test]
fn empty_items_and_empty_fields_are_skipped() {
    let peers = peers(",192.0.2.1:65001::::,, 192.0.2.2:65002:::::true;;;,");
    assert_eq!(peers.iter().map(Peer::name).collect::<Vec<_>>(), ["192.0.2.1", "192.0.2.2"]);
    let ms = Duration::from_millis;
    let usual = Bfd { receive: ms(300), transmit: ms(300), multiplier: 3 };
    assert_eq!((peers[0].bfd, peers[1].bfd), (None, Some(usual)));
    assert_eq!(peer("192.0.2.1:65001:::::false;300;300;3").bfd, None);
}

#[test]
fn an_unnumbered_peer_may_have_any_as_number_but_ours() {
    assert_eq!(peer("unnumbered:eth0").remote_as, RemoteAs::External);
    assert_eq!(peer("unnumbered:eth0:0").remote_as, RemoteAs::External);
    let full = peer("unnumbered:eth0:65001:pw:false:1790");
    assert_eq!((full.name().as_str(), full.port), ("unnumbered:eth0", 1790));
    assert_eq!((full.remote_as, full.password), (RemoteAs::Number(65001), password("pw")));
}

#[test]
fn a_link_local_peer_names_its_interface() {
    assert_eq!(peer("[fe80::1%eth1]:65001").name(), "fe80::1%eth1");
    let (_, words) = refused(&[("bgp_peers", "[fe80::1]:65001")]);
    assert!(words.contains("[fe80::1%eth0]"), "{words}");
}

#[test]
fn an_ipv6_next_hop_needs_no_brackets_and_bfd_may_follow_it() {
    for bfd in ["", ":true;300;300;3", ":"] {
        for v6 in ["2001:db8::1", "[2001:db8::1]", "2001:db8::1;mpbgp_nexthop=fixed"] {
            let text = format!("192.0.2.1:65001::::mpbgp_nexthop=fixed;mpbgp_ipv6={v6}{bfd}");
            let peer = peer(&text);
            let v6 = Some("2001:db8::1".parse().unwrap());
            assert_eq!(peer.families, Families::Both(NextHop::Fixed { v4: None, v6 }), "{text}");
            assert_eq!(peer.bfd.is_some(), bfd.contains("true"), "{text}");
        }
    }
}

#[test]
fn what_is_no_peer_is_refused_with_its_place() {
    for (text, word) in [
        ("192.0.2.1", "address:as"),
        ("192.0.2.1:x", "AS number"),
        ("192.0.2.1:0", "AS number"),
        ("192.0.2.1:4294967296", "AS number"),
        ("router.example:65001", "address:as"),
        ("2001:db8::1:65001", "address:as"),
        ("[2001:db8::1]", "address:as"),
        ("[192.0.2.1]:65001", "address:as"),
        ("0.0.0.0:65001", "unicast"),
        ("224.0.0.5:65001", "unicast"),
        ("[::ffff:192.0.2.1]:65001", "unicast"),
        ("unnumbered::65001", "interface"),
        ("192.0.2.1:65001:pw:maybe", "multihop"),
        ("192.0.2.1:65001:pw::0", "port"),
        ("192.0.2.1:65001:pw::65536", "port"),
        ("192.0.2.1:65001:pw:::mpbgp_colour=red", "MP-BGP"),
        ("192.0.2.1:65001:pw:::mpbgp_nexthop=near", "MP-BGP"),
        ("192.0.2.1:65001:pw::::perhaps;1;1;1", "BFD"),
        ("192.0.2.1:65001:pw::::true;5;300;3", "BFD"),
        ("192.0.2.1:65001:pw::::true;300;300;256", "BFD"),
    ] {
        let (setting, words) = refused(&[("bgp_peers", &format!(",{text}"))]);
        assert_eq!(setting, ["bgp_peers"], "{text}");
        assert!(words.starts_with("peer 2: ") && words.contains(word), "{text}: {words}");
        assert!(!words.contains("pw"), "{words}");
    }
}

#[test]
fn the_single_peer_comes_after_the_others() {
    let settings = settings(&[
        ("bgp_peers", "192.0.2.2:65002"),
        ("bgp_peeraddress", "192.0.2.1"),
        ("bgp_peeras", "65001"),
        ("bgp_peerpass", "a:b,c "),
        ("bgp_multihop", "true"),
    ]);
    let names: Vec<_> = settings.peers.iter().map(Peer::name).collect();
    assert_eq!(names, ["192.0.2.2", "192.0.2.1"]);
    let last = &settings.peers[1];
    assert_eq!(last.password, password("a:b,c "), "as it is");
    let rest = (last.remote_as, last.distance);
    assert_eq!(rest, (RemoteAs::Number(65001), Distance::Multihop(50)));
}

#[test]
fn a_peer_given_twice_with_other_values_is_refused_by_both_settings_and_what_differs() {
    let pairs = [("bgp_peers", "192.0.2.1:65001"), ("bgp_peeraddress", "192.0.2.1")];
    let (_, why) = refused(&pairs);
    for words in ["192.0.2.1", "in bgp_peers and in bgp_peeraddress", "AS number (65001 and 65000)"]
    {
        assert!(why.contains(words), "{words}: {why}");
    }
    let again = [("bgp_peers", "[2001:db8::1]:1:secret,[2001:db8:0::1]:1:other:true:1790")];
    let (_, why) = refused(&again);
    assert!(why.contains("2001:db8::1 is given twice in bgp_peers"), "{why}");
    assert!(why.contains("another password, another multihop, another port"), "{why}");
    assert!(!why.contains("secret") && !why.contains("other:"), "{why}");
}

#[test]
fn a_peer_given_twice_alike_is_one_peer_and_a_warning() {
    let both = [
        ("bgp_peers", "192.0.2.1:65001:secret"),
        ("bgp_peeraddress", "192.0.2.1"),
        ("bgp_peeras", "65001"),
        ("bgp_peerpass", "secret"),
    ];
    assert_eq!(settings(&both).peers.len(), 1);
    let said = warnings(&both);
    assert!(said.contains("192.0.2.1 is given in bgp_peers and in bgp_peeraddress"), "{said}");
    assert!(!said.contains("secret"), "{said}");
    let twice = [("bgp_peers", "192.0.2.1:1,192.0.2.2:1,192.0.2.1:1::false")];
    assert_eq!(settings(&twice).peers.len(), 2);
    assert!(warnings(&twice).contains("192.0.2.1 is given twice in bgp_peers"));
    assert_eq!(warnings(&[("bgp_peers", "192.0.2.1:1,192.0.2.2:1")]), "");
}

#[test]
fn multihop_in_the_passwords_field_is_a_password_as_in_kube_vip_and_a_warning() {
    for (text, meant) in [
        ("192.0.2.1:65001:true", "192.0.2.1:65001::true"),
        ("192.0.2.1:65001:false", "192.0.2.1:65001::"),
        ("[2001:db8::1]:65001:false", "[2001:db8::1]:65001::"),
    ] {
        let said = warnings(&[("bgp_peers", text)]);
        assert!(said.contains("bgp_peers, peer 1") && said.contains(meant), "{text}: {said}");
        assert!(said.contains("bgp_multihop"), "{said}");
        assert!(peer(text).password.is_some() && peer(text).distance == Distance::Direct);
    }
    for plain in
        ["192.0.2.1:65001::true", "192.0.2.1:65001:false:true", "192.0.2.1:65001:falsehood"]
    {
        assert_eq!(warnings(&[("bgp_peers", plain)]), "", "{plain}");
    }
}

#[test]
fn a_field_that_is_missing_before_multihop_is_named() {
    let (_, why) = refused(&[("bgp_peers", "192.0.2.1:65001:true:179")]);
    assert!(why.contains("password's field") && why.contains("address:as::true:port"), "{why}");
    let (_, why) = refused(&[("bgp_peers", "192.0.2.1:65001:secret:179")]);
    assert!(why.contains("neither true nor false") && !why.contains("password"), "{why}");
}

#[test]
fn mp_bgp_options_in_another_place_are_refused_by_the_one_where_they_belong() {
    for text in [
        "192.0.2.1:65001/mpbgp_nexthop=auto_sourceif",
        "192.0.2.1:65001::false/mpbgp_nexthop=auto_sourceif",
        "192.0.2.1:65001:secret/mpbgp_nexthop=fixed;mpbgp_ipv6=2001:db8::1",
        "192.0.2.1:65001::false:179/mpbgp_nexthop=auto_sourceif",
        "192.0.2.1:65001::false:mpbgp_nexthop=fixed;mpbgp_ipv6=2001:db8::1",
    ] {
        let (settings, why) = refused(&[("bgp_peers", text)]);
        assert_eq!(settings, ["bgp_peers"], "{text}");
        for words in ["sixth field", ":port:mpbgp_nexthop=", "settings mpbgp_nexthop"] {
            assert!(why.contains(words), "{text}: {why}");
        }
        assert!(!why.contains("secret"), "{why}");
    }
}

#[test]
fn what_is_declared_is_compared_and_shown_without_a_password() {
    let one = declare(&given(&[("bgp_peers", "192.0.2.1:1:hush")])).unwrap();
    let same = declare(&given(&[("bgp_peers", "192.0.2.1:1:hush"), ("bgp_as", "65000")])).unwrap();
    let other = declare(&given(&[("bgp_peers", "192.0.2.1:1:shush")])).unwrap();
    assert_eq!(one, same);
    assert_ne!(one, other);
    assert!(!format!("{one:?}{:?}", one.lines()).contains("hush"), "{one:?}");
    assert!(one.lines().contains(&("BGP AS", "65000".to_owned())));
}

#[test]
fn no_peer_and_as_number_0_are_refused() {
    assert!(refused(&[]).1.contains("no peer is given"));
    assert!(refused(&[("bgp_peers", ",,")]).1.contains("no peer is given"));
    assert_eq!(refused(&[("bgp_peers", "192.0.2.1:1"), ("bgp_as", "0")]).0, ["bgp_as"]);
}

#[test]
fn hold_times_that_the_rfc_excludes_are_refused_and_keepalives_follow() {
    let timers = |hold, keepalive| {
        let pairs = [
            ("bgp_peers", "192.0.2.1:1"),
            ("bgp_hold_time", hold),
            ("bgp_keepalive_interval", keepalive),
        ];
        reading(&pairs).map(|reading| match reading {
            Reading::Ready(settings) => {
                (settings.peers[0].hold.as_secs(), settings.peers[0].keepalive.as_millis())
            }
            Reading::Waiting(_) => panic!("it waits"),
        })
    };
    assert!(timers("1", "1").is_err() && timers("2", "1").is_err());
    assert_eq!(timers("0", "10"), Ok((0, 0)));
    assert_eq!(timers("3", "10"), Ok((3, 1000)));
    assert_eq!(timers("90", "10"), Ok((90, 10_000)));
    assert_eq!(timers("90", "0"), Ok((90, 30_000)));
}

#[test]
fn the_router_id_is_an_ipv4_address_and_wins_over_the_interface() {
    let id = |pairs: &[(&'static str, &str)]| {
        let mut all = vec![("bgp_peers", "192.0.2.1:1")];
        all.extend(pairs);
        settings(&all).router_id
    };
    let fixed = RouterId::Fixed([10, 0, 0, 1].into());
    assert_eq!(id(&[("bgp_routerid", "10.0.0.1"), ("bgp_routerinterface", "eth0")]), fixed);
    let eth0 = LinkName::new("eth0").unwrap();
    assert_eq!(id(&[("bgp_routerinterface", "eth0")]), RouterId::OfLink(eth0));
    for wrong in ["2001:db8::1", "0.0.0.0"] {
        let pairs = [("bgp_peers", "192.0.2.1:1"), ("bgp_routerid", wrong)];
        assert_eq!(refused(&pairs).0, ["bgp_routerid"], "{wrong}");
    }
}

#[test]
fn a_source_address_serves_the_peers_of_its_family() {
    let two = ("bgp_peers", "192.0.2.1:1,[2001:db8::1]:1,unnumbered:eth0");
    let address: IpAddr = "192.0.2.7".parse().unwrap();
    let sources = |pair| -> Vec<Source> {
        settings(&[two, pair]).peers.into_iter().map(|peer| peer.source).collect()
    };
    let by_address = sources(("bgp_sourceip", "192.0.2.7"));
    assert_eq!(by_address, [Source::Address(address), Source::Any, Source::Any]);
    let eth1 = Source::Link(LinkName::new("eth1").unwrap());
    assert_eq!(sources(("bgp_sourceif", "eth1")), [eth1.clone(), eth1, Source::Any]);
    let both = [two, ("bgp_sourceip", "192.0.2.7"), ("bgp_sourceif", "eth1")];
    assert_eq!(refused(&both).0, ["bgp_sourceif"]);
}

/// kube-vip warns and opens a session without them, and without its source.
#[test]
fn multiprotocol_next_hops_that_cannot_be_found_are_refused() {
    for (peer, mode, word) in [
        ("192.0.2.1:1", "fixed", "needs mpbgp_ipv6"),
        ("[2001:db8::1]:1", "fixed", "needs mpbgp_ipv4"),
        ("192.0.2.1:1", "auto_sourceip", "needs bgp_sourceip"),
        ("192.0.2.1:1", "auto_sourceif", "needs bgp_sourceif"),
    ] {
        let (_, words) = refused(&[("bgp_peers", peer), ("mpbgp_nexthop", mode)]);
        assert!(words.contains(word), "{words}");
    }
    let families = |extra: &[(&'static str, &str)]| {
        let mut all = vec![("bgp_peers", "192.0.2.1:1")];
        all.extend(extra);
        settings(&all).peers.remove(0).families
    };
    let ip = families(&[("mpbgp_nexthop", "auto_sourceip"), ("bgp_sourceip", "192.0.2.7")]);
    assert_eq!(ip, Families::Both(NextHop::OfSourceAddress));
    let link = families(&[("mpbgp_nexthop", "auto_sourceif"), ("bgp_sourceif", "eth0")]);
    assert_eq!(link, Families::Both(NextHop::OfSourceLink));
    assert_eq!(families(&[("mpbgp_ipv6", "2001:db8::9")]), Families::Own);
}

#[test]
fn a_peers_own_next_hops_win_over_the_common_ones() {
    let own = "192.0.2.1:1::::mpbgp_ipv6=2001:db8::2,192.0.2.2:1";
    let settings =
        settings(&[("bgp_peers", own), ("mpbgp_nexthop", "fixed"), ("mpbgp_ipv6", "2001:db8::1")]);
    let hops =
        |text: &str| Families::Both(NextHop::Fixed { v4: None, v6: Some(text.parse().unwrap()) });
    let found: Vec<_> = settings.peers.into_iter().map(|peer| peer.families).collect();
    assert_eq!(found, [hops("2001:db8::2"), hops("2001:db8::1")]);
}

#[test]
fn attributes_are_read() {
    let settings = settings(&[
        ("bgp_peers", "192.0.2.1:1"),
        ("bgp_communities", "65000:100, no-export"),
        ("bgp_large_communities", "65000:1:4294967295"),
        ("bgp_local_preference", "200"),
        ("bgp_med", "0"),
        ("bgp_as_path_prepend", "2"),
    ]);
    assert_eq!(settings.attributes.communities, [65000 << 16 | 100, 0xffff_ff01]);
    assert_eq!(settings.attributes.large_communities, [[65000, 1, u32::MAX]]);
    assert_eq!(settings.attributes.local_preference, Some(200));
    assert_eq!((settings.attributes.med, settings.attributes.prepend), (Some(0), 2));
}

#[test]
fn what_no_attribute_and_no_time_is_is_refused() {
    for (name, value) in [
        ("bgp_communities", "65536:1"),
        ("bgp_communities", "65000"),
        ("bgp_large_communities", "1:2"),
        ("bgp_large_communities", "1:2:3:4"),
        ("bgp_local_preference", "high"),
        ("bgp_med", "-1"),
        ("bgp_as_path_prepend", "11"),
        ("bgp_graceful_restart_seconds", "4096"),
        ("bgp_graceful_shutdown", "9s"),
        ("bgp_graceful_shutdown", "soon"),
        ("bgp_listen_port", "65536"),
        ("bgp_ttl_security", "255"),
        ("mpbgp_nexthop", "near"),
        ("mpbgp_ipv4", "2001:db8::1"),
    ] {
        assert_eq!(refused(&[("bgp_peers", "192.0.2.1:1"), (name, value)]).0, [name], "{value}");
    }
}

#[test]
fn restart_stop_port_and_ttl_security_are_read() {
    let settings = settings(&[
        ("bgp_peers", "192.0.2.1:1,192.0.2.2:1::true"),
        ("bgp_graceful_restart_seconds", "0"),
        ("bgp_graceful_shutdown", "500ms"),
        ("bgp_listen_port", "1179"),
        ("bgp_ttl_security", "2"),
        ("bgp_attach_ip_to_interface", "true"),
    ]);
    assert_eq!(settings.graceful_restart, GracefulRestart::Off);
    assert_eq!(settings.graceful_shutdown, Duration::from_millis(500));
    assert_eq!(settings.listen, Listen::Port(1179));
    assert!(settings.peers.iter().all(|peer| peer.distance == Distance::Secured(2)));
    let near = [("bgp_peers", "192.0.2.2:1::true"), ("bgp_ttl_security", "1")];
    assert_eq!(refused(&near).0, ["bgp_ttl_security"]);
}

fn with_files(
    peers: &str,
    files: &dyn Fn(&str) -> Result<File, String>,
) -> Result<Vec<Option<Password>>, String> {
    let given = given(&[("bgp_peers", peers), ("bgp_password_file", "/secret/")]);
    assert_eq!(check(&given), []);
    match read(&given, None, files) {
        Ok(Reading::Ready(settings)) => {
            Ok(settings.peers.into_iter().map(|peer| peer.password).collect())
        }
        Ok(Reading::Waiting(_)) => panic!("it waits"),
        Err(wrong) => Err(wrong[0].why.clone()),
    }
}

#[test]
fn a_password_file_is_for_peers_that_have_none() {
    let file = |path: &str| {
        assert_eq!(path, "/secret");
        Ok(File::Text("from file\n".to_owned()))
    };
    let found = with_files("192.0.2.1:1:own,192.0.2.2:1", &file);
    assert_eq!(found, Ok(vec![password("own"), password("from file")]));
}

#[test]
fn a_folder_has_a_password_for_each_peer_by_its_name() {
    let files = |path: &str| {
        Ok(match path {
            "/secret" => File::Folder,
            "/secret/192.0.2.1" => File::Text("one".to_owned()),
            "/secret/2001-db8--1" => File::Text("two\n".to_owned()),
            "/secret/unnumbered-eth0" => File::Text("three".to_owned()),
            _ => File::Absent,
        })
    };
    let found = with_files("192.0.2.1:1,[2001:db8::1]:1,unnumbered:eth0,192.0.2.9:1", &files);
    assert_eq!(found, Ok(vec![password("one"), password("two"), password("three"), None]));
}

#[test]
fn a_password_file_that_is_missing_empty_or_too_long_is_refused() {
    let peers = "192.0.2.1:1";
    let missing = with_files(peers, &|_| Ok(File::Absent)).unwrap_err();
    assert!(missing.contains("/secret does not exist"), "{missing}");
    let empty = with_files(peers, &|_| Ok(File::Text("\n".to_owned()))).unwrap_err();
    assert!(empty.contains("empty"), "{empty}");
    let forbidden = with_files(peers, &|_| Err("permission denied".to_owned())).unwrap_err();
    assert!(forbidden.contains("permission denied"), "{forbidden}");
    let long = with_files(peers, &|_| Ok(File::Text("x".repeat(81)))).unwrap_err();
    assert!(long.contains("too long") && !long.contains("xxx"), "{long}");
}

const PREFIX: &str = "metal.example";

fn annotations(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(k, v)| (format!("{PREFIX}/{k}"), (*v).to_owned())).collect()
}

fn annotated(pairs: &[(&str, &str)]) -> Result<Reading, Vec<Unacceptable>> {
    let given =
        given(&[("annotation", PREFIX), ("bgp_hold_time", "9"), ("bgp_peers", "10.9.9.9:1")]);
    assert_eq!(check(&given), []);
    read(&given, Some(&annotations(pairs)), &no_files)
}

fn by_node(pairs: &[(&str, &str)]) -> Settings {
    match annotated(pairs) {
        Ok(Reading::Ready(settings)) => *settings,
        other => panic!("{pairs:?}: {other:?}"),
    }
}

const NODE: &[(&str, &str)] = &[
    ("bgp-peers-0-node-asn", "65000"),
    ("bgp-peers-0-src-ip", "10.1.2.3"),
    ("bgp-peers-0-peer-asn", "65530"),
    ("bgp-peers-0-peer-ip", "169.254.255.1"),
    ("bgp-peers-10-peer-ip", "169.254.255.10"),
    ("bgp-peers-2-peer-ip", "169.254.255.2, 169.254.255.3"),
    ("bgp-peers-0-bgp-pass", "czNjcmV0"),
    ("bgp-peers-0-peer-multi-hop", "true"),
];

#[test]
fn a_nodes_annotations_replace_the_peers_in_the_order_of_their_numbers() {
    let settings = by_node(NODE);
    let names: Vec<_> = settings.peers.iter().map(Peer::name).collect();
    assert_eq!(names, ["169.254.255.1", "169.254.255.2", "169.254.255.3", "169.254.255.10"]);
    let source: Ipv4Addr = "10.1.2.3".parse().unwrap();
    assert_eq!((settings.local_as, settings.router_id), (65000, RouterId::Fixed(source)));
    for peer in &settings.peers {
        assert_eq!(peer.remote_as, RemoteAs::Number(65530));
        assert_eq!(peer.password, password("s3cret"));
        assert_eq!(peer.source, Source::Address(source.into()));
        assert_eq!((peer.distance, peer.hold.as_secs()), (Distance::Multihop(50), 9));
    }
}

#[test]
fn the_nodes_own_number_and_address_are_those_of_the_first_peer_and_waited_for() {
    let found = annotated(&[
        ("bgp-peers-1-node-asn", "65000"),
        ("bgp-peers-1-src-ip", "10.1.2.3"),
        ("bgp-peers-0-peer-asn", "65530"),
        ("bgp-peers-1-peer-ip", "169.254.255.1"),
    ]);
    let names = ["node-asn", "src-ip"].map(|name| format!("{PREFIX}/{name}")).to_vec();
    assert_eq!(found, Ok(Reading::Waiting(names)));
}

#[test]
fn the_older_names_of_annotations_work_too() {
    let settings = by_node(&[
        ("node-asn", "65000"),
        ("src-ip", "10.1.2.3"),
        ("peer-asn", "65530"),
        ("peer-ip", "169.254.255.1,169.254.255.2"),
        ("peer-multi-hop", "false"),
    ]);
    assert_eq!(settings.peers.len(), 2);
    assert!(settings.peers.iter().all(|peer| peer.distance == Distance::Direct));
}

/// kube-vip takes those of the first peer for all.
#[test]
fn a_peers_own_annotations_win_over_those_of_the_first() {
    let mut pairs = NODE.to_vec();
    pairs.extend([("bgp-peers-2-peer-asn", "65531"), ("bgp-peers-2-bgp-pass", "b3RoZXI=")]);
    let settings = by_node(&pairs);
    assert_eq!(settings.peers[1].remote_as, RemoteAs::Number(65531));
    assert_eq!(settings.peers[1].password, password("other"));
    assert_eq!(settings.peers[3].remote_as, RemoteAs::Number(65530));
}

#[test]
fn annotations_that_are_missing_are_waited_for_by_name() {
    let found = annotated(&NODE[1..3]);
    let names = ["node-asn", "peer-ip"].map(|name| format!("{PREFIX}/{name}")).to_vec();
    assert_eq!(found, Ok(Reading::Waiting(names)));
    let nothing = read(&given(&[("annotation", PREFIX)]), None, &no_files);
    assert!(matches!(nothing, Ok(Reading::Waiting(missing)) if missing.len() == 4));
}

#[test]
fn what_is_wrong_beside_the_annotations_is_said_before_they_are_there() {
    let given = given(&[("annotation", PREFIX), ("bgp_hold_time", "2"), ("bgp_sourceip", "x")]);
    let wrong: Vec<_> = check(&given).into_iter().map(|one| one.setting).collect();
    assert_eq!(wrong, ["bgp_sourceip", "bgp_hold_time"]);
}

#[test]
fn annotations_that_cannot_be_taken_are_refused_by_name() {
    for (name, value) in [
        ("bgp-peers-0-node-asn", "0"),
        ("bgp-peers-0-node-asn", "x"),
        ("bgp-peers-0-src-ip", "eth0"),
        ("bgp-peers-0-peer-asn", "0"),
        ("bgp-peers-2-peer-ip", "router"),
        ("bgp-peers-0-bgp-pass", "s3cret!"),
        ("bgp-peers-0-peer-multi-hop", "True"),
    ] {
        let mut pairs = NODE.to_vec();
        pairs.push((name, value));
        let wrong = annotated(&pairs).expect_err(value);
        assert!(wrong.iter().all(|one| one.setting == "annotation"));
        assert!(wrong.iter().any(|one| one.why.contains("accepted: ")));
        assert!(wrong.iter().all(|one| !one.why.contains("s3cret")));
        if name != "bgp-peers-0-node-asn" || value != "0" {
            assert!(wrong.iter().any(|one| one.why.contains(name)), "{wrong:?}");
        }
    }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[0-9a-f:.,;=\\[\\]%/ ]{0,30}",
        2 => "(192\\.0\\.2\\.[1-9]|\\[fe80::1%e\\]|unnumbered:e):[0-9]{0,5}(:[a-z0-9=;.:]{0,12}){0,7}",
        1 => "\\PC{0,20}",
    ]
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(
        which in prop::collection::vec((0..SETTINGS.len(), text()), 0..8),
        node in prop::collection::vec(("(bgp-peers-[0-9]{1,5}-)?(node-asn|src-ip|peer-asn|peer-ip|bgp-pass|peer-multi-hop)", text()), 0..8),
    ) {
        let given = Given(which.into_iter().map(|(n, text)| (SETTINGS[n], text)).collect());
        let node = node.into_iter().map(|(k, v)| (format!("{PREFIX}/{k}"), v)).collect();
        let files = |path: &str| Ok(if path.len() > 3 { File::Text(path.to_owned()) } else { File::Folder });
        let _ = read(&given, Some(&node), &files);
        let _ = check(&given);
    }

    #[test]
    fn no_message_shows_a_password(
        before in text(),
        rest in text(),
        secret in "PA55[g-z]{6,80}",
        place in 0..4_usize,
    ) {
        let peer = [
            format!("192.0.2.1:65001:{secret}:{rest}"),
            format!("{before}:{secret}:{rest}"),
            format!("[2001:db8::1]:x:{secret}"),
            format!("{before},{secret}:{rest}"),
        ];
        let mut pairs: BTreeMap<&'static str, String> = BTreeMap::new();
        pairs.insert("bgp_peers", peer[place].clone());
        pairs.insert("bgp_peerpass", secret.clone());
        pairs.insert("bgp_peeraddress", before.clone());
        let node = annotations(&[("node-asn", "1"), ("src-ip", "x"), ("peer-asn", &rest),
            ("peer-ip", "192.0.2.1"), ("bgp-pass", &secret)]);
        for annotation in ["", PREFIX] {
            pairs.insert("annotation", annotation.to_owned());
            let outcome = read(&Given(pairs.clone()), Some(&node), &|_| Ok(File::Folder));
            let words = format!("{outcome:?}");
            prop_assert!(!words.contains("PA55"), "{words}");
        }
    }
}
