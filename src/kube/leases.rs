//! The Lease on the wire (`coordination.k8s.io/v1`) and as [`LeaseRecord`], and the watch of one.

use std::time::{Duration, SystemTime};

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::error::Kind;
use super::lease_client::LeaseMemory;
use super::transport::Api;
use super::watch::{Event, Pace, Scope, Watch, Watched};
use crate::core::{Input, LeaseName, LeaseRecord, LeaseView, Origin, Stamp};

const HOLDER: &str = "holderIdentity";
const DURATION: &str = "leaseDurationSeconds";
const ACQUIRED: &str = "acquireTime";
const RENEWED: &str = "renewTime";
const TRANSITIONS: &str = "leaseTransitions";

/// A Lease as the API server gave it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Value")]
pub struct Lease {
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
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Kept {
    metadata: Map<String, Value>,
    spec: Map<String, Value>,
}

impl Watched for Lease {}

impl TryFrom<Value> for Lease {
    type Error = String;

    fn try_from(object: Value) -> Result<Self, String> {
        let Value::Object(mut object) = object else { return Err("not an object".to_owned()) };
        let Some(Value::Object(mut metadata)) = object.remove("metadata") else {
            return Err("metadata is missing".to_owned());
        };
        let mut spec = match object.remove("spec") {
            Some(Value::Object(spec)) => spec,
            Some(Value::Null) | None => Map::new(),
            Some(other) => return Err(format!("spec is {}, not an object", kind_of(&other))),
        };
        // The server fills it in, and it is the largest part of a Lease.
        metadata.remove("managedFields");
        let name = required(&metadata, "name")?;
        let version = required(&metadata, "resourceVersion")?;
        let record = LeaseRecord {
            holder: text(spec.remove(HOLDER), HOLDER)?.unwrap_or_default(),
            duration_seconds: number(spec.remove(DURATION), DURATION)?,
            acquired: stamp(spec.remove(ACQUIRED), ACQUIRED)?,
            renewed: stamp(spec.remove(RENEWED), RENEWED)?,
            transitions: number(spec.remove(TRANSITIONS), TRANSITIONS)?,
        };
        Ok(Self { name, version, record, kept: Kept { metadata, spec } })
    }
}

impl Lease {
    pub(crate) fn view(self) -> LeaseView {
        LeaseView::Present { version: self.version, record: self.record }
    }
}

impl Kept {
    /// For a new Lease.
    pub(crate) fn with_annotations(
        annotations: &std::collections::BTreeMap<String, String>,
    ) -> Self {
        let mut metadata = Map::new();
        if !annotations.is_empty() {
            metadata.insert("annotations".to_owned(), json!(annotations));
        }
        Self { metadata, spec: Map::new() }
    }

    /// The body of a POST, or of a PUT that replaces `version`. `now` is what [`Stamp::Now`] means.
    pub(crate) fn body(
        self,
        lease: &LeaseName,
        version: Option<&str>,
        record: &LeaseRecord,
        now: SystemTime,
    ) -> Vec<u8> {
        let Self { mut metadata, mut spec } = self;
        metadata.insert("name".to_owned(), json!(lease.name));
        metadata.insert("namespace".to_owned(), json!(lease.namespace));
        match version {
            Some(version) => metadata.insert("resourceVersion".to_owned(), json!(version)),
            None => metadata.remove("resourceVersion"),
        };
        spec.insert(HOLDER.to_owned(), json!(record.holder));
        spec.insert(TRANSITIONS.to_owned(), json!(record.transitions));
        // The API server refuses 0.
        if record.duration_seconds > 0 {
            spec.insert(DURATION.to_owned(), json!(record.duration_seconds));
        }
        for (field, stamp) in [(ACQUIRED, &record.acquired), (RENEWED, &record.renewed)] {
            match stamp {
                Stamp::Now => spec.insert(field.to_owned(), json!(micro_time(now))),
                Stamp::At(text) => spec.insert(field.to_owned(), json!(text)),
                Stamp::Absent => spec.remove(field),
            };
        }
        let object = json!({
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": metadata,
            "spec": spec,
        });
        object.to_string().into_bytes()
    }
}

/// The path of the namespace's Leases.
pub(crate) fn collection(lease: &LeaseName) -> Result<String, Kind> {
    let usable = |part: &str| {
        let of_a_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
        !part.is_empty() && part != "." && part != ".." && part.chars().all(of_a_name)
    };
    if usable(&lease.namespace) && usable(&lease.name) {
        Ok(format!("/apis/coordination.k8s.io/v1/namespaces/{}/leases", lease.namespace))
    } else {
        Err(Kind::Local(format!("\"{lease}\" is no name of a Lease")))
    }
}

/// What [`watch_leases`] tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeaseNews {
    /// For the core.
    Input(Input),
    /// The watch does not work, and why; told again only when the reason changes.
    Trouble(String),
    /// It works again.
    Recovered,
}

