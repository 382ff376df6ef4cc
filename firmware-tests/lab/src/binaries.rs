//! Where the programs under test are.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::SystemTime;

/// The viplet binary: `VIPLET_BIN`, or the one that cargo builds beside this program.
pub fn viplet() -> PathBuf {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    FOUND.get_or_init(find_viplet).clone()
}

/// The static viplet of this machine that `scripts/build` makes, if it was made since the sources
/// were changed.
pub fn static_viplet() -> Option<PathBuf> {
    let target = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    let here = std::env::current_exe().ok()?;
    let within = |folder: &Path| folder.join("static").join(&target).join("full/viplet");
    let built = here.ancestors().map(within).find(|path| path.is_file())?;
    let age = built.metadata().ok()?.modified().ok()?;
    newest_source().is_none_or(|newest| age >= newest).then_some(built)
}

/// Sees to it that no stale viplet is tested: builds it when it is missing or older than its
/// sources and cargo runs us. Call it before any namespace is entered: cargo may need the network.
pub fn build_viplet() {
    let given = std::env::var_os("VIPLET_BIN").is_some();
    if let (false, Some(cargo)) = (given || is_fresh(), std::env::var_os("CARGO")) {
        let built = Command::new(cargo).args(["build", "--quiet", "--package", "viplet"]).status();
        assert!(built.is_ok_and(|status| status.success()), "viplet does not build");
    }
}

fn is_fresh() -> bool {
    let built = beside_us().and_then(|path| path.metadata().ok()?.modified().ok());
    matches!((built, newest_source()), (Some(built), Some(newest)) if built >= newest)
}

fn newest_source() -> Option<SystemTime> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let sources = ["src", "backends", "Cargo.toml", "Cargo.lock"].map(|part| root.join(part));
    sources.iter().filter_map(|path| newest(path)).max()
}

/// When something in or under `path` was changed last.
fn newest(path: &Path) -> Option<SystemTime> {
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    let within = entries.filter_map(|entry| newest(&entry.path()));
    let own = path.metadata().ok().filter(std::fs::Metadata::is_file);
    within.chain(own.and_then(|own| own.modified().ok())).max()
}

fn find_viplet() -> PathBuf {
    if let Some(given) = std::env::var_os("VIPLET_BIN") {
        return std::fs::canonicalize(&given).expect("VIPLET_BIN names a file");
    }
    beside_us()
        .expect("no viplet binary beside this one: run `cargo build -p viplet`, or set VIPLET_BIN")
}

fn beside_us() -> Option<PathBuf> {
    let here = std::env::current_exe().ok()?;
    // target/debug/deps/lab-1234 and target/debug/demo alike.
    let folders = here.ancestors().skip(1).take(2);
    folders.map(|folder| folder.join("viplet")).find(|path| path.is_file())
}
