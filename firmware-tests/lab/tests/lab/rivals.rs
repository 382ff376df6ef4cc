//! The real kube-apiserver, and other programs on the same lease: client-go's own election, and
//! kube-vip.

use std::path::PathBuf;
use std::time::Duration;

use libtest_mimic::Trial;
use rustix::process::Signal;
use viplet_kubeapi::real::find_candidate;
use viplet_lab::api::ApiKind;
use viplet_lab::cluster::{Cluster, Plan, Timing};
use viplet_lab::wait::stays_for;
use viplet_lab::{Process, Program, timed, wait_until};

use crate::case::{SOON, skip, skip_unless_required};

type Body = fn(&mut Cluster, PathBuf);

/// What a test needs beside the real API server.
#[derive(Clone, Copy)]
enum Need {
    Nothing,
    Candidate,
    KubeVip,
}

impl Need {
    fn find(self) -> Result<PathBuf, String> {
        match self {
            Self::Nothing => Ok(PathBuf::new()),
            Self::Candidate => find_candidate(),
            Self::KubeVip => find_kube_vip(),
        }
    }

    fn missing(self, name: &str, why: &str) {
        match self {
            // It is somebody else's: nobody has to have it.
            Self::KubeVip => skip(name, why),
            Self::Nothing | Self::Candidate => skip_unless_required(name, why),
        }
    }
}

pub(crate) fn trials() -> Vec<Trial> {
    let tests: [(&str, u8, Need, Body); 6] = [
        ("on the real API server the address is taken and moves", 3, Need::Nothing, moves),
        (
            "the real API server restarts within the lease and is not missed",
            3,
            Need::Nothing,
            restarts,
        ),
        (
            "a client-go candidate takes over from viplet, released and expired",
            1,
            Need::Candidate,
            to_candidate,
        ),
        (
            "viplet takes over from a client-go candidate, released and expired",
            1,
            Need::Candidate,
            from_candidate,
        ),
        ("viplet takes over from kube-vip when it is stopped", 2, Need::KubeVip, from_kube_vip),
        ("kube-vip takes over from viplet when it is stopped", 2, Need::KubeVip, to_kube_vip),
    ];
    let trial = |(name, nodes, need, body): (&'static str, u8, Need, Body)| {
        Trial::test(name, move || {
            timed(name, || run(name, nodes, need, body));
            Ok(())
        })
    };
    tests.into_iter().map(trial).collect()
}

fn run(name: &str, nodes: u8, need: Need, body: Body) {
    let program = match need.find() {
        Ok(program) => program,
        Err(why) => return need.missing(name, &why),
    };
    let plan = Plan::new(nodes).api(ApiKind::Real).timing(Timing::FAST);
    match Cluster::try_new(plan) {
        Ok(mut cluster) => {
            body(&mut cluster, program);
            cluster.assert_single_holder(Duration::ZERO);
        }
        Err(why) => skip_unless_required(name, &why.to_string()),
    }
}

pub(crate) fn find_kube_vip() -> Result<PathBuf, String> {
    let path = std::env::var_os("KUBE_VIP").ok_or("KUBE_VIP does not name a kube-vip binary")?;
    std::fs::canonicalize(&path).map_err(|why| format!("KUBE_VIP: {why}"))
}

fn moves(cluster: &mut Cluster, _: PathBuf) {
    cluster.start_all();
    let first = cluster.wait_for_holder(SOON);
    cluster.signal(first, Signal::TERM);
    let second = cluster.wait_for_other_holder(first, SOON);
    cluster.start(first);
    cluster.process(second).kill();
    let third = cluster.wait_for_other_holder(second, cluster.timing().lease() + SOON);
    let lease = cluster.lease().expect("a lease");
    assert_eq!(lease.holder, cluster.lab.nodes[third].name);
    assert!(lease.transitions >= 2, "{lease:?}");
}

