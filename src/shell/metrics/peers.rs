//! Series about peers: kube-vip's one, and ours. There are none where the network is a segment.

use viplet_backend_api::{BgpSession, PeerStatus, Session};

use super::exposition::{Exposition, Kind, sample};

/// RFC 4271 §8.2.2.
const STATES: [&str; 6] = ["Idle", "Connect", "Active", "OpenSent", "OpenConfirm", "Established"];

/// Adds them.
pub(super) fn render(out: &mut Exposition, peers: &[PeerStatus]) {
    if peers.is_empty() {
        return;
    }
    let mut each = |name, kind, help, value: fn(&PeerStatus) -> u64| {
        let samples = peers.iter().map(|peer| sample([("peer", &*peer.name)], value(peer)));
        out.family((name, kind, help), samples);
    };
    let gauge = Kind::Gauge;
    each("viplet_peer_up", gauge, "Whether the session stands (1) or not (0).", |peer| {
        u64::from(peer.session == Session::Up)
    });
    each("viplet_peer_state_seconds", gauge, "Time in the present state.", |p| p.since.as_secs());
    each("viplet_peer_prefixes", gauge, "Addresses that the peer was told of.", |peer| {
        peer.addresses.into()
    });
    let counter = Kind::Counter;
    each("viplet_peer_established_total", counter, "Sessions that came up.", |p| p.established);
    each("viplet_peer_lost_total", counter, "Sessions that went down.", |p| p.lost);
    bgp(out, peers);
}

/// What only BGP has to say.
fn bgp(out: &mut Exposition, peers: &[PeerStatus]) {
    let known: Vec<(&PeerStatus, &BgpSession)> =
        peers.iter().filter_map(|peer| Some((peer, peer.bgp.as_ref()?))).collect();
    if known.is_empty() {
        return;
    }
    kube_vip(out, &known);
    let mut each = |name, help, value: fn(&BgpSession) -> u64| {
        let samples = known.iter().map(|(peer, bgp)| sample([("peer", &*peer.name)], value(bgp)));
        out.family((name, Kind::Counter, help), samples);
    };
    each("viplet_peer_updates_total", "UPDATEs sent.", |bgp| bgp.updates);
    each("viplet_peer_sent_total", "Messages sent.", |bgp| bgp.sent);
    each("viplet_peer_received_total", "Messages received.", |bgp| bgp.received);
    let bfd = known.iter().filter_map(|(peer, bgp)| Some((peer, bgp.bfd.as_deref()?)));
    let up = bfd.map(|(peer, state)| sample([("peer", &*peer.name)], u8::from(state == "Up")));
    out.family(("viplet_peer_bfd_up", Kind::Gauge, "Whether BFD is up (1) or not (0)."), up);
}

/// MET-2: each state of each session, 1 for the present one. kube-vip always says port 179.
fn kube_vip(out: &mut Exposition, known: &[(&PeerStatus, &BgpSession)]) {
    let samples = known.iter().flat_map(|(peer, bgp)| {
        let name = format!("{}:179", peer.name);
        STATES.iter().map(move |state| {
            let word = format!("SESSION_STATE_{}", state.to_ascii_uppercase());
            sample([("state", &*word), ("peer", &*name)], u8::from(*state == bgp.state))
        })
    });
    let help = "Whether a session is in a state (1) or not (0).";
    out.family(("kube_vip_manager_bgp_session_info", Kind::Gauge, help), samples);
}
