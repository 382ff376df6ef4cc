//! `viplet manifest pod|daemonset|rbac`: manifests from the settings that are given.
//!
//! What goes to stdout is YAML and nothing else. What a person should know goes to stderr, as YAML
//! comments, so that both together are still a manifest.

mod image;
mod pod;
mod rights;
#[cfg(test)]
mod tests;
mod yaml;

use argh::FromArgs;

use super::config::problems;
use super::surroundings::Surroundings;
use crate::build_info::VERSION;
use crate::config::{Draft, Problem, Purpose, draft};
use crate::registry::FEATURES;
use image::image;
use pod::{Access, Placement, Plan};
use rights::{Reach, Rights};
use yaml::indented;

/// print a manifest for the settings given: a pod, a DaemonSet, or the rights that it needs
#[derive(FromArgs, Clone, Debug)]
#[argh(
    subcommand,
    name = "manifest",
    note = "Settings are given as for viplet manager: viplet config --reference lists them.",
    example = "{command_name} pod --arp --controlplane --address 192.0.2.10 --interface eth0",
    example = "{command_name} daemonset --inCluster --taint --arp --services --servicesElection",
    example = "{command_name} rbac --services"
)]
pub struct ManifestCommand {
    #[argh(subcommand)]
    kind: Option<Kind>,
}

#[derive(FromArgs, Clone, Debug)]
#[argh(subcommand)]
pub(super) enum Kind {
    Pod(PodCommand),
    DaemonSet(DaemonSetCommand),
    Rbac(RbacCommand),
}

/// print a pod, for a kubelet's folder of static pods
#[derive(FromArgs, Clone, Debug)]
#[argh(subcommand, name = "pod")]
pub(super) struct PodCommand {
    /// as the ServiceAccount kube-vip instead of with the host's kubeconfig (k8sConfigPath); also
    /// written --inCluster
    #[argh(switch)]
    in_cluster: bool,
    /// the image; without a tag: of this release
    #[argh(option)]
    image: Option<String>,
}

/// print a DaemonSet
#[derive(FromArgs, Clone, Debug)]
#[argh(subcommand, name = "daemonset")]
pub(super) struct DaemonSetCommand {
    /// as the ServiceAccount kube-vip (see rbac) instead of with the host's kubeconfig
    /// (k8sConfigPath); also written --inCluster
    #[argh(switch)]
    in_cluster: bool,
    /// the image; without a tag: of this release
    #[argh(option)]
    image: Option<String>,
    /// on control-plane nodes only, whatever their taints
    #[argh(switch)]
    taint: bool,
}

/// print the ServiceAccount kube-vip and the rights that the settings given need; all that viplet
/// can ever need where neither the control plane nor Services are asked for
#[derive(FromArgs, Clone, Debug)]
#[argh(subcommand, name = "rbac")]
pub(super) struct RbacCommand {
    /// rights in one namespace only (svc_namespace, else namespace): Role and RoleBinding
    #[argh(switch)]
    role: bool,
    /// the rules as a ClusterRole, granted in one namespace: RoleBinding
    #[argh(switch)]
    rolebinding: bool,
    /// without effect: rights are the same for every image
    #[argh(option)]
    image: Option<String>,
}

/// A manifest, and what a person should know about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Printed {
    /// For stdout: YAML.
    pub manifest: String,
    /// For stderr: one text each.
    pub remarks: Vec<String>,
}

impl ManifestCommand {
    /// What it prints; `None`: its help is asked for.
    ///
    /// # Errors
    /// What is wrong with the settings or its own options, for stderr.
    pub fn printed(&self, surroundings: &Surroundings) -> Option<Result<Printed, String>> {
        let printed = match self.kind.as_ref()? {
            Kind::Pod(command) => command.printed(surroundings),
            Kind::DaemonSet(command) => command.printed(surroundings),
            Kind::Rbac(command) => command.printed(surroundings),
        };
        Some(printed)
    }
}

impl PodCommand {
    fn printed(&self, surroundings: &Surroundings) -> Result<Printed, String> {
        let draft = read(surroundings, Purpose::Run)?;
        let access = match self.in_cluster {
            true => Access::Account,
            false => Access::HostFile(draft.text("k8s_config_file")),
        };
        static_pod(&draft, access, self.image.as_deref())
    }
}

