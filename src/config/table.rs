//! THE table: each setting once. Flags, environment, file, reference page and validation come from it.
//!
//! Meant to hold every setting of kube-vip, those of features which this build may lack included:
//! such a one is refused by name, never ignored.

mod bgp;
mod control_plane;
mod elsewhere;
mod past;
pub mod printed;
mod process;
mod services;

use super::setting::Setting;

/// A chapter of the table.
#[derive(Clone, Copy, Debug)]
pub struct Group {
    /// Its heading on the reference page.
    pub title: &'static str,
    /// Its settings.
    pub settings: &'static [Setting],
}

/// All chapters.
pub const GROUPS: &[Group] = &[
    Group { title: "The process", settings: process::SETTINGS },
    Group { title: "Modes", settings: control_plane::MODES },
    Group { title: "The control-plane address", settings: control_plane::ADDRESS },
    Group { title: "Its election", settings: control_plane::ELECTION },
    Group { title: "Its health check", settings: control_plane::HEALTH_CHECK },
    Group { title: "Its load balancer", settings: control_plane::LOAD_BALANCER },
    Group { title: "Services", settings: services::SETTINGS },
    Group { title: "Egress", settings: services::EGRESS },
    Group { title: "DHCP and dynamic DNS", settings: elsewhere::DHCP },
    Group { title: "BGP", settings: bgp::SETTINGS },
    Group { title: "BGP, beyond kube-vip's", settings: bgp::OURS },
    Group { title: "Routing table", settings: elsewhere::ROUTING_TABLE },
    Group { title: "etcd", settings: elsewhere::ETCD },
    Group { title: "Without effect", settings: past::NO_EFFECT },
    Group { title: "Removed", settings: past::REMOVED },
];

/// Variables that viplet reads but that are not settings: Kubernetes and the shell set them.
pub const SURROUNDINGS: &[(&str, &str)] = &[
    ("KUBERNETES_SERVICE_HOST", "The API server's address inside a pod; the kubelet sets it"),
    ("KUBERNETES_SERVICE_PORT_HTTPS", "The API server's port inside a pod; the kubelet sets it"),
    ("HOME", "$HOME/.kube/config is the second place where a kubeconfig is looked for"),
];

/// Every setting, in the order of the reference page.
pub fn all() -> impl Iterator<Item = &'static Setting> {
    GROUPS.iter().flat_map(|group| group.settings)
}

/// The setting of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Setting> {
    all().find(|setting| setting.name == name)
}

/// The setting that this flag (without dashes) belongs to.
#[must_use]
pub fn by_flag(flag: &str) -> Option<&'static Setting> {
    all().find(|setting| setting.flags.contains(&flag))
}

/// The setting that this key of a settings file belongs to; case does not matter.
#[must_use]
pub fn by_file_key(key: &str) -> Option<&'static Setting> {
    let names = |setting: &&Setting| {
        let mut names = setting.file.iter().chain(setting.environment);
        names.any(|name| name.eq_ignore_ascii_case(key))
    };
    all().find(names)
}

/// The known name that is most like `name`, when one is.
#[must_use]
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase();
    let far = name.chars().count() / 3 + 1;
    known
        .map(|candidate| (strsim::levenshtein(&name, &candidate.to_lowercase()), candidate))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, _)| *distance <= far)
        .map(|(_, candidate)| candidate)
}
