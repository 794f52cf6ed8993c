//! The pool against a naive one that looks at all proxies at every call.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use proptest::prelude::*;

use super::{Home, ProxyPolicy, ProxyPool, ProxyState, Rest, Rotation};
use crate::clock::Timestamp;
use crate::fault::{Class, Fault, Scope};
use crate::id::ProxyId;
use crate::proxy::Proxy;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const START: Timestamp = Timestamp::from_secs(1_000_000);

#[derive(Clone, Debug)]
enum Step {
    Advance(u32),
    Disable(usize),
    Enable(usize),
    Fail(usize),
    GiveBack(usize),
    Home(usize),
    List(u8),
    Probes(bool),
    Rest(usize, u32),
    Select,
    Succeed(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let one = 0..5_usize;
    prop_oneof![
        3 => (0..90_u32).prop_map(Step::Advance),
        1 => one.clone().prop_map(Step::Disable),
        1 => one.clone().prop_map(Step::Enable),
        2 => one.clone().prop_map(Step::Fail),
        4 => (0..9_usize).prop_map(Step::GiveBack),
        2 => one.clone().prop_map(Step::Home),
        1 => any::<u8>().prop_map(Step::List),
        1 => any::<bool>().prop_map(Step::Probes),
        2 => (one.clone(), 1..120_u32).prop_map(|(one, seconds)| Step::Rest(one, seconds)),
        6 => Just(Step::Select),
        2 => one.prop_map(Step::Succeed),
    ]
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Active,
    Cooling(Timestamp),
    Disabled,
    Trial,
    Probed,
}

#[derive(Debug)]
struct Naive {
    state: State,
    listed: bool,
    busy: u32,
    turn: u64,
    rest: Duration,
}

#[derive(Debug)]
struct World {
    pool: ProxyPool,
    naive: BTreeMap<ProxyId, Naive>,
    policy: ProxyPolicy,
    probes: bool,
    now: Timestamp,
    turns: u64,
    under_way: Vec<ProxyId>,
}

fn id(number: usize) -> ProxyId {
    ProxyId::new(format!("http://h{number}:1"))
}

impl World {
    fn new(policy: ProxyPolicy, probes: bool) -> Self {
        let pool = ProxyPool::new(policy.clone(), probes);
        let naive = BTreeMap::new();
        let mut world =
            Self { pool, naive, policy, probes, now: START, turns: 0, under_way: Vec::new() };
        world.list(0b1_1111);
        world
    }

    fn list(&mut self, bits: u8) {
        let numbers: Vec<_> = (0..5).filter(|number| bits & (1 << number) != 0).collect();
        let proxy = |number: &usize| Proxy::new(format!("h{number}:1").parse().unwrap());
        self.pool.replace(numbers.iter().map(proxy).collect(), vec![], self.now);
        for (id, naive) in &mut self.naive {
            naive.listed = numbers.iter().any(|number| *id == super::model::id(*number));
        }
        self.naive.retain(|_, naive| naive.listed || naive.busy > 0);
        for number in numbers {
            self.turns += 1;
            let turn = self.turns;
            self.naive.entry(id(number)).or_insert(Naive {
                state: State::Active,
                listed: true,
                busy: 0,
                turn,
                rest: Duration::ZERO,
            });
        }
    }

    fn usable(&self, naive: &Naive) -> bool {
        let most = self.policy.max_in_flight.map_or(u32::MAX, std::num::NonZero::get);
        naive.listed
            && match naive.state {
                State::Active => naive.busy < most,
                State::Trial => naive.busy == 0,
                State::Cooling(_) | State::Disabled | State::Probed => false,
            }
    }

    fn cool(&mut self, id: &ProxyId, until: Timestamp, longest: Duration) {
        let now = self.now;
        let Some(naive) = self.naive.get_mut(id) else { return };
        let mut until = until;
        match naive.state {
            State::Disabled => return,
            State::Cooling(known) if known >= until => return,
            State::Cooling(_) => {}
            State::Active => naive.rest = until.since(now),
            State::Trial | State::Probed => {
                until = until.max(now + (naive.rest * 2).min(longest));
                naive.rest = until.since(now);
            }
        }
        naive.state = State::Cooling(until);
    }

