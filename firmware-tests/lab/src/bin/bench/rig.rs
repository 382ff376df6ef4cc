//! The lab of the benchmark: one API server for the whole run, three nodes that run one program
//! after the other, and everything put back in between.

use std::net::IpAddr;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use viplet_lab::api::ApiKind;
use viplet_lab::cluster::{Cluster, Plan, Timing};
use viplet_lab::rtnl::Lifetime;
use viplet_lab::topology::Wire;
use viplet_lab::{Capture, Prober};

/// A program that is measured.
#[derive(Clone, Debug)]
pub(crate) struct Contender {
    /// What the table calls it.
    pub(crate) name: &'static str,
    /// Its binary.
    pub(crate) path: PathBuf,
}

/// Lab and API server.
#[derive(Debug)]
pub(crate) struct Rig {
    /// The lab itself.
    pub(crate) cluster: Cluster,
}

/// Whether the client hears the address again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Silence {
    /// It does.
    Over,
    /// It does not, for as long as was waited.
    Lasting,
}

/// How often the client asks: a silence is known to this.
const PROBE_EVERY: Duration = Duration::from_millis(1);
/// From a holder on, until the others have surely read the lease and watch it.
const SETTLE: Duration = Duration::from_secs(2);
pub(crate) const NODES: u8 = 3;

impl Rig {
    /// Builds it; nothing that is measured runs yet.
    ///
    /// # Errors
    /// There is no real API server here.
    pub(crate) fn new() -> Result<Self, String> {
        let plan = Plan::new(NODES).api(ApiKind::Real).probe_every(PROBE_EVERY);
        let cluster = Cluster::try_new(plan).map_err(|why| why.to_string())?;
        Ok(Self { cluster })
    }

    /// A lab of another plan instead of this one: for scenes that fill the API server.
    pub(crate) fn renew(&mut self, plan: Plan) {
        self.cluster = Cluster::new(plan);
    }

    /// The address.
    pub(crate) fn vip(&self) -> IpAddr {
        self.cluster.vip()
    }

    /// The client's pings.
    pub(crate) fn prober(&self) -> &Prober {
        self.cluster.prober()
    }

    /// The client's capture.
    pub(crate) fn capture(&self) -> &Capture {
        &self.cluster.capture
    }

    /// As it was at first: no program, no address, all cables, no Lease.
    pub(crate) fn clear(&mut self) {
        for node in 0..NODES.into() {
            self.cluster.retire(node);
        }
        self.take_address();
        for node in 0..NODES.into() {
            self.cluster.lab.restore(node, Wire::Lan);
            self.cluster.lab.restore(node, Wire::Mgmt);
        }
        self.cluster.api.delete_lease(&self.cluster.lab.api);
        let gone = |rig: &Self| rig.holders().is_empty().then_some(());
        self.until(Duration::from_secs(5), gone);
    }

    /// Takes the address off every node: kube-vip leaves it behind when it is killed.
    pub(crate) fn take_address(&mut self) {
        let vip = self.vip();
        for node in &self.cluster.lab.nodes {
            node.rtnl(move |rtnl| {
                let left = rtnl.addresses().into_iter().filter(|listed| listed.address == vip);
                for listed in left.collect::<Vec<_>>() {
                    let _ = rtnl.remove_address(Wire::Lan.link(), (vip, listed.prefix));
                }
            });
        }
    }

    /// Gives the first node the address for good, with nothing running.
    pub(crate) fn give_address(&mut self) {
        let vip = self.vip();
        let set = move |rtnl: &mut viplet_lab::rtnl::Rtnl| {
            rtnl.set_address(Wire::Lan.link(), (vip, 32), Lifetime::FOREVER)
        };
        self.cluster.lab.nodes[0].rtnl(set).expect("an address");
    }

    /// Starts a program on a node; the moment before its exec.
    pub(crate) fn start(&mut self, contender: &Contender, timing: Timing, node: usize) -> Instant {
        let Timing(lease, deadline, retry) = timing;
        let program = self.cluster.manager(contender.path.clone(), node);
        let program = program
            .env("vip_leaseduration", &lease.to_string())
            .env("vip_renewdeadline", &deadline.to_string())
            .env("vip_retryperiod", &retry.to_string());
        self.cluster.run(node, &program).started
    }

    /// Everything anew with the program on all nodes, settled; then waits for `phase` (0 to 1) of
    /// a renewal period, so that repetitions spread over it. The holder, if there came to be one.
    pub(crate) fn assemble(
        &mut self,
        contender: &Contender,
        timing: Timing,
        phase: f64,
    ) -> Option<usize> {
        self.clear();
        for node in 0..NODES.into() {
            self.start(contender, timing, node);
        }
        let single = |rig: &Self| match rig.holders().as_slice() {
            [one] if rig.prober().answers() => Some(*one),
            _ => None,
        };
        let holder = self.until(Duration::from_secs(30), single)?;
        // viplet renews after a third of the lease, kube-vip after each retry period.
        sleep(SETTLE + (timing.lease() / 3).mul_f64(phase));
        Some(holder)
    }

    /// Who has the address, as seen last.
    pub(crate) fn holders(&self) -> Vec<usize> {
        self.cluster.watch.holders(self.vip())
    }

    /// Waits until the client hears a node other than `old`, then a second more, as the old one's
    /// word may come late.
    pub(crate) fn until_other(&self, old: usize, limit: Duration) -> Silence {
        let other = |rig: &Self| {
            let another = rig.holders().iter().any(|node| *node != old);
            (another && rig.prober().answers()).then_some(Silence::Over)
        };
        let came = self.until(limit, other);
        sleep(Duration::from_secs(1));
        came.unwrap_or(Silence::Lasting)
    }

    /// Whether the client hears the address now.
    pub(crate) fn silence(&self) -> Silence {
        if self.prober().answers() { Silence::Over } else { Silence::Lasting }
    }

    /// Polls until `probe` gives something, or `limit` is over.
    pub(crate) fn until<T>(
        &self,
        limit: Duration,
        probe: impl Fn(&Self) -> Option<T>,
    ) -> Option<T> {
        let start = Instant::now();
        while start.elapsed() < limit {
            let found = probe(self);
            if found.is_some() {
                return found;
            }
            sleep(Duration::from_millis(2));
        }
        None
    }
}
