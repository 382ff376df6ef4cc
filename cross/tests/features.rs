//! A build has the crates of the features that it was asked for, and of no others.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// What protocols of later backends would bring along, whatever their features are called.
const OTHERS: &[&str] = &["zettabgp", "boringtun", "dhcproto", "igd-next"];

/// The names of all crates in a build with these features.
fn crates(features: &str) -> BTreeSet<String> {
    let tree = Command::new(env!("CARGO"))
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .args(["tree", "--locked", "--offline", "--package", "viplet", "--edges", "normal,build"])
        .args(["--prefix", "none", "--format", "{p}", "--no-default-features"])
        .args(["--features", features])
        .output()
        .unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let text = String::from_utf8(tree.stdout).unwrap();
    text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

/// The optional crates by the feature that brings each.
fn optional() -> BTreeMap<String, Vec<String>> {
    let manifest: toml::Table = toml::from_str(include_str!("../../Cargo.toml")).unwrap();
    let features = manifest["features"].as_table().unwrap().clone();
    let dependencies = |value: &toml::Value| {
        let words = value.as_array().unwrap().iter().filter_map(|word| word.as_str());
        words.filter_map(|word| word.strip_prefix("dep:")).map(str::to_owned).collect()
    };
    let ours = features.iter().filter(|(name, _)| *name != "default");
    ours.map(|(name, value)| (name.clone(), dependencies(value))).collect()
}

#[test]
fn a_build_without_features_has_no_backend() {
    let crates = crates("");
    for dependency in optional().values().flatten() {
        assert!(!crates.contains(dependency), "{dependency} is in a build without features");
    }
}

#[test]
fn each_feature_brings_its_own_crates_and_no_other_features() {
    let optional = optional();
    for (feature, own) in &optional {
        let crates = crates(feature);
        for dependency in optional.values().flatten() {
            assert_eq!(
                crates.contains(dependency),
                own.contains(dependency),
                "{dependency} with the feature {feature} alone"
            );
        }
    }
}

#[test]
fn a_build_for_arp_has_no_bgp_no_wireguard_and_no_dhcp() {
    let crates = crates("arp");
    assert!(crates.contains("viplet-arp"));
    let words = ["bgp", "wireguard", "dhcp", "upnp"];
    for name in &crates {
        assert!(!OTHERS.contains(&name.as_str()), "{name}");
        assert!(!words.iter().any(|word| name.contains(word)), "{name}");
    }
}

#[test]
fn no_build_has_openssl_or_another_tls_beside_ours() {
    let all: Vec<String> = optional().into_keys().collect();
    let crates = crates(&all.join(","));
    assert!(!crates.contains("openssl-sys"));
    assert!(!crates.contains("native-tls"));
    assert!(!crates.contains("tokio-rustls"));
}
