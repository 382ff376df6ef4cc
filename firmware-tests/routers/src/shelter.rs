//! Mounts of this process's own, so that FRR runs as who we are and leaves nothing behind.
//!
//! FRR's daemons want a user that is in the group `frrvty`. As another user than the one that
//! starts them, the kernel would no longer end them with the test (`PR_SET_PDEATHSIG`).

use std::fs;
use std::io;

use rustix::mount::{MountFlags, mount, mount_bind};

use crate::folder::Folder;

/// Call it after [`viplet_lab::privilege::acquire`], before any namespace is made.
///
/// # Errors
/// When the kernel refuses a mount.
pub fn make() -> io::Result<()> {
    // Crash logs go there whatever FRR is told.
    mount("viplet", "/var/tmp", "tmpfs", MountFlags::empty(), None)?;
    let groups = fs::read_to_string("/etc/group")?;
    let others = groups.lines().filter(|line| !line.starts_with("frrvty:"));
    let text: String = others.map(|line| format!("{line}\n")).collect();
    let folder = Folder::new("shelter");
    let path = folder.write("group", &format!("{text}frrvty:x:0:root\n"));
    Ok(mount_bind(path, "/etc/group")?)
}
