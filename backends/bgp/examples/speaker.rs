//! A speaker for tests: `speaker [options] LINK ADDRESS...` announces the addresses and prints what
//! happens, one line each, until SIGTERM or SIGINT ends it as planned, or its input says what to
//! do: `announce ADDRESS`, `withdraw ADDRESS`, `status`, `stop`.
//!
//! Options: `as=N`, `peer=ADDRESS,AS[,key=value]...` (`[ADDRESS]` may be `unnumbered:LINK` or
//! `fe80::1%LINK`; keys: `password`, `port`, `hold`, `multihop`, `gtsm`, `source`, `sourceif`, `bfd=MILLISECONDS`),
//! `id=ROUTERID`, `listen=PORT`, `restart=SECONDS`, `shutdown=MILLISECONDS`, `community=A:B`,
//! `med=N`, `localpref=N`, `prepend=N`, `presence=known`; or, instead of all but the last of
//! them, `set:NAME=VALUE`: settings as viplet takes them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::io::{BufRead, Write};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::mpsc::{Receiver, channel};
use std::task::Poll;
use std::time::Duration;

use async_io::Timer;
use async_signal::{Signal, Signals};
use futures_lite::StreamExt;
use viplet_backend_api::{
    Backend, Command, DuplicateDetection, Given, Lifetime, LinkName, Notice, Peers, Presence,
    Scope, Tag, Vip,
};
use viplet_bgp::Bgp;
use viplet_bgp::settings::{
    Attributes, Bfd, Distance, Families, GracefulRestart, Listen, Password, Peer, PeerAddress,
    Reading, RemoteAs, RouterId, Settings, Source, declare, from_disk,
};

fn link(name: &str) -> LinkName {
    LinkName::new(name).expect("a link's name")
}

fn peer(text: &str) -> Peer {
    let mut parts = text.split(',');
    let address = parts.next().unwrap();
    let remote_as = parts.next().expect("peer=ADDRESS,AS");
    let address = match (address.strip_prefix("unnumbered:"), address.split_once('%')) {
        (Some(on), _) => PeerAddress::Unnumbered(link(on)),
        (_, Some((address, on))) => {
            PeerAddress::LinkLocal(address.parse::<Ipv6Addr>().unwrap(), link(on))
        }
        _ => PeerAddress::Ip(address.parse().unwrap()),
    };
    let mut peer = Peer {
        address,
        port: 179,
        remote_as: match remote_as {
            "external" => RemoteAs::External,
            number => RemoteAs::Number(number.parse().unwrap()),
        },
        password: None,
        distance: Distance::Direct,
        source: Source::Any,
        families: Families::Own,
        hold: Duration::from_secs(30),
        keepalive: Duration::from_secs(10),
        bfd: None,
    };
    for (key, value) in parts.map(|part| part.split_once('=').expect("key=value")) {
        match key {
            "password" => peer.password = Some(Password(value.to_owned())),
            "port" => peer.port = value.parse().unwrap(),
            "hold" => {
                peer.hold = Duration::from_secs(value.parse().unwrap());
                peer.keepalive = peer.hold / 3;
            }
            "multihop" => peer.distance = Distance::Multihop(value.parse().unwrap()),
            "gtsm" => peer.distance = Distance::Secured(value.parse().unwrap()),
            "source" => peer.source = Source::Address(value.parse().unwrap()),
            "bfd" => {
                let every = Duration::from_millis(value.parse().unwrap());
                peer.bfd = Some(Bfd { receive: every, transmit: every, multiplier: 3 });
            }
            "sourceif" => peer.source = Source::Link(link(value)),
            _ => panic!("unknown key {key}"),
        }
    }
    peer
}

fn settings() -> Settings {
    Settings {
        local_as: 65000,
        router_id: RouterId::Automatic,
        attributes: Attributes::default(),
        graceful_restart: GracefulRestart::Within(120),
        graceful_shutdown: Duration::from_millis(500),
        listen: Listen::No,
        peers: Vec::new(),
    }
}

/// The settings by viplet's names for them.
fn read_settings(given: &Given) -> Settings {
    match declare(given).and_then(|declared| declared.resolve(None, &from_disk)) {
        Ok(Reading::Ready(settings)) => *settings,
        other => panic!("these settings cannot be taken: {other:?}"),
    }
}

fn set(settings: &mut Settings, key: &str, value: &str) {
    let number = || value.parse::<u32>().unwrap();
    match key {
        "as" => settings.local_as = number(),
        "peer" => settings.peers.push(peer(value)),
        "id" => settings.router_id = RouterId::Fixed(value.parse().unwrap()),
        "listen" => settings.listen = Listen::Port(value.parse().unwrap()),
        "restart" if value == "0" => settings.graceful_restart = GracefulRestart::Off,
        "restart" => settings.graceful_restart = GracefulRestart::Within(value.parse().unwrap()),
        "shutdown" => settings.graceful_shutdown = Duration::from_millis(number().into()),
        "community" => {
            let (high, low) = value.split_once(':').unwrap();
            let high = high.parse::<u32>().unwrap() << 16;
            settings.attributes.communities.push(high | low.parse::<u32>().unwrap());
        }
        "med" => settings.attributes.med = Some(number()),
        "localpref" => settings.attributes.local_preference = Some(number()),
        "prepend" => settings.attributes.prepend = value.parse().unwrap(),
        _ => panic!("unknown option {key}"),
    }
}

