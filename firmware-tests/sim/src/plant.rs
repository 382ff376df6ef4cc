//! Known faults around an honest core: the laws must catch each of them, else they are no laws.

use std::time::Duration;

use viplet::core::cluster::record::{Change, ServiceRecord, TrafficPolicy};
use viplet::core::{Effect, Input, Moment};
use viplet_backend_api::{Command, Lifetime};

use crate::machine::{Machine, Standing};

/// A fault of the program itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Plant {
    /// None: the honest core.
    #[default]
    None,
    /// The kernel keeps addresses beyond the hold, and they are withdrawn late.
    SkipMargin,
    /// One node's idea of time runs at twice the speed: it takes over early.
    TakeOverEarly,
    /// Nothing is ever withdrawn.
    ForgetWithdraw,
    /// Every Service is taken for one with `externalTrafficPolicy: Cluster`.
    IgnorePolicy,
    /// One node never hears that a Service is deleted.
    KeepServices,
    /// One node does not hear of checks of its API server that fail.
    IgnoreHealth,
    /// The kernel keeps addresses beyond the hold; they are withdrawn in time.
    OutliveLease,
    /// An address is refreshed by taking it away and putting it there again.
    DeleteAndAdd,
}

/// Wraps a machine of the node with index `node`.
#[must_use]
pub fn plant(plant: Plant, node: usize, inner: Box<dyn Machine>, now: Moment) -> Box<dyn Machine> {
    match plant {
        Plant::None => inner,
        Plant::TakeOverEarly if node != 1 => inner,
        Plant::TakeOverEarly => Box::new(Hasty { inner, began: now }),
        Plant::IgnorePolicy => Box::new(Twisted { inner, twist: cluster }),
        Plant::KeepServices if node != 1 => inner,
        Plant::KeepServices => Box::new(Twisted { inner, twist: first_only }),
        Plant::IgnoreHealth if node != 1 => inner,
        Plant::IgnoreHealth => Box::new(Twisted { inner, twist: healthy }),
        Plant::DeleteAndAdd => Box::new(Shaky { inner }),
        Plant::SkipMargin => Box::new(Reluctant { inner, longer: 20, keeps: Keeps::All }),
        Plant::OutliveLease => Box::new(Reluctant { inner, longer: 20, keeps: Keeps::Nothing }),
        Plant::ForgetWithdraw => Box::new(Reluctant { inner, longer: 0, keeps: Keeps::All }),
    }
}

/// Withdraws nothing, and lets the kernel keep addresses longer.
struct Reluctant {
    inner: Box<dyn Machine>,
    longer: u32,
    keeps: Keeps,
}

/// What it does not withdraw.
#[derive(PartialEq, Eq)]
enum Keeps {
    All,
    Nothing,
}

impl Machine for Reluctant {
    fn handle(&mut self, input: Input, now: Moment, effects: &mut Vec<Effect>) {
        let stopping = input == Input::Stop;
        self.inner.handle(input, now, effects);
        let longer = self.longer;
        effects.retain(|effect| {
            let withdraws = matches!(effect, Effect::Addresses(Command::Withdraw { .. }));
            !withdraws || (stopping && longer > 0) || self.keeps == Keeps::Nothing
        });
        for effect in effects {
            if let Effect::Addresses(Command::Install { lifetime, .. }) = effect {
                *lifetime = Lifetime::from_secs(lifetime.as_secs() + longer).expect("a lifetime");
            }
        }
    }

    fn next_deadline(&self, now: Moment) -> Option<(Moment, &'static str)> {
        self.inner.next_deadline(now)
    }

    fn standing(&self, now: Moment) -> Standing {
        self.inner.standing(now)
    }

    fn is_settled(&self, now: Moment) -> bool {
        self.inner.is_settled(now)
    }
}

/// Sees time run at twice the speed.
struct Hasty {
    inner: Box<dyn Machine>,
    began: Moment,
}

impl Hasty {
    fn hurried(&self, now: Moment) -> Moment {
        now + now.since(self.began)
    }

    fn real(&self, moment: Moment) -> Moment {
        self.began + moment.since(self.began) / 2 + Duration::from_nanos(1)
    }
}

impl Machine for Hasty {
    fn handle(&mut self, input: Input, now: Moment, effects: &mut Vec<Effect>) {
        self.inner.handle(input, self.hurried(now), effects);
    }

    fn next_deadline(&self, now: Moment) -> Option<(Moment, &'static str)> {
        let next = self.inner.next_deadline(self.hurried(now));
        next.map(|(at, why)| (self.real(at), why))
    }

    fn standing(&self, now: Moment) -> Standing {
        let standing = self.inner.standing(self.hurried(now));
        Standing { until: standing.until.map(|until| self.real(until)), ..standing }
    }

    fn is_settled(&self, now: Moment) -> bool {
        self.inner.is_settled(self.hurried(now))
    }
}

/// What is made of what happened for the core; `None`: it is not told.
type Twist = fn(Input) -> Option<Input>;

/// Is told something else than what happened.
struct Twisted {
    inner: Box<dyn Machine>,
    twist: Twist,
}

/// Every Service is one with `externalTrafficPolicy: Cluster`.
fn cluster(input: Input) -> Option<Input> {
    let other = |record| ServiceRecord { policy: TrafficPolicy::Cluster, ..record };
    Some(match input {
        Input::Services(Change::Replaced(all)) => {
            Input::Services(Change::Replaced(all.into_iter().map(other).collect()))
        }
        Input::Services(Change::Applied(record)) => Input::Services(Change::Applied(other(record))),
        input => input,
    })
}

/// No Service is ever deleted.
fn first_only(input: Input) -> Option<Input> {
    Some(input).filter(|input| !matches!(input, Input::Services(Change::Deleted(_))))
}

/// The API server here is always well.
fn healthy(input: Input) -> Option<Input> {
    Some(match input {
        Input::ControlPlaneChecked(_) => Input::ControlPlaneChecked(Ok(())),
        input => input,
    })
}

impl Machine for Twisted {
    fn handle(&mut self, input: Input, now: Moment, effects: &mut Vec<Effect>) {
        let input = (self.twist)(input).unwrap_or(Input::Deadline);
        self.inner.handle(input, now, effects);
    }

    fn next_deadline(&self, now: Moment) -> Option<(Moment, &'static str)> {
        self.inner.next_deadline(now)
    }

    fn standing(&self, now: Moment) -> Standing {
        self.inner.standing(now)
    }

    fn is_settled(&self, now: Moment) -> bool {
        self.inner.is_settled(now)
    }
}

/// Takes every address away before it is put there again.
struct Shaky {
    inner: Box<dyn Machine>,
}

impl Machine for Shaky {
    fn handle(&mut self, input: Input, now: Moment, effects: &mut Vec<Effect>) {
        self.inner.handle(input, now, effects);
        let shaken = std::mem::take(effects).into_iter().flat_map(|effect| match effect {
            Effect::Addresses(Command::Install { ref vip, .. }) => {
                let vip = vip.clone();
                let withdraw = vip.withdrawal();
                let announce = Effect::Addresses(Command::Announce { vip });
                vec![Effect::Addresses(withdraw), effect, announce]
            }
            other => vec![other],
        });
        effects.extend(shaken);
    }

    fn next_deadline(&self, now: Moment) -> Option<(Moment, &'static str)> {
        self.inner.next_deadline(now)
    }

    fn standing(&self, now: Moment) -> Standing {
        self.inner.standing(now)
    }

    fn is_settled(&self, now: Moment) -> bool {
        self.inner.is_settled(now)
    }
}
