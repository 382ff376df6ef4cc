//! Services as records: every field, what is left out, what is refused.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::core::cluster::record::Creation;

fn service(spec: &Value, status: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {
            "namespace": "shop", "name": "web", "uid": "u-1", "resourceVersion": "7",
            "creationTimestamp": "2026-11-24T00:00:00Z",
            "managedFields": [{"manager": "x", "fieldsV1": {"f:spec": {}}}],
        },
        "spec": spec, "status": status,
    })
}

fn record(object: &Value) -> Result<ServiceRecord, String> {
    ServiceRecord::read(&object.to_string()).map(|record| record.unwrap())
}

fn of_spec(spec: &Value) -> ServiceRecord {
    record(&service(spec, &json!({}))).unwrap()
}

#[test]
fn every_field_that_counts_is_read() {
    let mut object = service(
        &json!({
            "type": "LoadBalancer", "loadBalancerClass": "kube-vip.io/kube-vip-class",
            "externalTrafficPolicy": "Local", "ipFamilies": ["IPv6"],
            "ipFamilyPolicy": "SingleStack", "loadBalancerIP": "10.0.0.9",
            "ports": [{"port": 443}, {"port": 53, "protocol": "UDP"}, {"port": 9, "protocol": "SCTP"}],
            "selector": {"app": "web"},
        }),
        &json!({
            "loadBalancer": {"ingress": [
                {"ip": "10.0.0.9", "ipMode": "VIP", "ports": [
                    {"port": 443, "protocol": "TCP"}, {"port": 80, "protocol": "TCP", "error": "Taken"},
                ]},
                {"ip": "no address", "hostname": ""}, {"hostname": "lb.example.com"},
            ]},
            "conditions": [
                {"type": "other", "status": "True"},
                {"type": CONDITION, "status": "True", "reason": "Held", "message": "here"},
            ],
        }),
    );
    object["metadata"]["annotations"] = json!({
        "kube-vip.io/loadbalancerIPs": "10.0.0.9", "kube-vip.io/ignore": "false",
        "kube-vip.io/serviceInterface": "eth1", "kube-vip.io/serviceVLAN": "5",
        "kube-vip.io/leaseName": "l", "kube-vip.io/forcePerServiceElection": "true",
        "kube-vip.io/allow-reconcile-without-endpoints": "true", "kube-vip.io/egress": "true",
        "kube-vip.io/vipHost": "node-1", "unread": "x",
    });
    let port = |port, protocol| ServicePort { port, protocol };
    let text = |text: &str| Some(text.into());
    let record = record(&object).unwrap();
    assert_eq!(record.name, ServiceName::new("shop", "web"));
    assert_eq!((record.uid, record.version), ("u-1".into(), "7".into()));
    assert_eq!(record.created, Creation::from("2026-11-24T00:00:00Z"));
    assert_eq!(record.class, text("kube-vip.io/kube-vip-class"));
    assert_eq!((record.policy, record.families), (TrafficPolicy::Local, Families::V6));
    assert_eq!(
        *record.ports,
        [port(443, Protocol::Tcp), port(53, Protocol::Udp), port(9, Protocol::Sctp)]
    );
    assert_eq!(record.load_balancer_ip, text("10.0.0.9"));
    assert_eq!(
        *record.annotations.unwrap(),
        ServiceAnnotations {
            addresses: text("10.0.0.9"),
            host: text("node-1"),
            rare: Some(Box::new(RareAnnotations {
                ignore: text("false"),
                interface: text("eth1"),
                vlan: text("5"),
                lease: text("l"),
                own_election: text("true"),
                without_endpoints: text("true"),
                egress: text("true"),
            })),
        }
    );
    let entry = |ip: Option<&str>, hostname: Option<&str>, ports: &[ServicePort]| Ingress {
        address: ip.map(|ip| ip.parse().unwrap()),
        hostname: hostname.map(Into::into),
        ports: ports.into(),
    };
    assert_eq!(
        *record.ingress,
        [
            entry(Some("10.0.0.9"), None, &[port(443, Protocol::Tcp)]),
            entry(None, None, &[]),
            entry(None, Some("lb.example.com"), &[]),
        ]
    );
    let condition = record.condition.unwrap();
    assert_eq!(
        (condition.served, &*condition.reason, &*condition.message),
        (Served::Yes, "Held", "here")
    );
}

#[test]
fn a_service_that_says_little_is_read_and_kept_small() {
    for (spec, status) in [(json!({}), json!({})), (Value::Null, Value::Null)] {
        let record = record(&service(&spec, &status)).unwrap();
        assert_eq!((record.policy, record.families), (TrafficPolicy::Cluster, Families::Any));
        assert_eq!((record.class, record.load_balancer_ip), (None, None));
        assert_eq!((record.annotations, record.condition), (None, None));
        assert!(record.ports.is_empty() && record.ingress.is_empty());
    }
    let mut foreign = service(&json!({"loadBalancerIP": ""}), &json!({}));
    foreign["metadata"]["annotations"] = json!({"team": "edge"});
    let record = record(&foreign).unwrap();
    assert_eq!((record.annotations, record.load_balancer_ip), (None, None));
    let nulls = json!({"ports": null, "ipFamilies": null, "externalTrafficPolicy": null});
    assert!(of_spec(&nulls).ports.is_empty());
}

