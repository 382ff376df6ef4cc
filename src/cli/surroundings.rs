//! What the settings are read from: the process's environment, its flags, the host.

use std::collections::BTreeMap;
use std::path::Path;

use crate::config::{GivenFlag, Inputs};
use crate::kube::access::Places;

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
            environment: environment.collect(),
            flags,
            hostname,
            namespace: Places::of_this_system().namespace(),
        }
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
    let size = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if size > LONGEST_FILE {
        return Err(format!("{size} bytes are too many, at most {LONGEST_FILE} are read"));
    }
    std::fs::read_to_string(path).map_err(|error| error.to_string())
}
