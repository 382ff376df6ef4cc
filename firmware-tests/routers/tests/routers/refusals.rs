//! What keeps a session from coming up or ends it, and what the speaker says of it.

use std::sync::Arc;

use libtest_mimic::Trial;
use viplet_lab::wait_until;
use viplet_routers::programs::{Kind, Programs};
use viplet_routers::{Frr, Router};

use crate::bed::{explained, trial};
use crate::speaker::{Setup, Speaker};
use crate::stage::{self, PATIENCE, Pair, ROUTE, await_paths, await_route, await_session};

const FRR: &[Kind] = &[Kind::Frr];

pub(crate) fn trials(programs: &Arc<Programs>) -> Vec<Trial> {
    vec![
        trial(
            programs,
            ("a_session_with_the_right_password_is_up", FRR),
            a_session_with_the_right_password_is_up,
        ),
        trial(
            programs,
            ("with_another_password_there_is_no_session_and_it_stays_secret", FRR),
            with_another_password_there_is_no_session_and_it_stays_secret,
        ),
        trial(
            programs,
            ("a_peer_with_ttl_security_is_up_only_where_we_have_it_too", FRR),
            a_peer_with_ttl_security_is_up_only_where_we_have_it_too,
        ),
        trial(
            programs,
            ("a_peer_of_another_as_is_refused_with_both_numbers", FRR),
            a_peer_of_another_as_is_refused_with_both_numbers,
        ),
        trial(
            programs,
            ("a_peer_that_expects_another_as_says_so", FRR),
            a_peer_that_expects_another_as_says_so,
        ),
        trial(
            programs,
            ("a_peer_without_a_common_family_is_named", FRR),
            a_peer_without_a_common_family_is_named,
        ),
        trial(
            programs,
            ("what_ends_a_session_is_said_in_words", FRR),
            what_ends_a_session_is_said_in_words,
        ),
    ]
}

const NODE: &str = "10.1.0.11";

fn is_up(frr: &Frr) -> bool {
    frr.neighbour(NODE.parse().unwrap()).is_some_and(|neighbour| neighbour.is_up())
}

#[track_caller]
fn await_words(speaker: &Speaker, words: &[&str]) {
    wait_until(&format!("the speaker says {words:?}"), PATIENCE, || speaker.said(words));
}

fn a_session_with_the_right_password_is_up(programs: &Programs) {
    let pair = Pair::new();
    let frr = pair.frr(programs, " neighbor 10.1.0.11 password s3cret\n");
    let speaker = Setup::new("10.1.0.1:65001:s3cret").start(&pair.node);
    explained(&[&|| speaker.report(), &|| frr.report()], || {
        await_route(&frr, ROUTE);
        assert!(!speaker.said(&["s3cret"]), "the password was printed");
    });
}

fn with_another_password_there_is_no_session_and_it_stays_secret(programs: &Programs) {
    let pair = Pair::new();
    let frr = pair.frr(programs, " neighbor 10.1.0.11 password s3cret\n");
    let speaker = Setup::new("10.1.0.1:65001:an0ther").start(&pair.node);
    explained(&[&|| speaker.report(), &|| frr.report()], || {
        // The kernel of the peer drops what is signed otherwise: all that is seen is silence.
        await_words(&speaker, &["10.1.0.1", "password"]);
        assert!(!is_up(&frr));
        assert!(!speaker.said(&["an0ther"]), "the password was printed");
        // Put right at the peer, it comes up by itself.
        frr.configure(&["router bgp 65001", "neighbor 10.1.0.11 password an0ther"]);
        await_route(&frr, ROUTE);
    });
}

