//! The annotations of one Node (`v1`).

use std::collections::BTreeMap;
use std::time::Duration;

use http::Request;
use serde::Deserialize;

use super::connection::Connection;
use super::error::{ApiError, Kind};
use super::json::read_json;

const DEADLINE: Duration = Duration::from_secs(10);

/// Reads all annotations of `node`.
///
/// # Errors
/// As [`Connection::call`].
pub async fn read_annotations(
    connection: &mut Connection,
    node: &str,
) -> Result<BTreeMap<String, String>, ApiError> {
    let server = connection.api().server();
    let local = |why: String| Kind::Local(why).of(&server, &format!("annotations of node {node}"));
    if !super::is_name(node) {
        return Err(local("no node has such a name".to_owned()));
    }
    let path = format!("{}/{node}", super::collection("", None, "nodes"));
    let request = Request::get(path).body(Vec::new()).map_err(|error| local(error.to_string()))?;
    let answer = connection.call(request, DEADLINE).await?;
    let text = String::from_utf8_lossy(&answer.body);
    let node: Node = read_json(&text).map_err(local)?;
    Ok(node.metadata.annotations.unwrap_or_default())
}

#[derive(Deserialize)]
struct Node {
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    annotations: Option<BTreeMap<String, String>>,
}
