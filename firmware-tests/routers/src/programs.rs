//! Where the routers' programs are, and what to say when one is not here.

use std::path::{Path, PathBuf};
use std::process::Command;

/// FRR's daemons and BIRD, as Debian installs them, and GoBGP, as `scripts/kube-apiserver` builds it.
#[derive(Clone, Debug)]
pub struct Programs {
    /// The folder of zebra, bgpd and bfdd.
    pub frr: Result<PathBuf, String>,
    /// The program bird.
    pub bird: Result<PathBuf, String>,
    /// The folder of gobgpd and gobgp.
    pub gobgp: Result<PathBuf, String>,
    /// The real kube-apiserver of the lab, as `scripts/kube-apiserver` builds it.
    pub api_server: Result<PathBuf, String>,
}

/// A real router, and what else a test needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// FRR: zebra, bgpd, bfdd.
    Frr,
    /// BIRD 2.
    Bird,
    /// GoBGP.
    GoBgp,
    /// No router: the real kube-apiserver.
    ApiServer,
}

impl Programs {
    /// Looks for all of them; builds nothing.
    pub fn find() -> Self {
        let frr = first(&["/usr/lib/frr", "/usr/libexec/frr", "/usr/sbin"], "bgpd");
        let bird = first(&["/usr/sbin", "/usr/bin", "/sbin"], "bird").map(|at| at.join("bird"));
        Self {
            frr: frr.ok_or_else(|| "FRR is not installed (Debian: frr)".to_owned()),
            bird: bird.ok_or_else(|| "BIRD is not installed (Debian: bird2)".to_owned()),
            gobgp: built(&["--gobgp"]),
            api_server: built(&[]),
        }
    }

    /// Why this router cannot be started here, if so.
    pub fn missing(&self, kind: Kind) -> Option<&str> {
        let found = match kind {
            Kind::Frr => &self.frr,
            Kind::Bird => &self.bird,
            Kind::GoBgp => &self.gobgp,
            Kind::ApiServer => &self.api_server,
        };
        found.as_ref().err().map(String::as_str)
    }
}

fn first(folders: &[&str], program: &str) -> Option<PathBuf> {
    folders.iter().map(PathBuf::from).find(|folder| folder.join(program).is_file())
}

/// What `scripts/kube-apiserver` has built.
fn built(which: &[&str]) -> Result<PathBuf, String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/kube-apiserver");
    let output =
        Command::new(script).args(which).arg("--find").output().map_err(|why| why.to_string())?;
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() {
        Ok(PathBuf::from(said(&output.stdout)))
    } else {
        Err(said(&output.stderr))
    }
}
