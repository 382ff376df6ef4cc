//! BIRD 2 of one router, asked through its control socket as birdc does: lines begin with a
//! four-digit code, and a space after the last code ends an answer.

use std::io::{BufRead, BufReader, Write};
use std::net::IpAddr;
use std::os::unix::net::UnixStream;
use std::path::Path as FilePath;
use std::time::{Duration, Instant};

use viplet_lab::{Process, Program, wait_until};

use crate::folder::Folder;
use crate::router::{Neighbour, Path, Router};
use crate::wires::Host;

/// BIRD in a host's namespace.
#[derive(Debug)]
pub struct Bird {
    folder: Folder,
    process: Process,
    started: Instant,
}

impl Bird {
    /// Starts it with this configuration and waits until it answers.
    pub fn start(program: &FilePath, host: &Host, configuration: &str) -> Self {
        let folder = Folder::new(host.name);
        let text = format!("log stderr all;\n{configuration}\n");
        let path = folder.write("bird.conf", &text);
        let process = Program::new(program)
            .arg("-f")
            .arg("-c")
            .arg(&path)
            .arg("-s")
            .arg(&folder.file("bird.ctl"))
            .start(&format!("bird of {}", host.name), &host.namespace);
        let bird = Self { folder, process, started: Instant::now() };
        wait_until("BIRD answers", Duration::from_secs(20), || {
            bird.ask("show status").contains("up and running")
        });
        bird
    }

    /// Asks as birdc does; the text without the codes.
    pub fn ask(&self, command: &str) -> String {
        self.try_ask(command).unwrap_or_default()
    }

    fn try_ask(&self, command: &str) -> std::io::Result<String> {
        let mut stream = UnixStream::connect(self.folder.path().join("bird.ctl"))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let mut lines = BufReader::new(stream.try_clone()?).lines();
        answer(&mut lines)?;
        stream.write_all(format!("{command}\n").as_bytes())?;
        answer(&mut lines)
    }

    /// Its process: to freeze it, or to read its log.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// The name of the protocol whose neighbour this is.
    fn protocol_of(&self, peer: IpAddr) -> Option<(String, String)> {
        let all = self.ask("show protocols all");
        let address = format!("Neighbor address: {peer}");
        let mut found = None;
        for line in all.lines() {
            if !line.starts_with(' ') {
                found = line.split_whitespace().next().map(str::to_owned);
            }
            let said = line.trim();
            if said == address || said.starts_with(&format!("{address}%")) {
                let name = found?;
                let details = self.ask(&format!("show protocols all {name}"));
                return Some((name, details));
            }
        }
        None
    }
}

fn answer(lines: &mut impl Iterator<Item = std::io::Result<String>>) -> std::io::Result<String> {
    let mut text = String::new();
    for line in lines {
        let line = line?;
        let coded = line.len() >= 5 && line.as_bytes()[..4].iter().all(u8::is_ascii_digit);
        let said = if coded { &line[5..] } else { line.strip_prefix(' ').unwrap_or(&line) };
        text.push_str(said);
        text.push('\n');
        if coded && line.as_bytes()[4] == b' ' {
            break;
        }
    }
    Ok(text)
}

impl Router for Bird {
    fn neighbour(&self, peer: IpAddr) -> Option<Neighbour> {
        let (_, details) = self.protocol_of(peer)?;
        let field = |name: &str| -> String {
            let mut lines = details.lines().map(str::trim);
            lines.find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim().to_owned()
        };
        let count = |line: &str| line.split_whitespace().find_map(|word| word.parse::<u64>().ok());
        let routes = details.lines().map(str::trim).filter(|line| line.starts_with("Routes:"));
        let updates =
            details.lines().map(str::trim).filter(|line| line.starts_with("Import updates:"));
        Some(Neighbour {
            state: field("BGP state:").to_lowercase(),
            prefixes: routes.filter_map(count).sum(),
            updates: updates.filter_map(count).sum(),
            last_error: field("Last error:"),
        })
    }

    fn paths(&self, prefix: &str) -> Vec<Path> {
        let said = self.ask(&format!("show route for {prefix} all"));
        let mut paths: Vec<Path> = Vec::new();
        for line in said.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            // A path begins with the prefix, or with what else is unicast to the same prefix.
            if let Some(place) = words.iter().position(|word| *word == "unicast")
                && place <= 1
                && (place == 0 || words[0] == prefix)
            {
                paths.push(Path::default());
            }
            if let Some(path) = paths.last_mut() {
                note(path, line.trim(), &words);
            }
        }
        paths
    }

    fn report(&self) -> String {
        format!(
            "{}\n{}\n{}",
            self.ask("show protocols all"),
            self.ask("show route all"),
            self.process.annotated_log(self.started)
        )
    }
}

fn note(path: &mut Path, line: &str, words: &[&str]) {
    if let Some(said) = line.strip_prefix("BGP.") {
        let (name, value) = said.split_once(':').unwrap_or((said, ""));
        let value = value.trim();
        let list = || -> Vec<String> {
            let parts = value.split(") (").map(|part| part.trim_matches(['(', ')']));
            parts.map(|part| part.replace(", ", ":").replace(',', ":")).collect()
        };
        match name {
            "as_path" => value.clone_into(&mut path.as_path),
            "local_pref" => path.local_preference = value.parse().ok(),
            "med" => path.med = value.parse().ok(),
            "community" => path.communities = list(),
            "large_community" => path.large_communities = list(),
            "next_hop" => {
                path.next_hops = value.split(' ').filter_map(|hop| hop.parse().ok()).collect();
            }
            _ => {}
        }
    } else if let Some(place) = words.iter().position(|word| *word == "from") {
        path.from = words.get(place + 1).and_then(|word| word.trim_end_matches(']').parse().ok());
        path.stale = line.contains('s') && line.contains("] * (") && line.contains("stale");
    }
}
