//! The capabilities of this process. The image's file capabilities only permit them, so that it
//! starts in containers that may not have them all; a process of an ordinary user raises them here.

use rustix::io::Errno;
use rustix::thread::{capabilities, set_capabilities};

/// Makes use of every capability that this thread, and those it starts later, may have.
///
/// # Errors
/// As the kernel says; what is missing is then named by what needs it.
pub fn raise() -> Result<(), Errno> {
    let mut sets = capabilities(None)?;
    if sets.effective == sets.permitted {
        return Ok(());
    }
    sets.effective = sets.permitted;
    set_capabilities(None, sets)
}

#[cfg(test)]
mod tests;
