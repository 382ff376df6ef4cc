//! The speaker of BGP and BFD with real peers: FRR, BIRD and GoBGP. A few tests at once,
//! each with machines of its own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

mod attributes;
mod bed;
mod cluster;
mod harness;
mod many;
mod program;
mod recovery;
mod refusals;
mod sessions;
mod speaker;
mod stage;
mod traffic;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};
use viplet_routers::shelter;

/// Routers wait more than they compute: two processors do for as many tests as this.
const AT_ONCE: usize = 4;

fn main() -> ExitCode {
    let programs = bed::prepare();
    let entered = viplet_lab::privilege::acquire();
    if let Err(why) = entered.and_then(|()| shelter::make().map_err(|why| why.to_string())) {
        println!("SKIPPED: routers: {why}");
        return ExitCode::SUCCESS;
    }
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(arguments.test_threads.unwrap_or(AT_ONCE));
    let groups = [
        harness::trials(&programs),
        sessions::trials(&programs),
        attributes::trials(&programs),
        refusals::trials(&programs),
        recovery::trials(&programs),
        traffic::trials(&programs),
        many::trials(&programs),
        cluster::trials(&programs),
        program::trials(&programs),
    ];
    let trials: Vec<Trial> = groups.into_iter().flatten().collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}
