//! Every manifest that viplet prints, and every one in `manifests/`, is taken by the real
//! kube-apiserver with strict validation, says settings that viplet reads back, and grants the
//! rights that these need. What kustomize and Helm make of theirs, too.
//!
//! Without a kube-apiserver, or without the renderer (`scripts/kube-apiserver --render`), the tests
//! are SKIPPED, loudly; with `VIPLET_REQUIRE_REAL=1` they fail.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use libtest_mimic::{Arguments, Failed, Trial};
use serde::Deserialize as _;
use serde_json::{Value, json};
use viplet_kubeapi::client::{Answer, Payload};
use viplet_kubeapi::real::{Program, RealOptions, RealServer, find_renderer};
use viplet_lab::binaries::{build_viplet, viplet};
use viplet_lab::wait::wait_until;

type Case = fn(&Cluster);

const SOON: Duration = Duration::from_secs(10);

const CASES: [(&str, Case); 6] = [
    ("what viplet prints is taken with strict validation and reads back", what_is_printed),
    ("every file of manifests is taken with strict validation and reads back", every_file),
    ("a misspelt field is refused: the validation is strict", a_misspelt_field),
    ("applying the same again changes nothing", applying_again),
    ("the rights are enough in their namespace and none elsewhere", the_rights),
    ("a namespaced role is bound to its account", a_namespaced_role),
];
const RENDERED: [(&str, Case); 3] = [
    ("kustomize's base and overlays are what viplet prints for them", kustomize),
    ("Helm's chart says and grants what viplet prints for the same settings", helm),
    ("Helm's chart refuses values that cannot work", helm_refuses),
];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let required = std::env::var_os("VIPLET_REQUIRE_REAL").is_some_and(|value| value == "1");
    if !arguments.list {
        build_viplet();
    }
    let no_server = Program::find().err();
    let no_renderer = no_server.clone().or(find_renderer().err());
    let server = Arc::new(Mutex::new(None));
    let cases = CASES.iter().map(|case| (case, &no_server));
    let rendered = RENDERED.iter().map(|case| (case, &no_renderer));
    let trials = cases.chain(rendered).map(|((name, case), missing)| {
        let (case, server) = (*case, Arc::clone(&server));
        match missing {
            None => Trial::test(*name, move || {
                let mut server = server.lock().unwrap_or_else(|broken| broken.into_inner());
                case(server.get_or_insert_with(Cluster::start));
                Ok(())
            }),
            Some(why) if required => {
                let why = format!("VIPLET_REQUIRE_REAL=1, but {why}");
                Trial::test(*name, move || Err(Failed::from(why)))
            }
            Some(why) => {
                if !arguments.list {
                    println!("SKIPPED: {name}: {why}");
                }
                Trial::test(*name, || Ok(())).with_ignored_flag(true)
            }
        }
    });
    let conclusion = libtest_mimic::run(&arguments, trials.collect());
    drop(server.lock().unwrap_or_else(|broken| broken.into_inner()).take());
    conclusion.exit_code()
}

/// The real API server, with the namespaces that the manifests want.
struct Cluster(RealServer);

impl Cluster {
    fn start() -> Self {
        let options = RealOptions::at("127.0.0.1:0".parse().unwrap());
        let server = RealServer::start(&options).unwrap();
        let namespace = json!({"metadata": {"name": "tenant"}});
        assert_eq!(server.admin().create("/api/v1/namespaces", &namespace).unwrap().code, 201);
        Self(server)
    }

    /// As `kubectl apply --server-side --validate=strict`.
    fn apply(&self, document: &str) -> Answer {
        let object = parsed(document);
        let path = path(&object);
        let query = "fieldManager=test&force=true&fieldValidation=Strict";
        self.0.admin().call("PATCH", &format!("{path}?{query}"), Payload::Apply(document)).unwrap()
    }

    /// Applies each document; all are taken.
    #[track_caller]
    fn takes(&self, text: &str, what: &str) -> Vec<Value> {
        let documents = split(text);
        assert!(!documents.is_empty(), "{what} is empty");
        let mut taken = Vec::new();
        for document in documents {
            let answer = self.apply(&document);
            assert!(matches!(answer.code, 200 | 201), "{what}: {}\n{document}", answer.text);
            taken.push(answer.body);
        }
        // A pod cannot be changed: the next one of the name shall be new.
        for pod in taken.iter().filter(|object| object["kind"] == "Pod") {
            let path = format!("{}?gracePeriodSeconds=0", path(pod));
            self.0.admin().call("DELETE", &path, Payload::None).unwrap();
        }
        taken
    }

