//! A few hundred short seeds on every test run; `scripts/sim` runs many.

#![allow(clippy::panic)]

use viplet::recording::{Recording, Source, Turn};
use viplet_sim::plant::Plant;
use viplet_sim::run::{Outcome, Services, run, run_kept, run_under_load, run_with};
use viplet_sim::trace::Echo;
use viplet_sim::world::{Keep, Law};

fn unbroken(seeds: std::ops::Range<u64>, services: Services) {
    for seed in seeds {
        let outcome = run_with(seed, services, Plant::None, Echo::Silent);
        assert_eq!(outcome.breach, None, "{}", outcome.report());
    }
}

#[test]
fn no_law_is_broken_under_faults_first_half() {
    unbroken(0..150, Services::AsDrawn);
}

#[test]
fn no_law_is_broken_under_faults_second_half() {
    unbroken(150..300, Services::AsDrawn);
}

#[test]
fn no_law_is_broken_where_nodes_announce_to_routers() {
    unbroken(0..12, Services::Routed);
}

#[test]
fn two_nodes_of_one_name_are_never_two_holders_and_one_holds_in_the_end() {
    unbroken(0..20, Services::Namesakes);
}

/// Seeds that broke a law once.
#[test]
fn what_broke_once_does_not_break_again() {
    for seed in [375, 616, 731, 846, 1198, 1512, 2185, 2398] {
        unbroken(seed..seed + 1, Services::Never);
    }
    for seed in [
        2, 3, 21, 38, 117, 330, 378, 461, 500, 571, 607, 975, 3404, 3656, 3844, 4053, 61, 64, 300,
        344, 547, 553, 560, 681, 10110, 30071, 30073,
    ] {
        unbroken(seed..seed + 1, Services::Always);
    }
}

#[test]
fn nodes_that_are_short_of_processor_time_keep_their_addresses() {
    for seed in 0..20 {
        let outcome = run_under_load(seed, Echo::Silent);
        assert_eq!(outcome.breach, None, "{}", outcome.report());
    }
}

#[test]
fn faults_of_a_routed_network_happen() {
    let mut kinds = std::collections::BTreeSet::new();
    for seed in 0..8 {
        kinds
            .extend(run_with(seed, Services::Routed, Plant::None, Echo::Silent).faults.into_keys());
    }
    assert!(kinds.contains("routers lost") && kinds.contains("health checks fail"), "{kinds:?}");
}

#[test]
fn a_seed_reproduces_a_run_exactly() {
    for seed in 0..5 {
        let (one, two) =
            (run(seed, Plant::None, Echo::Silent), run(seed, Plant::None, Echo::Silent));
        assert_eq!((one.hash, one.lines), (two.hash, two.lines), "seed {seed}");
        assert_ne!(one.hash, run(seed + 5, Plant::None, Echo::Silent).hash);
    }
}

#[test]
fn what_every_node_did_is_done_again_by_a_replay_of_its_recording() {
    let mut turns = 0;
    for (seed, services) in [(1, Services::Never), (2, Services::Always), (3, Services::Routed)] {
        let outcome = run_kept(seed, services, Plant::None, (Echo::Silent, Keep::Recordings));
        assert!(!outcome.recordings.is_empty());
        for (name, recorded) in outcome.recordings {
            let recording = Recording::read(&recorded.text()).expect("a recording");
            let replayed: Vec<Turn> = recording.replay().collect();
            assert!(replayed.iter().all(|turn| turn.source == Source::Replayed));
            assert_eq!(replayed.len(), recorded.did.len(), "seed {seed}, {name}");
            for (turn, did) in replayed.iter().zip(&recorded.did) {
                assert_eq!(turn.did, *did, "seed {seed}, {name}, at {}: {:?}", turn.at, turn.input);
            }
            turns += replayed.len();
        }
    }
    assert!(turns > 1000, "{turns}");
}

#[test]
fn every_kind_of_fault_happens() {
    let mut kinds = std::collections::BTreeSet::new();
    for seed in 0..60 {
        kinds.extend(run(seed, Plant::None, Echo::Silent).faults.into_keys());
    }
    assert_eq!(kinds.len(), 25, "{kinds:?}");
}

/// The first seed at which a planted fault is caught by the law that it breaks.
fn caught(plant: Plant, law: Law) -> Outcome {
    caught_with(Services::Never, plant, law)
}

fn caught_with(services: Services, plant: Plant, law: Law) -> Outcome {
    let broken = |outcome: &Outcome| outcome.breach.as_ref().is_some_and(|b| b.law == law);
    let mut outcomes = (0..200).map(|seed| run_with(seed, services, plant, Echo::Silent));
    outcomes.find(broken).unwrap_or_else(|| panic!("{plant:?} is not caught by {law:?}"))
}

#[test]
fn a_planted_node_that_acts_beyond_its_hold_is_caught() {
    caught(Plant::SkipMargin, Law::OneOwner);
}

#[test]
fn a_planted_node_that_takes_over_early_is_caught() {
    caught(Plant::TakeOverEarly, Law::OneHolder);
    caught(Plant::TakeOverEarly, Law::OneOwner);
}

#[test]
fn a_planted_node_that_forgets_to_withdraw_is_caught() {
    caught(Plant::ForgetWithdraw, Law::NothingLeft);
}

#[test]
fn a_planted_core_that_ignores_the_traffic_policy_is_caught() {
    caught_with(Services::Always, Plant::IgnorePolicy, Law::OnlyWhereAllowed);
}

#[test]
fn a_planted_node_that_never_hears_of_deleted_services_is_caught() {
    caught_with(Services::Always, Plant::KeepServices, Law::OnlyWhereAllowed);
    caught_with(Services::Always, Plant::KeepServices, Law::OneOwner);
}

#[test]
fn a_planted_node_that_takes_services_over_early_is_caught() {
    caught_with(Services::Always, Plant::TakeOverEarly, Law::OneOwner);
}

#[test]
fn planted_cores_that_delete_and_add_are_caught() {
    caught_with(Services::Routed, Plant::DeleteAndAdd, Law::NextHops);
}

#[test]
fn a_planted_node_that_ignores_its_api_servers_health_is_caught() {
    caught_with(Services::Routed, Plant::IgnoreHealth, Law::OnlyWhereAllowed);
}

#[test]
fn a_planted_node_that_keeps_addresses_beyond_their_time_is_caught_where_every_node_has_them() {
    caught_with(Services::Routed, Plant::OutliveLease, Law::DeadMan);
}

#[test]
fn a_failing_run_says_what_broke_and_how_to_see_it_again() {
    let outcome = caught(Plant::ForgetWithdraw, Law::NothingLeft);
    let report = outcome.report();
    assert!(report.contains(&format!("scripts/sim --seed {} --trace", outcome.seed)), "{report}");
    assert!(report.contains("NothingLeft broken at"), "{report}");
    assert!(report.lines().count() > 40, "{report}");
}
