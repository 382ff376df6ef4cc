//! Where the endpoints of each Service are: all its slices merged (EP-1, EP-2), every node's name
//! kept once.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use crate::core::cluster::record::{EndpointState, ServiceName, SliceName, SliceRecord};
use crate::ordered;

/// A node's place in the table of names, from one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct NodeId(NonZeroU32);

/// The endpoints of all Services.
#[derive(Clone, Debug, Default)]
pub(crate) struct Endpoints {
    names: Vec<Box<str>>,
    ids: BTreeMap<Box<str>, NodeId>,
    services: BTreeMap<ServiceName, Vec<Slice>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Slice {
    name: Box<str>,
    /// Where there are endpoints, and the best state of those there; `None`: on no node.
    places: Box<[(Option<NodeId>, EndpointState)]>,
    unready: u32,
}

/// What the endpoints of one Service allow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reach {
    /// Nodes with endpoints that take traffic, in order. While any endpoint is ready, those that
    /// are only terminating do not count.
    pub(crate) nodes: Vec<NodeId>,
    /// Whether any endpoint takes traffic, those without a node included.
    pub(crate) anywhere: Anywhere,
    /// Endpoints that do not take traffic.
    pub(crate) unready: u32,
}

/// Whether a Service has endpoints that take traffic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Anywhere {
    /// None.
    #[default]
    Nowhere,
    /// Some.
    Somewhere,
}

