//! What is measured: each scene once, for one program.

use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use viplet_lab::Timeline;
use viplet_lab::cluster::Timing;

use crate::figures::{Figures, Unit};
use crate::options::Options;
use crate::rig::{Contender, Rig, Silence};
use crate::services;

/// Plays a scene; the third argument is the place within a renewal period, from 0 to 1.
pub(crate) type Play = fn(&mut Rig, &Contender, f64, &mut Figures);

/// Which programs play a scene.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// All of them.
    Everybody,
    /// viplet alone.
    Viplet,
}

impl Who {
    /// Whether this program plays it.
    pub(crate) fn includes(self, contender: &Contender) -> bool {
        self == Self::Everybody || contender.name == "viplet"
    }
}

/// One scene.
pub(crate) struct Scene {
    /// Its name.
    pub(crate) name: &'static str,
    /// At most so often.
    pub(crate) most: u32,
    /// Which programs play it.
    pub(crate) who: Who,
    /// Plays it once.
    pub(crate) play: Play,
}

impl Scene {
    /// How often it is played.
    pub(crate) fn repetitions(&self, options: &Options) -> u32 {
        self.most.min(options.repetitions)
    }
}

/// All scenes, in their order.
pub(crate) fn all() -> Vec<Scene> {
    let any = u32::MAX;
    let scene = |name, most, play: Play| Scene { name, most, who: Who::Everybody, play };
    let mut scenes = vec![
        scene("noise", 1, noise),
        scene("start", any, start),
        scene("planned move 5/3/1", any, |rig, who, phase, figures| {
            planned_move(rig, who, (Timing::FAST, phase), figures);
        }),
        scene("planned move 15/10/2", any, |rig, who, phase, figures| {
            planned_move(rig, who, (Timing::DEFAULT, phase), figures);
        }),
        scene("restart", any, restart),
        scene("power-off 5/3/1", any, |rig, who, phase, figures| {
            power_off(rig, who, (Timing::FAST, phase), figures);
        }),
        scene("power-off 15/10/2", 3, |rig, who, phase, figures| {
            power_off(rig, who, (Timing::DEFAULT, phase), figures);
        }),
        scene("kill -9", any, kill),
        scene("freeze", any, freeze),
        scene("idle", 1, idle),
    ];
    // Last: they leave a lab of another kind.
    scenes.extend(services::all());
    scenes
}

/// Silences of an address that nobody moves, each in a time as long as a planned move is watched;
/// and what the API server writes by itself.
fn noise(rig: &mut Rig, contender: &Contender, _: f64, figures: &mut Figures) {
    rig.clear();
    rig.give_address();
    rig.until(Duration::from_secs(5), |rig| rig.prober().answers().then_some(()));
    for _ in 0..5 {
        let since = Instant::now();
        sleep(Duration::from_secs(2));
        let silence = rig.prober().longest_silence(since);
        figures.note(
            contender.name,
            "noise: silence without any event",
            Unit::Seconds,
            secs(silence),
        );
    }
}

fn start(rig: &mut Rig, contender: &Contender, _: f64, figures: &mut Figures) {
    rig.clear();
    let vip = rig.vip();
    let started = rig.start(contender, Timing::DEFAULT, 0);
    let first = rig.until(Duration::from_secs(20), |rig| rig.capture().first_since(vip, started));
    let took = first.map_or(f64::INFINITY, |frame| secs(frame.at - started));
    figures.note(contender.name, "start → first ARP at the client", Unit::Seconds, took);
}

fn planned_move(
    rig: &mut Rig,
    contender: &Contender,
    (timing, phase): (Timing, f64),
    figures: &mut Figures,
) {
    let mut note = |what: &str, value| {
        let name = format!("planned move, timers {}: {what}", numbers(timing));
        figures.note(contender.name, &name, Unit::Seconds, value);
    };
    let Some(old) = rig.assemble(contender, timing, phase) else {
        return note("silence", f64::INFINITY);
    };
    let (vip, hardware) = (rig.vip(), rig.cluster.lab.nodes[old].hardware);
    let told = Instant::now();
    rig.cluster.signal(old, Signal::TERM);
    let moved = rig.until_other(old, Duration::from_secs(30));
    sleep(Duration::from_secs(1));
    note("silence", longest_silence(rig, told, moved));
    let after = |first: Option<Instant>| first.map_or(f64::INFINITY, |at| secs(at - told));
    let spans = rig.cluster.watch.timeline(vip).spans.into_iter();
    let spans = spans.filter(|span| span.node != old && span.first >= told);
    note("next has it (± 10 ms)", after(spans.map(|span| span.first).min()));
    let frames = rig.capture().of(vip).into_iter();
    let frames = frames.filter(|frame| frame.at >= told && frame.hardware != hardware);
    note("next announces it", after(frames.map(|frame| frame.at).min()));
}

