//! The client under test, `viplet::kube`, against both servers: what the election relies on.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde_json::json;
use smol::{LocalExecutor, Timer};
use viplet::core::{
    Input, LeaseName, LeaseRecord, LeaseRequest, LeaseVerb, LeaseView, Stamp, WriteOutcome,
};
use viplet::kube::access::Places;
use viplet::kube::{
    AccessSettings, Api, ControlPlane, Detect, LeaseClient, LeaseMemory, LeaseNews, Pace,
    set_label, watch_lease,
};

use crate::bench::Bench;
use crate::{Case, Wanted};

crate::cases![
    our_client_creates_reads_and_replaces_a_lease,
    our_client_learns_that_somebody_else_was_first,
    our_client_learns_that_the_lease_is_gone,
    our_watch_follows_a_lease_from_absence_to_absence,
    our_client_labels_a_node,
];

pub(crate) const FORGETFUL: &[Case] = &[Case {
    name: "our_watch_goes_on_after_the_server_has_forgotten",
    run: our_watch_goes_on_after_the_server_has_forgotten,
    server: Wanted::OfItsOwn,
}];

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Runs `test` with an [`Api`] made from the server's kubeconfig.
pub(crate) fn with_api(bench: &Bench<'_>, test: impl AsyncFnOnce(Rc<LocalExecutor<'static>>, Api)) {
    let settings = AccessSettings {
        kubeconfig: Some(bench.server.kubeconfig().to_owned()),
        server_override: None,
        detect_control_plane: Detect::Off,
        port: 6443,
        control_plane: ControlPlane::Off,
        virtual_addresses: Vec::new(),
    };
    let nowhere = PathBuf::from("/nonexistent");
    let places =
        Places { admin_conf: nowhere.clone(), home: None, service_account: nowhere, service: None };
    let executor = Rc::new(LocalExecutor::new());
    let api = Api::new(settings, places, &executor).unwrap();
    smol::block_on(executor.run(test(Rc::clone(&executor), api)));
}

fn name(bench: &Bench<'_>) -> LeaseName {
    LeaseName { namespace: bench.space.clone(), name: "plndr-cp-lock".to_owned() }
}

fn record(holder: &str) -> LeaseRecord {
    let holder = holder.to_owned();
    let (acquired, renewed) = (Stamp::Now, Stamp::Now);
    LeaseRecord {
        holder,
        duration_seconds: 5,
        acquired,
        renewed,
        transitions: 1,
        moved: None,
        writer: None,
    }
}

fn request(bench: &Bench<'_>, verb: LeaseVerb) -> LeaseRequest {
    LeaseRequest { lease: name(bench), verb, timeout: PATIENCE }
}

fn create(bench: &Bench<'_>, holder: &str) -> LeaseRequest {
    let annotations = BTreeMap::from([("team".to_owned(), "edge".to_owned())]);
    request(bench, LeaseVerb::Create { attempt: 1, record: record(holder), annotations })
}

fn replace(bench: &Bench<'_>, version: &str, holder: &str) -> LeaseRequest {
    let version = version.to_owned();
    request(bench, LeaseVerb::Replace { attempt: 2, version, record: record(holder) })
}

fn outcome(input: Input) -> WriteOutcome {
    match input {
        Input::LeaseWritten { outcome, .. } => outcome,
        other => panic!("not an answer to a write: {other:?}"),
    }
}

fn stored(input: Input) -> String {
    match outcome(input) {
        WriteOutcome::Stored { version, .. } => version,
        other => panic!("not stored: {other:?}"),
    }
}

fn our_client_creates_reads_and_replaces_a_lease(bench: &Bench<'_>) {
    with_api(bench, async |_, api| {
        let mut leases = LeaseClient::new(&api, LeaseMemory::default());
        let absent = leases.perform(&request(bench, LeaseVerb::Read)).await;
        assert!(matches!(absent, Input::Lease { view: LeaseView::Absent, .. }), "{absent:?}");
        let first = stored(leases.perform(&create(bench, "node-1")).await);
        let second = stored(leases.perform(&replace(bench, &first, "node-2")).await);
        assert_ne!(first, second);
        match leases.perform(&request(bench, LeaseVerb::Read)).await {
            Input::Lease { view: LeaseView::Present { version, record, .. }, .. } => {
                assert_eq!((version, record.holder.as_str()), (second, "node-2"));
                assert_eq!((record.duration_seconds, record.transitions), (5, 1));
                let micros = matches!(&record.renewed, Stamp::At(text) if text.len() == 27);
                assert!(micros, "{:?}", record.renewed);
            }
            other => panic!("{other:?}"),
        }
    });
    // Not for the record: it holds times.
    let seen = bench.server.client().get(&bench.lease("plndr-cp-lock")).unwrap().body;
    assert_eq!(seen["metadata"]["annotations"], json!({"team": "edge"}));
}

