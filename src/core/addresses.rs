//! Addresses: who asks for each, what decides about it, what this node does about it.

pub mod announce;
pub mod claim;
pub(crate) mod eligibility;
pub(crate) mod handover;
pub(crate) mod hold;
pub(crate) mod plan;
pub(crate) mod requester;
