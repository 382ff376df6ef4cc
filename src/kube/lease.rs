//! The Lease on the wire (`coordination.k8s.io/v1`), as [`LeaseRecord`], and what of it an update
//! must write back.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::error::Kind;
use super::json::{Fields, Text, read_json, shortened};
use super::watch::Watched;
use crate::core::lease::MOVED;
use crate::core::uid::Uid;
use crate::core::{LeaseName, LeaseRecord, LeaseView, Stamp};

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
    spec: Box<str>,
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
        let wire: Wire<'_> = read_json(json)?;
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
            },
            kept: Kept::default(),
        };
        let mut rest = (String::new(), String::new());
        lease.take_metadata(wire.metadata, &mut rest.0)?;
        lease.take_spec(wire.spec.unwrap_or_default(), &mut rest.1)?;
        if !(rest.0.is_empty() && rest.1.is_empty()) {
            let rest = Rest { metadata: rest.0.into(), spec: rest.1.into() };
            lease.kept.rest = Some(Box::new(rest));
        }
        required(&lease.name, "name")?;
        required(&lease.version, "resourceVersion")?;
        Ok(lease)
    }

    fn take_metadata(&mut self, fields: Fields<'_>, rest: &mut String) -> Result<(), String> {
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
                other => {
                    if other == "annotations" {
                        self.record.moved = moved(value);
                    }
                    keep(rest, other, value);
                }
            }
        }
        Ok(())
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

    /// Which one it is.
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
        let metadata = format!(r#","annotations":{}"#, json!(annotations)).into();
        Self { uid: None, rest: Some(Box::new(Rest { metadata, spec: "".into() })) }
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
        let (transitions, holder) = (record.transitions, json!(record.holder));
        let mut spec = format!(r#""{HOLDER}":{holder},"{TRANSITIONS}":{transitions}"#);
        // The API server refuses 0.
        if record.duration_seconds > 0 {
            spec.push_str(&format!(r#","{DURATION}":{}"#, record.duration_seconds));
        }
        for (field, stamp) in [(ACQUIRED, &record.acquired), (RENEWED, &record.renewed)] {
            let time = match stamp {
                Stamp::Now => micro_time(now),
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

/// The annotation [`MOVED`]; one that makes no sense counts as none.
fn moved(annotations: &RawValue) -> Option<Box<str>> {
    let Fields(all) = serde_json::from_str(annotations.get()).ok()?;
    let (_, value) = all.into_iter().find(|(key, _)| key == MOVED)?;
    text(value, MOVED).ok().map(Into::into)
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

/// RFC 3339 in UTC, as `metav1.Time`.
pub(crate) fn second_time(now: SystemTime) -> String {
    let text = micro_time(now);
    text.split_once('.').map_or_else(|| text.clone(), |(seconds, _)| format!("{seconds}Z"))
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
    use serde_json::Value;

    use super::*;

    fn read(text: &str) -> Result<Lease, String> {
        Lease::of_json(text)
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
            ("[]", "invalid length"),
            ("{}", "metadata"),
            (r#"{"metadata":{"name":"n"}}"#, "metadata.resourceVersion"),
            (r#"{"metadata":{"resourceVersion":"1"}}"#, "metadata.name"),
            (
                r#"{"metadata":{"name":"n","resourceVersion":"1"},"spec":[]}"#,
                "spec: invalid type: sequence",
            ),
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
            moved: None,
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
    fn what_others_wrote_is_kept_as_it_was_and_what_the_server_fills_in_is_not() {
        let uid = "6ba7b810-9dad-41d1-80b4-00c04fd430c8";
        let text = format!(
            r#"{{"kind":"Lease","metadata":{{"namespace":"s","name":"n","uid":"{uid}",
            "resourceVersion":"7","creationTimestamp":"2026-01-01T00:00:00Z","generation":4,
            "managedFields":[{{"manager":"x"}}],"labels":{{"a\"":"b"}},"annotations":null,
            "new":[1.50, 1e3]}},"spec":{{"holderIdentity":"a","strategy":"x"}},"status":{{}}}}"#
        );
        let lease = read(&text).unwrap();
        let kept = lease.kept.rest.as_ref().unwrap();
        assert_eq!(&*kept.metadata, r#","labels":{"a\"":"b"},"new":[1.50, 1e3]"#);
        assert_eq!(&*kept.spec, r#","strategy":"x""#);
        let body =
            lease.kept.clone().body(&lease.lease(), Some("7"), &lease.record, SystemTime::now());
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["metadata"]["uid"], uid);
        assert_eq!(body["metadata"]["new"], json!([1.5, 1000.0]));
        let bare =
            r#"{"metadata":{"name":"n","resourceVersion":"7"},"spec":{"holderIdentity":"a"}}"#;
        assert_eq!(read(bare).unwrap().kept, Kept::default(), "most Leases carry nothing");
    }

    #[test]
    fn a_lease_that_makes_no_sense_still_has_a_key() {
        let text = r#"{"metadata":{"namespace":"s","name":"n"},"spec":{"renewTime":5}}"#;
        let key = LeaseName { namespace: "s".into(), name: "n".into() };
        assert_eq!(<Lease as Watched>::key(text), Ok(Some(key)));
        assert!(read(text).is_err());
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
                moved: None,
            };
            let lease = LeaseName { namespace: "s".into(), name: "n".into() };
            let body = Kept::default().body(&lease, Some("8"), &record, SystemTime::UNIX_EPOCH);
            let again = read(&String::from_utf8(body).unwrap()).unwrap();
            prop_assert_eq!(again.record, record);
        }
    }
}
