//! viplet as a library: the pure core, the Kubernetes transport, the shell and the command line.
//!
//! Start with [`core`]: it decides everything. [`shell`] is the only part that touches the world.

pub mod build_info;
pub mod cli;
pub mod config;
pub mod core;
pub mod kube;
pub mod registry;
pub mod shell;
