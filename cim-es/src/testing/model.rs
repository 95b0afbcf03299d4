//! A walk through the declared machine with generated commands.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, TestRunner};
use uuid::Uuid;

use super::scenario::DEFAULT_NOW;
use super::survival::{demand_survival, read_back};
use crate::domain::ErrorChain;
use crate::domain::aggregate::{Aggregate, Command, Decide};
use crate::domain::event::DomainEvent;
use crate::domain::kept::{Plain, Same, initial};
use crate::domain::machine::{Edge, StateMachine};
use crate::domain::message::{Context, MessageIdentity, Timestamp};
use crate::repository::{ExecuteError, PendingCommit, encode_snapshot};
use crate::store::NewEvent;

const WALKS: usize = 256;
const STEPS: usize = 64;
const COMMANDS_A_STEP: usize = 24;
const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// What passes before a command, beside a second: the terms that contracts have, each with a little more.
pub(super) const TERMS: [Duration; 6] = [
    Duration::from_secs(61),
    Duration::from_secs(61 * 60),
    Duration::from_secs(25 * 60 * 60),
    DAY.saturating_mul(8),
    DAY.saturating_mul(32),
    DAY.saturating_mul(367),
];

/// What a walk through a machine has seen.
#[derive(Clone, Debug)]
pub struct MachineReport {
    /// The edges that were taken, each as `state: command / event`.
    pub taken: Vec<String>,
    /// The edges without a command that no decision took: only a history from before can.
    pub only_in_history: Vec<String>,
    /// The number of commands that were decided.
    pub commands: usize,
}

/// Walks the declared machine of an aggregate with generated commands, and panics where it does not hold:
///
/// - every edge that names a command can be taken by a sequence of commands;
/// - a command without an edge in the present state is refused, and an event without one is never emitted;
/// - deciding twice gives the same bytes;
/// - at every point, what a snapshot keeps plus the events since equals the fold of all events, and decides as it does.
///
/// Time passes on the way: a second before one command, and up to a year before another, so that an edge is found that
/// is open only after 28 days. [`check_machine_after`] says how much.
///
/// `commands` gives the generator of commands for an aggregate as it is, so that a command may name what is there:
/// `|account| (1..=account.balance).prop_map(|amount| Withdraw { amount })`. The walk is deterministic.
///
/// The generators are proptest's, from [`testing::proptest`](super::proptest):
///
/// ```
/// # use cim_es::prelude::*;
/// # #[derive(StateMachine, Clone, Debug, Serialize, Deserialize)]
/// # enum TapState { #[state(initial)] #[on(Fill / Filled => _)] #[on(Drain / Drained => _)] Any }
/// # #[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
/// # enum TapEvent {
/// #     #[apply(level += amount)] Filled { amount: u32 },
/// #     #[apply(level -= amount)] Drained { amount: u32 },
/// # }
/// # #[derive(Command, Clone, Debug)]
/// # enum TapCommand { Fill { amount: u32 }, Drain { amount: u32 } }
/// # #[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
/// # #[aggregate(domain = "home", name = "tap")]
/// # struct Tap { state: TapState, level: u32 }
/// # impl Decide for Tap {
/// #     fn decide(&self, command: TapCommand, _: &Context) -> Decision<Self> {
/// #         match command {
/// #             TapCommand::Drain { amount } if amount > self.level => nothing(),
/// #             TapCommand::Drain { amount } => emit(TapEvent::Drained { amount }),
/// #             TapCommand::Fill { amount } => emit(TapEvent::Filled { amount }),
/// #         }
/// #     }
/// # }
/// use cim_es::testing::check_machine;
/// use cim_es::testing::proptest::prelude::*;
///
/// let report = check_machine::<Tap, _>(|tap| {
///     prop_oneof![
///         (1..=9_u32).prop_map(|amount| TapCommand::Fill { amount }),
///         (0..=tap.level).prop_map(|amount| TapCommand::Drain { amount }),
///     ]
/// });
/// assert_eq!(report.taken.len(), 2);
/// ```
#[track_caller]
pub fn check_machine<A, S>(commands: impl Fn(&A) -> S) -> MachineReport
where
    A: Decide,
    A::Command: Clone,
    A::Event: fmt::Debug,
    A::Command: fmt::Debug,
    S: Strategy<Value = A::Command>,
{
    check_machine_after::<A, S>(TERMS, commands)
}

