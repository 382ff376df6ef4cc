//! An initramfs: a cpio archive in the form "newc", as the kernel unpacks it.

use std::fmt::Write as _;

const FOLDER: u32 = 0o040_555;
const PROGRAM: u32 = 0o100_555;
const CONSOLE: u32 = 0o020_600;
/// The device number of /dev/console, which the kernel opens for the first process.
const CONSOLE_NUMBER: (u32, u32) = (5, 1);

/// The archive under construction.
#[derive(Debug, Default)]
pub(crate) struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

impl Archive {
    /// With /dev/console, and folders to mount on.
    pub(crate) fn new() -> Self {
        let mut archive = Self::default();
        for folder in ["dev", "proc", "sys", "modules"] {
            archive.entry(folder, FOLDER, (0, 0), &[]);
        }
        archive.entry("dev/console", CONSOLE, CONSOLE_NUMBER, &[]);
        archive
    }

    /// Adds a file that can be read and executed.
    pub(crate) fn file(&mut self, name: &str, content: &[u8]) {
        self.entry(name, PROGRAM, (0, 0), content);
    }

    /// The whole archive.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, (0, 0), &[]);
        self.bytes
    }

    fn entry(&mut self, name: &str, mode: u32, (major, minor): (u32, u32), content: &[u8]) {
        self.entries += 1;
        let length = |length: usize| u32::try_from(length).expect("less than 4 GiB");
        let fields = [
            self.entries,
            mode,
            0, // user
            0, // group
            1, // links
            0, // time
            length(content.len()),
            0, // device of the file system
            0,
            major,
            minor,
            length(name.len() + 1),
            0, // checksum
        ];
        let mut head = String::from("070701");
        for field in fields {
            let _ = write!(head, "{field:08x}");
        }
        self.bytes.extend(head.as_bytes());
        self.bytes.extend(name.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend(content);
        self.pad();
    }

    fn pad(&mut self) {
        let padded = self.bytes.len().next_multiple_of(4);
        self.bytes.resize(padded, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_entry_begins_at_a_multiple_of_four_and_the_trailer_is_last() {
        let mut archive = Archive::new();
        archive.file("one", b"12345");
        let bytes = archive.finish();
        let text = String::from_utf8_lossy(&bytes);
        let places: Vec<usize> = text.match_indices("070701").map(|(place, _)| place).collect();
        assert_eq!(places.len(), 7);
        assert!(places.iter().all(|place| place % 4 == 0));
        assert!(text.contains("12345\0\0\x00070701"));
        assert!(text[places[6]..].contains("TRAILER!!!"));
    }
}
