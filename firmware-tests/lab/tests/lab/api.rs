//! The API server goes away, comes back, hangs, refuses, forgets.

use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use viplet_kubeapi::http::{Effect, Ending, Rule};
use viplet_lab::cluster::{Cluster, Plan, Timing};
use viplet_lab::wait::stays_for;
use viplet_lab::{Wire, wait_until};

use crate::case::{SOON, trial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("an outage of the API server shorter than the lease is not noticed", fast, short),
        trial("an outage longer than the lease ends the hold, and says so", one, long),
        trial("an API server that hangs longer than the lease ends the hold too", one, hanging),
        trial("a holder that alone loses the API server gives way in time", three, partition),
        trial("viplet that starts before the API server takes the address later", one, late),
        trial("conflicting writes (409) do not cost the address", fast, conflicts),
        trial("refused writes (500 and 503) do not cost the address", fast, refusals),
        trial("lost answers to renewals do not cost the address", fast, lost_answers),
        trial("a forgetful watch (410 and compaction) does not cost the address", fast, gone),
        trial("watches that are cut again and again do not cost the address", fast, cut_watches),
        trial("the holder writes once per renewal and followers never", fast, writes),
    ]
}

fn one() -> Plan {
    Plan::new(1)
}

fn three() -> Plan {
    Plan::new(3)
}

fn fast() -> Plan {
    Plan::new(3).timing(Timing::FAST)
}

const LEASE: &str = "plndr-cp-lock";

/// The holder stays, seen from the nodes and from the client, while and after `trouble` lasts.
fn unharmed(cluster: &mut Cluster, trouble: impl FnOnce(&mut Cluster)) {
    cluster.start_all();
    let holder = cluster.wait_for_holder(SOON);
    let since = Instant::now();
    trouble(cluster);
    let renewed = cluster.lease().expect("a lease").renewed;
    wait_until("renewals go on", SOON, || {
        cluster.lease().is_some_and(|lease| lease.renewed != renewed)
    });
    let timeline = cluster.watch.timeline(cluster.vip());
    assert_eq!(timeline.holders(), [holder]);
    assert_eq!(timeline.spans.len(), 1, "the address was absent or moved");
    let silence = cluster.prober().longest_silence(since);
    assert!(silence < Duration::from_millis(500), "{silence:?}");
}

fn held_for(cluster: &Cluster, span: Duration) {
    let holders = cluster.watch.holders(cluster.vip());
    stays_for("the holder keeps the address", span, || {
        cluster.watch.holders(cluster.vip()) == holders
    });
}

fn short(cluster: &mut Cluster) {
    unharmed(cluster, |cluster| {
        cluster.api.stop();
        held_for(cluster, Duration::from_millis(2500));
        cluster.api.resume();
    });
}

fn ends_and_says_so(cluster: &mut Cluster) {
    let vip = cluster.vip();
    wait_until("the hold ends", cluster.timing().lease() + SOON, || {
        cluster.watch.holders(vip).is_empty()
    });
    wait_until("the log says why", SOON, || cluster.process(0).said(&["lost: not renewed for"]));
    wait_until("it is not ready, and says why", SOON, || {
        cluster.ready(0).is_some_and(|(code, text)| code == 503 && text.contains(LEASE))
    });
    assert_eq!(cluster.get(0, "/healthz").map(|answer| answer.status), Some(200));
    cluster.api.resume();
    assert_eq!(cluster.wait_for_holder(cluster.timing().lease() + SOON), 0);
    wait_until("it is ready again", SOON, || cluster.ready(0).is_some_and(|(code, _)| code == 200));
}

fn long(cluster: &mut Cluster) {
    cluster.start(0);
    cluster.wait_for_holder(SOON);
    cluster.api.stop();
    ends_and_says_so(cluster);
}

fn hanging(cluster: &mut Cluster) {
    cluster.start(0);
    cluster.wait_for_holder(SOON);
    cluster.api.hang();
    ends_and_says_so(cluster);
}

