//! The cluster as its API server tells of it: Services, their endpoints, nodes, as compact records.

pub(crate) mod endpoints;
pub(crate) mod nodes;
pub mod record;
pub(crate) mod unreadable;
