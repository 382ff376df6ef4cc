//! What the documentation tells people to use works: the manifests' settings, the README's commands.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize as _;
use serde_yaml_ng::Value;
use viplet::config::{Inputs, Loaded, load, split_arguments};
use viplet::core::settings::{ControlPlane, LinkChoice, Target};

fn read(path: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn loaded(environment: BTreeMap<String, String>, arguments: &[String]) -> Loaded {
    let (flags, rest) = split_arguments(arguments);
    assert_eq!(rest, ["manager"]);
    let inputs = Inputs {
        environment,
        flags,
        hostname: "node-a".into(),
        service_account_namespace: None,
        read_file: &|_: &Path| Err("no file".into()),
    };
    load(&inputs, viplet::registry::FEATURES).unwrap_or_else(|problems| {
        panic!("{}", problems.iter().map(|problem| format!("{problem}\n")).collect::<String>())
    })
}

fn control_plane(loaded: Loaded) -> ControlPlane {
    assert_eq!(loaded.warnings, Vec::<String>::new());
    loaded.settings.core.control_plane.expect("a control plane")
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// The first container of a pod's spec: its arguments and its environment.
fn told(container: &Value) -> (Vec<String>, BTreeMap<String, String>) {
    let arguments = serde_yaml_ng::from_value(container["args"].clone()).unwrap();
    let environment = container["env"].as_sequence().unwrap().iter().map(|variable| {
        let name = variable["name"].as_str().unwrap().to_owned();
        (name, variable["value"].as_str().unwrap_or("node-a").to_owned())
    });
    (arguments, environment.collect())
}

/// The documents of a file of manifests.
fn documents(path: &str) -> Vec<Value> {
    let text = read(path);
    serde_yaml_ng::Deserializer::from_str(&text)
        .map(|document| Value::deserialize(document).unwrap())
        .collect()
}

#[test]
fn the_kubeadm_manifest_is_a_pod_that_viplet_accepts_without_a_warning() {
    let pod: Value = serde_yaml_ng::from_str(&read("manifests/kubeadm/kube-vip.yaml")).unwrap();
    assert_eq!(pod["kind"], "Pod");
    assert_eq!(pod["spec"]["hostNetwork"], true);
    let (arguments, environment) = told(&pod["spec"]["containers"][0]);
    let plane = control_plane(loaded(environment, &arguments));
    assert_eq!(plane.targets, [Target::Address("192.0.2.10".parse().unwrap())]);
    assert_eq!(plane.lease.to_string(), "kube-system/plndr-cp-lock");
}

#[test]
fn the_daemonset_is_what_kube_vip_prints_and_viplet_accepts_it_without_a_warning() {
    let [set]: [Value; 1] = documents("manifests/daemonset.yaml").try_into().unwrap();
    assert_eq!(
        (&set["kind"], &set["metadata"]["name"]),
        (&"DaemonSet".into(), &"kube-vip-ds".into())
    );
    let template = &set["spec"]["template"];
    let label = "app.kubernetes.io/name";
    let selector = set["spec"]["selector"]["matchLabels"].as_mapping().unwrap();
    assert_eq!(selector.len(), 1, "a selector cannot be changed, and a version would have to");
    for labels in [&set["metadata"]["labels"], &template["metadata"]["labels"]] {
        assert_eq!(labels[label], selector[label]);
        assert_eq!(labels["app.kubernetes.io/version"], env!("CARGO_PKG_VERSION"));
    }
    let pod = &template["spec"];
    assert_eq!(pod["hostNetwork"], true);
    let (arguments, environment) = told(&pod["containers"][0]);
    let loaded = loaded(environment, &arguments);
    let services = loaded.settings.core.services.as_ref().expect("Services");
    assert_eq!(services.lease.to_string(), "kube-system/plndr-svcs-lock");
    control_plane(loaded);
}

#[test]
fn the_daemonsets_account_is_the_one_that_has_the_rights() {
    let [set]: [Value; 1] = documents("manifests/daemonset.yaml").try_into().unwrap();
    let [account, role, binding]: [Value; 3] = documents("manifests/rbac.yaml").try_into().unwrap();
    let name = &set["spec"]["template"]["spec"]["serviceAccountName"];
    assert_eq!(name, &account["metadata"]["name"]);
    assert_eq!(set["metadata"]["namespace"], account["metadata"]["namespace"]);
    let subject = &binding["subjects"][0];
    assert_eq!((&subject["name"], &subject["kind"]), (name, &account["kind"]));
    assert_eq!(subject["namespace"], account["metadata"]["namespace"]);
    assert_eq!(binding["roleRef"]["name"], role["metadata"]["name"]);
    assert_eq!(role["metadata"]["name"], "system:kube-vip-role");
    // Nobody who takes a node over shall find more than this.
    for rule in role["rules"].as_sequence().unwrap() {
        for verb in rule["verbs"].as_sequence().unwrap() {
            assert!(
                ["get", "list", "watch", "create", "update", "patch"]
                    .contains(&verb.as_str().unwrap())
            );
        }
        for resource in rule["resources"].as_sequence().unwrap() {
            assert!(!["*", "secrets", "pods", "configmaps"].contains(&resource.as_str().unwrap()));
        }
    }
}

#[test]
fn the_probes_of_the_manifests_ask_where_viplet_listens() {
    let pods =
        documents("manifests/kubeadm/kube-vip.yaml").into_iter().map(|pod| pod["spec"].clone());
    let sets = documents("manifests/daemonset.yaml").into_iter();
    let sets = sets.map(|set| set["spec"]["template"]["spec"].clone());
    for pod in pods.chain(sets) {
        let container = &pod["containers"][0];
        for (probe, path) in [("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")] {
            let get = &container[probe]["httpGet"];
            assert_eq!((get["path"].as_str(), get["port"].as_u64()), (Some(path), Some(2112)));
        }
    }
}

/// Files that say in their own comments which commands print them.
fn printed_files() -> Vec<PathBuf> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_owned();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|e| e == "yaml") && name != "kustomization.yaml"
            {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("manifests"), &mut found);
    found.retain(|path| fs::read_to_string(path).unwrap().contains("\n#     viplet "));
    found
}

