//! The ServiceAccount that viplet runs as, with exactly the rights that the project's manifest
//! gives it, and what it was refused.

use std::path::Path;

use serde::Deserialize as _;
use serde_json::Value;

use crate::store::{Store, Write};

/// Namespace and name of the ServiceAccount.
pub(crate) const ACCOUNT: (&str, &str) = ("kube-system", "kube-vip");
/// What the API server calls it.
pub(crate) const USER: &str = "system:serviceaccount:kube-system:kube-vip";

/// Creates the objects of `manifests/rbac.yaml`.
#[track_caller]
pub(crate) fn grant(store: &Store<'_>) {
    for object in objects(&manifest()) {
        store.write(collection(&object), Write::Create(object));
    }
}

fn manifest() -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../manifests/rbac.yaml");
    std::fs::read_to_string(file).expect("manifests/rbac.yaml")
}

fn objects(text: &str) -> Vec<Value> {
    let documents = serde_yaml_ng::Deserializer::from_str(text);
    let object = |document| Value::deserialize(document).expect("YAML");
    documents.map(object).filter(|object| !object.is_null()).collect()
}

fn collection(object: &Value) -> &'static str {
    match object["kind"].as_str() {
        Some("ServiceAccount") => "/api/v1/namespaces/kube-system/serviceaccounts",
        Some("ClusterRole") => "/apis/rbac.authorization.k8s.io/v1/clusterroles",
        Some("ClusterRoleBinding") => "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
        other => panic!("manifests/rbac.yaml has a {other:?}: tell the lab where it goes"),
    }
}

/// One request of the ServiceAccount, as the API server's audit noted it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// `create`, `update`, `get`, `watch`, …
    pub verb: String,
    /// `services`, `services/status`, …
    pub resource: String,
    /// `NAMESPACE/NAME`.
    pub object: String,
    /// The answer's HTTP status.
    pub code: u64,
}

impl Request {
    pub(crate) fn from_audit(event: &Value) -> Option<Self> {
        // A watch is noted when it begins and again when it ends.
        let whole = event["stage"] == "ResponseComplete" || event["verb"] == "watch";
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let at = &event["objectRef"];
        let resource = match at["subresource"].as_str() {
            Some(part) => format!("{}/{part}", text(&at["resource"])),
            None => text(&at["resource"]),
        };
        whole.then(|| Self {
            verb: text(&event["verb"]),
            resource,
            object: format!("{}/{}", text(&at["namespace"]), text(&at["name"])),
            code: event["responseStatus"]["code"].as_u64().unwrap_or_default(),
        })
    }
}

/// Requests for which a right is missing. An API server that has just started refuses everything
/// until it has read the RBAC objects: what it answers later was no matter of rights.
pub fn refused(requests: &[Request]) -> Vec<Request> {
    let same = |one: &Request, other: &Request| {
        one.verb == other.verb && one.resource == other.resource && other.code < 400
    };
    let answered =
        |place: usize, one: &Request| requests[place..].iter().any(|later| same(one, later));
    let refused = requests.iter().enumerate().filter(|(_, one)| one.code == 403);
    refused.filter(|(place, one)| !answered(*place, one)).map(|(_, one)| one.clone()).collect()
}
