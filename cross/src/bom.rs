//! The bill of materials of a binary, in CycloneDX's JSON: what cargo built it from.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::image::{sha256, with};

/// The binary that is described.
#[derive(Debug)]
pub struct Subject<'a> {
    /// For which target it was built.
    pub target: &'a str,
    /// With which features, apart by commas.
    pub features: &'a str,
    /// Its bytes.
    pub binary: &'a [u8],
}

/// The bill of `subject`. `tree` is what `cargo tree --prefix none --format '{p}|{l}'` printed, and
/// `lock` is Cargo.lock, for the checksums.
///
/// # Errors
/// When `lock` is not TOML or `tree` has not one package.
pub fn render(subject: &Subject<'_>, tree: &str, lock: &str) -> Result<String, String> {
    let checksums = checksums(lock)?;
    let packages: BTreeSet<(&str, &str, &str)> = tree.lines().filter_map(package).collect();
    let version =
        packages.iter().find(|(name, _, _)| *name == "viplet").map(|(_, version, _)| *version);
    let version = version.ok_or("cargo tree has not printed viplet: was it given its package?")?;
    let components: Vec<Value> = packages
        .iter()
        .filter(|(name, _, _)| *name != "viplet")
        .map(|(name, version, licence)| {
            let purl = format!("pkg:cargo/{name}@{version}");
            let component = json!({
                "type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl,
                "licenses": [{"expression": licence.replace('/', " OR ")}],
            });
            let checksum = checksums.get(&((*name).to_owned(), (*version).to_owned()));
            match checksum.map(|checksum| json!([{"alg": "SHA-256", "content": checksum}])) {
                Some(hashes) => with(component, "hashes", hashes),
                None => component,
            }
        })
        .collect();
    let bill = json!({
        "bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
        "metadata": {"component": {
            "type": "application", "bom-ref": "viplet", "name": "viplet", "version": version,
            "licenses": [{"expression": "Apache-2.0"}],
            "hashes": [{"alg": "SHA-256", "content": sha256(subject.binary)}],
            "properties": [
                {"name": "viplet:target", "value": subject.target},
                {"name": "viplet:features", "value": subject.features},
            ],
        }},
        "components": components,
    });
    serde_json::to_string_pretty(&bill).map_err(|error| error.to_string())
}

/// `serde v1.0.1 (proc-macro)|MIT OR Apache-2.0` as name, version and licence.
fn package(line: &str) -> Option<(&str, &str, &str)> {
    let (package, licence) = line.split_once('|')?;
    let mut words = package.split(' ');
    Some((words.next()?, words.next()?.strip_prefix('v')?, licence.trim_end_matches(" (*)")))
}

fn checksums(lock: &str) -> Result<BTreeMap<(String, String), String>, String> {
    let lock: toml::Table = toml::from_str(lock).map_err(|error| format!("Cargo.lock: {error}"))?;
    let packages = lock.get("package").and_then(toml::Value::as_array).into_iter().flatten();
    let known = packages.filter_map(|package| {
        let word = |key: &str| package.get(key)?.as_str().map(str::to_owned);
        Some(((word("name")?, word("version")?), word("checksum")?))
    });
    Ok(known.collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const LOCK: &str = "[[package]]\nname = \"log\"\nversion = \"0.4.1\"\nchecksum = \"abc\"\n";
    const TREE: &str = "viplet v0.1.0 (/src)|Apache-2.0\nlog v0.4.1|MIT/Apache-2.0\nlog v0.4.1|MIT/Apache-2.0 (*)\n";

    fn bill(tree: &str) -> Result<Value, String> {
        let subject = Subject { target: "t", features: "arp", binary: b"abc" };
        render(&subject, tree, LOCK).map(|text| serde_json::from_str(&text).unwrap())
    }

    #[test]
    fn each_package_is_named_once_with_licence_and_checksum() {
        let bill = bill(TREE).unwrap();
        let components = bill["components"].as_array().unwrap();
        assert_eq!(components.len(), 1);
        assert_eq!(components[0]["purl"], "pkg:cargo/log@0.4.1");
        assert_eq!(components[0]["licenses"][0]["expression"], "MIT OR Apache-2.0");
        assert_eq!(components[0]["hashes"][0]["content"], "abc");
    }

    #[test]
    fn the_bill_says_of_which_binary_it_is() {
        let bill = bill(TREE).unwrap();
        let sha = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(bill["metadata"]["component"]["hashes"][0]["content"], sha);
        assert_eq!(bill["metadata"]["component"]["version"], "0.1.0");
    }

    #[test]
    fn a_tree_without_viplet_is_refused() {
        assert!(bill("log v0.4.1|MIT\n").unwrap_err().contains("viplet"));
    }
}
