//! `viplet replay FILE`: what a node heard, what it did and why, from a recording of it.

use argh::FromArgs;

use crate::core::Moment;
use crate::recording::{self, FileEnd, Recording, Source, Turn};
use crate::registry::{self, RECORDING};

/// Characters of an input that are shown without --whole: lists of Services are long.
const SHOWN: usize = 200;

/// show what a node heard and did, from the file that record_file names (written on SIGUSR1)
#[derive(FromArgs, Clone, Debug, PartialEq, Eq)]
#[argh(subcommand, name = "replay")]
pub struct ReplayCommand {
    /// the recording
    #[argh(positional, arg_name = "file")]
    pub file: String,
    /// show inputs whole, however long
    #[argh(switch)]
    pub whole: bool,
}

impl ReplayCommand {
    /// What it prints on stdout.
    ///
    /// # Errors
    /// When the file cannot be read or is no recording, and where the build cannot replay.
    pub fn text(&self) -> Result<String, String> {
        if RECORDING == registry::Recording::Absent {
            return Err("this build does not replay, which needs the feature record; use a build \
                        that has it (scripts/build TARGET full)"
                .to_owned());
        }
        let file = &self.file;
        let text = recording::file::read(file.as_ref()).map_err(|why| format!("{file}: {why}"))?;
        let recording = Recording::read(&text).map_err(|why| format!("{file}: {why}"))?;
        let shown = if self.whole { usize::MAX } else { SHOWN };
        Ok(told(recording, shown))
    }
}

/// A recording in words.
#[must_use]
pub fn told(recording: Recording, shown: usize) -> String {
    let (started, lost) = (recording.header.started, recording.header.lost);
    let node = &recording.header.settings.node;
    let mut text = format!("{node}, viplet {}\n", recording.header.viplet);
    let end = recording.end;
    let mut source = Source::Replayed;
    for turn in recording.replay() {
        if turn.source != source {
            source = turn.source;
            text.push_str(&format!(
                "{lost} inputs are not kept; from here on: what the node itself decided, as it was \
                 recorded\n"
            ));
        }
        tell(&turn, started, shown, &mut text);
    }
    if end == FileEnd::Cut {
        text.push_str("the file is cut off here, in the middle of a line\n");
    }
    text
}

fn tell(turn: &Turn, started: Moment, shown: usize, text: &mut String) {
    let input = serde_json::to_string(&turn.input).unwrap_or_default();
    let cut: String = input.chars().take(shown).collect();
    let more = if cut.len() < input.len() { " ..." } else { "" };
    let at = turn.at.since(started).as_secs_f64();
    text.push_str(&format!("{at:10.3} s  < {cut}{more}\n"));
    for did in &turn.did {
        text.push_str(&format!("              > {did}\n"));
    }
}
