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

/// Lines of a file without its tests.
const LONGEST_FILE: usize = 480;

/// Words that say nothing to whoever has not been told what they stand for.
const STRANGE_WORDS: [&str; 24] = [
    "agenda",
    "desk",
    "desks",
    "ear",
    "ears",
    "errand",
    "errands",
    "former",
    "lodger",
    "lodgers",
    "mouth",
    "mouths",
    "notes",
    "obstacle",
    "obstacles",
    "papers",
    "seat",
    "seats",
    "tenancy",
    "tenant",
    "tenants",
    "town",
    "towns",
    "voice",
];

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

/// Files of src and of the backends, without what only tests are made of.
fn program() -> Vec<PathBuf> {
    let of_tests = |path: &PathBuf| {
        // The repository itself may lie in a folder of that name.
        let below = path.strip_prefix(root()).unwrap_or(path);
        let inside = below.components().any(|part| part.as_os_str() == "tests");
        inside || path.ends_with("tests.rs")
    };
    let folders = ["src", "backends"].map(|folder| sources(&root().join(folder)));
    folders.into_iter().flatten().filter(|path| !of_tests(path)).collect()
}

#[test]
fn files_are_short_enough_to_be_read() {
    let lines = |path: PathBuf| {
        let text = read(&path);
        let without_tests = text.split("#[cfg(test)]\nmod ").next().unwrap();
        (without_tests.lines().count(), path)
    };
    let mut lengths: Vec<(usize, PathBuf)> = program().into_iter().map(lines).collect();
    lengths.sort();
    let (longest, path) = lengths.last().unwrap();
    assert!(*longest <= LONGEST_FILE, "{} has {longest} lines", path.display());
    let (median, _) = &lengths[lengths.len() / 2];
    assert!(*median <= 150, "half of the files have more than {median} lines");
}

/// One layout: `foo.rs` with its folder `foo/`, its tests in `foo/tests.rs`. Only what several test
/// programs share has a `mod.rs`: Cargo would take `tests/shared.rs` for a program.
#[test]
fn modules_are_where_the_compiler_looks_for_them() {
    for folder in ["src", "backends"] {
        for path in sources(&root().join(folder)) {
            let shown = path.strip_prefix(root()).unwrap().display().to_string();
            let shared = shown.contains("/tests/") && !shown.contains("src/");
            assert!(!path.ends_with("mod.rs") || shared, "{shown}: foo.rs beside foo/");
            assert!(!shown.ends_with("_tests.rs"), "{shown}: foo/tests.rs");
            assert!(!read(&path).contains("#[path"), "{shown} names the path of a module");
        }
    }
}

/// What a newcomer cannot look up: the field has its own words for these.
#[test]
fn names_are_the_fields_own() {
    for path in program() {
        for name in declared(&read(&path)) {
            let strange = words(&name).find(|word| STRANGE_WORDS.contains(&word.as_str()));
            assert_eq!(strange, None, "{name} in {}", path.display());
        }
    }
}

/// The names that a source declares: functions, types, modules, constants.
fn declared(source: &str) -> Vec<String> {
    let kinds = ["fn", "struct", "enum", "trait", "type", "mod", "const", "static"];
    let code = source.lines().map(str::trim).filter(|line| !line.starts_with("//"));
    let mut names = Vec::new();
    for line in code {
        let mut parts = line.split_whitespace();
        while let Some(part) = parts.next() {
            if kinds.contains(&part) {
                let is_inside = |c: char| c.is_ascii_alphanumeric() || c == '_';
                let name: String = parts
                    .next()
                    .unwrap_or_default()
                    .chars()
                    .take_while(|c| is_inside(*c))
                    .collect();
                names.push(name);
            }
        }
    }
    names
}

/// `LeaseSeat`, `lease_seat` and `LEASE_SEAT` are two words each.
fn words(name: &str) -> impl Iterator<Item = String> {
    let mut spaced = String::new();
    let mut before = ' ';
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && before.is_ascii_lowercase() {
            spaced.push(' ');
        }
        spaced.push(if letter == '_' { ' ' } else { letter.to_ascii_lowercase() });
        before = letter;
    }
    spaced.split(' ').map(str::to_owned).collect::<Vec<_>>().into_iter()
}

#[test]
fn names_are_taken_apart_as_they_are_read() {
    let read = declared("pub(crate) fn lease_seat<T>() {}\nenum LeaseSeat;\n// fn not_this()\n");
    assert_eq!(read, ["lease_seat", "LeaseSeat"]);
    for name in ["lease_seat", "LeaseSeat", "LEASE_SEAT"] {
        assert_eq!(words(name).collect::<Vec<_>>(), ["lease", "seat"], "{name}");
    }
}

#[test]
fn every_source_file_starts_with_its_purpose() {
    for folder in ["src", "backends", "cross", "firmware-tests", "tests"] {
        for path in sources(&root().join(folder)) {
            assert!(read(&path).starts_with("//!"), "{}", path.display());
        }
    }
}
