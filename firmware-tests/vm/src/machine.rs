//! One virtual machine, and the port through which it is given orders.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::Ipv4Addr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use viplet_lab::wait::wait_for;
use viplet_lab::{Lab, Process, Program};
use viplet_vm_init::{Order, PORT, Report};

use crate::parts::{Kind, Parts};

/// Memory of a machine in megabytes: the kernels for amd64 need it to unpack themselves.
const MEMORY: &str = "192";
/// An emulated machine on a busy one is slow.
const PATIENCE: Duration = Duration::from_secs(180);

/// A running machine; without power when dropped.
#[derive(Debug)]
pub struct Vm {
    /// `n1`, `n2`.
    pub name: String,
    /// Its own address.
    pub address: Ipv4Addr,
    /// The hardware address of its `eth0`.
    pub hardware: [u8; 6],
    /// From the kernel's start until init was there.
    pub booted: Duration,
    orders: Orders,
    process: Process,
    powered: bool,
}

/// The host's end of a machine's port.
#[derive(Clone, Debug)]
pub struct Orders(Arc<Mutex<BufReader<UnixStream>>>);

impl Orders {
    /// Gives an order and reads the report.
    ///
    /// # Errors
    /// The machine could not do it, or is not there.
    pub fn give(&self, order: &Order) -> Result<Vec<String>, String> {
        let gone = |why: std::io::Error| format!("the machine does not answer: {why}");
        let mut port = self.0.lock().expect("no thread panics with the port");
        port.get_mut().write_all(format!("{order}\n").as_bytes()).map_err(gone)?;
        let mut line = String::new();
        port.read_line(&mut line).map_err(gone)?;
        match line.trim_end_matches('\n').parse()? {
            Report::Done(words) => Ok(words),
            Report::Failed(why) => Err(why),
        }
    }

    /// The addresses that the machine has; none when it is off.
    #[must_use]
    pub fn addresses(&self) -> Option<Vec<Ipv4Addr>> {
        let words = self.give(&Order::Addresses).ok()?;
        Some(words.iter().filter_map(|word| word.parse().ok()).collect())
    }
}

/// The address of machine n`number`.
#[must_use]
pub fn address(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, 10 + number)
}

/// A machine that was switched on and has not answered yet.
pub(crate) struct Starting {
    number: u8,
    process: Process,
    socket: PathBuf,
}

/// Switches machine n`number` on, with its cable in the lab's lan.
pub(crate) fn switch_on(
    parts: &Parts,
    lab: &Lab,
    (number, initramfs): (u8, &[u8]),
    folder: &Path,
) -> Starting {
    let place = |what: &str| folder.join(format!("n{number}.{what}"));
    let (socket, console, initrd) = (place("orders"), place("console"), place("initramfs"));
    fs::write(&initrd, initramfs).expect("an initramfs");
    let tap = format!("n{number}-lan");
    let program = program(parts, number, [&initrd, &console, &socket]);
    let mut process = program.start(&format!("n{number}'s QEMU"), lab.switch());
    let plugged = || {
        assert!(process.runs(), "QEMU ended: {}", process.log());
        let tap = tap.clone();
        lab.switch().run(move || viplet_lab::rtnl::Rtnl::open().join(&tap, "lan").ok())
    };
    wait_for("QEMU makes the machine's TAP", PATIENCE, plugged);
    Starting { number, process, socket }
}

fn program(parts: &Parts, number: u8, [initrd, console, socket]: [&PathBuf; 3]) -> Program {
    let (machine, processor, tty) = parts.kind.hardware();
    let bus = if parts.kind == Kind::Armv7 { "device" } else { "pci" };
    // No option ROM: it is another package of Debian's. A device that is not on PCI knows none.
    let rom = if parts.kind == Kind::Armv7 { "" } else { ",romfile=" };
    let mac = hardware(number).map(|byte| format!("{byte:02x}")).join(":");
    let options = [
        ("-machine", machine.to_owned()),
        ("-accel", "tcg".to_owned()),
        ("-cpu", processor.to_owned()),
        ("-m", MEMORY.to_owned()),
        ("-display", "none".to_owned()),
        ("-kernel", parts.kernel().display().to_string()),
        ("-initrd", initrd.display().to_string()),
        ("-append", format!("console={tty} panic=-1")),
        ("-serial", format!("file:{}", console.display())),
        ("-chardev", format!("socket,id=orders,path={},server=on,wait=off", socket.display())),
        ("-device", format!("virtio-serial-{bus}")),
        ("-device", format!("virtserialport,chardev=orders,name={PORT}")),
        ("-netdev", format!("tap,id=lan,ifname=n{number}-lan,script=no,downscript=no")),
        ("-device", format!("virtio-net-{bus},netdev=lan,mac={mac}{rom}")),
    ];
    let program = Program::new(parts.qemu()).arg("-nodefaults").arg("-no-user-config");
    let program = program.arg("-no-reboot");
    options.iter().fold(program, |program, (name, value)| program.arg(name).arg(value))
}

fn hardware(number: u8) -> [u8; 6] {
    [0x52, 0x54, 0x00, 0x77, 0x00, number]
}

impl Starting {
    /// Waits until its init answers.
    pub(crate) fn boot(mut self) -> Vm {
        let connect = || {
            assert!(self.process.runs(), "QEMU ended: {}", self.process.log());
            UnixStream::connect(&self.socket).ok()
        };
        let (stream, _) = wait_for("QEMU opens the machine's port", PATIENCE, connect);
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let orders = Orders(Arc::new(Mutex::new(BufReader::new(stream))));
        let words = orders
            .give(&Order::Hello)
            .unwrap_or_else(|why| panic!("n{} did not boot: {why}", self.number));
        Vm {
            name: format!("n{}", self.number),
            address: address(self.number),
            hardware: hardware(self.number),
            booted: Duration::from_millis(words[0].parse().expect("milliseconds")),
            orders,
            process: self.process,
            powered: true,
        }
    }
}

impl Vm {
    /// The way to give it orders from another thread.
    pub fn orders(&self) -> Orders {
        self.orders.clone()
    }

    /// Gives an order that has to be done.
    #[track_caller]
    pub fn order(&self, order: &Order) -> Vec<String> {
        self.orders.give(order).unwrap_or_else(|why| panic!("{}: {order}: {why}", self.name))
    }

    /// Whether it has an address now.
    pub fn has(&self, address: Ipv4Addr) -> bool {
        self.orders.addresses().is_some_and(|all| all.contains(&address))
    }

    /// Whether it was not switched off.
    pub fn is_on(&self) -> bool {
        self.powered
    }

    /// Pulls its plug; returns the moment before.
    pub fn power_off(&mut self) -> Instant {
        let at = Instant::now();
        self.powered = false;
        self.process.kill();
        at
    }
}
