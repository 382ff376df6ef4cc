//! Our side of Services, `viplet::kube`, against both servers: what is watched and what is written.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};
use smol::{LocalExecutor, Timer};
use viplet::core::cluster::record::{
    Condition, EndpointState, Ingress, NodeRecord, Protocol, Scheduling, Served, ServiceName,
    ServicePort, ServiceRecord,
};
use viplet::core::input::{
    ConditionChange, EventWeight, HostChange, IngressChange, ServiceEvent, ServiceOutcome,
    ServiceUpdate,
};
use viplet::kube::{
    Api, Coverage, EndpointSlice, Event, Lease, Pace, Scope, Watch, Watched, node_scope,
    record_event, service_scope, set_labels, update_service,
};

use crate::bench::Bench;
use crate::objects::{lease, service, with};
use crate::ours::{PATIENCE, with_api};

crate::cases![
    our_update_writes_annotation_and_status_at_once_and_then_nothing,
    our_update_is_not_for_another_service_of_the_same_name,
    our_update_takes_back_what_it_wrote_and_leaves_what_others_wrote,
    our_watch_follows_services_of_one_type,
    our_watch_follows_endpoint_slices,
    our_watch_follows_nodes_and_our_labels,
    our_watch_follows_all_leases_but_heartbeats,
    our_event_is_recorded_once,
];

fn stored(bench: &Bench<'_>) -> (ServiceName, Box<str>) {
    let made = bench.stored(&bench.core("services"), &service("web"));
    (ServiceName::new(&bench.space, "web"), made["metadata"]["uid"].as_str().unwrap().into())
}

fn update(service: &ServiceName, uid: &str) -> ServiceUpdate {
    let address = Some("10.0.0.10".parse().unwrap());
    let ports = [ServicePort { port: 80, protocol: Protocol::Tcp }].into();
    let condition = Condition {
        served: Served::Yes,
        reason: "Held".into(),
        message: "10.0.0.10 is on node-1".into(),
    };
    ServiceUpdate {
        service: service.clone(),
        uid: uid.into(),
        attempt: 1,
        host: HostChange::Set("node-1".to_owned()),
        ingress: IngressChange {
            put: vec![Ingress { address, hostname: None, ports }],
            drop: Vec::new(),
        },
        condition: ConditionChange::Set(condition),
    }
}

fn read(bench: &Bench<'_>) -> Value {
    // Not for the record: it holds times.
    bench.server.client().get(&format!("{}/web", bench.core("services"))).unwrap().body
}

fn our_update_writes_annotation_and_status_at_once_and_then_nothing(bench: &Bench<'_>) {
    let (name, uid) = stored(bench);
    with_api(bench, async |_, api| {
        let mut connection = api.connection();
        let update = update(&name, &uid);
        let done = update_service(&mut connection, &update, SystemTime::now()).await;
        assert_eq!(done, ServiceOutcome::Done);
        let first = read(bench);
        assert_eq!(first["metadata"]["annotations"]["kube-vip.io/vipHost"], "node-1");
        let ingress = &first["status"]["loadBalancer"]["ingress"];
        let ports = json!([{"port": 80, "protocol": "TCP"}]);
        assert_eq!(*ingress, json!([{"ip": "10.0.0.10", "ipMode": "VIP", "ports": ports}]));
        assert_eq!(first["status"]["conditions"][0]["type"], "viplet.io/Served");
        let done = update_service(&mut connection, &update, SystemTime::now()).await;
        assert_eq!((done, read(bench)), (ServiceOutcome::Done, first), "nothing was written");
    });
}

fn our_update_is_not_for_another_service_of_the_same_name(bench: &Bench<'_>) {
    let (name, uid) = stored(bench);
    let before = read(bench);
    with_api(bench, async |_, api| {
        let mut connection = api.connection();
        let another = update(&name, "00000000-0000-4000-8000-000000000000");
        let gone = update_service(&mut connection, &another, SystemTime::now()).await;
        assert_eq!((gone, read(bench)), (ServiceOutcome::Gone, before));
        bench.delete(&format!("{}/web", bench.core("services")));
        let gone = update_service(&mut connection, &update(&name, &uid), SystemTime::now()).await;
        assert_eq!(gone, ServiceOutcome::Gone);
    });
}

