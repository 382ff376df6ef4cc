//! The annotations of one Node (`v1`).

use std::collections::BTreeMap;

use serde::Deserialize;

use super::json::read_json;
use super::watch::{Scope, Watched};

/// Only the Node of this name.
#[must_use]
pub fn own_node_scope(node: &str) -> Scope {
    let path = super::collection("", None, "nodes");
    Scope { path, fields: Some(format!("metadata.name={node}")), labels: None, page: 1 }
}

/// All annotations of a Node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeAnnotations {
    /// By key.
    pub annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Node {
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    name: Box<str>,
    annotations: Option<BTreeMap<String, String>>,
}

impl Watched for NodeAnnotations {
    type Key = Box<str>;

    fn read(json: &str) -> Result<Option<Self>, String> {
        let node: Node = read_json(json)?;
        Ok(Some(Self { annotations: node.metadata.annotations.unwrap_or_default() }))
    }

    fn key(json: &str) -> Result<Option<Box<str>>, String> {
        let node: Node = read_json(json)?;
        Ok(Some(node.metadata.name))
    }
}
