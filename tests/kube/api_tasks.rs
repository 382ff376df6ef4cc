//! The API tasks of a node that serves Services: which connections there are, what goes over each,
//! and that every request is answered.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};
use smol::channel::{Receiver, bounded};
use smol::{LocalExecutor, Timer};
use viplet::core::cluster::record::{Change, ServiceName};
use viplet::core::input::{EventWeight, ServiceEvent, ServiceOutcome};
use viplet::core::settings::{
    ClassFilter, DnsMode, EndpointSource, Labelling, LeaseTiming, LinkChoice, LinkNotUp, OnDemand,
    OnLinkDown, PER_TURN, PrefixLength, ServiceElection, ServiceLink, ServicePrefixes, Services,
    Settings, Unclassed, Updates,
};
use viplet::core::{
    Core, Input, KubernetesRequest, LeaseName, LeaseRequest, LeaseVerb, LeaseView, Origin,
    WriteOutcome,
};
use viplet::shell::api_tasks::{ApiTasks, LazyApi};
use viplet::shell::clock;
use viplet::shell::opening::Opening;
use viplet::shell::shared::Shared;
use viplet::shell::source::{ApiHealth, Source as _};
use viplet_backend_api::{Class, Refusal};

use super::server::{Seen, Server, Step, Steps, answer, chunked, serve, until};
use super::services::{object, update};
use super::setup::{Folder, kubeconfig, run, settings};
use super::store::{query, status};

pub fn services(namespace: Option<&str>, endpoints: EndpointSource) -> Services {
    let second = Duration::from_secs(1);
    Services {
        namespace: namespace.map(str::to_owned),
        class: ClassFilter::Legacy { name: "c".to_owned(), unclassed: Unclassed::Served },
        election: ServiceElection::Each,
        on_demand: OnDemand::Off,
        lease: lease("kube-system", "plndr-svcs-lock"),
        timing: LeaseTiming {
            duration: second * 15,
            renew_deadline: second * 10,
            retry_period: second * 2,
        },
        link: ServiceLink::Choice(LinkChoice::DefaultRoute),
        presence: viplet_backend_api::Presence::OnLink,
        prefix: ServicePrefixes { v4: PrefixLength::Fixed(32), v6: PrefixLength::Fixed(128) },
        dns_mode: DnsMode::First,
        duplicate_detection: viplet_backend_api::DuplicateDetection::Kernel,
        announce_every: second * 3,
        on_link_down: OnLinkDown::Keep,
        link_not_up: LinkNotUp::Wait,
        updates: Updates::Written,
        endpoints,
        labelling: Labelling::On,
        control_plane_port: 6443,
        per_turn: PER_TURN,
    }
}

fn lease(namespace: &str, name: &str) -> LeaseName {
    LeaseName { namespace: namespace.to_owned(), name: name.to_owned() }
}

fn control_plane() -> LeaseName {
    lease("kube-system", "plndr-cp-lock")
}

/// A node's API tasks against a server.
pub struct Node {
    pub server: Server,
    shared: Rc<Shared>,
    pub api_tasks: ApiTasks,
    inputs: Rc<RefCell<Vec<Input>>>,
    _folder: Folder,
}

pub fn node(
    executor: &Rc<LocalExecutor<'static>>,
    services: Services,
    handler: impl FnMut(&Seen) -> Steps + 'static,
) -> Node {
    let (folder, server) = (Folder::new(), serve(executor, None, handler));
    let file = folder.write("config", &kubeconfig(&server.url(), "", ""));
    let core = Settings {
        node: "node-1".to_owned(),
        control_plane: None,
        services: Some(services),
        seed: 1,
    };
    let backend = Opening::new(Box::new(|| Err(nothing())));
    let shared = Shared::new(Core::new(core, clock::now()), Box::new(backend));
    let lazy_api = LazyApi::new(settings(Some(&file)), executor);
    let (inbox, outbox) = bounded(64);
    let api_tasks = ApiTasks::start(executor, &lazy_api, &shared, &inbox, &[control_plane()]);
    let inputs = Rc::default();
    executor.spawn(collect(outbox, Rc::clone(&inputs))).detach();
    Node { server, shared, api_tasks, inputs, _folder: folder }
}

/// No kernel is touched here.
fn nothing() -> Refusal {
    Refusal { class: Class::Forbidden, reason: "not in this test".to_owned() }
}