fn our_update_takes_back_what_it_wrote_and_leaves_what_others_wrote(bench: &Bench<'_>) {
    let (name, uid) = stored(bench);
    with_api(bench, async |_, api| {
        let mut connection = api.connection();
        let mut update = update(&name, &uid);
        update_service(&mut connection, &update, SystemTime::now()).await;
        let client = bench.server.client();
        let mut object = read(bench);
        object["metadata"]["annotations"]["team"] = json!("edge");
        let foreign = json!({"ip": "192.0.2.7", "ipMode": "Proxy"});
        object["status"]["loadBalancer"]["ingress"].as_array_mut().unwrap().insert(0, foreign);
        object["status"]["conditions"].as_array_mut().unwrap().push(json!({
            "type": "example.com/Other", "status": "True", "reason": "So", "message": "",
            "lastTransitionTime": "2026-11-24T00:00:00Z",
        }));
        let payload = viplet_kubeapi::client::Payload::Json(&object);
        let path = format!("{}/web/status", bench.core("services"));
        assert_eq!(client.call("PUT", &path, payload).unwrap().code, 200);
        update.host = HostChange::Remove("node-1".to_owned());
        let address = "10.0.0.10".parse().unwrap();
        update.ingress = IngressChange { put: Vec::new(), drop: vec![address] };
        update.condition = ConditionChange::Remove;
        let done = update_service(&mut connection, &update, SystemTime::now()).await;
        assert_eq!(done, ServiceOutcome::Done);
    });
    let left = read(bench);
    assert_eq!(left["metadata"]["annotations"], json!({"team": "edge"}));
    let ingress = &left["status"]["loadBalancer"]["ingress"];
    assert_eq!(*ingress, json!([{"ip": "192.0.2.7", "ipMode": "Proxy"}]));
    assert_eq!(left["status"]["conditions"][0]["type"], "example.com/Other");
}

/// What a watch holds as current, by name.
type Seen<T> = Rc<RefCell<BTreeMap<String, T>>>;

fn follow<T: Watched + 'static>(
    executor: &LocalExecutor<'static>,
    api: &Api,
    scope: Scope,
    name: fn(&T) -> String,
) -> Seen<T>
where
    T::Key: Debug,
{
    let seen: Seen<T> = Rc::default();
    let (log, watch) = (Rc::clone(&seen), Watch::new(api, scope, Pace::default()));
    let task = watch.run(async move |event: Event<T, T::Key>| {
        let mut log = log.borrow_mut();
        match event {
            Event::Replaced(all) => *log = all.into_iter().map(|one| (name(&one), one)).collect(),
            Event::Applied(one) => drop(log.insert(name(&one), one)),
            Event::Deleted(key) => {
                log.retain(|name, _| !format!("{key:?}").contains(name.as_str()))
            }
            Event::ReplacedExcept(_, unreadable) => panic!("{:?}", unreadable.len()),
            Event::Unreadable(one) => panic!("{}", one.reason),
            Event::Rejected(reason) | Event::Trouble(reason) => panic!("{reason}"),
            Event::Recovered | Event::Reached(_) => {}
        }
    });
    executor.spawn(task).detach();
    seen
}

async fn until<T: Debug>(seen: &Seen<T>, what: impl Fn(&BTreeMap<String, T>) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !what(&seen.borrow()) {
        assert!(Instant::now() < deadline, "{:?}", seen.borrow());
        Timer::after(Duration::from_millis(5)).await;
    }
}

fn our_watch_follows_services_of_one_type(bench: &Bench<'_>) {
    let services = bench.core("services");
    let mut web = service("web");
    web["metadata"]["annotations"] = json!({"kube-vip.io/loadbalancerIPs": "10.0.0.10", "x": "y"});
    web["spec"]["externalTrafficPolicy"] = json!("Local");
    web["spec"]["ports"] =
        json!([{"name": "a", "port": 443}, {"name": "b", "port": 53, "protocol": "UDP"}]);
    bench.stored(&services, &with(&service("other"), "/spec/type", json!("ClusterIP")));
    let made = bench.stored(&services, &web);
    with_api(bench, async |executor, api| {
        let name = |record: &ServiceRecord| record.name.name().to_owned();
        let seen = follow(&executor, &api, service_scope(Some(&bench.space)), name);
        until(&seen, |all| all.len() == 1).await;
        let record = seen.borrow()["web"].clone();
        assert_eq!(record.uid, made["metadata"]["uid"].as_str().unwrap().into());
        let created = made["metadata"]["creationTimestamp"].as_str().unwrap();
        assert_eq!(record.created, created.into());
        assert_eq!(record.ports.len(), 2);
        assert_eq!(record.annotations.unwrap().addresses.as_deref(), Some("10.0.0.10"));
        bench.stored(&services, &service("second"));
        until(&seen, |all| all.contains_key("second")).await;
        let object = bench.get(&format!("{services}/second")).body;
        let plain = with(&object, "/spec/type", json!("ClusterIP"));
        assert_eq!(bench.update(&format!("{services}/second"), &plain).code, 200);
        until(&seen, |all| !all.contains_key("second")).await;
        bench.delete(&format!("{services}/web"));
        until(&seen, BTreeMap::is_empty).await;
    });
}