#[test]
fn the_manifests_are_what_the_commands_in_them_print() {
    let files = printed_files();
    assert!(files.len() >= 9, "{files:?}");
    for path in files {
        let text = fs::read_to_string(&path).unwrap();
        let is_comment = |line: &&str| line.starts_with('#');
        let header: String =
            text.lines().take_while(is_comment).map(|line| format!("{line}\n")).collect();
        let mut wanted = header.clone();
        for command in header.lines().filter_map(|line| line.strip_prefix("#     viplet ")) {
            let program = env!("CARGO_BIN_EXE_viplet");
            let output = Command::new(program).args(words(command)).env_clear().output().unwrap();
            assert!(output.status.success(), "{command}");
            let printed = String::from_utf8(output.stdout).unwrap();
            if wanted != header && !printed.starts_with("---") {
                wanted.push_str("---\n");
            }
            wanted.push_str(&printed);
        }
        assert!(text == wanted, "{} is out of date: run scripts/manifests", path.display());
    }
}

#[test]
fn the_commands_for_manifests_in_the_docs_work() {
    let mut tried = 0;
    for page in ["README.md", "manifests/README.md"] {
        let text = read(page);
        for line in text.lines().filter_map(|line| line.strip_prefix("    viplet ")) {
            let command = line.split('|').next().unwrap();
            if command.starts_with("manifest ") || command.starts_with("kubeadm init") {
                let program = Command::new(env!("CARGO_BIN_EXE_viplet"))
                    .args(words(command))
                    .env_clear()
                    .output()
                    .unwrap();
                assert!(program.status.success(), "{page}: {command}");
                tried += 1;
            }
        }
    }
    assert!(tried >= 7, "{tried}");
}

