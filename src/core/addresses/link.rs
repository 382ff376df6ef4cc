//! Where an address is to be put on this node.

use std::net::IpAddr;

use viplet_backend_api::{Scope, Vip};

use super::{Addresses, View};
use crate::core::context::Around;
use crate::core::services::request::{AskedLink, asked_link};
use crate::core::settings::{PrefixLength, ServiceLink};

impl Addresses {
    /// The link of Services that name none is chosen once and kept while it exists.
    pub(crate) fn choose_link(&mut self, around: &Around<'_>) {
        let gone = self.link.as_ref().is_none_or(|link| around.observed.link(link).is_none());
        if !gone {
            return;
        }
        let (ServiceLink::Choice(choice) | ServiceLink::OfSubnet(choice)) =
            &self.site.settings.link;
        let chosen = around.observed.choose(choice);
        if chosen.is_some() && chosen != self.link {
            self.link = chosen;
            self.look_at_all();
        }
    }
}

impl View<'_> {
    /// The address as it is to be put on its link.
    pub(crate) fn vip(&self, ip: IpAddr) -> Result<Vip, String> {
        self.get(ip).ok_or_else(String::new)?;
        let asked = self.lead(&self.accepted(ip)).and_then(|record| asked_link(record).ok());
        let settings = &self.addresses.site.settings;
        let of_subnet = self.around.observed.network_of(ip);
        let usual = || {
            self.addresses.link.clone().ok_or_else(|| {
                "there is no interface to put it on: waiting for the default route or for the \
                 interface that vip_servicesinterface or vip_interface names"
                    .to_owned()
            })
        };
        let subnet_or_usual = || of_subnet.map_or_else(usual, |(link, _)| Ok(link.clone()));
        let link = match (asked, &settings.link) {
            (Some(AskedLink::Named(name)), _) => {
                self.around.observed.named(&name).ok_or_else(|| missing_link(&name))?
            }
            (Some(AskedLink::OfSubnet), _) | (_, ServiceLink::OfSubnet(_)) => subnet_or_usual()?,
            (Some(AskedLink::Usual) | None, ServiceLink::Choice(_)) => usual()?,
        };
        let (asked_prefix, whole) = match ip {
            IpAddr::V4(_) => (settings.prefix.v4, 32),
            IpAddr::V6(_) => (settings.prefix.v6, 128),
        };
        let prefix_len = match (asked_prefix, of_subnet) {
            (PrefixLength::Fixed(length), _) => length,
            (PrefixLength::OfSubnet, Some((_, length))) => length,
            (PrefixLength::OfSubnet, None) => {
                return Err(format!(
                    "vip_subnet is auto, and no interface of this node has a network with {ip}; \
                     set a prefix length ({whole}, say) or choose another address"
                ));
            }
        };
        let scope = if link.as_str() == "lo" { Scope::Host } else { Scope::Universe };
        let (presence, duplicate_detection) = (settings.presence, settings.duplicate_detection);
        Ok(Vip { address: ip, prefix_len, link, presence, scope, duplicate_detection })
    }
}

/// Why an address cannot be put on an interface that is not there.
pub(super) fn missing_link(name: impl std::fmt::Display) -> String {
    format!("interface {name} does not exist here: waiting for it")
}
