//! The Node on the wire (`v1`) as [`NodeRecord`], and the one thing that we write to it: labels.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use ::kube::core::Request;
use ::kube::core::params::{Patch, PatchParams};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::json;

use super::connection::Connection;
use super::error::{ApiError, Kind};
use super::json::{Text, read_json};
use super::watch::{Scope, Watched};
use crate::core::cluster::record::{NodeRecord, Scheduling};
use crate::ordered;

const DEADLINE: Duration = Duration::from_secs(10);

/// The label of the control plane's holder.
const HAS_IP: &str = "kube-vip.io/has-ip";
/// What the labels of Services begin with.
const PROVIDED: &str = "service-provided.kube-vip.io/";

/// What to watch: a Node is large (its images), so few at a time.
#[must_use]
pub fn node_scope() -> Scope {
    let path = super::collection("", None, "nodes");
    Scope { path, fields: None, labels: None, page: 25 }
}

/// Only of this node's own Node object the labels count.
#[must_use]
pub fn without_foreign_labels(mut record: NodeRecord, own: &str) -> NodeRecord {
    if *record.name != *own {
        record.labels = BTreeMap::new();
    }
    record
}

impl Watched for NodeRecord {
    type Key = Box<str>;

    fn read(json: &str) -> Result<Option<Self>, String> {
        let node: Node<'_> = read_json(json)?;
        let spec = node.spec.unwrap_or_default();
        let addresses = node.status.and_then(|status| status.addresses).unwrap_or_default();
        Ok(Some(Self {
            name: node.metadata.name,
            addresses: addresses.iter().filter_map(Address::usable).collect(),
            scheduling: match spec.unschedulable {
                Some(true) => Scheduling::Cordoned,
                Some(false) | None => Scheduling::Open,
            },
            labels: node.metadata.labels.unwrap_or_default().0,
        }))
    }

    fn key(json: &str) -> Result<Option<Box<str>>, String> {
        #[derive(Deserialize)]
        struct Named {
            metadata: Name,
        }
        #[derive(Deserialize)]
        struct Name {
            name: Box<str>,
        }
        let named: Named = read_json(json)?;
        Ok(Some(named.metadata.name))
    }
}

#[derive(Deserialize)]
struct Node<'a> {
    metadata: Metadata,
    spec: Option<Spec>,
    #[serde(borrow)]
    status: Option<Status<'a>>,
}

#[derive(Deserialize)]
struct Metadata {
    name: Box<str>,
    labels: Option<Labels>,
}

#[derive(Default, Deserialize)]
struct Spec {
    unschedulable: Option<bool>,
}

#[derive(Deserialize)]
struct Status<'a> {
    #[serde(borrow)]
    addresses: Option<Vec<Address<'a>>>,
}

#[derive(Deserialize)]
struct Address<'a> {
    #[serde(borrow)]
    r#type: Option<Text<'a>>,
    #[serde(borrow)]
    address: Option<Text<'a>>,
}

impl Address<'_> {
    fn usable(&self) -> Option<std::net::IpAddr> {
        let Text(kind) = self.r#type.as_ref()?;
        let Text(address) = self.address.as_ref()?;
        matches!(kind.as_ref(), "InternalIP" | "ExternalIP").then(|| address.parse().ok())?
    }
}

/// The labels that kube-vip and viplet write; others are skipped unread.
#[derive(Default)]
struct Labels(BTreeMap<Box<str>, Box<str>>);

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Ours;

        impl<'de> Visitor<'de> for Ours {
            type Value = Labels;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("labels")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Labels, A::Error> {
                let mut labels = Labels::default();
                while let Some(Text(key)) = map.next_key()? {
                    if key == HAS_IP || key.starts_with(PROVIDED) {
                        labels.0.insert(key.into(), map.next_value()?);
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(labels)
            }
        }

        deserializer.deserialize_map(Ours)
    }
}

/// Sets the labels of `node`, or removes those whose value is `None`: one merge patch, which
/// needs no more than the verb `patch` on nodes.
///
/// # Errors
/// As [`Connection::call`].
pub async fn set_labels(
    connection: &mut Connection,
    node: &str,
    labels: &BTreeMap<String, Option<String>>,
) -> Result<(), ApiError> {
    let patch = Patch::Merge(json!({ "metadata": { "labels": labels } }));
    let request = Request::new("/api/v1/nodes")
        .patch(node, &PatchParams::default(), &patch)
        .map_err(|error| {
            let server = connection.api().server();
            Kind::Local(error.to_string()).of(&server, &format!("label of node {node}"))
        })?;
    connection.call(request, DEADLINE).await.map(|_| ())
}

/// Sets one label, or removes it.
///
/// # Errors
/// As [`set_labels`].
pub async fn set_label(
    connection: &mut Connection,
    node: &str,
    key: &str,
    value: Option<&str>,
) -> Result<(), ApiError> {
    let labels = ordered::map([(key.to_owned(), value.map(str::to_owned))]);
    set_labels(connection, node, &labels).await
}

#[cfg(test)]
mod tests;
