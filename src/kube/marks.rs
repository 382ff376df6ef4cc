//! Marks on Leases ([`MOVED`]): read, change the one annotation, replace with what was read.

use std::time::{Duration, SystemTime};

use ::kube::core::Request;
use ::kube::core::params::{GetParams, PostParams};
use serde_json::{Value, json};

use super::connection::Connection;
use super::error::{ApiError, Kind};
use super::lease::{Kept, Lease, collection};
use crate::core::input::Mark;
use crate::core::rights::lease::MOVED;
use crate::core::rights::mark::with_mark;
use crate::core::{LeaseName, LeaseRecord, Stamp};
use crate::ordered;

/// Each request must be answered within this time.
const DEADLINE: Duration = Duration::from_secs(5);
/// The holder renews meanwhile, or another node writes the same.
const TRIES: usize = 4;

/// Writes `mark` on `lease`, which is made, without a holder, if there is none; where the mark is
/// there, or one that it is not to come after, nothing is written. What the Lease says then.
///
/// # Errors
/// As [`Connection::call`]; a conflict where others were faster each time.
pub async fn mark_lease(
    connection: &mut Connection,
    lease: &LeaseName,
    mark: &Mark,
) -> Result<Lease, ApiError> {
    let mut tried = Ok(None);
    for _ in 0..TRIES {
        tried = attempt(connection, lease, mark).await.map(Some);
        match &tried {
            Err(ApiError { kind: Kind::Conflict(_) | Kind::AlreadyExists(_), .. }) => {}
            _ => break,
        }
    }
    let nothing = || named(connection, lease, Kind::Local("nothing was tried".to_owned()));
    tried.and_then(|lease| lease.ok_or_else(nothing))
}

async fn attempt(
    connection: &mut Connection,
    lease: &LeaseName,
    mark: &Mark,
) -> Result<Lease, ApiError> {
    let path = collection(lease).map_err(|kind| named(connection, lease, kind))?;
    let requests = Request::new(path);
    let get = requests.get(&lease.name, &GetParams::default());
    let get = get.map_err(|error| local(connection, lease, &error))?;
    let request = match connection.call(get, DEADLINE).await {
        Ok(answer) => {
            let Some(body) = marked(&answer.body, mark)
                .map_err(|why| named(connection, lease, Kind::Malformed(why)))?
            else {
                return read(connection, lease, &answer.body);
            };
            requests.replace(&lease.name, &PostParams::default(), body)
        }
        Err(ApiError { kind: Kind::NotFound(_), .. }) => {
            requests.create(&PostParams::default(), fresh(lease, mark))
        }
        Err(error) => return Err(error),
    };
    let request = request.map_err(|error| local(connection, lease, &error))?;
    let answer = connection.call(request, DEADLINE).await?;
    read(connection, lease, &answer.body)
}

/// The object with the mark; `None`: it stays as it is.
fn marked(body: &[u8], mark: &Mark) -> Result<Option<Vec<u8>>, String> {
    let mut object: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let known = object.pointer("/metadata/annotations").and_then(|all| all.get(MOVED));
    let Some(text) = with_mark(known.and_then(Value::as_str), mark) else { return Ok(None) };
    let metadata = object.get_mut("metadata").and_then(Value::as_object_mut);
    let metadata = metadata.ok_or_else(|| "metadata is missing".to_owned())?;
    let annotations = metadata.entry("annotations").or_insert(Value::Null);
    match annotations.as_object_mut() {
        Some(annotations) => {
            annotations.insert(MOVED.to_owned(), json!(text));
        }
        None => *annotations = json!({MOVED: text}),
    }
    Ok(Some(object.to_string().into_bytes()))
}

/// A Lease that nobody has held.
fn fresh(lease: &LeaseName, mark: &Mark) -> Vec<u8> {
    let text = with_mark(None, &Mark { after: None, ..mark.clone() }).unwrap_or_default();
    let record = LeaseRecord {
        holder: String::new(),
        duration_seconds: 1,
        acquired: Stamp::Now,
        renewed: Stamp::Now,
        transitions: 0,
        moved: None,
        writer: None,
    };
    let kept = Kept::with_annotations(&ordered::map([(MOVED.to_owned(), text)]));
    kept.body(lease, None, &record, SystemTime::now())
}

fn read(connection: &Connection, lease: &LeaseName, body: &[u8]) -> Result<Lease, ApiError> {
    let read = str::from_utf8(body).map_err(|error| error.to_string()).and_then(Lease::of_json);
    read.map_err(|why| named(connection, lease, Kind::Malformed(why)))
}

fn named(connection: &Connection, lease: &LeaseName, kind: Kind) -> ApiError {
    kind.of(&connection.api().server(), &format!("Lease {lease}"))
}

fn local(
    connection: &Connection,
    lease: &LeaseName,
    error: &::kube::core::request::Error,
) -> ApiError {
    named(connection, lease, Kind::Local(error.to_string()))
}

#[cfg(test)]
mod tests;
