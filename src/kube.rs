//! Kubernetes over smol: where the API server is, how to reach it, the few objects we touch.
//!
//! `::kube` (its core) builds requests and decodes watch events and status; the transport is ours:
//! hyper's HTTP/1.1 client over smol sockets and rustls, on one single-threaded executor.
//! [`access`] finds the credentials, [`Api`] keeps them, a [`Connection`] carries one request at a
//! time, [`LeaseClient`] renews on a connection of its own, [`watch_lease`] follows one Lease.

// Not called: the `kube` crate needs one of its API versions chosen.
use k8s_openapi as _;

pub mod access;

mod connection;
mod dial;
mod endpoint;
mod error;
mod events;
mod framing;
#[doc(hidden)]
pub mod fuzz;
mod json;
mod kubeconfig;
mod lease;
mod lease_client;
mod leases;
mod marks;
mod node_annotations;
mod nodes;
mod probe;
mod service_change;
mod service_client;
mod services;
mod slices;
mod tls;
mod transport;
mod watch;

pub use access::{Access, AccessError, AccessSettings, ControlPlane, Detect};
pub use connection::{Answer, Connection, Stream};
pub use endpoint::{Endpoint, Host, Scheme, without_user};
pub use error::{ApiError, Kind};
pub use events::record_event;
pub use framing::{LineTooLong, Lines};
pub use json::read_json;
pub use lease::Lease;
pub use lease_client::{LeaseClient, LeaseMemory};
pub use leases::{Coverage, LeaseNews, watch_lease};
pub use marks::mark_lease;
pub use node_annotations::read_annotations;
pub use nodes::{node_scope, set_label, set_labels, without_foreign_labels};
pub use probe::Probe;
pub use service_change::{Applied, NotApplied, apply_to_service};
pub use service_client::update_service;
pub use services::service_scope;
pub use slices::{EndpointSlice, Endpoints};
pub use transport::{Api, Reloaded};
pub use watch::{Event, Pace, Scope, Watch, Watched};

/// The path of a resource's objects, in one namespace or in all; all groups that we read are `v1`.
fn collection(group: &str, namespace: Option<&str>, plural: &str) -> String {
    let root = if group.is_empty() { "/api/v1".to_owned() } else { format!("/apis/{group}/v1") };
    match namespace {
        Some(namespace) => format!("{root}/namespaces/{namespace}/{plural}"),
        None => format!("{root}/{plural}"),
    }
}

/// Whether `text` can stand in a path as the name that it is.
fn is_name(text: &str) -> bool {
    let of_a_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    !text.is_empty() && text != "." && text != ".." && text.chars().all(of_a_name)
}
