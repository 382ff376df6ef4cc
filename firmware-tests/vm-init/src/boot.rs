//! From the kernel's start to a machine that can be given orders.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::mount::{MountFlags, mount, mount_remount};
use rustix::system::{RebootCommand, finit_module, reboot};
use rustix::time::{ClockId, clock_gettime};

/// How long a device may take to appear after its module was loaded.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// The time since the kernel started its clock.
pub(crate) fn since_start() -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    Duration::from_secs(seconds) + Duration::from_nanos(u64::try_from(now.tv_nsec).unwrap_or(0))
}

/// /proc, /sys and /dev, and all of them and the root read-only. Devices can be written to all the same.
pub(crate) fn mount_read_only() -> io::Result<()> {
    let what = |what: &'static str| move |why| io::Error::other(format!("{what}: {why}"));
    for (kind, place) in [("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev")] {
        mount(kind, place, kind, MountFlags::empty(), None).map_err(what(place))?;
        // This mount only: the kernel itself has to add devices to its file system.
        let flags = MountFlags::RDONLY | MountFlags::BIND;
        mount_remount(place, flags, "").map_err(what("read-only"))?;
    }
    mount_remount("/", MountFlags::RDONLY, "").map_err(what("the root read-only"))
}

/// Loads what is in the folder, in the order of the names.
pub(crate) fn load_modules(folder: &Path) -> io::Result<()> {
    let mut paths: Vec<_> =
        fs::read_dir(folder)?.filter_map(|one| Some(one.ok()?.path())).collect();
    paths.sort();
    for path in paths {
        finit_module(File::open(&path)?, c"", 0)
            .map_err(|why| io::Error::other(format!("{}: {why}", path.display())))?;
    }
    Ok(())
}

/// Opens the virtio port of this name.
pub(crate) fn open_port(name: &str) -> io::Result<File> {
    let device = appears("the virtio port", || {
        let ports = fs::read_dir("/sys/class/virtio-ports").ok()?;
        let named = |path: &Path| {
            fs::read_to_string(path.join("name")).is_ok_and(|found| found.trim() == name)
        };
        let ours = ports.filter_map(|one| Some(one.ok()?.path())).find(|path| named(path))?;
        Some(Path::new("/dev").join(ours.file_name()?))
    })?;
    let open = || OpenOptions::new().read(true).write(true).open(&device).ok();
    appears("its device", open)
}

/// Waits until a device is there.
pub(crate) fn appears<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> io::Result<T> {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if let Some(found) = look() {
            return Ok(found);
        }
        thread::sleep(LOOK_AGAIN);
    }
    Err(io::Error::other(format!("{what} did not appear")))
}

/// Ends the machine.
pub(crate) fn power_off() {
    let _ = reboot(RebootCommand::PowerOff);
}