fn restarts(cluster: &mut Cluster, _: PathBuf) {
    cluster.start_all();
    let holder = cluster.wait_for_holder(SOON);
    cluster.api.kill_real();
    cluster.api.start_real_again(&cluster.lab.api);
    // A slow machine may need longer than the lease for it: then the address goes and returns.
    let gone = cluster.watch.timeline(cluster.vip()).spans.len() > 1;
    cluster.wait_for_holder(2 * SOON);
    if !gone {
        let renewed = cluster.lease().expect("a lease").renewed;
        wait_until("it renews", SOON, || {
            cluster.lease().is_some_and(|lease| lease.renewed != renewed)
        });
        assert!(cluster.is_running(holder));
    }
}

fn candidate(cluster: &Cluster, program: PathBuf) -> Process {
    Program::new(program)
        .arg("-kubeconfig")
        .arg(cluster.api.kubeconfig().to_str().unwrap())
        .arg("-identity")
        .arg("rival")
        .start("client-go candidate", &cluster.lab.api)
}

const LEADS: &[&str] = &["started-leading"];

fn to_candidate(cluster: &mut Cluster, program: PathBuf) {
    cluster.start(0);
    cluster.wait_for_holder(SOON);
    let mut rival = candidate(cluster, program.clone());
    stays_for("it does not lead while viplet holds", 2 * cluster.timing().lease(), || {
        !rival.said(LEADS)
    });
    cluster.signal(0, Signal::TERM);
    wait_until("it leads once viplet has released", SOON, || rival.said(LEADS));
    assert!(!cluster.lab.nodes[0].has(cluster.vip()));
    rival.signal(Signal::TERM);
    rival.wait(SOON);
    cluster.start(0);
    cluster.wait_for_holder(SOON);
    let rival = candidate(cluster, program);
    wait_until("it sees viplet lead", SOON, || rival.said(&["new-leader", "n1"]));
    cluster.process(0).kill();
    wait_until("it leads once the lease has expired", 2 * SOON, || rival.said(LEADS));
    assert!(!cluster.lab.nodes[0].has(cluster.vip()), "the dead viplet's address is still there");
}

fn from_candidate(cluster: &mut Cluster, program: PathBuf) {
    let rival = candidate(cluster, program.clone());
    wait_until("it leads", SOON, || rival.said(LEADS));
    cluster.start(0);
    let vip = cluster.vip();
    stays_for("viplet waits", 2 * cluster.timing().lease(), || {
        cluster.watch.holders(vip).is_empty()
    });
    wait_until("viplet names the holder", SOON, || {
        cluster.status(0).is_some_and(|status| status["leases"][0]["holder"] == "rival")
    });
    rival.signal(Signal::TERM);
    cluster.wait_for_holder(SOON);
    cluster.signal(0, Signal::TERM);
    cluster.process(0).wait(SOON);
    let mut rival = candidate(cluster, program);
    wait_until("it leads again", SOON, || rival.said(LEADS));
    cluster.start(0);
    wait_until("viplet names the holder", SOON, || {
        cluster.status(0).is_some_and(|status| status["leases"][0]["holder"] == "rival")
    });
    rival.kill();
    cluster.wait_for_holder(2 * SOON);
}

fn from_kube_vip(cluster: &mut Cluster, program: PathBuf) {
    let manager = cluster.manager(program, 0);
    cluster.run(0, &manager);
    assert_eq!(cluster.wait_for_holder(2 * SOON), 0);
    cluster.start(1);
    wait_until("viplet follows it", SOON, || {
        cluster.status(1).is_some_and(|status| status["leases"][0]["holder"] == "n1")
    });
    cluster.signal(0, Signal::TERM);
    assert_eq!(cluster.wait_for_other_holder(0, 2 * SOON), 1);
}

fn to_kube_vip(cluster: &mut Cluster, program: PathBuf) {
    cluster.start(1);
    assert_eq!(cluster.wait_for_holder(SOON), 1);
    let manager = cluster.manager(program, 0);
    cluster.run(0, &manager);
    wait_until("kube-vip stands", 2 * SOON, || cluster.process(0).said(&["plndr-cp-lock"]));
    stays_for("viplet keeps the address", Duration::from_secs(3), || {
        cluster.watch.holders(cluster.vip()) == [1]
    });
    cluster.signal(1, Signal::TERM);
    assert_eq!(cluster.wait_for_other_holder(1, 2 * SOON), 0);
}
