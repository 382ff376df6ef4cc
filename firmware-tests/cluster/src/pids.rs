//! The processes of the containers, as the machine sees them.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use rustix::process::{Pid, Signal, kill_process};
use viplet_lab::Namespace;

/// The program of an image, viplet's or kube-vip's.
const PROGRAMS: [&str; 2] = ["viplet", "kube-vip"];

/// The process id of viplet (or kube-vip) on a node.
pub fn viplet_on(node: &Namespace) -> Option<u32> {
    let here = node.file().metadata().expect("the namespace's file").ino();
    let ids = fs::read_dir("/proc").expect("/proc").flatten();
    let mut ids = ids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    ids.find(|id| {
        let name = fs::read_to_string(format!("/proc/{id}/comm"));
        let place = fs::metadata(format!("/proc/{id}/ns/net")).map(|file| file.ino());
        name.is_ok_and(|name| PROGRAMS.contains(&name.trim()))
            && place.is_ok_and(|place| place == here)
    })
}

/// Sends a signal to a process.
pub fn signal(id: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(id).expect("a pid")).expect("a pid");
    kill_process(pid, signal).expect("the process exists");
}
