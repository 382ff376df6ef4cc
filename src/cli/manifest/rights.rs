//! What viplet may do at the API server: no more than what it has been told to do needs.

use std::fmt::Write as _;

use crate::config::Draft;

const READ: &[&str] = &["get", "list", "watch"];
const FOLLOW: &[&str] = &["list", "watch"];
const RULES: &[Rule] = &[
    Rule {
        why: "The elections: one Lease for the control plane, one for all Services or one for each address.",
        group: "coordination.k8s.io",
        resource: "leases",
        verbs: &["get", "list", "watch", "create", "update"],
        when: Need::Election,
    },
    Rule {
        why: "Which Services there are.",
        group: "",
        resource: "services",
        verbs: READ,
        when: Need::Services,
    },
    Rule {
        why: "What kubectl shows as EXTERNAL-IP, the annotation kube-vip.io/vipHost, the condition\n\
              # viplet.io/Served: one write for all of it.",
        group: "",
        resource: "services/status",
        verbs: &["update"],
        when: Need::Updates,
    },
    Rule {
        why: "Which nodes have endpoints of a Service.",
        group: "discovery.k8s.io",
        resource: "endpointslices",
        verbs: FOLLOW,
        when: Need::Slices,
    },
    Rule {
        why: "The same with enable_endpoints.",
        group: "",
        resource: "endpoints",
        verbs: FOLLOW,
        when: Need::Endpoints,
    },
    Rule {
        why: "What kubectl describe service shows.",
        group: "",
        resource: "events",
        verbs: &["create"],
        when: Need::Services,
    },
];
const NODE_RULES: &[Rule] = &[
    Rule {
        why: "Which nodes there are and what their own addresses are.",
        group: "",
        resource: "nodes",
        verbs: READ,
        when: Need::Services,
    },
    Rule {
        why: "The labels of enable_node_labeling.",
        group: "",
        resource: "nodes",
        verbs: &["patch"],
        when: Need::Labels,
    },
];

/// What the rights are printed for.
pub(super) struct Rights<'a> {
    pub(super) draft: &'a Draft,
    pub(super) namespace: String,
    pub(super) reach: Reach,
}

/// How far the rights reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// All namespaces: ClusterRole and ClusterRoleBinding.
    Cluster,
    /// One namespace, and nodes, which are in none.
    NamespaceAndNodes,
    /// One namespace: Role and RoleBinding.
    Namespace,
    /// The rules of the cluster, granted in one namespace: ClusterRole and RoleBinding.
    BoundInNamespace,
}

/// The documents, each after `---`.
pub(super) fn documents(rights: &Rights<'_>) -> String {
    let namespace = rights.namespace.as_str();
    let needs = needs(rights.draft);
    let mut text = format!(
        "---\napiVersion: v1\nkind: ServiceAccount\nmetadata:\n  name: kube-vip\n  namespace: {namespace}\n"
    );
    let all = || rules(RULES, &needs) + &rules(NODE_RULES, &needs);
    let whole = ("ClusterRole", "system:kube-vip-role".to_owned());
    let inside = ("RoleBinding", "kube-vip".to_owned());
    let (role, binding, rules_in_it) = match rights.reach {
        Reach::Cluster => {
            (whole, ("ClusterRoleBinding", "system:kube-vip-binding".to_owned()), all())
        }
        Reach::BoundInNamespace => (whole, inside, all()),
        Reach::Namespace | Reach::NamespaceAndNodes => {
            (("Role", "kube-vip".to_owned()), inside, rules(RULES, &needs))
        }
    };
    text.push_str(&Grant { role, binding, namespace, rules: rules_in_it }.text());
    if rights.reach == Reach::NamespaceAndNodes && !rules(NODE_RULES, &needs).is_empty() {
        let name = format!("system:kube-vip-nodes:{namespace}");
        let rules = rules(NODE_RULES, &needs);
        let role = ("ClusterRole", name.clone());
        let binding = ("ClusterRoleBinding", name);
        text.push_str(&Grant { role, binding, namespace, rules }.text());
    }
    if rights.draft.is_on("vip_wireguard") {
        text.push_str(&tunnels(namespace).text());
    }
    text
}

