//! What the log says of an address that is taken away.

use viplet_backend_api::{Command, Vip};

use crate::core::report::{Level, Report};

/// The line for the log about a command that takes an address away: why this node has it no more, or
/// that it was a copy on a link where it does not belong.
#[must_use]
pub fn report(command: &Command, vip: &Vip, why: &str) -> Option<Report> {
    let Command::Withdraw { address, link } = command else { return None };
    let text = if *link == vip.link {
        format!("{vip}: is withdrawn: {why}")
    } else {
        format!("{address} on {link}: the copy is withdrawn: the address belongs on {}", vip.link)
    };
    Some(Report { level: Level::Info, text })
}