    /// Whether the account `kube-vip` of a namespace may do this, there or elsewhere.
    fn allows(&self, account: &str, verb: &str, resource: &str, namespace: &str) -> bool {
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        let group = match resource {
            "leases" => "coordination.k8s.io",
            "endpointslices" => "discovery.k8s.io",
            _ => "",
        };
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
            "spec": {
                "user": format!("system:serviceaccount:{account}:kube-vip"),
                "groups": ["system:serviceaccounts", format!("system:serviceaccounts:{account}"), "system:authenticated"],
                "resourceAttributes": {
                    "verb": verb, "group": group, "resource": resource,
                    "subresource": subresource, "namespace": namespace,
                },
            },
        });
        let path = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
        let answer = self.0.admin().create(path, &review).unwrap();
        assert_eq!(answer.code, 201, "{}", answer.text);
        answer.body["status"]["allowed"] == true
    }

    /// The authoriser hears of new rights by a watch of its own.
    #[track_caller]
    fn comes_to_allow(&self, account: &str, right: &str, namespace: &str) {
        let (resource, verb) = right.split_once(' ').unwrap();
        let what = format!("{account} may {verb} {resource} in {namespace:?}");
        wait_until(&what, SOON, || self.allows(account, verb, resource, namespace));
    }

    /// Removes all that the account was granted.
    fn forget(&self) {
        let rbac = "/apis/rbac.authorization.k8s.io/v1";
        let nodes = "system:kube-vip-nodes:tenant";
        let paths = [
            format!("{rbac}/clusterrolebindings/system:kube-vip-binding"),
            format!("{rbac}/clusterrolebindings/{nodes}"),
            format!("{rbac}/namespaces/tenant/rolebindings/kube-vip"),
        ];
        for path in paths {
            self.0.admin().call("DELETE", &path, Payload::None).unwrap();
        }
    }
}

fn parsed(document: &str) -> Value {
    serde_yaml_ng::from_str(document).unwrap_or_else(|error| panic!("{error}: {document}"))
}

/// The documents of a text, as they are; comments alone are none.
fn split(text: &str) -> Vec<String> {
    let mut documents = vec![String::new()];
    for line in text.lines() {
        if line == "---" {
            documents.push(String::new());
        } else if let Some(last) = documents.last_mut() {
            last.push_str(line);
            last.push('\n');
        }
    }
    documents.retain(|document| !parsed(document).is_null());
    documents
}

/// Where an object lives.
fn path(object: &Value) -> String {
    let (name, namespace) = (&object["metadata"]["name"], &object["metadata"]["namespace"]);
    let (name, namespace) = (name.as_str().unwrap(), namespace.as_str().unwrap_or_default());
    let rbac = "/apis/rbac.authorization.k8s.io/v1";
    match object["kind"].as_str().unwrap() {
        "Pod" => format!("/api/v1/namespaces/{namespace}/pods/{name}"),
        "ServiceAccount" => format!("/api/v1/namespaces/{namespace}/serviceaccounts/{name}"),
        "DaemonSet" => format!("/apis/apps/v1/namespaces/{namespace}/daemonsets/{name}"),
        "ClusterRole" => format!("{rbac}/clusterroles/{name}"),
        "ClusterRoleBinding" => format!("{rbac}/clusterrolebindings/{name}"),
        "Role" => format!("{rbac}/namespaces/{namespace}/roles/{name}"),
        "RoleBinding" => format!("{rbac}/namespaces/{namespace}/rolebindings/{name}"),
        other => panic!("a {other}: say where it lives"),
    }
}

/// What viplet prints for these arguments.
#[track_caller]
fn printed(environment: &[(&str, &str)], arguments: &str) -> String {
    let output = Command::new(viplet())
        .args(arguments.split_whitespace())
        .env_clear()
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8(output.stdout), String::from_utf8(output.stderr));
    assert!(output.status.success(), "{arguments}: {}", err.unwrap());
    out.unwrap()
}

