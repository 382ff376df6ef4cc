//! Kubernetes over smol: where the API server is, how to reach it, the few objects we touch.
//!
//! `::kube` (its core) builds requests and decodes watch events and status; the transport is ours:
//! hyper's HTTP/1.1 client over smol sockets and rustls, on one single-threaded executor.
//! [`access`] finds the credentials, [`Api`] keeps them, a [`Connection`] carries one request at a
//! time, [`LeaseClient`] renews on a connection of its own, [`watch_leases`] follows one Lease.

// Not called: the `kube` crate needs one of its API versions chosen.
use k8s_openapi as _;

pub mod access;
mod backoff;
mod connection;
mod dial;
mod endpoint;
mod error;
mod framing;
mod kubeconfig;
mod lease_client;
mod leases;
mod nodes;
mod tls;
mod transport;
mod watch;

pub use access::{Access, AccessError, AccessSettings, ControlPlane, Detect};
pub use connection::{Answer, Connection, Stream};
pub use endpoint::{Endpoint, Host, Scheme};
pub use error::{ApiError, Kind};
pub use framing::{LineTooLong, Lines};
pub use lease_client::{LeaseClient, LeaseMemory};
pub use leases::{Lease, LeaseNews, watch_leases};
pub use nodes::set_label;
pub use transport::{Api, Reloaded};
pub use watch::{Event, Pace, Scope, Watch, Watched};
