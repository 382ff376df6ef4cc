//! The demo: a lab of three nodes whose holder of the address is stopped, killed, frozen and
//! powered off in turn, told so that nobody needs to know what a lease is.

mod interrupt;
mod journal;
mod observe;
mod screen;
mod stage;
mod story;
mod summary;
mod table;

use std::process::ExitCode;

use self::screen::Screen;
use self::stage::{Ending, Stage};

/// Exit status after Ctrl-C, as shells have it: 128 + SIGINT.
const INTERRUPTED: u8 = 130;

/// Plays the whole demo on standard output; fails when the address was ever on two nodes or did not
/// come back.
pub fn run() -> ExitCode {
    crate::binaries::viplet();
    let mut stage = Stage::set(Screen::open());
    let ending = story::play(&mut stage);
    if ending == Err(Ending::Interrupted) {
        stage.close("Interrupted: the lab is taken down.");
        return ExitCode::from(INTERRUPTED);
    }
    let outcomes = stage.outcomes().to_vec();
    let verdict = summary::Verdict::of(&outcomes, &ending, stage.most_holders());
    stage.sum_up(&summary::lines(&outcomes), &verdict);
    if verdict.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
