//! `viplet kubeadm init|join`: the static pod of a control-plane node that kubeadm makes.

use std::path::Path;

use argh::FromArgs;

use super::manifest::{Printed, pod_with_host_file, read, refused};
use super::surroundings::Surroundings;
use crate::config::{Draft, Purpose};

/// What kubeadm 1.29 and later gives to the first node only: it has its rights from the beginning.
const SUPER_ADMIN: &str = "/etc/kubernetes/super-admin.conf";

/// print the static pod for a control-plane node that kubeadm makes
#[derive(FromArgs, Clone, Debug)]
#[argh(
    subcommand,
    name = "kubeadm",
    note = "Settings are given as for viplet manager; --controlplane goes without saying.",
    example = "{command_name} init --arp --address 192.0.2.10 --interface eth0",
    example = "{command_name} join --arp --address 192.0.2.10 --interface eth0"
)]
pub struct KubeadmCommand {
    #[argh(subcommand)]
    step: Option<Step>,
}

#[derive(FromArgs, Clone, Debug)]
#[argh(subcommand)]
pub(super) enum Step {
    Init(InitCommand),
    Join(JoinCommand),
}

/// print the pod for the first node, before kubeadm init: with super-admin.conf, because admin.conf
/// has no rights yet (before Kubernetes 1.29: --k8sConfigPath /etc/kubernetes/admin.conf)
#[derive(FromArgs, Clone, Debug)]
#[argh(subcommand, name = "init")]
pub(super) struct InitCommand {
    /// the image; without a tag: of this release
    #[argh(option)]
    image: Option<String>,
}

/// print the pod for a further node, after kubeadm join --control-plane
#[derive(FromArgs, Clone, Debug)]
#[argh(subcommand, name = "join")]
pub(super) struct JoinCommand {
    /// the image; without a tag: of this release
    #[argh(option)]
    image: Option<String>,
    /// the kubeconfig that must be here by now; default: /etc/kubernetes/admin.conf
    #[argh(option)]
    config: Option<String>,
}

impl KubeadmCommand {
    /// What it prints; `None`: its help is asked for.
    ///
    /// # Errors
    /// What is wrong with the settings, its own options or this host, for stderr.
    pub fn printed(&self, surroundings: &Surroundings) -> Option<Result<Printed, String>> {
        let surroundings = surroundings.clone().presuming("cp_enable", "--controlplane", "true");
        let step = self.step.as_ref()?;
        let printed = checked(&surroundings).and_then(|draft| match step {
            Step::Init(command) => command.printed(&draft),
            Step::Join(command) => command.printed(&draft),
        });
        Some(printed)
    }
}

/// CLI-12: kube-vip wants the interface named, and so do we: it is the same on no two machines.
fn checked(surroundings: &Surroundings) -> Result<Draft, String> {
    let draft = read(surroundings, Purpose::Run)?;
    if draft.text("vip_interface").is_empty() {
        let why = "kubeadm's pod needs it; accepted: the name of the interface that carries the \
                   address: --interface eth0";
        return Err(refused(draft.problem("vip_interface", why).as_slice()));
    }
    Ok(draft)
}

impl InitCommand {
    fn printed(&self, draft: &Draft) -> Result<Printed, String> {
        let given = draft.is_given("k8s_config_file");
        let path = if given { draft.text("k8s_config_file") } else { SUPER_ADMIN.to_owned() };
        let mut printed = pod_with_host_file(draft, path, self.image.as_deref())?;
        if !given {
            printed.remarks.push(format!(
                "{SUPER_ADMIN} is on the first node only, from kubeadm 1.29 on; before that: \
                 --k8sConfigPath /etc/kubernetes/admin.conf. After kubeadm init put what viplet \
                 kubeadm join prints in this pod's place"
            ));
        }
        Ok(printed)
    }
}

impl JoinCommand {
    fn printed(&self, draft: &Draft) -> Result<Printed, String> {
        let path = self.config.clone().unwrap_or_else(|| draft.text("k8s_config_file"));
        if !Path::new(&path).is_file() {
            return Err(format!(
                "--config={}: there is no such file on this host; accepted: the kubeconfig that \
                 kubeadm join --control-plane writes, so run that first\nnothing was printed\n",
                path.escape_debug()
            ));
        }
        pod_with_host_file(draft, path, self.image.as_deref())
    }
}
