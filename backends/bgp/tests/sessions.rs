//! The speaker on real sockets, against routers that say exactly what a test wants.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod scene;

use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Stdio};
use std::time::Duration;

use scene::{
    KEEPALIVE, NOTIFICATION, OPEN, REFRESH, Router, Scene, UPDATE, install, known, logged, message,
    open, peer, router, router_at, settings, take, vip,
};
use viplet_backend_api::{
    Backend, Class, Command, Given, LinkName, NodeSettings, Notice, Owner, Peers, Reach, Session,
    Tag, Vip,
};
use viplet_bgp::settings::{Bfd, Distance, Families, Listen, NextHop, Password, Source};
use viplet_namespace::{Station, cable, in_namespace, ip};

/// A scene in a namespace of its own, with `lo` up.
macro_rules! scenes {
    ($($name:ident $body:block)*) => {$(
        #[test]
        fn $name() {
            in_namespace(stringify!($name), || {
                ip("link set lo up");
                $body
            });
        }
    )*};
}

/// IPv4 host routes in an UPDATE: the last bytes of it.
fn ends_with(body: &[u8], address: [u8; 4]) -> bool {
    body.ends_with(&[&[32], address.as_slice()].concat())
}

fn has(body: &[u8], part: &[u8]) -> bool {
    body.windows(part.len()).any(|window| window == part)
}

const END_OF_RIB_V4: [u8; 4] = [0; 4];
/// The community of RFC 8326.
const GRACEFUL_SHUTDOWN: [u8; 7] = [0xc0, 8, 4, 0xff, 0xff, 0, 0];

