//! Container images out of one static program each, as archives that `ctr images import` takes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

/// What becomes an image.
#[derive(Clone, Copy, Debug)]
pub struct Recipe<'a> {
    /// The whole name, with its tag.
    pub name: &'a str,
    /// The program.
    pub program: &'a Path,
    /// Where it lies in the image: its entry point.
    pub at: &'a str,
    /// Arguments where the pod names none.
    pub arguments: &'a [&'a str],
}

impl Recipe<'_> {
    /// Writes the archive (the form of `docker save`) into `folder`.
    pub fn write(&self, folder: &Path) -> PathBuf {
        let work = folder.join(self.name.replace(['/', ':'], "-"));
        let _ = fs::remove_dir_all(&work);
        let layer = work.join("root");
        fs::create_dir_all(&layer).expect("a folder");
        let inside = layer.join(self.at.trim_start_matches('/'));
        fs::copy(self.program, &inside).unwrap_or_else(|why| {
            panic!("{}: {why}", self.program.display());
        });
        tar(&work.join("layer.tar"), &layer);
        let entry: Vec<&str> =
            [self.at].into_iter().chain(self.arguments.iter().copied()).collect();
        let config = json!({
            "architecture": architecture(), "os": "linux",
            "config": {"Entrypoint": [entry[0]], "Cmd": &entry[1..]},
            "rootfs": {"type": "layers", "diff_ids": [digest(&work.join("layer.tar"))]},
        });
        let index = json!([
            {"Config": "config.json", "RepoTags": [self.name], "Layers": ["layer.tar"]}
        ]);
        fs::remove_dir_all(&layer).expect("the layer is packed");
        fs::write(work.join("config.json"), config.to_string()).expect("a file");
        fs::write(work.join("manifest.json"), index.to_string()).expect("a file");
        let archive = folder.join(format!("{}.tar", self.name.replace(['/', ':'], "-")));
        tar(&archive, &work);
        fs::remove_dir_all(&work).expect("the archive is packed");
        archive
    }
}

fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "aarch64" => "arm64",
        _ => "amd64",
    }
}

fn tar(archive: &Path, folder: &Path) {
    let mut command = Command::new("tar");
    command.args(["--create", "--owner=0", "--group=0", "--file"]).arg(archive);
    let names = fs::read_dir(folder).expect("a folder").flatten().map(|entry| entry.file_name());
    let names: Vec<_> =
        names.filter(|name| Some(name.as_os_str()) != archive.file_name()).collect();
    let status = command.arg("--directory").arg(folder).args(names).status();
    assert!(status.is_ok_and(|status| status.success()), "tar fails on {}", folder.display());
}

fn digest(file: &Path) -> String {
    let output = Command::new("sha256sum").arg(file).output().expect("sha256sum runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    format!("sha256:{}", text.split(' ').next().expect("a sum"))
}
