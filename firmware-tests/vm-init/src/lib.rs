//! The first process of a test machine in QEMU. It makes everything read-only, loads the modules
//! that it finds, brings the network up, and then does what the host orders, line by line, over a
//! virtio port: start viplet, kill it, say which addresses there are. There is no shell.
//!
//! - `order`: the lines; the host's side uses them too.
//! - `settings`: what this machine is told by a file in its initramfs.
//! - `boot`: mounts, modules, the port.
//! - `links`: addresses over rtnetlink.
//! - `work`: does what an order says.

#![cfg_attr(not(test), deny(unused_crate_dependencies))]

mod boot;
mod links;
mod order;
mod settings;
mod work;

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::thread;
use std::time::Duration;

pub use order::{Order, PORT, Report};
pub use settings::{SETTINGS, Settings};

pub use work::neighbour;

use work::Machine;

/// The host has not opened its end of the port yet, or has closed it.
const NOBODY_THERE: Duration = Duration::from_millis(20);

/// Never returns while the machine works; after a failure the machine is powered off.
pub fn run() {
    if let Err(why) = live() {
        // The console is kept by the host.
        eprintln!("init: {why}");
    }
    boot::power_off();
}

fn live() -> io::Result<()> {
    let booted = boot::since_start();
    let settings = Settings::parse(&std::fs::read_to_string(SETTINGS)?);
    boot::mount_read_only()?;
    boot::load_modules(Path::new("/modules"))?;
    let port = boot::open_port(PORT)?;
    links::bring_up(&settings)?;
    obey(port, Machine::new(settings, booted))
}

fn obey(port: std::fs::File, mut machine: Machine) -> io::Result<()> {
    let mut answers = port.try_clone()?;
    let mut orders = BufReader::new(port);
    loop {
        let mut line = String::new();
        if orders.read_line(&mut line)? == 0 {
            thread::sleep(NOBODY_THERE);
            continue;
        }
        let report = match line.trim_end().parse::<Order>() {
            Ok(order) => machine.obey(&order),
            Err(why) => Report::Failed(why),
        };
        answers.write_all(format!("{report}\n").as_bytes())?;
    }
}
