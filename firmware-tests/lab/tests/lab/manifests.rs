//! Every manifest that viplet prints, and every one in `manifests/`, is taken by the real
//! kube-apiserver with strict validation, says settings that viplet reads back, and grants the
//! rights that these need. What kustomize and Helm make of theirs, too.
//!
//! Without a kube-apiserver, or without the renderer (`scripts/kube-apiserver --render`), the tests
//! are SKIPPED, loudly; with `VIPLET_REQUIRE_REAL=1` they fail.

mod printed;
mod rendered;
mod server;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;
use viplet_kubeapi::real::{Program, find_renderer};
use viplet_lab::timed;
use viplet_lab::wait::wait_until;

use printed::{printed, read_back, settings};
use server::Cluster;

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
    ("kustomize's base and overlays are what viplet prints for them", rendered::kustomize),
    ("Helm's chart says and grants what viplet prints for the same settings", rendered::helm),
    ("Helm's chart refuses values that cannot work", rendered::helm_refuses),
];

/// The one API server of these tests, started by the first that needs it.
static SERVER: Mutex<Option<Cluster>> = Mutex::new(None);

/// Ends the API server.
pub(crate) fn close() {
    SERVER.lock().unwrap_or_else(PoisonError::into_inner).take();
}

pub(crate) fn trials(arguments: &Arguments) -> Vec<Trial> {
    let required = std::env::var_os("VIPLET_REQUIRE_REAL").is_some_and(|value| value == "1");
    let no_server = Program::find().err();
    let no_renderer = no_server.clone().or(find_renderer().err());
    let cases = CASES.iter().map(|case| (case, &no_server));
    let rendered = RENDERED.iter().map(|case| (case, &no_renderer));
    let trial = |((name, case), missing): (&(&'static str, Case), &Option<String>)| {
        let (name, case) = (*name, *case);
        match missing {
            None => Trial::test(name, move || {
                let mut server = SERVER.lock().unwrap_or_else(PoisonError::into_inner);
                timed(name, || case(server.get_or_insert_with(Cluster::start)));
                Ok(())
            }),
            Some(why) if required => {
                let why = format!("VIPLET_REQUIRE_REAL=1, but {why}");
                Trial::test(name, move || Err(Failed::from(why)))
            }
            Some(why) => {
                if !arguments.list {
                    println!("SKIPPED: {name}: {why}");
                }
                Trial::test(name, || Ok(())).with_ignored_flag(true)
            }
        }
    };
    cases.chain(rendered).map(trial).collect()
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
