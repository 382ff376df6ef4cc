//! The peers of `viplet status`.

use std::fmt::Write as _;

use viplet_backend_api::{PeerStatus, Session};

use super::status::span;

/// One line for each peer, and one more where something went wrong.
#[must_use]
pub(super) fn table(peers: &[PeerStatus]) -> String {
    let up = peers.iter().filter(|peer| peer.session == Session::Up).count();
    let mut out = format!("Peers: {up} of {} up\n", peers.len());
    let width = peers.iter().map(|peer| peer.name.len()).max().unwrap_or_default();
    for peer in peers {
        // Writing to a String cannot fail.
        let _ = write!(out, "  {:width$}  ", peer.name);
        if let Some(bgp) = &peer.bgp {
            let number = bgp.remote_as.map_or_else(|| "?".to_owned(), |number| number.to_string());
            let _ = write!(out, "AS {number}  ");
        }
        let (state, since) = (peer.state(), span(peer.since));
        let _ = write!(out, "{state} for {since}, {} prefixes sent", peer.addresses);
        if let Some(bfd) = peer.bgp.as_ref().and_then(|bgp| bgp.bfd.as_ref()) {
            let _ = write!(out, ", BFD {bfd}");
        }
        out.push('\n');
        if let Some(why) = &peer.last_error {
            let _ = writeln!(out, "  {:width$}  last error: {why}", "");
        }
    }
    out
}

#[cfg(test)]
mod tests;
