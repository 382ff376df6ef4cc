//! What this build can do: the only file that reads the features of Cargo.toml. What it lacks is
//! absent from the answers here, and nobody else asks.

use viplet_backend_api::{Backend, Class, Given, Refusal, Tag, Unacceptable};

use crate::config::Mode;

/// The features of this build, as `Cargo.toml` spells them.
pub const FEATURES: &[&str] = &[
    #[cfg(feature = "arp")]
    "arp",
    #[cfg(feature = "bgp")]
    "bgp",
    #[cfg(feature = "manifest")]
    "manifest",
    #[cfg(feature = "record")]
    "record",
];

/// Whether this build prints manifests: a constrained node has no use for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manifests {
    /// `viplet manifest` and `viplet kubeadm` print.
    Printed,
    /// They say what is missing.
    Absent,
}

/// As the feature says.
pub const MANIFESTS: Manifests =
    if cfg!(feature = "manifest") { Manifests::Printed } else { Manifests::Absent };

/// Whether this build can keep the last inputs for `viplet replay`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recording {
    /// It can.
    Possible,
    /// It cannot: a constrained node has neither the memory nor the room for it.
    Absent,
}

/// As the feature says.
pub const RECORDING: Recording =
    if cfg!(feature = "record") { Recording::Possible } else { Recording::Absent };

/// The settings of a mode's own backend: typed, checked, without secrets in their `Debug`, equal
/// if nothing was changed. Only the backend knows what is in them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendSettings(Of);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Of {
    #[cfg(feature = "arp")]
    Arp,
    #[cfg(feature = "bgp")]
    Bgp(Box<viplet_bgp::settings::Declared>),
    /// This build lacks the backend.
    Absent(Mode),
}

impl BackendSettings {
    /// Reads and checks what was given. Where this build lacks the mode's backend nothing is
    /// wrong with its settings: that it is lacking is said of the mode.
    ///
    /// # Errors
    /// Every setting that the backend cannot take, with what is accepted.
    #[allow(unused_variables, reason = "depends on the features")]
    pub fn read(mode: Mode, given: &Given) -> Result<Self, Vec<Unacceptable>> {
        Ok(Self(match mode {
            #[cfg(feature = "arp")]
            Mode::Arp => Of::Arp,
            #[cfg(feature = "bgp")]
            Mode::Bgp => Of::Bgp(Box::new(viplet_bgp::settings::declare(given)?)),
            #[allow(unreachable_patterns, reason = "depends on the features")]
            other => Of::Absent(other),
        }))
    }

    /// What the backend can take, and what is hardly meant so: for the log at the start.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        match &self.0 {
            #[cfg(feature = "bgp")]
            Of::Bgp(declared) => declared.warnings(),
            _ => &[],
        }
    }

    /// The settings by name and value for a person, as kube-vip's dump has them; no secret.
    #[must_use]
    pub fn lines(&self) -> Vec<(&'static str, String)> {
        match &self.0 {
            #[cfg(feature = "bgp")]
            Of::Bgp(declared) => declared.lines(),
            _ => Vec::new(),
        }
    }

    /// Opens the backend; `tag` marks what this instance installs.
    ///
    /// # Errors
    /// When the kernel refuses a socket (the text names the missing capability), or the build
    /// lacks the backend, which the settings' validation has already said.
    #[allow(unused_variables, reason = "depends on the features")]
    pub fn open(&self, tag: Tag) -> Result<Box<dyn Backend>, Refusal> {
        match &self.0 {
            #[cfg(feature = "arp")]
            Of::Arp => Ok(Box::new(viplet_arp::Arp::open(tag)?)),
            #[cfg(feature = "bgp")]
            Of::Bgp(declared) => {
                Ok(Box::new(viplet_bgp::Bgp::from_declared(tag, (**declared).clone())?))
            }
            Of::Absent(mode) => Err(Refusal {
                class: Class::Misconfigured,
                reason: format!("{} mode is not in this build", mode.as_str()),
            }),
        }
    }
}
