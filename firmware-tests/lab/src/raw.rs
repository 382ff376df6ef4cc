//! The two calls that have no safe form: leaving a namespace, and code between fork and exec.
//! The workspace denies unsafe code; this module of the tests is where it is allowed.
#![allow(unsafe_code)]

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::process::{Signal, set_parent_process_death_signal};
use rustix::thread::{CapabilitySet, UnshareFlags, remove_capability_from_bounding_set};

/// Moves this thread into fresh namespaces.
pub(crate) fn unshare(flags: UnshareFlags) -> io::Result<()> {
    assert!(!flags.contains(UnshareFlags::FILES), "descriptor tables stay shared");
    // SAFETY: unsafe only with `FILES`, as rustix says, and that is refused above.
    Ok(unsafe { rustix::thread::unshare_unsafe(flags) }?)
}

/// Makes the child die with the thread that starts it, and start without `dropped` capabilities.
pub(crate) fn prepare_child(command: &mut Command, dropped: CapabilitySet) {
    // SAFETY: between fork and exec only system calls are made; nothing is allocated or locked.
    unsafe {
        command.pre_exec(move || {
            for capability in dropped.iter() {
                remove_capability_from_bounding_set(capability)?;
            }
            Ok(set_parent_process_death_signal(Some(Signal::KILL))?)
        });
    }
}