/// The process is killed and started again half a second later, as a kubelet does.
fn restart(rig: &mut Rig, contender: &Contender, phase: f64, figures: &mut Figures) {
    let name = "restart within the lease: silence";
    let Some(holder) = rig.assemble(contender, Timing::DEFAULT, phase) else {
        return figures.note(contender.name, name, Unit::Seconds, f64::INFINITY);
    };
    let killed = Instant::now();
    rig.cluster.process(holder).kill();
    sleep(Duration::from_millis(500));
    rig.start(contender, Timing::DEFAULT, holder);
    sleep(Duration::from_secs(5));
    let silence = longest_silence(rig, killed, rig.silence());
    figures.note(contender.name, name, Unit::Seconds, silence);
}

fn power_off(
    rig: &mut Rig,
    contender: &Contender,
    (timing, phase): (Timing, f64),
    figures: &mut Figures,
) {
    let name = format!("power-off, timers {}: silence", numbers(timing));
    let Some(old) = rig.assemble(contender, timing, phase) else {
        return figures.note(contender.name, &name, Unit::Seconds, f64::INFINITY);
    };
    let off = Instant::now();
    rig.cluster.power_off(old);
    // Not while the last answers of the old one count as answers.
    sleep(Duration::from_millis(300));
    let moved = rig.until_other(old, 3 * timing.lease());
    figures.note(contender.name, &name, Unit::Seconds, longest_silence(rig, off, moved));
}

fn kill(rig: &mut Rig, contender: &Contender, phase: f64, figures: &mut Figures) {
    let Some(old) = rig.assemble(contender, Timing::FAST, phase) else { return };
    let from = Instant::now();
    rig.cluster.process(old).kill();
    sleep(Duration::from_secs(10));
    note_holders(rig, contender, ("kill -9", from), figures);
}

fn freeze(rig: &mut Rig, contender: &Contender, phase: f64, figures: &mut Figures) {
    let Some(old) = rig.assemble(contender, Timing::FAST, phase) else { return };
    let from = Instant::now();
    rig.cluster.signal(old, Signal::STOP);
    sleep(Duration::from_secs(9));
    rig.cluster.signal(old, Signal::CONT);
    sleep(Duration::from_secs(4));
    note_holders(rig, contender, ("freeze of 9 s", from), figures);
}

fn note_holders(
    rig: &Rig,
    contender: &Contender,
    (what, from): (&str, Instant),
    figures: &mut Figures,
) {
    let timeline = rig.cluster.watch.timeline(rig.vip());
    let together = Together::of(&timeline, from, Instant::now());
    let mut note = |name: &str, unit, value| {
        figures.note(contender.name, &format!("{what}: {name}"), unit, value);
    };
    note("most holders at one instant", Unit::Number, count(together.most));
    note("time with more than one", Unit::Seconds, secs(together.long));
    note("holders at the end", Unit::Number, count(timeline.holders().len()));
    note("silence", Unit::Seconds, longest_silence(rig, from, rig.silence()));
}