/// As [`check_machine`], with what passes before a command: a second, or one of these times, such as a day, the term of
/// a loan, and a day more than that.
///
/// # Panics
/// As [`check_machine`] does.
#[track_caller]
pub fn check_machine_after<A, S>(
    times: impl IntoIterator<Item = Duration>,
    commands: impl Fn(&A) -> S,
) -> MachineReport
where
    A: Decide,
    A::Command: Clone,
    A::Event: fmt::Debug,
    A::Command: fmt::Debug,
    S: Strategy<Value = A::Command>,
{
    let mut walk = Walk::<A>::new(times.into_iter().collect());
    for number in 0..WALKS {
        walk.start();
        while walk.step(&commands) {}
        walk.check_snapshots();
        if number >= 16 && walk.missing().is_empty() {
            break;
        }
    }
    let missing = walk.missing();
    assert!(
        missing.is_empty(),
        "no generated sequence of commands takes {}: declare no edge that `decide` never takes, or generate the \
         commands that take it (an edge that time opens may need `check_machine_after`)",
        missing.join(", "),
    );
    walk.report()
}

pub(super) struct Walk<A: Aggregate> {
    runner: TestRunner,
    aggregate: A,
    /// The same as a snapshot gives it back.
    kept: A,
    events: Vec<NewEvent>,
    steps: usize,
    /// What may pass before a command, beside a second.
    times: Vec<Duration>,
    /// The time of the last step.
    now: Timestamp,
    taken: BTreeSet<usize>,
    commands: usize,
}

