//! The house rules that a program can check: what each crate refuses, why each dependency is
//! here, how long the files are, who reads the features.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every file below `folder` whose name ends in `.rs`.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

fn members() -> Vec<PathBuf> {
    let mut members = vec![root(), root().join("cross")];
    for group in ["backends", "firmware-tests"] {
        for entry in fs::read_dir(root().join(group)).unwrap() {
            let path = entry.unwrap().path();
            if path.join("Cargo.toml").exists() {
                members.push(path);
            }
        }
    }
    members
}

/// The names of the dependencies in one section of the workspace's Cargo.toml.
fn dependencies() -> Vec<String> {
    let manifest = read(root().join("Cargo.toml"));
    let section = manifest.split("\n[").find(|part| part.starts_with("workspace.dependencies]"));
    let lines = section.unwrap().lines().skip(1);
    lines.filter_map(|line| line.split_once('=')).map(|(name, _)| name.trim().to_owned()).collect()
}

#[test]
fn every_crate_refuses_dependencies_that_it_does_not_use() {
    for member in members() {
        let library = read(member.join("src/lib.rs"));
        assert!(
            library.contains("#![cfg_attr(not(test), deny(unused_crate_dependencies))]"),
            "{} does not deny unused_crate_dependencies",
            member.display()
        );
    }
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    for member in members() {
        let manifest = read(member.join("Cargo.toml"));
        assert!(manifest.contains("[lints]\nworkspace = true"), "{}", member.display());
    }
}

#[test]
fn every_dependency_has_its_reason_in_contributing() {
    let contributing = read(root().join("CONTRIBUTING.md"));
    let ours = |name: &String| name.starts_with("viplet");
    for name in dependencies().into_iter().filter(|name| !ours(name)) {
        let start = format!("| `{name}` | ");
        let reason = contributing.lines().find_map(|line| line.strip_prefix(&start));
        assert!(reason.is_some_and(|why| why.len() > 20), "no line of why for {name}");
    }
}

#[test]
fn contributing_gives_reasons_only_for_what_is_here() {
    let contributing = read(root().join("CONTRIBUTING.md"));
    let dependencies = dependencies();
    let table = contributing.split("| crate | why |").nth(1).unwrap();
    for line in table.lines().filter(|line| line.starts_with("| `")) {
        let name = line.split('`').nth(1).unwrap();
        assert!(dependencies.iter().any(|dependency| dependency == name), "{name} is not used");
    }
}

#[test]
fn only_the_registry_reads_the_features_of_backends() {
    let source = root().join("src");
    for path in sources(&source) {
        let registry = path.ends_with("registry.rs");
        let asks = read(&path).lines().any(|line| line.contains("feature = \""));
        assert!(registry || !asks, "{} reads a feature", path.display());
    }
}

#[test]
fn files_are_short_enough_to_be_read() {
    let mut lengths: Vec<(usize, PathBuf)> = Vec::new();
    for folder in ["src", "backends"] {
        for path in sources(&root().join(folder)) {
            let inside_tests = path.components().any(|part| part.as_os_str() == "tests");
            if !inside_tests && !path.ends_with("tests.rs") {
                let text = read(&path);
                let without_tests = text.split("#[cfg(test)]\nmod ").next().unwrap();
                lengths.push((without_tests.lines().count(), path));
            }
        }
    }
    lengths.sort();
    let (longest, path) = lengths.last().unwrap();
    assert!(*longest <= 700, "{} has {longest} lines without its tests", path.display());
    let (at_95, path) = &lengths[lengths.len() * 95 / 100];
    assert!(*at_95 <= 480, "more than 5 % of the files are over 480 lines: {}", path.display());
}

#[test]
fn every_source_file_starts_with_its_purpose() {
    for folder in ["src", "backends", "cross", "firmware-tests", "tests"] {
        for path in sources(&root().join(folder)) {
            assert!(read(&path).starts_with("//!"), "{}", path.display());
        }
    }
}