scenes! {
    an_address_is_announced_in_the_turn_in_which_it_is_taken {
        let (listener, at) = router();
        let mut scene = Scene::new(settings(vec![peer(at)]));
        let mut router = scene.establish(&listener);
        scene.until("established", |scene| scene.status().session == Session::Up);
        scene.apply(&take(&[vip("10.9.0.1"), vip("10.9.0.2")]));
        // The speaker gets no other turn: what is read now was written then.
        let (kind, body) = namespace_hear(&mut router);
        assert_eq!(kind, UPDATE);
        assert!(ends_with(&body, [10, 9, 0, 2]) && has(&body, &[32, 10, 9, 0, 1]), "{body:?}");
        // AS_PATH 65000 as a sequence; next hop: the address that we speak from.
        assert!(has(&body, &[0x40, 2, 6, 2, 1, 0, 0, 0xfd, 0xe8, 0x40, 3, 4, 127, 0, 0, 1]));
        scene.until("both are told", |scene| {
            let reach = |n: &Notice| matches!(n, Notice::Reach(r) if (r.told, r.of) == (1, 1));
            scene.notices.iter().filter(|n| reach(n)).count() == 2
        });
        assert_eq!((scene.status().addresses, scene.bgp_status().updates), (2, 1));
    }

    that_nobody_has_been_told_is_said_before_an_address_is_said_to_be_here {
        let (_listener, at) = router();
        let mut scene = Scene::new(settings(vec![peer(at)]));
        scene.turn();
        for vip in [known("10.9.0.1"), vip("10.9.0.2")] {
            scene.notices.clear();
            scene.apply(&take(std::slice::from_ref(&vip)));
            let here = |n: &Notice| matches!(n, Notice::Address(a) if a.address == vip.address);
            scene.until("it is here", |scene| scene.notices.iter().any(here));
            let first = scene.notices.iter().find(|n| here(n) || matches!(n, Notice::Reach(_)));
            let nobody = Notice::Reach(Reach { address: vip.address, told: 0, of: 1 });
            assert_eq!(first, Some(&nobody), "{:?}", scene.notices);
        }
    }

    an_address_is_withdrawn_from_peers_before_it_leaves_its_link {
        let (listener, at) = router();
        let mut scene = Scene::new(settings(vec![peer(at)]));
        let mut router = scene.establish(&listener);
        scene.apply(&take(&[vip("10.9.0.1")]));
        scene.hear_kind(&mut router, UPDATE);
        scene.apply(&[vip("10.9.0.1").withdrawal()]);
        let body = scene.hear_kind(&mut router, UPDATE);
        assert_eq!(body, [0, 5, 32, 10, 9, 0, 1, 0, 0]);
        assert!(!ip("addr show lo").contains("10.9.0.1"));
    }

    a_copy_on_another_link_that_is_withdrawn_costs_no_route {
        let (listener, at) = router();
        cable();
        let other = |address: &str| Vip { link: LinkName::new("left").unwrap(), ..vip(address) };
        let mut scene = Scene::new(settings(vec![peer(at)]));
        let mut router = scene.establish(&listener);
        scene.apply(&[install(&other("10.9.0.1"), 300), install(&other("10.9.0.2"), 300)]);
        scene.apply(&take(&[vip("10.9.0.1"), known("10.9.0.2")]));
        scene.hear_kind(&mut router, UPDATE);
        scene.apply(&[other("10.9.0.1").withdrawal(), other("10.9.0.2").withdrawal()]);
        assert!(!ip("addr show left").contains("10.9.0."));
        // What is heard next is the route that was withdrawn last: neither of the others was.
        scene.apply(&[vip("10.9.0.1").withdrawal()]);
        assert_eq!(scene.hear_kind(&mut router, UPDATE), [0, 5, 32, 10, 9, 0, 1, 0, 0]);
        scene.apply(&[known("10.9.0.2").withdrawal()]);
        assert_eq!(scene.hear_kind(&mut router, UPDATE), [0, 5, 32, 10, 9, 0, 2, 0, 0]);
    }

    what_a_person_takes_off_its_link_is_withdrawn_at_once {
        let (listener, at) = router();
        let mut scene = Scene::new(settings(vec![peer(at)]));
        let mut router = scene.establish(&listener);
        scene.apply(&take(&[vip("10.9.0.1")]));
        scene.hear_kind(&mut router, UPDATE);
        ip("addr del 10.9.0.1/32 dev lo");
        assert_eq!(scene.hear_kind(&mut router, UPDATE), [0, 5, 32, 10, 9, 0, 1, 0, 0]);
        let refused = scene.bgp.apply(&Command::Announce { vip: vip("10.9.0.1") }).unwrap_err();
        assert_eq!(refused.class, Class::Lost);
    }

    an_address_that_is_only_made_known_is_reported_and_dies_with_its_lifetime {
        let (listener, at) = router();
        let mut scene = Scene::new(settings(vec![peer(at)]));
        let mut router = scene.establish(&listener);
        let vip = known("10.9.0.1");
        scene.apply(&[install(&vip, 1), Command::Announce { vip: vip.clone() }]);
        assert!(ends_with(&scene.hear_kind(&mut router, UPDATE), [10, 9, 0, 1]));
        assert!(!ip("addr show lo").contains("10.9.0.1"));
        let seen = scene.bgp.observe().unwrap().addresses;
        let seen = seen.iter().find(|seen| seen.address == vip.address).unwrap();
        assert_eq!((&seen.link, seen.owner), (&vip.link, Owner::Viplet));
        assert!(seen.valid_for.unwrap() <= Duration::from_secs(1));
        assert_eq!(scene.hear_kind(&mut router, UPDATE), [0, 5, 32, 10, 9, 0, 1, 0, 0]);
        scene.until("the notice", |scene| scene.notices.iter().any(
            |n| matches!(n, Notice::AddressGone { address, .. } if *address == vip.address),
        ));
    }

    a_node_s_own_address_is_never_made_known {
        ip("addr add 10.9.0.1/32 dev lo");
        let mut scene = Scene::new(settings(vec![]));
        let refused = scene.bgp.apply(&install(&known("10.9.0.1"), 5)).unwrap_err();
        assert_eq!(refused.class, Class::Misconfigured);
    }

    a_thousand_addresses_are_told_in_fewer_than_thirty_messages {
        let (listener, at) = router();
        let mut scene = Scene::new(settings(vec![peer(at)]));
        let vips: Vec<Vip> =
            (0..1000).map(|n| known(&format!("10.9.{}.{}", n / 250, n % 250))).collect();
        scene.apply(&take(&vips));
        let mut router = scene.establish(&listener);
        scene.until("all are told", |scene| {
            while router.try_hear().is_some() {}
            scene.status().addresses == 1000
        });
        assert!(scene.bgp_status().updates < 30, "{}", scene.bgp_status().updates);
    }

    the_end_of_rib_waits_until_everything_is_announced {
        let (listener, at) = router();
        let mut scene = Scene::new(settings(vec![peer(at)]));
        let mut router = scene.accept(&listener);
        let said = scene.hear_kind(&mut router, OPEN);
        // Graceful restart: 120 s, restarting, forwarding state of IPv4 preserved.
        assert!(has(&said, &[64, 6, 0x80, 120, 0, 1, 1, 0x80]), "{said:?}");
        router.say(OPEN, &open(65001, 9, 90));
        router.say(KEEPALIVE, &[]);
        scene.apply(&take(&[vip("10.9.0.1")]));
        assert!(ends_with(&scene.hear_kind(&mut router, UPDATE), [10, 9, 0, 1]));
        scene.apply(&take(&[vip("10.9.0.2")]));
        assert!(ends_with(&scene.hear_kind(&mut router, UPDATE), [10, 9, 0, 2]));
        scene.bgp.settled();
        assert_eq!(scene.hear_kind(&mut router, UPDATE), END_OF_RIB_V4);
    }

    a_route_refresh_is_answered_with_all_routes {
        let (listener, at) = router();
        let mut scene = Scene::new(settings(vec![peer(at)]));
        let mut router = scene.establish(&listener);
        scene.apply(&take(&[vip("10.9.0.1")]));
        let first = scene.hear_kind(&mut router, UPDATE);
        router.say(REFRESH, &[0, 1, 0, 1]);
        assert_eq!(scene.hear_kind(&mut router, UPDATE), first);
    }

    a_planned_stop_asks_for_other_ways_and_then_says_goodbye {
        let (listener, at) = router();
        let mut scene = Scene::new(settings(vec![peer(at)]));
        assert_eq!(scene.bgp.prepare_to_stop(), Duration::ZERO, "nobody was told");
        let mut scene = Scene::new(settings(vec![peer(at)]));
        drop(scene.accept(&listener));
        let mut router = scene.establish(&listener);
        scene.apply(&take(&[vip("10.9.0.1")]));
        assert!(!has(&scene.hear_kind(&mut router, UPDATE), &GRACEFUL_SHUTDOWN));
        assert_eq!(scene.bgp.prepare_to_stop(), Duration::from_millis(700));
        let body = scene.hear_kind(&mut router, UPDATE);
        assert!(has(&body, &GRACEFUL_SHUTDOWN) && ends_with(&body, [10, 9, 0, 1]), "{body:?}");
        drop(scene);
        let (kind, body) = namespace_hear(&mut router);
        assert_eq!((kind, &body[..3]), (NOTIFICATION, [6, 2, 12].as_slice()));
        assert_eq!(&body[3..], b"viplet stops");
    }

    why_there_is_no_session_is_logged_once_however_often_it_is_tried_and_again_when_it_changes {
        let (listener, at) = router();
        logged();
        let said = |words: &str| logged().iter().filter(|line| line.contains(words)).count();
        let mut scene = Scene::new(settings(vec![peer(at)]));
        let refuse = |scene: &mut Scene, notification: &[u8]| {
            let mut router = scene.accept(&listener);
            scene.hear_kind(&mut router, OPEN);
            router.say(NOTIFICATION, notification);
            scene.until("it is closed", |_| router.is_closed());
        };
        refuse(&mut scene, &[2, 2]);
        let why = scene.status().last_error.unwrap();
        assert!(why.contains("Bad Peer AS"), "{why}");
        let line = format!("WARN peer {}: no session: {why}", at.ip());
        assert_eq!(said(&line), 1, "what status says is logged: {:?}", logged());
        refuse(&mut scene, &[2, 2]);
        assert_eq!(said("no session"), 1, "it is not said with every try: {:?}", logged());
        refuse(&mut scene, &[6, 5]);
        assert_eq!(said("no session"), 2, "another reason is news: {:?}", logged());
        let router = scene.establish(&listener);
        scene.until("it is up", |scene| scene.status().session == Session::Up);
        assert_eq!(said("session established"), 1);
        drop(router);
        scene.until("it is down", |scene| scene.status().session == Session::Down);
        assert_eq!(said("session lost"), 1, "{:?}", logged());
        refuse(&mut scene, &[2, 2]);
        assert_eq!(said(&line), 2, "after a session it is news again: {:?}", logged());
    }

    when_peers_listen_an_address_is_not_said_to_be_here_before_they_were_told {
        let (listener, at) = router();
        let mut scene = Scene::new(settings(vec![peer(at)]));
        let mut router = scene.establish(&listener);
        scene.until("it is up", |scene| scene.status().session == Session::Up);
        scene.notices.clear();
        for vip in [known("10.9.0.1"), vip("10.9.0.2")] {
            scene.apply(&take(std::slice::from_ref(&vip)));
            let here = |n: &Notice| matches!(n, Notice::Address(a) if a.address == vip.address);
            scene.until("it is here", |scene| scene.notices.iter().any(here));
            let about = |n: &&Notice| matches!(n, Notice::Reach(r) if r.address == vip.address);
            let told: Vec<_> = scene.notices.iter().filter(about).collect();
            let all = Notice::Reach(Reach { address: vip.address, told: 1, of: 1 });
            assert_eq!(told, [&all], "{:?}", scene.notices);
            let first = scene.notices.iter().find(|n| here(n) || about(n));
            assert_eq!(first, Some(&all), "{:?}", scene.notices);
            scene.hear_kind(&mut router, UPDATE);
        }
    }

    a_wrong_as_is_refused_with_both_numbers {
        let (listener, at) = router();
        let mut scene = Scene::new(settings(vec![peer(at)]));
        let mut router = scene.accept(&listener);
        scene.hear_kind(&mut router, OPEN);
        router.say(OPEN, &open(65009, 9, 90));
        assert_eq!(scene.refusal(&mut router), (2, 2));
        scene.until_error("65009");
        scene.until_error("65001");
    }

    bytes_that_are_no_bgp_end_the_session_with_the_right_notification {
        let (listener, at) = router();
        let mut scene = Scene::new(settings(vec![peer(at)]));
        let marker = { let mut bytes = message(KEEPALIVE, &[]); bytes[3] = 0; bytes };
        let length = { let mut bytes = message(KEEPALIVE, &[]); bytes[17] = 18; bytes };
        for (bytes, answer) in [(marker, (1, 1)), (length, (1, 2)), (message(77, &[]), (1, 3))] {
            let mut router = scene.establish(&listener);
            router.say_bytes(&bytes);
            assert_eq!(scene.refusal(&mut router), answer);
            scene.until("it is closed", |_| router.is_closed());
        }
        assert_eq!((scene.status().established, scene.status().lost), (3, 3));
    }

    the_body_of_an_update_is_never_looked_into {
        let (listener, at) = router();
        let mut scene = Scene::new(settings(vec![peer(at)]));
        let mut router = scene.establish(&listener);
        let received = scene.bgp_status().received;
        router.say(UPDATE, &[0xff; 4000]);
        scene.until("it is counted", |scene| scene.bgp_status().received > received);
        assert_eq!(scene.status().session, Session::Up);
    }

    a_peer_that_falls_silent_is_given_up_after_the_hold_time {
        let (listener, at) = router();
        let mut scene = Scene::new(settings(vec![peer(at)]));
        let mut router = scene.accept(&listener);
        scene.hear_kind(&mut router, OPEN);
        router.say(OPEN, &open(65001, 9, 3));
        router.say(KEEPALIVE, &[]);
        assert_eq!(scene.refusal(&mut router), (4, 0));
        scene.until_error("hold time");
        // And it is tried again.
        scene.accept(&listener);
    }

    of_two_connections_one_stays {
        let (listener, at) = router_at("127.0.0.2:0");
        let port = free_port();
        let mut settings = settings(vec![peer(at)]);
        settings.listen = Listen::Port(port);
        let mut scene = Scene::new(settings);
        let mut ours = scene.accept(&listener);
        let mut theirs = dial(&mut scene, "127.0.0.2", port);
        scene.hear_kind(&mut ours, OPEN);
        scene.hear_kind(&mut theirs, OPEN);
        // Theirs is the greater identifier.
        ours.say(OPEN, &open(65001, 9, 90));
        scene.hear_kind(&mut ours, KEEPALIVE);
        theirs.say(OPEN, &open(65001, 9, 90));
        assert_eq!(scene.refusal(&mut ours), (6, 7));
        theirs.say(KEEPALIVE, &[]);
        scene.hear_kind(&mut theirs, KEEPALIVE);
        scene.until("established", |scene| scene.status().session == Session::Up);
        let mut third = dial(&mut scene, "127.0.0.2", port);
        assert_eq!(scene.refusal(&mut third), (6, 7));
        assert_eq!(scene.status().established, 1);
    }

    a_connection_of_a_stranger_is_closed {
        let port = free_port();
        let mut settings = settings(vec![peer("127.0.0.9:9".parse().unwrap())]);
        settings.listen = Listen::Port(port);
        let mut scene = Scene::new(settings);
        let mut stranger = dial(&mut scene, "127.0.0.7", port);
        scene.until("it is closed", |_| stranger.is_closed());
    }

    a_peer_that_does_not_read_keeps_nobody_waiting {
        let (deaf_listener, deaf) = router_at("127.0.0.2:0");
        socket2::SockRef::from(&deaf_listener).set_recv_buffer_size(4096).unwrap();
        let (listener, at) = router();
        let mut scene = Scene::new(settings(vec![peer(deaf), peer(at)]));
        let _deaf = scene.establish(&deaf_listener);
        let mut router = scene.establish(&listener);
        let vips: Vec<Vip> =
            (0..1000).map(|n| known(&format!("10.9.{}.{}", n / 250, n % 250))).collect();
        let away: Vec<_> = vips.iter().map(Vip::withdrawal).collect();
        // More than the buffers of a connection take.
        for _ in 0..400 {
            scene.apply(&take(&vips));
            scene.apply(&away);
            while router.try_hear().is_some() {}
        }
        scene.apply(&take(&vips));
        scene.until("the other one heard all", |scene| {
            while router.try_hear().is_some() {}
            scene.bgp.statuses()[1].addresses == 1000
        });
        let peers = scene.bgp.statuses();
        let updates = |at: usize| peers[at].bgp.as_ref().unwrap().updates;
        assert!(updates(0) < updates(1), "the deaf one never fell behind");
    }

    other_settings_leave_the_peers_that_stay_alone {
        let (stays_listener, stays) = router();
        let (goes_listener, goes) = router_at("127.0.0.2:0");
        let (comes_listener, comes) = router_at("127.0.0.3:0");
        let mut scene = Scene::new(settings(vec![peer(stays), peer(goes)]));
        let mut stays_router = scene.establish(&stays_listener);
        let mut goes_router = scene.establish(&goes_listener);
        scene.bgp.reconfigure(settings(vec![peer(comes), peer(stays)]));
        assert_eq!(scene.refusal(&mut goes_router), (6, 3));
        scene.establish(&comes_listener);
        scene.apply(&take(&[vip("10.9.0.1")]));
        assert!(ends_with(&scene.hear_kind(&mut stays_router, UPDATE), [10, 9, 0, 1]));
        let peers = scene.bgp.statuses();
        let names: Vec<_> = peers.iter().map(|peer| peer.name.as_str()).collect();
        assert_eq!(names, ["127.0.0.3", "127.0.0.1"]);
        assert_eq!((peers[1].established, peers[1].lost), (1, 0));
    }

    other_attributes_are_told_over_the_same_session {
        let (listener, at) = router();
        let mut scene = Scene::new(settings(vec![peer(at)]));
        let mut router = scene.establish(&listener);
        scene.apply(&take(&[vip("10.9.0.1")]));
        scene.hear_kind(&mut router, UPDATE);
        let mut other = settings(vec![peer(at)]);
        other.attributes.med = Some(7);
        scene.bgp.reconfigure(other);
        assert!(has(&scene.hear_kind(&mut router, UPDATE), &[0x80, 4, 4, 0, 0, 0, 7]));
        assert_eq!(scene.status().established, 1);
    }

    a_peer_that_is_not_there_is_named_and_tried_again {
        let (listener, at) = router();
        drop(listener);
        let mut scene = Scene::new(settings(vec![peer(at)]));
        scene.until_error("connection refused");
        let (listener, _) = router_at(&at.to_string());
        scene.establish(&listener);
    }

    // WEAKNESS: kube-vip starts no speaker at all when one peer cannot be had.
    a_peer_with_nobody_at_the_other_end_does_not_keep_the_others {
        let (listener, at) = router();
        let nobody = "unnumbered:lo";
        let mut lost = peer(at);
        lost.address = viplet_bgp::settings::PeerAddress::Unnumbered(vip("::1").link);
        let mut gone = peer("127.0.0.2:9".parse().unwrap());
        gone.source = Source::Link(viplet_backend_api::LinkName::new("gone0").unwrap());
        let mut scene = Scene::new(settings(vec![lost, gone, peer(at)]));
        scene.establish(&listener);
        scene.until("the reasons", |scene| {
            let peers = scene.bgp.statuses();
            let why = |at: usize| peers[at].last_error.clone().unwrap_or_default();
            peers[0].name == nobody && why(0).contains("no router") && why(1).contains("gone0")
        });
    }

    // WEAKNESS: MP-BGP kills kube-vip in a cluster that has IPv4 only.
    a_family_without_a_next_hop_costs_that_family_alone {
        let (listener, at) = router();
        let mut both = peer(at);
        both.families = Families::Both(NextHop::OfSourceLink);
        let mut scene = Scene::new(settings(vec![both]));
        let mut router = scene.establish(&listener);
        scene.apply(&take(&[vip("fd09::1"), vip("10.9.0.1")]));
        assert!(ends_with(&scene.hear_kind(&mut router, UPDATE), [10, 9, 0, 1]));
        let error = scene.status().last_error.unwrap();
        assert!(error.contains("IPv6") && error.contains("mpbgp_ipv6"), "{error}");
        assert_eq!(scene.status().addresses, 1);
    }

    // WEAKNESS: kube-vip believes that an address is announced after one failure to do so.
    an_announcement_repeated_is_made_up_for_and_said_only_once {
        let (listener, at) = router();
        let mut scene = Scene::new(settings(vec![peer(at)]));
        assert!(scene.bgp.apply(&Command::Announce { vip: vip("10.9.0.1") }).is_err());
        let mut router = scene.establish(&listener);
        for _ in 0..3 {
            scene.apply(&take(&[vip("10.9.0.1")]));
        }
        assert!(ends_with(&scene.hear_kind(&mut router, UPDATE), [10, 9, 0, 1]));
        scene.apply(&take(&[vip("10.9.0.2")]));
        let body = scene.hear_kind(&mut router, UPDATE);
        assert!(ends_with(&body, [10, 9, 0, 2]) && !has(&body, &[32, 10, 9, 0, 1]));
    }

    two_speakers_with_one_password_agree_and_with_two_do_not {
        for (password, agree) in [("secret", true), ("secrets", false)] {
            let port = free_port();
            let (mut one, mut other) = two_speakers(port);
            one.peers[0].password = Some(Password("secret".to_owned()));
            other.peers[0].password = Some(Password(password.to_owned()));
            let mut one = Scene::new(one);
            let mut other = Scene::tagged(other, Tag::of_instance("other"));
            one.until("the attempt", |one| {
                other.turn();
                match agree {
                    true => one.status().session == Session::Up,
                    false => one.status().last_error.is_some(),
                }
            });
            assert_eq!(other.status().session == Session::Up, agree);
        }
    }

    bfd_ends_a_session_long_before_its_hold_time_and_lets_it_come_back {
        cable();
        let station = Station::with("right");
        ip("addr add 10.0.0.1/24 dev left");
        station.ip("addr add 10.0.0.2/24 dev right");
        let mut other = Speaker::start(&station);
        let mut one = peer(SocketAddr::new([10, 0, 0, 2].into(), 179));
        let every = Duration::from_millis(50);
        one.bfd = Some(Bfd { receive: every, transmit: every, multiplier: 3 });
        let mut one = Scene::new(settings(vec![one]));
        let up = |one: &mut Scene| {
            one.status().session == Session::Up && one.bgp_status().bfd.as_deref() == Some("Up")
        };
        one.until("both are up", up);
        other.signal("STOP");
        one.until_error("BFD");
        assert_eq!((one.status().session, &*one.bgp_status().state), (Session::Down, "Idle"));
        other.signal("CONT");
        one.until("both are up again", up);
        // One that stops BFD on purpose says nothing about the path.
        other.signal("TERM");
        one.until_error("Administrative Shutdown");
        assert!(other.0.wait().unwrap().success());
        one.until("it is tried again", |one| {
            one.status().last_error.is_some_and(|error| error.contains("refused"))
        });
    }

    // WEAKNESS: kube-vip blocks its start for the annotations, and ignores later ones.
    peers_in_annotations_are_waited_for_and_changed_later {
        let (listener, at) = router();
        let (_, other) = router_at("127.0.0.2:0");
        let given = Given([("bgp_as", "65000".to_owned()), ("annotation", "net".to_owned())].into());
        let declared = viplet_bgp::settings::declare(&given).unwrap();
        let bgp = viplet_bgp::Bgp::from_declared(Tag::DEFAULT, declared).unwrap();
        let mut scene = Scene { bgp, notices: Vec::new() };
        assert_eq!(scene.bgp.node_settings().unwrap().prefix(), "net");
        let why = scene.status().last_error.unwrap();
        assert!(why.contains("peer-ip"), "{why}");
        let annotations = |peer: SocketAddr| {
            let port = peer.port();
            let port = port.to_string();
            [("node-asn", "65000"), ("src-ip", "127.0.0.1"), ("peer-asn", "65001")]
                .map(|(key, value)| (format!("net/{key}"), value.to_owned()))
                .into_iter()
                .chain([("net/peer-ip".to_owned(), peer.ip().to_string())])
                .chain([("net/peer-port".to_owned(), port)])
                .collect()
        };
        scene.bgp.annotated(&annotations(at));
        assert_eq!(scene.status().name, "127.0.0.1");
        drop(listener);
        scene.bgp.annotated(&annotations(other));
        assert_eq!((scene.bgp.statuses().len(), scene.status().name.as_str()), (1, "127.0.0.2"));
    }

    two_speakers_with_gtsm_agree_and_one_that_sends_a_low_ttl_is_not_heard {
        for (distance, agree) in [(Distance::Secured(1), true), (Distance::Multihop(64), false)] {
            let port = free_port();
            let (mut one, mut other) = two_speakers(port);
            one.peers[0].distance = Distance::Secured(1);
            other.peers[0].distance = distance;
            other.peers[0].hold = Duration::from_secs(3);
            let mut one = Scene::new(one);
            let mut other = Scene::tagged(other, Tag::of_instance("other"));
            one.until("the attempt", |one| {
                other.turn();
                match agree {
                    true => one.status().session == Session::Up,
// It answered, was not heard, and gives up.
                    false => other.status().last_error.is_some_and(|e| e.contains("for 3 s")),
                }
            });
        }
    }
}

