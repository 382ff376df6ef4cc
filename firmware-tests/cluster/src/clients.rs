//! The clients that ask the Service while something happens.

use std::net::SocketAddr;
use std::time::Instant;

use viplet_lab::wait_until;

use crate::cluster::{Cluster, SERVICE};
use crate::stage::SOON;
use crate::traffic::{Figures, Manner, Traffic};

/// The clients of one scene: one that connects anew each time, one that keeps its connection.
pub struct Clients {
    connecting: Traffic,
    keeping: Traffic,
    since: Instant,
}

impl Clients {
    /// Starts them and waits until they are answered.
    #[track_caller]
    pub fn start(cluster: &Cluster) -> Self {
        let server = SocketAddr::from((SERVICE, 80));
        let start = |manner| Traffic::start(&cluster.lab.client, server, manner);
        let (connecting, keeping) = (start(Manner::Connect), start(Manner::Keep));
        wait_until("the Service answers the client", SOON, || {
            connecting.answers() && keeping.answers()
        });
        Self { connecting, keeping, since: Instant::now() }
    }

    /// Waits until new connections are answered again.
    #[track_caller]
    pub fn wait_for_answers(&self) {
        let since = Instant::now();
        wait_until("the Service answers the client", SOON, || {
            !self.connecting.servers(since).is_empty() && self.connecting.answers()
        });
    }

    /// What new connections saw since the start.
    pub fn connecting(&self) -> Figures {
        self.connecting.since(self.since)
    }

    /// What the kept connection saw since the start.
    pub fn keeping(&self) -> Figures {
        self.keeping.since(self.since)
    }
}
