//! The rules of carrying out, on a sink that notes what reaches it.

use viplet_backend_api::{Class, DuplicateDetection, Lifetime, LinkName, Presence, Scope, Vip};

use super::*;
use crate::core::report::Level;

/// Notes what it is asked for; refuses what is about some addresses.
#[derive(Default)]
struct Noted {
    batches: Vec<Vec<String>>,
    refuses: Vec<IpAddr>,
}

impl Sink for Noted {
    fn addresses(&mut self, commands: &[Command]) -> Vec<Result<(), Refusal>> {
        self.batches.push(commands.iter().map(said).collect());
        let outcome = |command: &Command| match self.refuses.contains(&command.address()) {
            true => Err(Refusal { class: Class::Transient, reason: "busy".to_owned() }),
            false => Ok(()),
        };
        commands.iter().map(outcome).collect()
    }

    fn kubernetes(&mut self, _request: KubernetesRequest) {
        self.batches.push(vec!["kubernetes".to_owned()]);
    }

    fn resolve(&mut self, name: String) {
        self.batches.push(vec![name]);
    }

    fn report(&mut self, report: Report) {
        self.batches.push(vec![report.text]);
    }
}

fn said(command: &Command) -> String {
    let word = match command {
        Command::Install { .. } => "install",
        Command::Announce { .. } => "announce",
        Command::Withdraw { .. } => "withdraw",
    };
    let IpAddr::V4(v4) = command.address() else { return word.to_owned() };
    format!("{word} {}", v4.octets()[3])
}

fn ip(n: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, n])
}

fn vip(n: u8) -> Vip {
    Vip {
        address: ip(n),
        prefix_len: 32,
        link: LinkName::new("eth0").unwrap(),
        presence: Presence::OnLink,
        scope: Scope::Universe,
        duplicate_detection: DuplicateDetection::Kernel,
    }
}

fn install(n: u8) -> Effect {
    let lifetime = Lifetime::from_secs(3).unwrap();
    Effect::Addresses(Command::Install { vip: vip(n), lifetime })
}

fn announce(n: u8) -> Effect {
    Effect::Addresses(Command::Announce { vip: vip(n) })
}

fn withdraw(n: u8) -> Effect {
    let Vip { address, link, .. } = vip(n);
    Effect::Addresses(Command::Withdraw { address, link })
}

fn report(text: &str) -> Effect {
    Effect::Report(Report { level: Level::Info, text: text.to_owned() })
}

fn at(millis: u64) -> Moment {
    Moment::from_boot(Duration::from_millis(millis))
}

/// All steps at one moment; what the core would be told.
fn run(carrier: &mut Carrier, now: Moment, sink: &mut Noted) -> Vec<Input> {
    let mut told = Vec::new();
    loop {
        match carrier.step(now, sink) {
            Step::Done => {}
            Step::Refused(input) | Step::Late(input) => told.push(input),
            Step::Stopped | Step::Idle => return told,
        }
    }
}

#[test]
fn installs_go_together_then_their_announcements_and_nothing_overtakes_what_comes_between() {
    let (mut carrier, mut sink) = (Carrier::default(), Noted::default());
    let effects =
        vec![install(1), announce(1), install(2), announce(2), report("held"), withdraw(3)];
    carrier.take(effects, at(0));
    assert_eq!(run(&mut carrier, at(0), &mut sink), []);
    let expected: [&[&str]; 4] =
        [&["install 1", "install 2"], &["announce 1", "announce 2"], &["held"], &["withdraw 3"]];
    assert_eq!(sink.batches, expected);
}

#[test]
fn no_batch_is_larger_than_it_may_be() {
    let (mut carrier, mut sink) = (Carrier::new(2), Noted::default());
    carrier.take((1..=5).map(install).collect(), at(0));
    run(&mut carrier, at(0), &mut sink);
    assert_eq!(sink.batches.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 1]);
}

#[test]
fn an_address_whose_install_was_refused_is_not_announced_in_this_turn_and_in_the_next_it_is() {
    let (mut carrier, mut sink) = (Carrier::default(), Noted::default());
    sink.refuses = vec![ip(1)];
    carrier.take(vec![install(1), announce(1), install(2), announce(2)], at(0));
    let told = run(&mut carrier, at(0), &mut sink);
    assert!(matches!(&told[..], [Input::Refused(all)] if all.len() == 1), "{told:?}");
    assert_eq!(sink.batches, [["install 1", "install 2"].as_slice(), &["announce 2"]]);
    sink.refuses.clear();
    sink.batches.clear();
    carrier.take(vec![announce(1)], at(0));
    run(&mut carrier, at(0), &mut sink);
    assert_eq!(sink.batches, [["announce 1"]]);
}

#[test]
fn a_refusal_is_told_before_what_follows_and_what_it_leads_to_comes_after_that() {
    let (mut carrier, mut sink) = (Carrier::default(), Noted::default());
    sink.refuses = vec![ip(1)];
    carrier.take(vec![install(1), report("follows")], at(0));
    assert!(matches!(carrier.step(at(0), &mut sink), Step::Refused(_)));
    carrier.take(vec![report("decided about the refusal")], at(1));
    run(&mut carrier, at(1), &mut sink);
    assert_eq!(sink.batches[1..], [["follows"], ["decided about the refusal"]]);
}

#[test]
fn an_install_that_works_at_the_second_attempt_is_announced() {
    let (mut carrier, mut sink) = (Carrier::default(), Noted::default());
    sink.refuses = vec![ip(1)];
    carrier.take(vec![install(1)], at(0));
    assert!(matches!(carrier.step(at(0), &mut sink), Step::Refused(_)));
    sink.refuses.clear();
    carrier.take(vec![install(1), announce(1)], at(0));
    run(&mut carrier, at(0), &mut sink);
    assert_eq!(sink.batches[1..], [["install 1"], ["announce 1"]]);
}

#[test]
fn what_is_late_is_told_once_and_only_withdrawals_and_requests_are_still_carried_out() {
    let (mut carrier, mut sink) = (Carrier::default(), Noted::default());
    carrier.take(vec![install(1), announce(1), withdraw(2), report("said")], at(0));
    let late = FRESH + Duration::from_millis(1);
    let told = run(&mut carrier, at(0) + late, &mut sink);
    let [Input::Late { commands, by }] = &told[..] else { panic!("{told:?}") };
    assert_eq!((commands.len(), *by), (2, late));
    assert_eq!(sink.batches, [["withdraw 2"], ["said"]]);
}

#[test]
fn what_became_late_on_the_way_is_told_and_what_was_in_time_is_done() {
    let (mut carrier, mut sink) = (Carrier::new(1), Noted::default());
    carrier.take(vec![install(1), install(2), install(3)], at(0));
    assert_eq!(carrier.step(at(100), &mut sink), Step::Done);
    let told = run(&mut carrier, at(101), &mut sink);
    assert!(matches!(&told[..], [Input::Late { commands, .. }] if commands.len() == 2), "{told:?}");
    assert_eq!(sink.batches, [["install 1"]]);
}

#[test]
fn nothing_is_carried_out_after_the_end() {
    let (mut carrier, mut sink) = (Carrier::default(), Noted::default());
    carrier.take(vec![Effect::Stopped, report("never")], at(0));
    carrier.take(vec![report("never")], at(0));
    assert_eq!(carrier.step(at(0), &mut sink), Step::Stopped);
    assert!(carrier.is_idle() && sink.batches.is_empty());
}
