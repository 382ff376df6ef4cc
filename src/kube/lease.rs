//! The Lease on the wire (`coordination.k8s.io/v1`), as [`LeaseRecord`], and what of it an update
//! must write back.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::error::Kind;
use super::json::{Fields, Text, read_json, shortened};
use super::watch::Watched;
use crate::core::rights::lease::{MOVED, WRITER};
use crate::core::uid::Uid;
use crate::core::{LeaseName, LeaseRecord, LeaseView, Stamp};
use crate::dates;

const HOLDER: &str = "holderIdentity";
const DURATION: &str = "leaseDurationSeconds";
const ACQUIRED: &str = "acquireTime";
const RENEWED: &str = "renewTime";
const TRANSITIONS: &str = "leaseTransitions";

/// What the server fills in by itself where an update does not name it.
const FILLED_IN: [&str; 6] = [
    "managedFields",
    "creationTimestamp",
    "generation",
    "selfLink",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
];

/// A Lease as the API server gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    /// `metadata.resourceVersion`.
    pub version: String,
    /// The part of its spec that an election reads.
    pub record: LeaseRecord,
    /// The rest of it, to be written back as it was.
    pub(crate) kept: Kept,
}

/// What an update must not lose: labels, annotations, owners, and fields that we do not know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Kept {
    /// With it an update never makes a Lease anew that was deleted.
    uid: Option<Uid>,
    rest: Option<Box<Rest>>,
}

/// Members of JSON objects, as they were written, each with a comma before it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Rest {
    metadata: Box<str>,
    /// Those of `metadata.annotations`, but for [`WRITER`].
    annotations: Box<str>,
    spec: Box<str>,
}

/// What of an object is to be kept, while it is read.
#[derive(Default)]
struct Keeping {
    metadata: String,
    annotations: String,
    spec: String,
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow)]
    metadata: Fields<'a>,
    #[serde(borrow)]
    spec: Option<Fields<'a>>,
}

impl Watched for Lease {
    type Key = LeaseName;

    fn read(json: &str) -> Result<Option<Self>, String> {
        Self::of_json(json).map(Some)
    }

    fn key(json: &str) -> Result<Option<LeaseName>, String> {
        #[derive(Deserialize)]
        struct Named<'a> {
            #[serde(borrow)]
            metadata: Fields<'a>,
        }
        let wire: Named<'_> = read_json(json)?;
        let mut name = LeaseName { namespace: String::new(), name: String::new() };
        for (key, value) in wire.metadata.0 {
            match key.as_ref() {
                "namespace" => name.namespace = text(value, "metadata.namespace")?,
                "name" => name.name = text(value, "metadata.name")?,
                _ => {}
            }
        }
        required(&name.name, "name").map(|()| Some(name))
    }
}

impl Lease {
    /// Reads a Lease from JSON.
    ///
    /// # Errors
    /// The field that makes no sense.
    pub fn of_json(json: &str) -> Result<Self, String> {
        let wire: Wire<'_> = read_json(json)?;
        let mut lease = Self {
            namespace: String::new(),
            name: String::new(),
            version: String::new(),
            record: LeaseRecord {
                holder: String::new(),
                duration_seconds: 0,
                acquired: Stamp::Absent,
                renewed: Stamp::Absent,
                transitions: 0,
                moved: None,
                writer: None,
            },
            kept: Kept::default(),
        };
        let mut keeping = Keeping::default();
        lease.take_metadata(wire.metadata, &mut keeping)?;
        lease.take_spec(wire.spec.unwrap_or_default(), &mut keeping.spec)?;
        let Keeping { metadata, annotations, spec } = keeping;
        if !(metadata.is_empty() && annotations.is_empty() && spec.is_empty()) {
            let (metadata, annotations, spec) = (metadata.into(), annotations.into(), spec.into());
            lease.kept.rest = Some(Box::new(Rest { metadata, annotations, spec }));
        }
        required(&lease.name, "name")?;
        required(&lease.version, "resourceVersion")?;
        Ok(lease)
    }

    fn take_metadata(&mut self, fields: Fields<'_>, keeping: &mut Keeping) -> Result<(), String> {
        for (key, value) in fields.0 {
            match key.as_ref() {
                "namespace" => self.namespace = text(value, "metadata.namespace")?,
                "name" => self.name = text(value, "metadata.name")?,
                "resourceVersion" => self.version = text(value, "metadata.resourceVersion")?,
                "uid" => {
                    let uid = text(value, "metadata.uid")?;
                    self.kept.uid = (!uid.is_empty()).then(|| Uid::from(uid));
                }
                known if FILLED_IN.contains(&known) => {}
                "annotations" => self.take_annotations(value, &mut keeping.annotations),
                other => keep(&mut keeping.metadata, other, value),
            }
        }
        Ok(())
    }

    /// One of ours that makes no sense counts as none.
    fn take_annotations(&mut self, annotations: &RawValue, rest: &mut String) {
        let all: Option<Fields<'_>> = serde_json::from_str(annotations.get()).unwrap_or_default();
        for (key, value) in all.unwrap_or_default().0 {
            let known = || text(value, "metadata.annotations").ok().map(Into::into);
            match key.as_ref() {
                WRITER => self.record.writer = known(),
                other => {
                    if other == MOVED {
                        self.record.moved = known();
                    }
                    keep(rest, other, value);
                }
            }
        }
    }

