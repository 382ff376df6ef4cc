//! FRR's vty over a Unix socket, as vtysh speaks it: commands end in a zero byte, answers in three
//! zero bytes and the status (lib/vty.c). No process per question.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

/// Asks one daemon one thing; its answer as text.
///
/// # Errors
/// When the daemon is not there or hangs up.
pub fn ask(socket: &Path, command: &str) -> io::Result<String> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    exchange(&mut stream, "enable")?;
    exchange(&mut stream, command)
}

/// The same for several commands in a row, such as those of a configuration.
///
/// # Errors
/// As [`ask`].
pub fn ask_all(socket: &Path, commands: &[&str]) -> io::Result<String> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut said = exchange(&mut stream, "enable")?;
    for command in commands {
        said.push_str(&exchange(&mut stream, command)?);
    }
    Ok(said)
}

/// The same for a command that answers with JSON; null when it does not.
pub fn ask_json(socket: &Path, command: &str) -> Value {
    let answer = ask(socket, command).unwrap_or_default();
    serde_json::from_str(&answer).unwrap_or(Value::Null)
}

fn exchange(stream: &mut UnixStream, command: &str) -> io::Result<String> {
    stream.write_all(command.as_bytes())?;
    stream.write_all(&[0])?;
    let mut answer = Vec::new();
    let mut buffer = [0; 65_536];
    while !ends(&answer) {
        let length = stream.read(&mut buffer)?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        answer.extend_from_slice(&buffer[..length]);
    }
    answer.truncate(answer.len() - 4);
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// Three zero bytes and the command's status.
fn ends(answer: &[u8]) -> bool {
    answer.len() >= 4 && answer[answer.len() - 4..answer.len() - 1] == [0; 3]
}
