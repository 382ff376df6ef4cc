//! Events (`v1`) about Services, which `kubectl describe` shows.

use std::time::{Duration, SystemTime};

use ::kube::core::Request;
use ::kube::core::params::PostParams;
use serde_json::{Value, json};
use viplet_backend_api::fnv1a;

use super::connection::Connection;
use super::error::{ApiError, Kind};
use super::json::cut;
use crate::core::input::{EventWeight, ServiceEvent};
use crate::dates::rfc3339;

const DEADLINE: Duration = Duration::from_secs(10);
/// The API server's bounds.
const LONGEST_MESSAGE: usize = 1024;
const LONGEST_REASON: usize = 128;
/// The same again is stored anew after this time; the API server forgets Events after an hour.
const AGAIN: u64 = 50 * 60;
const COMPONENT: &str = "viplet";

/// Records `event`, which node `own` reports. Where the same was recorded a while ago, by
/// whichever node, nothing is recorded and all is well.
///
/// # Errors
/// As [`Connection::call`].
pub async fn record_event(
    connection: &mut Connection,
    event: &ServiceEvent,
    own: &str,
    now: SystemTime,
) -> Result<(), ApiError> {
    let server = connection.api().server();
    let local = |why: String| Kind::Local(why).of(&server, &format!("Event: {}", event.service));
    let space = event.service.namespace();
    if !super::is_name(space) {
        return Err(local("it is no name of a namespace".to_owned()));
    }
    let body = body(event, own, now).to_string().into_bytes();
    let request = Request::new(super::collection("", Some(space), "events"))
        .create(&PostParams::default(), body)
        .map_err(|error| local(error.to_string()))?;
    match connection.call(request, DEADLINE).await {
        Ok(_) | Err(ApiError { kind: Kind::AlreadyExists(_), .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

fn body(event: &ServiceEvent, own: &str, now: SystemTime) -> Value {
    let (namespace, name) = (event.service.namespace(), event.service.name());
    let time = rfc3339(now);
    let mut source = json!({"component": COMPONENT});
    if let (Some(node), Some(source)) = (&event.node, source.as_object_mut()) {
        source.insert("host".to_owned(), json!(node));
    }
    json!({
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"namespace": namespace, "name": format!("{name}.{:016x}", digest(event, now))},
        "involvedObject": {
            "apiVersion": "v1", "kind": "Service",
            "namespace": namespace, "name": name, "uid": event.uid,
        },
        "type": match event.weight {
            EventWeight::Normal => "Normal",
            EventWeight::Warning => "Warning",
        },
        "reason": cut(&event.reason, LONGEST_REASON),
        "message": cut(&event.message, LONGEST_MESSAGE),
        "firstTimestamp": time,
        "lastTimestamp": time,
        "count": 1,
        "source": source,
        "reportingComponent": COMPONENT,
        "reportingInstance": event.node.as_deref().unwrap_or(own),
    })
}

/// The same for the same on every node, so that it is stored once.
fn digest(event: &ServiceEvent, now: SystemTime) -> u64 {
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let bucket = (since / AGAIN).to_string();
    let node = event.node.as_deref().unwrap_or_default();
    let uid = event.uid.to_string();
    let parts = [&*uid, &event.reason, &event.message, node, &bucket];
    // A byte that is in no text ends each part.
    fnv1a(parts.into_iter().flat_map(|part| part.bytes().chain([0xff])))
}

#[cfg(test)]
mod tests;