impl Endpoints {
    /// Swaps everything but `kept`; the Services for which something changed.
    pub(crate) fn replace<'a>(
        &mut self,
        slices: Vec<SliceRecord>,
        kept: impl Iterator<Item = &'a SliceName>,
    ) -> BTreeSet<ServiceName> {
        let before = std::mem::take(&mut self.services);
        for slice in slices {
            self.apply(slice);
        }
        for SliceName { service, name } in kept {
            let known = before.get(service).into_iter().flatten();
            for slice in known.filter(|slice| slice.name == *name) {
                self.put(service, slice.clone());
            }
        }
        let names = before.keys().chain(self.services.keys());
        let changed = names.filter(|name| before.get(name) != self.services.get(name));
        ordered::set(changed.cloned())
    }

    /// Takes one slice in; the Service, if something changed for it.
    pub(crate) fn apply(&mut self, record: SliceRecord) -> Option<ServiceName> {
        let slice = self.compact(&record);
        self.put(&record.service, slice)
    }

    fn put(&mut self, service: &ServiceName, slice: Slice) -> Option<ServiceName> {
        let slices = self.services.entry(service.clone()).or_default();
        match slices.binary_search_by(|known| known.name.cmp(&slice.name)) {
            Ok(place) => {
                let known = slices.get_mut(place)?;
                if *known == slice {
                    return None;
                }
                *known = slice;
            }
            Err(place) => {
                slices.reserve_exact(1); // Nearly always the only one.
                slices.insert(place, slice);
            }
        }
        Some(service.clone())
    }

    /// A slice is gone; the Service, if something changed for it.
    pub(crate) fn remove(&mut self, name: SliceName) -> Option<ServiceName> {
        let slices = self.services.get_mut(&name.service)?;
        let before = slices.len();
        slices.retain(|slice| slice.name != name.name);
        let changed = slices.len() < before;
        if slices.is_empty() {
            self.services.remove(&name.service);
        }
        changed.then_some(name.service)
    }

    fn compact(&mut self, record: &SliceRecord) -> Slice {
        let mut best: BTreeMap<Option<NodeId>, EndpointState> = BTreeMap::new();
        let mut unready = 0;
        for endpoint in &record.endpoints {
            if endpoint.state == EndpointState::Unready {
                unready += 1;
                continue;
            }
            let node = endpoint.node.as_deref().map(|name| self.intern(name));
            let state = best.entry(node).or_insert(endpoint.state);
            *state = endpoint.state.min(*state);
        }
        Slice { name: record.name.clone(), places: best.into_iter().collect(), unready }
    }

    fn intern(&mut self, name: &str) -> NodeId {
        if let Some(id) = self.ids.get(name) {
            return *id;
        }
        self.names.push(name.into());
        let number = u32::try_from(self.names.len()).ok().and_then(NonZeroU32::new);
        let id = NodeId(number.unwrap_or(NonZeroU32::MAX));
        self.ids.insert(name.into(), id);
        id
    }

    /// The name of a Service as it is kept here, if it has endpoints.
    #[must_use]
    pub(crate) fn known(&self, service: &ServiceName) -> Option<&ServiceName> {
        self.services.get_key_value(service).map(|(known, _)| known)
    }

    /// The id of a node, if any endpoint was ever on it.
    #[must_use]
    pub(crate) fn id(&self, node: &str) -> Option<NodeId> {
        self.ids.get(node).copied()
    }

    /// A node's name.
    #[must_use]
    pub(crate) fn name(&self, id: NodeId) -> &str {
        let number = usize::try_from(id.0.get()).unwrap_or(usize::MAX);
        self.names.get(number - 1).map_or("", |name| name)
    }

    /// What a Service's endpoints allow.
    #[must_use]
    pub(crate) fn reach(&self, service: &ServiceName) -> Reach {
        let slices = self.services.get(service).map_or(&[][..], |slices| slices);
        let places = || slices.iter().flat_map(|slice| slice.places.iter());
        // KEP-1669: terminating endpoints take traffic only while there are no ready ones.
        let any_ready = places().any(|(_, state)| *state == EndpointState::Ready);
        let counts = if any_ready { EndpointState::Ready } else { EndpointState::Serving };
        let usable = || places().filter(|(_, state)| *state == counts);
        let nodes = ordered::set(usable().filter_map(|(node, _)| *node));
        Reach {
            nodes: nodes.into_iter().collect(),
            anywhere: match usable().next() {
                Some(_) => Anywhere::Somewhere,
                None => Anywhere::Nowhere,
            },
            unready: slices.iter().map(|slice| slice.unready).sum(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::EndpointRecord;
    use super::*;

    fn web() -> ServiceName {
        ServiceName::new("default", "web")
    }

    fn slice(name: &str, endpoints: &[(&str, EndpointState)]) -> SliceRecord {
        let endpoint = |(node, state): &(&str, EndpointState)| EndpointRecord {
            node: (!node.is_empty()).then(|| (*node).into()),
            state: *state,
        };
        SliceRecord {
            service: web(),
            name: name.into(),
            endpoints: endpoints.iter().map(endpoint).collect(),
        }
    }

    fn nodes(endpoints: &Endpoints) -> Vec<String> {
        let reach = endpoints.reach(&web());
        reach.nodes.iter().map(|id| endpoints.name(*id).to_owned()).collect()
    }

    #[test]
    fn all_slices_of_a_service_count_and_one_that_goes_takes_only_its_own_endpoints() {
        let mut endpoints = Endpoints::default();
        endpoints.apply(slice("a", &[("n1", EndpointState::Ready)]));
        endpoints.apply(slice("b", &[("n2", EndpointState::Ready)]));
        assert_eq!(nodes(&endpoints), ["n1", "n2"]);
        endpoints.remove(SliceName { service: web(), name: "a".into() });
        assert_eq!(nodes(&endpoints), ["n2"]);
    }

    #[test]
    fn terminating_endpoints_count_only_while_none_is_ready() {
        let mut endpoints = Endpoints::default();
        let both = [("n1", EndpointState::Serving), ("n2", EndpointState::Ready)];
        endpoints.apply(slice("a", &both));
        assert_eq!(nodes(&endpoints), ["n2"]);
        endpoints.apply(slice("a", &[("n1", EndpointState::Serving)]));
        assert_eq!(nodes(&endpoints), ["n1"]);
        endpoints.apply(slice("a", &[("n1", EndpointState::Unready)]));
        let reach = endpoints.reach(&web());
        assert_eq!((reach.anywhere, reach.unready), (Anywhere::Nowhere, 1));
    }

    #[test]
    fn endpoints_without_a_node_count_somewhere_and_on_no_node() {
        let mut endpoints = Endpoints::default();
        endpoints.apply(slice("a", &[("", EndpointState::Ready)]));
        let reach = endpoints.reach(&web());
        assert_eq!((reach.anywhere, reach.nodes.len()), (Anywhere::Somewhere, 0));
    }

    #[test]
    fn a_new_list_tells_which_services_changed_and_the_same_slice_again_changes_nothing() {
        let mut endpoints = Endpoints::default();
        let a = slice("a", &[("n1", EndpointState::Ready)]);
        assert_eq!(endpoints.apply(a.clone()), Some(web()));
        assert_eq!(endpoints.apply(a.clone()), None);
        assert!(endpoints.replace(vec![a], std::iter::empty()).is_empty());
        assert_eq!(
            endpoints.replace(vec![], std::iter::empty()),
            BTreeSet::from([web()]),
            "gone during a gap"
        );
    }
}
