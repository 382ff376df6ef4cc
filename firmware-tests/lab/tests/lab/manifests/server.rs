//! The real API server that the manifests are given to, and what its accounts may do.

use serde_json::{Value, json};
use viplet_kubeapi::client::{Answer, Payload};
use viplet_kubeapi::real::{RealOptions, RealServer};
use viplet_lab::wait::wait_until;

use super::SOON;

/// The real API server, with the namespaces that the manifests want.
pub(super) struct Cluster(RealServer);

impl Cluster {
    pub(super) fn start() -> Self {
        let options = RealOptions::at("127.0.0.1:0".parse().unwrap());
        let server = RealServer::start(&options).unwrap();
        let namespace = json!({"metadata": {"name": "tenant"}});
        assert_eq!(server.admin().create("/api/v1/namespaces", &namespace).unwrap().code, 201);
        Self(server)
    }

    /// As `kubectl apply --server-side --validate=strict`.
    pub(super) fn apply(&self, document: &str) -> Answer {
        let object = parsed(document);
        let path = path(&object);
        let query = "fieldManager=test&force=true&fieldValidation=Strict";
        self.0.admin().call("PATCH", &format!("{path}?{query}"), Payload::Apply(document)).unwrap()
    }

    /// Applies each document; all are taken.
    #[track_caller]
    pub(super) fn takes(&self, text: &str, what: &str) -> Vec<Value> {
        let documents = split(text);
        assert!(!documents.is_empty(), "{what} is empty");
        let mut taken = Vec::new();
        for document in documents {
            let answer = self.apply(&document);
            assert!(matches!(answer.code, 200 | 201), "{what}: {}\n{document}", answer.text);
            taken.push(answer.body);
        }
        // A pod cannot be changed: the next one of the name shall be new.
        for pod in taken.iter().filter(|object| object["kind"] == "Pod") {
            let path = format!("{}?gracePeriodSeconds=0", path(pod));
            self.0.admin().call("DELETE", &path, Payload::None).unwrap();
        }
        taken
    }

    /// Whether the account `kube-vip` of a namespace may do this, there or elsewhere.
    pub(super) fn allows(
        &self,
        account: &str,
        verb: &str,
        resource: &str,
        namespace: &str,
    ) -> bool {
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        let group = match resource {
            "leases" => "coordination.k8s.io",
            "endpointslices" => "discovery.k8s.io",
            _ => "",
        };
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
            "spec": {
                "user": format!("system:serviceaccount:{account}:kube-vip"),
                "groups": ["system:serviceaccounts", format!("system:serviceaccounts:{account}"), "system:authenticated"],
                "resourceAttributes": {
                    "verb": verb, "group": group, "resource": resource,
                    "subresource": subresource, "namespace": namespace,
                },
            },
        });
        let path = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
        let answer = self.0.admin().create(path, &review).unwrap();
        assert_eq!(answer.code, 201, "{}", answer.text);
        answer.body["status"]["allowed"] == true
    }

    /// The authoriser hears of new rights by a watch of its own.
    #[track_caller]
    pub(super) fn comes_to_allow(&self, account: &str, right: &str, namespace: &str) {
        let (resource, verb) = right.split_once(' ').unwrap();
        let what = format!("{account} may {verb} {resource} in {namespace:?}");
        wait_until(&what, SOON, || self.allows(account, verb, resource, namespace));
    }

    /// Deletes these objects.
    pub(super) fn delete(&self, objects: &[Value]) {
        for object in objects {
            self.0.admin().call("DELETE", &path(object), Payload::None).unwrap();
        }
    }

    /// Removes all that the account was granted.
    pub(super) fn forget(&self) {
        let rbac = "/apis/rbac.authorization.k8s.io/v1";
        let nodes = "system:kube-vip-nodes:tenant";
        let paths = [
            format!("{rbac}/clusterrolebindings/system:kube-vip-binding"),
            format!("{rbac}/clusterrolebindings/{nodes}"),
            format!("{rbac}/namespaces/tenant/rolebindings/kube-vip"),
        ];
        for path in paths {
            self.0.admin().call("DELETE", &path, Payload::None).unwrap();
        }
    }
}

fn parsed(document: &str) -> Value {
    serde_yaml_ng::from_str(document).unwrap_or_else(|error| panic!("{error}: {document}"))
}

/// The documents of a text, as they are; comments alone are none.
fn split(text: &str) -> Vec<String> {
    let mut documents = vec![String::new()];
    for line in text.lines() {
        if line == "---" {
            documents.push(String::new());
        } else if let Some(last) = documents.last_mut() {
            last.push_str(line);
            last.push('\n');
        }
    }
    documents.retain(|document| !parsed(document).is_null());
    documents
}

/// Where an object lives.
fn path(object: &Value) -> String {
    let (name, namespace) = (&object["metadata"]["name"], &object["metadata"]["namespace"]);
    let (name, namespace) = (name.as_str().unwrap(), namespace.as_str().unwrap_or_default());
    let rbac = "/apis/rbac.authorization.k8s.io/v1";
    match object["kind"].as_str().unwrap() {
        "Pod" => format!("/api/v1/namespaces/{namespace}/pods/{name}"),
        "ServiceAccount" => format!("/api/v1/namespaces/{namespace}/serviceaccounts/{name}"),
        "DaemonSet" => format!("/apis/apps/v1/namespaces/{namespace}/daemonsets/{name}"),
        "ClusterRole" => format!("{rbac}/clusterroles/{name}"),
        "ClusterRoleBinding" => format!("{rbac}/clusterrolebindings/{name}"),
        "Role" => format!("{rbac}/namespaces/{namespace}/roles/{name}"),
        "RoleBinding" => format!("{rbac}/namespaces/{namespace}/rolebindings/{name}"),
        other => panic!("a {other}: say where it lives"),
    }
}
