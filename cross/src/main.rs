//! The program behind `scripts/build` and `scripts/image`: checks binaries, writes the table, makes images.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use viplet_cross::{bom, elf, facts::Facts, image, table, verdict};

const USAGE: &str = "usage: viplet-cross check TARGET SET BINARY
       viplet-cross table FOLDER DOCUMENT     FOLDER has TARGET/SET/viplet
       viplet-cross image OUTPUT NAME REVISION TARGET=BINARY...
       viplet-cross bom TARGET FEATURES BINARY TREE LOCK";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["check", target, set, binary] => check(target, set, binary),
        ["table", folder, document] => write_table(folder, document),
        ["image", output, name, revision, parts @ ..] => make_image(output, name, revision, parts),
        ["bom", target, features, binary, tree, lock] => {
            print_bill(&[target, features, binary, tree, lock])
        }
        _ => Err(USAGE.to_owned()),
    };
    match &done {
        Ok(text) => println!("{text}"),
        Err(why) => eprintln!("{why}"),
    }
    ExitCode::from(u8::from(done.is_err()))
}

fn facts() -> Result<Facts, String> {
    Facts::parse(include_str!("../targets.toml"))
}

fn read(path: impl AsRef<Path>) -> Result<Vec<u8>, String> {
    let path = path.as_ref();
    fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn read_text(path: impl AsRef<Path>) -> Result<String, String> {
    read(path).map(|data| String::from_utf8_lossy(&data).into_owned())
}

fn write(path: &str, data: &[u8]) -> Result<(), String> {
    fs::write(path, data).map_err(|error| format!("{path}: {error}"))
}

fn check(target: &str, set: &str, path: &str) -> Result<String, String> {
    let facts = facts()?;
    let target = facts.target(target)?;
    let binary = elf::read(&read(path)?).map_err(|why| format!("{path}: {why}"))?;
    let faults = verdict::faults(&binary, target, set);
    if faults.is_empty() {
        return Ok(format!("{path}: {} bytes, as cross/targets.toml asks", binary.size));
    }
    Err(faults.iter().map(|fault| format!("{path}: {fault}\n")).collect())
}

fn write_table(folder: &str, document: &str) -> Result<String, String> {
    let facts = facts()?;
    let mut sizes = BTreeMap::new();
    for target in facts.target.keys() {
        for set in facts.set.keys() {
            let path = Path::new(folder).join(target).join(set).join("viplet");
            if let Ok(metadata) = fs::metadata(&path) {
                sizes.insert((target.clone(), set.clone()), metadata.len());
            }
        }
    }
    let text = table::render(&facts, &sizes);
    let whole =
        table::insert(&read_text(document)?, &text).map_err(|why| format!("{document}: {why}"))?;
    write(document, whole.as_bytes())?;
    Ok(text)
}

fn make_image(output: &str, name: &str, revision: &str, parts: &[&str]) -> Result<String, String> {
    let facts = facts()?;
    let mut binaries = Vec::new();
    for part in parts {
        let (target, path) =
            part.split_once('=').ok_or_else(|| format!("{part}: not TARGET=BINARY"))?;
        binaries.push((facts.target(target)?, read(path)?));
    }
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let labels = image::Labels { name: name.to_owned(), version, revision: revision.to_owned() };
    write(output, &image::archive(&labels, &binaries)?)?;
    Ok(output.to_owned())
}

fn print_bill(words: &[&str; 5]) -> Result<String, String> {
    let [target, features, binary, tree, lock] = words;
    let binary = read(binary)?;
    bom::render(
        &bom::Subject { target, features, binary: &binary },
        &read_text(tree)?,
        &read_text(lock)?,
    )
}
