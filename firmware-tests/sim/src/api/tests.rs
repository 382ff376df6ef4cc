//! What the model API server promises; the contract suite holds the real one to the same.

use serde_json::{Value, json};

use super::*;

const NOW: &str = "2026-01-01T00:00:00Z";

fn store() -> Store {
    Store::new(1000, NOW)
}

fn leases() -> Collection {
    Collection::within(Resource::Leases, "kube-system")
}

fn key(name: &str) -> Key {
    Key::new(Resource::Leases, "kube-system", name)
}

fn lease(name: &str, holder: &str) -> Value {
    json!({"metadata": {"name": name}, "spec": {"holderIdentity": holder, "leaseDurationSeconds": 15}})
}

fn configmap(store: &mut Store, name: &str, labels: Value) -> Value {
    let body = json!({"metadata": {"name": name, "labels": labels}, "data": {}});
    store.create(&Collection::within(Resource::ConfigMaps, "default"), body, NOW).unwrap()
}

fn names(list: &Value) -> Vec<&str> {
    list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|o| o["metadata"]["name"].as_str().unwrap())
        .collect()
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|e| e["type"].as_str().unwrap()).collect()
}

#[test]
fn a_created_object_gets_its_metadata_and_is_read_back() {
    let mut store = store();
    let made = store.create(&leases(), lease("vip", "a"), NOW).unwrap();
    assert_eq!(made["kind"], "Lease");
    assert_eq!(made["apiVersion"], "coordination.k8s.io/v1");
    assert_eq!(made["metadata"]["namespace"], "kube-system");
    assert_eq!(made["metadata"]["creationTimestamp"], NOW);
    assert_eq!(made["metadata"]["uid"].as_str().unwrap().len(), 36);
    assert_eq!(store.get(&key("vip")).unwrap(), made);
}

#[test]
fn create_refuses_a_taken_name_a_missing_namespace_and_a_bad_name() {
    let mut store = store();
    store.create(&leases(), lease("vip", "a"), NOW).unwrap();
    let taken = store.create(&leases(), lease("vip", "b"), NOW).unwrap_err();
    assert_eq!((taken.code, taken.reason), (409, "AlreadyExists"));
    assert_eq!(taken.message, "leases.coordination.k8s.io \"vip\" already exists");
    let nowhere = Collection::within(Resource::Leases, "nowhere");
    let missing = store.create(&nowhere, lease("vip", "a"), NOW).unwrap_err();
    assert_eq!((missing.code, missing.message.as_str()), (404, "namespaces \"nowhere\" not found"));
    let bad = store.create(&leases(), lease("Not_OK", "a"), NOW).unwrap_err();
    assert_eq!((bad.code, bad.reason), (422, "Invalid"));
    let zero = json!({"metadata": {"name": "z"}, "spec": {"leaseDurationSeconds": 0}});
    assert_eq!(store.create(&leases(), zero, NOW).unwrap_err().code, 422);
}

#[test]
fn generated_names_differ() {
    let mut store = store();
    let body = json!({"metadata": {"generateName": "vip-"}});
    let events = Collection::within(Resource::Events, "default");
    let one = store.create(&events, body.clone(), NOW).unwrap();
    let two = store.create(&events, body, NOW).unwrap();
    assert!(one["metadata"]["name"].as_str().unwrap().starts_with("vip-"));
    assert_ne!(one["metadata"]["name"], two["metadata"]["name"]);
}

#[test]
fn of_two_writers_with_the_same_version_one_wins() {
    let mut store = store();
    let read = store.create(&leases(), lease("vip", "a"), NOW).unwrap();
    let mut theirs = read.clone();
    theirs["spec"]["holderIdentity"] = json!("b");
    store.update(&key("vip"), Part::Main, theirs).unwrap();
    let mut ours = read;
    ours["spec"]["holderIdentity"] = json!("c");
    let lost = store.update(&key("vip"), Part::Main, ours).unwrap_err();
    assert_eq!((lost.code, lost.reason), (409, "Conflict"));
    assert_eq!(store.get(&key("vip")).unwrap()["spec"]["holderIdentity"], "b");
    let status = lost.to_status();
    assert_eq!(status["kind"], "Status");
    assert_eq!(status["code"], 409);
}

#[test]
fn update_wants_the_object_and_for_a_lease_its_version() {
    let mut store = store();
    let gone = store.update(&key("vip"), Part::Main, lease("vip", "a")).unwrap_err();
    assert_eq!((gone.code, gone.reason), (404, "NotFound"));
    store.create(&leases(), lease("vip", "a"), NOW).unwrap();
    let blind = store.update(&key("vip"), Part::Main, lease("vip", "b")).unwrap_err();
    assert_eq!(blind.code, 422);
}