    fn take_spec(&mut self, fields: Fields<'_>, rest: &mut String) -> Result<(), String> {
        let record = &mut self.record;
        for (key, value) in fields.0 {
            match key.as_ref() {
                HOLDER => record.holder = text(value, "spec.holderIdentity")?,
                DURATION => {
                    record.duration_seconds = number(value, "spec.leaseDurationSeconds")?;
                }
                ACQUIRED => record.acquired = stamp(value, "spec.acquireTime")?,
                RENEWED => record.renewed = stamp(value, "spec.renewTime")?,
                TRANSITIONS => record.transitions = number(value, "spec.leaseTransitions")?,
                other => keep(rest, other, value),
            }
        }
        Ok(())
    }

    pub(crate) fn view(self) -> LeaseView {
        LeaseView::Present { version: self.version, record: self.record }
    }

    /// Its namespace and name.
    #[must_use]
    pub fn lease(&self) -> LeaseName {
        LeaseName { namespace: self.namespace.clone(), name: self.name.clone() }
    }
}

impl Kept {
    /// For a new Lease.
    pub(crate) fn with_annotations(annotations: &BTreeMap<String, String>) -> Self {
        if annotations.is_empty() {
            return Self::default();
        }
        let all: String = annotations
            .iter()
            .map(|(key, value)| format!(",{}:{}", json!(key), json!(value)))
            .collect();
        let rest = Rest { annotations: all.into(), ..Rest::default() };
        Self { uid: None, rest: Some(Box::new(rest)) }
    }

    /// The body of a POST, or of a PUT that replaces `version`. `now` is what [`Stamp::Now`] means.
    pub(crate) fn body(
        self,
        lease: &LeaseName,
        version: Option<&str>,
        record: &LeaseRecord,
        now: SystemTime,
    ) -> Vec<u8> {
        let rest = self.rest.unwrap_or_default();
        let mut metadata =
            format!(r#""name":{},"namespace":{}"#, json!(lease.name), json!(lease.namespace));
        if let Some(version) = version {
            metadata.push_str(&format!(r#","resourceVersion":{}"#, json!(version)));
            if let Some(uid) = self.uid {
                metadata.push_str(&format!(r#","uid":{}"#, json!(uid)));
            }
        }
        let writer = record.writer.as_deref().map(|text| format!(r#","{WRITER}":{}"#, json!(text)));
        let annotations = format!("{}{}", rest.annotations, writer.unwrap_or_default());
        if let Some(all) = annotations.strip_prefix(',') {
            metadata.push_str(&format!(r#","annotations":{{{all}}}"#));
        }
        let (transitions, holder) = (record.transitions, json!(record.holder));
        let mut spec = format!(r#""{HOLDER}":{holder},"{TRANSITIONS}":{transitions}"#);
        // The API server refuses 0.
        if record.duration_seconds > 0 {
            spec.push_str(&format!(r#","{DURATION}":{}"#, record.duration_seconds));
        }
        for (field, stamp) in [(ACQUIRED, &record.acquired), (RENEWED, &record.renewed)] {
            let time = match stamp {
                Stamp::Now => dates::rfc3339_micros(now),
                Stamp::At(text) => text.clone(),
                Stamp::Absent => continue,
            };
            spec.push_str(&format!(r#","{field}":{}"#, json!(time)));
        }
        let (more_metadata, more_spec) = (&rest.metadata, &rest.spec);
        format!(
            r#"{{"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{{{metadata}{more_metadata}}},"spec":{{{spec}{more_spec}}}}}"#
        )
        .into_bytes()
    }
}

fn keep(rest: &mut String, key: &str, value: &RawValue) {
    if value.get() != "null" {
        rest.push_str(&format!(",{}:{}", json!(key), value.get()));
    }
}

fn required(text: &str, field: &str) -> Result<(), String> {
    if text.is_empty() { Err(format!("metadata.{field} is missing")) } else { Ok(()) }
}

fn wrong(value: &RawValue, field: &str, wanted: &str) -> String {
    format!("{field} is {}, not {wanted}", shortened(value.get()))
}

fn text(value: &RawValue, field: &str) -> Result<String, String> {
    let text: Result<Option<Text<'_>>, _> = serde_json::from_str(value.get());
    let text = text.map_err(|_| wrong(value, field, "text"))?;
    Ok(text.map_or_else(String::new, |Text(text)| text.into_owned()))
}

fn stamp(value: &RawValue, field: &str) -> Result<Stamp, String> {
    if value.get() == "null" { Ok(Stamp::Absent) } else { text(value, field).map(Stamp::At) }
}

/// Absent and negative count as 0; digits in quotes are read as well.
fn number(value: &RawValue, field: &str) -> Result<u32, String> {
    let digits = value.get().trim_matches('"').trim();
    let whole: Option<i64> = if digits == "null" { Some(0) } else { digits.parse().ok() };
    let whole = whole.ok_or_else(|| wrong(value, field, "a whole number"))?;
    Ok(u32::try_from(whole.max(0)).unwrap_or(u32::MAX))
}

/// The path of the namespace's Leases.
pub(crate) fn collection(lease: &LeaseName) -> Result<String, Kind> {
    if super::is_name(&lease.namespace) && super::is_name(&lease.name) {
        Ok(super::collection("coordination.k8s.io", Some(&lease.namespace), "leases"))
    } else {
        Err(Kind::Local(format!("\"{lease}\" is no name of a Lease")))
    }
}

#[cfg(test)]
mod tests;
