//! Does what an order says.

use std::fs::{self, OpenOptions};
use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::{Order, Report, Settings, links};

/// The binary under test.
const VIPLET: &str = "/viplet";
/// A port at which nobody needs to listen.
const DISCARD: u16 = 9;
/// The kernel asks three times for a neighbour, once a second.
const NEIGHBOUR_PATIENCE: Duration = Duration::from_secs(4);
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// The machine as its orders know it.
pub(crate) struct Machine {
    settings: Settings,
    booted: Duration,
    viplet: Option<Child>,
}

impl Machine {
    pub(crate) fn new(settings: Settings, booted: Duration) -> Self {
        Self { settings, booted, viplet: None }
    }

    pub(crate) fn obey(&mut self, order: &Order) -> Report {
        let outcome = match order {
            Order::Hello => Ok(vec![self.booted.as_millis().to_string()]),
            Order::Start => self.start(),
            Order::Kill => self.kill(),
            Order::Addresses => {
                links::addresses().map(|all| all.iter().map(Ipv4Addr::to_string).collect())
            }
            Order::Neighbour(address) => neighbour(*address).map(|found| vec![found]),
            Order::Memory => self.memory(),
            Order::Write(path) => {
                let mut options = OpenOptions::new();
                options.write(true).create(!Path::new(path).exists());
                options.open(path).map(|_| Vec::new())
            }
            Order::Files => Ok(files(Path::new("/"))),
        };
        outcome.map_or_else(|why| Report::Failed(why.to_string()), Report::Done)
    }

    /// It writes where this process does: to the console, among the kernel's lines.
    fn start(&mut self) -> io::Result<Vec<String>> {
        let mut command = Command::new(VIPLET);
        command.args(&self.settings.arguments).env_clear().stdin(Stdio::null());
        command.envs(self.settings.environment.iter().map(|(name, value)| (name, value)));
        self.viplet = Some(command.spawn()?);
        Ok(Vec::new())
    }

    fn kill(&mut self) -> io::Result<Vec<String>> {
        let mut child = self.viplet.take().ok_or_else(not_started)?;
        child.kill()?;
        Ok(vec![child.wait()?.to_string().replace(' ', "-")])
    }

    fn memory(&self) -> io::Result<Vec<String>> {
        let id = self.viplet.as_ref().ok_or_else(not_started)?.id();
        let status = fs::read_to_string(format!("/proc/{id}/status"))?;
        let of = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|rest| rest.split_whitespace().next()).map(str::to_owned)
        };
        let found = of("VmRSS:").zip(of("VmHWM:"));
        let ended = || io::Error::other("viplet has ended: its log is on the console");
        found.map(|(now, most)| vec![now, most]).ok_or_else(ended)
    }
}

fn not_started() -> io::Error {
    io::Error::other("viplet was not started")
}

/// The hardware address that a packet from this thread's network to `address` goes to.
///
/// # Errors
/// Nobody answers for it, or no packet can be sent.
pub fn neighbour(address: Ipv4Addr) -> io::Result<String> {
    let start = Instant::now();
    UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?.send_to(b"viplet", (address, DISCARD))?;
    while start.elapsed() < NEIGHBOUR_PATIENCE {
        if let Some(found) = resolved(&fs::read_to_string("/proc/thread-self/net/arp")?, address) {
            return Ok(found);
        }
        thread::sleep(LOOK_AGAIN);
    }
    Err(io::Error::other(format!("nobody answers for {address}")))
}

/// The hardware address in a complete line (flag 2) of the kernel's table.
fn resolved(table: &str, address: Ipv4Addr) -> Option<String> {
    let address = address.to_string();
    table.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        let (ip, _kind, flags, hardware) =
            (words.next()?, words.next()?, words.next()?, words.next()?);
        (ip == address && flags == "0x2").then(|| hardware.to_owned())
    })
}

fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let kernels = ["/proc", "/sys", "/dev"].iter().any(|own| path == Path::new(own));
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(if kernels { Vec::new() } else { files(&path) });
        } else {
            found.push(path.display().to_string());
        }
    }
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_neighbour_that_answered_has_a_hardware_address() {
        let table = "IP address HW type Flags HW address Mask Device\n\
                     192.0.2.1 0x1 0x2 52:54:00:00:00:01 * eth0\n\
                     192.0.2.2 0x1 0x0 00:00:00:00:00:00 * eth0\n";
        let of = |host| resolved(table, Ipv4Addr::new(192, 0, 2, host));
        assert_eq!(of(1).as_deref(), Some("52:54:00:00:00:01"));
        assert_eq!(of(2), None);
        assert_eq!(of(3), None);
    }
}