#[test]
fn an_update_that_changes_nothing_makes_no_version() {
    let mut store = store();
    let read = store.create(&leases(), lease("vip", "a"), NOW).unwrap();
    let version = store.version();
    assert_eq!(store.update(&key("vip"), Part::Main, read.clone()).unwrap(), read);
    assert_eq!(store.version(), version);
}

#[test]
fn spec_and_status_of_a_service_are_written_apart() {
    let mut store = store();
    let services = Collection::within(Resource::Services, "default");
    let body = json!({"metadata": {"name": "web"}, "spec": {"type": "LoadBalancer"}});
    let mut service = store.create(&services, body, NOW).unwrap();
    let place = Key::new(Resource::Services, "default", "web");
    service["status"] = json!({"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}});
    service["spec"]["type"] = json!("ClusterIP");
    let written = store.update(&place, Part::Status, service.clone()).unwrap();
    assert_eq!(written["spec"]["type"], "LoadBalancer");
    assert_eq!(written["status"]["loadBalancer"]["ingress"][0]["ip"], "192.0.2.1");
    let mut main = written;
    main["status"] = json!({});
    main["spec"]["type"] = json!("ClusterIP");
    let written = store.update(&place, Part::Main, main).unwrap();
    assert_eq!(written["spec"]["type"], "ClusterIP");
    assert_eq!(written["status"]["loadBalancer"]["ingress"][0]["ip"], "192.0.2.1");
}

#[test]
fn labels_are_patched_in_both_forms() {
    let mut store = store();
    let nodes = Collection::all(Resource::Nodes);
    store.create(&nodes, json!({"metadata": {"name": "n1"}}), NOW).unwrap();
    let place = Key::new(Resource::Nodes, "", "n1");
    let merge = Patch::Merge(json!({"metadata": {"labels": {"kube-vip.io/has-ip": "x"}}}));
    let node = store.patch(&place, Part::Main, &merge).unwrap();
    assert_eq!(node["metadata"]["labels"]["kube-vip.io/has-ip"], "x");
    let path = "/metadata/labels/kube-vip.io~1has-ip";
    let replace = Patch::Json(json!([{"op": "replace", "path": path, "value": "y"}]));
    let node = store.patch(&place, Part::Main, &replace).unwrap();
    assert_eq!(node["metadata"]["labels"]["kube-vip.io/has-ip"], "y");
    let test = Patch::Json(json!([{"op": "test", "path": path, "value": "x"}]));
    assert_eq!(store.patch(&place, Part::Main, &test).unwrap_err().code, 422);
    let remove = Patch::Json(json!([{"op": "remove", "path": path}]));
    assert_eq!(
        store.patch(&place, Part::Main, &remove).unwrap()["metadata"]["labels"],
        Value::Null
    );
    assert_eq!(store.patch(&place, Part::Main, &remove).unwrap_err().code, 422);
}

#[test]
fn a_finalizer_keeps_a_deleted_object_until_it_is_removed() {
    let mut store = store();
    let services = Collection::within(Resource::Services, "default");
    let body = json!({"metadata": {"name": "web", "finalizers": ["a/b"]}});
    store.create(&services, body, NOW).unwrap();
    let place = Key::new(Resource::Services, "default", "web");
    let marked = store.delete(&place, &Value::Null, NOW).unwrap();
    assert_eq!(marked["metadata"]["deletionTimestamp"], NOW);
    let patch = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    store.patch(&place, Part::Main, &patch).unwrap();
    assert_eq!(store.get(&place).unwrap_err().code, 404);
}

#[test]
fn delete_removes_once_and_heeds_preconditions() {
    let mut store = store();
    store.create(&leases(), lease("vip", "a"), NOW).unwrap();
    let other = json!({"preconditions": {"uid": "another"}});
    assert_eq!(store.delete(&key("vip"), &other, NOW).unwrap_err().code, 409);
    assert_eq!(store.delete(&key("vip"), &Value::Null, NOW).unwrap()["status"], "Success");
    assert_eq!(store.delete(&key("vip"), &Value::Null, NOW).unwrap_err().code, 404);
}

#[test]
fn lists_select_by_namespace_field_and_label() {
    let mut store = store();
    configmap(&mut store, "a", json!({"tier": "web"}));
    configmap(&mut store, "b", json!({"tier": "db"}));
    configmap(&mut store, "c", json!({}));
    let all = Collection::all(Resource::ConfigMaps);
    let list = |fields: &str, labels: &str| {
        let selectors = Selectors::parse(fields, labels).unwrap();
        let query = ListQuery { selectors, ..ListQuery::default() };
        names(&store.list(&all, &query).unwrap()).join("")
    };
    assert_eq!(list("", ""), "abc");
    assert_eq!(list("metadata.name=b", ""), "b");
    assert_eq!(list("metadata.namespace!=default", ""), "");
    assert_eq!(list("", "tier"), "ab");
    assert_eq!(list("", "!tier"), "c");
    assert_eq!(list("", "tier!=web"), "bc");
    assert_eq!(list("", "tier in (web, db),tier=db"), "b");
    assert_eq!(list("", "tier notin (web)"), "bc");
    let elsewhere = Collection::within(Resource::ConfigMaps, "kube-system");
    assert_eq!(names(&store.list(&elsewhere, &ListQuery::default()).unwrap()).len(), 0);
    assert_eq!(Selectors::parse("spec.x=y", "").unwrap_err().code, 400);
}

#[test]
fn pages_show_one_version_and_end_with_410_when_it_is_forgotten() {
    let mut store = store();
    for name in ["a", "b", "c", "d"] {
        configmap(&mut store, name, json!({}));
    }
    let all = Collection::all(Resource::ConfigMaps);
    let mut query = ListQuery { limit: Some(2), ..ListQuery::default() };
    let first = store.list(&all, &query).unwrap();
    assert_eq!(names(&first), ["a", "b"]);
    assert_eq!(first["metadata"]["remainingItemCount"], 2);
    let gone = Key::new(Resource::ConfigMaps, "default", "c");
    store.delete(&gone, &Value::Null, NOW).unwrap();
    configmap(&mut store, "e", json!({}));
    first["metadata"]["continue"].as_str().unwrap().clone_into(&mut query.from);
    let second = store.list(&all, &query).unwrap();
    assert_eq!(names(&second), ["c", "d"]);
    assert_eq!(second["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
    assert_eq!(second["metadata"]["continue"], Value::Null);
    store.compact();
    assert_eq!(store.list(&all, &query).unwrap_err().code, 410);
}

#[test]
fn a_watch_begins_with_what_exists_then_tells_changes_in_order() {
    let mut store = store();
    store.create(&leases(), lease("vip", "a"), NOW).unwrap();
    let mut watch = store.watch(leases(), Selectors::default(), "", Bookmarks::On).unwrap();
    assert_eq!(kinds(&store.events(&mut watch).unwrap()), ["ADDED"]);
    assert!(store.events(&mut watch).unwrap().is_empty());
    let mut object = store.get(&key("vip")).unwrap();
    object["spec"]["holderIdentity"] = json!("b");
    store.update(&key("vip"), Part::Main, object).unwrap();
    configmap(&mut store, "other", json!({}));
    store.delete(&key("vip"), &Value::Null, NOW).unwrap();
    let events = store.events(&mut watch).unwrap();
    assert_eq!(kinds(&events), ["MODIFIED", "DELETED"]);
    assert_eq!(events[0]["object"]["spec"]["holderIdentity"], "b");
    let last = store.version().to_string();
    assert_eq!(events[1]["object"]["metadata"]["resourceVersion"], json!(last));
    let bookmark = store.bookmark(&watch).unwrap();
    assert_eq!(bookmark["object"]["metadata"]["resourceVersion"], json!(last));
}

#[test]
fn a_watch_resumes_after_a_version_and_gets_410_when_that_is_forgotten() {
    let mut store = Store::new(3, NOW);
    configmap(&mut store, "a", json!({}));
    let since = store.version().to_string();
    configmap(&mut store, "b", json!({}));
    let all = Collection::all(Resource::ConfigMaps);
    let begin =
        |store: &Store| store.watch(all.clone(), Selectors::default(), &since, Bookmarks::Off);
    let mut watch = begin(&store).unwrap();
    assert_eq!(store.events(&mut watch).unwrap()[0]["object"]["metadata"]["name"], "b");
    assert!(store.bookmark(&watch).is_none());
    let mut slow = begin(&store).unwrap();
    for name in ["c", "d", "e", "f"] {
        configmap(&mut store, name, json!({}));
    }
    assert_eq!(begin(&store).unwrap_err().code, 410);
    assert_eq!(store.events(&mut slow).unwrap_err().reason, "Expired");
}

#[test]
fn an_object_that_leaves_the_selection_is_told_as_deleted() {
    let mut store = store();
    configmap(&mut store, "a", json!({"tier": "web"}));
    let all = Collection::all(Resource::ConfigMaps);
    let selectors = Selectors::parse("", "tier=web").unwrap();
    let mut watch = store.watch(all, selectors, "0", Bookmarks::Off).unwrap();
    store.events(&mut watch).unwrap();
    let place = Key::new(Resource::ConfigMaps, "default", "a");
    for tier in ["db", "web"] {
        let patch = Patch::Merge(json!({"metadata": {"labels": {"tier": tier}}}));
        store.patch(&place, Part::Main, &patch).unwrap();
    }
    assert_eq!(kinds(&store.events(&mut watch).unwrap()), ["DELETED", "ADDED"]);
}
