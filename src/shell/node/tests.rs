//! The loop with a kernel of the test's own.

use std::cell::RefCell;
use std::time::Duration;

use smol::LocalExecutor;
use viplet_backend_api::{
    Class, Command, DefaultRoute, HardwareAddress, Link, LinkKind, LinkName, LinkState,
    Observation, Refusal,
};

use super::*;
use crate::config::{self, Inputs};
use crate::core::carry::FRESH;
use crate::core::cluster::record::{Change, EndpointRecord, EndpointState, SliceRecord};
use crate::core::services::tests::fixture::asking;
use crate::core::{Core, LeaseView, Origin, WriteOutcome};
use crate::shell::api_tasks::LazyApi;

/// A kernel that refuses everything, or nothing, and notes what it was asked for.
struct Kernel {
    asked: Rc<RefCell<Vec<Command>>>,
    refusal: Option<Refusal>,
}

impl Backend for Kernel {
    fn name(&self) -> &'static str {
        "a test's"
    }
    fn observe(&mut self) -> Result<Observation, Refusal> {
        Ok(Observation::default())
    }
    fn apply_all(&mut self, commands: &[Command]) -> Vec<Result<(), Refusal>> {
        self.asked.borrow_mut().extend_from_slice(commands);
        commands.iter().map(|_| self.refusal.clone().map_or(Ok(()), Err)).collect()
    }
    fn poll_notice(&mut self, _cx: &mut Context<'_>) -> Poll<Notice> {
        Poll::Pending
    }
}

const CONTROL_PLANE: &[&str] =
    &["vip_arp=true", "cp_enable=true", "address=192.0.2.1", "vip_interface=eth0"];
const SERVICES: &[&str] = &["vip_arp=true", "svc_enable=true", "vip_interface=eth0"];

fn node(given: &[&str], kernel: Kernel) -> Node {
    let pair = |text: &&str| {
        text.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())).unwrap()
    };
    let inputs = Inputs {
        environment: given.iter().map(pair).collect::<BTreeMap<_, _>>(),
        flags: Vec::new(),
        hostname: "n1".to_owned(),
        service_account_namespace: None,
        read_file: &|_| Err("no file".to_owned()),
    };
    let settings = config::load(&inputs, &["arp"]).unwrap().settings;
    let executor = Rc::new(LocalExecutor::new());
    let core = Core::new(settings.core.clone(), clock::now());
    let shared = Shared::new(core, Box::new(kernel));
    let lazy_api = LazyApi::new(settings.access, &executor);
    let (inbox, inputs) = bounded(INBOX);
    let api_tasks = ApiTasks::start(&executor, &lazy_api, &shared, &inbox, &[]);
    let kernel = (Timer::new().unwrap(), Signals::new().unwrap());
    Node::new(shared, api_tasks, inputs, kernel)
}

/// The node sees its link, and the lease becomes its own.
fn holds(node: &mut Node, lease: crate::core::LeaseName) {
    let link = Link {
        name: LinkName::new("eth0").unwrap(),
        altnames: Vec::new(),
        kind: LinkKind::Ethernet,
        state: LinkState::Up,
        hardware: HardwareAddress(vec![2; 6]),
        default_route: DefaultRoute::None,
    };
    let seen = Observation { links: vec![link], addresses: Vec::new() };
    node.turn(Input::Observed(Notice::Snapshot(seen)));
    let (origin, view) = (Origin::Read, LeaseView::Absent);
    node.turn(Input::Lease { lease: lease.clone(), origin, view });
    let record = crate::core::LeaseRecord {
        holder: "n1".to_owned(),
        duration_seconds: 15,
        acquired: crate::core::Stamp::Now,
        renewed: crate::core::Stamp::Now,
        transitions: 0,
        moved: None,
        writer: None,
    };
    for attempt in 1..=2 {
        let outcome = WriteOutcome::Stored { version: "1".to_owned(), record: record.clone() };
        node.turn(Input::LeaseWritten { lease: lease.clone(), attempt, outcome });
    }
}

#[test]
fn an_address_whose_install_was_refused_is_not_announced_in_the_same_turn() {
    let asked = Rc::default();
    let reason = "needs the capability NET_ADMIN".to_owned();
    let refusal = Some(Refusal { class: Class::Forbidden, reason });
    let mut node = node(CONTROL_PLANE, Kernel { asked: Rc::clone(&asked), refusal });
    let lease = node.shared.core.borrow().settings().control_plane.clone().unwrap().lease;
    holds(&mut node, lease);
    let asked = asked.borrow();
    assert!(matches!(asked.first(), Some(Command::Install { .. })), "{asked:?}");
    assert!(!asked.iter().any(|c| matches!(c, Command::Announce { .. })), "{asked:?}");
    let not_ready = node.shared.core.borrow().status(clock::now()).not_ready.join("; ");
    assert!(not_ready.contains("NET_ADMIN"), "{not_ready}");
}

#[test]
fn what_is_decided_anew_after_a_late_turn_is_not_late_itself() {
    let asked: Rc<RefCell<Vec<Command>>> = Rc::default();
    let mut node = node(SERVICES, Kernel { asked: Rc::clone(&asked), refusal: None });
    let services: Vec<_> =
        (1..=250).map(|n| asking(&format!("web-{n}"), &format!("192.0.2.{n}"))).collect();
    let served = services.iter().map(|record| SliceRecord {
        service: record.name.clone(),
        name: "a".into(),
        endpoints: vec![EndpointRecord { node: None, state: EndpointState::Ready }],
    });
    let served = Change::Replaced(served.collect());
    node.turn(Input::Services(Change::Replaced(services)));
    node.turn(Input::Nodes(Change::Replaced(Vec::new())));
    node.turn(Input::Endpoints(served));
    node.turn(Input::Leases(Change::Replaced(Vec::new())));
    let lease = node.shared.core.borrow().settings().services.clone().unwrap().lease;
    let started = clock::now();
    // It waits for its turn among the candidates before it claims the lease.
    while asked.borrow().is_empty() && clock::now().since(started) < Duration::from_secs(10) {
        holds(&mut node, lease.clone());
    }
    let first = asked.borrow().clone();
    assert!((1..500).contains(&first.len()), "as many as one turn has time for: {first:?}");
    let late = Moment::from_boot(clock::now().since_boot() - 2 * FRESH);
    node.carry_out(vec![Effect::Addresses(first[0].clone())], late);
    assert_eq!(asked.borrow().len(), first.len(), "nothing late is carried out");
    let anew = node.late.pop_front().expect("it is decided anew");
    node.turn(anew);
    let all = asked.borrow();
    let again = |command: &&Command| command.address() == first[0].address();
    let installed = all.iter().skip(first.len()).find(again);
    assert!(matches!(installed, Some(Command::Install { .. })), "{installed:?}");
}
