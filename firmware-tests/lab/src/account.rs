//! The ServiceAccount that viplet runs as, with exactly the rights that the project's manifest
//! gives it, and what it was refused.

use std::path::Path;

use serde::Deserialize as _;
use serde_json::{Value, json};

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
    /// `coordination.k8s.io`, …; empty for the core group.
    pub group: String,
    /// `services`, `services/status`, …
    pub resource: String,
    /// `NAMESPACE/NAME`; either is empty where there is none.
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
            group: text(&at["apiGroup"]),
            resource,
            object: format!("{}/{}", text(&at["namespace"]), text(&at["name"])),
            code: event["responseStatus"]["code"].as_u64().unwrap_or_default(),
        })
    }
}

/// Those of the requests for which a right is missing: answered with 403, and the API server says
/// that it would do so again. One that has just started refuses everything until it has read the
/// RBAC objects.
pub fn refused(store: &Store<'_>, requests: &[Request]) -> Vec<Request> {
    let refused = requests.iter().filter(|one| one.code == 403 && !is_allowed(store, one));
    refused.cloned().collect()
}

/// What the API server says of the right to a request (`SubjectAccessReview`).
fn is_allowed(store: &Store<'_>, request: &Request) -> bool {
    let (resource, part) = request.resource.split_once('/').unwrap_or((&request.resource, ""));
    let (namespace, name) = request.object.split_once('/').unwrap_or_default();
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": USER,
            "resourceAttributes": {
                "verb": request.verb,
                "group": request.group,
                "resource": resource,
                "subresource": part,
                "namespace": namespace,
                "name": name,
            },
        },
    });
    let path = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
    store.write(path, Write::Create(review))["status"]["allowed"] == true
}
