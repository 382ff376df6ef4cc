//! `viplet status`: asks the viplet on this node for `/status` and prints it for a person.

use std::fmt::Write as _;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::time::{Duration, Instant};

use argh::FromArgs;

use crate::core::status::{AddressState, AddressStatus, LeaseStatus, RoleStatus};
use crate::shell::source::{ApiHealth, StatusPage};

const WITHOUT_SERVER: [&str; 2] = ["127.0.0.1:2112", "[::1]:2112"];
const CONNECT_TIME: Duration = Duration::from_secs(2);
const ANSWER_TIME: Duration = Duration::from_secs(5);
/// 16 MiB: more than a status of tens of thousands of addresses.
const LONGEST_ANSWER: u64 = 16 << 20;

/// show each address, who holds it, until when and why
#[derive(FromArgs, Clone, Debug, PartialEq, Eq)]
#[argh(subcommand, name = "status")]
pub struct StatusCommand {
    /// host:port of a viplet (prometheus_server or health_check_port); by default this node's
    #[argh(option, arg_name = "host:port")]
    pub server: Option<String>,

    /// print the JSON document as it is
    #[argh(switch)]
    pub json: bool,
}

impl StatusCommand {
    /// What it prints on stdout.
    ///
    /// # Errors
    /// With the text for stderr: nothing listens, or what answers is not viplet.
    pub fn text(&self) -> Result<String, String> {
        let body = self.fetch()?;
        if self.json {
            return Ok(body);
        }
        serde_json::from_str(&body)
            .map(|page| for_a_person(&page))
            .map_err(|error| format!("what answered is not viplet's status: {error}"))
    }

    fn fetch(&self) -> Result<String, String> {
        let servers: Vec<&str> = match &self.server {
            Some(server) => vec![server],
            None => WITHOUT_SERVER.to_vec(),
        };
        let mut failures = Vec::new();
        for server in servers {
            match ask(server) {
                Ok(body) => return Ok(body),
                Err(Failure::Answered(why)) => return Err(format!("{server}: {why}")),
                Err(Failure::Unreachable(why)) => failures.push(format!("{server}: {why}")),
            }
        }
        Err(format!(
            "no answer ({}). Is viplet running on this node? Its setting prometheus_server may be \
             off or on another port: give it with --server HOST:PORT",
            failures.join("; ")
        ))
    }
}

enum Failure {
    /// Nobody there: the next address may do.
    Unreachable(String),
    /// Somebody there, but not with a status.
    Answered(String),
}

fn ask(server: &str) -> Result<String, Failure> {
    let unreachable = |error: io::Error| Failure::Unreachable(error.to_string());
    let mut last = io::Error::new(io::ErrorKind::NotFound, "no such address");
    for address in server.to_socket_addrs().map_err(unreachable)? {
        match TcpStream::connect_timeout(&address, CONNECT_TIME) {
            Ok(stream) => return exchange(stream, address).map_err(Failure::Answered),
            Err(error) => last = error,
        }
    }
    Err(unreachable(last))
}

fn exchange(mut stream: TcpStream, server: SocketAddr) -> Result<String, String> {
    let answer = (|| -> io::Result<Vec<u8>> {
        stream.set_write_timeout(Some(ANSWER_TIME))?;
        stream.set_read_timeout(Some(ANSWER_TIME))?;
        let request = format!(
            "GET /status HTTP/1.1\r\nHost: {server}\r\nAccept: application/json\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes())?;
        read_all(&mut stream)
    })()
    .map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => "it accepted the connection and then did not answer; if it is \
                                      viplet, its loop hangs: see its log"
            .to_owned(),
        _ => error.to_string(),
    })?;
    body_of(&String::from_utf8_lossy(&answer))
}

/// Reads until the server closes, for at most [`ANSWER_TIME`] in all.
fn read_all(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let deadline = Instant::now() + ANSWER_TIME;
    let mut bytes = Vec::new();
    let mut limited = stream.take(LONGEST_ANSWER);
    let mut buffer = [0; 4096];
    loop {
        match limited.read(&mut buffer)? {
            0 => return Ok(bytes),
            read => bytes.extend_from_slice(buffer.get(..read).unwrap_or_default()),
        }
        if Instant::now() >= deadline {
            return Err(io::ErrorKind::WouldBlock.into());
        }
    }
}

