//! The settings file: JSON or YAML, read into one text per known key.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value};

use super::setting::{Kind, Setting};
use super::table;

/// What a settings file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FileSettings {
    /// By setting's name: the key as written, and the value as text.
    pub(super) values: BTreeMap<&'static str, (String, String)>,
    /// Keys that are not known.
    pub(super) warnings: Vec<String>,
}

/// Reads the file at `path` through `read`.
///
/// # Errors
/// Says why it cannot be used.
pub(super) fn load(
    path: &str,
    read: &dyn Fn(&Path) -> Result<String, String>,
) -> Result<FileSettings, String> {
    let path = Path::new(path);
    let extension = path.extension().and_then(|text| text.to_str()).map(str::to_ascii_lowercase);
    let json = match extension.as_deref() {
        Some("json") => true,
        Some("yaml" | "yml") => false,
        _ => return Err("unsupported config file format; accepted: .json, .yaml, .yml".into()),
    };
    let text = read(path)?;
    if text.trim().is_empty() {
        return Ok(FileSettings::default());
    }
    let tree: Value = if json {
        serde_json::from_str(&text)
            .map_err(|error| format!("failed to parse JSON config file: {error}"))?
    } else {
        serde_yaml_ng::from_str(&text)
            .map_err(|error| format!("failed to parse YAML config file: {error}"))?
    };
    let mut found = FileSettings::default();
    match tree {
        Value::Object(map) => collect("", map, &mut found),
        Value::Null => {}
        _ => return Err("failed to parse config file: accepted is one object of keys".into()),
    }
    Ok(found)
}

/// Takes each key; an object under a key that is no setting is a group of keys.
fn collect(prefix: &str, map: Map<String, Value>, found: &mut FileSettings) {
    for (key, value) in map {
        let key = if prefix.is_empty() { key } else { format!("{prefix}.{key}") };
        match (table::by_file_key(&key), value) {
            (_, Value::Null) => {}
            (Some(setting), value) => take(setting, key, &value, found),
            (None, Value::Object(inner)) if prefix.is_empty() && is_group(&key) => {
                collect(&key, inner, found);
            }
            (None, _) => found.warnings.push(unknown(&key)),
        }
    }
}

fn take(setting: &'static Setting, key: String, value: &Value, found: &mut FileSettings) {
    let text = text(setting, value);
    if let Some((earlier, _)) = found.values.get(setting.name) {
        found.warnings.push(format!("{key} has no effect: {earlier} sets {} too", setting.name));
        return;
    }
    found.values.insert(setting.name, (key, text));
}

fn is_group(key: &str) -> bool {
    let group = |name: &&str| {
        name.split_once('.').is_some_and(|(group, _)| group.eq_ignore_ascii_case(key))
    };
    table::all().any(|setting| setting.file.iter().any(group))
}

fn unknown(key: &str) -> String {
    let known = table::all().flat_map(|setting| setting.file.iter().chain(setting.environment));
    match table::nearest(key, known.copied()) {
        Some(name) => format!("{key} is not a known key and has no effect; did you mean {name}?"),
        None => format!("{key} is not a known key and has no effect"),
    }
}

/// The value as the environment would have it.
fn text(setting: &Setting, value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) if matches!(setting.kind, Kind::Peers) => {
            items.iter().map(peer).collect::<Vec<_>>().join(",")
        }
        Value::Array(items) if items.iter().all(|item| !item.is_object() && !item.is_array()) => {
            items.iter().map(|item| text(setting, item)).collect::<Vec<_>>().join(",")
        }
        other => other.to_string(),
    }
}

/// A peer of `bgpConfig.peers`, as `bgp_peers` writes it.
fn peer(value: &Value) -> String {
    let Value::Object(map) = value else {
        return value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    };
    let field = |name: &str| {
        let found = map.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        match found.map(|(_, value)| value) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        }
    };
    let address = field("address");
    let address = if address.contains(':') && !address.starts_with('[') {
        format!("[{address}]")
    } else {
        address
    };
    let fields = [address, field("as"), field("password"), field("multiHop"), field("port")];
    fields.join(":").trim_end_matches(':').to_owned()
}
