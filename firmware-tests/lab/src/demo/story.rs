//! The story: what is done to the nodes, and the sentence that says it beforehand.

use std::time::Duration;

use rustix::process::Signal;

use crate::topology::Wire;

use super::stage::{Ending, Stage};
use super::table::{Condition, Ink};

/// Far longer than anything may take, on a loaded machine too.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is done to a holder.
#[derive(Clone, Copy, Debug)]
enum Blow {
    Stop,
    Kill,
    Freeze,
    PowerOff,
}

/// Plays all of it.
pub(super) fn play(stage: &mut Stage) -> Result<(), Ending> {
    let mut holder = open(stage)?;
    let blows = [Blow::Stop, Blow::Kill, Blow::Freeze, Blow::PowerOff];
    for (number, blow) in blows.into_iter().enumerate() {
        let name = stage.name(holder);
        stage.announce(&format!("{}/{}  {}", number + 1, blows.len(), blow.sentence(&name)));
        stage.pause(4.0)?;
        let old = holder;
        holder = strike(stage, blow, old)?;
        stage.pause(1.0)?;
        stage.conclude(blow.title(), old, Some(holder));
        come_back(stage, blow, old, holder)?;
    }
    stage.pause(1.0)
}

fn open(stage: &mut Stage) -> Result<usize, Ending> {
    let address = stage.cluster.vip();
    let timing = stage.cluster.timing();
    for text in [
        format!(
            "Three nodes, n1 to n3, run viplet. Clients reach them by one virtual address, \
             {address}, which exactly one node may have at a time."
        ),
        "Which one, a lease says: a record in the Kubernetes API that names one node for a few \
         seconds. That node renews it; when it stops doing so, another takes it."
            .to_owned(),
        format!(
            "The lease lasts {} s here, so that you need not wait long (the default: 15 s). A \
             client pings the address 200 times a second.",
            timing.0
        ),
    ] {
        stage.tell(Ink::Plain, &text);
    }
    stage
        .announce("0/4  viplet starts on all nodes. One takes the lease, and with it the address.");
    stage.pause(4.0)?;
    stage.begin();
    stage.cluster.start_all();
    for node in 0..stage.cluster.lab.nodes.len() {
        stage.mark(node, Condition::Running);
    }
    let holder =
        stage.until("a node has the address and answers", PATIENCE, |stage| stage.sole_holder())?;
    for node in 0..stage.cluster.lab.nodes.len() {
        if node != holder {
            wait_until_it_follows(stage, node)?;
        }
    }
    stage.pause(2.0)?;
    Ok(holder)
}

/// Does it to the holder, and waits for another one.
fn strike(stage: &mut Stage, blow: Blow, old: usize) -> Result<usize, Ending> {
    stage.begin();
    match blow {
        Blow::Stop => stage.cluster.signal(old, Signal::TERM),
        Blow::Kill => stage.cluster.signal(old, Signal::KILL),
        Blow::Freeze => stage.cluster.signal(old, Signal::STOP),
        Blow::PowerOff => stage.cluster.power_off(old),
    }
    stage.mark(old, blow.condition());
    let other = |stage: &mut Stage| stage.sole_holder().filter(|node| *node != old);
    let found = stage.until("another node has the address and answers", PATIENCE, other);
    if let Err(Ending::Failed(_)) = &found {
        stage.conclude(blow.title(), old, None);
    }
    found
}

/// The old holder returns, and must leave the address where it is.
fn come_back(stage: &mut Stage, blow: Blow, old: usize, new: usize) -> Result<(), Ending> {
    let (old_name, new_name) = (stage.name(old), stage.name(new));
    let text = match blow {
        Blow::Freeze => "goes on where it was frozen (SIGCONT)",
        Blow::PowerOff => "has power and its cables again",
        Blow::Stop | Blow::Kill => "is started again",
    };
    let text = format!("{old_name} {text}: it sees that {new_name} holds the lease, and follows.");
    stage.tell(Ink::Plain, &text);
    match blow {
        Blow::Freeze => stage.cluster.signal(old, Signal::CONT),
        Blow::PowerOff => {
            stage.cluster.lab.restore(old, Wire::Lan);
            stage.cluster.lab.restore(old, Wire::Mgmt);
            stage.cluster.start(old);
        }
        Blow::Stop => {
            stage.until("a stopped viplet ends", PATIENCE, |stage| {
                (!stage.cluster.is_running(old)).then_some(())
            })?;
            stage.cluster.start(old);
        }
        Blow::Kill => {
            stage.cluster.start(old);
        }
    }
    stage.mark(old, Condition::Running);
    wait_until_it_follows(stage, old)?;
    stage.pause(1.5)
}

fn wait_until_it_follows(stage: &mut Stage, node: usize) -> Result<(), Ending> {
    let what = format!("{} follows", stage.name(node));
    stage.until(&what, PATIENCE, |stage| {
        (stage.role(node).as_deref() == Some("following")).then_some(())
    })
}

impl Blow {
    fn title(self) -> &'static str {
        match self {
            Self::Stop => "asked to stop (SIGTERM)",
            Self::Kill => "killed (kill -9)",
            Self::Freeze => "frozen (SIGSTOP)",
            Self::PowerOff => "power off (cables cut too)",
        }
    }

    fn condition(self) -> Condition {
        match self {
            Self::Stop => Condition::Stopped,
            Self::Kill => Condition::Killed,
            Self::Freeze => Condition::Frozen,
            Self::PowerOff => Condition::NoPower,
        }
    }

    fn sentence(self, node: &str) -> String {
        match self {
            Self::Stop => format!(
                "viplet on {node} is asked to stop (SIGTERM), as in every upgrade. It takes the \
                 address off and gives the lease back, so another node takes over at once."
            ),
            Self::Kill => format!(
                "viplet on {node} is killed (kill -9) and can do nothing more. The kernel itself \
                 drops the address before the lease runs out; another node takes over after that."
            ),
            Self::Freeze => format!(
                "viplet on {node} is frozen (SIGSTOP), as on an overloaded or paused machine. The \
                 kernel drops the address in time, so {node} cannot wake up with a stale one."
            ),
            Self::PowerOff => format!(
                "{node} loses power: viplet is gone and the cables are dead. The others see the \
                 lease run out, and one of them takes it and the address."
            ),
        }
    }
}