fn our_client_learns_that_somebody_else_was_first(bench: &Bench<'_>) {
    with_api(bench, async |_, api| {
        let mut ours = LeaseClient::new(&api, LeaseMemory::default());
        let mut theirs = LeaseClient::new(&api, LeaseMemory::default());
        let first = stored(ours.perform(&create(bench, "node-1")).await);
        let late = outcome(theirs.perform(&create(bench, "node-2")).await);
        assert_eq!(late, WriteOutcome::Conflict);
        stored(theirs.perform(&replace(bench, &first, "node-2")).await);
        let late = outcome(ours.perform(&replace(bench, &first, "node-1")).await);
        assert_eq!(late, WriteOutcome::Conflict);
    });
}

fn our_client_learns_that_the_lease_is_gone(bench: &Bench<'_>) {
    with_api(bench, async |_, api| {
        let mut leases = LeaseClient::new(&api, LeaseMemory::default());
        let version = stored(leases.perform(&create(bench, "node-1")).await);
        assert_eq!(bench.delete(&bench.lease("plndr-cp-lock")).code, 200);
        // Both servers would create it again, were it not for the uid in the body.
        let gone = outcome(leases.perform(&replace(bench, &version, "node-1")).await);
        assert!(matches!(gone, WriteOutcome::Conflict | WriteOutcome::Gone), "{gone:?}");
        let absent = leases.perform(&request(bench, LeaseVerb::Read)).await;
        assert!(matches!(absent, Input::Lease { view: LeaseView::Absent, .. }), "{absent:?}");
    });
}

/// What a watch has told last: the holder, or `absent`.
type Told = Rc<RefCell<String>>;

fn follow(executor: &LocalExecutor<'static>, api: &Api, lease: LeaseName) -> Told {
    let told = Told::default();
    let (api, log) = (api.clone(), Rc::clone(&told));
    let watch = async move {
        watch_lease(api, lease, LeaseMemory::default(), Pace::default(), async |news| {
            if let LeaseNews::Input(Input::Lease { view, .. }) = news {
                *log.borrow_mut() = match view {
                    LeaseView::Absent => "absent".to_owned(),
                    LeaseView::Present { record, .. } => record.holder,
                };
            }
        })
        .await;
    };
    executor.spawn(watch).detach();
    told
}

async fn tells(told: &Told, wanted: &str) {
    let deadline = Instant::now() + PATIENCE;
    while *told.borrow() != wanted {
        assert!(Instant::now() < deadline, "told {:?}, not {wanted:?}", told.borrow());
        Timer::after(Duration::from_millis(5)).await;
    }
}

fn our_watch_follows_a_lease_from_absence_to_absence(bench: &Bench<'_>) {
    with_api(bench, async |executor, api| {
        let told = follow(&executor, &api, name(bench));
        tells(&told, "absent").await;
        let mut leases = LeaseClient::new(&api, LeaseMemory::default());
        let version = stored(leases.perform(&create(bench, "node-1")).await);
        tells(&told, "node-1").await;
        stored(leases.perform(&replace(bench, &version, "node-2")).await);
        tells(&told, "node-2").await;
        bench.delete(&bench.lease("plndr-cp-lock"));
        tells(&told, "absent").await;
    });
}

fn our_client_labels_a_node(bench: &Bench<'_>) {
    bench.stored("/api/v1/nodes", &json!({"metadata": {"name": bench.space}}));
    with_api(bench, async |_, api| {
        let (mut connection, key) = (api.connection(), "kube-vip.io/has-ip");
        let label = || {
            let node = bench.get(&format!("/api/v1/nodes/{}", bench.space)).body;
            node["metadata"]["labels"][key].clone()
        };
        set_label(&mut connection, &bench.space, key, Some("10.0.0.10")).await.unwrap();
        assert_eq!(label(), "10.0.0.10");
        set_label(&mut connection, &bench.space, key, None).await.unwrap();
        assert!(label().is_null());
        let nobody = set_label(&mut connection, "nobody", key, Some("10.0.0.10")).await;
        assert!(nobody.is_err());
    });
}

fn our_watch_goes_on_after_the_server_has_forgotten(bench: &Bench<'_>) {
    with_api(bench, async |executor, api| {
        let mut leases = LeaseClient::new(&api, LeaseMemory::default());
        let first = stored(leases.perform(&create(bench, "node-1")).await);
        let told = follow(&executor, &api, name(bench));
        tells(&told, "node-1").await;
        let second = stored(leases.perform(&replace(bench, &first, "node-2")).await);
        tells(&told, "node-2").await;
        bench.server.forget();
        stored(leases.perform(&replace(bench, &second, "node-3")).await);
        tells(&told, "node-3").await;
    });
}