fn idle(rig: &mut Rig, contender: &Contender, _: f64, figures: &mut Figures) {
    const WINDOW: Duration = Duration::from_secs(40);
    rig.clear();
    let own = writes_in(rig, WINDOW / 2).0 * 2;
    let Some(holder) = rig.assemble(contender, Timing::DEFAULT, 0.0) else { return };
    let follower = (holder + 1) % 3;
    let roles = [("holder", holder), ("follower", follower)];
    let used = |rig: &mut Rig| roles.map(|(_, node)| rig.cluster.process(node).processor_time());
    let before = used(rig);
    let (writes, renewals) = writes_in(rig, WINDOW);
    let after = used(rig);
    for (place, (role, node)) in roles.into_iter().enumerate() {
        let process = rig.cluster.process(node);
        let memory = process.status_field("VmRSS") * 1024;
        let threads = process.status_field("Threads");
        let busy = (after[place] - before[place]).as_secs_f64() / WINDOW.as_secs_f64();
        let mut note = |name: &str, unit, value| {
            figures.note(contender.name, &format!("idle {role}: {name}"), unit, value);
        };
        note("resident memory", Unit::Bytes, as_float(memory));
        note("threads", Unit::Number, as_float(threads));
        note("processor (± 0.025 %)", Unit::PercentOfACore, 100.0 * busy);
    }
    let writes = as_float(writes.saturating_sub(own));
    let minutes = WINDOW.as_secs_f64() / 60.0;
    figures.note(contender.name, "idle cluster: lease writes", Unit::PerMinute, writes / minutes);
    let per_renewal = writes / as_float(renewals);
    figures.note(contender.name, "idle cluster: writes per renewal", Unit::Number, per_renewal);
}

/// Lease writes that the API server counts in a time, and changes of the Lease's `renewTime`.
fn writes_in(rig: &Rig, window: Duration) -> (u64, u64) {
    let (api, namespace) = (&rig.cluster.api, &rig.cluster.lab.api);
    let renewed = || rig.cluster.lease().map(|lease| lease.renewed);
    let before = api.lease_writes(namespace);
    let (since, mut last, mut renewals) = (Instant::now(), renewed(), 0);
    while since.elapsed() < window {
        sleep(Duration::from_millis(200).min(window.saturating_sub(since.elapsed())));
        let now = renewed();
        renewals += u64::from(now != last);
        last = now;
    }
    (api.lease_writes(namespace) - before, renewals)
}

/// How many nodes had the address at once in a time.
struct Together {
    most: usize,
    long: Duration,
}

impl Together {
    fn of(timeline: &Timeline, from: Instant, to: Instant) -> Self {
        let spans = timeline.spans.iter().filter(|span| span.last >= from);
        let mut changes: Vec<(Instant, bool)> = spans
            .flat_map(|span| [(span.first.max(from), true), (span.last.min(to), false)])
            .collect();
        // An end before a beginning at the same instant.
        changes.sort();
        let (mut here, mut most, mut long, mut since) = (0_usize, 0, Duration::ZERO, from);
        for (at, begins) in changes {
            if here > 1 {
                long += at.saturating_duration_since(since);
            }
            (here, since) = (if begins { here + 1 } else { here.saturating_sub(1) }, at);
            most = most.max(here);
        }
        Self { most, long }
    }
}

fn numbers(Timing(lease, deadline, retry): Timing) -> String {
    format!("{lease}/{deadline}/{retry}")
}

/// The client's longest silence; one that has not ended is for ever.
fn longest_silence(rig: &Rig, since: Instant, silence: Silence) -> f64 {
    match silence {
        Silence::Over => secs(rig.prober().longest_silence(since)),
        Silence::Lasting => f64::INFINITY,
    }
}

pub(crate) fn secs(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

pub(crate) fn count(number: usize) -> f64 {
    as_float(u64::try_from(number).unwrap_or(u64::MAX))
}

/// Exact up to 2^53.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn as_float(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use viplet_lab::holders::Span;

    use super::*;

    #[test]
    fn nodes_together_count_only_from_the_event_on_and_for_as_long_as_both_were_seen() {
        let origin = Instant::now();
        let at = |millis| origin + Duration::from_millis(millis);
        let span = |node, first, last| Span { node, first: at(first), last: at(last), gone: None };
        let spans = vec![span(0, 0, 50), span(1, 10, 300), span(2, 100, 300), span(0, 250, 260)];
        let timeline = Timeline { spans };
        let whole = Together::of(&timeline, origin, at(300));
        assert_eq!((whole.most, whole.long), (3, Duration::from_millis(240)));
        let later = Together::of(&timeline, at(60), at(200));
        assert_eq!((later.most, later.long), (2, Duration::from_millis(100)));
    }
}
