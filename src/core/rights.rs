//! Who may hold what, and until when: elections by Lease, and the requests about many Leases.

pub(crate) mod candidacies;
pub(crate) mod candidacy;
pub mod election;
pub mod lease;
pub mod mark;
pub(crate) mod request_queue;
pub(crate) mod seen;