fn our_watch_follows_endpoint_slices(bench: &Bench<'_>) {
    let slices = format!("/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices", bench.space);
    let slice = |name: &str, labels: Value, endpoints: Value| {
        json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {"name": name, "labels": labels}, "addressType": "IPv4",
            "endpoints": endpoints, "ports": [{"port": 80}],
        })
    };
    let client = bench.server.client(); // its fields are not ours: not for the record
    let store = |object: &Value| {
        let made = client.create(&slices, object).unwrap();
        assert_eq!(made.code, 201, "{}", made.text);
    };
    let ours = json!({"kubernetes.io/service-name": "web"});
    store(&slice("nobodys", json!({}), json!([])));
    store(&slice(
        "web-1",
        ours.clone(),
        json!([
            {"addresses": ["10.1.0.1"], "nodeName": "node-1"},
            {"addresses": ["10.1.0.2"], "conditions": {"ready": false, "serving": true}, "hostname": "h"},
            {"addresses": ["10.1.0.3"], "conditions": {"ready": false}},
        ]),
    ));
    store(&slice("web-2", ours, json!([{"addresses": ["10.1.0.4"], "nodeName": "node-2"}])));
    with_api(bench, async |executor, api| {
        let name = |slice: &EndpointSlice| slice.0.name.to_string();
        let seen = follow(&executor, &api, EndpointSlice::scope(Some(&bench.space)), name);
        until(&seen, |all| all.len() == 2).await;
        let first = seen.borrow()["web-1"].clone().0;
        assert_eq!(first.service, ServiceName::new(&bench.space, "web"));
        let found: Vec<_> =
            first.endpoints.iter().map(|one| (one.node.as_deref(), one.state)).collect();
        assert_eq!(
            found,
            [
                (Some("node-1"), EndpointState::Ready),
                (Some("h"), EndpointState::Serving),
                (None, EndpointState::Unready),
            ]
        );
        bench
            .server
            .client()
            .call("DELETE", &format!("{slices}/web-1"), viplet_kubeapi::client::Payload::None)
            .unwrap();
        until(&seen, |all| all.keys().eq(["web-2"])).await;
    });
}

fn our_watch_follows_nodes_and_our_labels(bench: &Bench<'_>) {
    let node = json!({"metadata": {"name": bench.space, "labels": {"zone": "a"}}});
    bench.stored("/api/v1/nodes", &node);
    with_api(bench, async |executor, api| {
        let seen = follow(&executor, &api, node_scope(), |node: &NodeRecord| node.name.to_string());
        until(&seen, |all| all.contains_key(&bench.space)).await;
        let (set, gone) = ("service-provided.kube-vip.io/web.a", "kube-vip.io/has-ip");
        let labels = BTreeMap::from([
            (set.to_owned(), Some("10.0.0.10".to_owned())),
            (gone.to_owned(), None),
        ]);
        set_labels(&mut api.connection(), &bench.space, &labels).await.unwrap();
        until(&seen, |all| {
            let node = &all[&bench.space];
            node.labels == BTreeMap::from([(set.into(), "10.0.0.10".into())])
                && node.scheduling == Scheduling::Open
        })
        .await;
        let patch = json!({"spec": {"unschedulable": true}});
        bench
            .server
            .client()
            .call(
                "PATCH",
                &format!("/api/v1/nodes/{}", bench.space),
                viplet_kubeapi::client::Payload::Merge(&patch),
            )
            .unwrap();
        until(&seen, |all| all[&bench.space].scheduling == Scheduling::Cordoned).await;
    });
}

fn our_watch_follows_all_leases_but_heartbeats(bench: &Bench<'_>) {
    let heartbeats = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";
    let client = bench.server.client();
    assert_eq!(client.create(heartbeats, &lease(&bench.space, "beat")).unwrap().code, 201);
    with_api(bench, async |executor, api| {
        let name = |lease: &Lease| format!("{}/{}", lease.namespace, lease.name);
        let seen = follow(&executor, &api, Coverage { namespace: None }.scope(), name);
        bench.stored(&bench.leases(), &lease("kubevip-web", "node-1"));
        let ours = format!("{}/kubevip-web", bench.space);
        until(&seen, |all| all.get(&ours).is_some_and(|one| one.record.holder == "node-1")).await;
        assert!(seen.borrow().keys().all(|name| !name.starts_with("kube-node-lease/")));
    });
}

fn our_event_is_recorded_once(bench: &Bench<'_>) {
    let (service, uid) = stored(bench);
    with_api(bench, async |_, api| {
        let mut connection = api.connection();
        let mut event = ServiceEvent {
            service,
            uid: uid.as_ref().into(),
            weight: EventWeight::Warning,
            reason: "Refused".to_owned(),
            message: "it asks for the node's own address; choose another ".repeat(40),
            node: None,
        };
        // Two nodes say the same, and one of them something of its own.
        let now = SystemTime::now();
        for node in ["node-1", "node-2"] {
            record_event(&mut connection, &event, node, now).await.unwrap();
        }
        event.node = Some("node-2".to_owned());
        record_event(&mut connection, &event, "node-2", now).await.unwrap();
    });
    let events = bench.server.client().get(&bench.core("events")).unwrap().body;
    let events = events["items"].as_array().unwrap();
    assert_eq!(events.len(), 2, "{events:?}");
    for event in events {
        assert_eq!(event["involvedObject"]["name"], "web");
        assert_eq!((&event["type"], &event["count"]), (&json!("Warning"), &json!(1)));
        assert_eq!(event["message"].as_str().unwrap().len(), 1024);
    }
}
