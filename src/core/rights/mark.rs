//! Addresses that have come under another Lease, as the Lease says that decided before: so a node
//! that cannot hear of the change, but still renews that Lease or takes it, is told all the same.

use std::net::IpAddr;

use crate::core::input::Mark;
use crate::core::version::is_older;

/// So many addresses are named at most: the oldest entries go first.
const MOST: usize = 64;

/// What a Lease says of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moved<'a> {
    /// Up to which version somebody had seen Services who knew it.
    pub(crate) version: &'a str,
    /// The Lease that decided then, as `namespace/name`.
    pub(crate) to: &'a str,
}

fn entry(text: &str) -> Option<(IpAddr, Moved<'_>)> {
    let (address, rest) = text.split_once('@')?;
    let (version, to) = rest.split_once('=')?;
    Some((address.trim().parse().ok()?, Moved { version, to }))
}

/// What the annotation says of an address.
#[must_use]
pub(crate) fn moved(text: Option<&str>, ip: IpAddr) -> Option<Moved<'_>> {
    let mut all = text?.split(',').filter_map(entry);
    all.find(|(address, _)| *address == ip).map(|(_, moved)| moved)
}

/// The annotation with a mark; `None`: it is there, or what is there is not what the mark is
/// to come after.
#[must_use]
pub fn with_mark(text: Option<&str>, mark: &Mark) -> Option<String> {
    let known = moved(text, mark.address);
    let later = known.is_some_and(|known| !is_older(known.version, &mark.version));
    if later || known.map(|known| known.version) != mark.after.as_deref() {
        return None;
    }
    let all = text.unwrap_or_default().split(',').filter_map(entry);
    let others = all.filter(|(address, _)| *address != mark.address);
    let line = |ip: IpAddr, version: &str, to: &str| format!("{ip}@{version}={to}");
    let mut lines: Vec<String> = others.map(|(ip, m)| line(ip, m.version, m.to)).collect();
    lines.push(line(mark.address, &mark.version, &mark.to.to_string()));
    let surplus = lines.len().saturating_sub(MOST);
    Some(lines.split_off(surplus).join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::LeaseName;

    fn mark(address: &str, version: &str, after: Option<&str>) -> Mark {
        let to = LeaseName { namespace: "default".into(), name: "b".into() };
        let after = after.map(Into::into);
        Mark { address: address.parse().unwrap(), version: version.into(), to, after }
    }

    #[test]
    fn a_mark_replaces_only_the_one_that_it_is_to_come_after() {
        let first = with_mark(None, &mark("192.0.2.1", "7", None)).unwrap();
        assert_eq!(first, "192.0.2.1@7=default/b");
        let both = with_mark(Some(&first), &mark("2001:db8::1", "8", None)).unwrap();
        assert_eq!(moved(Some(&both), "2001:db8::1".parse().unwrap()).unwrap().version, "8");
        assert_eq!(with_mark(Some(&both), &mark("192.0.2.1", "9", None)), None);
        assert_eq!(with_mark(Some(&both), &mark("192.0.2.1", "7", Some("7"))), None);
        let later = with_mark(Some(&both), &mark("192.0.2.1", "9", Some("7"))).unwrap();
        let found = moved(Some(&later), "192.0.2.1".parse().unwrap()).unwrap();
        assert_eq!((found.version, found.to), ("9", "default/b"));
    }

    #[test]
    fn what_makes_no_sense_is_passed_over_and_the_oldest_entries_go_first() {
        assert_eq!(moved(Some("x,192.0.2.1@3,@=,192.0.2.1@4=a/b"), ip(1)).unwrap().version, "4");
        let mut text = None;
        for n in 0..80 {
            text = with_mark(text.as_deref(), &mark(&ip(n).to_string(), "5", None)).or(text);
        }
        assert_eq!(moved(text.as_deref(), ip(0)), None);
        assert!(moved(text.as_deref(), ip(79)).is_some());
    }

    fn ip(n: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, n])
    }
}
