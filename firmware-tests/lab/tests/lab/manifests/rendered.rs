//! What kustomize and Helm make of `manifests/` is what viplet prints for the same settings.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde::Deserialize as _;
use serde_json::Value;
use viplet_kubeapi::real::find_renderer;

use super::manifests;
use super::printed::{printed, read_back, settings};
use super::server::Cluster;

/// What the renderer prints; `Err` with its last words.
fn rendered(arguments: &[&str], values: &str) -> Result<String, String> {
    let mut renderer = Command::new(find_renderer().unwrap())
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    renderer.stdin.take().unwrap().write_all(values.as_bytes()).unwrap();
    let output = renderer.wait_with_output().unwrap();
    let (out, err) = (String::from_utf8(output.stdout), String::from_utf8(output.stderr));
    if output.status.success() { Ok(out.unwrap()) } else { Err(err.unwrap()) }
}

#[track_caller]
fn only<'a>(objects: &'a [Value], kind: &str) -> &'a Value {
    let mut found = objects.iter().filter(|object| object["kind"] == kind);
    let one = found.next().unwrap_or_else(|| panic!("no {kind}"));
    assert!(found.next().is_none(), "more than one {kind}");
    one
}

/// A printed or rendered object with its environment in the order of names: order has no meaning.
fn comparable(object: &Value) -> Value {
    let mut object = object.clone();
    let env = &mut object["spec"]["template"]["spec"]["containers"][0]["env"];
    env.as_array_mut().unwrap().sort_by_key(|variable| variable["name"].to_string());
    object
}

fn parse_all(text: &str) -> Vec<Value> {
    let documents = serde_yaml_ng::Deserializer::from_str(text);
    documents
        .map(|document| Value::deserialize(document).unwrap())
        .filter(|v| !v.is_null())
        .collect()
}

pub(super) fn kustomize(cluster: &Cluster) {
    for folder in ["base", "overlays/control-plane", "overlays/services"] {
        let path = manifests().join("kustomize").join(folder);
        let text = rendered(&["kustomize", path.to_str().unwrap()], "").unwrap();
        cluster.takes(&text, folder);
        let objects = parse_all(&text);
        let read = |file: &str| std::fs::read_to_string(path.join(file)).unwrap();
        let (workload, rights) = match folder {
            "base" => (read("daemonset.yaml"), read("rbac.yaml")),
            _ => (read("kustomization.yaml"), read("rights.yaml")),
        };
        let commands = |text: &str| {
            let lines = text.lines().filter_map(|line| line.strip_prefix("#     viplet "));
            lines.flat_map(|line| parse_all(&printed(&[], line))).collect::<Vec<_>>()
        };
        let (wanted, rights) = (commands(&workload), commands(&rights));
        let set = only(&objects, "DaemonSet");
        assert_eq!(comparable(set), comparable(only(&wanted, "DaemonSet")), "{folder}");
        for kind in ["ServiceAccount", "ClusterRole", "ClusterRoleBinding"] {
            assert_eq!(only(&objects, kind), only(&rights, kind), "{folder}");
        }
        read_back(set, folder);
    }
    cluster.forget();
}

/// The rules of all roles, in the order of their texts.
fn rules(objects: &[Value]) -> Vec<String> {
    let roles =
        objects.iter().filter(|o| o["kind"].as_str().is_some_and(|kind| kind.ends_with("Role")));
    let rules = roles.flat_map(|role| {
        let kind = role["kind"].as_str().unwrap();
        role["rules"].as_array().unwrap().iter().map(move |rule| format!("{kind} {rule}"))
    });
    let mut rules: Vec<String> = rules.collect();
    rules.sort();
    rules
}

