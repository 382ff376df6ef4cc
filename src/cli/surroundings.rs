//! What the settings are read from: the process's environment, its flags, the host.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use crate::config::{GivenFlag, Inputs};
use crate::kube::access::Places;
use crate::ordered;

/// Settings may not fill the memory.
const LONGEST_FILE: u64 = 1 << 20;

/// What was found at the start.
#[derive(Clone, Debug)]
pub struct Surroundings {
    environment: BTreeMap<String, String>,
    flags: Vec<GivenFlag>,
    hostname: String,
    namespace: Option<String>,
}

impl Surroundings {
    /// Looks around; `flags` are those of the command line.
    #[must_use]
    pub fn look(flags: Vec<GivenFlag>) -> Self {
        let text = |value: std::ffi::OsString| value.to_string_lossy().into_owned();
        let environment = std::env::vars_os().map(|(name, value)| (text(name), text(value)));
        let hostname = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Self {
            environment: ordered::map(environment),
            flags,
            hostname,
            namespace: Places::of_this_system().namespace(),
        }
    }

    /// With this value for a setting that nobody gives another one.
    #[must_use]
    pub fn presuming(mut self, setting: &'static str, flag: &str, value: &str) -> Self {
        let given = GivenFlag { flag: flag.to_owned(), setting, value: Some(value.to_owned()) };
        self.flags.insert(0, given);
        self
    }

    /// As the settings' loader wants it.
    #[must_use]
    pub fn inputs(&self) -> Inputs<'_> {
        Inputs {
            environment: self.environment.clone(),
            flags: self.flags.clone(),
            hostname: self.hostname.clone(),
            service_account_namespace: self.namespace.clone(),
            read_file: &read_file,
        }
    }
}

fn read_file(path: &Path) -> Result<String, String> {
    let file = std::fs::File::open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => "config file does not exist".to_owned(),
        _ => error.to_string(),
    })?;
    let mut text = String::new();
    file.take(LONGEST_FILE + 1).read_to_string(&mut text).map_err(|error| error.to_string())?;
    if text.len() as u64 > LONGEST_FILE {
        return Err(format!("it is too long: at most {LONGEST_FILE} bytes are read"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests;
