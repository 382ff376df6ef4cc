//! Ways in for fuzzing: bytes as they might come from an API server, and kubeconfigs. Each panics
//! where something does not hold that must.
#![allow(clippy::panic)]

use std::path::Path;

use http::StatusCode;

use super::error::Kind;
use super::framing::Lines;
use super::kubeconfig;
use super::lease::Lease;
use super::slices::{EndpointSlice, Endpoints};
use super::watch::Watched;
use crate::core::cluster::record::{NodeRecord, ServiceRecord};

/// Reads `bytes` as each kind of object that is watched, and as the answer to a refused request.
pub fn object(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    watched::<ServiceRecord>(&text);
    watched::<EndpointSlice>(&text);
    watched::<Endpoints>(&text);
    watched::<NodeRecord>(&text);
    watched::<Lease>(&text);
    for status in [StatusCode::FORBIDDEN, StatusCode::CONFLICT, StatusCode::SERVICE_UNAVAILABLE] {
        let error = Kind::of_status(status, None, bytes).of("https://192.0.2.1", "GET /version");
        assert!(!error.to_string().is_empty(), "refused without a word");
    }
}

/// What is read has a name, so that it can go again; what is not read is refused in few words.
fn watched<T: Watched>(json: &str) {
    match T::read(json) {
        Ok(Some(_)) => {
            assert!(matches!(T::key(json), Ok(Some(_))), "read, and without a name: {json}");
        }
        Ok(None) => {}
        Err(why) => assert!((1..2000).contains(&why.len()), "{} bytes of reason", why.len()),
    }
}

/// Takes `bytes` as the body of a watch, in pieces as long as its first byte says: however it is
/// cut, its lines are the same.
pub fn watch(bytes: &[u8]) {
    let Some((piece, body)) = bytes.split_first() else { return };
    let mut lines = Lines::new(bytes.len());
    let mut whole = Vec::new();
    for chunk in body.chunks(usize::from(*piece).max(1)) {
        lines.push(chunk);
        while let Ok(Some(line)) = lines.next_line() {
            event(line);
            whole.push(line.to_vec());
        }
    }
    let ended = body.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
    let told = body.get(..ended).unwrap_or_default().split(|byte| *byte == b'\n');
    let told = told.filter(|line| !line.iter().all(u8::is_ascii_whitespace));
    assert!(whole.iter().eq(told), "the lines depend on how the body was cut");
}

fn event(line: &[u8]) {
    if let Ok(frame) = super::watch::frame::decode(line) {
        let _ = frame.version();
        let _ = frame.event::<ServiceRecord>();
        let _ = frame.event::<Lease>();
    }
}

/// Reads `bytes` as a kubeconfig.
pub fn kubeconfig(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Err(why) = kubeconfig::parse(&text, Path::new("/kubeconfig")) {
        assert!(!why.to_string().is_empty(), "refused without a word");
    }
}