fn body_of(answer: &str) -> Result<String, String> {
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .filter(|(head, _)| head.starts_with("HTTP/1."))
        .ok_or("what answered does not speak HTTP")?;
    match head.split(' ').nth(1) {
        Some("200") => Ok(body.to_owned()),
        Some("503") => Err("it is too busy to answer (503); try again".into()),
        _ => {
            let line = head.lines().next().unwrap_or_default();
            Err(format!("what answered is not viplet: {line:?} for /status"))
        }
    }
}

/// The page in words.
#[must_use]
pub fn for_a_person(page: &StatusPage) -> String {
    let status = &page.status;
    let mut out = format!("viplet {} on node {}\n", page.version, status.node);
    // Writing to a String cannot fail.
    let _ = writeln!(out, "API server: {}", api(&page.api));
    if let Some(why) = &page.unhealthy {
        let _ = writeln!(out, "Unhealthy: {why}");
    }
    match status.not_ready.as_slice() {
        [] => out.push_str("Ready: yes\n"),
        reasons => {
            let _ = writeln!(out, "Ready: NO\n  {}", reasons.join("\n  "));
        }
    }
    if status.addresses.is_empty() {
        out.push_str("\nNo addresses.\n");
    }
    for address in &status.addresses {
        let lease = status.leases.iter().find(|lease| lease.lease == address.lease);
        let _ = write!(out, "\n{}", one_address(address, lease, &status.node));
    }
    for (link, state) in &status.links {
        let _ = write!(out, "\nlink {link}: {state}");
    }
    if !status.links.is_empty() {
        out.push('\n');
    }
    out
}

fn api(api: &ApiHealth) -> String {
    match api {
        ApiHealth::Unknown => "not asked yet".into(),
        ApiHealth::Reachable { seconds } => {
            format!("answers, for {}", span(Duration::from_secs(*seconds)))
        }
        ApiHealth::Unreachable { seconds, reason } => {
            format!("UNREACHABLE for {}: {reason}", span(Duration::from_secs(*seconds)))
        }
    }
}

fn one_address(address: &AddressStatus, lease: Option<&LeaseStatus>, node: &str) -> String {
    let what = match (&address.address, &address.name) {
        (Some(literal), Some(name)) => format!("{literal} ({name})"),
        (Some(literal), None) => literal.to_string(),
        (None, Some(name)) => format!("{name} (not resolved)"),
        (None, None) => "(no address)".into(),
    };
    let state = match address.state {
        AddressState::Held => "held: here and announced",
        AddressState::Pending => "PENDING: should be here and is not",
        AddressState::Kept => "kept: here, not announced",
        AddressState::Elsewhere => "elsewhere: not here, and should not be",
        AddressState::Blocked => "BLOCKED: will not be put here",
    };
    let mut out = format!("{what} on {}\n  state:  {state}\n", address.link);
    if !address.reason.is_empty() {
        let _ = writeln!(out, "  why:    {}", address.reason);
    }
    if address.announced > 0 {
        let _ = writeln!(out, "  sent:   {} announcements", address.announced);
    }
    match lease {
        Some(lease) => {
            out.push_str(&one_lease(lease, node));
            if !address.reason.contains(&lease.reason) {
                let _ = writeln!(out, "          {}", lease.reason);
            }
        }
        None if address.lease.is_empty() => {}
        None => {
            let _ = writeln!(out, "  lease:  {}", address.lease);
        }
    }
    out
}

fn one_lease(lease: &LeaseStatus, node: &str) -> String {
    let holder = match lease.holder.as_str() {
        "" => "nobody".to_owned(),
        holder if holder == node => format!("{holder} (this node)"),
        holder => holder.to_owned(),
    };
    let role = match lease.role {
        RoleStatus::Starting => ", not read yet",
        RoleStatus::Abstaining => ", this node does not stand",
        RoleStatus::Following | RoleStatus::Holding => "",
    };
    let mut out = format!("  holder: {holder}{role}\n");
    if let Some(left) = lease.held_for {
        let _ = writeln!(out, "  until:  {} from now, unless renewed", span(left));
    }
    let renewed = lease.renewed_ago.map(|ago| format!(", renewed {} ago", span(ago)));
    let _ = writeln!(
        out,
        "  lease:  {}{}, {} transitions",
        lease.lease,
        renewed.unwrap_or_default(),
        lease.transitions
    );
    out
}

