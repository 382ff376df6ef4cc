//! One line of a watch: what happened, and to which object.

use std::borrow::Cow;

use ::kube::core::Status;
use http::StatusCode;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::error::Kind;
use super::super::json::{Text, name_of};
use super::{Event, Watched};
use crate::core::cluster::record::Unreadable;

/// One line of a watch.
#[derive(Deserialize)]
pub(in crate::kube) struct Frame<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    object: &'a RawValue,
}

pub(in crate::kube) fn decode(line: &[u8]) -> Result<Frame<'_>, Kind> {
    serde_json::from_slice(line).map_err(|error| Kind::Malformed(format!("an event: {error}")))
}

impl Frame<'_> {
    /// The object's version, where a watch can go on from.
    pub(in crate::kube) fn version(&self) -> Option<Cow<'_, str>> {
        #[derive(Deserialize)]
        struct Head<'a> {
            #[serde(borrow)]
            metadata: Metadata<'a>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Metadata<'a> {
            #[serde(borrow)]
            resource_version: Text<'a>,
        }
        if self.kind == "ERROR" {
            return None;
        }
        let head: Head<'_> = serde_json::from_str(self.object.get()).ok()?;
        let Text(version) = head.metadata.resource_version;
        (!version.is_empty()).then_some(version)
    }

    /// What it says, if anything.
    pub(in crate::kube) fn event<T: Watched>(&self) -> Result<Option<Event<T, T::Key>>, Kind> {
        let json = self.object.get();
        let event = match self.kind.as_ref() {
            "ADDED" | "MODIFIED" => match T::read(json) {
                Ok(object) => object.map(Event::Applied),
                Err(reason) => match unreadable::<T>(json, &reason) {
                    Ok(known) => known.map(Event::Unreadable),
                    Err(nameless) => Some(Event::Rejected(nameless)),
                },
            },
            "DELETED" => match T::key(json) {
                Ok(key) => key.map(Event::Deleted),
                Err(reason) => Some(Event::Rejected(named(json, &reason))),
            },
            "BOOKMARK" => None,
            "ERROR" => return Err(of_event(json)),
            other => return Err(Kind::Malformed(format!("an event of type {other:?}"))),
        };
        Ok(event)
    }
}

/// What is said of an object that could not be read; `None` where it is none of those that count.
///
/// # Errors
/// The same as text, where not even its name can be read.
pub(super) fn unreadable<T: Watched>(
    json: &str,
    reason: &str,
) -> Result<Option<Unreadable<T::Key>>, String> {
    let reason = named(json, reason);
    match T::key(json) {
        Ok(key) => Ok(key.map(|key| Unreadable { key, reason })),
        Err(_) => Err(reason),
    }
}

fn named(json: &str, reason: &str) -> String {
    format!("{}: {reason}", name_of(json))
}

/// An ERROR event carries what would have been the answer's status.
fn of_event(json: &str) -> Kind {
    let status: Status = match serde_json::from_str(json) {
        Ok(status) => status,
        Err(error) => return Kind::Malformed(format!("an event: {error}")),
    };
    let code = StatusCode::from_u16(status.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let expired = status.reason == "Expired" || status.reason == "Gone";
    let code = if expired { StatusCode::GONE } else { code };
    Kind::of_status(code, None, status.message.as_bytes())
}