async fn collect(outbox: Receiver<Input>, inputs: Rc<RefCell<Vec<Input>>>) {
    while let Ok(input) = outbox.recv().await {
        inputs.borrow_mut().push(input);
    }
}

impl Node {
    pub fn count(&self, wanted: impl Fn(&Input) -> bool) -> usize {
        self.inputs.borrow().iter().filter(|input| wanted(input)).count()
    }

    fn read(&self, lease: LeaseName) {
        let timeout = Duration::from_secs(60);
        self.api_tasks.request(KubernetesRequest::Lease(LeaseRequest {
            lease,
            verb: LeaseVerb::Read,
            timeout,
        }));
    }

    fn fails(&self) -> Option<String> {
        match self.shared.api() {
            ApiHealth::Unreachable { reason, .. } => Some(reason),
            ApiHealth::Unknown | ApiHealth::Reachable { .. } => None,
        }
    }
}

/// The plural that a list or a watch of a collection is about.
fn collection(seen: &Seen) -> &str {
    seen.path.rsplit('/').next().unwrap_or_default()
}

fn items(seen: &Seen) -> Vec<Value> {
    let meta = |space: &str, name: &str| {
        json!({"namespace": space, "name": name, "resourceVersion": "3", "uid": "u",
            "labels": {"kubernetes.io/service-name": "web", "kube-vip.io/has-ip": "x"}})
    };
    match collection(seen) {
        "services" => vec![object("web", 2), json!({"metadata": {"name": "odd"}})],
        "endpointslices" => vec![
            json!({"metadata": meta("shop", "web-1"), "endpoints": [{"nodeName": "node-1"}]}),
            json!({"metadata": meta("shop", "web-2"), "endpoints": []}),
        ],
        "endpoints" => vec![json!({"metadata": meta("shop", "web")})],
        "nodes" => {
            vec![json!({"metadata": meta("", "node-1")}), json!({"metadata": meta("", "n2")})]
        }
        "leases" if query(seen, "fieldSelector").contains("metadata.name%3D") => vec![],
        "leases" => vec![json!({
            "metadata": meta("shop", "kubevip-web"), "spec": {"holderIdentity": "node-2"},
        })],
        other => panic!("{other}"),
    }
}

fn listed(seen: &Seen) -> Steps {
    let list = json!({"metadata": {"resourceVersion": "5"}, "items": items(seen)});
    answer(200, &list.to_string())
}

fn is_collection(seen: &Seen) -> bool {
    seen.method == "GET" && seen.query.contains("limit=") || seen.is_watch()
}

/// Lists and idle watches; `other` answers all else.
pub fn cluster(mut other: impl FnMut(&Seen) -> Steps) -> impl FnMut(&Seen) -> Steps {
    move |seen| match (seen.is_watch(), is_collection(seen)) {
        (true, _) => chunked(vec![Step::Hang]),
        (false, true) => listed(seen),
        (false, false) => other(seen),
    }
}

pub fn nothing_else(seen: &Seen) -> Steps {
    panic!("{seen:?}")
}

#[test]
fn four_watches_bring_services_endpoints_nodes_and_leases() {
    run(async |executor| {
        let settings = services(None, EndpointSource::Slices);
        let node = node(&executor, settings, cluster(nothing_else));
        until("all of them", || {
            let inputs = node.inputs.borrow();
            let has = |wanted: fn(&Input) -> bool| inputs.iter().any(wanted);
            has(|one| matches!(one, Input::Services(Change::Replaced(all)) if all.len() == 1))
                && has(|one| matches!(one, Input::Endpoints(Change::Replaced(all)) if all.len() == 2))
                && has(|one| matches!(one, Input::Leases(Change::Replaced(all))
                    if all[0].lease == lease("shop", "kubevip-web") && all[0].record.holder == "node-2"))
                && has(|one| matches!(one, Input::Nodes(Change::Replaced(all))
                    if all[0].labels.len() == 1 && all[1].labels.is_empty()))
                && has(|one| matches!(one, Input::Lease { view: LeaseView::Absent, .. }))
        })
        .await;
        until("the watches", || node.server.count(Seen::is_watch) == 5).await;
        let seen = node.server.seen.borrow();
        let connections = seen.iter().map(|seen| seen.connection).max().unwrap() + 1;
        assert_eq!(connections, 5, "four, and one for the control plane's lease");
        let selected = |plural: &str, field: &str, selector: &str| {
            let of = seen.iter().filter(|seen| collection(seen) == plural);
            let of = of.filter(|seen| !query(seen, "fieldSelector").contains("metadata.name%3D"));
            let all: Vec<_> = of.map(|seen| query(seen, field)).collect();
            assert_eq!(all, [selector, selector], "{plural}");
        };
        selected("services", "fieldSelector", "spec.type%3DLoadBalancer");
        selected("endpointslices", "labelSelector", "kubernetes.io%2Fservice-name");
        selected("leases", "fieldSelector", "metadata.namespace%21%3Dkube-node-lease");
        selected("nodes", "fieldSelector", "");
    });
}