fn partition(cluster: &mut Cluster) {
    cluster.start_all();
    let old = cluster.wait_for_holder(SOON);
    cluster.lab.cut(old, Wire::Mgmt);
    let new = cluster.wait_for_other_holder(old, cluster.timing().lease() + SOON);
    cluster.lab.restore(old, Wire::Mgmt);
    let name = cluster.lab.nodes[new].name.clone();
    wait_until("the old holder follows the new one", 2 * SOON, || {
        cluster.status(old).is_some_and(|status| {
            let lease = &status["leases"][0];
            lease["role"] == "following" && lease["holder"] == name.as_str()
        })
    });
    assert_eq!(cluster.wait_for_holder(SOON), new);
}

fn late(cluster: &mut Cluster) {
    cluster.api.stop();
    cluster.start(0);
    wait_until("it says that the API server does not answer", SOON, || {
        let status = cluster.status(0).unwrap_or_default();
        status["api"]["state"] == "unreachable"
    });
    wait_until("it is not ready", SOON, || cluster.ready(0).is_some_and(|(code, _)| code == 503));
    cluster.api.resume();
    cluster.wait_for_holder(2 * SOON);
}

fn conflicts(cluster: &mut Cluster) {
    unharmed(cluster, |cluster| {
        cluster.api.set_faults(vec![Rule::next(8, "update", "leases", Effect::Fail(409))]);
        held_for(cluster, Duration::from_secs(3));
        cluster.api.resume();
    });
}

fn refusals(cluster: &mut Cluster) {
    unharmed(cluster, |cluster| {
        for code in [500, 503] {
            cluster.api.set_faults(vec![Rule::next(3, "update", "leases", Effect::Fail(code))]);
            held_for(cluster, Duration::from_secs(2));
            cluster.api.resume();
            held_for(cluster, Duration::from_millis(1500));
        }
    });
}

fn lost_answers(cluster: &mut Cluster) {
    unharmed(cluster, |cluster| {
        cluster.api.set_faults(vec![Rule::next(3, "update", "leases", Effect::LoseAnswer)]);
        held_for(cluster, Duration::from_secs(3));
        cluster.api.resume();
    });
}

fn gone(cluster: &mut Cluster) {
    unharmed(cluster, |cluster| {
        cluster.api.set_faults(vec![Rule::next(6, "watch", "leases", Effect::Fail(410))]);
        for _ in 0..8 {
            cluster.api.model_server().compact();
            cluster.api.model_server().end_watches(Ending::Expired);
            held_for(cluster, Duration::from_millis(250));
        }
        cluster.api.resume();
    });
    // Followers see what happens after it all the same.
    let old = cluster.wait_for_holder(SOON);
    cluster.signal(old, rustix::process::Signal::TERM);
    cluster.wait_for_other_holder(old, SOON);
}

fn cut_watches(cluster: &mut Cluster) {
    unharmed(cluster, |cluster| {
        for _ in 0..8 {
            cluster.api.model_server().end_watches(Ending::Cut);
            held_for(cluster, Duration::from_millis(250));
        }
    });
    let old = cluster.wait_for_holder(SOON);
    cluster.signal(old, rustix::process::Signal::TERM);
    cluster.wait_for_other_holder(old, SOON);
}

fn writes(cluster: &mut Cluster) {
    cluster.start_all();
    let holder = cluster.wait_for_holder(SOON);
    wait_until("all have settled", SOON, || {
        (0..3).all(|node| cluster.ready(node).is_some_and(|(code, _)| code == 200))
    });
    let renewals = |cluster: &Cluster| {
        let page = cluster.get(holder, "/metrics").expect("metrics").body;
        let line = page.lines().find(|line| line.starts_with("viplet_lease_renewals_total"));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).expect("a counter")
    };
    let (written, renewed) = (cluster.api.lease_writes(&cluster.lab.api), renewals(cluster));
    wait_until("five renewals", 2 * SOON, || renewals(cluster) >= renewed + 5);
    let (written, renewed) =
        (cluster.api.lease_writes(&cluster.lab.api) - written, renewals(cluster) - renewed);
    // The two counters are read one after the other: one renewal may fall in between.
    assert!(written.abs_diff(renewed) <= 1, "{written} writes for {renewed} renewals");
}
