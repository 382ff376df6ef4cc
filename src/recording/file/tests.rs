//! A recording goes into a file and nowhere else.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use super::*;

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("viplet-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_shorter_recording_replaces_a_longer_one_and_only_its_owner_reads_it() {
    let folder = Folder::new("replaced");
    let path = folder.0.join("recording");
    write(&path, "a longer one\n").unwrap();
    write(&path, "short\n").unwrap();
    assert_eq!(read(&path).unwrap(), "short\n");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_pipe_without_a_reader_is_refused_at_once() {
    let folder = Folder::new("pipe");
    let path = folder.0.join("pipe");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    assert_eq!(write(&path, "text").unwrap_err().to_string(), "it is no regular file");
}

#[test]
fn a_folder_and_a_device_are_refused() {
    let folder = Folder::new("folder");
    write(&folder.0, "text").unwrap_err();
    assert_eq!(write(Path::new("/dev/null"), "").unwrap_err().to_string(), "it is no regular file");
}

#[test]
fn a_letter_that_is_cut_in_two_does_not_hide_the_rest() {
    let folder = Folder::new("letter");
    let path = folder.0.join("recording");
    fs::write(&path, b"one\n\xc3").unwrap();
    assert_eq!(read(&path).unwrap(), "one\n\u{fffd}");
}