/// What `viplet config` says of the settings that a workload's container is told: names and values.
#[track_caller]
fn read_back(workload: &Value, what: &str) -> BTreeMap<String, String> {
    let spec = match workload["kind"] == "Pod" {
        true => &workload["spec"],
        false => &workload["spec"]["template"]["spec"],
    };
    let container = &spec["containers"][0];
    let arguments: Vec<&str> =
        container["args"].as_array().unwrap().iter().map(|a| a.as_str().unwrap()).collect();
    assert_eq!(arguments[0], "manager");
    let variables = container["env"].as_array().unwrap().iter().map(|variable| {
        // The API server leaves an empty value out.
        let from_node = variable["valueFrom"]["fieldRef"]["fieldPath"] == "spec.nodeName";
        let value = if from_node { "node-a" } else { variable["value"].as_str().unwrap_or("") };
        (variable["name"].as_str().unwrap(), value)
    });
    settings(&variables.collect::<Vec<_>>(), &arguments[1..], what)
}

#[track_caller]
fn settings(
    environment: &[(&str, &str)],
    arguments: &[&str],
    what: &str,
) -> BTreeMap<String, String> {
    let output = Command::new(viplet())
        .arg("config")
        .args(arguments)
        .env_clear()
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{what}: {said}");
    assert!(!text.contains("warning:"), "{what}: {text}");
    let lines = text.lines().filter_map(|line| line.split_once('='));
    let value = |text: &str| text.rsplit_once("   (").unwrap().0.trim().to_owned();
    lines.map(|(name, rest)| (name.trim().to_owned(), value(rest))).collect()
}

const PLANE: &str = "--arp --controlplane --leaderElection --address 192.0.2.10 --interface eth0";

fn what_is_printed(cluster: &Cluster) {
    let cases = [
        PLANE.to_owned(),
        "--arp --services".to_owned(),
        format!("{PLANE} --services --servicesElection --enableNodeLabeling --vipSubnet 24"),
        format!("{PLANE} --leaseDuration 5 --leaseRenewDuration 3 --leaseRetry 1 --log -4"),
        "--arp --services --prometheusHTTPServer= --healthCheckPort 8080".to_owned(),
        "--arp --services --prometheusHTTPServer= --lbClassName=".to_owned(),
        "--arp --services --prometheusHTTPServer [::1]:99 --enableEndpoints".to_owned(),
        "--arp --controlplane --vip 192.0.2.1,2001:db8::1,vip.example --vipSubnet 32,128"
            .to_owned(),
    ];
    for settings_given in cases {
        let words: Vec<&str> = settings_given.split_whitespace().collect();
        let direct = settings(&[("vip_nodename", "node-a")], &words, &settings_given);
        for kind in ["pod", "pod --inCluster", "daemonset", "daemonset --inCluster --taint"] {
            let arguments = format!("manifest {kind} {settings_given}");
            let taken = cluster.takes(&printed(&[], &arguments), &arguments);
            assert_eq!(read_back(&taken[0], &arguments), direct, "{arguments}");
        }
    }
    let annotated = [
        ("vip_arp", "true"),
        ("cp_enable", "true"),
        ("address", "192.0.2.1"),
        ("vip_leaseannotations", r#"{"a": "b: 'c' \"d\" #e"}"#),
        ("svc_enable", "true"),
        ("svc_namespace", "tenant"),
    ];
    for arguments in [
        "manifest daemonset --inCluster",
        "manifest pod",
        "manifest rbac",
        "manifest rbac --role",
        "manifest rbac --rolebinding",
    ] {
        // What a binding binds to cannot be changed.
        cluster.forget();
        cluster.takes(&printed(&annotated, arguments), arguments);
    }
    let kubeadm = format!("kubeadm init {PLANE}");
    cluster.takes(&printed(&[], &kubeadm), &kubeadm);
    for settings in
        ["", "--services", "--controlplane --address 192.0.2.1", "--role --namespace tenant"]
    {
        cluster.forget();
        let arguments = format!("manifest rbac {settings}");
        cluster.takes(&printed(&[], &arguments), &arguments);
    }
    cluster.forget();
}

fn manifests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../manifests").canonicalize().unwrap()
}

