//! The right to make namespaces: root has it, others get it in a user namespace of their own.

use std::fs;

use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::process::{getgid, getuid};
use rustix::thread::UnshareFlags;

use crate::raw;

/// Call first in `main`, before any thread exists: when not root, moves the process into a user
/// namespace in which it is; then gives it mounts of its own.
///
/// # Errors
/// A text for the user: what is refused here and what to do.
pub fn acquire() -> Result<(), String> {
    if !getuid().is_root() {
        become_root().map_err(|why| {
            format!(
                "this needs the right to make network namespaces, and this machine refuses it to \
                 ordinary users ({why}). Use sudo."
            )
        })?;
    }
    raw::unshare(UnshareFlags::NEWNS).map_err(|why| refusal("a mount namespace", &why))?;
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .map_err(|why| refusal("private mounts", &why.into()))?;
    // Tried here, so that the refusal is told before anything is built.
    raw::unshare(UnshareFlags::NEWNET).map_err(|why| refusal("a network namespace", &why))
}

fn refusal(what: &str, why: &std::io::Error) -> String {
    format!(
        "{what} is refused here ({why}). Use sudo; in a container, run it with --privileged or \
         with the capabilities SYS_ADMIN and NET_ADMIN."
    )
}

fn become_root() -> std::io::Result<()> {
    let (user, group) = (getuid().as_raw(), getgid().as_raw());
    raw::unshare(UnshareFlags::NEWUSER)?;
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("0 {user} 1"))?;
    fs::write("/proc/self/gid_map", format!("0 {group} 1"))?;
    Ok(())
}