#[test]
fn a_null_family_policy_is_no_crash_and_families_are_told_by_both_fields() {
    for (policy, families, expected) in [
        (Value::Null, json!(["IPv4"]), Families::V4),
        (Value::Null, json!(["IPv4", "IPv6"]), Families::Dual),
        (Value::Null, Value::Null, Families::Any),
        (json!("SingleStack"), json!(["IPv6"]), Families::V6),
        (json!("PreferDualStack"), json!(["IPv4"]), Families::Dual),
        (json!("RequireDualStack"), json!(["IPv6", "IPv4"]), Families::DualRequired),
        (json!("RequireDualStack"), Value::Null, Families::DualRequired),
    ] {
        let spec = json!({"ipFamilyPolicy": policy, "ipFamilies": families});
        assert_eq!(of_spec(&spec).families, expected, "{spec}");
    }
}

#[test]
fn values_of_a_later_kubernetes_are_read_as_what_they_do_not_forbid() {
    let record = of_spec(&json!({
        "externalTrafficPolicy": "Topology", "ipFamilyPolicy": "PreferTripleStack",
        "ipFamilies": ["IPv8", "IPv6"], "internalTrafficPolicy": "Zone", "new": {"a": [1]},
        "ports": [{"port": 1, "protocol": "QUIC"}, {"port": 2, "protocol": "UDP"}],
    }));
    assert_eq!((record.policy, record.families), (TrafficPolicy::Cluster, Families::V6));
    assert_eq!(*record.ports, [ServicePort { port: 2, protocol: Protocol::Udp }]);
}

#[test]
fn what_makes_no_sense_is_refused_with_the_field() {
    for (pointer, value, field) in [
        ("/metadata/uid", Value::Null, "metadata.uid"),
        ("/metadata/name", json!(""), "metadata.name"),
        ("/metadata/resourceVersion", json!(7), "metadata.resourceVersion"),
        ("/spec", json!([1]), "spec"),
        ("/spec/ports", json!([{"port": 0}, {"port": 70_000}]), "spec.ports[1].port"),
        ("/spec/ports", json!([{"port": 1, "protocol": 6}]), "spec.ports[0].protocol"),
        ("/spec/externalTrafficPolicy", json!(1), "spec.externalTrafficPolicy"),
        ("/spec/ipFamilies", json!([4]), "spec.ipFamilies[0]"),
        ("/status/loadBalancer", json!({"ingress": [null]}), "status.loadBalancer.ingress[0]"),
        ("/metadata/annotations", json!({"kube-vip.io/ignore": true}), "kube-vip.io/ignore"),
    ] {
        let base = json!({"ports": null, "externalTrafficPolicy": null, "ipFamilies": null});
        let mut object = service(&base, &json!({"loadBalancer": null}));
        object["metadata"]["annotations"] = Value::Null;
        *object.pointer_mut(pointer).unwrap() = value;
        let reason = record(&object).unwrap_err();
        assert!(reason.contains(field), "{pointer}: {reason}");
    }
}

#[test]
fn a_service_that_makes_no_sense_still_has_a_key() {
    let object = service(&json!({"ports": "many"}), &json!({}));
    assert!(record(&object).is_err());
    let key = ServiceRecord::key(&object.to_string()).unwrap();
    assert_eq!(key, Some(ServiceName::new("shop", "web")));
}

proptest! {
    #[test]
    fn any_part_may_be_anything_and_is_read_or_refused(
        place in 0usize..12,
        junk in "(null|true|-1|1e9|99999999999|\"\"|\"x\"|\\[\\]|\\{\\}|\\[null\\]|\\[\\[1\\]\\]|\\[\\{\\}\\]|\\{\"a\":1\\})",
    ) {
        let spec = json!({
            "loadBalancerClass": "c", "externalTrafficPolicy": "Local", "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack", "ports": [{"port": 1, "protocol": "TCP"}],
        });
        let status = json!({
            "loadBalancer": {"ingress": [{"ip": "10.0.0.1", "ports": [{"port": 1}]}]},
            "conditions": [{"type": CONDITION, "status": "True"}],
        });
        let places = [
            "/metadata", "/metadata/uid", "/spec", "/spec/ports", "/spec/ports/0",
            "/spec/ports/0/port", "/spec/ipFamilyPolicy", "/spec/ipFamilies/0", "/status",
            "/status/loadBalancer/ingress", "/status/loadBalancer/ingress/0/ports",
            "/status/conditions/0",
        ];
        let mut object = service(&spec, &status);
        *object.pointer_mut(places[place]).unwrap() = serde_json::from_str(&junk).unwrap();
        if let Err(reason) = record(&object) {
            prop_assert!(!reason.is_empty());
        }
        let _ = ServiceRecord::key(&object.to_string());
    }

    #[test]
    fn any_text_is_a_service_or_refused(text in ".{0,60}") {
        prop_assert!(ServiceRecord::read(&text).is_err());
        prop_assert!(ServiceRecord::key(&text).is_err());
    }
}