#[test]
fn the_k3s_file_is_all_that_k3s_needs() {
    let documents = documents("manifests/k3s/kube-vip.yaml");
    let kinds: Vec<_> = documents.iter().map(|d| d["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["ServiceAccount", "ClusterRole", "ClusterRoleBinding", "DaemonSet"]);
    let pod = &documents[3]["spec"]["template"]["spec"];
    assert_eq!(pod["serviceAccountName"], documents[0]["metadata"]["name"]);
    let (arguments, environment) = told(&pod["containers"][0]);
    let loaded = loaded(environment, &arguments);
    assert!(loaded.settings.core.services.is_some());
    let plane = control_plane(loaded);
    // Nothing but the address has to be known of the machines.
    assert_eq!(plane.link, LinkChoice::DefaultRoute);
    assert_eq!(plane.targets, [Target::Address("192.0.2.10".parse().unwrap())]);
    let text = read("manifests/k3s/kube-vip.yaml");
    assert_eq!(text.matches("value: 192.0.2.10").count(), 1);
    for said in ["--tls-san 192.0.2.10", "--disable servicelb"] {
        assert!(text.contains(said) && read("manifests/README.md").contains(said), "{said}");
    }
}

#[test]
fn the_readmes_shortest_commands_are_the_same_and_work() {
    let readme = read("README.md");
    let line = |part: &str| {
        words(readme.lines().find(|line| line.starts_with("    ") && line.contains(part)).unwrap())
    };
    let with_flags = line("viplet manager --arp");
    let by_flags = control_plane(loaded(BTreeMap::new(), &with_flags[1..]));
    let with_environment = line("vip_arp=true");
    let program = with_environment.iter().position(|word| word == "viplet").unwrap();
    let environment = with_environment[..program]
        .iter()
        .map(|pair| pair.split_once('=').unwrap())
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let by_environment =
        control_plane(loaded(environment.collect(), &with_environment[program + 1..]));
    assert_eq!(by_flags, by_environment);
    assert!(matches!(by_flags.link, LinkChoice::Named(name) if name.as_str() == "eth0"));
}

#[test]
fn the_readmes_command_for_services_works() {
    let readme = read("README.md");
    let line = readme.lines().find(|line| line.contains(" svc_enable=true ")).unwrap();
    let pairs = words(line).into_iter().filter_map(|word| {
        word.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()))
    });
    let loaded = loaded(pairs.collect(), &words("manager"));
    assert_eq!(loaded.warnings, Vec::<String>::new());
    assert!(loaded.settings.core.services.is_some());
}

#[test]
#[cfg(feature = "bgp")]
fn the_readmes_command_and_peers_for_bgp_work() {
    let readme = read("README.md");
    let (_, rest) = readme.split_once("\n## BGP\n").unwrap();
    let (chapter, _) = rest.split_once("\n## ").unwrap();
    let (command, _) = chapter.split_once("viplet manager").unwrap();
    let pairs: Vec<_> = words(&command.replace('\\', ""))
        .into_iter()
        .filter_map(|word| word.split_once('=').map(|(n, v)| (n.to_owned(), v.to_owned())))
        .collect();
    let peers = chapter.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
    let peers: Vec<_> = peers.map(|(peer, _)| peer).filter(|peer| peer.contains(':')).collect();
    assert_eq!(peers.len(), 5, "{peers:?}");
    for peer in [None].into_iter().chain(peers.into_iter().map(Some)) {
        let mut given: BTreeMap<String, String> = pairs.iter().cloned().collect();
        given.extend(peer.map(|peer| ("bgp_peers".to_owned(), peer.to_owned())));
        let loaded = loaded(given, &words("manager"));
        assert_eq!(loaded.warnings, Vec::<String>::new(), "{peer:?}");
    }
}

#[test]
fn every_file_that_the_docs_link_to_is_there() {
    for page in ["README.md", "CONTRIBUTING.md", "manifests/README.md"] {
        let folder = Path::new(page).parent().unwrap();
        let text = read(page);
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for link in links.filter(|link| !link.starts_with("http")) {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(link);
            assert!(path.exists(), "{page} links to {link}");
        }
    }
}

/// kube-vip's documentation has fields that Kubernetes does not have, a Service with
/// two addresses that contradict each other, and a link to a page that is gone.
#[test]
fn the_docs_name_fields_that_kubernetes_has_and_give_a_service_one_address() {
    let pages =
        ["README.md", "manifests/README.md", "CONTRIBUTING.md"].map(|page| (page, read(page)));
    for (page, text) in &pages {
        for wrong in
            ["externalClusterPolicy", "spec.loadBalancer.IP", "loadBlancer", "/install_static"]
        {
            assert!(!text.contains(wrong), "{page}: {wrong}");
        }
    }
    let readme = read("README.md");
    for right in ["externalTrafficPolicy", "spec.loadBalancerIP", "status.loadBalancer.ingress"] {
        assert!(readme.contains(right), "{right}");
    }
    let said = "Without the annotation `spec.loadBalancerIP` counts";
    assert!(readme.contains(said), "which of two addresses counts");
}

/// the documentation says nodeSelector, which cannot say «this label or that one».
#[test]
fn every_daemonset_for_control_plane_nodes_has_an_affinity_and_no_selector() {
    for path in ["manifests/daemonset.yaml", "manifests/k3s/kube-vip.yaml"] {
        let set = documents(path).into_iter().find(|object| object["kind"] == "DaemonSet");
        let pod = set.expect("a DaemonSet")["spec"]["template"]["spec"].clone();
        assert_eq!(pod["nodeSelector"], Value::Null, "{path}");
        let required =
            &pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
        let terms = required["nodeSelectorTerms"].as_sequence().expect("terms");
        assert_eq!(terms.len(), 2, "{path}");
    }
}
