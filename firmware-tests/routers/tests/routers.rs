//! The speaker of BGP and BFD with real peers: FRR, BIRD and GoBGP. One test after another, each
//! with machines of its own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

#[path = "routers/attributes.rs"]
mod attributes;
#[path = "routers/bed.rs"]
mod bed;
#[path = "routers/harness.rs"]
mod harness;
#[path = "routers/many.rs"]
mod many;
#[path = "routers/program.rs"]
mod program;
#[path = "routers/recovery.rs"]
mod recovery;
#[path = "routers/refusals.rs"]
mod refusals;
#[path = "routers/sessions.rs"]
mod sessions;
#[path = "routers/speaker.rs"]
mod speaker;
#[path = "routers/stage.rs"]
mod stage;
#[path = "routers/town.rs"]
mod town;
#[path = "routers/traffic.rs"]
mod traffic;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};
use viplet_routers::shelter;

fn main() -> ExitCode {
    let programs = bed::prepare();
    let entered = viplet_lab::privilege::acquire();
    if let Err(why) = entered.and_then(|()| shelter::make().map_err(|why| why.to_string())) {
        println!("SKIPPED: routers: {why}");
        return ExitCode::SUCCESS;
    }
    let mut arguments = Arguments::from_args();
    // One after another: they measure.
    arguments.test_threads = Some(1);
    let groups = [
        harness::trials(&programs),
        sessions::trials(&programs),
        attributes::trials(&programs),
        refusals::trials(&programs),
        recovery::trials(&programs),
        traffic::trials(&programs),
        many::trials(&programs),
        town::trials(&programs),
        program::trials(&programs),
    ];
    let trials: Vec<Trial> = groups.into_iter().flatten().collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}
