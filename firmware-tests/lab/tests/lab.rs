//! The lab's tests: the real binary on a real kernel. One after another, each in a lab of its own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

#[path = "lab/api.rs"]
mod api;
#[path = "lab/bed.rs"]
mod bed;
#[path = "lab/case.rs"]
mod case;
#[path = "lab/instruments.rs"]
mod instruments;
#[path = "lab/moving.rs"]
mod moving;
#[path = "lab/names.rs"]
mod names;
#[path = "lab/node.rs"]
mod node;
#[path = "lab/program.rs"]
mod program;
#[path = "lab/rivals.rs"]
mod rivals;
#[path = "lab/services_changing.rs"]
mod services_changing;
#[path = "lab/services_constrained.rs"]
mod services_constrained;
#[path = "lab/services_holding.rs"]
mod services_holding;
#[path = "lab/services_links.rs"]
mod services_links;
#[path = "lab/services_mixed.rs"]
mod services_mixed;
#[path = "lab/services_moving.rs"]
mod services_moving;
#[path = "lab/services_where.rs"]
mod services_where;
#[path = "lab/services_which.rs"]
mod services_which;
#[path = "lab/services_written.rs"]
mod services_written;
#[path = "lab/taking.rs"]
mod taking;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

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
    let mut arguments = Arguments::from_args();
    // One lab at a time: they measure.
    arguments.test_threads = Some(1);
    let groups = [
        instruments::trials(),
        taking::trials(),
        moving::trials(),
        api::trials(),
        node::trials(),
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
        services_constrained::trials(),
        services_mixed::trials(),
    ];
    let trials: Vec<Trial> = groups.into_iter().flatten().collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    bed::close();
    conclusion.exit_code()
}
