//! The static binary on stock kernels: on every kind of machine that `VIPLET_VM_MACHINES` names
//! (amd64 and arm64 without it), the same sentences.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

use std::fs::OpenOptions;
use std::process::ExitCode;
use std::time::Instant;

use libtest_mimic::{Arguments, Trial};
use viplet_lab::timed;
use viplet_lab::wait::wait_until;
use viplet_vm::segment::{ADDRESSES, PATIENCE};
use viplet_vm::{Kind, Parts, Segment, VIP};
use viplet_vm_init::Order;

type Test = fn(&Parts);

const TESTS: [(&str, Test); 4] = [
    ("it_takes_its_addresses_on_a_stock_kernel_where_it_can_write_nothing", takes),
    ("a_client_and_a_second_machine_find_the_holder_by_arp", is_found),
    ("after_kill_9_exactly_one_machine_has_the_addresses", survives_kill),
    ("after_power_off_of_the_holder_the_other_machine_takes_over", survives_power_off),
];

/// Short names for the logs, in the order of the tests.
const LOGS: [&str; 4] = ["takes", "is-found", "kill", "power-off"];

fn main() -> ExitCode {
    let wanted = std::env::var("VIPLET_VM_MACHINES").unwrap_or_else(|_| "amd64 arm64".to_owned());
    let kinds =
        Kind::ALL.into_iter().filter(|kind| wanted.split(' ').any(|one| one == kind.name()));
    if let Err(why) = viplet_lab::privilege::acquire().and_then(|()| taps()) {
        println!("SKIPPED: virtual machines: {why}");
        return match std::env::var_os("VIPLET_REQUIRE_REAL") {
            Some(_) => ExitCode::FAILURE,
            None => ExitCode::SUCCESS,
        };
    }
    let mut arguments = Arguments::from_args();
    // Emulation takes a whole processor, and two machines are waited for most of the time.
    arguments.test_threads = Some(arguments.test_threads.unwrap_or(2));
    let trials: Vec<Trial> = kinds.flat_map(trials).collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// Whether QEMU will be able to make a TAP.
fn taps() -> Result<(), String> {
    let tun = "/dev/net/tun";
    let opened = OpenOptions::new().read(true).write(true).open(tun);
    opened.map(drop).map_err(|why| format!("{tun} cannot be opened ({why}): use sudo"))
}

fn trials(kind: Kind) -> Vec<Trial> {
    match Parts::find(kind) {
        Ok(parts) => {
            let trial = |(name, test): (&str, Test)| {
                let parts = parts.clone();
                let name = format!("{}::{name}", kind.name());
                Trial::test(name.clone(), move || {
                    timed(&name, || test(&parts));
                    Ok(())
                })
            };
            TESTS.map(trial).into()
        }
        Err(why) => {
            println!("SKIPPED: virtual machine {}: {why}", kind.name());
            Vec::new()
        }
    }
}

fn colons(hardware: [u8; 6]) -> String {
    hardware.map(|byte| format!("{byte:02x}")).join(":")
}

/// n1 has both addresses, n2 stands by.
fn pair(parts: &Parts, log: &str) -> Segment {
    let segment = Segment::new(parts, log, 2);
    segment.machines[0].order(&Order::Start);
    segment.settles_on(0);
    segment.machines[1].order(&Order::Start);
    wait_until("n2 is ready to take over", PATIENCE, || segment.is_ready(1));
    segment
}

fn takes(parts: &Parts) {
    let segment = Segment::new(parts, LOGS[0], 1);
    let vm = &segment.machines[0];

    let files = vm.order(&Order::Files);
    let known = ["/init", "/viplet", "/settings", "/kubeconfig"];
    let is_known = |file: &String| known.contains(&file.as_str()) || file.starts_with("/modules/");
    assert!(files.iter().all(is_known), "a shell? {files:?}");
    for path in ["/file", "/sys/class/net/eth0/mtu", "/proc/sys/net/ipv4/ip_forward"] {
        let refused = vm.orders().give(&Order::Write(path.to_owned())).unwrap_err();
        assert!(refused.contains("Read-only file system"), "{path}: {refused}");
    }

    let started = Instant::now();
    vm.order(&Order::Start);
    let announced = segment.announced(VIP, 0, started);
    segment.settles_on(0);
    let memory = vm.order(&Order::Memory);
    println!(
        "{}, {}: kernel to init {:?}, start of viplet to its first gratuitous ARP {announced:?}, \
         resident {} kB, at most {} kB",
        parts.kind.name(),
        parts.kernel_name(),
        vm.booted,
        memory[0],
        memory[1],
    );
}

fn is_found(parts: &Parts) {
    let segment = pair(parts, LOGS[1]);
    let holder = colons(segment.machines[0].hardware);
    for address in ADDRESSES {
        assert_eq!(segment.client_finds(address), holder);
        assert_eq!(
            segment.machines[1].order(&Order::Neighbour(address)),
            std::slice::from_ref(&holder)
        );
    }
    segment.never_on_two();
}

fn survives_kill(parts: &Parts) {
    let segment = pair(parts, LOGS[2]);
    let [first, _] = &segment.machines[..] else { panic!("two machines") };

    // As a kubelet does: a new process at once.
    first.order(&Order::Kill);
    first.order(&Order::Start);
    let well = || {
        segment.is_ready(0)
            && segment.answer()
            && ADDRESSES.iter().all(|address| segment.holders(*address) == 1)
    };
    wait_until("one machine has the addresses, and they answer", PATIENCE, well);

    // And where nothing starts it again, on whichever machine it is.
    let holder = usize::from(!first.has(VIP));
    segment.machines[holder].order(&Order::Kill);
    let killed = Instant::now();
    segment.announced(VIP, 1 - holder, killed);
    segment.settles_on(1 - holder);
    segment.never_on_two();
}

fn survives_power_off(parts: &Parts) {
    let mut segment = pair(parts, LOGS[3]);
    let off = segment.machines[0].power_off();
    let announced = ADDRESSES.map(|address| segment.announced(address, 1, off));
    segment.settles_on(1);
    segment.never_on_two();
    println!(
        "{}: power off to the other's announcements {announced:?}, silent for the client {:?}",
        parts.kind.name(),
        segment.silence(off),
    );
}
