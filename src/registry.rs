//! Which backends this build has: the only file that reads the features of Cargo.toml.

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

/// Whether this build has a backend that announces to peers: without one, what shows peers and
/// checks what only such modes need is left out of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peers {
    /// It has.
    Known,
    /// It has not.
    Absent,
}

/// As the features say.
pub const PEERS: Peers = if cfg!(feature = "bgp") { Peers::Known } else { Peers::Absent };

/// What is wrong with the settings of a mode's own backend; nothing where this build lacks it.
#[must_use]
#[allow(unused_variables, reason = "depends on the features")]
pub fn check(mode: Mode, given: &Given) -> Vec<Unacceptable> {
    match mode {
        #[cfg(feature = "bgp")]
        Mode::Bgp => viplet_bgp::settings::check(given),
        _ => Vec::new(),
    }
}

/// Opens the backend of a mode; `tag` marks what this instance installs.
///
/// # Errors
/// When the kernel refuses a socket (the text names the missing capability), or the build lacks
/// the backend, which the settings' validation has already said.
#[allow(unused_variables, reason = "depends on the features")]
pub fn open(mode: Mode, tag: Tag, given: &Given) -> Result<Box<dyn Backend>, Refusal> {
    match mode {
        #[cfg(feature = "arp")]
        Mode::Arp => Ok(Box::new(viplet_arp::Arp::open(tag)?)),
        #[cfg(feature = "bgp")]
        Mode::Bgp => Ok(Box::new(viplet_bgp::Bgp::open_as_given(tag, given)?)),
        #[allow(unreachable_patterns, reason = "depends on the features")]
        other => Err(Refusal {
            class: Class::Misconfigured,
            reason: format!("{} mode is not in this build", other.as_str()),
        }),
    }
}
