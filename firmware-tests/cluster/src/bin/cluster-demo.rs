//! `scripts/demo --cluster`: a real cluster, viplet's DaemonSet in it, and what a client notices of
//! a rolling update, a drain, a kill, and an exchange of kube-vip for viplet.
//!
//! Ends with 0 only when no planned move failed a connection and no address was on two nodes.

use std::process::ExitCode;

use viplet_cluster::demo;
use viplet_cluster::{Parts, confine};

fn main() -> ExitCode {
    if let Err(why) = confine::allowed().and_then(|()| Parts::find().map(drop)) {
        eprintln!("The demo cannot run here: {why}");
        return ExitCode::FAILURE;
    }
    confine::run(demo::run)
}