fn every_file(cluster: &Cluster) {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "yaml") {
                found.push(path);
            }
        }
    }
    let mut files = Vec::new();
    walk(&manifests(), &mut files);
    // These are for programs, not for the API server.
    files.retain(|path| {
        !path.ends_with("kustomization.yaml") && !path.starts_with(manifests().join("helm"))
    });
    assert!(files.len() >= 9, "{files:?}");
    for file in files {
        let what = file.display().to_string();
        for object in cluster.takes(&std::fs::read_to_string(&file).unwrap(), &what) {
            if matches!(object["kind"].as_str(), Some("Pod" | "DaemonSet")) {
                let settings = read_back(&object, &what);
                assert_eq!(settings["address"], "192.0.2.10", "{what}");
            }
        }
    }
    cluster.forget();
}

fn a_misspelt_field(cluster: &Cluster) {
    let pod = printed(&[], &format!("manifest pod {PLANE}"));
    let broken = pod.replace("hostNetwork:", "hostNetwrok:");
    let answer = cluster.apply(&broken);
    assert!(matches!(answer.code, 400 | 500), "{}", answer.text);
    assert!(answer.text.contains("hostNetwrok"), "{}", answer.text);
}

fn applying_again(cluster: &Cluster) {
    let file = std::fs::read_to_string(manifests().join("k3s/kube-vip.yaml")).unwrap();
    let versions = |objects: Vec<Value>| {
        objects
            .iter()
            .map(|object| object["metadata"]["resourceVersion"].clone())
            .collect::<Vec<_>>()
    };
    let first = versions(cluster.takes(&file, "K3s' file"));
    assert_eq!(versions(cluster.takes(&file, "K3s' file")), first);
    cluster.forget();
}

fn the_rights(cluster: &Cluster) {
    cluster.forget();
    cluster.takes(&printed(&[], "manifest rbac --services --enableNodeLabeling"), "rbac");
    let needed = [
        "leases create",
        "leases update",
        "leases get",
        "leases watch",
        "services list",
        "services watch",
        "services/status update",
        "endpointslices watch",
        "events create",
        "nodes watch",
        "nodes patch",
    ];
    for right in needed {
        let namespace = if right.starts_with("nodes") { "" } else { "tenant" };
        cluster.comes_to_allow("kube-system", right, namespace);
    }
    for (verb, resource) in [
        ("get", "secrets"),
        ("list", "pods"),
        ("delete", "leases"),
        ("update", "services"),
        ("watch", "endpoints"),
    ] {
        assert!(!cluster.allows("kube-system", verb, resource, "tenant"), "{verb} {resource}");
    }
    cluster.takes(&printed(&[], "manifest rbac --controlplane --address 192.0.2.1"), "rbac");
    wait_until("the control plane's address needs no Services", SOON, || {
        !cluster.allows("kube-system", "watch", "services", "tenant")
    });
    cluster.comes_to_allow("kube-system", "leases update", "kube-system");
    cluster.forget();
}

/// The API server refuses the RoleBinding of kube-vip's generator: its subject has no namespace.
fn a_namespaced_role(cluster: &Cluster) {
    cluster.forget();
    let tenant = [("svc_enable", "true"), ("svc_namespace", "tenant")];
    cluster.takes(&printed(&tenant, "manifest rbac --role"), "rbac --role");
    for right in [
        "leases update",
        "services watch",
        "services/status update",
        "endpointslices list",
        "events create",
    ] {
        cluster.comes_to_allow("tenant", right, "tenant");
    }
    assert!(!cluster.allows("tenant", "watch", "services", "kube-system"));
    assert!(!cluster.allows("tenant", "watch", "nodes", ""));
    cluster.takes(&printed(&tenant, "manifest rbac"), "rbac");
    cluster.comes_to_allow("tenant", "nodes watch", "");
    assert!(!cluster.allows("tenant", "patch", "nodes", ""));
    cluster.forget();
}

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

fn kustomize(cluster: &Cluster) {
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

fn helm(cluster: &Cluster) {
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
            environment.extend([("svc_namespace", "tenant")]);
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
        for object in objects {
            cluster.0.admin().call("DELETE", &path(&object), Payload::None).unwrap();
        }
    }
}

fn helm_refuses(_: &Cluster) {
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
