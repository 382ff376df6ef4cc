//! Asks a viplet over HTTP, this node's by default: what `viplet status` and `viplet why` share.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::time::{Duration, Instant};

const WITHOUT_SERVER: [&str; 2] = ["127.0.0.1:2112", "[::1]:2112"];
const CONNECT_TIME: Duration = Duration::from_secs(2);
const ANSWER_TIME: Duration = Duration::from_secs(5);
/// 16 MiB: more than a status of tens of thousands of addresses.
const LONGEST_ANSWER: u64 = 16 << 20;

/// What was answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// This document.
    Found(String),
    /// 404, with this text.
    NotFound(String),
}

/// Asks `server`, or this node's viplet, for `target`.
///
/// # Errors
/// With the text for stderr: nothing listens, or what answers is not viplet.
pub(super) fn viplet(server: Option<&str>, target: &str) -> Result<Answer, String> {
    let servers = server.map_or(WITHOUT_SERVER.to_vec(), |server| vec![server]);
    let mut failures = Vec::new();
    for server in servers {
        match ask(server, target) {
            Ok(answer) => return Ok(answer),
            Err(Failure::Answered(why)) => return Err(format!("{server}: {why}")),
            Err(Failure::Unreachable(why)) => failures.push(format!("{server}: {why}")),
        }
    }
    Err(format!(
        "no answer ({}). Is viplet running on this node? Its setting prometheus_server may be off or \
         on another port: give it with --server HOST:PORT",
        failures.join("; ")
    ))
}

/// What is said of a 404 that viplet itself would not give.
pub(super) fn not_viplet(target: &str) -> String {
    format!("what answered is not viplet: it has no {target}")
}

pub(super) fn answer_in(answer: &str) -> Result<Answer, String> {
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .filter(|(head, _)| head.starts_with("HTTP/1."))
        .ok_or("what answered does not speak HTTP")?;
    match head.split(' ').nth(1) {
        Some("200") => Ok(Answer::Found(body.to_owned())),
        Some("404") => Ok(Answer::NotFound(body.to_owned())),
        Some("503") => Err("it is too busy to answer (503); try again".into()),
        _ => {
            let line = head.lines().next().unwrap_or_default();
            Err(format!("what answered is not viplet: {line:?}"))
        }
    }
}

enum Failure {
    /// Nobody there: the next address may do.
    Unreachable(String),
    /// Somebody there, but not with an answer.
    Answered(String),
}

fn ask(server: &str, target: &str) -> Result<Answer, Failure> {
    let unreachable = |error: io::Error| Failure::Unreachable(error.to_string());
    let mut last = io::Error::new(io::ErrorKind::NotFound, "no such address");
    for address in server.to_socket_addrs().map_err(unreachable)? {
        match TcpStream::connect_timeout(&address, CONNECT_TIME) {
            Ok(stream) => return exchange(stream, address, target).map_err(Failure::Answered),
            Err(error) => last = error,
        }
    }
    Err(unreachable(last))
}

fn exchange(mut stream: TcpStream, server: SocketAddr, target: &str) -> Result<Answer, String> {
    let answer = (|| -> io::Result<Vec<u8>> {
        stream.set_write_timeout(Some(ANSWER_TIME))?;
        stream.set_read_timeout(Some(ANSWER_TIME))?;
        let request = format!(
            "GET {target} HTTP/1.1\r\nHost: {server}\r\nAccept: application/json\r\n\
             Connection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes())?;
        read_all(&mut stream)
    })()
    .map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => {
            "it accepted the connection and then did not answer; if it is \
                                      viplet, its loop hangs: see its log"
                .to_owned()
        }
        _ => error.to_string(),
    })?;
    answer_in(&String::from_utf8_lossy(&answer))
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

#[cfg(test)]
pub(super) mod answering;
