//! What two servers' answers have in common: the fields that we read, without what is each server's
//! own (versions, uids, times, wording).

use serde_json::{Map, Value, json};

/// The fields of `metadata` that we read as they are.
const KEPT: &[&str] =
    &["name", "namespace", "annotations", "finalizers", "deletionGracePeriodSeconds"];
/// The fields of `metadata` of which only the presence is compared.
const PRESENT: &[&str] = &["uid", "resourceVersion", "creationTimestamp", "deletionTimestamp"];

/// An answer's body or an event's object with only what both servers must have alike.
pub(crate) fn slim(body: &Value) -> Value {
    if body.is_null() {
        return Value::Null;
    }
    let mut slim = Map::new();
    for field in ["kind", "apiVersion"] {
        if let Some(value) = body.get(field) {
            slim.insert(field.to_owned(), value.clone());
        }
    }
    if body["kind"] == "Status" {
        return status(slim, body);
    }
    if let Some(items) = body["items"].as_array() {
        let kind = body["kind"].as_str().and_then(|kind| kind.strip_suffix("List"));
        let item = |item: &Value| {
            // What kind an item is, only its list says.
            let mut item = item.clone();
            item["kind"] = json!(kind);
            self::slim(&item)
        };
        slim.insert("items".to_owned(), items.iter().map(item).collect());
        let metadata = &body["metadata"];
        slim.insert("continue".to_owned(), json!(metadata["continue"].is_string()));
        slim.insert("remaining".to_owned(), metadata["remainingItemCount"].clone());
        slim.insert("version".to_owned(), json!(metadata["resourceVersion"].is_string()));
        return slim.into();
    }
    slim.insert("metadata".to_owned(), metadata(&body["metadata"]));
    for field in ["spec", "data", "status"] {
        if let Some(value) = content(field, body) {
            slim.insert(field.to_owned(), value);
        }
    }
    slim.into()
}

fn status(mut slim: Map<String, Value>, body: &Value) -> Value {
    for field in ["status", "reason", "code"] {
        slim.insert(field.to_owned(), body[field].clone());
    }
    // The real server leaves an empty reason out.
    slim.insert("reason".to_owned(), json!(body["reason"].as_str().unwrap_or_default()));
    let details = &body["details"];
    for field in ["name", "group", "kind"] {
        slim.insert(format!("details.{field}"), details[field].clone());
    }
    slim.insert("details.uid".to_owned(), json!(details["uid"].is_string()));
    slim.into()
}

fn metadata(metadata: &Value) -> Value {
    let mut slim = Map::new();
    for field in KEPT {
        slim.insert((*field).to_owned(), metadata[*field].clone());
    }
    for field in PRESENT {
        slim.insert((*field).to_owned(), json!(metadata[*field].is_string()));
    }
    let mut labels = metadata["labels"].clone();
    if let Some(labels) = labels.as_object_mut() {
        // The real server names a namespace in a label of its own.
        labels.remove("kubernetes.io/metadata.name");
    }
    slim.insert("labels".to_owned(), labels);
    slim.into()
}

/// A part of an object; of Services only what we read, because the server adds many defaults.
fn content(field: &str, body: &Value) -> Option<Value> {
    let value = body.get(field)?;
    match (body["kind"].as_str().unwrap_or_default(), field) {
        ("Service", "spec") => {
            Some(json!({"type": value["type"], "loadBalancerIP": value["loadBalancerIP"]}))
        }
        ("Service", "status") => {
            Some(json!({"loadBalancer": value["loadBalancer"], "conditions": value["conditions"]}))
        }
        ("Node" | "Namespace", _) => None,
        _ => Some(value.clone()),
    }
}

/// Says where two records differ.
pub(crate) fn compare(real: &[Value], model: &[Value]) -> Result<(), String> {
    let mut differences = Vec::new();
    for (real, model) in real.iter().zip(model) {
        let about = real["asked"].as_str().or(real["event"].as_str()).unwrap_or_default();
        differ(about, real, model, &mut differences);
    }
    if real.len() != model.len() {
        differences.push(format!("{} answers, the model gives {}", real.len(), model.len()));
    }
    match differences.is_empty() {
        true => Ok(()),
        false => Err(format!("the model answers differently:\n{}", differences.join("\n"))),
    }
}

fn differ(at: &str, real: &Value, model: &Value, differences: &mut Vec<String>) {
    match (real, model) {
        (Value::Object(a), Value::Object(b)) => {
            let mut fields: Vec<&String> = a.keys().chain(b.keys()).collect();
            fields.sort();
            fields.dedup();
            for field in fields {
                differ(&format!("{at} .{field}"), &real[field], &model[field], differences);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (number, (real, model)) in a.iter().zip(b).enumerate() {
                differ(&format!("{at} [{number}]"), real, model, differences);
            }
        }
        _ if real == model => {}
        _ => differences.push(format!("{at}: {real}, the model gives {model}")),
    }
}