pub(super) fn helm(cluster: &Cluster) {
    let chart = manifests().join("helm/viplet");
    let more = "{env: {svc_election: true, prometheus_server: '127.0.0.1:99', lb_class_name: ''}, \
                extraArgs: {log: -4}, extraLabels: {a: b}, podAnnotations: {c: d}, \
                envValueFrom: {vip_interface: {configMapKeyRef: {name: e, key: f, optional: true}}}, \
                envFrom: [{secretRef: {name: g, optional: true}}], imagePullSecrets: [{name: h}], \
                hostAliases: [{ip: 192.0.2.1, hostnames: [i]}], nodeSelector: {j: k}, \
                affinity: {nodeAffinity: {}}, volumes: [{name: l, emptyDir: {}}], \
                volumeMounts: [{name: l, mountPath: /l}], image: {repository: m/n, tag: o}, \
                nameOverride: p, serviceAccount: {annotations: {q: r}}}";
    let cases = [
        ("{}", "kube-system", "--arp --services"),
        (
            "{env: {cp_enable: 'true', vip_interface: eth0, vip_leaseduration: 20}, config: {address: 192.0.2.10}}",
            "kube-system",
            "--arp --controlplane --services --address 192.0.2.10 --interface eth0 --leaseDuration 20",
        ),
        (
            "{env: {cp_enable: true, svc_enable: false, vip_address: 192.0.2.10, vip_subnet: 24, enable_node_labeling: true}}",
            "kube-system",
            "--arp --controlplane --vip 192.0.2.10 --vipSubnet 24 --enableNodeLabeling",
        ),
        (
            "{env: {svc_namespace: tenant, enable_endpoints: true, enable_node_labeling: 't', disable_service_updates: true}}",
            "tenant",
            "--arp --services --enableEndpoints --enableNodeLabeling --disableServiceUpdates",
        ),
        (
            "{env: {prometheus_server: ''}}",
            "kube-system",
            "--arp --services --prometheusHTTPServer=",
        ),
        (
            "{env: {prometheus_server: ':99', health_check_port: 8080}}",
            "kube-system",
            "--arp --services --prometheusHTTPServer :99 --healthCheckPort 8080",
        ),
        (
            more,
            "kube-system",
            "--arp --services --servicesElection --prometheusHTTPServer 127.0.0.1:99 --lbClassName= --log -4",
        ),
    ];
    for (values, namespace, same) in cases {
        let text = rendered(&["helm", chart.to_str().unwrap(), "kube-vip", namespace], values);
        let text = text.unwrap_or_else(|error| panic!("{values}: {error}"));
        cluster.takes(&text, values);
        let objects = parse_all(&text);
        let mut environment = vec![("vip_nodename", "node-a")];
        if namespace == "tenant" {
            environment.extend([("svc_namespace", "tenant"), ("svc_enable", "true")]);
        }
        let words: Vec<&str> = same.split_whitespace().collect();
        let set = only(&objects, "DaemonSet");
        assert_eq!(read_back(set, values), settings(&environment, &words, same), "{values}");
        let rbac = printed(&environment[1..], &format!("manifest rbac {same}"));
        assert_eq!(rules(&objects), rules(&parse_all(&rbac)), "{values}");
        // Else the same pod, as far as values leave it alone.
        let theirs = &set["spec"]["template"]["spec"]["containers"][0];
        let kind = format!("manifest daemonset --inCluster {same}");
        let ours = parse_all(&printed(&environment[1..], &kind)).remove(0);
        let ours = &ours["spec"]["template"]["spec"]["containers"][0];
        for part in ["livenessProbe", "readinessProbe", "resources", "securityContext"] {
            assert_eq!(theirs[part], ours[part], "{part} with {values}");
        }
        cluster.delete(&objects);
    }
}

pub(super) fn helm_refuses(_: &Cluster) {
    let chart = manifests().join("helm/viplet");
    let chart = chart.to_str().unwrap();
    for (values, said) in [
        ("{env: {cp_enable: true}}", "config.address must be the control plane's address"),
        ("{env: {svc_namespace: tenant}}", "install the release into that namespace"),
    ] {
        let error = rendered(&["helm", chart, "kube-vip", "kube-system"], values).unwrap_err();
        assert!(error.contains(said), "{error}");
    }
}
