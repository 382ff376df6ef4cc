//! The lab itself: what it builds works, and its instruments see what they are there to see.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use viplet_lab::rtnl::Lifetime;
use viplet_lab::sweep::Sweep;
use viplet_lab::wait::stays_for;
use viplet_lab::{HolderWatch, Lab, Prober, Wire, timed, wait_until};

const SOON: Duration = Duration::from_secs(20);
/// No answer for so long is no accident.
const SILENT: Duration = Duration::from_secs(1);

pub(crate) fn trials() -> Vec<Trial> {
    let tests: [(&'static str, fn()); 6] = [
        ("lab: the client hears an address that a node has, over IPv4 and IPv6", hears),
        ("lab: two nodes with one address are seen within 50 ms", sees_two_holders),
        ("lab: addresses that nobody named are seen too, but not a node's own", sees_all),
        ("lab: of many addresses the silent one is known", sweeps),
        ("lab: a cut cable silences a node and a restored one does not", cuts),
        ("lab: an address with a lifetime is gone when it ends", expires),
    ];
    let trial = |(name, test): (&'static str, fn())| {
        Trial::test(name, move || {
            timed(name, test);
            Ok(())
        })
    };
    tests.into_iter().map(trial).collect()
}

fn hears() {
    let lab = Lab::new(2);
    for text in ["10.77.0.100", "fd77::100"] {
        let address: IpAddr = text.parse().unwrap();
        let prober = Prober::start(&lab.client, address);
        stays_for("nobody answers", Duration::from_millis(100), || !prober.answers());
        let prefix = if address.is_ipv4() { 32 } else { 128 };
        let added = Instant::now();
        lab.nodes[1].rtnl(move |rtnl| {
            rtnl.set_address("eth0", (address, prefix), Lifetime::FOREVER).unwrap();
        });
        wait_until("the address answers", SOON, || prober.answers());
        let heard = prober.first_answer_since(added).unwrap();
        let before = prober.answered();
        wait_until("it goes on answering", SOON, || prober.answered() > before + 40);
        let silence = prober.longest_silence(heard);
        assert!(silence < SILENT, "{silence:?}");
    }
}

fn sees_two_holders() {
    let lab = Lab::new(3);
    let address: IpAddr = "10.77.0.100".parse().unwrap();
    let watch = HolderWatch::start(&lab, &[address]);
    let on = |node: usize| {
        lab.nodes[node].rtnl(move |rtnl| {
            rtnl.set_address("eth0", (address, 32), Lifetime::FOREVER).unwrap();
        });
    };
    on(0);
    wait_until("one holder", SOON, || watch.holders(address) == [0]);
    on(2);
    wait_until("two holders", SOON, || watch.holders(address) == [0, 2]);
    wait_until("an overlap", SOON, || {
        watch.timeline(address).longest_overlap() > Duration::from_millis(20)
    });
    assert_eq!(watch.timeline(address).most_holders(), 2);
}

fn sees_all() {
    let lab = Lab::new(1);
    let watch = HolderWatch::start_all(&lab);
    for text in ["10.77.1.7", "fd77::107"] {
        let address: IpAddr = text.parse().unwrap();
        let prefix = if address.is_ipv4() { 32 } else { 128 };
        lab.nodes[0].rtnl(move |rtnl| {
            rtnl.set_address("eth0", (address, prefix), Lifetime::FOREVER).unwrap();
        });
        wait_until("it is seen", SOON, || watch.holders(address) == [0]);
    }
    assert_eq!(watch.timelines().len(), 2, "{:?}", watch.timelines());
}

fn sweeps() {
    let lab = Lab::new(1);
    lab.widen();
    let addresses: Vec<IpAddr> = (1..=50).map(|host| IpAddr::from([10, 77, 3, host])).collect();
    let all = addresses.clone();
    lab.nodes[0].rtnl(move |rtnl| {
        for address in all {
            rtnl.set_address("eth0", (address, 32), Lifetime::FOREVER).unwrap();
        }
    });
    let sweep = Sweep::start(&lab.client, &addresses, Duration::from_millis(20));
    let since = Instant::now();
    wait_until("all answer", SOON, || sweep.silent_since(since).is_empty());
    let (gone, since) = (addresses[20], Instant::now());
    lab.nodes[0].rtnl(move |rtnl| rtnl.remove_address("eth0", (gone, 32)).unwrap());
    wait_until("one is silent", SOON, || sweep.longest_silences(since)[&gone] > SILENT);
    let silences = sweep.longest_silences(since);
    let others = silences.iter().filter(|(address, _)| **address != gone);
    assert!(others.map(|(_, silence)| *silence).max().unwrap() < SILENT);
    assert_eq!(sweep.silent_since(Instant::now() - SILENT / 2), [gone]);
}

fn cuts() {
    let lab = Lab::new(1);
    let prober = Prober::start(&lab.client, IpAddr::V4(lab.nodes[0].address));
    wait_until("the node answers", SOON, || prober.answers());
    lab.cut(0, Wire::Lan);
    wait_until("the node is silent", SOON, || !prober.answers());
    lab.restore(0, Wire::Lan);
    wait_until("the node answers again", SOON, || prober.answers());
}

fn expires() {
    let lab = Lab::new(1);
    let address: IpAddr = "10.77.0.100".parse().unwrap();
    let lifetime = Lifetime { valid: 1, preferred: 0, protocol: 77 };
    lab.nodes[0].rtnl(move |rtnl| rtnl.set_address("eth0", (address, 32), lifetime).unwrap());
    let listed = lab.nodes[0].rtnl(|rtnl| rtnl.addresses());
    let found = listed.iter().find(|one| one.address == address).expect("the address is there");
    assert_eq!((found.valid, found.preferred, found.protocol), (1, 0, 77));
    wait_until("the kernel drops it", SOON, || !lab.nodes[0].has(address));
}
