//! `viplet manifest` and `viplet kubeadm` as a person meets them: the program itself, what it
//! prints, how it ends.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde::Deserialize as _;
use serde_yaml_ng::Value;
use viplet::config::{Inputs, Loaded, load, split_arguments};

/// How the program ended.
struct Ended {
    code: i32,
    out: String,
    err: String,
}

fn viplet_with(environment: &[(&str, &str)], arguments: &[&str]) -> Ended {
    let output = Command::new(env!("CARGO_BIN_EXE_viplet"))
        .args(arguments)
        .env_clear()
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ended {
        code: output.status.code().expect("it did not crash"),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

fn viplet(arguments: &str) -> Ended {
    viplet_with(&[], &arguments.split_whitespace().collect::<Vec<_>>())
}

/// The documents that it prints.
#[track_caller]
fn printed(arguments: &str) -> Vec<Value> {
    let ended = viplet(arguments);
    assert_eq!(ended.code, 0, "{}", ended.err);
    documents(&ended.out)
}

fn documents(text: &str) -> Vec<Value> {
    let documents = serde_yaml_ng::Deserializer::from_str(text);
    documents.map(|document| Value::deserialize(document).expect("YAML")).collect()
}

#[track_caller]
fn only(documents: Vec<Value>) -> Value {
    let [one]: [Value; 1] = documents.try_into().expect("one document");
    one
}

/// It prints nothing, says these things and ends with 1.
#[track_caller]
fn refused(ended: &Ended, said: &[&str]) {
    assert_eq!((ended.code, ended.out.as_str()), (1, ""), "{}", ended.err);
    for part in said {
        assert!(ended.err.contains(part), "{part:?} is not in: {}", ended.err);
    }
}

/// What the first container of a pod is told.
fn told(pod: &Value) -> (BTreeMap<String, String>, Vec<String>) {
    let container = &pod["containers"][0];
    let arguments = serde_yaml_ng::from_value(container["args"].clone()).unwrap();
    let variables = container["env"].as_sequence().unwrap().iter().map(|variable| {
        let name = variable["name"].as_str().unwrap().to_owned();
        (name, variable["value"].as_str().unwrap_or("node-a").to_owned())
    });
    (variables.collect(), arguments)
}

fn loaded(environment: BTreeMap<String, String>, arguments: &[String]) -> Loaded {
    let (flags, _) = split_arguments(arguments);
    let inputs = Inputs {
        environment,
        flags,
        hostname: "node-a".into(),
        service_account_namespace: None,
        read_file: &|_: &Path| Err("no file".into()),
    };
    load(&inputs, &["arp"]).unwrap_or_else(|problems| panic!("{problems:?}"))
}

const PLANE: &str = "--arp --controlplane --leaderElection --address 192.0.2.10 --interface eth0";

#[test]
fn manifest_and_kubeadm_alone_print_their_help_and_end_well() {
    for (command, known) in
        [("manifest", ["pod", "daemonset", "rbac"].as_slice()), ("kubeadm", &["init", "join"])]
    {
        for arguments in [command.to_owned(), format!("{command} --help"), format!("{command} -h")]
        {
            let ended = viplet(&arguments);
            assert_eq!((ended.code, ended.err.as_str()), (0, ""), "{arguments}");
            assert!(ended.out.starts_with(&format!("Usage: viplet {command}")), "{}", ended.out);
            for name in known {
                assert!(
                    ended.out.contains(&format!("  {name}  ")),
                    "{name} is not in {}",
                    ended.out
                );
            }
        }
    }
}

#[test]
fn an_unknown_word_is_answered_with_what_exists() {
    refused(
        &viplet("manifest pods"),
        &["pods is not a command of viplet manifest", "pod, daemonset, rbac", "Did you mean pod?"],
    );
    refused(&viplet("kubeadm inti"), &["there are: init, join", "Did you mean init?"]);
    refused(&viplet("mangaer"), &["there are: manager, config, status", "Did you mean manager?"]);
    refused(&viplet("manifest pod extra"), &["extra is one word too many", "manifest --help"]);
    refused(
        &viplet("manifest pod --inClustr"),
        &["Did you mean --inCluster?", "manifest pod --help"],
    );
    refused(
        &viplet("manager --adress 192.0.2.1"),
        &["--adress is not an option", "Did you mean --address?"],
    );
    refused(&viplet("manifest pod --image"), &["No value provided for option '--image'"]);
}

/// `kube-vip service` without a mode ends in a nil pointer.
#[test]
fn the_service_command_of_kube_vip_is_refused_with_what_exists() {
    refused(&viplet("service"), &["service is not a command of viplet", "manager"]);
    // It was kube-vip's manager until 0.3.
    refused(&viplet("start"), &["start is not a command of viplet", "Did you mean manager?"]);
}

/// kube-vip logs what is wrong, prints nothing and ends with 0.
#[test]
fn wrong_settings_end_with_1_and_say_the_setting_the_value_and_what_is_accepted() {
    for kind in ["pod", "daemonset", "rbac"] {
        let ended = viplet(&format!("manifest {kind} --arp --controlplane"));
        refused(&ended, &["address= (default): ", "accepted: IP addresses or DNS names"]);
        let ended = viplet(&format!("manifest {kind} {PLANE} --leaseDuration soon --port 0"));
        refused(
            &ended,
            &[
                "vip_leaseduration=soon (flag --leaseDuration): ",
                "accepted: ",
                "port=0",
                "2 problems",
            ],
        );
        let ended = viplet_with(&[("vip_arp", "maybe")], &["manifest", kind, "--services"]);
        refused(&ended, &["vip_arp=maybe (environment): ", "accepted: true, false"]);
        refused(
            &viplet(&format!("manifest {kind} {PLANE} --image a,b")),
            &["--image=", "accepted: "],
        );
    }
    refused(
        &viplet("manifest pod --services"),
        &["no valid kube-vip mode", "accepted: one of vip_arp"],
    );
    refused(&viplet("manifest pod --arp"), &["no features are enabled"]);
    refused(
        &viplet_with(&[("vip_wireguard", "true")], &["manifest", "pod", "--services"]),
        &["needs the feature wireguard, which this build lacks"],
    );
}

#[test]
fn a_pod_for_the_kubelet_has_the_hosts_kubeconfig_and_one_in_a_cluster_an_account() {
    let pod = only(printed(&format!("manifest pod {PLANE}")));
    assert_eq!((&pod["apiVersion"], &pod["kind"]), (&"v1".into(), &"Pod".into()));
    assert_eq!(
        (&pod["metadata"]["name"], &pod["metadata"]["namespace"]),
        (&"kube-vip".into(), &"kube-system".into())
    );
    let spec = &pod["spec"];
    assert_eq!(spec["volumes"][0]["hostPath"]["path"], "/etc/kubernetes/admin.conf");
    // A folder of that name would keep kubeadm from writing the file.
    assert_eq!(spec["volumes"][0]["hostPath"]["type"], "File");
    assert_eq!(spec["containers"][0]["volumeMounts"][0]["mountPath"], "/etc/kubernetes/admin.conf");
    assert_eq!(spec["hostAliases"][0]["ip"], "127.0.0.1");
    assert_eq!(spec["hostAliases"][0]["hostnames"][0], "kubernetes");
    assert_eq!(spec["serviceAccountName"], Value::Null);

    let pod = only(printed(&format!("manifest pod --inCluster {PLANE}")));
    let spec = &pod["spec"];
    assert_eq!(spec["serviceAccountName"], "kube-vip");
    assert_eq!((&spec["hostAliases"], &spec["volumes"]), (&Value::Null, &Value::Null));
    assert_eq!(spec["containers"][0]["volumeMounts"], Value::Null);

    let pod =
        only(printed(&format!("manifest pod {PLANE} --k8sConfigPath /etc/rancher/k3s/k3s.yaml")));
    assert_eq!(pod["spec"]["volumes"][0]["hostPath"]["path"], "/etc/rancher/k3s/k3s.yaml");
    assert!(!told(&pod["spec"]).0.contains_key("k8s_config_file"));
}

#[test]
fn the_container_may_do_what_it_must_and_no_more() {
    for arguments in [
        format!("manifest pod {PLANE}"),
        format!("manifest daemonset {PLANE}"),
        format!("kubeadm init {PLANE}"),
    ] {
        let object = only(printed(&arguments));
        let spec = if object["kind"] == "Pod" {
            &object["spec"]
        } else {
            &object["spec"]["template"]["spec"]
        };
        assert_eq!(spec["hostNetwork"], true);
        assert_eq!(spec["priorityClassName"], "system-node-critical");
        let stop = spec["terminationGracePeriodSeconds"].as_u64().unwrap();
        assert!(stop > 8, "a stop takes up to 8 s");
        let container = &spec["containers"][0];
        assert_eq!(container["imagePullPolicy"], "IfNotPresent");
        assert_eq!(
            container["image"],
            format!("registry.example/viplet:{}", env!("CARGO_PKG_VERSION"))
        );
        let security = &container["securityContext"];
        assert_eq!(security["readOnlyRootFilesystem"], true);
        assert_eq!(security["allowPrivilegeEscalation"], false);
        assert_eq!(security["privileged"], Value::Null);
        assert_eq!(security["seccompProfile"]["type"], "RuntimeDefault");
        let list = |list: &Value| {
            list.as_sequence()
                .unwrap()
                .iter()
                .map(|v| v.as_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(list(&security["capabilities"]["add"]), ["NET_ADMIN", "NET_RAW"]);
        assert_eq!(list(&security["capabilities"]["drop"]), ["ALL"]);
        assert_eq!(
            container["resources"]["limits"]["cpu"],
            Value::Null,
            "throttled, it announces late"
        );
    }
}

#[test]
fn the_daemonset_is_kube_vips_and_taint_puts_it_on_the_control_plane() {
    let set = only(printed(&format!("manifest daemonset --inCluster --taint {PLANE}")));
    assert_eq!((&set["apiVersion"], &set["kind"]), (&"apps/v1".into(), &"DaemonSet".into()));
    assert_eq!(set["metadata"]["name"], "kube-vip-ds");
    assert_eq!(set["status"], Value::Null);
    let selector = set["spec"]["selector"]["matchLabels"].as_mapping().unwrap();
    assert_eq!(selector.len(), 1, "a selector cannot be changed, and a version would have to");
    for labels in [&set["metadata"]["labels"], &set["spec"]["template"]["metadata"]["labels"]] {
        assert_eq!(labels["app.kubernetes.io/name"], "kube-vip-ds");
        assert_eq!(labels["app.kubernetes.io/version"], env!("CARGO_PKG_VERSION"));
    }
    assert_eq!(set["spec"]["updateStrategy"]["rollingUpdate"]["maxUnavailable"], 1);
    let spec = &set["spec"]["template"]["spec"];
    let effects: Vec<_> = spec["tolerations"]
        .as_sequence()
        .unwrap()
        .iter()
        .map(|t| (t["effect"].as_str().unwrap(), t["operator"].as_str().unwrap()))
        .collect();
    assert_eq!(effects, [("NoSchedule", "Exists"), ("NoExecute", "Exists")]);
    let terms = &spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        ["nodeSelectorTerms"];
    let keys: Vec<_> = terms
        .as_sequence()
        .unwrap()
        .iter()
        .map(|t| t["matchExpressions"][0]["key"].as_str().unwrap())
        .collect();
    assert_eq!(keys, ["node-role.kubernetes.io/master", "node-role.kubernetes.io/control-plane"]);

    let anywhere = only(printed(&format!("manifest daemonset --inCluster --taint=false {PLANE}")));
    let spec = &anywhere["spec"]["template"]["spec"];
    assert_eq!((&spec["affinity"], &spec["tolerations"]), (&Value::Null, &Value::Null));
}

#[test]
fn options_stand_where_kube_vip_takes_them() {
    let usual = viplet(&format!("manifest daemonset --inCluster --taint --image a/b:1 {PLANE}"));
    assert_eq!(usual.code, 0, "{}", usual.err);
    for arguments in [
        format!("manifest --inCluster --image a/b:1 daemonset --taint {PLANE}"),
        format!("{PLANE} manifest daemonset --taint=true --inCluster=1 --image=a/b:1"),
        format!("manifest daemonset {PLANE} --taint --in-cluster --image a/b:1"),
    ] {
        assert_eq!(viplet(&arguments).out, usual.out, "{arguments}");
    }
}

#[test]
fn what_is_printed_reads_back_to_the_same_settings() {
    let arguments = [
        PLANE.to_owned(),
        "--arp --services".to_owned(),
        format!("{PLANE} --services --servicesElection --enableNodeLabeling --log -4"),
        format!("{PLANE} --vipSubnet 24,64 --leaseDuration 5 --leaseRenewDuration 3 --leaseRetry 1 --leaseName tenant/lock"),
        "--arp --controlplane --vip 192.0.2.1 --vipSubnet 32 --autodetectcp --dnsMode dual".to_owned(),
        "--arp --controlplane --address 192.0.2.1,2001:db8::1,vip.example --preserveVipOnLeadershipLoss".to_owned(),
        "--arp --services --prometheusHTTPServer= --healthCheckPort 8080 --serviceInterface auto".to_owned(),
        "--arp --services --prometheusHTTPServer=".to_owned(),
        "--arp --services --lbClassName= --lbClassNameLegacyHandling=false --enableEndpoints".to_owned(),
        "--arp --services --lbClassName example.com/a:b --disableServiceUpdates --perServiceElectionOnDemand --instanceName A.b".to_owned(),
        "--arp --services --loseLeadership --loseLeadershiptTimeoutSeconds 7 --allowInterfaceNotUp --namespace other".to_owned(),
    ];
    for arguments in arguments {
        let words: Vec<String> = arguments.split_whitespace().map(str::to_owned).collect();
        let direct =
            loaded(BTreeMap::from([("vip_nodename".to_owned(), "node-a".to_owned())]), &words);
        for kind in ["pod", "daemonset --inCluster"] {
            let object = only(printed(&format!("manifest {kind} {arguments}")));
            let spec =
                if kind == "pod" { &object["spec"] } else { &object["spec"]["template"]["spec"] };
            let (environment, arguments) = told(spec);
            assert_eq!(arguments[0], "manager");
            let again = loaded(environment, &arguments);
            assert_eq!(again.settings, direct.settings, "{arguments:?}");
            assert_eq!(again.warnings, Vec::<String>::new(), "{arguments:?}");
        }
    }
}

#[test]
fn settings_of_the_environment_and_of_a_file_are_printed_too() {
    let environment = [
        ("vip_arp", "true"),
        ("svc_enable", "true"),
        ("svc_namespace", "tenant"),
        ("vip_leaseannotations", r#"{"a": "b: 'c' \"d\" #e"}"#),
        ("kubernetes_addr", "https://[2001:db8::1]:6443"),
        ("vip_arpRate", "700"),
        ("cp_enable", "true"),
        ("address", "192.0.2.9"),
    ];
    let ended = viplet_with(&environment, &["manifest", "pod", "--address", "192.0.2.10"]);
    assert_eq!(ended.code, 0, "{}", ended.err);
    let pod = only(documents(&ended.out));
    assert_eq!(pod["metadata"]["namespace"], "tenant");
    let (variables, arguments) = told(&pod["spec"]);
    assert_eq!(variables["address"], "192.0.2.9", "the environment wins");
    let mut direct: BTreeMap<String, String> =
        environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    direct.insert("vip_nodename".to_owned(), "node-a".to_owned());
    assert_eq!(loaded(variables, &arguments).settings, loaded(direct, &[]).settings);

    let file = std::env::temp_dir().join(format!("viplet-manifest-{}.yaml", std::process::id()));
    std::fs::write(&file, "enableARP: true\nenableServices: true\ninterface: eth3\n").unwrap();
    let ended = viplet_with(&[], &["manifest", "pod", "--config-file", file.to_str().unwrap()]);
    std::fs::remove_file(&file).unwrap();
    let (variables, _) = told(&only(documents(&ended.out))["spec"]);
    assert_eq!(variables["vip_interface"], "eth3");
    assert!(!variables.contains_key("config_file"), "it is not in the container");
}

/// `port`, `address` and `annotation` are names that a shell may have for purposes of its own.
#[test]
fn what_came_from_the_shells_environment_is_said_and_standard_error_is_a_comment() {
    let arguments = format!("manifest pod {PLANE} --nodeName x --prometheusHTTPServer=");
    let ended = viplet_with(&[("port", "8443")], &arguments.split_whitespace().collect::<Vec<_>>());
    assert_eq!(ended.code, 0);
    assert!(ended.err.lines().all(|line| line.starts_with("# ")), "{}", ended.err);
    for said in ["taken from this environment: port", "vip_nodename is left out", "no probes"] {
        assert!(ended.err.contains(said), "{said:?} is not in {}", ended.err);
    }
    assert_eq!(told(&only(documents(&ended.out))["spec"]).0["port"], "8443");
    assert_eq!(only(documents(&(ended.err + &ended.out)))["kind"], "Pod");
}

#[test]
fn every_pod_takes_the_name_of_its_own_node() {
    let ended = viplet(&format!("manifest daemonset {PLANE} --nodeName one"));
    let set = only(documents(&ended.out));
    let variables = &set["spec"]["template"]["spec"]["containers"][0]["env"];
    let name =
        variables.as_sequence().unwrap().iter().find(|v| v["name"] == "vip_nodename").unwrap();
    assert_eq!(name["valueFrom"]["fieldRef"]["fieldPath"], "spec.nodeName");
}

#[test]
fn the_probes_ask_where_viplet_listens() {
    for (settings, wanted) in [
        ("", Some(("127.0.0.1", 2112))),
        ("--prometheusHTTPServer 0.0.0.0:99", Some(("127.0.0.1", 99))),
        ("--prometheusHTTPServer 192.0.2.7:99", Some(("192.0.2.7", 99))),
        ("--prometheusHTTPServer [::1]:99", Some(("::1", 99))),
        ("--prometheusHTTPServer 192.0.2.7:99 --healthCheckPort 8080", Some(("127.0.0.1", 8080))),
        ("--prometheusHTTPServer=", None),
    ] {
        let pod = only(printed(&format!("manifest pod {PLANE} {settings}")));
        for (probe, path) in [("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")] {
            let probe = &pod["spec"]["containers"][0][probe];
            let get = &probe["httpGet"];
            let found = get["host"].as_str().zip(get["port"].as_u64());
            assert_eq!(found, wanted, "{settings}");
            assert!(found.is_none() || get["path"] == path);
        }
    }
}

#[test]
fn kubeadms_first_node_gets_the_kubeconfig_that_has_rights_from_the_beginning() {
    let ended = viplet("kubeadm init --arp --address 192.0.2.10 --interface eth0");
    assert_eq!(ended.code, 0, "{}", ended.err);
    let pod = only(documents(&ended.out));
    assert_eq!(pod["spec"]["volumes"][0]["hostPath"]["path"], "/etc/kubernetes/super-admin.conf");
    assert_eq!(
        pod["spec"]["containers"][0]["volumeMounts"][0]["mountPath"],
        "/etc/kubernetes/admin.conf"
    );
    assert!(ended.err.contains("viplet kubeadm join"), "{}", ended.err);
    let (variables, _) = told(&pod["spec"]);
    assert_eq!(variables["cp_enable"], "true", "kubeadm is for control planes");
    let pod = only(printed(
        "kubeadm init --arp --address 192.0.2.10 --interface eth0 --k8sConfigPath /etc/kubernetes/admin.conf",
    ));
    assert_eq!(pod["spec"]["volumes"][0]["hostPath"]["path"], "/etc/kubernetes/admin.conf");
}

#[test]
fn kubeadms_further_nodes_need_the_kubeconfig_to_be_there() {
    let arguments = "--arp --address 192.0.2.10 --interface eth0";
    refused(
        &viplet(&format!("kubeadm join {arguments} --config /nowhere/admin.conf")),
        &["--config=/nowhere/admin.conf", "no such file", "accepted: "],
    );
    let file = std::env::temp_dir().join(format!("viplet-manifest-{}.conf", std::process::id()));
    std::fs::write(&file, "").unwrap();
    let pod = only(printed(&format!("kubeadm join {arguments} --config {}", file.display())));
    std::fs::remove_file(&file).unwrap();
    assert_eq!(pod["spec"]["volumes"][0]["hostPath"]["path"].as_str(), file.to_str());
}

#[test]
fn kubeadms_pod_needs_an_address_and_an_interface() {
    for step in ["init", "join"] {
        refused(
            &viplet(&format!("kubeadm {step} --arp --interface eth0")),
            &["address= (default)", "accepted: IP addresses"],
        );
        refused(
            &viplet(&format!("kubeadm {step} --arp --address 192.0.2.1")),
            &["vip_interface= (default)", "accepted: the name of the interface"],
        );
        refused(
            &viplet(&format!("kubeadm {step} --address 192.0.2.1 --interface eth0")),
            &["no valid kube-vip mode"],
        );
    }
}

/// What the rules of a role allow, as `resource verb` words.
fn allowed(role: &Value) -> Vec<String> {
    let mut all = Vec::new();
    let texts = |list: &Value| {
        list.as_sequence()
            .unwrap()
            .iter()
            .map(|v| v.as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    for rule in role["rules"].as_sequence().unwrap() {
        for resource in texts(&rule["resources"]) {
            all.extend(texts(&rule["verbs"]).iter().map(|verb| format!("{resource} {verb}")));
        }
    }
    all.sort();
    all
}

const LEASES: [&str; 5] =
    ["leases create", "leases get", "leases list", "leases update", "leases watch"];

#[test]
fn the_rights_are_three_documents_with_kube_vips_names() {
    let ended = viplet("manifest rbac --inCluster --image a");
    assert!(ended.out.starts_with("---\n"));
    assert_eq!(ended.out.matches("---\n").count(), 3);
    let [account, role, binding]: [Value; 3] = documents(&ended.out).try_into().unwrap();
    assert_eq!(
        (&account["kind"], &account["metadata"]["name"]),
        (&"ServiceAccount".into(), &"kube-vip".into())
    );
    assert_eq!(
        (&role["kind"], &role["metadata"]["name"]),
        (&"ClusterRole".into(), &"system:kube-vip-role".into())
    );
    assert_eq!(
        (&binding["kind"], &binding["metadata"]["name"]),
        (&"ClusterRoleBinding".into(), &"system:kube-vip-binding".into())
    );
    assert_eq!(binding["roleRef"]["name"], role["metadata"]["name"]);
    assert_eq!(binding["subjects"][0]["namespace"], account["metadata"]["namespace"]);
}

#[test]
fn the_rights_are_those_that_the_settings_need() {
    let rights = |arguments: &str| allowed(&printed(&format!("manifest rbac {arguments}"))[1]);
    let plane = "--controlplane --address 192.0.2.1";
    assert_eq!(rights(plane), LEASES);
    assert_eq!(
        rights(&format!("{plane} --enableNodeLabeling")),
        [&LEASES[..], &["nodes patch"]].concat()
    );
    let services = rights("--services");
    for needed in [
        "services watch",
        "services/status update",
        "endpointslices watch",
        "events create",
        "nodes list",
    ] {
        assert!(services.contains(&needed.to_owned()), "{needed}");
    }
    assert!(
        !services.iter().any(|right| right.starts_with("endpoints ") || right == "nodes patch")
    );
    let endpoints = rights("--services --enableEndpoints");
    assert!(endpoints.contains(&"endpoints watch".to_owned()));
    assert!(!endpoints.iter().any(|right| right.starts_with("endpointslices")));
    assert!(
        !rights("--services --disableServiceUpdates")
            .contains(&"services/status update".to_owned())
    );
    let everything = rights("");
    for arguments in [plane, "--services", "--services --enableEndpoints --enableNodeLabeling"] {
        assert!(rights(arguments).iter().all(|right| everything.contains(right)), "{arguments}");
    }
}

/// kube-vip's RoleBinding lacks its subject's namespace, and the API server refuses it.
#[test]
fn a_role_is_bound_to_an_account_with_its_namespace() {
    for (arguments, role, bound) in [
        ("--role --namespace tenant", "Role", "RoleBinding"),
        ("--rolebinding --namespace tenant", "ClusterRole", "RoleBinding"),
        ("--role --rolebinding --namespace tenant", "Role", "RoleBinding"),
    ] {
        let [account, found, binding]: [Value; 3] =
            printed(&format!("manifest rbac {arguments}")).try_into().unwrap();
        assert_eq!(account["metadata"]["namespace"], "tenant");
        assert_eq!(found["kind"], role);
        assert_eq!(
            (&binding["kind"], &binding["metadata"]["name"]),
            (&bound.into(), &"kube-vip".into())
        );
        assert_eq!(binding["metadata"]["namespace"], "tenant");
        assert_eq!(binding["subjects"][0]["namespace"], "tenant");
        assert_eq!(
            (&binding["roleRef"]["kind"], &binding["roleRef"]["name"]),
            (&role.into(), &found["metadata"]["name"])
        );
        if role == "Role" {
            assert_eq!(found["metadata"], documents("{name: kube-vip, namespace: tenant}")[0]);
            assert!(!allowed(&found).iter().any(|right| right.starts_with("nodes")));
        }
    }
}

#[test]
fn rights_for_one_namespace_reach_no_other_but_know_the_nodes() {
    let environment =
        [("svc_namespace", "tenant"), ("svc_enable", "true"), ("enable_node_labeling", "true")];
    let ended = viplet_with(&environment, &["manifest", "rbac"]);
    let documents = documents(&ended.out);
    let kinds: Vec<_> = documents.iter().map(|d| d["kind"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        ["ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"]
    );
    assert_eq!(allowed(&documents[3]), ["nodes get", "nodes list", "nodes patch", "nodes watch"]);
    assert_ne!(
        documents[3]["metadata"]["name"], "system:kube-vip-role",
        "that is the whole cluster's"
    );
    let ended = viplet_with(&environment, &["manifest", "rbac", "--role"]);
    assert_eq!(self::documents(&ended.out).len(), 3);
    assert!(ended.err.contains("nodes are in no namespace"), "{}", ended.err);
}

#[test]
fn rights_that_cannot_be_enough_say_so() {
    let ended = viplet(
        "manifest rbac --role --services --leaseName other/lock --controlplane --address 192.0.2.1",
    );
    for said in ["set svc_namespace", "vip_leasename=other/lock is in another namespace"] {
        assert!(ended.err.contains(said), "{said:?} is not in {}", ended.err);
    }
}
