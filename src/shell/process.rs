//! This process as the kernel accounts for it: memory, processor time, start, open files. Read
//! from `/proc/self` and a clock, only when somebody asks.

use std::fs;
use std::time::{Duration, SystemTime};

use rustix::time::{ClockId, clock_gettime};

/// Clock ticks per second in `/proc` (`USER_HZ`, proc(5)): 100 on every target that we build.
const USER_HZ: f64 = 100.0;

/// What is known; `None` where `/proc` is not mounted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Process {
    /// Resident memory in bytes.
    pub resident_bytes: Option<u64>,
    /// Processor time used so far, in seconds.
    pub cpu_seconds: f64,
    /// When it started, in seconds since 1970.
    pub started: Option<f64>,
    /// Open file descriptors.
    pub open_files: Option<usize>,
}

impl Process {
    /// Reads it now. `started` is what [`Process::started`] said once: the sum of two clocks
    /// would come out a little different each time, and look like a restart.
    #[must_use]
    pub fn now(started: Option<f64>) -> Self {
        let status = fs::read_to_string("/proc/self/status").ok();
        Self {
            resident_bytes: status.and_then(|text| resident(&text)),
            cpu_seconds: seconds(ClockId::ProcessCPUTime),
            started,
            // The descriptor of this very listing is one of them.
            open_files: fs::read_dir("/proc/self/fd").ok().map(|fds| fds.count().saturating_sub(1)),
        }
    }

    /// When this process started, in seconds since 1970.
    #[must_use]
    pub fn started() -> Option<f64> {
        let stat = fs::read_to_string("/proc/self/stat").ok()?;
        let age = seconds(ClockId::Boottime) - ticks_at_start(&stat)? / USER_HZ;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok()?;
        Some(now.as_secs_f64() - age)
    }
}

fn seconds(clock: ClockId) -> f64 {
    let time = clock_gettime(clock);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or_default(),
        u32::try_from(time.tv_nsec).unwrap_or_default(),
    )
    .as_secs_f64()
}

/// `VmRSS` of `/proc/self/status`, in bytes.
fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

/// Field 22 of `/proc/self/stat`. Field 2 is the program's name in brackets, which may itself
/// hold blanks and brackets.
fn ticks_at_start(stat: &str) -> Option<f64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_ascii_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests;
