//! Which machine this is, among those that go by its name: told by the hardware addresses of its
//! links, which stay the same when the process or the machine starts again.

use std::collections::BTreeSet;

use viplet_backend_api::{DefaultRoute, HardwareAddress, Link, LinkKind};

/// The hardware addresses of this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    all: BTreeSet<HardwareAddress>,
    name: Option<Box<str>>,
}

impl Machine {
    /// The machine with these links.
    pub fn of<'a>(links: impl Iterator<Item = &'a Link>) -> Self {
        let telling = |link: &&Link| {
            matches!(link.kind, LinkKind::Ethernet | LinkKind::Infiniband) && tells(&link.hardware)
        };
        let mut all = BTreeSet::new();
        let mut named: Option<&Link> = None;
        for link in links.filter(telling) {
            all.insert(link.hardware.clone());
            let leads_out = link.default_route != DefaultRoute::None;
            let known = named.is_some_and(|known| known.default_route != DefaultRoute::None);
            if named.is_none() || (leads_out && !known) {
                named = Some(link);
            }
        }
        Self { all, name: named.map(|link| link.hardware.to_string().into()) }
    }

    /// The address that it signs with: of the link of the default route, or else of the first by
    /// name; `None` where no link has one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Whether one of its links has the hardware address.
    #[must_use]
    pub fn has(&self, hardware: &str) -> bool {
        self.all.iter().any(|known| known.to_string() == hardware)
    }
}

/// Whether a hardware address tells one machine from another: Calico gives each of its links
/// `ee:ee:ee:ee:ee:ee`, and routers share those of VRRP (RFC 9568).
fn tells(hardware: &HardwareAddress) -> bool {
    let bytes = &hardware.0;
    let shared = bytes.starts_with(&[0, 0, 0x5e, 0]) || bytes.iter().all(|byte| *byte == 0xee);
    bytes.iter().any(|byte| *byte != 0) && !shared
}

#[cfg(test)]
mod tests {
    use viplet_backend_api::LinkState;

    use super::*;

    fn link(name: &str, last: u8, default_route: DefaultRoute) -> Link {
        Link {
            name: viplet_backend_api::LinkName::new(name).unwrap(),
            altnames: Vec::new(),
            kind: LinkKind::Ethernet,
            state: LinkState::Up,
            hardware: HardwareAddress(vec![2, 0, 0, 0, 0, last]),
            default_route,
        }
    }

    #[test]
    fn a_machine_signs_with_the_link_of_its_default_route_and_knows_all_its_addresses() {
        let links = [link("eth0", 1, DefaultRoute::None), link("eth1", 2, DefaultRoute::V4)];
        let machine = Machine::of(links.iter());
        assert_eq!(machine.name(), Some("02:00:00:00:00:02"));
        assert!(machine.has("02:00:00:00:00:01") && !machine.has("02:00:00:00:00:03"));
    }

    #[test]
    fn addresses_that_many_machines_have_tell_none_of_them() {
        for shared in [vec![0xee; 6], vec![0; 6], vec![], vec![0, 0, 0x5e, 0, 1, 7]] {
            let mut one = link("eth0", 1, DefaultRoute::V4);
            one.hardware = HardwareAddress(shared);
            assert_eq!(Machine::of([one].iter()), Machine::default());
        }
    }
}
