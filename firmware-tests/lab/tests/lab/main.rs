//! The lab's tests: the real binary on a real kernel. A few at once, each in a lab of its own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

mod api;
mod bed;
mod beside;
mod case;
mod instruments;
mod manifests;
mod moving;
mod names;
mod node;
mod program;
mod rivals;
mod services_changing;
mod services_constrained;
mod services_holding;
mod services_links;
mod services_mixed;
mod services_moving;
mod services_where;
mod services_which;
mod services_written;
mod taking;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};
use viplet_lab::rtnl::{LinkState, Rtnl};

/// A lab waits more than it computes: two processors do for as many as this.
const AT_ONCE: usize = 4;

fn main() -> ExitCode {
    viplet_lab::binaries::build_viplet();
    if let Err(why) = viplet_lab::privilege::acquire() {
        println!("SKIPPED: lab: {why}");
        return if std::env::var_os("VIPLET_REQUIRE_REAL").is_some() {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        };
    }
    // The tests of manifests have their API server here, all others in namespaces of their own.
    Rtnl::open().set_up("lo", LinkState::Up).expect("lo comes up");
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(arguments.test_threads.unwrap_or(AT_ONCE));
    let groups = [
        instruments::trials(),
        taking::trials(),
        moving::trials(),
        api::trials(),
        node::trials(),
        beside::trials(),
        program::trials(),
        names::trials(),
        rivals::trials(),
        services_which::trials(),
        services_links::trials(),
        services_holding::trials(),
        services_where::trials(),
        services_written::trials(),
        services_changing::trials(),
        services_moving::trials(),
        services_mixed::trials(),
        manifests::trials(&arguments),
    ];
    let others = groups.into_iter().flatten();
    // What needs the static program can be run apart, when that has been built.
    let trials: Vec<Trial> = match std::env::var("VIPLET_LAB").as_deref() {
        Ok("static") => services_constrained::trials(),
        Ok("others") => others.collect(),
        _ => others.chain(services_constrained::trials()).collect(),
    };
    let conclusion = libtest_mimic::run(&arguments, trials);
    bed::close();
    manifests::close();
    conclusion.exit_code()
}
