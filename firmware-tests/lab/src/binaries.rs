//! Where the programs under test are.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// The viplet binary: `VIPLET_BIN`, or the one that cargo builds beside this program.
pub fn viplet() -> PathBuf {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    FOUND.get_or_init(find_viplet).clone()
}

/// Builds viplet when cargo runs us (so that no stale binary is tested). Call it before any
/// namespace is entered: cargo may need the network.
pub fn build_viplet() {
    let given = std::env::var_os("VIPLET_BIN").is_some();
    if let (false, Some(cargo)) = (given, std::env::var_os("CARGO")) {
        let built = Command::new(cargo).args(["build", "--quiet", "--package", "viplet"]).status();
        assert!(built.is_ok_and(|status| status.success()), "viplet does not build");
    }
}

fn find_viplet() -> PathBuf {
    if let Some(given) = std::env::var_os("VIPLET_BIN") {
        return std::fs::canonicalize(&given).expect("VIPLET_BIN names a file");
    }
    let here = std::env::current_exe().expect("our own path");
    // target/debug/deps/lab-1234 and target/debug/demo alike.
    here.ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join("viplet"))
        .find(|path| path.is_file())
        .expect("no viplet binary beside this one: run `cargo build -p viplet`, or set VIPLET_BIN")
}
