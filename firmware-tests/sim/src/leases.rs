//! Leases between the core's words and the API server's JSON, and the server's answer to a
//! request: what the Kubernetes transport of the program does, without a transport.

use serde_json::{Value, json};
use viplet::core::input::{LeaseSeen, Mark};
use viplet::core::rights::lease::{MOVED, WRITER};
use viplet::core::rights::mark::with_mark;
use viplet::core::{LeaseName, LeaseRecord, LeaseVerb, LeaseView, Stamp, WriteOutcome};

use crate::api::{ApiError, Collection, Key, Part, Patch, Resource, Store};

/// The key of a lease.
#[must_use]
pub fn key(lease: &LeaseName) -> Key {
    Key::new(Resource::Leases, &lease.namespace, &lease.name)
}

/// What a Lease object says.
#[must_use]
pub fn view(object: &Value) -> LeaseView {
    LeaseView::Present { version: version(object), record: record(object) }
}

fn version(object: &Value) -> String {
    object["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned()
}

fn record(object: &Value) -> LeaseRecord {
    let spec = &object["spec"];
    let number =
        |field: &str| spec[field].as_u64().and_then(|n| u32::try_from(n).ok()).unwrap_or_default();
    let stamp =
        |field: &str| spec[field].as_str().map_or(Stamp::Absent, |text| Stamp::At(text.to_owned()));
    LeaseRecord {
        holder: spec["holderIdentity"].as_str().unwrap_or_default().to_owned(),
        duration_seconds: number("leaseDurationSeconds"),
        acquired: stamp("acquireTime"),
        renewed: stamp("renewTime"),
        transitions: number("leaseTransitions"),
        moved: object["metadata"]["annotations"][MOVED].as_str().map(Into::into),
        writer: object["metadata"]["annotations"][WRITER].as_str().map(Into::into),
    }
}

/// The server carries out a mark, read and write in one: what the Lease says then.
pub fn mark(store: &mut Store, lease: &LeaseName, mark: &Mark, wall: &str) -> Option<LeaseSeen> {
    let key = key(lease);
    let object = match store.get(&key) {
        Ok(object) => object,
        Err(_) => {
            let text = with_mark(None, &Mark { after: None, ..mark.clone() })?;
            let metadata = json!({"name": lease.name, "annotations": {MOVED: text}});
            let spec = json!({"holderIdentity": "", "leaseDurationSeconds": 1});
            let at = Collection::within(Resource::Leases, &lease.namespace);
            store.create(&at, json!({"metadata": metadata, "spec": spec}), wall).ok()?
        }
    };
    let object = match with_mark(record(&object).moved.as_deref(), mark) {
        None => object,
        Some(text) => {
            let patch = json!({"metadata": {"annotations": {MOVED: text}}});
            store.patch(&key, Part::Main, &Patch::Merge(patch)).ok()?
        }
    };
    Some(LeaseSeen { lease: lease.clone(), version: version(&object), record: record(&object) })
}

/// `spec` of a record; the moments that say «now» become `wall`.
#[must_use]
pub fn spec(record: &LeaseRecord, wall: &str) -> Value {
    let stamp = |stamp: &Stamp| match stamp {
        Stamp::Now => json!(wall),
        Stamp::At(text) => json!(text),
        Stamp::Absent => Value::Null,
    };
    json!({
        "holderIdentity": record.holder,
        "leaseDurationSeconds": record.duration_seconds,
        "acquireTime": stamp(&record.acquired),
        "renewTime": stamp(&record.renewed),
        "leaseTransitions": record.transitions,
    })
}

/// What the server made of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// To a read.
    Read(Result<LeaseView, String>),
    /// To a write.
    Written(WriteOutcome),
}

/// The server handles a request. `wall` is the sender's wall clock when it sent it.
pub fn serve(store: &mut Store, lease: &LeaseName, verb: &LeaseVerb, wall: &str) -> Answer {
    let key = key(lease);
    match verb {
        LeaseVerb::Read => Answer::Read(match store.get(&key) {
            Ok(object) => Ok(view(&object)),
            Err(error) if error.code == 404 => Ok(LeaseView::Absent),
            Err(error) => Err(error.message),
        }),
        LeaseVerb::Create { record, annotations, .. } => {
            let annotations = signed(json!(annotations), record);
            let metadata = json!({"name": lease.name, "annotations": annotations});
            let body = json!({"metadata": metadata, "spec": spec(record, wall)});
            let at = Collection::within(Resource::Leases, &lease.namespace);
            Answer::Written(outcome(store.create(&at, body, wall)))
        }
        LeaseVerb::Replace { version, record, .. } => {
            // What the object carries beside its spec is written back as it was.
            let kept = store.get(&key).map(|object| object["metadata"]["annotations"].clone());
            let kept = signed(kept.unwrap_or(Value::Null), record);
            let metadata =
                json!({"name": lease.name, "resourceVersion": version, "annotations": kept});
            let body = json!({"metadata": metadata, "spec": spec(record, wall)});
            let written = store.update_or_create(&key, Part::Main, body, wall);
            Answer::Written(outcome(written.map(|(_, object)| object)))
        }
    }
}

/// Annotations with the record's writer among them, or without one.
fn signed(annotations: Value, record: &LeaseRecord) -> Value {
    let mut all = annotations.as_object().cloned().unwrap_or_default();
    match record.writer.as_deref() {
        Some(writer) => all.insert(WRITER.to_owned(), json!(writer)),
        None => all.remove(WRITER),
    };
    Value::Object(all)
}

fn outcome(result: Result<Value, ApiError>) -> WriteOutcome {
    match result {
        Ok(object) => WriteOutcome::Stored { version: version(&object), record: record(&object) },
        Err(error) => match error.code {
            409 => WriteOutcome::Conflict,
            404 => WriteOutcome::Gone,
            _ => WriteOutcome::Rejected(error.message),
        },
    }
}

/// A wall clock's time as RFC 3339 with microseconds, from microseconds since 2026-01-01.
#[must_use]
pub fn wall_text(micros: u64) -> String {
    let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
    let (day, second) = (seconds / 86_400 % 28 + 1, seconds % 86_400);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("2026-01-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
}
