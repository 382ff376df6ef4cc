//! The process: signals, pages, and what it costs.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use rustix::process::Signal;
use viplet_lab::cluster::{Cluster, METRICS, Plan, Timing};
use viplet_lab::wait::stays_for;
use viplet_lab::{Program, binaries, wait_until};

use crate::case::{SOON, trial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("SIGTERM withdraws, releases the lease and exits 0", one, terminated),
        trial("SIGINT withdraws, releases the lease and exits 0", one, interrupted),
        trial("SIGTERM ends it long before the lease though the API server hangs", idle, stubborn),
        trial("a second signal ends it at once", one, impatient),
        trial("SIGUSR1 writes the state to the log and nothing stops", one, dumps),
        trial("SIGHUP does not end it", one, hangs_up),
        trial("it has two threads and hardly wakes when idle", idle, frugal),
        trial("slow and hostile HTTP clients do not hurt", one, hostile_clients),
        trial("the metrics have help and types and say who leads", two, metrics),
        trial("`viplet status` tells a person who holds the address", two, status_command),
        trial("a wrong setting is named and ends it with an error", one, wrong_setting),
    ]
}

fn one() -> Plan {
    Plan::new(1)
}

fn two() -> Plan {
    Plan::new(2)
}

fn idle() -> Plan {
    Plan::new(1).timing(Timing::DEFAULT)
}

fn ends_cleanly(cluster: &mut Cluster, signal: Signal) {
    cluster.start(0);
    cluster.wait_for_holder(SOON);
    cluster.signal(0, signal);
    let (status, _) = cluster.process(0).wait(SOON);
    assert_eq!(status.code(), Some(0));
    assert!(!cluster.lab.nodes[0].has(cluster.vip()), "the address is still there");
    let lease = cluster.lease().expect("the lease stays");
    assert_eq!(lease.holder, "");
}

fn terminated(cluster: &mut Cluster) {
    ends_cleanly(cluster, Signal::TERM);
}

fn interrupted(cluster: &mut Cluster) {
    ends_cleanly(cluster, Signal::INT);
}

fn stubborn(cluster: &mut Cluster) {
    cluster.start(0);
    cluster.wait_for_holder(SOON);
    cluster.api.hang();
    cluster.signal(0, Signal::TERM);
    cluster.process(0).wait(SOON);
    assert!(!cluster.lab.nodes[0].has(cluster.vip()), "the address is still there");
}

fn impatient(cluster: &mut Cluster) {
    cluster.start(0);
    cluster.wait_for_holder(SOON);
    cluster.api.hang();
    cluster.signal(0, Signal::TERM);
    // The first one withdraws at once; the release then waits for the API server.
    wait_until("the address is withdrawn", SOON, || !cluster.lab.nodes[0].has(cluster.vip()));
    cluster.signal(0, Signal::TERM);
    cluster.process(0).wait(SOON);
    wait_until("the log says so", SOON, || cluster.process(0).said(&["ended at once"]));
}

fn dumps(cluster: &mut Cluster) {
    cluster.start(0);
    cluster.wait_for_holder(SOON);
    cluster.signal(0, Signal::USR1);
    wait_until("the dump ends", SOON, || cluster.process(0).said(&["END OF CONFIGURATION DUMP"]));
    let log = cluster.process(0).log();
    for part in ["KUBE-VIP CONFIGURATION DUMP", "VIP: 10.77.0.100", "Lease Name: plndr-cp-lock"] {
        assert!(log.contains(part), "{part} is missing");
    }
    stays_for("it goes on", Duration::from_secs(1), || cluster.watch.holders(cluster.vip()) == [0]);
    assert!(cluster.is_running(0));
}

fn hangs_up(cluster: &mut Cluster) {
    cluster.start(0);
    cluster.wait_for_holder(SOON);
    cluster.signal(0, Signal::HUP);
    let span = cluster.timing().lease() + Duration::from_secs(1);
    stays_for("it holds on", span, || cluster.watch.holders(cluster.vip()) == [0]);
    assert!(cluster.is_running(0));
}

