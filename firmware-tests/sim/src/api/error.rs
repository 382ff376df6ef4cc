//! What the model API server refuses, as `Status` objects (`meta/v1` Status, RFC 7231 codes).

use serde_json::{Value, json};

use super::resource::{Key, Resource};

/// A refused request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// The HTTP status code.
    pub code: u16,
    /// The machine-readable `reason`.
    pub reason: &'static str,
    /// The `message`, worded as kube-apiserver does.
    pub message: String,
    /// `details`, or null.
    pub details: Value,
}

impl ApiError {
    /// An error with no details.
    #[must_use]
    pub fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: Value::Null }
    }

    /// The `Status` object that a server answers with.
    #[must_use]
    pub fn to_status(&self) -> Value {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason, "code": self.code,
        });
        if !self.details.is_null() {
            status["details"] = self.details.clone();
        }
        status
    }

    fn about(resource: Resource, name: &str, error: (u16, &'static str), text: &str) -> Self {
        Self {
            code: error.0,
            reason: error.1,
            message: format!("{} \"{name}\" {text}", resource.qualified()),
            details: details(resource, name),
        }
    }

    /// 404: no such object.
    #[must_use]
    pub fn not_found(key: &Key) -> Self {
        Self::about(key.resource, &key.name, (404, "NotFound"), "not found")
    }

    /// 409: the name is taken.
    #[must_use]
    pub fn already_exists(key: &Key) -> Self {
        Self::about(key.resource, &key.name, (409, "AlreadyExists"), "already exists")
    }

    /// 409: somebody else wrote first, or a precondition does not hold.
    #[must_use]
    pub fn conflict(key: &Key, why: &str) -> Self {
        let plural = key.resource.qualified();
        let message = format!("Operation cannot be fulfilled on {plural} \"{}\": {why}", key.name);
        Self { code: 409, reason: "Conflict", message, details: details(key.resource, &key.name) }
    }

    /// 409: the object is not the one that a deletion or an update means.
    #[must_use]
    pub fn precondition_failed(key: &Key, field: &str) -> Self {
        let conflict = Self::conflict(key, &format!("Precondition failed: {field}"));
        Self { details: named_by_kind(conflict.details, key.resource), ..conflict }
    }

    /// 410: the version asked for is no longer known; list again.
    #[must_use]
    pub fn expired(asked: u64, oldest: u64) -> Self {
        Self::new(410, "Expired", format!("too old resource version: {asked} ({oldest})"))
    }

    /// 400: the request makes no sense.
    #[must_use]
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// 405: the resource has no such verb.
    #[must_use]
    pub fn not_allowed() -> Self {
        let text = "the server does not allow this method on the requested resource";
        Self::new(405, "MethodNotAllowed", text)
    }

    /// 422: an update of a resource that must name the version it is based on does not.
    #[must_use]
    pub fn unversioned(key: &Key) -> Self {
        let why = "Invalid value: 0: must be specified for an update";
        let invalid = Self::invalid(key.resource, &key.name, "metadata.resourceVersion", why);
        Self { details: details(key.resource, &key.name), ..invalid }
    }

    /// 422: a field's value is not accepted.
    #[must_use]
    pub fn invalid(resource: Resource, name: &str, field: &str, why: &str) -> Self {
        let kind = resource.qualified_kind();
        Self {
            code: 422,
            reason: "Invalid",
            message: format!("{kind} \"{name}\" is invalid: {field}: {why}"),
            details: named_by_kind(details(resource, name), resource),
        }
    }
}

fn details(resource: Resource, name: &str) -> Value {
    let mut details = json!({"kind": resource.plural()});
    if !name.is_empty() {
        details["name"] = json!(name);
    }
    if !resource.group().is_empty() {
        details["group"] = json!(resource.group());
    }
    details
}

/// Some errors name the kind where the others name the resource.
fn named_by_kind(details: Value, resource: Resource) -> Value {
    let mut details = details;
    details["kind"] = json!(resource.kind());
    details
}
