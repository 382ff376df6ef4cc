//! `scripts/demo`: three nodes, one virtual address, and everything that may happen to its holder.

use std::process::ExitCode;

fn main() -> ExitCode {
    // First of all: a user namespace is entered while there is one thread only.
    match viplet_lab::privilege::acquire() {
        Ok(()) => viplet_lab::demo::run(),
        Err(why) => {
            eprintln!("scripts/demo: {why}");
            ExitCode::FAILURE
        }
    }
}
