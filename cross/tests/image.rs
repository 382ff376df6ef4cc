//! What is in an image, read back from the archive.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::io::Read as _;

use serde_json::Value;
use viplet_cross::facts::Facts;
use viplet_cross::image::{Labels, archive, sha256};

/// An ELF header and no more.
fn binary(bits: u8, machine: u16, flags: u32) -> Vec<u8> {
    let mut file = vec![0; 64];
    file[..7].copy_from_slice(&[0x7f, b'E', b'L', b'F', bits / 32, 1, 1]);
    file[16] = 2;
    file[18..20].copy_from_slice(&machine.to_le_bytes());
    let at = if bits == 64 { 48 } else { 36 };
    file[at..at + 4].copy_from_slice(&flags.to_le_bytes());
    let header = if bits == 64 { 64u16 } else { 52 };
    file[at + 4..at + 6].copy_from_slice(&header.to_le_bytes());
    file
}

fn amd64() -> Vec<u8> {
    binary(64, 62, 0)
}

fn image(parts: &[(&str, Vec<u8>)]) -> Result<Vec<u8>, String> {
    let facts = Facts::parse(include_str!("../targets.toml")).unwrap();
    let labels = Labels {
        name: "docker.io/viplet/viplet:1.2".into(),
        version: "1.2".into(),
        revision: "abc".into(),
    };
    let parts: Vec<_> =
        parts.iter().map(|(name, file)| (facts.target(name).unwrap(), file.clone())).collect();
    archive(&labels, &parts)
}

fn all() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("x86_64-unknown-linux-musl", amd64()),
        ("aarch64-unknown-linux-musl", binary(64, 183, 0)),
        ("armv7-unknown-linux-musleabihf", binary(32, 40, 0x0500_0400)),
    ]
}

/// The files of an archive by their path.
fn files(archive: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in tar::Archive::new(archive).entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut data = Vec::new();
        entry.read_to_end(&mut data).unwrap();
        files.insert(entry.path().unwrap().to_str().unwrap().to_owned(), data);
    }
    files
}

fn blob<'a>(files: &'a BTreeMap<String, Vec<u8>>, descriptor: &Value) -> &'a [u8] {
    let digest = descriptor["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
    let data = &files[&format!("blobs/sha256/{digest}")];
    assert_eq!(sha256(data), digest);
    assert_eq!(descriptor["size"], data.len());
    data
}

fn json(files: &BTreeMap<String, Vec<u8>>, descriptor: &Value) -> Value {
    serde_json::from_slice(blob(files, descriptor)).unwrap()
}

#[test]
fn each_machine_finds_its_own_binary_through_the_index() {
    let files = files(&image(&all()).unwrap());
    let index: Value = serde_json::from_slice(&files["index.json"]).unwrap();
    let manifests = json(&files, &index["manifests"][0])["manifests"].clone();
    let platforms: Vec<String> =
        manifests.as_array().unwrap().iter().map(|m| m["platform"].to_string()).collect();
    assert_eq!(
        platforms,
        [
            r#"{"architecture":"amd64","os":"linux"}"#,
            r#"{"architecture":"arm64","os":"linux"}"#,
            r#"{"architecture":"arm","os":"linux","variant":"v7"}"#,
        ]
    );
    for (described, (_, binary)) in manifests.as_array().unwrap().iter().zip(all()) {
        let manifest = json(&files, described);
        let config = json(&files, &manifest["config"]);
        assert_eq!(config["architecture"], described["platform"]["architecture"]);
        assert_eq!(config["config"]["Entrypoint"][0], "/viplet");
        let mut layer = Vec::new();
        flate2::read::GzDecoder::new(blob(&files, &manifest["layers"][0]))
            .read_to_end(&mut layer)
            .unwrap();
        assert_eq!(config["rootfs"]["diff_ids"][0], format!("sha256:{}", sha256(&layer)));
        assert_eq!(self::files(&layer)["viplet"], binary);
    }
}

#[test]
fn the_layer_has_both_names_and_permits_the_capabilities_without_raising_them() {
    let files = files(&image(&all()[..1]).unwrap());
    let index: Value = serde_json::from_slice(&files["index.json"]).unwrap();
    let manifest = json(&files, &json(&files, &index["manifests"][0])["manifests"][0]);
    let mut layer = Vec::new();
    flate2::read::GzDecoder::new(blob(&files, &manifest["layers"][0]))
        .read_to_end(&mut layer)
        .unwrap();
    let mut seen = Vec::new();
    for entry in tar::Archive::new(layer.as_slice()).entries().unwrap() {
        let mut entry = entry.unwrap();
        let extensions = entry.pax_extensions().unwrap().into_iter().flatten();
        let capability =
            extensions.map(|extension| extension.unwrap().value_bytes().to_vec()).next();
        let link = entry.link_name().unwrap().map(|path| path.into_owned());
        seen.push((
            entry.path().unwrap().into_owned(),
            entry.header().mode().unwrap(),
            link,
            capability,
        ));
    }
    // struct vfs_cap_data: revision 2 without the effective bit, NET_BIND_SERVICE, NET_ADMIN, NET_RAW.
    let mut capability = vec![0, 0, 0, 2];
    capability.extend((1u32 << 10 | 1 << 12 | 1 << 13).to_le_bytes());
    capability.resize(20, 0);
    assert_eq!(seen[0], ("viplet".into(), 0o755, None, Some(capability)));
    assert_eq!(seen[1], ("kube-vip".into(), 0o777, Some("viplet".into()), None));
}

#[test]
fn a_binary_for_another_machine_is_refused_in_a_line_that_says_so() {
    let why = image(&[("aarch64-unknown-linux-musl", amd64())]).unwrap_err();
    assert!(why.starts_with("the binary for linux/arm64 is for the wrong machine"), "{why}");
    let soft_float = binary(32, 40, 0x0500_0200);
    assert!(image(&[("armv7-unknown-linux-musleabihf", soft_float)]).is_err());
    assert!(image(&[("x86_64-unknown-linux-musl", b"#!/bin/sh".to_vec())]).is_err());
}

#[test]
fn the_same_binaries_make_the_same_image() {
    assert_eq!(image(&all()), image(&all()));
}
