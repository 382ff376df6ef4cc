//! What every node's core was given, in the form that `viplet replay` reads: a failing seed can be
//! looked at node by node.

use std::collections::BTreeMap;

use viplet::core::{Effect, Input, Moment, Settings};
use viplet::recording::{Recorder, words};

use super::{Who, World};

/// Whether runs are recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keep {
    /// They are not: it takes a third of the time more.
    #[default]
    Nothing,
    /// Every life of every node of viplet.
    Recordings,
}

/// The recording of one life of one node.
#[derive(Clone, Debug)]
pub struct Recorded {
    recorder: Recorder,
    /// What the core decided, turn by turn, to hold a replay against.
    pub did: Vec<Vec<String>>,
}

impl Recorded {
    /// The file.
    #[must_use]
    pub fn text(&self) -> String {
        self.recorder.text()
    }
}

/// All recordings, by node and life.
#[derive(Debug, Default)]
pub(crate) struct Recordings {
    pub(super) keep: Keep,
    all: BTreeMap<(usize, u64), Recorded>,
}

impl Recordings {
    /// A life begins.
    pub(super) fn begin(&mut self, who: Who, settings: &Settings, started: Moment) {
        if self.keep == Keep::Recordings {
            let recorder = Recorder::new(settings, started, usize::MAX);
            self.all.insert((who.node, who.life), Recorded { recorder, did: Vec::new() });
        }
    }

    /// All of them, named after node and life.
    pub(crate) fn into_all(self) -> impl Iterator<Item = (String, Recorded)> {
        let name = |(node, life): (usize, u64)| format!("node-{node}-life-{life}");
        self.all.into_iter().map(move |(key, recorded)| (name(key), recorded))
    }
}

impl World {
    /// Gives a process an input; what it decides.
    pub(super) fn decide(&mut self, who: Who, input: Input, moment: Moment) -> Vec<Effect> {
        let process = self.nodes[who.node].process.as_mut();
        let Some(process) = process.filter(|process| process.life == who.life) else {
            return Vec::new();
        };
        let mut turn = |input| {
            let mut effects = Vec::new();
            process.machine.handle(input, moment, &mut effects);
            effects
        };
        let Some(recorded) = self.recordings.all.get_mut(&(who.node, who.life)) else {
            return turn(input);
        };
        let effects = recorded.recorder.around(input, moment, turn);
        recorded.did.push(effects.iter().map(words).collect());
        effects
    }
}