#[test]
fn where_the_settings_say_so_only_one_namespace_and_endpoints_of_the_old_kind_are_watched() {
    run(async |executor| {
        let settings = services(Some("shop"), EndpointSource::Endpoints);
        let node = node(&executor, settings, cluster(nothing_else));
        until("the watches", || node.server.count(Seen::is_watch) == 5).await;
        let seen = node.server.seen.borrow();
        let mut paths: Vec<_> = seen.iter().filter(|s| s.is_watch()).map(|s| &*s.path).collect();
        paths.sort_unstable();
        assert_eq!(
            paths,
            [
                "/api/v1/namespaces/shop/endpoints",
                "/api/v1/namespaces/shop/services",
                "/api/v1/nodes",
                "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases",
                "/apis/coordination.k8s.io/v1/namespaces/shop/leases",
            ]
        );
    });
}

#[test]
fn nodes_that_may_not_be_watched_stop_nothing() {
    run(async |executor| {
        let mut all = cluster(nothing_else);
        let handler = move |seen: &Seen| match collection(seen) {
            "nodes" => status(403, "Forbidden"),
            _ => all(seen),
        };
        let node = node(&executor, services(None, EndpointSource::Slices), handler);
        until("the others", || node.server.count(Seen::is_watch) == 4).await;
        until("a second try", || node.server.count(|seen| collection(seen) == "nodes") >= 2).await;
        assert_eq!(node.count(|input| matches!(input, Input::Nodes(_))), 0);
        assert_eq!(node.fails(), None, "the API server is well");
    });
}

#[test]
fn services_that_may_not_be_watched_are_asked_for_again_and_the_trouble_shows() {
    run(async |executor| {
        let mut all = cluster(nothing_else);
        let refused = Rc::new(RefCell::new(true));
        let still = Rc::clone(&refused);
        let handler = move |seen: &Seen| match collection(seen) {
            "services" if *still.borrow() => status(403, "Forbidden"),
            "endpointslices" if *still.borrow() => status(401, "Unauthorized"),
            _ => all(seen),
        };
        let node = node(&executor, services(None, EndpointSource::Slices), handler);
        until("trouble", || node.fails().is_some_and(|why| why.contains("40"))).await;
        for plural in ["services", "endpointslices"] {
            until(plural, || node.server.count(|seen| collection(seen) == plural) >= 2).await;
        }
        *refused.borrow_mut() = false;
        until("the end of it", || node.server.count(Seen::is_watch) == 5).await;
        until("all is well", || node.fails().is_none()).await;
        assert_eq!(node.count(|input| matches!(input, Input::Services(_))), 1);
    });
}

#[test]
fn where_only_watches_ask_the_api_server_status_still_says_that_it_answers() {
    run(async |executor| {
        let settings = services(None, EndpointSource::Slices);
        let node = node(&executor, settings, cluster(nothing_else));
        let services = |input: &Input| matches!(input, Input::Services(_));
        until("the Services", || node.count(services) == 1).await;
        let health = node.shared.api();
        assert!(matches!(health, ApiHealth::Reachable { .. }), "{health:?}");
    });
}

