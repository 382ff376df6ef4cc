//! Tests in a real cluster, one after another in the same one.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

mod bed;
mod dropin;
mod installing;
mod probes;
mod scenes;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};
use viplet_cluster::{Parts, confine, parts};

fn main() -> ExitCode {
    if std::env::args().any(|argument| argument == "--list") {
        return list();
    }
    let missing = confine::allowed().and_then(|()| Parts::find().map(drop));
    if let Err(why) = missing {
        println!("SKIPPED: cluster: {why}");
        return match std::env::var_os("VIPLET_REQUIRE_REAL") {
            Some(_) => ExitCode::FAILURE,
            None => ExitCode::SUCCESS,
        };
    }
    confine::run(|| {
        let mut arguments = Arguments::from_args();
        arguments.test_threads = Some(1);
        let conclusion = libtest_mimic::run(&arguments, trials());
        bed::close();
        conclusion.exit_code()
    })
}

fn trials() -> Vec<Trial> {
    let mut groups =
        vec![installing::trials(), scenes::trials(), probes::trials(), dropin::trials()];
    // Minutes for figures of a program that is not ours: only for who asks.
    if parts::kube_vip().is_some() && std::env::var_os("VIPLET_COMPARE").is_some() {
        groups.push(scenes::compared());
    }
    groups.into_iter().flatten().collect()
}

fn list() -> ExitCode {
    libtest_mimic::run(&Arguments::from_args(), trials()).exit_code()
}
