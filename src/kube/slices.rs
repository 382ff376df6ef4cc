//! EndpointSlices (`discovery.k8s.io/v1`), or Endpoints (`v1`), as [`SliceRecord`].

use serde::Deserialize;

use super::json::read_json;
use super::services::Named;
use super::watch::{Scope, Watched};
use crate::core::cluster::record::{
    EndpointRecord, EndpointState, ServiceName, SliceName, SliceRecord,
};

/// The label that says which Service a slice belongs to.
const SERVICE: &str = "kubernetes.io/service-name";

/// An EndpointSlice of a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointSlice(pub SliceRecord);

/// An Endpoints object, which is named as its Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints(pub SliceRecord);

impl EndpointSlice {
    /// What to watch: the slices that belong to a Service. One that loses its label leaves the
    /// selection, which the server tells as its deletion.
    #[must_use]
    pub fn scope(namespace: Option<&str>) -> Scope {
        Scope {
            path: super::collection("discovery.k8s.io", namespace, "endpointslices"),
            fields: None,
            labels: Some(SERVICE.to_owned()),
            page: 40,
        }
    }
}

impl Endpoints {
    /// What to watch.
    #[must_use]
    pub fn scope(namespace: Option<&str>) -> Scope {
        let path = super::collection("", namespace, "endpoints");
        Scope { path, fields: None, labels: None, page: 40 }
    }
}

impl From<EndpointSlice> for SliceRecord {
    fn from(EndpointSlice(slice): EndpointSlice) -> Self {
        slice
    }
}

impl From<Endpoints> for SliceRecord {
    fn from(Endpoints(slice): Endpoints) -> Self {
        slice
    }
}

impl Watched for EndpointSlice {
    type Key = SliceName;

    fn read(json: &str) -> Result<Option<Self>, String> {
        let slice: WireSlice = read_json(json)?;
        let Some(SliceName { service, name }) = slice.metadata.key() else { return Ok(None) };
        let endpoints = slice.endpoints.into_iter().flatten().map(WireEndpoint::record).collect();
        Ok(Some(Self(SliceRecord { service, name, endpoints })))
    }

    fn key(json: &str) -> Result<Option<SliceName>, String> {
        let slice: Labelled = read_json(json)?;
        Ok(slice.metadata.key())
    }
}

impl Watched for Endpoints {
    type Key = SliceName;

    fn read(json: &str) -> Result<Option<Self>, String> {
        let endpoints: WireEndpoints = read_json(json)?;
        let SliceName { service, name } = key_of(endpoints.metadata);
        let subsets = endpoints.subsets.into_iter().flatten();
        let endpoints = subsets.flat_map(Subset::records).collect();
        Ok(Some(Self(SliceRecord { service, name, endpoints })))
    }

    fn key(json: &str) -> Result<Option<SliceName>, String> {
        let named: Named = read_json(json)?;
        Ok(Some(key_of(named.metadata)))
    }
}

#[derive(Deserialize)]
struct Labelled {
    metadata: Metadata,
}

#[derive(Deserialize)]
struct WireSlice {
    metadata: Metadata,
    endpoints: Option<Vec<WireEndpoint>>,
}

#[derive(Deserialize)]
struct Metadata {
    namespace: Box<str>,
    name: Box<str>,
    labels: Option<Labels>,
}

#[derive(Deserialize)]
struct Labels {
    #[serde(rename = "kubernetes.io/service-name")]
    service: Option<Box<str>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireEndpoint {
    conditions: Option<Conditions>,
    node_name: Option<Box<str>>,
    hostname: Option<Box<str>>,
}

#[derive(Clone, Copy, Default, Deserialize)]
struct Conditions {
    ready: Option<bool>,
    serving: Option<bool>,
}

#[derive(Deserialize)]
struct WireEndpoints {
    metadata: super::services::Name,
    subsets: Option<Vec<Subset>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Subset {
    addresses: Option<Vec<Address>>,
    not_ready_addresses: Option<Vec<Address>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Address {
    node_name: Option<Box<str>>,
    hostname: Option<Box<str>>,
}

impl Metadata {
    fn key(self) -> Option<SliceName> {
        let service = self.labels?.service.filter(|service| !service.is_empty())?;
        let service = ServiceName::new(&self.namespace, &service);
        Some(SliceName { service, name: self.name })
    }
}

fn key_of(named: super::services::Name) -> SliceName {
    let name = named.name.clone();
    let service = ServiceName::new(&named.namespace, &named.name);
    SliceName { service, name }
}

impl WireEndpoint {
    fn record(self) -> EndpointRecord {
        let state = self.conditions.unwrap_or_default().state();
        EndpointRecord { node: place(self.node_name, self.hostname), state }
    }
}

impl Conditions {
    /// KEP-1669: nothing said is `ready`, and `serving` is as `ready` where it is not said.
    fn state(self) -> EndpointState {
        let ready = self.ready.unwrap_or(true);
        match (ready, self.serving.unwrap_or(ready)) {
            (true, _) => EndpointState::Ready,
            (false, true) => EndpointState::Serving,
            (false, false) => EndpointState::Unready,
        }
    }
}

impl Subset {
    fn records(self) -> impl Iterator<Item = EndpointRecord> {
        let all = |addresses: Option<Vec<Address>>, state| {
            addresses.into_iter().flatten().map(move |address| EndpointRecord {
                node: place(address.node_name, address.hostname),
                state,
            })
        };
        all(self.addresses, EndpointState::Ready)
            .chain(all(self.not_ready_addresses, EndpointState::Unready))
    }
}

/// EP-2.
fn place(node: Option<Box<str>>, hostname: Option<Box<str>>) -> Option<Box<str>> {
    [node, hostname].into_iter().flatten().find(|text| !text.is_empty())
}

#[cfg(test)]
mod tests;
