//! The one thing that we write to a Node: a label.

use std::time::Duration;

use ::kube::core::Request;
use ::kube::core::params::{Patch, PatchParams};
use serde_json::json;

use super::connection::Connection;
use super::error::{ApiError, Kind};

const DEADLINE: Duration = Duration::from_secs(10);

/// Sets the label `key` of `node`, or removes it where `value` is `None`: one merge patch, which
/// needs no more than the verb `patch` on nodes.
///
/// # Errors
/// As [`Connection::call`].
pub async fn set_label(
    connection: &mut Connection,
    node: &str,
    key: &str,
    value: Option<&str>,
) -> Result<(), ApiError> {
    let patch = Patch::Merge(json!({ "metadata": { "labels": { key: value } } }));
    let request = Request::new("/api/v1/nodes")
        .patch(node, &PatchParams::default(), &patch)
        .map_err(|error| {
            let server = connection.api().server();
            Kind::Local(error.to_string()).of(&server, &format!("label of node {node}"))
        })?;
    connection.call(request, DEADLINE).await.map(|_| ())
}
