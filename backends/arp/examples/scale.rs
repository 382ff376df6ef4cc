//! What many addresses cost: CPU and time of takeovers, refreshes and announcements.
//!
//! `cargo run --release -p viplet-arp --example scale`, as root: it starts itself again in a
//! network namespace of its own, with a cable whose other end nobody listens to. CPU is that of
//! this process, system calls included, and on a cable also that of the other end's kernel.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::Command as Program;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use viplet_arp::Arp;
use viplet_backend_api::{
    Backend, Command, DuplicateDetection, Lifetime, LinkName, Scope, Tag, Vip,
};

const INSIDE: &str = "VIPLET_SCALE_INSIDE";
/// Commands between two looks at the notices.
const CHUNK: usize = 64;
/// Of each measurement; the median counts.
const RUNS: usize = 3;

fn main() {
    if std::env::var_os(INSIDE).is_none() {
        let own = std::env::current_exe().unwrap();
        let outcome = Program::new("unshare")
            .arg("-n")
            .arg(own)
            .args(std::env::args().skip(1))
            .env(INSIDE, "1")
            .status();
        std::process::exit(outcome.unwrap().code().unwrap_or(1));
    }
    let mut station = Program::new("unshare").args(["-n", "sleep", "3600"]).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(200));
    let there = station.id().to_string();
    ip("link set lo up");
    ip(&format!("link add left type veth peer name right netns {there}"));
    ip("link set left up");
    let up = ["-t", &there, "-n", "ip", "link", "set", "right", "up"];
    assert!(Program::new("nsenter").args(up).status().unwrap().success());
    std::thread::sleep(Duration::from_millis(500));
    // All four, or those named: `v4:1000 v6:1000`.
    let asked: Vec<String> = std::env::args().skip(1).collect();
    for (family, name) in [(Family::V4, "v4"), (Family::V6, "v6")] {
        for count in [1_000, 10_000] {
            if asked.is_empty() || asked.contains(&format!("{name}:{count}")) {
                measure(family, count);
            }
        }
    }
    let _ = station.kill();
    let _ = station.wait();
}

#[derive(Clone, Copy, Debug)]
enum Family {
    V4,
    V6,
}

fn ip(line: &str) {
    assert!(Program::new("ip").args(line.split_whitespace()).status().unwrap().success());
}

fn vip(family: Family, number: u32) -> Vip {
    let (address, prefix_len) = match family {
        Family::V4 => (IpAddr::V4(Ipv4Addr::from(0x0a40_0000 + number)), 32),
        Family::V6 => (IpAddr::V6(Ipv6Addr::from((0xfd00_u128 << 112) + u128::from(number))), 128),
    };
    Vip {
        address,
        prefix_len,
        link: LinkName::new("left").unwrap(),
        presence: viplet_backend_api::Presence::OnLink,
        scope: Scope::Universe,
        duplicate_detection: DuplicateDetection::Skip,
    }
}

/// Nanoseconds on a CPU of all our threads.
fn on_cpu() -> u64 {
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let first = |path| {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.split_whitespace().next().and_then(|number| number.parse::<u64>().ok()).unwrap_or(0)
    };
    threads.map(|thread| first(thread.unwrap().path().join("schedstat"))).sum()
}

fn resident() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    status.lines().find(|line| line.starts_with("VmRSS")).unwrap_or("").replace("VmRSS:", "")
}

/// Carries out the commands, and takes the notices after each `chunk`; how many notices.
fn carry_out(arp: &mut Arp, commands: &[Command], chunk: usize) -> usize {
    let mut cx = Context::from_waker(Waker::noop());
    let mut noticed = 0;
    for commands in commands.chunks(chunk) {
        for outcome in arp.apply_all(commands) {
            outcome.unwrap();
        }
        while arp.poll_notice(&mut cx).is_ready() {
            noticed += 1;
        }
    }
    noticed
}

/// The median of a few runs, per 1,000 commands.
fn report(what: &str, commands: &[Command], mut run: impl FnMut(&[Command]) -> usize) {
    let mut figures: Vec<(u64, Duration, usize)> = (0..RUNS)
        .map(|_| {
            let (cpu, wall) = (on_cpu(), Instant::now());
            let noticed = run(commands);
            (on_cpu() - cpu, wall.elapsed(), noticed)
        })
        .collect();
    figures.sort();
    let (cpu, wall, noticed) = figures.get(RUNS / 2).unwrap();
    let thousands = commands.len() as f64 / 1000.0;
    println!(
        "  {what:34} {:8.2} ms CPU  {:8.2} ms wall  {noticed:6} notices",
        *cpu as f64 / 1e6 / thousands,
        wall.as_secs_f64() * 1e3 / thousands,
    );
}

fn measure(family: Family, count: u32) {
    println!("{family:?}, {count} addresses, per 1,000 commands (taking: 1,000 of both):");
    let lifetime = Lifetime::from_secs(900).unwrap();
    let vips: Vec<Vip> = (1..=count).map(|number| vip(family, number)).collect();
    let install = |vip: &Vip| Command::Install { vip: vip.clone(), lifetime };
    let announce = |vip: &Vip| Command::Announce { vip: vip.clone() };
    let installs: Vec<_> = vips.iter().map(install).collect();
    let announces: Vec<_> = vips.iter().map(announce).collect();
    let both: Vec<_> = vips.iter().flat_map(|vip| [install(vip), announce(vip)]).collect();
    let withdraws: Vec<_> = vips.iter().map(|vip| vip.withdrawal()).collect();
    let mut arp = Arp::open(Tag::DEFAULT).unwrap();
    arp.observe().unwrap();
    println!("  resident before {}", resident());
    let (cpu, wall) = (on_cpu(), Instant::now());
    let noticed = carry_out(&mut arp, &both, CHUNK);
    let thousands = f64::from(count) / 1000.0;
    println!(
        "  {:34} {:8.2} ms CPU  {:8.2} ms wall  {noticed:6} notices",
        "taking (install, announce)",
        (on_cpu() - cpu) as f64 / 1e6 / thousands,
        wall.elapsed().as_secs_f64() * 1e3 / thousands,
    );
    // Past the announcements that are more than the later ones.
    (0..4).for_each(|_| {
        let _ = carry_out(&mut arp, &announces, CHUNK);
    });
    for (kind, commands) in [("announcing", &announces), ("refreshing", &installs)] {
        let sample = commands.get(..commands.len().min(2_000)).unwrap();
        for (how, chunk) in [("64 a turn", CHUNK), ("10 a turn", 10), ("one a turn", 1)] {
            report(&format!("{kind} {how}"), sample, |all| carry_out(&mut arp, all, chunk));
        }
    }
    println!("  resident after {}", resident());
    let (cpu, wall) = (on_cpu(), Instant::now());
    carry_out(&mut arp, &withdraws, CHUNK);
    println!(
        "  {:34} {:8.2} ms CPU  {:8.2} ms wall",
        "withdrawing",
        (on_cpu() - cpu) as f64 / 1e6 / thousands,
        wall.elapsed().as_secs_f64() * 1e3 / thousands,
    );
}
