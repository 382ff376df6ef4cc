//! What a build prints that has more features than this one.

use std::collections::BTreeMap;

use serde::Deserialize as _;
use serde_yaml_ng::Value;

use super::*;
use crate::config::{Inputs, split_arguments};

const FEATURES: &[&str] = &["arp", "bgp", "etcd", "ipvs", "wireguard"];

fn given(arguments: &str) -> Draft {
    let arguments: Vec<String> = arguments.split_whitespace().map(str::to_owned).collect();
    let (flags, rest) = split_arguments(&arguments);
    assert_eq!(rest, Vec::<String>::new());
    let inputs = Inputs {
        environment: BTreeMap::new(),
        flags,
        hostname: "host-1".to_owned(),
        service_account_namespace: None,
        read_file: &|_| Err("no file".to_owned()),
    };
    draft(&inputs, FEATURES, Purpose::Run)
        .unwrap_or_else(|problems| panic!("{}", refused(&problems)))
}

fn container(arguments: &str) -> (Value, Vec<String>) {
    let printed = static_pod(&given(arguments), Access::Account, None).expect("a pod");
    let pod: Value = serde_yaml_ng::from_str(&printed.manifest).expect("YAML");
    (pod["spec"]["containers"][0].clone(), printed.remarks)
}

fn granted(arguments: &str) -> Vec<Value> {
    let draft = given(arguments);
    let rights = Rights { draft: &draft, namespace: "a".to_owned(), reach: Reach::Cluster };
    let text = rights::documents(&rights);
    let documents = serde_yaml_ng::Deserializer::from_str(&text);
    documents.map(|document| Value::deserialize(document).expect("YAML")).collect()
}

#[test]
fn only_a_masquerading_load_balancer_is_privileged() {
    let balanced = "--arp --controlplane --address 192.0.2.1 --enableLoadBalancer";
    let (privileged, _) = container(&format!("{balanced} --lbForwardingMethod masquerade"));
    assert_eq!(privileged["securityContext"]["privileged"], true);
    // The API server refuses both together.
    assert_eq!(privileged["securityContext"]["allowPrivilegeEscalation"], Value::Null);
    for method in ["--lbForwardingMethod local", ""] {
        let (container, _) = container(&format!("{balanced} {method}"));
        assert_eq!(container["securityContext"]["privileged"], Value::Null);
        assert_eq!(container["securityContext"]["capabilities"]["drop"][0], "ALL");
    }
}

/// kube-vip's generator lacks the right to its own Secret.
#[test]
fn wireguard_may_read_its_secret_and_no_other() {
    let documents = granted("--wireguard --services");
    let role = documents
        .iter()
        .find(|document| document["metadata"]["name"] == "kube-vip-wireguard")
        .expect("a role of its own");
    assert_eq!((&role["kind"], &role["metadata"]["namespace"]), (&"Role".into(), &"a".into()));
    let rule = &role["rules"][0];
    assert_eq!(rule["resources"][0], "secrets");
    assert_eq!(rule["resourceNames"][0], "wireguard");
    assert_eq!(rule["verbs"].as_sequence().map(Vec::len), Some(1));
    let others = granted("--arp --services");
    assert!(others.iter().all(|document| document["metadata"]["name"] != "kube-vip-wireguard"));
}

#[test]
fn settings_that_have_no_variable_become_arguments() {
    let etcd = "--leaderElectionType etcd --etcdCACert /a,b --etcdEndpoints a:1,b:2";
    let (container, _) = container(&format!("--arp --services {etcd}"));
    let arguments: Vec<&str> =
        container["args"].as_sequence().expect("a list").iter().filter_map(Value::as_str).collect();
    let wanted =
        ["manager", "--leaderElectionType=etcd", "--etcdCACert=/a,b", "--etcdEndpoints=a:1,b:2"];
    assert_eq!(arguments, wanted);
}

#[test]
fn a_password_in_a_manifest_is_pointed_out_without_being_repeated() {
    let bgp = "--bgp --services --bgppeers 192.0.2.7:65001:hush";
    let (container, remarks) = container(bgp);
    let remarks = remarks.join("\n");
    assert!(remarks.contains("bgp_peers") && remarks.contains("valueFrom"), "{remarks}");
    assert!(!remarks.contains("hush"), "{remarks}");
    let variables = container["env"].as_sequence().expect("a list");
    assert!(variables.iter().any(|v| v["value"] == "192.0.2.7:65001:hush"));
}
