//! The resources that viplet touches, and how objects are named.

use super::ApiError;

/// Whether a resource's objects live in namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Each object is in a namespace.
    Namespaced,
    /// Names are unique in the cluster.
    Cluster,
}

/// A resource that the model knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resource {
    /// `v1` ConfigMap.
    ConfigMaps,
    /// `v1` Endpoints.
    Endpoints,
    /// `discovery.k8s.io/v1` EndpointSlice.
    EndpointSlices,
    /// `v1` Event.
    Events,
    /// `coordination.k8s.io/v1` Lease.
    Leases,
    /// `v1` Namespace.
    Namespaces,
    /// `v1` Node.
    Nodes,
    /// `v1` Pod.
    Pods,
    /// `v1` Secret.
    Secrets,
    /// `v1` Service.
    Services,
}

impl Resource {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::ConfigMaps,
        Self::Endpoints,
        Self::EndpointSlices,
        Self::Events,
        Self::Leases,
        Self::Namespaces,
        Self::Nodes,
        Self::Pods,
        Self::Secrets,
        Self::Services,
    ];

    /// The resource at `/apis/GROUP/v1/PLURAL`, or `/api/v1/PLURAL` for the empty group.
    #[must_use]
    pub fn find(group: &str, version: &str, plural: &str) -> Option<Self> {
        let known = |r: &Self| r.group() == group && version == "v1" && r.plural() == plural;
        Self::ALL.into_iter().find(known)
    }

    /// The API group, empty for the core group.
    #[must_use]
    pub fn group(self) -> &'static str {
        match self {
            Self::Leases => "coordination.k8s.io",
            Self::EndpointSlices => "discovery.k8s.io",
            _ => "",
        }
    }

    /// `apiVersion` of its objects.
    #[must_use]
    pub fn api_version(self) -> String {
        if self.group().is_empty() { "v1".to_owned() } else { format!("{}/v1", self.group()) }
    }

    /// The name in paths.
    #[must_use]
    pub fn plural(self) -> &'static str {
        match self {
            Self::ConfigMaps => "configmaps",
            Self::Endpoints => "endpoints",
            Self::EndpointSlices => "endpointslices",
            Self::Events => "events",
            Self::Leases => "leases",
            Self::Namespaces => "namespaces",
            Self::Nodes => "nodes",
            Self::Pods => "pods",
            Self::Secrets => "secrets",
            Self::Services => "services",
        }
    }

    /// `kind` of its objects.
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self {
            Self::ConfigMaps => "ConfigMap",
            Self::Endpoints => "Endpoints",
            Self::EndpointSlices => "EndpointSlice",
            Self::Events => "Event",
            Self::Leases => "Lease",
            Self::Namespaces => "Namespace",
            Self::Nodes => "Node",
            Self::Pods => "Pod",
            Self::Secrets => "Secret",
            Self::Services => "Service",
        }
    }

    /// Whether it lives in namespaces.
    #[must_use]
    pub fn scope(self) -> Scope {
        match self {
            Self::Namespaces | Self::Nodes => Scope::Cluster,
            _ => Scope::Namespaced,
        }
    }

    /// Whether `status` is a subresource of its own.
    #[must_use]
    pub fn has_status(self) -> bool {
        matches!(self, Self::Services | Self::Nodes | Self::Namespaces | Self::Pods)
    }

    /// Whether PUT creates what is not there.
    #[must_use]
    pub fn is_created_by_update(self) -> bool {
        matches!(self, Self::Leases | Self::Services | Self::Endpoints | Self::Events)
    }

    /// Plural with the group, as errors name it: `leases.coordination.k8s.io`.
    #[must_use]
    pub fn qualified(self) -> String {
        suffixed(self.plural(), self.group())
    }

    /// Kind with the group, as validation errors name it: `Lease.coordination.k8s.io`.
    #[must_use]
    pub fn qualified_kind(self) -> String {
        suffixed(self.kind(), self.group())
    }
}

fn suffixed(name: &str, group: &str) -> String {
    if group.is_empty() { name.to_owned() } else { format!("{name}.{group}") }
}

/// One object's place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// Its resource.
    pub resource: Resource,
    /// Its namespace; empty for cluster-scoped resources.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl Key {
    /// The key of `name` in `namespace` (ignored for cluster-scoped resources).
    #[must_use]
    pub fn new(resource: Resource, namespace: &str, name: &str) -> Self {
        let namespace = match resource.scope() {
            Scope::Namespaced => namespace.to_owned(),
            Scope::Cluster => String::new(),
        };
        Self { resource, namespace, name: name.to_owned() }
    }
}

/// What a list or a watch is about: a resource, in one namespace or in all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collection {
    /// The resource.
    pub resource: Resource,
    /// The namespace; `None`: all of them, or the resource is cluster-scoped.
    pub namespace: Option<String>,
}

impl Collection {
    /// A resource in all namespaces.
    #[must_use]
    pub fn all(resource: Resource) -> Self {
        Self { resource, namespace: None }
    }

    /// A resource in one namespace.
    #[must_use]
    pub fn within(resource: Resource, namespace: &str) -> Self {
        Self { resource, namespace: Some(namespace.to_owned()) }
    }

    /// Whether the object at `key` belongs to it.
    #[must_use]
    pub fn contains(&self, key: &Key) -> bool {
        let here = self.namespace.as_ref().is_none_or(|ns| *ns == key.namespace);
        key.resource == self.resource && (here || self.resource.scope() == Scope::Cluster)
    }

    /// The namespace that an object created here gets; an object needs one.
    pub(super) fn creation_namespace(&self) -> Result<&str, ApiError> {
        match (self.resource.scope(), &self.namespace) {
            (Scope::Cluster, _) => Ok(""),
            (Scope::Namespaced, Some(namespace)) => Ok(namespace),
            (Scope::Namespaced, None) => Err(ApiError::not_allowed()),
        }
    }
}
