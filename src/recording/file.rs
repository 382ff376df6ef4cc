//! A recording's file. The event loop writes it, so nothing here waits for anybody.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;

/// Longer than any recording, in bytes: what is longer is no recording, and may have no end.
const LONGEST: u64 = 256 << 20;

/// Writes a recording to a regular file, which only its owner may read when it is new.
///
/// # Errors
/// Where something else has the name: a pipe would make the caller wait for its reader. Else as the
/// kernel says.
pub fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    options.custom_flags(OFlags::NONBLOCK.bits().cast_signed());
    let mut file = options.open(path).map_err(|error| match error.raw_os_error() {
        // A pipe without a reader.
        Some(code) if code == rustix::io::Errno::NXIO.raw_os_error() => not_regular(),
        _ => error,
    })?;
    if !file.metadata()?.is_file() {
        return Err(not_regular());
    }
    file.set_len(0)?;
    file.write_all(text.as_bytes())
}

/// Reads a file; letters that are cut in two or wrong are replaced.
///
/// # Errors
/// When it is too long to be a recording. Else as the kernel says.
pub fn read(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LONGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LONGEST {
        return Err(io::Error::other("it is too long to be a recording"));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn not_regular() -> io::Error {
    io::Error::other("it is no regular file")
}

#[cfg(test)]
mod tests;