impl DaemonSetCommand {
    fn printed(&self, surroundings: &Surroundings) -> Result<Printed, String> {
        let draft = read(surroundings, Purpose::Run)?;
        let access = match self.in_cluster {
            true => Access::Account,
            false => Access::HostFile(draft.text("k8s_config_file")),
        };
        let plan = Plan {
            draft: &draft,
            image: image(self.image.as_deref())?,
            namespace: namespace(&draft, &access),
            access,
            placement: if self.taint { Placement::ControlPlane } else { Placement::Untainted },
        };
        Ok(Printed { manifest: daemonset(&plan), remarks: remarks(&draft) })
    }
}

impl RbacCommand {
    fn printed(&self, surroundings: &Surroundings) -> Result<Printed, String> {
        image(self.image.as_deref())?;
        let draft = read(surroundings, Purpose::Rights)?;
        let reach = match (self.role, self.rolebinding) {
            (true, _) => Reach::Namespace,
            (false, true) => Reach::BoundInNamespace,
            (false, false) if draft.text("svc_namespace").is_empty() => Reach::Cluster,
            (false, false) => Reach::NamespaceAndNodes,
        };
        let namespace = namespace(&draft, &Access::Account);
        let rights = Rights { draft: &draft, namespace, reach };
        let remarks = [remarks(&draft), rights::gaps(&rights)].concat();
        Ok(Printed { manifest: rights::documents(&rights), remarks })
    }
}

/// The settings, checked as `viplet manager` checks them.
pub(super) fn read(surroundings: &Surroundings, purpose: Purpose) -> Result<Draft, String> {
    draft(&surroundings.inputs(), FEATURES, purpose).map_err(|found| refused(&found))
}

/// Problems, for stderr.
pub(super) fn refused(found: &[Problem]) -> String {
    problems(found) + "nothing was printed\n"
}

/// A pod that a kubelet runs by itself.
pub(super) fn pod_with_host_file(
    draft: &Draft,
    path: String,
    image: Option<&str>,
) -> Result<Printed, String> {
    static_pod(draft, Access::HostFile(path), image)
}

fn static_pod(draft: &Draft, access: Access, image: Option<&str>) -> Result<Printed, String> {
    let plan = Plan {
        draft,
        image: self::image::image(image)?,
        namespace: namespace(draft, &access),
        access,
        placement: Placement::Untainted,
    };
    let manifest = format!(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: kube-vip\n  namespace: {}\nspec:\n{}",
        plan.namespace,
        indented(&pod::spec(&plan), 2)
    );
    Ok(Printed { manifest, remarks: remarks(draft) })
}

fn daemonset(plan: &Plan<'_>) -> String {
    let name = "app.kubernetes.io/name: kube-vip-ds";
    let version = format!("app.kubernetes.io/version: {}", yaml::scalar(VERSION));
    format!(
        "apiVersion: apps/v1\nkind: DaemonSet\nmetadata:\n  labels:\n    {name}\n    {version}\n  \
         name: kube-vip-ds\n  namespace: {}\nspec:\n  selector:\n    matchLabels:\n      {name}\n  \
         updateStrategy:\n    type: RollingUpdate\n    rollingUpdate:\n      maxUnavailable: 1\n  \
         template:\n    metadata:\n      labels:\n        {name}\n        {version}\n    spec:\n{}",
        plan.namespace,
        indented(&pod::spec(plan), 6)
    )
}

/// The objects' namespace: the Services' (MAN-1); else, where a ServiceAccount's namespace is that of
/// the leases, theirs; else kube-system.
fn namespace(draft: &Draft, access: &Access) -> String {
    let services = draft.text("svc_namespace");
    match access {
        _ if draft.is_on("svc_enable") && !services.is_empty() => services,
        Access::Account => draft.text("cp_namespace"),
        Access::HostFile(_) => "kube-system".to_owned(),
    }
}

fn remarks(draft: &Draft) -> Vec<String> {
    let mut remarks: Vec<String> = draft.warnings().to_vec();
    let read: Vec<&str> = draft.variables_read().collect();
    if !read.is_empty() {
        remarks.push(format!("taken from this environment: {}", read.join(", ")));
    }
    if draft.is_given("vip_nodename") {
        remarks
            .push("vip_nodename is left out: each pod takes the name of its own node".to_owned());
    }
    if draft.probed().is_none() {
        remarks.push(
            "no probes: prometheus_server is off and health_check_port is 0, so there is nobody to \
             ask"
                .to_owned(),
        );
    }
    let secrets: Vec<&str> = draft.secrets().collect();
    if !secrets.is_empty() {
        remarks.push(format!(
            "the manifest shows what is secret ({}): move it into a Secret and name that with \
             valueFrom, or keep the file from others",
            secrets.join(", ")
        ));
    }
    remarks
}