/// What the settings ask for and these rights cannot give.
pub(super) fn gaps(rights: &Rights<'_>) -> Vec<String> {
    let mut gaps = Vec::new();
    let draft = rights.draft;
    let confined = matches!(rights.reach, Reach::Namespace | Reach::BoundInNamespace);
    if confined && !rules(NODE_RULES, &needs(draft)).is_empty() {
        gaps.push(
            "nodes are in no namespace, so these rights do not reach them: viplet works without, but \
             does not see which nodes are cordoned and cannot label them"
                .to_owned(),
        );
    }
    if rights.reach == Reach::Cluster {
        return gaps;
    }
    if draft.is_on("svc_enable") && draft.text("svc_namespace").is_empty() {
        gaps.push(format!(
            "these rights are for the namespace {}, but viplet looks at Services of all: set \
             svc_namespace",
            rights.namespace
        ));
    }
    for name in ["vip_leasename", "svc_leasename"] {
        let lease = draft.text(name);
        if let Some((namespace, _)) = lease.split_once('/')
            && namespace != rights.namespace
        {
            gaps.push(format!(
                "{name}={lease} is in another namespace than these rights: {}",
                rights.namespace
            ));
        }
    }
    gaps
}

/// A rule, and when it is needed.
struct Rule {
    why: &'static str,
    group: &'static str,
    resource: &'static str,
    verbs: &'static [&'static str],
    when: Need,
}

/// What needs rights.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    Election,
    Services,
    Updates,
    Slices,
    Endpoints,
    Labels,
}

/// What has been told to be done; everything, where nothing has.
fn needs(draft: &Draft) -> Vec<Need> {
    use Need::{Election, Endpoints, Labels, Services, Slices, Updates};
    let services = draft.is_on("svc_enable");
    if !services && !draft.is_on("cp_enable") {
        return vec![Election, Services, Updates, Slices, Endpoints, Labels];
    }
    let endpoints = draft.is_on("enable_endpoints");
    let needed = [
        (Election, true),
        (Services, services),
        (Updates, services && !draft.is_on("disable_service_updates")),
        (Slices, services && !endpoints),
        (Endpoints, services && endpoints),
        (Labels, draft.is_on("enable_node_labeling")),
    ];
    needed.into_iter().filter_map(|(need, yes)| yes.then_some(need)).collect()
}

/// One role and what binds the account to it.
struct Grant<'a> {
    role: (&'static str, String),
    binding: (&'static str, String),
    /// The namespace of what has one.
    namespace: &'a str,
    rules: String,
}

/// The Secret with the tunnels (J-23), in the pod's namespace and by its name only.
fn tunnels(namespace: &str) -> Grant<'_> {
    let rules = "# The tunnels of WireGuard mode.\n- apiGroups:\n  - \"\"\n  resources:\n  - secrets\n  \
                 resourceNames:\n  - wireguard\n  verbs:\n  - get\n";
    let name = || "kube-vip-wireguard".to_owned();
    let (role, binding) = (("Role", name()), ("RoleBinding", name()));
    Grant { role, binding, namespace, rules: rules.to_owned() }
}

impl Grant<'_> {
    fn text(&self) -> String {
        let (role, role_name) = &self.role;
        let (binding, binding_name) = &self.binding;
        let place = |kind: &str| match kind {
            "Role" | "RoleBinding" => format!("  namespace: {}\n", self.namespace),
            _ => String::new(),
        };
        let head = |kind: &str, name: &str| {
            format!(
                "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: {kind}\nmetadata:\n  name: {name}\n{}",
                place(kind)
            )
        };
        format!(
            "{}rules:\n{}{}roleRef:\n  apiGroup: rbac.authorization.k8s.io\n  kind: {role}\n  \
             name: {role_name}\nsubjects:\n- kind: ServiceAccount\n  name: kube-vip\n  namespace: {}\n",
            head(role, role_name),
            self.rules,
            head(binding, binding_name),
            self.namespace,
        )
    }
}

fn rules(rules: &[Rule], needs: &[Need]) -> String {
    rules.iter().filter(|rule| needs.contains(&rule.when)).fold(String::new(), |mut text, rule| {
        let Rule { why, resource, .. } = rule;
        let group = if rule.group.is_empty() { "\"\"" } else { rule.group };
        let verbs = rule.verbs.iter().map(|verb| format!("  - {verb}\n")).collect::<String>();
        let _ = write!(
            text,
            "# {why}\n- apiGroups:\n  - {group}\n  resources:\n  - {resource}\n  verbs:\n{verbs}"
        );
        text
    })
}
