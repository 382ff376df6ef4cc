//! An OCI image archive: one static binary per platform, nothing else, the same bytes every time.

use std::collections::BTreeMap;
use std::io::Write as _;

use flate2::{Compression, GzBuilder};
use serde_json::{Value, json};

use crate::facts::Target;
use crate::verdict;

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// The file capabilities, as the kernel keeps them: version 2, not raised by themselves, permitted
/// `NET_BIND_SERVICE` (10), `NET_ADMIN` (12) and `NET_RAW` (13), no inheritable ones. Raising them is
/// left to the program, so that it also starts where the container may not have them all.
const CAPABILITIES: [u8; 20] =
    [0, 0, 0, 2, 0, 0b0011_0100, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// What the image is called and made from.
#[derive(Clone, Debug)]
pub struct Labels {
    /// Name and tag, as `docker.io/viplet/viplet:0.1.0`.
    pub name: String,
    /// The release.
    pub version: String,
    /// The commit.
    pub revision: String,
}

/// The archive of an image for each of `binaries`.
///
/// # Errors
/// When a binary is not for the machines of its platform, which no container runtime would notice
/// before it runs; the text says what it is.
pub fn archive(labels: &Labels, binaries: &[(&Target, Vec<u8>)]) -> Result<Vec<u8>, String> {
    let mut blobs = Blobs::default();
    let mut manifests = Vec::new();
    for (target, binary) in binaries {
        let found =
            crate::elf::read(binary).map_err(|why| format!("{}: {why}", target.platform))?;
        if let Some(why) = verdict::wrong_machine(&found, target) {
            return Err(format!("the binary for {} is for {why}", target.platform));
        }
        manifests.push(manifest(&mut blobs, labels, target, binary)?);
    }
    let all = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests});
    let top = blobs.json(INDEX, &all);
    let words = json!({
        "io.containerd.image.name": labels.name,
        "org.opencontainers.image.ref.name": labels.name.rsplit(':').next().unwrap_or("latest"),
    });
    let top = with(top, "annotations", words);
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [top]});
    let mut files = vec![
        ("oci-layout".to_owned(), json!({"imageLayoutVersion": "1.0.0"}).to_string().into_bytes()),
        ("index.json".to_owned(), index.to_string().into_bytes()),
    ];
    files
        .extend(blobs.0.into_iter().map(|(digest, data)| (format!("blobs/sha256/{digest}"), data)));
    let mut archive = tar::Builder::new(Vec::new());
    for (path, data) in files {
        archive
            .append_data(&mut header(0o644, data.len() as u64), path, data.as_slice())
            .map_err(text)?;
    }
    archive.into_inner().map_err(text)
}

/// Contents by their digest.
#[derive(Default)]
struct Blobs(BTreeMap<String, Vec<u8>>);

impl Blobs {
    /// Keeps `data` and returns its descriptor.
    fn add(&mut self, media_type: &str, data: Vec<u8>) -> Value {
        let (digest, size) = (sha256(&data), data.len());
        self.0.insert(digest.clone(), data);
        json!({"mediaType": media_type, "digest": format!("sha256:{digest}"), "size": size})
    }

    fn json(&mut self, media_type: &str, value: &Value) -> Value {
        self.add(media_type, value.to_string().into_bytes())
    }
}

/// Keeps the layer, the configuration and the manifest of one platform.
fn manifest(
    blobs: &mut Blobs,
    labels: &Labels,
    target: &Target,
    binary: &[u8],
) -> Result<Value, String> {
    let layer = layer(binary)?;
    let platform = platform(&target.platform)?;
    let words = json!({
        "org.opencontainers.image.title": "viplet",
        "org.opencontainers.image.version": labels.version,
        "org.opencontainers.image.revision": labels.revision,
        "org.opencontainers.image.licenses": "Apache-2.0",
    });
    let mut config = json!({
        "created": "1970-01-01T00:00:00Z",
        "config": {"Entrypoint": ["/viplet"], "Env": ["PATH=/"], "WorkingDir": "/", "Labels": words},
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{}", sha256(&layer))]},
        "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "scripts/image"}],
    });
    for (key, value) in platform.as_object().into_iter().flatten() {
        config = with(config, key, value.clone());
    }
    let mut gzip = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    gzip.write_all(&layer).map_err(text)?;
    let layer = blobs.add(LAYER, gzip.finish().map_err(text)?);
    let config = blobs.json(CONFIG, &config);
    let manifest =
        json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]});
    Ok(with(blobs.json(MANIFEST, &manifest), "platform", platform))
}

/// `object` with one more member.
pub(crate) fn with(mut object: Value, key: &str, value: Value) -> Value {
    if let Some(members) = object.as_object_mut() {
        members.insert(key.to_owned(), value);
    }
    object
}

/// `linux/arm/v7` as the image format spells it.
fn platform(name: &str) -> Result<Value, String> {
    let parts: Vec<&str> = name.split('/').collect();
    match parts.as_slice() {
        [os, architecture] => Ok(json!({"os": os, "architecture": architecture})),
        [os, architecture, variant] => {
            Ok(json!({"os": os, "architecture": architecture, "variant": variant}))
        }
        _ => Err(format!("{name} is not a platform: linux/arm64, for example, is one")),
    }
}

/// The only layer: the program, and the name that kube-vip's manifests start.
fn layer(binary: &[u8]) -> Result<Vec<u8>, String> {
    let mut layer = tar::Builder::new(Vec::new());
    let capabilities = ("SCHILY.xattr.security.capability", CAPABILITIES.as_slice());
    layer.append_pax_extensions([capabilities]).map_err(text)?;
    layer.append_data(&mut header(0o755, binary.len() as u64), "viplet", binary).map_err(text)?;
    let mut link = header(0o777, 0);
    link.set_entry_type(tar::EntryType::Symlink);
    layer.append_link(&mut link, "kube-vip", "viplet").map_err(text)?;
    layer.into_inner().map_err(text)
}

/// A file of root's, of no time.
fn header(mode: u32, size: u64) -> tar::Header {
    let mut header = tar::Header::new_ustar();
    header.set_mode(mode);
    header.set_size(size);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_entry_type(tar::EntryType::Regular);
    header
}

/// The SHA-256 of `data`, in hexadecimal.
#[must_use]
pub fn sha256(data: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, data);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn text(error: std::io::Error) -> String {
    error.to_string()
}
