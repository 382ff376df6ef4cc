//! Which viplet this is: its version, and the commit it was built from.

/// The release, from Cargo.toml.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The git commit, when the environment variable `VIPLET_BUILD` named it at build time.
pub const BUILD: &str = match option_env!("VIPLET_BUILD") {
    Some(commit) => commit,
    None => "unknown",
};
