//! Two machines with one name: never the same address on both, and each says what is wrong.

use std::time::Duration;

use super::fixture::{Fixture, asking, control_plane, settings};
use crate::core::cluster::record::ServiceName;
use crate::core::settings::ServiceElection::{Each, OneForAll};
use crate::core::settings::Settings;

const MOMENT: Duration = Duration::from_millis(1);

/// Two machines that both take themselves for `n1`.
fn namesakes(election: crate::core::settings::ServiceElection) -> Fixture {
    Fixture::with(2, |_| Settings {
        node: "n1".to_owned(),
        control_plane: Some(control_plane("10.0.0.100")),
        services: Some(settings(election)),
        seed: 1,
    })
}

fn never_both(fixture: &mut Fixture, span: Duration, addresses: &[&str]) {
    let end = fixture.now + span;
    while fixture.now < end {
        fixture.pass(MOMENT);
        for address in addresses {
            let holders = fixture.holders(address);
            assert!(holders.len() < 2, "{address} is on both at {:?}", fixture.now);
        }
    }
}

const ADDRESSES: [&str; 3] = ["10.0.0.1", "10.0.0.2", "10.0.0.100"];

#[test]
fn two_machines_of_one_name_never_have_an_address_both_and_one_of_them_has_it() {
    for election in [OneForAll, Each] {
        let mut fixture = namesakes(election);
        fixture.serve(asking("a", "10.0.0.1"));
        fixture.serve(asking("b", "10.0.0.2"));
        never_both(&mut fixture, Duration::from_secs(12), &ADDRESSES);
        for address in ADDRESSES {
            assert_eq!(fixture.holders(address).len(), 1, "{address}");
        }
    }
}

#[test]
fn a_machine_that_starts_beside_its_namesake_stays_away_and_says_so() {
    for election in [OneForAll, Each] {
        let mut fixture = namesakes(election);
        fixture.power_off(1);
        fixture.serve(asking("a", "10.0.0.1"));
        fixture.settle();
        fixture.start(1);
        never_both(&mut fixture, Duration::from_secs(8), &ADDRESSES);
        assert_eq!(fixture.holders("10.0.0.1"), [0]);
        assert_eq!(fixture.holders("10.0.0.100"), [0]);
        let core = fixture.core(1);
        let status = core.status(fixture.now);
        let says = |text: &str| {
            text.contains("n1 on another machine (02:00:00:00:00:00)")
                && text.contains("vip_nodename")
        };
        assert!(status.leases.iter().all(|lease| says(&lease.reason)), "{:?}", status.leases);
        assert!(status.services.iter().all(|one| says(&one.reason)), "{:?}", status.services);
        assert!(status.not_ready.iter().any(|why| says(why)), "{:?}", status.not_ready);
        let why = core.why(&ServiceName::new("default", "a"), fixture.now).unwrap();
        assert!(why.because.iter().any(|line| says(line)), "{:?}", why.because);
        let told = fixture.events.iter().filter(|event| event.reason == "NodeNameInUse");
        let told: Vec<&str> = told.map(|event| event.message.as_str()).collect();
        assert!(matches!(&told[..], [text] if says(text)), "{told:?}");
    }
}

#[test]
fn a_machine_takes_over_from_its_dead_namesake_when_the_lease_has_run_out() {
    for election in [OneForAll, Each] {
        let mut fixture = namesakes(election);
        fixture.serve(asking("a", "10.0.0.1"));
        fixture.settle();
        for address in ["10.0.0.1", "10.0.0.100"] {
            let [first] = fixture.holders(address)[..] else { panic!("one has it") };
            fixture.power_off(first);
            never_both(&mut fixture, Duration::from_secs(6), &[address]);
            assert_eq!(fixture.holders(address), [1 - first]);
            fixture.start(first);
            never_both(&mut fixture, Duration::from_secs(2), &[address]);
            assert_eq!(fixture.holders(address), [1 - first]);
        }
    }
}
