//! Passwords from a file or a folder: `bgp_password_file`.

use std::fs;
use std::io::{ErrorKind, Read};

use super::reader::Findings;
use super::{Password, Peer};

/// What is at a path.
#[derive(Clone, PartialEq, Eq)]
pub enum File {
    /// A file with this text.
    Text(String),
    /// A folder.
    Folder,
    /// Nothing.
    Absent,
}

/// What is at a path on this machine; a file of at most 4 KiB.
///
/// # Errors
/// The kernel's reason.
pub fn from_disk(path: &str) -> Result<File, String> {
    const MOST: u64 = 4096;
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(File::Absent),
        Err(error) => return Err(error.to_string()),
    };
    if file.metadata().is_ok_and(|about| about.is_dir()) {
        return Ok(File::Folder);
    }
    let mut text = String::new();
    file.take(MOST).read_to_string(&mut text).map_err(|error| error.to_string())?;
    Ok(File::Text(text))
}

const SETTING: &str = "bgp_password_file";

/// The passwords of peers that say none themselves.
pub(super) enum Passwords<'a> {
    None,
    /// The same for all.
    Common(Password),
    /// One file for each in this folder, as a Secret is mounted.
    Folder(String, &'a dyn Fn(&str) -> Result<File, String>),
}

impl<'a> Passwords<'a> {
    pub(super) fn open(
        found: &mut Findings,
        path: &str,
        files: &'a dyn Fn(&str) -> Result<File, String>,
    ) -> Self {
        if path.is_empty() {
            return Self::None;
        }
        match files(path) {
            Ok(File::Text(text)) => first_line(found, path, &text).map_or(Self::None, Self::Common),
            Ok(File::Folder) => Self::Folder(path.to_owned(), files),
            Ok(File::Absent) => {
                let why = format!(
                    "{path} does not exist; accepted: a file with a password, or a folder with a \
                     file for each peer"
                );
                found.refuse(SETTING, why);
                Self::None
            }
            Err(error) => {
                found.refuse(
                    SETTING,
                    format!("cannot read {path}: {error}; accepted: one that can be read"),
                );
                Self::None
            }
        }
    }

    /// That of a peer. In a folder its file has the peer's name, with `-` for what a key of a
    /// Secret cannot have: `192.0.2.1`, `2001-db8--1`, `unnumbered-eth0`. No file: no password.
    pub(super) fn of(&self, found: &mut Findings, peer: &Peer) -> Option<Password> {
        match self {
            Self::None => None,
            Self::Common(password) => Some(password.clone()),
            Self::Folder(folder, files) => {
                let path = format!("{folder}/{}", peer.name().replace([':', '%'], "-"));
                match files(&path) {
                    Ok(File::Text(text)) => first_line(found, &path, &text),
                    Ok(File::Absent | File::Folder) => None,
                    Err(error) => {
                        let why =
                            format!("cannot read {path}: {error}; accepted: one that can be read");
                        found.refuse(SETTING, why);
                        None
                    }
                }
            }
        }
    }
}

/// The password without the end of its line.
fn first_line(found: &mut Findings, path: &str, text: &str) -> Option<Password> {
    let line = text.lines().next().unwrap_or_default();
    if line.is_empty() {
        found.refuse(SETTING, format!("{path} is empty; accepted: a file with a password"));
        return None;
    }
    Some(Password(line.to_owned()))
}