impl<A: Decide> Walk<A>
where
    A::Command: Clone,
    A::Event: fmt::Debug,
    A::Command: fmt::Debug,
{
    /// One that is the same each time; see [`check_machine_after`] for the times.
    pub(super) fn new(times: Vec<Duration>) -> Self {
        let runner = TestRunner::new_with_rng(
            Config::default(),
            proptest::test_runner::TestRng::deterministic_rng(
                proptest::test_runner::RngAlgorithm::ChaCha,
            ),
        );
        Self {
            runner,
            aggregate: initial(),
            kept: initial(),
            events: Vec::new(),
            steps: 0,
            times,
            now: DEFAULT_NOW,
            taken: BTreeSet::new(),
            commands: 0,
        }
    }

    /// What becomes of an aggregate: the events of each of its commits, of which there are so many at most.
    #[track_caller]
    pub(super) fn history<S>(
        &mut self,
        most: usize,
        commands: &impl Fn(&A) -> S,
    ) -> Vec<Vec<A::Event>>
    where
        S: Strategy<Value = A::Command>,
    {
        self.start();
        let mut commits = Vec::new();
        while commits.len() < most && self.step(commands) {
            let stored = commits.iter().map(Vec::len).sum();
            commits.push(self.events[stored..].iter().map(read_back).collect());
        }
        commits
    }

    /// A number below another one.
    pub(super) fn draw(&mut self, below: usize) -> usize {
        let drawn = (0..below.max(1)).new_tree(&mut self.runner);
        drawn.map_or(0, |drawn| drawn.current())
    }

    #[track_caller]
    fn start(&mut self) {
        self.aggregate = initial();
        self.kept = kept(&self.aggregate, 0);
        self.events.clear();
        self.steps = 0;
        self.now = DEFAULT_NOW;
    }

    /// One step: of some generated commands, the one that takes an edge not taken yet, else any that changes
    /// something.
    #[track_caller]
    fn step<S>(&mut self, commands: &impl Fn(&A) -> S) -> bool
    where
        S: Strategy<Value = A::Command>,
    {
        self.steps += 1;
        if self.steps > STEPS || self.aggregate.state().is_terminal() {
            self.check_terminal(commands);
            return false;
        }
        let mut chosen: Option<(Vec<usize>, Vec<NewEvent>, Timestamp)> = None;
        for _ in 0..COMMANDS_A_STEP {
            let command = self.generate(commands);
            let now = self.later();
            let Some(events) = self.decide(&command, now) else {
                continue;
            };
            let edges = self.edges_of(&command, &events);
            let is_news = edges.iter().any(|edge| !self.taken.contains(edge));
            if chosen.is_none() || is_news {
                chosen = Some((edges, events, now));
            }
            if is_news {
                break;
            }
        }
        let Some((edges, events, now)) = chosen else {
            return false;
        };
        self.now = now;
        self.taken.extend(edges);
        for event in events {
            let typed: A::Event = read_back(&event);
            let applied = self.aggregate.apply(typed);
            assert!(applied.is_ok(), "{applied:?}");
            self.events.push(event);
        }
        self.kept = kept(&self.aggregate, self.events.len());
        true
    }

    #[track_caller]
    fn check_terminal<S>(&mut self, commands: &impl Fn(&A) -> S)
    where
        S: Strategy<Value = A::Command>,
    {
        for _ in 0..COMMANDS_A_STEP {
            let command = self.generate(commands);
            let now = self.later();
            self.decide(&command, now);
        }
    }

    #[track_caller]
    fn generate<S>(&mut self, commands: &impl Fn(&A) -> S) -> A::Command
    where
        S: Strategy<Value = A::Command>,
    {
        match commands(&self.aggregate).new_tree(&mut self.runner) {
            Ok(tree) => tree.current(),
            Err(reason) => panic!("no command could be generated: {reason}"),
        }
    }

    /// When the next command comes: mostly a second after the last step, and sometimes one of the given times after it.
    fn later(&mut self) -> Timestamp {
        let drawn = (0..3 * self.times.len().max(1)).new_tree(&mut self.runner);
        let time = drawn.ok().and_then(|it| self.times.get(it.current()));
        self.now.after(time.copied().unwrap_or(SECOND))
    }

    /// The events that a command gives, as they would be stored; none when it is refused or changes nothing.
    #[track_caller]
    fn decide(&mut self, command: &A::Command, now: Timestamp) -> Option<Vec<NewEvent>> {
        self.commands += 1;
        let message_id = Uuid::from_u128(self.commands as u128);
        let identity = MessageIdentity::root(message_id, Some("model"));
        let context = Context::new(identity, now);
        let state = self.aggregate.state();
        let is_declared = state.can_accept(command);
        let answer = |aggregate: &A| {
            let decided =
                PendingCommit::decide_watched(aggregate, command, &context, demand_survival);
            decided.map(|pending| pending.new_events().to_vec())
        };
        let (first, again) = (answer(&self.aggregate), answer(&self.aggregate));
        assert!(
            is_same(&first, &again),
            "{command:?} in state `{}` gave two different answers to the same question: decide from the context, \
             not from a clock or a random number",
            state.name(),
        );
        let after_snapshot = answer(&self.kept);
        assert!(
            is_same(&first, &after_snapshot),
            "{command:?} in state `{}` is answered otherwise after a snapshot: a field that `decide` looks at is \
             skipped or changed when the aggregate is stored",
            state.name(),
        );
        match first {
            Ok(events) => {
                assert!(
                    is_declared,
                    "{command:?} was decided in state `{}`",
                    state.name()
                );
                Some(events).filter(|events| !events.is_empty())
            }
            Err(ExecuteError::NotAccepted { .. }) => {
                assert!(
                    !is_declared,
                    "{command:?} was refused in state `{}`",
                    state.name()
                );
                None
            }
            Err(ExecuteError::Refused(_)) => None,
            Err(error) => panic!("{}", ErrorChain(&error)),
        }
    }

    /// The places in the machine's table of the edges that the events take.
    fn edges_of(&self, command: &A::Command, events: &[NewEvent]) -> Vec<usize> {
        let mut state = self.aggregate.state();
        let mut taken = Vec::new();
        for (place, event) in events.iter().enumerate() {
            let event: A::Event = read_back(event);
            let name = A::Event::VARIANTS[event.index()];
            let fits = |edge: &Edge, under: Option<&str>| {
                edge.from == state.name() && edge.event == name && edge.command == under
            };
            let edges = A::State::EDGES;
            let edge = edges
                .iter()
                .position(|edge| fits(edge, Some(command.name())));
            let free = edges.iter().position(|edge| place > 0 && fits(edge, None));
            taken.extend(edge.or(free));
            match state.next(&event) {
                Ok(next) => state = next,
                Err(_) => break,
            }
        }
        taken
    }

    /// At every point of the walk's history: what a snapshot keeps, read again, plus the rest gives what the whole
    /// gives.
    #[track_caller]
    fn check_snapshots(&self) {
        let whole = bytes(&self.aggregate);
        let mut prefix: A = initial();
        for cut in 0..=self.events.len() {
            let mut aggregate = kept(&prefix, cut);
            for event in &self.events[cut..] {
                let _ = aggregate.apply(read_back(event));
            }
            assert_eq!(
                bytes(&aggregate),
                whole,
                "a snapshot after {cut} events plus the rest is not what all events give: a field is skipped or \
                 changed when the aggregate is stored",
            );
            if let Some(event) = self.events.get(cut) {
                let _ = prefix.apply(read_back(event));
            }
        }
    }

    fn missing(&self) -> Vec<String> {
        self.edges(|place, edge| edge.command.is_some() && !self.taken.contains(&place))
    }

    fn report(&self) -> MachineReport {
        MachineReport {
            taken: self.edges(|place, _| self.taken.contains(&place)),
            only_in_history: self
                .edges(|place, edge| edge.command.is_none() && !self.taken.contains(&place)),
            commands: self.commands,
        }
    }

    fn edges(&self, is_wanted: impl Fn(usize, &Edge) -> bool) -> Vec<String> {
        let edges = A::State::EDGES.iter().enumerate();
        let wanted = edges.filter(|(place, edge)| is_wanted(*place, edge));
        wanted.map(|(_, edge)| Shown(edge).to_string()).collect()
    }
}

