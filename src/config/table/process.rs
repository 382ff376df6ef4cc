//! Settings of the process itself: its name, log, listeners, files and the API server.

use crate::config::setting::{Empty, Kind, Setting};

/// What every build has.
pub(super) const SETTINGS: &[Setting] = &[
    Setting::new(
        &["vip_loglevel"],
        Kind::Integer(i32::MIN as i64, i32::MAX as i64),
        "0",
        "Lowest level that is logged: -4 debug, 0 info, 4 warnings, 8 errors; lower shows more",
    )
    .flags(&["log"])
    .file(&["Logging"]),
    Setting::new(&["config_file"], Kind::Text, "", "Settings file: .json, .yaml or .yml")
        .flags(&["config-file"]),
    Setting::new(
        &["record_file"],
        Kind::Text,
        "",
        "Keep the last inputs (1 MiB) and write them to this file on SIGUSR1, for viplet replay",
    )
    .flags(&["record-file"])
    .of("record"),
    Setting::new(
        &["vip_nodename"],
        Kind::Text,
        "",
        "This node's name, holder of leases and name of the Node object; empty: the host name",
    )
    .flags(&["nodeName"])
    .file(&["NodeName"]),
    Setting::new(
        &["instance_name", "INSTANCE_NAME"],
        Kind::InstanceName,
        "",
        "This deployment among several on one node: addresses of the others are left alone; \
         empty: svc_namespace",
    )
    .flags(&["instanceName"])
    .file(&["InstanceName"]),
    Setting::new(
        &["k8s_config_file"],
        Kind::Text,
        "/etc/kubernetes/admin.conf",
        "Kubeconfig; then $HOME/.kube/config, then the pod's service account",
    )
    .flags(&["k8sConfigPath", "kubeConfig"])
    .file(&["K8sConfigFile"]),
    Setting::new(
        &["kubernetes_addr"],
        Kind::Endpoint,
        "",
        "API server to use instead of the kubeconfig's: host:port or URL",
    )
    .file(&["KubernetesAddr"]),
    Setting::new(
        &["cp_namespace"],
        Kind::Namespace,
        "kube-system",
        "Namespace of leases whose name has none, where no service account says it",
    )
    .flags(&["namespace", "n"])
    .file(&["Namespace"]),
    Setting::new(
        &["prometheus_server"],
        Kind::Listener,
        ":2112",
        "Where /metrics is served; a flag or file key with an empty value turns it off",
    )
    .unread(&["prometheusHTTPServer"])
    .flags(&["prometheusHTTPServer"])
    .file(&["PrometheusHTTPServer"])
    .empty(Empty::ValueOutsideEnvironment),
    Setting::new(
        &["health_check_port"],
        Kind::HighPort,
        "0",
        "Port of /healthz and /readyz; 0 turns it off",
    )
    .flags(&["healthCheckPort"])
    .file(&["HealthCheckPort"]),
    Setting::new(
        &["enable_node_labeling"],
        Kind::Bool,
        "false",
        "Label the Node that holds an address with kube-vip.io/has-ip",
    )
    .flags(&["enableNodeLabeling"])
    .file(&["EnableNodeLabeling"]),
];
