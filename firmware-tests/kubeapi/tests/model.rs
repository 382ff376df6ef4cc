//! What only the model server has: faults on demand, its admin paths, TLS from a folder.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use viplet_kubeapi::client::{Client, Payload};
use viplet_kubeapi::http::{Effect, Ending, ModelOptions, ModelServer, Rule};

const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases";
const VIP: &str = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/vip";
const SOON: Duration = Duration::from_secs(10);

fn server() -> (ModelServer, Client) {
    let server = ModelServer::start("127.0.0.1:0".parse().unwrap()).unwrap();
    let client = Client::plain(server.address());
    (server, client)
}

fn lease(holder: &str) -> Value {
    json!({"metadata": {"name": "vip"}, "spec": {"holderIdentity": holder}})
}

#[test]
fn a_storm_of_conflicts_passes_and_stores_nothing() {
    let (server, client) = server();
    let made = client.create(LEASES, &lease("node-1")).unwrap().body;
    server.set_faults(vec![Rule::next(2, "update", "leases", Effect::Fail(409))]);
    for _ in 0..2 {
        let refused = client.call("PUT", VIP, Payload::Json(&made)).unwrap();
        assert_eq!((refused.code, &refused.body["reason"]), (409, &json!("Conflict")));
    }
    assert_eq!(client.get(VIP).unwrap().body, made);
    assert_eq!(client.call("PUT", VIP, Payload::Json(&made)).unwrap().code, 200);
}

#[test]
fn a_hanging_request_holds_up_nobody_else() {
    let (server, client) = server();
    server.set_faults(vec![Rule::next(1, "create", "leases", Effect::Hang)]);
    let hanging = {
        let client = client.clone();
        std::thread::spawn(move || client.create(LEASES, &lease("node-1")))
    };
    let deadline = Instant::now() + SOON;
    while client.get("/model/faults").unwrap().body[0]["times"] != 0 {
        assert!(Instant::now() < deadline, "the rule is not used");
    }
    assert_eq!(client.get(VIP).unwrap().code, 404);
    drop(server); // which is how the hanging one ends
    assert!(hanging.join().unwrap().is_err());
}

#[test]
fn a_lost_answer_is_a_stored_write() {
    let (server, client) = server();
    server.set_faults(vec![Rule::next(1, "create", "leases", Effect::LoseAnswer)]);
    assert!(client.create(LEASES, &lease("node-1")).is_err());
    assert_eq!(client.get(VIP).unwrap().body["spec"]["holderIdentity"], "node-1");
}

#[test]
fn a_cut_request_is_not_stored() {
    let (server, client) = server();
    server.set_faults(vec![Rule::next(1, "create", "leases", Effect::Cut)]);
    assert!(client.create(LEASES, &lease("node-1")).is_err());
    assert_eq!(client.get(VIP).unwrap().code, 404);
}

#[test]
fn running_watches_can_be_expired_and_cut() {
    let (server, client) = server();
    let path = format!("{LEASES}?watch=true");
    let mut watch = client.watch(&path).unwrap();
    server.end_watches(Ending::Expired);
    let event = watch.next(SOON).unwrap().unwrap();
    assert_eq!((&event["type"], &event["object"]["code"]), (&json!("ERROR"), &json!(410)));
    assert_eq!(watch.next(SOON).unwrap(), None);

    let mut watch = client.watch(&path).unwrap();
    server.end_watches(Ending::Cut);
    assert_ne!(watch.next(SOON).unwrap_err().kind(), ErrorKind::TimedOut);
}

#[test]
fn another_process_orders_faults_over_http() {
    let (_server, client) = server();
    let rules = json!([{"verb": "get", "resource": "leases", "effect": {"fail": 503}}]);
    assert_eq!(client.call("PUT", "/model/faults", Payload::Json(&rules)).unwrap().code, 200);
    assert_eq!(client.get("/model/faults").unwrap().body, rules);
    assert_eq!(client.get(VIP).unwrap().code, 503);
    assert_eq!(client.call("DELETE", "/model/faults", Payload::None).unwrap().code, 200);
    assert_eq!(client.get(VIP).unwrap().code, 404);
    let unknown = json!([{"effect": "explode"}]);
    assert_eq!(client.call("PUT", "/model/faults", Payload::Json(&unknown)).unwrap().code, 400);
}

#[test]
fn compaction_over_http_makes_older_versions_expire() {
    let (_server, client) = server();
    client.create(LEASES, &lease("node-1")).unwrap();
    assert_eq!(client.call("POST", "/model/compact", Payload::None).unwrap().code, 200);
    let mut watch = client.watch(&format!("{LEASES}?watch=true&resourceVersion=1")).unwrap();
    assert_eq!(watch.next(SOON).unwrap().unwrap()["object"]["code"], 410);
}

#[test]
fn requests_are_counted_by_verb_resource_and_code() {
    let (_server, client) = server();
    client.create(LEASES, &lease("node-1")).unwrap();
    client.create(LEASES, &lease("node-1")).unwrap();
    let metrics = client.get("/metrics").unwrap().text;
    for code in ["201", "409"] {
        let labels = format!("code=\"{code}\",resource=\"leases\",verb=\"POST\"");
        let line = format!("apiserver_request_total{{{labels}}} 1");
        assert!(metrics.lines().any(|known| known == line), "{metrics}");
    }
}

#[test]
fn with_a_certificate_it_serves_https() {
    let folder = std::env::temp_dir().join(format!("viplet-model-tls-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = folder.join("tls.crt");
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(folder.join("tls.key"), made.signing_key.serialize_pem()).unwrap();
    let options = ModelOptions::at("127.0.0.1:0".parse().unwrap());
    let server =
        ModelServer::start_with(&ModelOptions { tls: Some(folder.clone()), ..options }).unwrap();
    let client = Client::tls(server.address(), &certificate, None).unwrap();
    assert!(server.url().starts_with("https://"));
    assert_eq!(client.get("/readyz").unwrap().text, "ok");
    std::fs::remove_dir_all(&folder).unwrap();
}
