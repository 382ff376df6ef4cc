//! Marks on Leases: what is written to the annotation.

use super::*;

fn mark() -> Mark {
    let to = LeaseName { namespace: "default".into(), name: "kubevip-b".into() };
    Mark { address: "192.0.2.1".parse().unwrap(), version: "7".into(), to, after: None }
}

#[test]
fn a_mark_changes_one_annotation_and_nothing_else() {
    let before = json!({
        "metadata": {"name": "a", "resourceVersion": "3", "annotations": {"team": "edge"}},
        "spec": {"holderIdentity": "n1", "preferredHolder": "n2"},
    });
    let after = marked(before.to_string().as_bytes(), &mark()).unwrap().unwrap();
    let mut after: Value = serde_json::from_slice(&after).unwrap();
    let text = after["metadata"]["annotations"].as_object_mut().unwrap().remove(MOVED);
    assert_eq!(text, Some(json!("192.0.2.1@7=default/kubevip-b")));
    assert_eq!(after, before);
}

#[test]
fn a_mark_that_is_there_is_not_written_again() {
    let body = json!({"metadata": {"name": "a"}, "spec": {}}).to_string();
    let once = marked(body.as_bytes(), &mark()).unwrap().unwrap();
    assert_eq!(marked(&once, &mark()), Ok(None));
}

#[test]
fn a_lease_made_for_a_mark_has_no_holder_and_says_it() {
    let lease = LeaseName { namespace: "default".into(), name: "kubevip-a".into() };
    let made: Value = serde_json::from_slice(&fresh(&lease, &mark())).unwrap();
    let text = &made["metadata"]["annotations"][MOVED];
    assert_eq!(*text, json!("192.0.2.1@7=default/kubevip-b"));
    assert_eq!(made["spec"]["holderIdentity"], json!(""));
}
