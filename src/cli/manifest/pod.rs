//! The pod that a manifest runs: its container, its rights on the node, its probes.

use std::fmt::Write as _;

use super::yaml::{indented, scalar};
use crate::config::{Draft, VariableValue};
use crate::shell::http::Listen;

/// What is printed.
pub(super) struct Plan<'a> {
    pub(super) draft: &'a Draft,
    pub(super) image: String,
    pub(super) namespace: String,
    pub(super) access: Access,
    pub(super) placement: Placement,
}

/// How the pod reaches the API server.
pub(super) enum Access {
    /// As a ServiceAccount.
    Account,
    /// With a kubeconfig of the host, which lies at this path.
    HostFile(String),
}

/// On which nodes a DaemonSet runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Placement {
    /// Where the scheduler allows it.
    Untainted,
    /// On the control plane's, whatever their taints.
    ControlPlane,
}

const CONTROL_PLANE: &str = "\
affinity:
  nodeAffinity:
    requiredDuringSchedulingIgnoredDuringExecution:
      nodeSelectorTerms:
      - matchExpressions:
        - key: node-role.kubernetes.io/master
          operator: Exists
      - matchExpressions:
        - key: node-role.kubernetes.io/control-plane
          operator: Exists
";

const TOLERATIONS: &str = "\
tolerations:
- effect: NoSchedule
  operator: Exists
- effect: NoExecute
  operator: Exists
";

// No limit of processor time: being throttled delays announcements and renewals.
const RESOURCES: &str = "\
resources:
  requests:
    cpu: 10m
    memory: 16Mi
  limits:
    memory: 64Mi
";

const SECURITY: &str = "\
securityContext:
  allowPrivilegeEscalation: false
  capabilities:
    add:
    - NET_ADMIN
    - NET_RAW
    drop:
    - ALL
  readOnlyRootFilesystem: true
  seccompProfile:
    type: RuntimeDefault
";

const PRIVILEGED: &str = "\
securityContext:
  privileged: true
  readOnlyRootFilesystem: true
";

// viplet looks there by itself.
const MOUNT: &str = "\
volumeMounts:
- mountPath: /etc/kubernetes/admin.conf
  name: kubeconfig
  readOnly: true
";

// The API server of this very node, under a name that is in its certificate.
const ALIAS: &str = "\
hostAliases:
- hostnames:
  - kubernetes
  ip: 127.0.0.1
";

/// The pod's spec.
pub(super) fn spec(plan: &Plan<'_>) -> String {
    let mut spec = String::new();
    if plan.placement == Placement::ControlPlane {
        spec.push_str(CONTROL_PLANE);
    }
    let _ = write!(spec, "containers:\n- name: kube-vip\n{}", indented(&container(plan), 2));
    if let Access::HostFile(_) = plan.access {
        spec.push_str(ALIAS);
    }
    spec.push_str("hostNetwork: true\npriorityClassName: system-node-critical\n");
    if let Access::Account = plan.access {
        spec.push_str("serviceAccountName: kube-vip\n");
    }
    // A stop takes less than a second, 8 s at the most.
    spec.push_str("terminationGracePeriodSeconds: 10\n");
    if plan.placement == Placement::ControlPlane {
        spec.push_str(TOLERATIONS);
    }
    if let Access::HostFile(path) = &plan.access {
        let path = scalar(path);
        let _ = write!(
            spec,
            "volumes:\n- hostPath:\n    path: {path}\n    type: File\n  name: kubeconfig\n"
        );
    }
    spec
}

fn container(plan: &Plan<'_>) -> String {
    let mut container = format!("image: {}\n", plan.image);
    container.push_str("imagePullPolicy: IfNotPresent\nargs:\n- manager\n");
    for argument in plan.draft.arguments() {
        let _ = writeln!(container, "- {}", scalar(&argument));
    }
    container.push_str(&environment(plan.draft));
    container.push_str(&probes(plan.draft));
    container.push_str(RESOURCES);
    // kube-vip's masquerading needs what no capability gives (MAN-2).
    let masquerades =
        plan.draft.is_on("lb_enable") && plan.draft.text("lb_fwdmethod") == "masquerade";
    container.push_str(if masquerades { PRIVILEGED } else { SECURITY });
    if let Access::HostFile(_) = plan.access {
        container.push_str(MOUNT);
    }
    container
}

fn environment(draft: &Draft) -> String {
    let mut lines = String::from("env:\n");
    for variable in draft.environment() {
        let name = variable.name;
        let _ = match variable.value {
            VariableValue::Text(text) => {
                writeln!(lines, "- name: {name}\n  value: {}", scalar(&text))
            }
            VariableValue::NodeName => {
                let from = "  valueFrom:\n    fieldRef:\n      fieldPath: spec.nodeName";
                writeln!(lines, "- name: {name}\n{from}")
            }
        };
    }
    lines
}

/// The pod has the host's network, so the kubelet asks on loopback where viplet listens everywhere.
fn probes(draft: &Draft) -> String {
    let Some(listen) = draft.probed() else { return String::new() };
    let (host, port) = match listen {
        Listen::Everywhere(port) => ("127.0.0.1".to_owned(), port),
        Listen::At(address) if address.ip().is_unspecified() => {
            ("127.0.0.1".to_owned(), address.port())
        }
        Listen::At(address) => (address.ip().to_string(), address.port()),
        Listen::Named(host, port) => (host, port),
    };
    let host = scalar(&host);
    let get = |path| format!("  httpGet:\n    host: {host}\n    path: {path}\n    port: {port}\n");
    format!(
        "livenessProbe:\n{}  initialDelaySeconds: 10\n  periodSeconds: 10\n  failureThreshold: 6\n\
         readinessProbe:\n{}  periodSeconds: 5\n",
        get("/healthz"),
        get("/readyz")
    )
}
