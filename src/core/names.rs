//! DNS names that stand for addresses: looked up again and again, what is known is kept.

use std::net::IpAddr;
use std::time::Duration;

use super::settings::DnsMode;
use super::time::Moment;

/// Time between two look-ups (VIP-4).
const EVERY: Duration = Duration::from_secs(3);
/// A look-up that was not answered by then is asked again.
const LOST: Duration = Duration::from_secs(30);

/// One name.
#[derive(Clone, Debug)]
pub struct Name {
    name: String,
    mode: DnsMode,
    addresses: Vec<IpAddr>,
    asked: Option<Moment>,
    next: Moment,
    trouble: Option<String>,
}

impl Name {
    /// A name that was never looked up.
    #[must_use]
    pub fn new(name: String, mode: DnsMode) -> Self {
        let next = Moment::default();
        Self { name, mode, addresses: Vec::new(), asked: None, next, trouble: None }
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The addresses that it stands for now; none before the first answer.
    #[must_use]
    pub fn addresses(&self) -> &[IpAddr] {
        &self.addresses
    }

    /// Why the last look-up failed, if it did.
    #[must_use]
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// Whether to look it up now.
    pub fn due(&mut self, now: Moment) -> bool {
        if now < self.deadline() {
            return false;
        }
        self.asked = Some(now);
        true
    }

    /// When to look it up next.
    #[must_use]
    pub fn deadline(&self) -> Moment {
        self.asked.map_or(self.next, |asked| asked + LOST)
    }

    /// An answer. A failure keeps what is there.
    pub fn resolved(&mut self, outcome: Result<Vec<IpAddr>, String>, now: Moment) {
        self.asked = None;
        self.next = now + EVERY;
        let found = match outcome {
            Ok(found) => found,
            Err(why) => {
                self.trouble = Some(why);
                return;
            }
        };
        let chosen = choose(self.mode, &found, &self.addresses);
        if chosen.is_empty() {
            let wanted = match self.mode {
                DnsMode::Ipv4 => "IPv4 address",
                DnsMode::Ipv6 => "IPv6 address",
                DnsMode::First | DnsMode::Dual => "usable address",
            };
            self.trouble = Some(format!("{} has no {wanted}", self.name));
            return;
        }
        self.trouble = None;
        self.addresses = chosen;
    }
}

/// The addresses that count. One that is held already and still listed stays: resolvers answer
/// in changing order.
fn choose(mode: DnsMode, found: &[IpAddr], current: &[IpAddr]) -> Vec<IpAddr> {
    let usable: Vec<IpAddr> = found.iter().copied().filter(|ip| is_usable(*ip)).collect();
    let pick = |family: fn(&IpAddr) -> bool| {
        let listed = |ip: &&IpAddr| usable.contains(ip);
        let kept = current.iter().filter(listed).find(|ip| family(ip));
        kept.or_else(|| usable.iter().find(|ip| family(ip))).copied()
    };
    match mode {
        DnsMode::Ipv4 => pick(IpAddr::is_ipv4).into_iter().collect(),
        DnsMode::Ipv6 => pick(IpAddr::is_ipv6).into_iter().collect(),
        DnsMode::Dual => pick(IpAddr::is_ipv4).into_iter().chain(pick(IpAddr::is_ipv6)).collect(),
        DnsMode::First => {
            let family = match current.first() {
                Some(IpAddr::V4(_)) => pick(IpAddr::is_ipv4),
                Some(IpAddr::V6(_)) => pick(IpAddr::is_ipv6),
                None => None,
            };
            family.or_else(|| pick(|_| true)).into_iter().collect()
        }
    }
}

fn is_usable(address: IpAddr) -> bool {
    let link_local = match address {
        IpAddr::V4(_) => false,
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    !address.is_unspecified() && !address.is_multicast() && !address.is_loopback() && !link_local
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ips(text: &[&str]) -> Vec<IpAddr> {
        text.iter().map(|t| t.parse().unwrap()).collect()
    }

    fn name(mode: DnsMode) -> Name {
        Name::new("api.example.com".to_owned(), mode)
    }

    #[test]
    fn a_resolver_that_changes_the_order_does_not_move_the_address() {
        let mut name = name(DnsMode::First);
        name.resolved(Ok(ips(&["10.0.0.1", "10.0.0.2"])), Moment::default());
        name.resolved(Ok(ips(&["10.0.0.2", "10.0.0.1"])), Moment::default());
        assert_eq!(name.addresses(), ips(&["10.0.0.1"]));
        name.resolved(Ok(ips(&["10.0.0.2"])), Moment::default());
        assert_eq!(name.addresses(), ips(&["10.0.0.2"]));
    }

    #[test]
    fn a_failed_look_up_keeps_the_address_and_says_why() {
        let mut name = name(DnsMode::First);
        name.resolved(Ok(ips(&["10.0.0.1"])), Moment::default());
        name.resolved(Err("SERVFAIL".to_owned()), Moment::default());
        assert_eq!((name.addresses(), name.trouble()), (&ips(&["10.0.0.1"])[..], Some("SERVFAIL")));
        name.resolved(Ok(ips(&["127.0.0.1", "ff02::1", "fe80::1"])), Moment::default());
        assert_eq!(name.addresses(), ips(&["10.0.0.1"]));
        assert!(name.trouble().is_some());
    }

    #[test]
    fn each_mode_takes_its_families() {
        let all = ips(&["fd00::1", "10.0.0.1", "fd00::2"]);
        let chosen = |mode| choose(mode, &all, &[]);
        assert_eq!(chosen(DnsMode::First), ips(&["fd00::1"]));
        assert_eq!(chosen(DnsMode::Ipv4), ips(&["10.0.0.1"]));
        assert_eq!(chosen(DnsMode::Ipv6), ips(&["fd00::1"]));
        assert_eq!(chosen(DnsMode::Dual), ips(&["10.0.0.1", "fd00::1"]));
        let changed = choose(DnsMode::First, &ips(&["fd00::1", "10.0.0.2"]), &ips(&["10.0.0.1"]));
        assert_eq!(changed, ips(&["10.0.0.2"]), "first stays in its family");
    }

    #[test]
    fn a_look_up_is_not_repeated_before_its_answer() {
        let mut name = name(DnsMode::First);
        let t = Moment::default();
        assert!(name.due(t));
        assert!(!name.due(t + Duration::from_secs(10)));
        name.resolved(Err("no".to_owned()), t + Duration::from_secs(11));
        assert!(!name.due(t + Duration::from_secs(13)));
        assert!(name.due(t + Duration::from_secs(14)));
    }
}