/// The example, which takes connections of 10.0.0.1 at 10.0.0.2 in another namespace.
struct Speaker(Child);

impl Speaker {
    fn start(station: &Station) -> Self {
        let here = std::env::current_exe().unwrap();
        let program = here.ancestors().nth(2).unwrap().join("examples/speaker");
        let arguments = "as=65001 id=10.0.0.6 listen=179 peer=10.0.0.1,65000,bfd=50 right";
        let mut command = station.command(program);
        command.args(arguments.split(' ')).stdin(Stdio::null()).stdout(Stdio::null());
        Self(command.spawn().unwrap())
    }

    fn signal(&mut self, name: &str) {
        let (signal, process) = (format!("-{name}"), self.0.id().to_string());
        assert!(
            std::process::Command::new("kill").args([signal, process]).status().unwrap().success()
        );
    }
}

impl Drop for Speaker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// One that connects from 127.0.0.1, and one that takes connections at 127.0.0.2.
fn two_speakers(port: u16) -> (viplet_bgp::settings::Settings, viplet_bgp::settings::Settings) {
    let mut one = peer(SocketAddr::new([127, 0, 0, 2].into(), port));
    one.source = Source::Address([127, 0, 0, 1].into());
    let mut other = peer(SocketAddr::new([127, 0, 0, 1].into(), 9));
    other.remote_as = viplet_bgp::settings::RemoteAs::Number(65000);
    let mut other = settings(vec![other]);
    other.local_as = 65001;
    other.router_id = viplet_bgp::settings::RouterId::Fixed([10, 0, 0, 6].into());
    other.listen = Listen::Port(port);
    (settings(vec![one]), other)
}

/// What the router hears while the speaker does nothing.
fn namespace_hear(router: &mut Router) -> (u8, Vec<u8>) {
    let mut heard = None;
    viplet_namespace::eventually("a message", || {
        heard = router.try_hear().filter(|(kind, _)| *kind != KEEPALIVE);
        heard.is_some()
    });
    heard.unwrap()
}

/// A port of this namespace, where nobody else is.
fn free_port() -> u16 {
    router().1.port()
}

/// Connects from an address to the speaker.
fn dial(scene: &mut Scene, from: &str, port: u16) -> Router {
    let to: SocketAddr = ([127, 0, 0, 1], port).into();
    let from: SocketAddr = format!("{from}:0").parse().unwrap();
    let mut made = None;
    scene.until("it can be reached", |_| {
        let socket =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&from.into()).unwrap();
        made = socket.connect(&to.into()).ok().map(|()| TcpStream::from(socket));
        made.is_some()
    });
    Router::new(made.unwrap())
}
