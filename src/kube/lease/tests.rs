//! Leases on the wire: what is read, refused and written back.

use std::time::Duration;

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
        writer: None,
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
    let body = lease.kept.clone().body(&lease.lease(), Some("7"), &lease.record, SystemTime::now());
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["metadata"]["uid"], uid);
    assert_eq!(body["metadata"]["new"], json!([1.5, 1000.0]));
    let bare = r#"{"metadata":{"name":"n","resourceVersion":"7"},"spec":{"holderIdentity":"a"}}"#;
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
fn names_that_would_lead_elsewhere_are_not_asked_for() {
    for name in ["", "..", "a/b", "a?b", "a,b", "a=b", "a b"] {
        let lease = LeaseName { namespace: "s".into(), name: name.into() };
        assert!(matches!(collection(&lease), Err(Kind::Local(_))), "{name}");
    }
}

#[test]
fn the_writer_is_replaced_or_taken_away_and_other_annotations_stay() {
    let read_with = |annotations: &str| {
        let metadata =
            format!(r#"{{"name":"n","resourceVersion":"7","annotations":{annotations}}}"#);
        read(&format!(r#"{{"metadata":{metadata},"spec":{{"holderIdentity":"a"}}}}"#)).unwrap()
    };
    for (annotations, others) in [
        (r#"{"viplet.io/writer":"a m1"}"#, None),
        (r#"{"team":"edge","viplet.io/writer":"a m1","x":"y"}"#, Some("edge")),
    ] {
        let lease = read_with(annotations);
        assert_eq!(lease.record.machine(), Some("m1"));
        for writer in [None, Some("a m2")] {
            let record = LeaseRecord { writer: writer.map(Into::into), ..lease.record.clone() };
            let name = LeaseName { namespace: "s".into(), name: "n".into() };
            let kept = lease.kept.clone();
            let body = kept.body(&name, Some("7"), &record, SystemTime::UNIX_EPOCH);
            let body: Value = serde_json::from_slice(&body).unwrap();
            let annotations = &body["metadata"]["annotations"];
            assert_eq!(annotations["viplet.io/writer"].as_str(), writer);
            assert_eq!(annotations["team"].as_str(), others);
        }
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
            writer: Some("n 02:00:00:00:00:01".into()),
        };
        let lease = LeaseName { namespace: "s".into(), name: "n".into() };
        let body = Kept::default().body(&lease, Some("8"), &record, SystemTime::UNIX_EPOCH);
        let again = read(&String::from_utf8(body).unwrap()).unwrap();
        prop_assert_eq!(again.record, record);
    }
}
