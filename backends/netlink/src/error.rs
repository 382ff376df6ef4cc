//! errno → [`Refusal`]: the class by which the shell retries, and a line that names what is
//! missing and what to do about it.

use std::io;

use viplet_backend_api::{Class, Refusal};

/// errno values (`asm-generic/errno.h`; the same on every target that we build for).
pub(crate) mod errno {
    pub(crate) const EPERM: i32 = 1;
    pub(crate) const ENXIO: i32 = 6;
    pub(crate) const EACCES: i32 = 13;
    pub(crate) const EEXIST: i32 = 17;
    pub(crate) const ENODEV: i32 = 19;
    pub(crate) const EINVAL: i32 = 22;
    pub(crate) const EMFILE: i32 = 24;
    pub(crate) const EROFS: i32 = 30;
    pub(crate) const EMSGSIZE: i32 = 90;
    pub(crate) const EPROTONOSUPPORT: i32 = 93;
    pub(crate) const EOPNOTSUPP: i32 = 95;
    pub(crate) const EAFNOSUPPORT: i32 = 97;
    pub(crate) const EADDRNOTAVAIL: i32 = 99;
    pub(crate) const ENETDOWN: i32 = 100;
    pub(crate) const ENOBUFS: i32 = 105;
}

/// The capability without which an operation is refused (capabilities(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    /// `CAP_NET_ADMIN`: to change addresses and routes.
    NetAdmin,
    /// `CAP_NET_RAW`: to send and receive ARP and NDP.
    NetRaw,
}

impl Capability {
    const fn name(self) -> &'static str {
        match self {
            Self::NetAdmin => "NET_ADMIN",
            Self::NetRaw => "NET_RAW",
        }
    }
}

/// Says why the kernel refused `action` (an infinitive: «put 10.0.0.5/32 on eth0»).
/// `hint` is the kernel's own extra text (extended ACK), empty where there is none.
#[must_use]
pub fn io_refusal(action: &str, error: &io::Error, needed: Capability, hint: &str) -> Refusal {
    let code = error.raw_os_error().unwrap_or(0);
    let (class, advice) = judge(code, needed);
    let mut reason = format!("cannot {action}: {}", plain(error));
    if !hint.is_empty() {
        reason.push_str(&format!(" ({})", hint.trim_end_matches('.')));
    }
    if !advice.is_empty() {
        reason.push_str("; ");
        reason.push_str(&advice);
    }
    Refusal { class, reason }
}

fn judge(code: i32, needed: Capability) -> (Class, String) {
    let name = needed.name();
    match code {
        errno::EPERM => (
            Class::Forbidden,
            format!(
                "this needs the capability {name}: add {name} to securityContext.capabilities.add \
                 of the container, or run as root"
            ),
        ),
        // rtnetlink has EPERM for a missing capability and EACCES for this alone.
        errno::EACCES => (
            Class::Misconfigured,
            "IPv6 is switched off on the link: set the sysctl net.ipv6.conf.<link>.disable_ipv6 to 0"
                .to_owned(),
        ),
        errno::EROFS => {
            (Class::Forbidden, "the file system is read-only: mount it writable".to_owned())
        }
        errno::ENODEV | errno::ENXIO => {
            (Class::Lost, "the link does not exist: waiting for it".to_owned())
        }
        errno::ENETDOWN => (Class::Lost, "the link is down: waiting for it".to_owned()),
        errno::EADDRNOTAVAIL => (Class::Lost, "the address is not on the link".to_owned()),
        errno::EEXIST => (
            Class::Misconfigured,
            "another program put the same address there: remove it or choose another".to_owned(),
        ),
        errno::EINVAL => (
            Class::Misconfigured,
            "check the address, its prefix length and the link's type".to_owned(),
        ),
        errno::EOPNOTSUPP | errno::EAFNOSUPPORT | errno::EPROTONOSUPPORT => (
            Class::Misconfigured,
            "this kernel lacks the protocol (IPv6 switched off with ipv6.disable=1?)".to_owned(),
        ),
        errno::EMFILE => (Class::Transient, "raise the limit of open files".to_owned()),
        errno::ENOBUFS => (
            Class::Transient,
            "the link's queue is full, or its carrier was lost this moment: trying again".to_owned(),
        ),
        _ => (Class::Transient, String::new()),
    }
}

/// The error without std's «(os error N)», which says nothing to a person.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((words, _)) => words.to_lowercase(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(code: i32) -> Refusal {
        io_refusal(
            "put 10.0.0.5/32 on eth0",
            &io::Error::from_raw_os_error(code),
            Capability::NetAdmin,
            "",
        )
    }

    #[test]
    fn a_missing_capability_is_named_with_what_to_do() {
        let refused = refusal(errno::EPERM);
        assert_eq!(refused.class, Class::Forbidden);
        assert_eq!(
            refused.reason,
            "cannot put 10.0.0.5/32 on eth0: operation not permitted; this needs the capability \
             NET_ADMIN: add NET_ADMIN to securityContext.capabilities.add of the container, or run \
             as root"
        );
        let raw = io_refusal("open", &io::Error::from_raw_os_error(1), Capability::NetRaw, "");
        assert!(raw.reason.contains("NET_RAW"), "{raw}");
    }

    #[test]
    fn each_errno_has_the_class_by_which_it_is_retried() {
        for (code, class) in [
            (errno::EPERM, Class::Forbidden),
            (errno::EACCES, Class::Misconfigured),
            (errno::EROFS, Class::Forbidden),
            (errno::ENODEV, Class::Lost),
            (errno::ENETDOWN, Class::Lost),
            (errno::EEXIST, Class::Misconfigured),
            (errno::EINVAL, Class::Misconfigured),
            (errno::EOPNOTSUPP, Class::Misconfigured),
            (errno::EAFNOSUPPORT, Class::Misconfigured),
            (errno::ENOBUFS, Class::Transient),
            (11, Class::Transient),
            (12, Class::Transient),
            (16, Class::Transient),
        ] {
            assert_eq!(refusal(code).class, class, "errno {code}");
        }
    }

    #[test]
    fn the_kernels_own_words_are_kept() {
        let error = io::Error::from_raw_os_error(errno::EINVAL);
        let refused = io_refusal("do it", &error, Capability::NetAdmin, "Invalid prefix length.");
        assert!(
            refused.reason.contains("invalid argument (Invalid prefix length); check"),
            "{refused}"
        );
    }
}
