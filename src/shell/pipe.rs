//! Writing to stdout and stderr without ever waiting: when nobody reads the pipe behind them (a
//! hung container runtime, a terminal on hold), a line is lost, not the address.

use std::io;
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// As much as a pipe that polls writable takes at once (`PIPE_BUF`, pipe(7)).
pub const AT_ONCE: usize = 4096;

/// Writes all of it, or as much as can be written without waiting.
///
/// # Errors
/// `WouldBlock` when nobody reads; else as the kernel says.
pub fn offer(to: impl AsFd, bytes: &[u8]) -> io::Result<()> {
    let to = to.as_fd();
    for mut chunk in bytes.chunks(AT_ONCE) {
        while !chunk.is_empty() {
            let mut polled = [PollFd::new(&to, PollFlags::OUT)];
            if poll(&mut polled, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))? == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let written = rustix::io::write(to, chunk)?;
            chunk = chunk.get(written..).unwrap_or_default();
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
