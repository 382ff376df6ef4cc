//! viplet as a library: the pure core, the Kubernetes transport, the shell and the command line.
//!
//! Start with [`core`]: it decides everything. [`shell`] is the only part that touches the world.

#![cfg_attr(not(test), deny(unused_crate_dependencies))]

// Only for its feature: it chooses the Kubernetes version that `kube` speaks.
use k8s_openapi as _;

mod backoff;
pub mod build_info;
pub mod cli;
pub mod config;
pub mod core;
mod dates;
pub mod kube;
mod ordered;
pub mod recording;
pub mod registry;
pub mod shell;
