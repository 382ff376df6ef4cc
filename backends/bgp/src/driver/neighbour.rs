//! One peer: its session, its connections, what it was told.

mod address;
mod outage;
mod status;

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpStream};
use std::task::{Context, Poll};

use viplet_netlink::Kernel;

use super::dial::{self, plain};
use super::discovery::Discovery;
use super::node_addresses::{LocalNextHops, NodeAddresses};
use super::offer;
use super::stream::{Arrived, Stream};
use crate::machine::{Action, Config, Event, Moment, Session, Side, State, Terms};
use crate::settings::{Peer, PeerAddress, Settings};
use crate::table::{AdjRibOut, Channel, Completeness, Table};
use crate::wire;
use crate::wire::notification::{Notification, cease};
use crate::wire::open::{Open, Phase};
use outage::Outage;

/// Messages looked at before the others get their turn.
const MESSAGES_AT_ONCE: usize = 64;

/// What all peers have in common while the loop turns once.
pub(super) struct Around<'a> {
    pub(super) settings: &'a Settings,
    pub(super) kernel: &'a Kernel,
    pub(super) node: &'a NodeAddresses,
    /// Whether a session that begins now is one after a restart (RFC 4724 §4.1).
    pub(super) phase: Phase,
    pub(super) leaving: Leaving,
    pub(super) now: Moment,
}

/// Whether the program is about to stop as planned (RFC 8326).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leaving {
    No,
    Soon,
}

/// One peer.
#[derive(Debug)]
pub(super) struct Neighbour {
    pub(super) peer: Peer,
    pub(super) name: String,
    session: Session,
    streams: [Option<Stream>; 2],
    rib_out: Option<(Side, AdjRibOut)>,
    discovery: Option<Discovery>,
    hops: [LocalNextHops; 2],
    warning: Option<String>,
    /// Why there is no session, as far as the log has said it.
    outage: Outage,
    /// As BFD saw it last.
    pub(super) path: viplet_bfd::State,
    state: (State, Moment),
    counts: Counts,
}

#[derive(Debug, Default)]
struct Counts {
    established: u64,
    lost: u64,
    sent: u64,
    received: u64,
    updates: u64,
}

impl Neighbour {
    pub(super) fn new(peer: Peer, local_as: u32, seed: u64, now: Moment) -> Self {
        let config = Config {
            local_as,
            remote_as: peer.remote_as,
            hold: peer.hold,
            keepalive: peer.keepalive,
        };
        let discovery = match &peer.address {
            PeerAddress::Unnumbered(link) => Some(Discovery::new(link.clone(), now)),
            PeerAddress::Ip(_) | PeerAddress::LinkLocal(..) => None,
        };
        Self {
            name: peer.name(),
            session: Session::new(config, seed, now),
            streams: [None, None],
            rib_out: None,
            discovery,
            hops: [LocalNextHops::default(); 2],
            warning: None,
            outage: Outage::default(),
            path: viplet_bfd::State::Down,
            state: (State::Idle, now),
            counts: Counts::default(),
            peer,
        }
    }

    /// Whether it was told of `address` and can use it.
    pub(super) fn knows(&self, address: IpAddr) -> bool {
        self.rib_out.as_ref().is_some_and(|(_, rib_out)| rib_out.has(address))
    }

    pub(super) fn is_up(&self) -> bool {
        self.rib_out.is_some()
    }

    pub(super) fn deadline(&self) -> Option<Moment> {
        self.session
            .deadline()
            .into_iter()
            .chain(self.discovery.as_ref().map(Discovery::deadline))
            .min()
    }

    pub(super) fn handle(&mut self, event: Event<'_>, around: &Around<'_>) {
        let mut actions = VecDeque::from(self.session.handle(event, around.now));
        while let Some(action) = actions.pop_front() {
            match action {
                Action::Connect => {
                    if let Err(why) = self.connect(around) {
                        let lost = Event::Lost(Side::Ours, why);
                        actions.extend(self.session.handle(lost, around.now));
                    }
                }
                Action::Send(side, bytes) => self.send(side, &bytes),
                Action::Close(side) => {
                    if let Some(stream) = self.slot(side).take() {
                        stream.close(around.now);
                    }
                }
                Action::Up(side, terms) => self.up(side, &terms, around),
                Action::Down => self.down(),
                Action::Refresh(family) => {
                    if let Some((_, rib_out)) = &mut self.rib_out {
                        rib_out.refresh(family);
                    }
                }
            }
        }
        self.note_state(around.now);
    }

    fn note_state(&mut self, now: Moment) {
        let state = self.session.state();
        if state != self.state.0 {
            self.state = (state, now);
            log::debug!("peer {}: {}", self.name, state.name());
        }
        if !self.is_up() {
            self.say_why_not();
        }
    }

