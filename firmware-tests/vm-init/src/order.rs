//! Orders and reports: one line each, answered in turn.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

/// The name of the virtio port that they go through.
pub const PORT: &str = "viplet.orders";

/// What the host may ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Says after how many milliseconds since the kernel's start this process was there.
    Hello,
    /// Starts viplet.
    Start,
    /// Kills viplet as `kill -9` does, and waits until it is gone.
    Kill,
    /// Lists the IPv4 addresses of all links.
    Addresses,
    /// Sends a packet to an address and says which hardware address it was found at.
    Neighbour(Ipv4Addr),
    /// Says viplet's resident memory in kilobytes: now, and at most.
    Memory,
    /// Tries to write a file.
    Write(String),
    /// Lists the files of the root, without /proc, /sys and /dev.
    Files,
}

/// The answer to an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// Done, with what was asked for.
    Done(Vec<String>),
    /// Not done, and why.
    Failed(String),
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hello => f.write_str("hello"),
            Self::Start => f.write_str("start"),
            Self::Kill => f.write_str("kill"),
            Self::Addresses => f.write_str("addresses"),
            Self::Neighbour(address) => write!(f, "neighbour {address}"),
            Self::Memory => f.write_str("memory"),
            Self::Write(path) => write!(f, "write {path}"),
            Self::Files => f.write_str("files"),
        }
    }
}

impl FromStr for Order {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "hello" => Ok(Self::Hello),
            "start" => Ok(Self::Start),
            "kill" => Ok(Self::Kill),
            "addresses" => Ok(Self::Addresses),
            "neighbour" => rest
                .parse()
                .map(Self::Neighbour)
                .map_err(|_| format!("{rest:?} is no IPv4 address")),
            "memory" => Ok(Self::Memory),
            "write" => Ok(Self::Write(rest.to_owned())),
            "files" => Ok(Self::Files),
            _ => Err(format!("there is no order {line:?}")),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done(words) => write!(f, "done {}", words.join(" ")),
            Self::Failed(why) => write!(f, "failed {}", why.replace('\n', " ")),
        }
    }
}

impl FromStr for Report {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        match line.split_once(' ') {
            Some(("done", rest)) => {
                Ok(Self::Done(rest.split_whitespace().map(str::to_owned).collect()))
            }
            Some(("failed", why)) => Ok(Self::Failed(why.to_owned())),
            _ => Err(format!("{line:?} is no report")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_and_reports_are_read_as_they_were_written() {
        let orders = [
            Order::Hello,
            Order::Start,
            Order::Kill,
            Order::Addresses,
            Order::Neighbour(Ipv4Addr::new(192, 0, 2, 1)),
            Order::Memory,
            Order::Write("/sys/file".to_owned()),
            Order::Files,
        ];
        for order in orders {
            assert_eq!(order.to_string().parse(), Ok(order));
        }
        let reports = [
            Report::Done(Vec::new()),
            Report::Done(vec!["one".to_owned(), "two".to_owned()]),
            Report::Failed("no such thing".to_owned()),
        ];
        for report in reports {
            assert_eq!(report.to_string().parse(), Ok(report));
        }
    }

    #[test]
    fn what_is_no_order_is_refused_with_a_reason() {
        assert!("neighbour me".parse::<Order>().is_err_and(|why| why.contains("\"me\"")));
        assert!("".parse::<Order>().is_err());
    }
}