/// `12.5 s`, `3 min 5 s`, `2 h 10 min`, `4 d 3 h`.
fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..60 if span.subsec_millis() >= 50 => format!("{:.1} s", span.as_secs_f64()),
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};
    use std::thread::{self, JoinHandle};

    use proptest::prelude::*;

    use super::*;
    use crate::shell::source::StatusPage;
    use crate::shell::source::fixture::holding;

    /// Answers one connection with `answer` and closes it.
    fn server(answer: String) -> (StatusCommand, JoinHandle<()>) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let server = listener.local_addr().unwrap().to_string();
        let thread = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                request.push(byte[0]);
            }
            assert!(request.starts_with(b"GET /status HTTP/1.1\r\n"));
            stream.write_all(answer.as_bytes()).unwrap();
        });
        (StatusCommand { server: Some(server), json: false }, thread)
    }

    fn page() -> StatusPage {
        StatusPage::of(&holding())
    }

    #[test]
    fn what_a_viplet_says_is_printed_with_holder_until_and_why() {
        let json = serde_json::to_string(&page()).unwrap();
        let (command, thread) = server(format!("HTTP/1.1 200 OK\r\nX: y\r\n\r\n{json}"));
        let text = command.text().unwrap();
        thread.join().unwrap();
        for expected in [
            "on node node-a\n",
            "API server: answers, for 1 min 0 s\n",
            "Ready: yes\n",
            "192.0.2.10 on eth0\n  state:  held",
            "  why:    this node holds the lease\n",
            "  holder: node-a (this node)\n",
            "  until:  12.5 s from now",
            "  lease:  kube-system/plndr-cp-lock, renewed 1.5 s ago, 3 transitions\n",
            "2001:db8::10 on eth0\n  state:  PENDING",
            "  why:    link eth0 is down\n",
            "link eth0: up\n",
        ] {
            assert!(text.contains(expected), "{expected:?} is missing in\n{text}");
        }
    }

    #[test]
    fn trouble_is_printed_in_full() {
        let mut page = page();
        page.api = ApiHealth::unreachable(Duration::from_secs(90_061), "connection refused");
        page.unhealthy = Some("the loop has not turned for 12 s".into());
        page.status.not_ready = vec!["first".into(), "second".into()];
        page.status.leases[0].holder.clear();
        page.status.leases[0].held_for = None;
        let text = for_a_person(&page);
        assert!(text.contains("UNREACHABLE for 1 d 1 h: connection refused\n"), "{text}");
        assert!(text.contains("Unhealthy: the loop has not turned for 12 s\n"), "{text}");
        assert!(text.contains("Ready: NO\n  first\n  second\n"), "{text}");
        assert!(text.contains("holder: nobody\n") && !text.contains("until:"), "{text}");
    }

    #[test]
    fn json_is_passed_on_as_it_is() {
        let (mut command, thread) = server("HTTP/1.1 200 OK\r\n\r\n{\"a\": 1}\n".into());
        command.json = true;
        assert_eq!(command.text(), Ok("{\"a\": 1}\n".into()));
        thread.join().unwrap();
    }

    #[test]
    fn when_nothing_listens_it_says_what_to_look_at() {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
        let command = StatusCommand { server: Some(free.to_string()), json: false };
        let why = command.text().unwrap_err();
        assert!(why.contains(&free.to_string()) && why.contains("refused"), "{why}");
        assert!(why.contains("Is viplet running on this node?"), "{why}");
        assert!(why.contains("prometheus_server"), "{why}");
    }

    #[test]
    fn something_else_on_the_port_is_recognised() {
        for (answer, expected) in [
            ("SSH-2.0-x\r\n\r\n", "does not speak HTTP"),
            ("HTTP/1.1 404 Not Found\r\n\r\nnothing", "not viplet: \"HTTP/1.1 404 Not Found\""),
            ("HTTP/1.1 200 OK\r\n\r\n<html>", "not viplet's status"),
            ("HTTP/1.1 503 Service Unavailable\r\n\r\n", "too busy"),
        ] {
            let (command, thread) = server(answer.into());
            let why = command.text().unwrap_err();
            thread.join().unwrap();
            assert!(why.contains(expected), "{why}");
        }
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic(
            answer in "(HTTP/1\\.1 (200|503|4[0-9]{2})? ?.{0,9}\r\n\r\n)?.{0,40}|\\PC*",
        ) {
            if let Ok(body) = body_of(&answer) {
                let _ = serde_json::from_str::<StatusPage>(&body).map(|page| for_a_person(&page));
            }
        }
    }

    #[test]
    fn spans_read_well() {
        for (millis, expected) in [
            (0, "0 s"),
            (40, "0 s"),
            (1_500, "1.5 s"),
            (59_000, "59 s"),
            (185_000, "3 min 5 s"),
            (7_800_000, "2 h 10 min"),
            (356_400_000, "4 d 3 h"),
        ] {
            assert_eq!(span(Duration::from_millis(millis)), expected);
        }
    }
}