    fn step(&mut self, step: &Step) -> Result<(), TestCaseError> {
        let now = self.now;
        match *step {
            Step::Advance(seconds) => self.now = now + SECOND * seconds,
            Step::Disable(number) => {
                let disabled = ProxyState::Disabled { reason: String::new() };
                self.pool.learn(vec![(id(number), disabled)], now);
                if let Some(naive) = self.naive.get_mut(&id(number)) {
                    naive.state = State::Disabled;
                }
            }
            Step::Enable(number) => {
                let unsaved = self.pool.unsaved();
                self.pool.saved(&unsaved);
                self.pool.learn(vec![(id(number), ProxyState::Active)], now);
                if let Some(naive) = self.naive.get_mut(&id(number))
                    && matches!(naive.state, State::Cooling(_) | State::Disabled)
                {
                    (naive.state, naive.rest) = (State::Active, Duration::ZERO);
                }
            }
            Step::Fail(number) => {
                let until = now + SECOND * 60;
                self.pool.broken(&id(number), Rest::new(Class::Timeout, until, ""), now);
                self.cool(&id(number), until, Duration::ZERO);
            }
            Step::GiveBack(at) if !self.under_way.is_empty() => {
                let id = self.under_way.remove(at % self.under_way.len());
                self.pool.give_back(&id);
                self.naive.get_mut(&id).expect("it drains at the most").busy -= 1;
                self.naive.retain(|_, naive| naive.listed || naive.busy > 0);
            }
            Step::GiveBack(_) => {}
            Step::Home(number) => {
                let home = self.pool.home(Some(&id(number)), now);
                let naive = self.naive.get(&id(number)).filter(|naive| naive.listed);
                let usable = naive.is_some_and(|naive| self.usable(naive));
                prop_assert_eq!(matches!(home, Home::Open(_)), usable);
                prop_assert_eq!(home == Home::Missing, naive.is_none());
                match naive.map(|naive| naive.state) {
                    Some(State::Cooling(at)) => prop_assert_eq!(home, Home::Closed(Some(at))),
                    Some(State::Disabled) => prop_assert_eq!(home, Home::Closed(None)),
                    _ => {}
                }
                if usable {
                    self.pool.take(&id(number));
                    self.used(&id(number));
                }
            }
            Step::List(bits) => self.list(bits),
            Step::Probes(works) => {
                let due = self.pool.next_probes(9, now);
                for (id, naive) in &self.naive {
                    let wanted = naive.state == State::Probed;
                    prop_assert_eq!(wanted, due.iter().any(|proxy| proxy.id() == id), "{}", id);
                }
                let fault = Fault::new(Class::Timeout, Scope::Proxy, "");
                for proxy in due {
                    let result = if works { Ok(()) } else { Err(&fault) };
                    self.pool.probed(proxy.id(), result, SECOND, now);
                    if !works {
                        self.cool(proxy.id(), now + SECOND, self.policy.longest_rest);
                    } else if let Some(naive) = self.naive.get_mut(proxy.id()) {
                        naive.state = State::Active;
                        naive.rest = Duration::ZERO;
                    }
                }
            }
            Step::Rest(number, seconds) => {
                let until = now + SECOND * seconds;
                self.pool.rest(&id(number), Rest::new(Class::RateLimited, until, ""), now);
                self.cool(&id(number), until, self.policy.longest_rest);
            }
            Step::Select => {
                let selected = self.pool.select(now, |_| Ok(()));
                let usable = self.naive.iter().filter(|(_, naive)| self.usable(naive));
                let least = usable.min_by_key(|(_, naive)| (naive.busy, naive.turn));
                let least = least.map(|(id, _)| id.clone());
                match selected.map(|proxy| proxy.id().clone()) {
                    Some(id) if self.policy.rotation != Rotation::LeastUsed => {
                        prop_assert!(self.usable(&self.naive[&id]), "{}", id);
                        self.used(&id);
                    }
                    selected => {
                        prop_assert_eq!(&selected, &least);
                        if let Some(id) = selected {
                            self.used(&id);
                        }
                    }
                }
            }
            Step::Succeed(number) => {
                self.pool.succeeded(&id(number));
                if let Some(naive) = self.naive.get_mut(&id(number))
                    && naive.state == State::Trial
                {
                    (naive.state, naive.rest) = (State::Active, Duration::ZERO);
                }
            }
        }
        self.compare()
    }

    fn used(&mut self, id: &ProxyId) {
        self.turns += 1;
        let naive = self.naive.get_mut(id).expect("it was usable");
        naive.busy += 1;
        naive.turn = self.turns;
        self.under_way.push(id.clone());
    }

    /// Both look alike, and neither uses what it must not.
    fn compare(&mut self) -> Result<(), TestCaseError> {
        for naive in self.naive.values_mut() {
            if matches!(naive.state, State::Cooling(until) if until <= self.now) {
                naive.state = if self.probes { State::Probed } else { State::Trial };
            }
        }
        let usable = self.naive.values().any(|naive| self.usable(naive));
        let open_at = self.pool.open_at(self.now);
        prop_assert_eq!(open_at == Some(self.now), usable, "{:?}", open_at);
        if !usable {
            let times = self.naive.values().filter(|naive| naive.listed);
            let first = times.filter_map(|naive| match naive.state {
                State::Cooling(until) => Some(until),
                _ => None,
            });
            // Something may come back before, but never later.
            let first = first.min();
            prop_assert!(first.is_none_or(|first| open_at.is_some_and(|at| at <= first)));
        }
        let views = self.pool.views();
        prop_assert_eq!(views.len(), self.naive.len());
        for view in views {
            let naive = &self.naive[&view.id];
            prop_assert_eq!(view.in_flight, naive.busy);
            let matches = match (&view.state, naive.state) {
                (ProxyState::Draining, _) => !naive.listed,
                (ProxyState::Cooling { until, .. }, State::Cooling(known)) => *until == known,
                (ProxyState::Active, State::Active)
                | (ProxyState::Disabled { .. }, State::Disabled)
                | (ProxyState::Probing, State::Trial | State::Probed) => true,
                _ => false,
            };
            prop_assert!(matches, "{:?} is {:?}", view, naive);
        }
        Ok(())
    }
}

proptest! {
    #[test]
    fn the_pool_does_what_one_does_that_looks_at_all_proxies(
        steps in prop::collection::vec(step(), 1..200),
        rotation in prop::sample::select(vec![
            Rotation::LeastUsed,
            Rotation::LeastUsed,
            Rotation::RoundRobin,
            Rotation::Sticky,
            Rotation::Weighted,
        ]),
        most in prop::option::of(1..3_u32),
        probes: bool,
    ) {
        let max_in_flight = most.and_then(NonZeroU32::new);
        let policy = ProxyPolicy { rotation, max_in_flight, ..ProxyPolicy::default() };
        let mut world = World::new(ProxyPolicy { max_rests: None, ..policy }, probes);
        for step in &steps {
            world.step(step)?;
        }
    }
}