    /// What `viplet status` shows as the last error is in the log too, each reason once for each
    /// time without a session, however often the session is tried.
    fn say_why_not(&mut self) {
        if let Some(why) = self.last_error()
            && self.outage.is_news(&why)
        {
            log::warn!("peer {}: no session: {why}; it is tried again", self.name);
        }
    }

    fn slot(&mut self, side: Side) -> &mut Option<Stream> {
        let [ours, theirs] = &mut self.streams;
        match side {
            Side::Ours => ours,
            Side::Theirs => theirs,
        }
    }

    fn hops_of(&mut self, side: Side) -> &mut LocalNextHops {
        let [ours, theirs] = &mut self.hops;
        match side {
            Side::Ours => ours,
            Side::Theirs => theirs,
        }
    }

    fn connect(&mut self, around: &Around<'_>) -> Result<(), String> {
        let to = self.target(around)?;
        let socket = dial::connect(&self.peer, around.settings.local_as, to)?;
        let stream = Stream::connecting(socket)
            .map_err(|error| format!("cannot watch a socket: {}", plain(&error)))?;
        *self.slot(Side::Ours) = Some(stream);
        Ok(())
    }

    /// A connection that the peer opened.
    pub(super) fn accept(&mut self, socket: TcpStream, from: SocketAddr, around: &Around<'_>) {
        let prepared = socket2::SockRef::from(&socket);
        let outcome = dial::prepare(&prepared, &self.peer, around.settings.local_as, from.ip());
        let stream = outcome.and_then(|()| Stream::connected(socket).map_err(|e| plain(&e)));
        match stream {
            Ok(stream) => {
                if self.slot(Side::Theirs).is_some() {
                    if !self.session.may_replace(Side::Theirs) {
                        return refuse(stream, around.now);
                    }
                    let why = "the peer opened another connection".to_owned();
                    self.handle(Event::Lost(Side::Theirs, why), around);
                }
                *self.slot(Side::Theirs) = Some(stream);
                self.connected(Side::Theirs, around);
            }
            Err(why) => log::warn!("peer {}: cannot take its connection: {why}", self.name),
        }
    }

    fn connected(&mut self, side: Side, around: &Around<'_>) {
        match self.open(side, around) {
            Ok(open) => self.handle(Event::Connected(side, open), around),
            Err(why) => {
                if let Some(stream) = self.slot(side).take() {
                    stream.close(around.now);
                }
                self.handle(Event::Lost(side, why), around);
            }
        }
    }

    /// What we say of ourselves over a connection.
    fn open(&mut self, side: Side, around: &Around<'_>) -> Result<Open, String> {
        let settings = around.settings;
        let identifier = around.node.router_id(&settings.router_id, &settings.peers)?;
        let local = self.slot(side).as_ref().map(Stream::local);
        let local = local.and_then(Result::ok).ok_or("the connection is gone")?;
        let link = offer::hop_link(&self.peer, around.node).or_else(|| self.link());
        let hops = around.node.hops(&self.peer, local.ip(), link);
        self.warning = offer::missing(&self.peer, &hops);
        *self.hops_of(side) = hops;
        Ok(offer::open(&self.peer, identifier, &hops, around))
    }

    fn send(&mut self, side: Side, bytes: &[u8]) {
        self.counts.sent += 1;
        if let Some(stream) = self.slot(side) {
            stream.push(bytes);
        }
    }

    fn up(&mut self, side: Side, terms: &Terms, around: &Around<'_>) {
        let hops = *self.hops_of(side);
        let channels = terms.families.iter().filter_map(|family| {
            offer::next_hop(*family, &hops, terms, &self.peer)
                .map(|next_hop| Channel { family: *family, next_hop })
        });
        let rib_out =
            AdjRibOut::new(offer::path(around, terms.relation, terms.as_width), channels.collect());
        self.rib_out = Some((side, rib_out));
        self.counts.established += 1;
        self.outage.end();
        let (name, number) = (&self.name, terms.remote_as);
        match &self.warning {
            None => log::info!("peer {name} (AS {number}): session established"),
            Some(why) => log::warn!("peer {name} (AS {number}): session established, but {why}"),
        }
    }

    fn down(&mut self) {
        self.rib_out = None;
        self.counts.lost += 1;
        let why = self.last_error().unwrap_or_else(|| "closed".to_owned());
        log::warn!("peer {}: session lost: {why}; it is tried again", self.name);
        self.outage.is_news(&why);
        if let Some(discovery) = &mut self.discovery {
            discovery.ask_again();
        }
    }

