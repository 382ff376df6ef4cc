//! What is recorded is what happened, within its limit and without secrets.

use std::collections::BTreeMap;
use std::time::Duration;

use viplet_backend_api::{
    DefaultRoute, HardwareAddress, Link, LinkKind, LinkName, LinkState, Notice, Observation,
};

use super::*;
use crate::cli::replay::told;
use crate::config::{self, Inputs};
use crate::core::input::{KubernetesRequest, LeaseVerb};
use crate::core::settings::LeaseTiming;
use crate::core::{LeaseView, Origin, WriteOutcome};

const CONTROL_PLANE: &[(&str, &str)] = &[
    ("vip_arp", "true"),
    ("cp_enable", "true"),
    ("address", "192.0.2.1"),
    ("vip_interface", "eth0"),
];

fn settings(given: &[(&str, &str)]) -> Settings {
    let inputs = Inputs {
        environment: given
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect::<BTreeMap<_, _>>(),
        flags: Vec::new(),
        hostname: "n1".to_owned(),
        service_account_namespace: None,
        read_file: &|_| Err("no file".to_owned()),
    };
    config::load(&inputs, &["arp", "bgp", "record"]).unwrap().settings.core
}

fn at(millis: u64) -> Moment {
    Moment::from_boot(Duration::from_millis(1_000_000 + millis))
}

/// A node on its own that gets its Lease, and renews it so many times.
fn run(recorder: &mut Recorder, renewals: usize) -> Vec<(Moment, Vec<Effect>)> {
    let mut core = Core::new(recorder.header.settings.clone(), recorder.header.started);
    let (mut now, mut done, mut written) = (at(0), Vec::new(), 0);
    let link = Link {
        name: LinkName::new("eth0").unwrap(),
        altnames: Vec::new(),
        kind: LinkKind::Ethernet,
        state: LinkState::Up,
        hardware: HardwareAddress(vec![2; 6]),
        default_route: DefaultRoute::None,
    };
    let seen = Observation { links: vec![link], addresses: Vec::new() };
    let mut inputs = vec![Input::Observed(Notice::Snapshot(seen))];
    while written < renewals {
        assert!(done.len() < 100_000, "it never renews");
        let input = inputs.pop().unwrap_or(Input::Deadline);
        if input == Input::Deadline {
            now = core.next_deadline(now).map_or(now, |(at, _)| at.max(now));
        }
        let effects = recorder.around(input, now, |input| {
            let mut effects = Vec::new();
            core.handle(input, now, &mut effects);
            effects
        });
        for effect in &effects {
            let Effect::Kubernetes(KubernetesRequest::Lease(request)) = effect else { continue };
            let lease = request.lease.clone();
            inputs.push(match &request.verb {
                LeaseVerb::Read => {
                    Input::Lease { lease, origin: Origin::Read, view: LeaseView::Absent }
                }
                LeaseVerb::Create { attempt, record, .. }
                | LeaseVerb::Replace { attempt, record, .. } => {
                    written += 1;
                    let (version, record) = (written.to_string(), record.clone());
                    let outcome = WriteOutcome::Stored { version, record };
                    Input::LeaseWritten { lease, attempt: *attempt, outcome }
                }
            });
        }
        done.push((now, effects));
    }
    done
}

fn elected() -> Settings {
    settings(&[CONTROL_PLANE, &[("vip_leaderelection", "true")]].concat())
}

#[test]
fn a_recording_with_the_longest_times_of_all_is_replayed_to_its_end() {
    let mut recorder = Recorder::new(&elected(), at(0), LIMIT);
    let inputs = run(&mut recorder, 20).len();
    let most = Duration::from_secs(u64::MAX);
    let set: [fn(&mut LeaseTiming, Duration); 3] = [
        |timing, time| timing.duration = time,
        |timing, time| timing.renew_deadline = time,
        |timing, time| timing.retry_period = time,
    ];
    for which in 1_u8..8 {
        let plane = recorder.header.settings.control_plane.as_mut().unwrap();
        plane.timing = elected().control_plane.unwrap().timing;
        for (bit, set) in set.iter().enumerate().filter(|(bit, _)| which >> bit & 1 == 1) {
            set(&mut plane.timing, most - Duration::from_secs(bit as u64));
        }
        let replay = Recording::read(&recorder.text()).unwrap().replay();
        assert_eq!(replay.count(), inputs, "{which:03b}");
    }
}

#[test]
fn a_replay_does_what_the_node_did() {
    let mut recorder = Recorder::new(&elected(), at(0), LIMIT);
    let done = run(&mut recorder, 20);
    let replayed: Vec<Turn> = Recording::read(&recorder.text()).unwrap().replay().collect();
    assert!(replayed.iter().all(|turn| turn.source == Source::Replayed));
    let expected: Vec<(Moment, Vec<String>)> =
        done.iter().map(|(at, effects)| (*at, effects.iter().map(words).collect())).collect();
    let replayed: Vec<(Moment, Vec<String>)> =
        replayed.into_iter().map(|turn| (turn.at, turn.did)).collect();
    assert_eq!(replayed, expected);
    assert!(expected.iter().any(|(_, did)| did.iter().any(|word| word.contains("Create"))));
}

