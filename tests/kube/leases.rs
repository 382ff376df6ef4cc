//! Leases over TLS and plain: read, create, replace, follow.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use serde_json::json;
use viplet::core::{
    Input, LeaseName, LeaseRecord, LeaseRequest, LeaseVerb, LeaseView, Stamp, WriteOutcome,
};
use viplet::kube::{Api, LeaseClient, LeaseMemory, LeaseNews, Pace, watch_lease};

use super::server::{Server, serve, until};
use super::setup::{Authority, Folder, kubeconfig, places, run, settings};
use super::store::{Shared, handler};

pub fn name() -> LeaseName {
    LeaseName { namespace: "kube-system".into(), name: "plndr-cp-lock".into() }
}

pub fn record(holder: &str) -> LeaseRecord {
    LeaseRecord {
        holder: holder.into(),
        duration_seconds: 15,
        acquired: Stamp::Now,
        renewed: Stamp::Now,
        transitions: 3,
        moved: None,
        writer: None,
    }
}

fn request(verb: LeaseVerb) -> LeaseRequest {
    LeaseRequest { lease: name(), verb, timeout: Duration::from_secs(5) }
}

fn replace(version: &str, holder: &str) -> LeaseRequest {
    let (version, record) = (version.to_owned(), record(holder));
    request(LeaseVerb::Replace { attempt: 2, version, record })
}

fn create(holder: &str) -> LeaseRequest {
    let annotations = BTreeMap::from([("team".to_owned(), "edge".to_owned())]);
    request(LeaseVerb::Create { attempt: 1, record: record(holder), annotations })
}

fn stored(input: Input) -> (String, LeaseRecord) {
    match input {
        Input::LeaseWritten { outcome: WriteOutcome::Stored { version, record }, .. } => {
            (version, record)
        }
        other => panic!("not stored: {other:?}"),
    }
}

fn outcome(input: Input) -> WriteOutcome {
    match input {
        Input::LeaseWritten { outcome, .. } => outcome,
        other => panic!("no write: {other:?}"),
    }
}

/// All that a watch has told.
type Told = Rc<RefCell<Vec<LeaseNews>>>;

fn follow(executor: &Rc<smol::LocalExecutor<'static>>, api: &Api, memory: &LeaseMemory) -> Told {
    let told = Told::default();
    let (log, api, memory) = (Rc::clone(&told), api.clone(), memory.clone());
    executor
        .spawn(async move {
            watch_lease(api, name(), memory, Pace::default(), async |news| {
                log.borrow_mut().push(news);
            })
            .await;
        })
        .detach();
    told
}

fn last_view(told: &Told) -> Option<LeaseView> {
    told.borrow().iter().rev().find_map(|news| match news {
        LeaseNews::Input(Input::Lease { view, .. }) => Some(view.clone()),
        _ => None,
    })
}

fn holder(told: &Told) -> String {
    match last_view(told) {
        Some(LeaseView::Present { record, .. }) => record.holder,
        other => format!("{other:?}"),
    }
}

#[test]
fn over_tls_with_a_client_certificate_a_lease_is_created_read_replaced_and_followed() {
    run(async |executor| {
        let (authority, folder) = (Authority::new(), Folder::new());
        let acceptor = Authority::acceptor(&authority.sign(&["127.0.0.1"]), Some(&authority));
        let store = Shared::default();
        let server = serve(&executor, Some(acceptor), handler(&store));
        let client = authority.sign(&["admin"]);
        folder.write("pki/ca.crt", &authority.pem());
        folder.write("pki/admin.crt", &client.chain);
        folder.write("pki/admin.key", &client.key);
        let text = kubeconfig(
            &format!("https://{}", server.address),
            ", certificate-authority: pki/ca.crt",
            "client-certificate: pki/admin.crt, client-key: pki/admin.key",
        );
        let file = folder.write("config", &text);
        let api = Api::new(settings(Some(&file)), places(&folder), &executor).unwrap();
        let memory = LeaseMemory::default();
        let told = follow(&executor, &api, &memory);
        let mut leases = LeaseClient::new(&api, memory);
        until("the watch says absent", || last_view(&told) == Some(LeaseView::Absent)).await;

        let (version, record) = stored(leases.perform(&create("node-a")).await);
        assert_eq!((record.holder.as_str(), record.transitions), ("node-a", 3));
        assert!(
            matches!(&record.renewed, Stamp::At(text) if text.ends_with('Z') && text.len() == 27)
        );
        until("the watch sees it", || holder(&told) == "node-a").await;
        assert_eq!(outcome(leases.perform(&create("node-b")).await), WriteOutcome::Conflict);

        let (newer, _) = stored(leases.perform(&replace(&version, "node-b")).await);
        until("the watch sees the other", || holder(&told) == "node-b").await;
        assert_eq!(
            outcome(leases.perform(&replace(&version, "node-c")).await),
            WriteOutcome::Conflict
        );
        let read = leases.perform(&request(LeaseVerb::Read)).await;
        assert!(
            matches!(read, Input::Lease { view: LeaseView::Present { version, .. }, .. } if version == newer)
        );

        store.borrow_mut().delete("plndr-cp-lock");
        until("the watch says absent", || last_view(&told) == Some(LeaseView::Absent)).await;
        assert_eq!(outcome(leases.perform(&replace(&newer, "node-b")).await), WriteOutcome::Gone);
        let connections = |server: &Server| {
            server.seen.borrow().iter().map(|seen| seen.connection).max().unwrap() + 1
        };
        assert_eq!(connections(&server), 2, "one for renewals, one for the watch");
    });
}

#[test]
fn an_update_keeps_what_others_wrote_into_the_lease() {
    run(async |executor| {
        let (folder, store) = (Folder::new(), Shared::default());
        let server = serve(&executor, None, handler(&store));
        let object = json!({
            "metadata": {"name": "plndr-cp-lock", "namespace": "kube-system", "uid": "u-1",
                "labels": {"a": "b"}, "annotations": {"team": "edge"},
                "ownerReferences": [{"name": "o"}], "managedFields": [{"manager": "x"}]},
            "spec": {"holderIdentity": "node-x", "strategy": "OldestEmulationVersion"},
        });
        store.borrow_mut().put("plndr-cp-lock", object, "ADDED");
        let api = super::setup::api(&executor, &folder, &server.url(), "");
        let mut leases = LeaseClient::new(&api, LeaseMemory::default());
        stored(leases.perform(&replace("1", "node-a")).await);
        let object = store.borrow().objects["plndr-cp-lock"].clone();
        assert_eq!(object["metadata"]["labels"]["a"], "b");
        assert_eq!(object["metadata"]["annotations"]["team"], "edge");
        assert_eq!(object["metadata"]["ownerReferences"][0]["name"], "o");
        assert_eq!(object["metadata"]["uid"], "u-1");
        assert_eq!(object["metadata"]["managedFields"], json!(null));
        assert_eq!(object["spec"]["strategy"], "OldestEmulationVersion");
        assert_eq!(object["spec"]["holderIdentity"], "node-a");
        assert_eq!(server.count(|seen| seen.method == "GET"), 1, "read once, for its metadata");
        stored(leases.perform(&replace("2", "node-a")).await);
        assert_eq!(server.count(|seen| seen.method == "GET"), 1, "then no more");
    });
}