fn a_peer_with_ttl_security_is_up_only_where_we_have_it_too(programs: &Programs) {
    let pair = Pair::new();
    let frr = pair.frr(programs, " neighbor 10.1.0.11 ttl-security hops 1\n");
    let without = Setup::new("10.1.0.1:65001").start(&pair.node);
    explained(&[&|| without.report(), &|| frr.report()], || {
        await_words(&without, &["10.1.0.1"]);
        assert!(!is_up(&frr));
    });
    drop(without);
    let speaker = Setup::new("10.1.0.1:65001").with("bgp_ttl_security", "1").start(&pair.node);
    explained(&[&|| speaker.report(), &|| frr.report()], || {
        await_route(&frr, ROUTE);
    });
}

fn a_peer_of_another_as_is_refused_with_both_numbers(programs: &Programs) {
    let pair = Pair::new();
    let frr = pair.frr(programs, "");
    let speaker = Setup::new("10.1.0.1:65009").start(&pair.node);
    explained(&[&|| speaker.report(), &|| frr.report()], || {
        await_words(&speaker, &["65009", "65001"]);
        wait_until("the peer is told why", PATIENCE, || {
            frr.bgpd().said(&["NOTIFICATION", "received", "Bad Peer AS"])
        });
        assert!(frr.paths(ROUTE).is_empty());
    });
}

fn a_peer_that_expects_another_as_says_so(programs: &Programs) {
    let pair = Pair::new();
    let text = stage::configuration(&[NODE], "").replace("65000", "65005");
    let frr = stage::start_frr(programs, &pair.router, &text);
    let speaker = Setup::new("10.1.0.1:65001").start(&pair.node);
    explained(&[&|| speaker.report(), &|| frr.report()], || {
        await_words(&speaker, &["10.1.0.1", "bad peer as"]);
        assert!(!is_up(&frr));
    });
}

const IPV6_ONLY: &str = "
router bgp 65001
 bgp router-id 10.1.0.1
 no bgp ebgp-requires-policy
 no bgp default ipv4-unicast
 neighbor 10.1.0.11 remote-as 65000
 address-family ipv6 unicast
  neighbor 10.1.0.11 activate
 exit-address-family
";

fn a_peer_without_a_common_family_is_named(programs: &Programs) {
    let pair = Pair::new();
    pair.node.sysctl("ipv6/conf/all/disable_ipv6", "1");
    let frr = stage::start_frr(programs, &pair.router, IPV6_ONLY);
    let speaker = Setup::new("10.1.0.1:65001").start(&pair.node);
    explained(&[&|| speaker.report(), &|| frr.report()], || {
        wait_until("it is said that they have no family in common", PATIENCE, || {
            speaker.said(&["10.1.0.1", "capability"]) || speaker.said(&["10.1.0.1", "famil"])
        });
        assert!(frr.paths(ROUTE).is_empty());
    });
}

/// FRR counts late: it sees that there are too many when one more comes.
const FOUR: [&str; 4] = ["192.0.2.10", "192.0.2.11", "192.0.2.12", "192.0.2.13"];

fn what_ends_a_session_is_said_in_words(programs: &Programs) {
    let pair = Pair::new();
    let frr = pair.frr(programs, "");
    let speaker = Setup::new("10.1.0.1:65001").announcing(&FOUR).start(&pair.node);
    explained(&[&|| speaker.report(), &|| frr.report()], || {
        await_route(&frr, ROUTE);
        frr.ask("clear bgp 10.1.0.11");
        await_words(&speaker, &["administrative reset"]);
        await_session(&frr, NODE);
        await_route(&frr, ROUTE);
        frr.configure(&["router bgp 65001", "neighbor 10.1.0.11 shutdown message rack 7 moves"]);
        await_words(&speaker, &["administrative shutdown", "rack 7 moves"]);
        await_paths(&frr, ROUTE, 0);
        frr.configure(&["router bgp 65001", "no neighbor 10.1.0.11 shutdown"]);
        await_route(&frr, ROUTE);
        let family = "address-family ipv4 unicast";
        frr.configure(&["router bgp 65001", family, "neighbor 10.1.0.11 maximum-prefix 1"]);
        frr.ask("clear bgp 10.1.0.11");
        await_words(&speaker, &["maximum number of prefixes"]);
    });
}