#[test]
fn a_long_run_stays_within_its_limit_keeps_its_start_and_its_end_and_says_what_is_missing() {
    let limit = 20_000;
    let mut recorder = Recorder::new(&elected(), at(0), limit);
    let done = run(&mut recorder, 500);
    assert!(recorder.size() <= limit && recorder.size() > limit / 2, "{}", recorder.size());
    let recording = Recording::read(&recorder.text()).unwrap();
    assert!(recording.header.lost > 0);
    let text = told(recording.clone(), 200);
    assert!(text.contains(&format!("{} inputs are not kept", recording.header.lost)), "{text}");
    let turns: Vec<Turn> = recording.replay().collect();
    let words = |(at, effects): &(Moment, Vec<Effect>)| {
        (*at, effects.iter().map(words).collect::<Vec<_>>())
    };
    let kept = |turn: &Turn| (turn.at, turn.did.clone());
    assert_eq!(turns.first().map(kept), done.first().map(words));
    assert_eq!(turns.first().map(|turn| turn.source), Some(Source::Replayed));
    assert_eq!(turns.last().map(kept), done.last().map(words));
    assert_eq!(turns.last().map(|turn| turn.source), Some(Source::Recorded));
}

#[test]
fn an_input_that_is_larger_than_all_that_is_kept_is_counted_as_lost() {
    let mut recorder = Recorder::new(&elected(), at(0), 2_000);
    let name = "x".repeat(2_000);
    let input = Input::Resolved { name, outcome: Err("no".to_owned()) };
    recorder.around(input, at(1), |_| Vec::new());
    assert_eq!((recorder.header.lost, recorder.size()), (1, 0));
}

#[test]
fn no_secret_setting_is_in_a_recording() {
    let marker = "Gehe1mnis";
    let mut given = vec![
        ("bgp_enable".to_owned(), "true".to_owned()),
        ("cp_enable".to_owned(), "true".to_owned()),
        ("svc_enable".to_owned(), "true".to_owned()),
        ("address".to_owned(), "192.0.2.1".to_owned()),
        ("bgp_peers".to_owned(), format!("192.0.2.9:65000:{marker}:false")),
        ("bgp_peeraddress".to_owned(), "192.0.2.8".to_owned()),
        ("bgp_peeras".to_owned(), "65000".to_owned()),
        ("bgp_peerpass".to_owned(), marker.to_owned()),
        ("bgp_routerid".to_owned(), "192.0.2.7".to_owned()),
        ("bgp_as".to_owned(), "65001".to_owned()),
    ];
    let used = |setting: &config::Setting| {
        matches!(setting.role, config::Role::Switch | config::Role::Parameter)
    };
    let live = |setting: &&config::Setting| {
        setting.is_secret() && used(setting) && !setting.environment.is_empty()
    };
    let secret: Vec<&str> = config::table::all().filter(live).map(|setting| setting.name).collect();
    let missing = secret.iter().find(|name| !given.iter().any(|(known, _)| known == *name));
    assert_eq!(missing, None, "a secret setting that this test does not know");
    given.sort();
    let given: Vec<(&str, &str)> =
        given.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let mut recorder = Recorder::new(&settings(&given), at(0), LIMIT);
    let snapshot = Input::Observed(Notice::Snapshot(Observation::default()));
    recorder.around(snapshot, at(1), |_| Vec::new());
    let text = recorder.text();
    assert!(text.contains("192.0.2.1") && !text.contains(marker), "{text}");
}

#[test]
fn what_is_no_recording_is_refused_by_its_line() {
    let why = Recording::read("").unwrap_err();
    assert!(why.contains("empty"), "{why}");
    let good = Recorder::new(&elected(), at(0), LIMIT).text();
    let why = Recording::read(&format!("{good}nonsense\n")).unwrap_err();
    assert!(why.contains("line 2"), "{why}");
}

#[test]
fn a_file_that_a_full_disk_cut_off_is_shown_up_to_there_and_says_so() {
    let mut recorder = Recorder::new(&elected(), at(0), LIMIT);
    run(&mut recorder, 20);
    let text = recorder.text();
    let whole = told(Recording::read(&text).unwrap(), 200);
    let cut = told(Recording::read(text.get(..text.len() - 9).unwrap()).unwrap(), 200);
    let (same, note) = cut.split_once("the file is cut off here").unwrap();
    assert!(whole.starts_with(same) && same.len() > whole.len() / 2, "{cut}");
    assert!(note.lines().count() == 1 && !whole.contains("cut off"), "{note}");
}

#[test]
fn a_first_line_that_is_cut_off_is_no_recording() {
    let text = Recorder::new(&elected(), at(0), LIMIT).text();
    let why = Recording::read(text.get(..text.len() / 2).unwrap()).unwrap_err();
    assert!(why.contains("line 1"), "{why}");
}
