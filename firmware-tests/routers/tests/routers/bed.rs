//! What the tests need: the programs, a shelter for FRR's crash logs, trials that say when they
//! cannot run.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::sync::Arc;

use libtest_mimic::{Failed, Trial};
use viplet_lab::timed;
use viplet_routers::programs::{Kind, Programs};

/// Builds viplet and its example speaker where they are older than their sources, and finds what
/// else is there. Before any namespace is entered: cargo may need the network.
pub(crate) fn prepare() -> Arc<Programs> {
    viplet_lab::binaries::build_viplet();
    if let Some(cargo) = std::env::var_os("CARGO") {
        let example = ["build", "--quiet", "--package", "viplet-bgp", "--example", "speaker"];
        let built = Command::new(cargo).args(example).status();
        assert!(built.is_ok_and(|status| status.success()), "the example speaker does not build");
    }
    Arc::new(Programs::find())
}

/// A test that needs these routers; it says so where one is missing.
pub(crate) fn trial(
    programs: &Arc<Programs>,
    (name, kinds): (&'static str, &'static [Kind]),
    test: fn(&Programs),
) -> Trial {
    let programs = Arc::clone(programs);
    Trial::test(name, move || {
        if let Some(why) = kinds.iter().find_map(|kind| programs.missing(*kind)) {
            println!("SKIPPED: {name}: {why}");
            return Ok(());
        }
        catch_unwind(AssertUnwindSafe(|| timed(name, || test(&programs)))).map_err(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Failed::from(text.unwrap_or_default())
        })
    })
}

/// Runs `test`, and prints what each of `reports` says when it fails.
pub(crate) fn explained(reports: &[&dyn Fn() -> String], test: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(test)) {
        for report in reports {
            println!("{}", report());
        }
        std::panic::resume_unwind(panic);
    }
}
