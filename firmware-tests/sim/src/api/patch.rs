//! Patches: JSON merge patch (RFC 7386) and JSON patch (RFC 6902).

use serde_json::Value;

use super::ApiError;

/// A patch and its form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Patch {
    /// `application/merge-patch+json`.
    Merge(Value),
    /// `application/json-patch+json`: a list of operations.
    Json(Value),
}

impl Patch {
    /// The patched object.
    ///
    /// # Errors
    /// 400 for a patch that cannot be read, 422 for one that does not apply.
    pub fn apply(&self, object: &Value) -> Result<Value, ApiError> {
        let mut patched = object.clone();
        match self {
            Self::Merge(patch) => merge(&mut patched, patch),
            Self::Json(Value::Array(operations)) => {
                for operation in operations {
                    operate(&mut patched, operation)?;
                }
            }
            Self::Json(_) => return Err(ApiError::bad_request("a JSON patch is a list")),
        }
        Ok(patched)
    }
}

fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    let Value::Object(target) = target else { return };
    for (name, value) in patch {
        if value.is_null() {
            target.remove(name);
        } else {
            merge(target.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}

fn inapplicable(why: impl Into<String>) -> ApiError {
    ApiError::new(422, "Invalid", why)
}

fn operate(object: &mut Value, operation: &Value) -> Result<(), ApiError> {
    let text = |name: &str| {
        let value = operation.get(name).and_then(Value::as_str);
        value.ok_or_else(|| ApiError::bad_request(format!("a JSON patch operation needs {name}")))
    };
    let value = || {
        let value = operation.get("value").cloned();
        value.ok_or_else(|| ApiError::bad_request("a JSON patch operation needs value"))
    };
    let path = text("path")?;
    match text("op")? {
        "add" => add(object, path, value()?),
        "remove" => remove(object, path).map(|_| ()),
        "replace" => {
            *existing(object, path)? = value()?;
            Ok(())
        }
        "test" => match *existing(object, path)? == value()? {
            true => Ok(()),
            false => Err(inapplicable(format!("testing value {path} failed"))),
        },
        "copy" => {
            let copied = existing(object, text("from")?)?.clone();
            add(object, path, copied)
        }
        "move" => {
            let moved = remove(object, text("from")?)?;
            add(object, path, moved)
        }
        other => Err(ApiError::bad_request(format!("unexpected kind: {other}"))),
    }
}

fn existing<'a>(object: &'a mut Value, path: &str) -> Result<&'a mut Value, ApiError> {
    object.pointer_mut(path).ok_or_else(|| inapplicable(format!("missing path: {path}")))
}

/// The parent of the place that `path` names, and the last step of the path (RFC 6901).
fn parent<'a>(object: &'a mut Value, path: &str) -> Result<(&'a mut Value, String), ApiError> {
    let (head, last) =
        path.rsplit_once('/').ok_or_else(|| inapplicable(format!("bad path: {path:?}")))?;
    let last = last.replace("~1", "/").replace("~0", "~");
    Ok((existing(object, head)?, last))
}

fn add(object: &mut Value, path: &str, value: Value) -> Result<(), ApiError> {
    if path.is_empty() {
        *object = value;
        return Ok(());
    }
    let (parent, step) = parent(object, path)?;
    match parent {
        Value::Object(map) => {
            map.insert(step, value);
            Ok(())
        }
        Value::Array(list) if step == "-" => {
            list.push(value);
            Ok(())
        }
        Value::Array(list) => match step.parse() {
            Ok(at) if at <= list.len() => {
                list.insert(at, value);
                Ok(())
            }
            _ => Err(inapplicable(format!("index out of bounds: {path}"))),
        },
        _ => Err(inapplicable(format!("missing path: {path}"))),
    }
}

fn remove(object: &mut Value, path: &str) -> Result<Value, ApiError> {
    let (parent, step) = parent(object, path)?;
    let removed = match parent {
        Value::Object(map) => map.remove(&step),
        Value::Array(list) => {
            step.parse().ok().filter(|at: &usize| *at < list.len()).map(|at| list.remove(at))
        }
        _ => None,
    };
    removed.ok_or_else(|| inapplicable(format!("unable to remove nonexistent key: {path}")))
}