    /// After a change of attributes: all routes again, with the new ones.
    pub(super) fn readvertise(&mut self, around: &Around<'_>) {
        if let Some((_, rib_out)) = &mut self.rib_out {
            let (relation, width) = (rib_out.path().relation, rib_out.path().as_width);
            rib_out.change_path(offer::path(around, relation, width));
        }
    }

    /// Tells the peer what it does not know yet, as much as it takes now; how many routes.
    pub(super) fn advertise(
        &mut self,
        table: &Table,
        completeness: Completeness,
        around: &Around<'_>,
    ) -> usize {
        let mut routes = 0;
        if let Some((side, rib_out)) = &mut self.rib_out {
            let [ours, theirs] = &mut self.streams;
            let stream = if *side == Side::Ours { ours } else { theirs };
            while let Some(stream) = stream.as_mut() {
                let mut written = 0;
                while let Some(room) = stream.room()
                    && let Some(message) = rib_out.next(table, completeness, room)
                {
                    written += 1;
                    routes += message.routes;
                }
                self.counts.updates += written;
                self.counts.sent += written;
                if written == 0 || stream.flush(around.now).is_err() || !stream.is_flushed() {
                    break;
                }
            }
        }
        self.flush(around);
        routes
    }

    /// Writes what waits on both connections.
    fn flush(&mut self, around: &Around<'_>) {
        for side in Side::BOTH {
            let outcome = self.slot(side).as_mut().map(|stream| stream.flush(around.now));
            if let Some(Err(error)) = outcome {
                self.ended(side, &error, around);
            }
        }
    }

    /// Looks after the sockets; whether anything happened.
    pub(super) fn poll(&mut self, around: &Around<'_>, cx: &mut Context<'_>) -> Poll<()> {
        let mut happened = Poll::Pending;
        for side in Side::BOTH {
            for _ in 0..MESSAGES_AT_ONCE {
                let Some(stream) = self.slot(side) else { break };
                if stream.poll_room(cx).is_ready() {
                    self.flush(around);
                    happened = Poll::Ready(());
                }
                let Some(stream) = self.slot(side) else { break };
                let Poll::Ready(arrived) = stream.poll(cx) else { break };
                happened = Poll::Ready(());
                match arrived {
                    Ok(Arrived::Connection) => self.connected(side, around),
                    Ok(Arrived::Bytes) => self.read(side, around),
                    Err(error) => self.ended(side, &error, around),
                }
            }
        }
        if self.poll_discovery(around, cx).is_ready() {
            happened = Poll::Ready(());
        }
        happened
    }

    fn poll_discovery(&mut self, around: &Around<'_>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(discovery) = &mut self.discovery else { return Poll::Pending };
        let index = around.kernel.link_as_known(discovery.link()).map(|facts| facts.index);
        discovery.tick(index, around.now);
        let own = |address: Ipv6Addr| around.node.link_of(IpAddr::V6(address)).is_some();
        let found = std::task::ready!(discovery.poll(&own, cx));
        log::info!("peer {}: the neighbour is {found}", self.name);
        // The attempt that is due need not wait any longer.
        self.session.retry_now(around.now);
        Poll::Ready(())
    }

    fn read(&mut self, side: Side, around: &Around<'_>) {
        loop {
            let Some(stream) = self.slot(side) else { return };
            match stream.message() {
                Ok(None) => return,
                Ok(Some(bytes)) => {
                    self.counts.received += 1;
                    if let Ok(Some(frame)) = wire::frame(&bytes) {
                        self.handle(Event::Message(side, frame), around);
                    }
                }
                Err(answer) => return self.handle(Event::Garbled(side, answer), around),
            }
        }
    }

    fn ended(&mut self, side: Side, error: &io::Error, around: &Around<'_>) {
        *self.slot(side) = None;
        let why = match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => {
                "the peer closed the connection without a NOTIFICATION: it restarted, or does not \
                 accept this node (address, password, TTL)"
                    .to_owned()
            }
            io::ErrorKind::ConnectionRefused => {
                "connection refused: nobody listens at the peer's port, or not for this node"
                    .to_owned()
            }
            io::ErrorKind::TimedOut => {
                "no answer from the peer (TCP): is it there, and is the password right?".to_owned()
            }
            _ => format!("the connection failed: {}", plain(error)),
        };
        self.handle(Event::Lost(side, why), around);
    }

    /// Ends the session for good.
    pub(super) fn stop(&mut self, said: Notification, around: &Around<'_>) {
        self.handle(Event::Stop(said), around);
    }
}

/// A session stands already (RFC 4271 §6.8).
fn refuse(mut stream: Stream, now: Moment) {
    let mut bytes = Vec::new();
    Notification::cease(cease::COLLISION).write(&mut bytes);
    stream.push(&bytes);
    stream.close(now);
}