#[test]
fn an_object_of_a_later_kubernetes_is_told_to_the_core_as_there_and_not_as_gone() {
    run(async |executor| {
        let mut all = cluster(nothing_else);
        let handler = move |seen: &Seen| match (collection(seen), seen.is_watch()) {
            ("endpointslices", false) => {
                let metadata = json!({"namespace": "shop", "name": "web-1", "resourceVersion": "3",
                    "labels": {"kubernetes.io/service-name": "web"}});
                let odd = json!({"metadata": metadata, "endpoints": [{"conditions": ["new"]}]});
                let list = json!({"metadata": {"resourceVersion": "5"}, "items": [odd]});
                answer(200, &list.to_string())
            }
            _ => all(seen),
        };
        let node = node(&executor, services(None, EndpointSource::Slices), handler);
        let kept = |input: &Input| {
            matches!(input, Input::Endpoints(Change::ReplacedExcept(none, kept))
                if none.is_empty() && kept.len() == 1 && &*kept[0].key.name == "web-1"
                    && kept[0].reason.contains("shop/web-1: endpoints[0].conditions"))
        };
        until("the slice", || node.count(kept) == 1).await;
    });
}

#[test]
fn requests_about_the_control_planes_and_the_global_lease_are_never_behind_others() {
    run(async |executor| {
        let handler = cluster(|seen: &Seen| match collection(seen) {
            "plndr-cp-lock" | "plndr-svcs-lock" => status(404, "NotFound"),
            _ => vec![Step::Hang],
        });
        let node = node(&executor, services(None, EndpointSource::Slices), handler);
        for number in 0..20 {
            node.read(lease("shop", &format!("kubevip-{number}")));
        }
        let waiting = |seen: &Seen| collection(seen).starts_with("kubevip-");
        until("a full pool", || node.server.count(waiting) == 4).await;
        for one in [control_plane(), lease("kube-system", "plndr-svcs-lock")] {
            node.read(one.clone());
            let answered = |input: &Input| {
                matches!(input,
                Input::Lease { lease, origin: Origin::Read, .. } if *lease == one)
            };
            until("its answer", || node.count(answered) == 1).await;
        }
        assert_eq!(node.server.count(waiting), 4, "four at a time");
        let mut pool: Vec<_> = node
            .server
            .seen
            .borrow()
            .iter()
            .filter(|seen| waiting(seen))
            .map(|seen| seen.connection)
            .collect();
        pool.dedup();
        assert_eq!(pool.len(), 4);
    });
}

#[test]
fn what_cannot_be_queued_is_answered_at_once() {
    run(async |executor| {
        let node =
            node(&executor, services(None, EndpointSource::Slices), cluster(|_| vec![Step::Hang]));
        let record = super::leases::record("node-1");
        for number in 0..164 {
            let verb = LeaseVerb::Create {
                attempt: number,
                record: record.clone(),
                annotations: BTreeMap::new(),
            };
            let lease = lease("shop", &format!("l{number}"));
            node.api_tasks.request(KubernetesRequest::Lease(LeaseRequest {
                lease,
                verb,
                timeout: Duration::from_secs(60),
            }));
            node.api_tasks.request(KubernetesRequest::Service(update(&format!("s{number}"))));
        }
        let full = |why: &str| why.contains("too many");
        let rejected = |input: &Input| {
            matches!(input,
            Input::LeaseWritten { outcome: WriteOutcome::Rejected(why), .. } if full(why))
        };
        let failed = |input: &Input| {
            matches!(input,
            Input::ServiceWritten { attempt: 7, outcome: ServiceOutcome::Failed(why), .. } if full(why))
        };
        until("the leases' answers", || node.count(rejected) == 100).await;
        until("the Services' answers", || node.count(failed) == 100).await;
        for _ in 0..20 {
            node.api_tasks.request(KubernetesRequest::ServiceLabels(BTreeMap::new()));
        }
        let labelled = |input: &Input| matches!(input, Input::ServicesLabelled(Err(_)));
        until("the labels' answers", || node.count(labelled) == 12).await;
    });
}

#[test]
fn a_lease_that_the_wide_watch_does_not_cover_is_watched_from_the_first_request_about_it() {
    run(async |executor| {
        let handler = cluster(|_: &Seen| status(404, "NotFound"));
        let node = node(&executor, services(Some("shop"), EndpointSource::Slices), handler);
        let named = |name: &str| {
            let name = name.to_owned();
            move |seen: &Seen| {
                seen.is_watch() && query(seen, "fieldSelector") == format!("metadata.name%3D{name}")
            }
        };
        for _ in 0..2 {
            node.read(lease("kube-system", "plndr-svcs-lock"));
            node.read(lease("shop", "kubevip-web"));
        }
        until("the watch", || node.server.count(named("plndr-svcs-lock")) == 1).await;
        let answers = |input: &Input| matches!(input, Input::Lease { origin: Origin::Read, .. });
        until("the answers", || node.count(answers) == 4).await;
        assert_eq!(node.server.count(named("plndr-svcs-lock")), 1, "once");
        assert_eq!(node.server.count(named("kubevip-web")), 0, "the wide watch covers it");
    });
}

