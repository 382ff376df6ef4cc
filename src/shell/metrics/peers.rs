//! Series about peers: kube-vip's one, and ours. There are none where the network is a segment.

use viplet_backend_api::{PeerStatus, Session};

use super::exposition::{Exposition, Kind, sample};

/// RFC 4271 §8.2.2.
const STATES: [&str; 6] = ["Idle", "Connect", "Active", "OpenSent", "OpenConfirm", "Established"];

/// Adds them.
pub(super) fn render(out: &mut Exposition, peers: &[PeerStatus]) {
    if peers.is_empty() {
        return;
    }
    kube_vip(out, peers);
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
        peer.prefixes.into()
    });
    let counter = Kind::Counter;
    each("viplet_peer_established_total", counter, "Sessions that came up.", |p| p.established);
    each("viplet_peer_lost_total", counter, "Sessions that went down.", |p| p.lost);
    each("viplet_peer_updates_total", counter, "UPDATEs sent.", |p| p.updates);
    each("viplet_peer_sent_total", counter, "Messages sent.", |p| p.messages.0);
    each("viplet_peer_received_total", counter, "Messages received.", |p| p.messages.1);
    let bfd = peers.iter().filter_map(|peer| Some((peer, peer.bfd.as_deref()?)));
    let up = bfd.map(|(peer, state)| sample([("peer", &*peer.name)], u8::from(state == "Up")));
    out.family(("viplet_peer_bfd_up", gauge, "Whether BFD is up (1) or not (0)."), up);
}

/// MET-2: each state of each session, 1 for the present one. kube-vip always says port 179.
fn kube_vip(out: &mut Exposition, peers: &[PeerStatus]) {
    let samples = peers.iter().flat_map(|peer| {
        let name = format!("{}:179", peer.name);
        STATES.iter().map(move |state| {
            let word = format!("SESSION_STATE_{}", state.to_ascii_uppercase());
            sample([("state", &*word), ("peer", &*name)], u8::from(*state == peer.state))
        })
    });
    let help = "Whether a session is in a state (1) or not (0).";
    out.family(("kube_vip_manager_bgp_session_info", Kind::Gauge, help), samples);
}