fn vip(address: IpAddr, link: &LinkName, presence: Presence) -> Vip {
    Vip {
        address,
        prefix_len: if address.is_ipv4() { 32 } else { 128 },
        link: link.clone(),
        presence,
        scope: Scope::Universe,
        duplicate_detection: DuplicateDetection::Skip,
    }
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

struct Program {
    bgp: Bgp,
    vips: Vec<Vip>,
    link: LinkName,
    presence: Presence,
    states: Vec<(String, String, Option<String>)>,
}

impl Program {
    /// Installs and announces everything, as the core does every few seconds.
    fn refresh(&mut self) {
        let lifetime = Lifetime::from_secs(15).unwrap();
        let installs = self.vips.iter().map(|vip| Command::Install { vip: vip.clone(), lifetime });
        let announcements = self.vips.iter().map(|vip| Command::Announce { vip: vip.clone() });
        let commands: Vec<_> = installs.chain(announcements).collect();
        for (command, outcome) in commands.iter().zip(self.bgp.apply_all(&commands)) {
            if let Err(refusal) = outcome {
                say(&format!("refused {}: {refusal}", command.address()));
            }
        }
    }

    /// What has changed since it was said last.
    fn say_states(&mut self) {
        let peers = self.bgp.statuses();
        let states: Vec<_> = peers
            .into_iter()
            .map(|peer| (peer.name.clone(), peer.state().to_owned(), peer.last_error))
            .collect();
        for (at, state) in states.iter().enumerate() {
            let before = self.states.get(at);
            if before.map(|(_, state, _)| state) != Some(&state.1) {
                say(&format!("peer {} {}", state.0, state.1));
            }
            if let Some(error) = &state.2
                && before.is_none_or(|before| before.2 != state.2)
            {
                say(&format!("error {}: {error}", state.0));
            }
        }
        self.states = states;
    }

    fn status(&self) {
        for peer in self.bgp.statuses() {
            say(&format!("{peer:?}"));
        }
    }

    /// Does what a line says; whether to go on.
    fn obey(&mut self, line: &str) -> bool {
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        match line.split_once(' ').unwrap_or((line, "")) {
            ("announce", text) => {
                self.vips.push(vip(address(text), &self.link, self.presence));
                self.refresh();
            }
            ("withdraw", text) => {
                let gone = vip(address(text), &self.link, self.presence);
                self.vips.retain(|vip| *vip != gone);
                self.bgp.apply(&gone.withdrawal()).unwrap();
            }
            ("status", _) => self.status(),
            ("stop", _) => return false,
            _ => say(&format!("unknown: {line}")),
        }
        true
    }

    fn stop(&mut self) {
        let wait = self.bgp.prepare_to_stop();
        say(&format!("stopping in {} ms", wait.as_millis()));
        self.run_for(wait);
        let withdrawals: Vec<_> = self.vips.iter().map(Vip::withdrawal).collect();
        self.bgp.apply_all(&withdrawals);
    }

    fn run_for(&mut self, time: Duration) {
        let mut timer = Timer::after(time);
        async_io::block_on(std::future::poll_fn(|cx| {
            while let Poll::Ready(notice) = self.bgp.poll_notice(cx) {
                if let Notice::Reach(reach) = notice {
                    say(&format!("reach {} {} of {}", reach.address, reach.told, reach.of));
                }
            }
            self.say_states();
            std::future::Future::poll(std::pin::Pin::new(&mut timer), cx).map(drop)
        }));
    }

    fn run(&mut self, lines: &Receiver<String>) {
        let mut turns = 0_u32;
        loop {
            if turns.is_multiple_of(100) {
                self.refresh();
            }
            turns += 1;
            self.run_for(Duration::from_millis(20));
            for line in lines.try_iter() {
                if !self.obey(&line) {
                    return;
                }
            }
        }
    }
}

fn main() {
    let mut settings = settings();
    let (mut words, mut presence) = (Vec::new(), Presence::OnLink);
    let mut given = Given::default();
    for argument in std::env::args().skip(1) {
        match argument.split_once('=') {
            Some((key, value)) if key.starts_with("set:") => {
                let name = key.trim_start_matches("set:").to_owned().leak();
                given.0.insert(name, value.to_owned());
            }
            Some(("presence", _)) => presence = Presence::MadeKnown,
            Some((key, value)) => set(&mut settings, key, value),
            None => words.push(argument),
        }
    }
    if !given.0.is_empty() {
        settings = read_settings(&given);
    }
    let link = link(words.first().expect("LINK"));
    let vips: Vec<_> =
        words.iter().skip(1).map(|a| vip(a.parse().unwrap(), &link, presence)).collect();
    let mut bgp = Bgp::open(Tag::DEFAULT, settings).unwrap();
    bgp.observe().unwrap();
    bgp.settled();
    let mut program = Program { bgp, vips, link, presence, states: Vec::new() };
    let (sender, lines) = channel();
    let input = sender.clone();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            let _ = input.send(line);
        }
    });
    std::thread::spawn(move || {
        signals();
        let _ = sender.send("stop".to_owned());
    });
    program.run(&lines);
    program.stop();
    say("stopped");
}

/// Waits for SIGTERM or SIGINT.
fn signals() {
    let mut signals = Signals::new([Signal::Term, Signal::Int]).unwrap();
    let _ = async_io::block_on(signals.next());
}
