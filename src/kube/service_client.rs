//! Writes to a Service: read, change, replace, and nothing where nothing changes.

use std::time::{Duration, Instant, SystemTime};

use ::kube::core::Request;
use ::kube::core::params::{GetParams, PostParams};
use serde_json::Value;

use super::connection::Connection;
use super::error::{ApiError, Kind};
use super::service_change::{Applied, NotApplied, apply_to_service};
use crate::core::input::{ServiceOutcome, ServiceUpdate};
use crate::dates::rfc3339;

/// Both requests must be answered within this time.
const DEADLINE: Duration = Duration::from_secs(10);

/// Carries out `update` with one GET and at most one PUT.
///
/// The PUT goes to the `status` subresource, which takes `metadata` with it: annotation and status
/// change together or not at all. It names the `resourceVersion` that was read.
pub async fn update_service(
    connection: &mut Connection,
    update: &ServiceUpdate,
    now: SystemTime,
) -> ServiceOutcome {
    match attempt(connection, update, now).await {
        Ok(outcome) => outcome,
        Err(error) => outcome(&error),
    }
}

async fn attempt(
    connection: &mut Connection,
    update: &ServiceUpdate,
    now: SystemTime,
) -> Result<ServiceOutcome, ApiError> {
    let started = Instant::now();
    let server = connection.api().server();
    let named = |kind: Kind| kind.of(&server, &format!("Service {}", update.service));
    let local = |error: ::kube::core::request::Error| named(Kind::Local(error.to_string()));
    let (space, name) = (update.service.namespace(), update.service.name());
    if !super::is_name(space) || !super::is_name(name) {
        return Err(named(Kind::Local("it is no name of a Service".to_owned())));
    }
    let requests = Request::new(super::collection("", Some(space), "services"));
    let get = requests.get(name, &GetParams::default()).map_err(local)?;
    let answer = connection.call(get, DEADLINE).await?;
    let mut service: Value = serde_json::from_slice(&answer.body)
        .map_err(|error| named(Kind::Malformed(error.to_string())))?;
    match apply_to_service(&mut service, update, &rfc3339(now)) {
        Ok(Applied::Changed) => {}
        Ok(Applied::Unchanged) => return Ok(ServiceOutcome::Done),
        Err(NotApplied::AnotherUid) => return Ok(ServiceOutcome::Gone),
        Err(NotApplied::Malformed(why)) => return Err(named(Kind::Malformed(why))),
    }
    let body = service.to_string().into_bytes();
    let put = requests.replace_subresource("status", name, &PostParams::default(), body);
    let left = DEADLINE.saturating_sub(started.elapsed());
    connection.call(put.map_err(local)?, left).await?;
    Ok(ServiceOutcome::Done)
}

fn outcome(error: &ApiError) -> ServiceOutcome {
    match &error.kind {
        Kind::NotFound(_) => ServiceOutcome::Gone,
        // Uncertain: if the conflict was with ourselves, the next try finds nothing to change.
        Kind::Conflict(_) | Kind::Uncertain(_) => ServiceOutcome::Conflict,
        Kind::Forbidden(_) | Kind::Refused(..) => ServiceOutcome::Refused(error.to_string()),
        _ => ServiceOutcome::Failed(error.to_string()),
    }
}