#[test]
fn what_is_written_to_services_goes_over_four_connections_and_is_answered() {
    run(async |executor| {
        let handler = cluster(|seen: &Seen| {
            let name = seen.path.split('/').nth(6).unwrap();
            answer(200, &object(name, 2).to_string())
        });
        let node = node(&executor, services(None, EndpointSource::Slices), handler);
        for number in 0..30 {
            node.api_tasks.request(KubernetesRequest::Service(update(&format!("s{number}"))));
        }
        let done = |input: &Input| {
            matches!(input, Input::ServiceWritten { attempt: 7, outcome: ServiceOutcome::Done, .. })
        };
        until("the answers", || node.count(done) == 30).await;
        let seen = node.server.seen.borrow();
        let mut used: Vec<_> =
            seen.iter().filter(|seen| seen.method == "PUT").map(|seen| seen.connection).collect();
        assert_eq!(used.len(), 30);
        used.sort_unstable();
        used.dedup();
        assert!(used.len() <= 4, "{used:?}");
    });
}

#[test]
fn all_labels_of_services_are_written_by_one_patch() {
    run(async |executor| {
        let node =
            node(&executor, services(None, EndpointSource::Slices), cluster(|_| answer(200, "{}")));
        let key = |name: &str| format!("service-provided.kube-vip.io/{name}.shop");
        let labels = BTreeMap::from([(key("a"), Some("10.0.0.1".to_owned())), (key("b"), None)]);
        node.api_tasks.request(KubernetesRequest::ServiceLabels(labels));
        until("the answer", || {
            node.count(|input| matches!(input, Input::ServicesLabelled(Ok(())))) == 1
        })
        .await;
        let seen = node.server.seen.borrow();
        let patches: Vec<_> = seen.iter().filter(|seen| seen.method == "PATCH").collect();
        assert_eq!((patches.len(), &*patches[0].path), (1, "/api/v1/nodes/node-1"));
        assert_eq!(
            patches[0].json(),
            json!({"metadata": {"labels": {key("a"): "10.0.0.1", key("b"): null}}})
        );
    });
}

fn event(space: &str, message: &str) -> ServiceEvent {
    ServiceEvent {
        service: ServiceName::new(space, "web"),
        uid: "u".into(),
        weight: EventWeight::Normal,
        reason: "Held".to_owned(),
        message: message.to_owned(),
        node: Some("node-1".to_owned()),
    }
}

#[test]
fn events_that_are_forbidden_are_not_tried_again_and_nothing_else_is_affected() {
    run(async |executor| {
        let handler = cluster(|seen: &Seen| match seen.method.as_str() {
            "POST" if seen.path.contains("/dying/") => answer(
                403,
                r#"{"reason":"Forbidden",
                "message":"unable to create new content in namespace dying because it is being terminated"}"#,
            ),
            "POST" if seen.path.contains("/shop/") => status(403, "Forbidden"),
            "POST" => status(409, "AlreadyExists"),
            _ => answer(200, "{}"),
        });
        let node = node(&executor, services(None, EndpointSource::Slices), handler);
        let posts = |seen: &Seen| seen.method == "POST";
        for (space, message, tried) in [
            ("dying", "a", 1),
            ("other", "b", 2),
            ("shop", "c", 3),
            ("shop", "d", 3),
            ("other", "e", 3),
        ] {
            node.api_tasks.request(KubernetesRequest::Event(event(space, message)));
            // The label is written after the Event only if that was dealt with.
            until("the Event", || node.server.count(posts) == tried).await;
            let labelled = |input: &Input| matches!(input, Input::Labelled(Ok(())));
            let before = node.count(labelled);
            node.api_tasks.request(KubernetesRequest::Label {
                key: "kube-vip.io/has-ip".to_owned(),
                value: None,
            });
            until("the label", || node.count(labelled) == before + 1).await;
        }
        Timer::after(Duration::ZERO).await;
        assert_eq!(node.server.count(posts), 3);
        assert_eq!(node.fails(), None);
    });
}
