//! What is to be changed on a Service: who holds it, which addresses it has, why it has none.

use std::net::IpAddr;

use super::writer::Wish;
use super::{Entry, Services, Standing};
use crate::core::addresses::View;
use crate::core::addresses::eligibility::Ineligibility;
use crate::core::cluster::record::{Condition, Ingress, Served, ServiceName};
use crate::core::input::{ConditionChange, HostChange, IngressChange};
use crate::core::settings::Updates;
use crate::core::status::ServiceState;

impl Services {
    /// What is to be changed on a Service by this node now.
    pub(super) fn wish(&self, name: &ServiceName, view: &View<'_>) -> Option<Wish> {
        let entry = self.entries.get(name)?;
        if self.site.settings.updates == Updates::Withheld {
            return None;
        }
        let wish = match &entry.standing {
            Standing::Ignored(_) => self.clean_wish(entry, ConditionChange::Remove),
            Standing::Refused(_) | Standing::Waiting(_) => {
                self.clean_wish(entry, self.trouble_condition(entry, view))
            }
            Standing::Asking => self.holder_wish(entry, view),
        };
        let idle = wish.host == HostChange::Keep
            && wish.ingress == IngressChange::default()
            && wish.condition == ConditionChange::Keep;
        (!idle).then_some(wish)
    }

    /// A Service that this node held and that has no address any more.
    fn clean_wish(&self, entry: &Entry, condition: ConditionChange) -> Wish {
        let ours = entry.record.host() == Some(&self.site.node);
        let drop = entry.record.ingress.iter().filter(|ingress| ours && !ingress.ports.is_empty());
        let there = entry.record.condition.is_some();
        Wish {
            host: if ours { HostChange::Remove(self.site.node.clone()) } else { HostChange::Keep },
            ingress: IngressChange {
                put: Vec::new(),
                drop: drop.filter_map(|ingress| ingress.address).collect(),
            },
            condition: match condition {
                ConditionChange::Remove if !(there && ours) => ConditionChange::Keep,
                other => other,
            },
        }
    }

    /// A Service's addresses that are here and announced, in its order.
    pub(super) fn held_for(&self, entry: &Entry, view: &View<'_>) -> Vec<IpAddr> {
        let addresses = entry.addresses.iter().copied();
        addresses.filter(|ip| self.is_held_for(entry, *ip, view)).collect()
    }

    fn holder_wish(&self, entry: &Entry, view: &View<'_>) -> Wish {
        let held = self.held_for(entry, view);
        if held.is_empty() {
            return self.loser_wish(entry, view);
        }
        let first = entry.addresses.first().is_some_and(|first| held.contains(first));
        let here = entry.addresses.iter().filter(|ip| held.contains(ip) || view.is_coming(**ip));
        let put: Vec<Ingress> = here.map(|ip| ingress(*ip, entry)).collect();
        let there = put.iter().all(|wanted| entry.record.ingress.contains(wanted));
        let wanted = |ip: &IpAddr| entry.addresses.contains(ip) || entry.retiring.contains(ip);
        let stale = entry.record.ingress.iter().filter(|known| first && !known.ports.is_empty());
        let drop = stale.filter_map(|known| known.address).filter(|ip| !wanted(ip)).collect();
        let whole = held.len() == entry.addresses.len();
        let bad = entry.record.condition.as_ref().is_some_and(|c| c.served == Served::No);
        let served = self.state_of(entry, view).0 == ServiceState::Held;
        // What is only held for endpoints that may come back is not served: other nodes say so.
        let lasting = held.iter().all(|ip| !view.is_without_endpoints(*ip));
        let condition = if bad && first && whole && served && lasting {
            let message = format!("{} is announced by {}", list(&held), self.site.node);
            ConditionChange::Set(Condition {
                served: Served::Yes,
                reason: "Announced".into(),
                message: message.into(),
            })
        } else {
            self.trouble_condition(entry, view)
        };
        Wish {
            host: match entry.record.host() {
                Some(host) if host == self.site.node => HostChange::Keep,
                Some(host) if self.is_as_good(entry, host, view) => HostChange::Keep,
                _ if first => HostChange::Set(self.site.node.clone()),
                _ => HostChange::Keep,
            },
            ingress: IngressChange { put: if there { Vec::new() } else { put }, drop },
            condition,
        }
    }

    /// What a node has to write that does not hold the Service: that it let go, if nobody has
    /// taken it over, and why.
    fn loser_wish(&self, entry: &Entry, view: &View<'_>) -> Wish {
        let ours = entry.record.host() == Some(&self.site.node);
        // What belongs to an older Service is lost to this one, wherever it is.
        let lost = |ip: &IpAddr| view.clash(&entry.record.name, *ip).is_some();
        let gone = entry.addresses.iter().all(|ip| {
            let off = !view.is_had(*ip) && !view.lingers(*ip);
            // Where it is here for another Service, that one names this node first: whoever
            // waits for it to be gone goes by the annotations. Nobody waits for what every node
            // has, and there that one names any of them.
            let named = || {
                view.has_control_plane(*ip)
                    || view.is_for_every_node(*ip)
                    || view.another_names(&entry.record.name, *ip, &self.site.node)
            };
            off || (lost(ip) && named())
        });
        let elsewhere = |ip: &IpAddr| view.right(*ip).elsewhere();
        // A Lease for several addresses may be with a node that cannot have them all.
        let powerless =
            |ip: &IpAddr| elsewhere(ip).is_some_and(|holder| view.is_out_of_reach(*ip, holder));
        let unowned = entry.addresses.first().is_none_or(|ip| {
            let nobody = || elsewhere(ip).is_none() || powerless(ip);
            lost(ip) || nobody() || view.ineligible(*ip) == Some(&Ineligibility::NoEndpoints)
        });
        let barred = entry
            .addresses
            .iter()
            .any(|ip| lost(ip) || view.ineligible(*ip).is_some() || powerless(ip));
        let letting_go = ours && gone && unowned && barred;
        let shown = entry.record.ingress.iter().filter(|known| !known.ports.is_empty());
        let drop = shown.filter_map(|known| known.address).filter(lost);
        Wish {
            host: if letting_go {
                HostChange::Remove(self.site.node.clone())
            } else {
                HostChange::Keep
            },
            ingress: IngressChange {
                put: Vec::new(),
                drop: if letting_go { drop.collect() } else { Vec::new() },
            },
            condition: self.trouble_condition(entry, view),
        }
    }

    /// Whether an address is held here and this Service is one that may share it.
    pub(super) fn is_held_for(&self, entry: &Entry, ip: IpAddr, view: &View<'_>) -> bool {
        view.is_held(ip) && view.clash(&entry.record.name, ip).is_none()
    }
}

fn ingress(ip: IpAddr, entry: &Entry) -> Ingress {
    Ingress { address: Some(ip), hostname: None, ports: entry.record.ports.clone() }
}

/// Addresses for a person.
pub(super) fn list(addresses: &[IpAddr]) -> String {
    let texts: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    texts.join(", ")
}
