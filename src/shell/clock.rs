//! The clock: `CLOCK_BOOTTIME`, which counts time in suspend and which nobody sets.

use std::io;
use std::os::fd::OwnedFd;
use std::task::{Context, Poll};
use std::time::Duration;

use async_io::Async;
use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime,
    timerfd_create, timerfd_settime,
};

use crate::core::Moment;

/// Now.
#[must_use]
pub fn now() -> Moment {
    let time = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u32::try_from(time.tv_nsec).unwrap_or(0);
    Moment::from_boot(Duration::new(seconds, nanos))
}

/// A timer on the same clock: a deadline that passed during suspend fires when the machine wakes,
/// not the rest of its time later.
#[derive(Debug)]
pub struct Timer {
    descriptor: Async<OwnedFd>,
    set_to: Option<Moment>,
}

impl Timer {
    /// A timer that is not set.
    ///
    /// # Errors
    /// When the kernel has no more descriptors.
    pub fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let descriptor = timerfd_create(TimerfdClockId::Boottime, flags)?;
        Ok(Self { descriptor: Async::new_nonblocking(descriptor)?, set_to: None })
    }

    /// Ready when `at` has come. Never ready for `None`.
    ///
    /// # Errors
    /// When the kernel refuses to set it.
    pub fn poll_at(&mut self, at: Option<Moment>, cx: &mut Context<'_>) -> io::Result<Poll<()>> {
        let Some(at) = at else { return Ok(Poll::Pending) };
        if at <= now() {
            return Ok(Poll::Ready(()));
        }
        if self.set_to != Some(at) {
            self.set(at)?;
            self.set_to = Some(at);
        }
        loop {
            match self.descriptor.poll_readable(cx) {
                Poll::Ready(ready) => ready?,
                Poll::Pending => return Ok(Poll::Pending),
            }
            let mut expirations = [0; 8];
            match rustix::io::read(&self.descriptor, &mut expirations) {
                Ok(_) if at <= now() => return Ok(Poll::Ready(())),
                Ok(_) | Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn set(&self, at: Moment) -> io::Result<()> {
        let since_boot = at.since_boot();
        let value = Timespec {
            tv_sec: i64::try_from(since_boot.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: since_boot.subsec_nanos().into(),
        };
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
        timerfd_settime(&self.descriptor, TimerfdTimerFlags::ABSTIME, &once)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
