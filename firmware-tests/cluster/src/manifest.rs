//! The project's manifests with what a user changes in them, and objects of the tests.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize as _;
use serde_json::{Value, json};

use crate::parts::root;

/// The objects of one manifest.
#[derive(Clone, Debug)]
pub struct Manifest(Vec<Value>);

impl Manifest {
    /// One of the project's own, by its path below `manifests/`.
    pub fn ours(path: &str) -> Self {
        let file = root().join("manifests").join(path);
        let text =
            fs::read_to_string(&file).unwrap_or_else(|why| panic!("{}: {why}", file.display()));
        Self::parse(&text)
    }

    /// From YAML with any number of documents.
    pub fn parse(text: &str) -> Self {
        let documents = serde_yaml_ng::Deserializer::from_str(text);
        let object = |document| Value::deserialize(document).expect("YAML");
        Self(documents.map(object).filter(|object| !object.is_null()).collect())
    }

    /// Its objects.
    pub fn objects(&self) -> &[Value] {
        &self.0
    }

    /// With another image.
    #[must_use]
    pub fn image(self, image: &str) -> Self {
        self.container(|container| container["image"] = json!(image))
    }

    /// With a variable of the environment set.
    #[must_use]
    pub fn env(self, name: &str, value: &str) -> Self {
        self.container(|container| {
            let all = container["env"].as_array_mut().expect("an environment");
            all.retain(|one| one["name"] != name);
            all.push(json!({"name": name, "value": value}));
        })
    }

    /// With its one container changed.
    #[must_use]
    pub fn container(self, change: impl Fn(&mut Value)) -> Self {
        self.pod(|spec| change(&mut spec["containers"][0]))
    }

    /// With the spec of its pods changed.
    #[must_use]
    pub fn pod(mut self, change: impl Fn(&mut Value)) -> Self {
        for object in &mut self.0 {
            match object["kind"].as_str() {
                Some("Pod") => change(&mut object["spec"]),
                Some("DaemonSet" | "Deployment") => change(&mut object["spec"]["template"]["spec"]),
                _ => {}
            }
        }
        self
    }

    /// As JSON text, which readers of YAML read.
    pub fn text(&self) -> String {
        match self.0.as_slice() {
            [one] => one.to_string(),
            all => json!({"apiVersion": "v1", "kind": "List", "items": all}).to_string(),
        }
    }

    /// Writes it to a file.
    pub fn write(&self, file: &Path) -> PathBuf {
        fs::write(file, self.text()).expect("a manifest's file");
        file.to_owned()
    }
}

/// A Deployment of web servers with `replicas` pods, and the Service in front of it at `address`.
pub fn web(image: &str, replicas: usize, address: &str) -> Manifest {
    let labels = json!({"app": "web"});
    let container = json!({
        "name": "web", "image": image, "imagePullPolicy": "Never",
        "ports": [{"containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1},
        // Time for every kube-proxy to hear that this endpoint goes.
        "lifecycle": {"preStop": {"sleep": {"seconds": 3}}},
    });
    let spread = json!({
        "maxSkew": 1, "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": {"matchLabels": labels},
    });
    let pods = json!({
        "terminationGracePeriodSeconds": 10, "containers": [container],
        "topologySpreadConstraints": [spread],
    });
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {
            "replicas": replicas, "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pods},
        },
    });
    let budget = json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": labels}},
    });
    let service = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {
            "name": "web", "namespace": "default",
            "annotations": {"kube-vip.io/loadbalancerIPs": address},
        },
        "spec": {
            "type": "LoadBalancer", "selector": labels,
            "ports": [{"port": 80, "targetPort": 8080}],
        },
    });
    Manifest(vec![deployment, budget, service])
}
