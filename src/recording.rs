//! A run of the core as a file: one JSON document a line, first the settings, then every input with
//! its moment. The core is deterministic: the same inputs give the same effects, so that
//! `viplet replay` shows afterwards what a node did and why.
//!
//! A recording has its limit. One half of it keeps the start of the run. When that is full, the
//! other half is a ring with the last inputs, and beside each what the core decided about it, in
//! words. A core cannot be started in the middle of a run: of a long run a replay runs the start,
//! says how many inputs are missing then, and shows the recorded words for the rest.
//!
//! Neither the core's settings nor its inputs have secrets, and so has no recording.

pub mod file;

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use viplet_backend_api::Command;

use crate::core::{Core, Effect, Input, Moment, Settings};

/// What the shell keeps at most, in bytes.
pub const LIMIT: usize = 1 << 20;

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The version of viplet that recorded.
    pub viplet: String,
    /// When the core was made.
    pub started: Moment,
    /// Inputs between the start and the last ones that are not kept.
    pub lost: u64,
    /// The core's settings.
    pub settings: Settings,
}

/// Any other line.
#[derive(Clone, Debug, Deserialize)]
struct Entry {
    at: Moment,
    input: Input,
    /// What the core decided; in the start of a run it is found by running the core.
    #[serde(default)]
    did: Option<Vec<String>>,
}

/// Records a run.
#[derive(Clone, Debug)]
pub struct Recorder {
    header: Header,
    start: String,
    last: VecDeque<String>,
    /// Bytes in `last`.
    size: usize,
    /// Most bytes in `start`, and in `last`.
    half: usize,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Start,
    Last,
}

impl Recorder {
    /// A recorder of a core that was made with these settings at `started`. It keeps `limit` bytes
    /// and its header at most.
    #[must_use]
    pub fn new(settings: &Settings, started: Moment, limit: usize) -> Self {
        let viplet = env!("CARGO_PKG_VERSION").to_owned();
        let header = Header { viplet, started, lost: 0, settings: settings.clone() };
        let (start, last, half) = (String::new(), VecDeque::new(), limit / 2);
        Self { header, start, last, size: 0, half, phase: Phase::Start }
    }

    /// Records an input around the turn that handles it, and gives that turn's effects back.
    pub fn around(
        &mut self,
        input: Input,
        at: Moment,
        turn: impl FnOnce(Input) -> Vec<Effect>,
    ) -> Vec<Effect> {
        let said = json(&input);
        if self.phase == Phase::Start {
            let line = entry(at, &said, None);
            if self.start.len() + line.len() <= self.half {
                self.start.push_str(&line);
                return turn(input);
            }
            self.phase = Phase::Last;
        }
        let idle = input == Input::Deadline;
        let effects = turn(input);
        if !(idle && effects.is_empty()) {
            let did: Vec<String> = effects.iter().map(words).collect();
            self.keep(entry(at, &said, Some(&did)));
        }
        effects
    }

    /// Keeps a line among the last ones; the oldest make room, all of them for one that is larger
    /// than all that is kept: what is shown has no other gaps.
    fn keep(&mut self, line: String) {
        self.size += line.len();
        self.last.push_back(line);
        while self.size > self.half {
            let Some(oldest) = self.last.pop_front() else { break };
            self.size -= oldest.len();
            self.header.lost += 1;
        }
    }

    /// The file.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = json(&self.header);
        text.push('\n');
        text.push_str(&self.start);
        text.extend(self.last.iter().map(String::as_str));
        text
    }

    /// Bytes that are kept beside the header.
    #[must_use]
    pub fn size(&self) -> usize {
        self.start.len() + self.size
    }
}

/// A line of the file.
fn entry(at: Moment, input: &str, did: Option<&[String]>) -> String {
    let at = json(&at);
    match did {
        None => format!("{{\"at\":{at},\"input\":{input}}}\n"),
        Some(did) => format!("{{\"at\":{at},\"input\":{input},\"did\":{}}}\n", json(&did)),
    }
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// A recording that was read from a file.
#[derive(Clone, Debug)]
pub struct Recording {
    /// Its first line.
    pub header: Header,
    /// Whether its last line is all there.
    pub end: FileEnd,
    entries: Vec<Entry>,
}

/// How a file ends: a full disk cuts what is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileEnd {
    /// With a whole line.
    Whole,
    /// In the middle of a line, which is left out.
    Cut,
}

/// One input and what the core did about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// When.
    pub at: Moment,
    /// What happened.
    pub input: Input,
    /// What the core decided, in words.
    pub did: Vec<String>,
    /// How that is known.
    pub source: Source,
}

/// How it is known what the core did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A core of this build was given the input just now.
    Replayed,
    /// It was recorded.
    Recorded,
}

impl Recording {
    /// Reads a file's text. What follows its last newline is not read.
    ///
    /// # Errors
    /// With the line that is no part of a recording of this version, and why.
    pub fn read(text: &str) -> Result<Self, String> {
        let (whole, end) = match text.rsplit_once('\n') {
            Some((whole, "")) => (whole, FileEnd::Whole),
            Some((whole, _)) => (whole, FileEnd::Cut),
            None => (text, FileEnd::Cut),
        };
        let mut lines = whole.lines();
        let first = lines.next().ok_or("the file is empty")?;
        let header = serde_json::from_str(first).map_err(|why| wrong(1, &why))?;
        let entry = |(before, text): (usize, &str)| {
            serde_json::from_str(text).map_err(|why| wrong(before + 2, &why))
        };
        let entries = lines.enumerate().map(entry).collect::<Result<_, _>>()?;
        Ok(Self { header, end, entries })
    }

    /// Runs a core on it, and gives every input with what was done about it.
    pub fn replay(self) -> impl Iterator<Item = Turn> {
        let mut core = Core::new(self.header.settings, self.header.started);
        self.entries.into_iter().map(move |Entry { at, input, did }| {
            if let Some(did) = did {
                return Turn { at, input, did, source: Source::Recorded };
            }
            let mut effects = Vec::new();
            core.handle(input.clone(), at, &mut effects);
            let did = effects.iter().map(words).collect();
            Turn { at, input, did, source: Source::Replayed }
        })
    }
}

fn wrong(line: usize, why: &serde_json::Error) -> String {
    format!("line {line} is no part of a recording of this version: {why}")
}

/// An effect in words; of a request to the API server all of it.
#[must_use]
pub fn words(effect: &Effect) -> String {
    match effect {
        Effect::Addresses(Command::Install { vip, lifetime }) => {
            format!("install {vip} for {} s", lifetime.as_secs())
        }
        Effect::Addresses(Command::Announce { vip }) => format!("announce {vip}"),
        Effect::Addresses(Command::Withdraw { address, link }) => {
            format!("withdraw {address} from {link}")
        }
        Effect::Kubernetes(request) => {
            format!("ask the API server: {}", json(request))
        }
        Effect::Resolve { name } => format!("look {name} up"),
        Effect::Report(report) => format!("{:?}: {}", report.level, report.text),
        Effect::Stopped => "the process may end".to_owned(),
    }
}

#[cfg(test)]
mod tests;
