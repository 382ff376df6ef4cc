//! What a machine is made of, as `scripts/vm` leaves it in `target/vm`.

use std::fs;
use std::path::{Path, PathBuf};

use viplet_vm_init::Settings;

use crate::archive::Archive;

/// The kinds of machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A PC.
    Amd64,
    /// QEMU's `virt` with a 64-bit ARM.
    Arm64,
    /// QEMU's `virt` with a 32-bit ARM.
    Armv7,
}

impl Kind {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Amd64, Self::Arm64, Self::Armv7];

    /// What `scripts/vm` calls it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
            Self::Armv7 => "armv7",
        }
    }

    /// QEMU's machine and processor, and the kernel's console there.
    pub(crate) fn hardware(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Amd64 => ("q35", "qemu64", "ttyS0"),
            Self::Arm64 => ("virt", "cortex-a72", "ttyAMA0"),
            Self::Armv7 => ("virt,highmem=off", "cortex-a15", "ttyAMA0"),
        }
    }
}

/// The parts of one kind of machine.
#[derive(Clone, Debug)]
pub struct Parts {
    /// Which kind.
    pub kind: Kind,
    folder: PathBuf,
}

impl Parts {
    /// Looks for them.
    ///
    /// # Errors
    /// What is missing, as a text for the user.
    pub fn find(kind: Kind) -> Result<Self, String> {
        let folder = target().join("vm").join(kind.name());
        let missing = fs::read_to_string(folder.join("missing"));
        match missing {
            Ok(reason) => Err(reason.trim().to_owned()),
            Err(_) if folder.join("vmlinuz").exists() => Ok(Self { kind, folder }),
            Err(_) => Err(format!("run scripts/vm {}: it gets what a machine needs", kind.name())),
        }
    }

    /// The QEMU program for it.
    pub(crate) fn qemu(&self) -> PathBuf {
        self.folder.join("qemu")
    }

    /// The kernel.
    pub(crate) fn kernel(&self) -> PathBuf {
        self.folder.join("vmlinuz")
    }

    /// The kernel's package.
    #[must_use]
    pub fn kernel_name(&self) -> String {
        fs::read_to_string(self.folder.join("name")).unwrap_or_default().trim().to_owned()
    }

    /// An initramfs for a machine with these settings.
    pub(crate) fn initramfs(&self, settings: &Settings, kubeconfig: &str) -> Vec<u8> {
        let mut archive = Archive::new();
        for name in ["init", "viplet"] {
            archive.file(name, &read(&self.folder.join(name)));
        }
        for entry in fs::read_dir(self.folder.join("modules")).expect("modules") {
            let path = entry.expect("a module").path();
            let name = path.file_name().and_then(|name| name.to_str()).expect("a UTF-8 name");
            archive.file(&format!("modules/{name}"), &read(&path));
        }
        archive.file("settings", settings.to_string().as_bytes());
        archive.file("kubeconfig", kubeconfig.as_bytes());
        archive.finish()
    }
}

/// Cargo's folder for what is built.
pub(crate) fn target() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
    root.unwrap_or(Path::new(".")).join("target")
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}