fn frugal(cluster: &mut Cluster) {
    cluster.start(0);
    cluster.wait_for_holder(SOON);
    let taken = Instant::now();
    // The burst of announcements is over after a second.
    wait_until("it is idle", SOON, || taken.elapsed() > Duration::from_millis(1500));
    assert_eq!(cluster.process(0).status_field("Threads"), 2);
    let (before, since) = (cluster.process(0).wake_ups(), Instant::now());
    wait_until("six seconds pass", SOON, || since.elapsed() > Duration::from_secs(6));
    let wakes = cluster.process(0).wake_ups() - before;
    // Three renewals and two announcements; each takes a few turns of the loop.
    assert!(wakes < 120, "{wakes} wake-ups in 6 s");
    assert_eq!(cluster.process(0).status_field("Threads"), 2);
}

fn hostile_clients(cluster: &mut Cluster) {
    cluster.start(0);
    cluster.wait_for_holder(SOON);
    let before = cluster.process(0).status_field("VmRSS");
    let clients = cluster.lab.nodes[0].namespace.run(|| {
        let mut clients = Vec::new();
        for number in 0..100 {
            let Ok(mut stream) = TcpStream::connect_timeout(&METRICS, Duration::from_millis(50))
            else {
                continue;
            };
            let _ = stream.set_write_timeout(Some(Duration::from_millis(50)));
            let _ = match number % 4 {
                0 => Ok(()),
                1 => stream.write_all(b"GET /status HTTP/1.1\r\nX-Slow: "),
                2 => stream.write_all(&vec![b'A'; 100_000]),
                _ => stream.write_all(b"\x16\x03\x01\x00\xff\x00garbage\r\n\r\n"),
            };
            clients.push(stream);
        }
        clients
    });
    let span = cluster.timing().lease() + Duration::from_secs(1);
    stays_for("the address stays", span, || cluster.watch.holders(cluster.vip()) == [0]);
    let after = cluster.process(0).status_field("VmRSS");
    assert!(after < before + 4096, "{before} KiB resident before, {after} KiB after");
    wait_until("an honest client is served though they linger", 2 * SOON, || {
        cluster.get(0, "/healthz").is_some_and(|answer| answer.status == 200)
    });
    drop(clients);
    wait_until("and afterwards, at once", SOON, || {
        cluster.get(0, "/status").is_some_and(|answer| answer.status == 200)
    });
}

fn metrics(cluster: &mut Cluster) {
    cluster.start_all();
    let holder = cluster.wait_for_holder(SOON);
    for node in 0..2 {
        let leads = u8::from(node == holder);
        wait_until("the metrics say who leads", SOON, || {
            let page = cluster.get(node, "/metrics").map(|answer| answer.body).unwrap_or_default();
            let leader = |line: &str| line.starts_with("kube_vip_is_leader{");
            page.lines().any(|line| leader(line) && line.ends_with(&format!(" {leads}")))
        });
        let page = cluster.get(node, "/metrics").unwrap().body;
        for line in page.lines().filter(|line| !line.starts_with('#')) {
            let name = line.split(['{', ' ']).next().unwrap();
            for comment in ["HELP", "TYPE"] {
                let wanted = format!("# {comment} {name} ");
                assert!(page.contains(&wanted), "no {comment} for {name}");
            }
        }
    }
}

fn status_command(cluster: &mut Cluster) {
    cluster.start_all();
    let holder = cluster.wait_for_holder(SOON);
    let name = cluster.lab.nodes[holder].name.clone();
    for node in 0..2 {
        wait_until("the command names the holder", SOON, || {
            let program = Program::new(binaries::viplet()).arg("status");
            let mut asked = program.start("viplet status", &cluster.lab.nodes[node].namespace);
            asked.wait(SOON);
            let shown = || asked.said(&["10.77.0.100"]) && asked.said(&[name.as_str()]);
            let since = Instant::now();
            while !shown() && since.elapsed() < Duration::from_millis(200) {
                std::thread::yield_now();
            }
            shown()
        });
    }
}

fn wrong_setting(cluster: &mut Cluster) {
    let program = cluster.viplet(0).env("address", "10.77.0.300").env("vip_leaseduration", "soon");
    cluster.run(0, &program);
    let (status, _) = cluster.process(0).wait(SOON);
    assert!(!status.success());
    // Everything wrong is told at once, each with the setting and the value.
    for parts in [["vip_leaseduration", "soon"], ["address", "10.77.0.300"]] {
        wait_until(&format!("it names {parts:?}"), SOON, || cluster.process(0).said(&parts));
    }
}
