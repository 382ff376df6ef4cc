//! Where the routers' programs are, and what to say when one is not here.

use std::path::{Path, PathBuf};
use std::process::Command;

/// FRR's daemons and BIRD, as Debian installs them, and GoBGP, as `scripts/routers` builds it.
#[derive(Clone, Debug)]
pub struct Programs {
    /// The folder of zebra, bgpd and bfdd.
    pub frr: Result<PathBuf, String>,
    /// The program bird.
    pub bird: Result<PathBuf, String>,
    /// The folder of gobgpd and gobgp.
    pub gobgp: Result<PathBuf, String>,
}

/// A real router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// FRR: zebra, bgpd, bfdd.
    Frr,
    /// BIRD 2.
    Bird,
    /// GoBGP.
    GoBgp,
}

impl Programs {
    /// Looks for all of them; builds nothing.
    pub fn find() -> Self {
        let frr = first(&["/usr/lib/frr", "/usr/libexec/frr", "/usr/sbin"], "bgpd");
        let bird = first(&["/usr/sbin", "/usr/bin", "/sbin"], "bird").map(|at| at.join("bird"));
        Self {
            frr: frr.ok_or_else(|| "FRR is not installed (Debian: frr)".to_owned()),
            bird: bird.ok_or_else(|| "BIRD is not installed (Debian: bird2)".to_owned()),
            gobgp: gobgp(),
        }
    }

    /// Why this router cannot be started here, if so.
    pub fn missing(&self, kind: Kind) -> Option<&str> {
        let found = match kind {
            Kind::Frr => &self.frr,
            Kind::Bird => &self.bird,
            Kind::GoBgp => &self.gobgp,
        };
        found.as_ref().err().map(String::as_str)
    }
}

fn first(folders: &[&str], program: &str) -> Option<PathBuf> {
    folders.iter().map(PathBuf::from).find(|folder| folder.join(program).is_file())
}

fn gobgp() -> Result<PathBuf, String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/routers");
    let output = Command::new(script).arg("--find").output().map_err(|why| why.to_string())?;
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() {
        Ok(PathBuf::from(said(&output.stdout)))
    } else {
        Err(said(&output.stderr))
    }
}
