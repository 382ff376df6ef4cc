//! What a request is about: the path and the query of a Kubernetes REST call.

use viplet_sim::api::{ApiError, Collection, Key, Part, Resource, Scope};

/// The place that a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// A list, a watch or a creation.
    Collection(Collection),
    /// One object, or its status.
    Object(Key, Part),
}

impl Target {
    /// The target of `/api/v1/...` or `/apis/GROUP/VERSION/...`.
    pub(super) fn parse(path: &str) -> Result<Self, ApiError> {
        let steps: Vec<&str> = path.trim_matches('/').split('/').collect();
        let (group, version, rest) = match steps.as_slice() {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return Err(unknown()),
        };
        let find = |plural: &str| Resource::find(group, version, plural).ok_or_else(unknown);
        match rest {
            // `namespaces` is a resource and a step on the way to others.
            ["namespaces", name, "status"] => {
                Self::object(find("namespaces")?, "", name, Part::Status)
            }
            ["namespaces", name] => Self::object(find("namespaces")?, "", name, Part::Main),
            ["namespaces", space, plural] => {
                Ok(Self::Collection(Collection::within(find(plural)?, space)))
            }
            ["namespaces", space, plural, name] => {
                Self::object(find(plural)?, space, name, Part::Main)
            }
            ["namespaces", space, plural, name, "status"] => {
                Self::object(find(plural)?, space, name, Part::Status)
            }
            [plural] => Ok(Self::Collection(Collection::all(find(plural)?))),
            [plural, name] => Self::object(find(plural)?, "", name, Part::Main),
            [plural, name, "status"] => Self::object(find(plural)?, "", name, Part::Status),
            _ => Err(unknown()),
        }
    }

    fn object(resource: Resource, space: &str, name: &str, part: Part) -> Result<Self, ApiError> {
        let namespaced = resource.scope() == Scope::Namespaced;
        let missing_status = part == Part::Status && !resource.has_status();
        if namespaced == space.is_empty() || missing_status {
            return Err(unknown());
        }
        Ok(Self::Object(Key::new(resource, space, name), part))
    }

    /// The resource in question.
    pub(super) fn resource(&self) -> Resource {
        match self {
            Self::Collection(collection) => collection.resource,
            Self::Object(key, _) => key.resource,
        }
    }
}

fn unknown() -> ApiError {
    ApiError::new(404, "NotFound", "the server could not find the requested resource")
}

/// The parameters after the `?`.
#[derive(Clone, Debug, Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn parse(text: &str) -> Self {
        let pairs = form_urlencoded::parse(text.as_bytes());
        Self(pairs.map(|(name, value)| (name.into_owned(), value.into_owned())).collect())
    }

    /// A parameter's value; empty when it is not there.
    pub(super) fn text(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value.as_str())
    }

    /// Whether a parameter is given as true (`?watch`, `?watch=1`, `?watch=true`).
    pub(super) fn is_set(&self, name: &str) -> bool {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.is_some_and(|(_, value)| !matches!(value.as_str(), "0" | "false"))
    }

    /// A parameter that is a number; 0 when it is not there.
    pub(super) fn number(&self, name: &str) -> Result<u64, ApiError> {
        match self.text(name) {
            "" => Ok(0),
            text => text.parse().map_err(|_| {
                ApiError::bad_request(format!("{name} is {text:?}: a number is wanted"))
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_a_collection_or_an_object() {
        let lease = Key::new(Resource::Leases, "kube-system", "plndr-cp-lock");
        let path = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/plndr-cp-lock";
        assert_eq!(Target::parse(path).unwrap(), Target::Object(lease, Part::Main));
        let node = Key::new(Resource::Nodes, "", "n1");
        assert_eq!(
            Target::parse("/api/v1/nodes/n1/status").unwrap(),
            Target::Object(node, Part::Status)
        );
        let services = Collection::within(Resource::Services, "web");
        let path = "/api/v1/namespaces/web/services";
        assert_eq!(Target::parse(path).unwrap(), Target::Collection(services));
        let space = Key::new(Resource::Namespaces, "", "web");
        assert_eq!(
            Target::parse("/api/v1/namespaces/web").unwrap(),
            Target::Object(space, Part::Main)
        );
    }

    #[test]
    fn a_path_that_names_nothing_is_not_found() {
        for path in [
            "/",
            "/api/v1/leases/a",
            "/api/v2/nodes",
            "/apis/apps/v1/deployments",
            "/api/v1/services/web",
            "/apis/coordination.k8s.io/v1/namespaces/a/leases/b/status",
        ] {
            assert_eq!(Target::parse(path).unwrap_err().code, 404, "{path}");
        }
    }
}