/// Follows one Lease for ever, over a connection of its own: every change, its deletion, its
/// absence at the start and after each gap. `memory` learns what [`super::LeaseClient`] must keep.
pub async fn watch_leases(
    api: Api,
    lease: LeaseName,
    memory: LeaseMemory,
    pace: Pace,
    mut sink: impl AsyncFnMut(LeaseNews),
) {
    let path = match collection(&lease) {
        Ok(path) => path,
        Err(kind) => {
            sink(LeaseNews::Trouble(kind.to_string())).await;
            return std::future::pending().await;
        }
    };
    let fields = Some(format!("metadata.name={}", lease.name));
    let watch = Watch::new(&api, Scope { path, fields, labels: None }, pace);
    let mut view = Viewer { lease, memory, unreadable: false };
    watch
        .run(async |event| {
            if let Some(news) = view.news(event) {
                sink(news).await;
            }
        })
        .await;
}

/// Turns events of the watch into what the core is told.
struct Viewer {
    lease: LeaseName,
    memory: LeaseMemory,
    /// The Lease is there, and makes no sense.
    unreadable: bool,
}

impl Viewer {
    fn news(&mut self, event: Event<Lease>) -> Option<LeaseNews> {
        let view = match event {
            Event::Trouble(text) => return Some(LeaseNews::Trouble(text)),
            Event::Recovered => return Some(LeaseNews::Recovered),
            Event::Rejected(reason) => {
                self.unreadable = true;
                let lease = self.lease.clone();
                return Some(LeaseNews::Input(Input::LeaseUnreadable { lease, reason }));
            }
            Event::Replaced(all) => all.into_iter().find(|one| one.name == self.lease.name),
            Event::Applied(one) if one.name == self.lease.name => Some(one),
            Event::Deleted(one) if one.name == self.lease.name => {
                self.unreadable = false;
                None
            }
            Event::Applied(_) | Event::Deleted(_) => return None,
        };
        let view = match view {
            Some(lease) => {
                self.memory.watched(&self.lease, &lease);
                lease.view()
            }
            None if std::mem::take(&mut self.unreadable) => return None,
            None => {
                self.memory.forget(&self.lease);
                LeaseView::Absent
            }
        };
        let (lease, origin) = (self.lease.clone(), Origin::Watch);
        Some(LeaseNews::Input(Input::Lease { lease, origin, view }))
    }
}

fn required(metadata: &Map<String, Value>, field: &str) -> Result<String, String> {
    match metadata.get(field) {
        Some(Value::String(text)) if !text.is_empty() => Ok(text.clone()),
        _ => Err(format!("metadata.{field} is missing")),
    }
}

fn text(value: Option<Value>, field: &str) -> Result<Option<String>, String> {
    match value {
        Some(Value::String(text)) => Ok(Some(text)),
        Some(Value::Null) | None => Ok(None),
        Some(other) => Err(format!("spec.{field} is {}, not text", kind_of(&other))),
    }
}

fn stamp(value: Option<Value>, field: &str) -> Result<Stamp, String> {
    Ok(text(value, field)?.map_or(Stamp::Absent, Stamp::At))
}

/// Absent and negative count as 0; digits in quotes are read as well.
fn number(value: Option<Value>, field: &str) -> Result<u32, String> {
    let whole = match &value {
        Some(Value::Null) | None => Some(0),
        Some(Value::Number(number)) => number.as_i64(),
        Some(Value::String(digits)) => digits.trim().parse().ok(),
        Some(_) => None,
    };
    let shown = value.as_ref().map_or_else(String::new, Value::to_string);
    let whole = whole.ok_or_else(|| format!("spec.{field} is {shown}, not a whole number"))?;
    Ok(u32::try_from(whole.max(0)).unwrap_or(u32::MAX))
}

const fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// RFC 3339 in UTC with microseconds, as `metav1.MicroTime`.
pub(crate) fn micro_time(now: SystemTime) -> String {
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let (day, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    // Days since 0000-03-01 of the proleptic Gregorian calendar, in eras of 400 years.
    let days = day + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day_of_month = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day_of_month:02}T{:02}:{:02}:{:02}.{:06}Z",
        second / 3_600,
        second / 60 % 60,
        second % 60,
        since.subsec_micros()
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<Lease, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    fn with_spec(spec: &str) -> Result<LeaseRecord, String> {
        let text = format!(r#"{{"metadata":{{"name":"n","resourceVersion":"7"}},"spec":{spec}}}"#);
        read(&text).map(|lease| lease.record)
    }

    #[test]
    fn a_lease_that_was_never_held_is_read_with_empty_fields() {
        for spec in ["{}", "null", r#"{"holderIdentity":null,"renewTime":null}"#] {
            let record = with_spec(spec).unwrap();
            assert_eq!((record.holder.as_str(), record.duration_seconds), ("", 0));
            assert_eq!((record.renewed, record.transitions), (Stamp::Absent, 0));
        }
        let no_spec = r#"{"metadata":{"name":"n","resourceVersion":"7"}}"#;
        assert_eq!(read(no_spec).unwrap().version, "7");
    }

    #[test]
    fn numbers_in_quotes_are_read_and_negative_or_huge_ones_bounded() {
        let seconds = |value: &str| {
            with_spec(&format!(r#"{{"leaseDurationSeconds":{value}}}"#)).map(|r| r.duration_seconds)
        };
        assert_eq!(seconds("15"), Ok(15));
        assert_eq!(seconds("\"15\""), Ok(15));
        assert_eq!(seconds("-3"), Ok(0));
        assert_eq!(seconds("99999999999"), Ok(u32::MAX));
        for wrong in ["1.5", "\"soon\"", "[]", "true", "{}"] {
            let error = seconds(wrong).unwrap_err();
            assert!(error.contains("spec.leaseDurationSeconds"), "{wrong}: {error}");
        }
    }

    #[test]
    fn what_is_no_lease_is_refused_with_the_field() {
        for (text, field) in [
            ("[]", "object"),
            ("{}", "metadata"),
            (r#"{"metadata":{"name":"n"}}"#, "metadata.resourceVersion"),
            (r#"{"metadata":{"resourceVersion":"1"}}"#, "metadata.name"),
            (r#"{"metadata":{"name":"n","resourceVersion":"1"},"spec":[]}"#, "spec is a list"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(field), "{text}: {error}");
        }
        assert!(with_spec(r#"{"holderIdentity":5}"#).unwrap_err().contains("spec.holderIdentity"));
        assert!(with_spec(r#"{"renewTime":5}"#).unwrap_err().contains("spec.renewTime"));
    }

    #[test]
    fn a_released_lease_is_written_as_client_go_writes_it() {
        let lease = LeaseName { namespace: "s".into(), name: "n".into() };
        let record = LeaseRecord {
            holder: String::new(),
            duration_seconds: 1,
            acquired: Stamp::At("2026-01-01T00:00:00.000000Z".into()),
            renewed: Stamp::Now,
            transitions: 4,
        };
        let now = SystemTime::UNIX_EPOCH + Duration::new(1_795_230_245, 123_456_789);
        let body = Kept::default().body(&lease, Some("8"), &record, now);
        let object: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            object["spec"],
            json!({"holderIdentity": "", "leaseDurationSeconds": 1, "leaseTransitions": 4,
                "acquireTime": "2026-01-01T00:00:00.000000Z",
                "renewTime": "2026-11-21T03:04:05.123456Z"})
        );
        assert_eq!(object["metadata"]["resourceVersion"], "8");
    }

    #[test]
    fn the_calendar_knows_leap_years_and_ends_of_centuries() {
        let at = |seconds| micro_time(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(at(951_782_400), "2000-02-29T00:00:00.000000Z");
        assert_eq!(at(1_709_251_199), "2024-02-29T23:59:59.000000Z");
        assert_eq!(at(1_735_689_599), "2024-12-31T23:59:59.000000Z");
        assert_eq!(at(4_107_542_400), "2100-03-01T00:00:00.000000Z");
    }

    #[test]
    fn names_that_would_lead_elsewhere_are_not_asked_for() {
        for name in ["", "..", "a/b", "a?b", "a,b", "a=b", "a b"] {
            let lease = LeaseName { namespace: "s".into(), name: name.into() };
            assert!(matches!(collection(&lease), Err(Kind::Local(_))), "{name}");
        }
    }

    proptest! {
        #[test]
        fn any_json_is_read_as_a_lease_or_refused(
            holder in "(null|\"a\"|5|\\[\\])", seconds in "(-?[0-9]{1,20}|1e400|\"[0-9]{0,4}\"|\\{\\})",
            time in "(\".{0,20}\"|null|0)", rest in ".{0,40}",
        ) {
            let spec = format!(
                r#"{{"holderIdentity":{holder},"leaseDurationSeconds":{seconds},"renewTime":{time},"x":{rest}}}"#
            );
            let _ = with_spec(&spec);
            let _ = read(&rest);
        }

        #[test]
        fn what_was_read_is_written_back_the_same(holder in "[a-z]{0,9}", seconds in 1u32..9999, transitions in 0u32..99) {
            let record = LeaseRecord {
                holder, transitions,
                duration_seconds: seconds,
                acquired: Stamp::At("x".into()),
                renewed: Stamp::Absent,
            };
            let lease = LeaseName { namespace: "s".into(), name: "n".into() };
            let body = Kept::default().body(&lease, Some("8"), &record, SystemTime::UNIX_EPOCH);
            let again = read(&String::from_utf8(body).unwrap()).unwrap();
            prop_assert_eq!(again.record, record);
        }
    }
}