struct Shown<'a>(&'a Edge);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Edge {
            from,
            command,
            event,
            ..
        } = self.0;
        match command {
            Some(command) => write!(f, "`{from}: {command} / {event}`"),
            None => write!(f, "`{from}: / {event}`"),
        }
    }
}

#[track_caller]
fn bytes<A: Aggregate>(aggregate: &A) -> Vec<u8> {
    encode_snapshot(aggregate)
        .unwrap_or_else(|error| panic!(
            "the aggregate cannot be kept in a snapshot, since a field is skipped or changed when the aggregate is stored: {error}"
        ))
}

/// The aggregate as a snapshot after a number of events gives it back.
#[track_caller]
fn kept<A: Aggregate>(aggregate: &A, events: usize) -> A {
    match serde_ipld_dagcbor::from_slice::<Plain<A::Value>>(&bytes(aggregate)) {
        Ok(aggregate) => aggregate.0.into_it(),
        Err(error) => panic!("a snapshot after {events} events cannot be read again: {error}"),
    }
}

fn is_same<E: std::error::Error>(
    first: &Result<Vec<NewEvent>, ExecuteError<E>>,
    again: &Result<Vec<NewEvent>, ExecuteError<E>>,
) -> bool {
    match (first, again) {
        (Ok(first), Ok(again)) => {
            first.len() == again.len()
                && first.iter().zip(again).all(|(one, other)| {
                    one.event_type == other.event_type && one.payload == other.payload
                })
        }
        (Err(first), Err(again)) => first.to_string() == again.to_string(),
        _ => false,
    }
}
