//! One contract for both API servers: each case runs against the model and against the real
//! kube-apiserver, where its answers must have the same shape as the model's.
//!
//! A real server that is missing makes its cases SKIPPED, loudly; with `VIPLET_REQUIRE_REAL=1` they fail.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

mod bench;
mod client_go;
mod deleting;
mod listing;
mod objects;
mod ours;
mod ours_services;
mod patching;
mod servers;
mod services;
mod shape;
mod watching;
mod writing;

use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;

use bench::Bench;
use servers::{RealServers, Server};
use viplet_kubeapi::timed;

/// One behaviour.
#[derive(Clone, Copy)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) run: fn(&Bench<'_>),
    pub(crate) server: Wanted,
}

/// Which server a case runs on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// One that others use as well.
    Shared,
    /// One of its own, because it makes the server forget.
    OfItsOwn,
}

/// Makes the list of cases of a module: `cases![name, ...]`.
macro_rules! cases {
    ($($name:ident),* $(,)?) => {
        pub(crate) const CASES: &[crate::Case] = &[$(crate::Case {
            name: stringify!($name), run: $name, server: crate::Wanted::Shared,
        }),*];
    };
}
pub(crate) use cases;

fn all_cases() -> impl Iterator<Item = Case> {
    let groups = [
        writing::CASES,
        patching::CASES,
        deleting::CASES,
        listing::CASES,
        watching::CASES,
        watching::FORGETFUL,
        ours::CASES,
        ours::FORGETFUL,
        services::CASES,
        ours_services::CASES,
    ];
    groups.into_iter().flatten().copied()
}

/// What becomes of a test whose real server cannot be had here (`VIPLET_REQUIRE_REAL=1`: it fails).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum WhereMissing {
    Fail,
    Skip,
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let where_missing = match std::env::var_os("VIPLET_REQUIRE_REAL") {
        Some(value) if value == "1" => WhereMissing::Fail,
        _ => WhereMissing::Skip,
    };
    let missing = RealServers::missing();
    let real = Arc::new(RealServers::default());
    let skipped = Arc::new(Mutex::new(0));
    let mut trials = Vec::new();
    for case in all_cases() {
        let title = case.name.replace('_', " ");
        let model = format!("model: {title}");
        trials.push(Trial::test(model.clone(), move || {
            timed(&model, || on_model(case));
            Ok(())
        }));
        let (real, name) = (Arc::clone(&real), format!("real: {title}"));
        trials.push(match &missing {
            Some(why) if where_missing == WhereMissing::Fail => {
                let why = format!("VIPLET_REQUIRE_REAL=1, but {why}");
                Trial::test(name, move || Err(Failed::from(why)))
            }
            Some(why) => {
                if !arguments.list {
                    println!("SKIPPED: {name}: {why}");
                    *skipped.lock().unwrap() += 1;
                }
                Trial::test(name, || Ok(())).with_ignored_flag(true)
            }
            None => Trial::test(name.clone(), move || {
                timed(&name, || {
                    let theirs = real.with(case.server, |server| run(case, server))?;
                    let ours = on_model(case);
                    shape::compare(&theirs, &ours).map_err(Failed::from)
                })
            }),
        });
    }
    trials.push(client_go::trial(where_missing, &arguments));
    let conclusion = libtest_mimic::run(&arguments, trials);
    drop(real);
    let skipped = *skipped.lock().unwrap();
    if skipped > 0 {
        println!(
            "SKIPPED {skipped} contract tests of the real kube-apiserver: {}",
            missing.unwrap()
        );
    }
    conclusion.exit_code()
}

fn on_model(case: Case) -> Vec<Value> {
    run(case, &Server::model())
}

/// Runs a case; what comes back are its answers, slimmed.
fn run(case: Case, server: &Server) -> Vec<Value> {
    let bench = Bench::new(server, case.name);
    (case.run)(&bench);
    bench.transcript()
}
