//! A real Kubernetes cluster on one machine: API server, controller manager and scheduler, and three
//! nodes in network namespaces, each with containerd, kubelet, kube-proxy and real containers. In it
//! run viplet's image and manifests, while a client asks a Service over HTTP.
//!
//! Everything lives in a PID namespace and on mounts of its own ([`confine`]): it is gone when the
//! process is, however that ends.

#![cfg_attr(not(test), deny(unused_crate_dependencies))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

pub mod clients;
pub mod cluster;
pub mod confine;
pub mod demo;
pub mod image;
pub mod machine;
pub mod manifest;
pub mod parts;
pub mod pids;
mod relay;
pub mod scenes;
pub mod stage;
pub mod traffic;

pub use clients::Clients;
pub use cluster::Cluster;
pub use parts::Parts;
pub use traffic::Traffic;
