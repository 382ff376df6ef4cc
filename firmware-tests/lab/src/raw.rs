//! What has no safe form: leaving a namespace, code between fork and exec, link-layer addresses.
//! The workspace denies unsafe code; this module of the tests is where it is allowed.
#![allow(unsafe_code)]

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::process::{Signal, set_parent_process_death_signal};
use rustix::thread::{CapabilitySet, UnshareFlags, remove_capability_from_bounding_set};
use socket2::{SockAddr, SockAddrStorage};

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

/// `struct sockaddr_ll` (packet(7)) that says only which link a frame leaves by.
pub(crate) fn link_address(index: u32) -> SockAddr {
    #[repr(C)]
    struct SockAddrLl {
        family: u16,
        protocol: u16,
        index: i32,
        rest: [u8; 12],
    }
    const AF_PACKET: u16 = 17;
    let mut storage = SockAddrStorage::zeroed();
    // SAFETY: the struct is plain integers without padding, smaller than sockaddr_storage.
    let view = unsafe { storage.view_as::<SockAddrLl>() };
    view.family = AF_PACKET;
    view.index = i32::try_from(index).expect("an index");
    // SAFETY: the family is AF_PACKET and a whole sockaddr_ll is initialised.
    unsafe { SockAddr::new(storage, 20) }
}
