//! What the server makes of a body before it is stored: names checked, server-owned metadata set.

use serde_json::{Value, json};

use super::ApiError;
use super::resource::{Key, Resource, Scope};

/// A string in `metadata`, empty when absent.
pub(super) fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object["metadata"][field].as_str().unwrap_or_default()
}

/// Whether finalizers hold the object.
pub(super) fn has_finalizers(object: &Value) -> bool {
    object["metadata"]["finalizers"].as_array().is_some_and(|list| !list.is_empty())
}

/// Checks that a body is an object of the resource; fills in `kind`, `apiVersion`, `metadata`.
pub(super) fn shape(resource: Resource, body: &mut Value) -> Result<(), ApiError> {
    let Some(map) = body.as_object_mut() else {
        return Err(ApiError::bad_request("the body is not a JSON object"));
    };
    for (field, ours) in
        [("kind", resource.kind().to_owned()), ("apiVersion", resource.api_version())]
    {
        match map.get(field).and_then(Value::as_str).unwrap_or_default() {
            "" => {
                map.insert(field.to_owned(), json!(ours));
            }
            given if given == ours => {}
            given => {
                let text = format!("the object provided is unrecognized: {field} is {given:?}");
                return Err(ApiError::bad_request(format!("{text}, expected {ours:?}")));
            }
        }
    }
    match map.entry("metadata").or_insert(Value::Null) {
        Value::Object(_) => Ok(()),
        none @ Value::Null => {
            *none = json!({});
            Ok(())
        }
        _ => Err(ApiError::bad_request("metadata is not a JSON object")),
    }
}

/// Checks that the body agrees with the place that the path names, and puts it there.
pub(super) fn place(key: &Key, body: &mut Value) -> Result<(), ApiError> {
    let (name, namespace) = (text(body, "name"), text(body, "namespace"));
    if !name.is_empty() && name != key.name {
        return Err(ApiError::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({})",
            key.name
        )));
    }
    if !namespace.is_empty() && namespace != key.namespace {
        return Err(ApiError::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    body["metadata"]["name"] = json!(key.name);
    if key.resource.scope() == Scope::Namespaced {
        body["metadata"]["namespace"] = json!(key.namespace);
    }
    Ok(())
}

/// Checks the values that the server refuses with 422.
pub(super) fn validate(key: &Key, body: &Value) -> Result<(), ApiError> {
    let invalid =
        |field: &str, why: &str| Err(ApiError::invalid(key.resource, &key.name, field, why));
    if !is_subdomain(&key.name) {
        return invalid("metadata.name", "Invalid value: a lowercase RFC 1123 subdomain is wanted");
    }
    for field in ["labels", "annotations"] {
        let map = &body["metadata"][field];
        let strings = map.as_object().is_some_and(|m| m.values().all(Value::is_string));
        if !strings && !map.is_null() {
            return Err(ApiError::bad_request(format!("metadata.{field} is not a map of strings")));
        }
    }
    if key.resource == Resource::Leases {
        let spec = &body["spec"];
        lease_types(spec)?;
        if spec["leaseDurationSeconds"].as_i64().is_some_and(|seconds| seconds <= 0) {
            return invalid("spec.leaseDurationSeconds", "Invalid value: must be greater than 0");
        }
        if spec["leaseTransitions"].as_i64().is_some_and(|count| count < 0) {
            return invalid(
                "spec.leaseTransitions",
                "Invalid value: must be greater than or equal to 0",
            );
        }
    }
    Ok(())
}

/// Puts an object into the form in which kube-apiserver gives it back: empty maps and lists of
/// `metadata` are left out, what always stands is there.
pub(super) fn default(resource: Resource, object: &mut Value) {
    if let Some(metadata) = object["metadata"].as_object_mut() {
        for field in ["labels", "annotations", "finalizers"] {
            let empty = |value: &Value| match value {
                Value::Object(map) => map.is_empty(),
                Value::Array(list) => list.is_empty(),
                other => other.is_null(),
            };
            if metadata.get(field).is_some_and(empty) {
                metadata.remove(field);
            }
        }
    }
    match resource {
        Resource::Leases if object["spec"].is_null() => object["spec"] = json!({}),
        Resource::Services => {
            let ingress = object.pointer_mut("/status/loadBalancer/ingress");
            for one in ingress.and_then(Value::as_array_mut).into_iter().flatten() {
                if one["ip"].is_string() && one["ipMode"].is_null() {
                    one["ipMode"] = json!("VIP");
                }
            }
        }
        _ => {}
    }
}

/// Checks the types of a Lease's fields.
fn lease_types(spec: &Value) -> Result<(), ApiError> {
    let wrong = |field: &str, wanted: &str| {
        let text = format!("Lease in version \"v1\" cannot be handled as a Lease: spec.{field}");
        Err(ApiError::bad_request(format!("{text} is no {wanted}")))
    };
    for field in ["leaseDurationSeconds", "leaseTransitions"] {
        let value = &spec[field];
        if !(value.is_null() || value.as_i64().is_some_and(|n| i32::try_from(n).is_ok())) {
            return wrong(field, "int32");
        }
    }
    for field in ["holderIdentity", "acquireTime", "renewTime"] {
        if !(spec[field].is_null() || spec[field].is_string()) {
            return wrong(field, "string");
        }
    }
    Ok(())
}

/// RFC 1123 subdomain: labels of lower-case letters, digits and inner dashes, joined by dots.
fn is_subdomain(name: &str) -> bool {
    let inner = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    let label = |label: &str| {
        let bytes = label.as_bytes();
        let ends =
            bytes.first().is_some_and(|b| inner(*b)) && bytes.last().is_some_and(|b| inner(*b));
        ends && bytes.iter().all(|b| inner(*b) || *b == b'-')
    };
    name.len() <= 253 && name.split('.').all(label)
}

/// A deterministic UUID (form of version 4) for the `count`-th object.
pub(super) fn uid(count: u64) -> String {
    let (high, low) = (scatter(count), scatter(!count));
    format!(
        "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xfff,
        low >> 52,
        low & 0xffff_ffff_ffff
    )
}

/// Five characters as `generateName` appends them.
pub(super) fn suffix(count: u64) -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let mut bits = scatter(count);
    let mut letter = || {
        let at = usize::try_from(bits % LETTERS.len() as u64).unwrap_or_default();
        bits /= LETTERS.len() as u64;
        char::from(LETTERS[at])
    };
    (0..5).map(|_| letter()).collect()
}

/// SplitMix64's output function.
fn scatter(count: u64) -> u64 {
    let z = count.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}
