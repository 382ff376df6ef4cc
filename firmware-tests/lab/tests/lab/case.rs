//! One test: a plan, a body, and the law that holds in all of them.

use std::time::Duration;

use libtest_mimic::Trial;
use viplet_lab::cluster::{Cluster, Plan};
use viplet_lab::timed;

/// Long enough for anything that happens at once, on a loaded machine too.
pub(crate) const SOON: Duration = Duration::from_secs(8);

/// A test in a lab of its own. At no instant may two nodes have one address.
pub(crate) fn trial(name: &str, plan: fn() -> Plan, body: fn(&mut Cluster)) -> Trial {
    trial_with_overlap(name, Duration::ZERO, plan, body)
}

/// The same, where two nodes may have the address for as long as `allowed`.
pub(crate) fn trial_with_overlap(
    name: &str,
    allowed: Duration,
    plan: fn() -> Plan,
    body: fn(&mut Cluster),
) -> Trial {
    let title = name.to_owned();
    Trial::test(name, move || {
        timed(&title, || {
            let mut cluster = Cluster::new(plan());
            body(&mut cluster);
            cluster.assert_single_holder(allowed);
        });
        Ok(())
    })
}

/// Skips a test aloud for want of what the project builds itself; where that is required, fails.
pub(crate) fn skip_unless_required(name: &str, why: &str) {
    assert!(std::env::var_os("VIPLET_REQUIRE_REAL").is_none(), "{name} cannot run: {why}");
    skip(name, why);
}

/// Skips a test aloud.
pub(crate) fn skip(name: &str, why: &str) {
    println!("SKIPPED: {name}: {why}");
}
