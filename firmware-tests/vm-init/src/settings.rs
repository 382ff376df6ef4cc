//! What a machine is told by a file in its initramfs: its address, and how viplet is started.

use std::fmt;
use std::net::Ipv4Addr;

/// Where the file is.
pub const SETTINGS: &str = "/settings";

/// One line each: `address 192.0.2.1/24`, `argument manager`, `set vip_arp=true`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The address of `eth0` and its prefix length.
    pub address: (Ipv4Addr, u8),
    /// viplet's arguments.
    pub arguments: Vec<String>,
    /// viplet's whole environment.
    pub environment: Vec<(String, String)>,
}

impl Settings {
    /// Reads them; a line that says nothing known is passed over.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut settings = Self {
            address: (Ipv4Addr::UNSPECIFIED, 0),
            arguments: Vec::new(),
            environment: Vec::new(),
        };
        for (word, rest) in text.lines().filter_map(|line| line.split_once(' ')) {
            match (word, rest.split_once(['/', '=']).unwrap_or((rest, ""))) {
                ("address", (ip, prefix)) => {
                    if let (Ok(ip), Ok(prefix)) = (ip.parse(), prefix.parse()) {
                        settings.address = (ip, prefix);
                    }
                }
                ("argument", _) => settings.arguments.push(rest.to_owned()),
                ("set", _) => {
                    let (name, value) = rest.split_once('=').unwrap_or((rest, ""));
                    settings.environment.push((name.to_owned(), value.to_owned()));
                }
                _ => {}
            }
        }
        settings
    }
}

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "address {}/{}", self.address.0, self.address.1)?;
        for argument in &self.arguments {
            writeln!(f, "argument {argument}")?;
        }
        for (name, value) in &self.environment {
            writeln!(f, "set {name}={value}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_as_they_were_written() {
        let settings = Settings {
            address: (Ipv4Addr::new(192, 0, 2, 11), 24),
            arguments: vec!["manager".to_owned()],
            environment: vec![
                ("address".to_owned(), "192.0.2.100/32".to_owned()),
                ("k8s_config_file".to_owned(), "/kubeconfig".to_owned()),
            ],
        };
        assert_eq!(Settings::parse(&settings.to_string()), settings);
    }
}
