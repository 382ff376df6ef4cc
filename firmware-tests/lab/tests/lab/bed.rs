//! Labs for the tests of Services: three nodes and a real API server, which takes 4 s to start.
//! A test gets one that is free as if it were new; there are no more than tests run at once.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::json;
use viplet_lab::cluster::{Cluster, Plan, Timing};
use viplet_lab::{Endpoint, Service, refused, timed, wait_until};

use crate::case::{SOON, skip_unless_required};

static FREE: Mutex<Vec<Cluster>> = Mutex::new(Vec::new());

fn free() -> std::sync::MutexGuard<'static, Vec<Cluster>> {
    FREE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends the shared labs.
pub(crate) fn close() {
    free().clear();
}

/// A free lab that does for this plan. Where none does, the one that waited longest is ended: the
/// caller makes another.
fn take(plan: &Plan) -> Option<Cluster> {
    let mut free = free();
    if let Some(place) = free.iter().position(|cluster| cluster.fits(plan)) {
        return Some(free.remove(place));
    }
    let unfit = (!free.is_empty()).then(|| free.remove(0));
    drop(free);
    drop(unfit);
    None
}

/// A test of Services. No address may be on two nodes at once, and nothing may be asked of the API
/// server that the manifest's rights do not allow.
pub(crate) fn trial(name: &'static str, plan: fn() -> Plan, body: fn(&mut Cluster)) -> Trial {
    Trial::test(format!("services: {name}"), move || {
        timed(name, || {
            run(name, plan(), |cluster| {
                let before = cluster.requests().len();
                body(cluster);
                cluster.assert_single_holder(Duration::ZERO);
                let refused = refused(&cluster.store(), &cluster.requests()[before..]);
                assert!(refused.is_empty(), "manifests/rbac.yaml does not allow {refused:?}");
            });
        });
        Ok(())
    })
}

/// Runs `body` in a shared lab, arranged by `plan`; skips aloud where there is no API server.
pub(crate) fn run(name: &str, plan: Plan, body: impl FnOnce(&mut Cluster)) {
    // A test that fails ends its lab, and its story is told: it is not in the static meanwhile.
    let mut cluster = match take(&plan) {
        Some(mut cluster) => {
            cluster.rearrange(plan);
            cluster
        }
        None => match Cluster::try_new(plan) {
            Ok(cluster) => cluster,
            Err(why) => return skip_unless_required(name, &why.to_string()),
        },
    };
    cluster.register_nodes();
    body(&mut cluster);
    free().push(cluster);
}

/// Three nodes, Services, one Lease for all, short times.
pub(crate) fn services() -> Plan {
    Plan::services(3)
}

/// The same with a Lease for each Service.
pub(crate) fn each() -> Plan {
    services().set("svc_election", "true")
}

/// With times at which a lease that runs out would be noticed.
pub(crate) fn slow() -> Plan {
    services().timing(Timing::DEFAULT)
}

/// An address of the lab.
pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// A ready endpoint on each node.
pub(crate) fn everywhere() -> Vec<Endpoint> {
    (0..3).map(Endpoint::on).collect()
}

/// Makes a Service with a ready endpoint on each node, and lets the client ping `addresses`.
#[track_caller]
pub(crate) fn serve(cluster: &mut Cluster, service: &Service, addresses: &[IpAddr]) {
    for address in addresses {
        cluster.ping(*address);
    }
    cluster.store().serve(service, &everywhere());
}

/// Makes a Service that asks for one address and waits until it is held; by whom.
#[track_caller]
pub(crate) fn held(cluster: &mut Cluster, service: &Service, address: IpAddr) -> usize {
    serve(cluster, service, &[address]);
    cluster.wait_for_holder_of(address, 2 * SOON)
}

/// Waits until a Service's status names exactly these addresses.
#[track_caller]
pub(crate) fn wait_for_ingress(cluster: &Cluster, service: &Service, addresses: &[&str]) {
    wait_until(&format!("the status of {} names {addresses:?}", service.name), 2 * SOON, || {
        cluster.store().ingress_addresses(service) == addresses
    });
}

/// Waits for an Event about a Service with this reason and these texts.
#[track_caller]
pub(crate) fn wait_for_event(
    cluster: &Cluster,
    service: &Service,
    (weight, reason): (&str, &str),
    parts: &[&str],
) {
    wait_until(&format!("an Event {reason} about {} with {parts:?}", service.name), SOON, || {
        cluster.store().events(service).iter().any(|event| {
            event.weight == weight
                && event.reason == reason
                && parts.iter().all(|part| event.message.contains(part))
        })
    });
}

/// Waits for an Event of type Warning about a Service with these texts.
#[track_caller]
pub(crate) fn wait_for_warning(cluster: &Cluster, service: &Service, parts: &[&str]) {
    wait_until(&format!("a warning about {} with {parts:?}", service.name), SOON, || {
        cluster.store().events(service).iter().any(|event| {
            event.weight == "Warning" && parts.iter().all(|part| event.message.contains(part))
        })
    });
}

/// Waits until a Service is refused, with an Event and a condition that have these texts.
#[track_caller]
pub(crate) fn wait_for_refusal(cluster: &Cluster, service: &Service, parts: &[&str]) {
    wait_for_event(cluster, service, ("Warning", "Refused"), parts);
    wait_until(&format!("the condition of {} says why", service.name), SOON, || {
        cluster.store().condition(service).is_some_and(|(status, reason, message)| {
            status == "False"
                && !reason.is_empty()
                && parts.iter().all(|part| message.contains(part))
        })
    });
}

/// Waits until a node's `/status` has this Service in this state; its entry.
#[track_caller]
pub(crate) fn wait_for_state(
    cluster: &Cluster,
    node: usize,
    service: &Service,
    state: &str,
) -> serde_json::Value {
    let name = json!(format!("{}/{}", service.namespace, service.name));
    let what = format!("n{} says that {name} is {state}", node + 1);
    let entry = || {
        let status = cluster.status(node)?;
        let found = status["services"].as_array()?.iter().find(|one| one["service"] == name)?;
        (found["state"] == state).then(|| found.clone())
    };
    viplet_lab::wait::wait_for(&what, SOON, entry).0
}

/// Waits until a Service made after all others is held: what was made before has been seen by then.
#[track_caller]
pub(crate) fn settle(cluster: &mut Cluster) {
    let last = Service::new("last-of-all").asks("10.77.1.250");
    held(cluster, &last, ip("10.77.1.250"));
}

/// Panics if any node ever had `address`.
#[track_caller]
pub(crate) fn assert_never_held(cluster: &Cluster, address: IpAddr) {
    let timeline = cluster.watch.timeline(address);
    assert!(timeline.spans.is_empty(), "{address} was held: {timeline:?}");
}

/// Panics unless exactly one node had `address`, without a break.
#[track_caller]
pub(crate) fn assert_never_moved(cluster: &Cluster, address: IpAddr) {
    let timeline = cluster.watch.timeline(address);
    assert_eq!(timeline.spans.len(), 1, "{address} was absent or moved: {timeline:?}");
}
