//! Where the programs are: `scripts/kube-apiserver` decides, here its answer is read.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A kube-apiserver binary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Program {
    /// Ours, with etcd inside.
    Whole(PathBuf),
    /// A released one (`KUBEBUILDER_ASSETS`), with the etcd that lies beside it.
    Released {
        /// kube-apiserver.
        server: PathBuf,
        /// etcd.
        etcd: PathBuf,
    },
}

impl Program {
    /// The API server of this machine. Never builds one.
    ///
    /// # Errors
    /// The reason why there is none, for a person.
    pub fn find() -> Result<Self, String> {
        let server = ask(&["--find"])?;
        Ok(match server.file_name().is_some_and(|name| name == "kube-apiserver") {
            true => Self::Released { etcd: server.with_file_name("etcd"), server },
            false => Self::Whole(server),
        })
    }
}

/// The client-go election candidate of this machine. Never builds one. Its flags are in
/// `firmware-tests/go/candidate/main.go`.
///
/// # Errors
/// The reason why there is none, for a person.
pub fn find_candidate() -> Result<PathBuf, String> {
    ask(&["--candidate", "--find"])
}

/// The program that renders what kustomize and Helm make of `manifests/`. Never builds one. How it
/// is called is in `firmware-tests/go/render/main.go`.
///
/// # Errors
/// The reason why there is none, for a person.
pub fn find_renderer() -> Result<PathBuf, String> {
    ask(&["--render", "--find"])
}

fn ask(arguments: &[&str]) -> Result<PathBuf, String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/kube-apiserver");
    let output = Command::new(&script).args(arguments).output();
    let output = output.map_err(|error| format!("{} cannot be run: {error}", script.display()))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    match output.status.success() {
        true => Ok(PathBuf::from(text(&output.stdout))),
        false => Err(text(&output.stderr)),
    }
}
