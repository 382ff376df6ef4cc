//! JSON of the API server straight into slim types: unknown fields are skipped unread, and what
//! makes no sense is said with the object's name and the field's path.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

/// The most of an error's text that is kept: it may quote the value.
const LONGEST_REASON: usize = 240;

/// Text that is looked at and not kept.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct Text<'a>(#[serde(borrow)] pub(crate) Cow<'a, str>);

/// The members of a JSON object, in order, unread.
#[derive(Debug, Default)]
pub(crate) struct Fields<'a>(pub(crate) Vec<(Cow<'a, str>, &'a RawValue)>);

/// Reads one object, given as JSON.
///
/// # Errors
/// What is wrong, after the path of the field that is.
pub fn read_json<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T, String> {
    serde_json::from_str(json).map_err(|error| explain(json, &error))
}

/// `namespace/name` of an object that makes no sense otherwise, as far as it says so.
pub(crate) fn name_of(json: &str) -> String {
    let object: Value = serde_json::from_str(json).unwrap_or_default();
    let field = |name: &str| object.get("metadata")?.get(name)?.as_str();
    match (field("namespace"), field("name")) {
        (Some(namespace), Some(name)) => shortened(&format!("{namespace}/{name}")).to_owned(),
        (None, Some(name)) => shortened(name).to_owned(),
        (_, None) => "an object without a name".to_owned(),
    }
}

fn explain(json: &str, error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let what = shortened(text.strip_suffix(&place).unwrap_or(&text));
    match path_at(json.as_bytes(), error.line(), error.column()) {
        path if path.is_empty() => what.to_owned(),
        path => format!("{}: {what}", shortened(&path)),
    }
}

/// The beginning of `text`, cut between characters.
pub(crate) fn shortened(text: &str) -> &str {
    cut(text, LONGEST_REASON)
}

/// At most `limit` bytes of `text`, cut between characters.
pub(crate) fn cut(text: &str, limit: usize) -> &str {
    let mut end = limit.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or(text)
}

/// Where in the nesting of objects and lists a reader is.
enum Level {
    Object(String),
    List(usize),
}

/// The path of the field at a place in `json`, which was read without error up to there.
fn path_at(json: &[u8], line: usize, column: usize) -> String {
    let mut levels: Vec<Level> = Vec::new();
    let mut bytes = before(json, line, column).iter();
    let mut text: Option<String> = None;
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => text = Some(quoted(&mut bytes)),
            b':' => {
                if let Some(Level::Object(key)) = levels.last_mut() {
                    *key = text.take().unwrap_or_default();
                }
            }
            b',' => {
                if let Some(Level::List(index)) = levels.last_mut() {
                    *index += 1;
                }
            }
            b'{' => levels.push(Level::Object(String::new())),
            b'[' => levels.push(Level::List(0)),
            b'}' | b']' => drop(levels.pop()),
            _ => {}
        }
    }
    joined(&levels)
}

fn before(json: &[u8], line: usize, column: usize) -> &[u8] {
    let ends = json.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
    let start = std::iter::once(0).chain(ends).nth(line.saturating_sub(1)).unwrap_or(0);
    json.get(..start.saturating_add(column)).unwrap_or(json)
}

/// The rest of a string, escapes as they stand.
fn quoted<'a>(bytes: &mut impl Iterator<Item = &'a u8>) -> String {
    let mut text = Vec::new();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => break,
            b'\\' => text.extend(bytes.next()),
            byte => text.push(*byte),
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

fn joined(levels: &[Level]) -> String {
    let mut path = String::new();
    for level in levels {
        match level {
            Level::Object(key) if key.is_empty() => {}
            Level::Object(key) if path.is_empty() => path.push_str(key),
            Level::Object(key) => {
                path.push('.');
                path.push_str(key);
            }
            Level::List(index) => path.push_str(&format!("[{index}]")),
        }
    }
    path
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                let mut fields = Vec::new();
                while let Some((Text(key), value)) = map.next_entry()? {
                    fields.push((key, value));
                }
                Ok(Fields(fields))
            }
        }

        deserializer.deserialize_map(Members)
    }
}

#[cfg(test)]
mod tests;
