//! The control plane's addresses and their prefix lengths.

use crate::config::gather::Gathered;
use crate::config::network::PrefixChoice;
use crate::config::problem::Source;
use crate::config::settings::Mode;
use crate::config::value::Value;
use crate::core::address::unusable;
use crate::core::settings::Target;

/// An address to hold, and one that can be held.
pub(super) fn addresses(gathered: &mut Gathered) {
    let (name, targets) = gathered.control_plane_targets();
    let targets = targets.to_vec();
    if targets.is_empty() {
        if !["address", "vip_address", "vip_ddns"].iter().any(|name| gathered.was_refused(name)) {
            gathered.blame(
                "address",
                "cp_enable is true, so an address is needed; accepted: IP addresses or DNS names",
            );
        }
        return;
    }
    let subnet_said = gathered.prefixes().is_some() || gathered.was_refused("vip_subnet");
    if name == "vip_address" && !subnet_said {
        gathered.blame(
            "vip_address",
            "vip_subnet must be set with vip_address; accepted: vip_subnet=32, or address instead \
             of vip_address",
        );
    }
    let older = gathered.targets("vip_address");
    if name == "address" && !older.is_empty() && older != targets {
        gathered.warnings.push("vip_address has no effect: address is set".to_owned());
    }
    usable(gathered, name, &targets);
    elected_all_the_same(gathered);
}

/// CFG-12: lengths that fit the addresses' families; `auto` is not for the control plane.
pub(super) fn prefix_lengths(gathered: &mut Gathered) {
    let Some(choice) = gathered.prefixes() else { return };
    let (_, targets) = gathered.control_plane_targets();
    let any = |v4: bool| {
        let wanted = |t: &Target| matches!(t, Target::Address(a) if a.is_ipv4() == v4);
        targets.iter().any(wanted)
    };
    let (has_v4, has_v6) = (any(true), any(false));
    match choice {
        PrefixChoice::Auto | PrefixChoice::Both(None, _) | PrefixChoice::Both(_, None)
            if !targets.is_empty() =>
        {
            gathered.blame(
                "vip_subnet",
                "auto is for Services in ARP mode, not with an address; accepted: 24, or 24,64",
            );
        }
        PrefixChoice::One(length) if has_v4 && length > 32 => gathered.blame(
            "vip_subnet",
            "too long for an IPv4 address; accepted: 1 to 32, or both lengths as 32,128",
        ),
        PrefixChoice::One(length) if has_v6 && length <= 32 => {
            gathered.warnings.push(format!(
                "vip_subnet={length} is the length of the IPv6 address too; write both lengths, \
                 {length},128 say"
            ));
        }
        _ => {}
    }
}

/// CFG-12: `auto` is where an address becomes part of a link's own network.
pub(super) fn automatic_prefix(gathered: &mut Gathered) {
    let automatic = match gathered.prefixes() {
        Some(PrefixChoice::Auto) => true,
        Some(PrefixChoice::Both(v4, v6)) => v4.is_none() || v6.is_none(),
        Some(PrefixChoice::One(_)) | None => false,
    };
    if let Some(mode) = gathered.mode()
        && automatic
        && mode != Mode::Arp
    {
        let why = format!(
            "auto is for Services in ARP mode, not in {} mode; accepted: 32, or 32,128",
            mode.as_str()
        );
        gathered.blame("vip_subnet", why);
    }
}

/// Addresses that some machine could hold and another one reach.
fn usable(gathered: &mut Gathered, name: &str, targets: &[Target]) {
    let link = gathered.text("vip_interface");
    for target in targets {
        let Target::Address(address) = target else { continue };
        if address.is_unspecified() {
            let why = format!(
                "{address} asks for an address by DHCP, which is for Services; accepted: the \
                 address itself or a DNS name"
            );
            gathered.blame(name, why);
        } else if let Some(why) = unusable(*address, &link) {
            gathered.blame(name, format!("{address} {why}"));
        }
    }
}

/// In ARP mode kube-vip without an election holds the address on every node.
fn elected_all_the_same(gathered: &mut Gathered) {
    let said_no = gathered
        .find("vip_leaderelection")
        .is_some_and(|found| found.value == Value::Bool(false) && found.source != Source::Default);
    if gathered.mode() == Some(Mode::Arp) && said_no {
        let lease = gathered.text("vip_leasename");
        gathered.warnings.push(format!(
            "vip_leaderelection=false: in ARP mode an address has one holder, so the election runs \
             on {lease} all the same"
        ));
    }
}
