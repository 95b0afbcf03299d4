//! The aggregate with which the contract tests commands.

use serde::{Deserialize, Serialize};

use crate::domain::aggregate::{Aggregate, Command, Decide, Decision, Id, emit, emit_all, nothing};
use crate::domain::event::DomainEvent;
use crate::domain::machine::StateMachine;
use crate::domain::message::{Context, MessageIdentity};
use crate::repository::{Commit, ExecuteError, Repository, RepositoryBuilder};
use crate::store::EventStore;

#[derive(StateMachine, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[machine(event = CounterEvent, command = CounterCommand)]
pub(super) enum CounterState {
    #[state(initial)]
    #[on(Add / Added => _)]
    #[on(Add / Limited => _)]
    #[on(SetLimit / Limited => _)]
    #[on(Close / Closed => Closed)]
    Counting,
    #[state(terminal)]
    Closed,
}

#[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum CounterEvent {
    #[apply(total += amount)]
    Added {
        amount: u64,
    },
    Limited {
        limit: u64,
    },
    Closed,
}

#[derive(Command, Clone, Debug)]
pub(super) enum CounterCommand {
    Add { amount: u64 },
    SetLimit { limit: u64 },
    Close,
}

#[derive(Aggregate, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[aggregate(domain = "contract", name = "counter", error = CounterError)]
pub(super) struct Counter {
    state: CounterState,
    pub(super) total: u64,
    pub(super) limit: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{asked} is past the limit of {limit}")]
pub(super) struct CounterError {
    asked: u64,
    limit: u64,
}

/// An amount for which `decide` emits an event that the machine does not declare.
pub(super) const UNDECLARED: u64 = 666;
/// An amount for which `decide` emits two events.
pub(super) const TWICE: u64 = 222;

impl Decide for Counter {
    fn decide(&self, command: CounterCommand, _: &Context) -> Decision<Self> {
        match command {
            CounterCommand::Add { amount: 0 } => nothing(),
            CounterCommand::Add { amount: UNDECLARED } => emit(CounterEvent::Closed),
            CounterCommand::Add { amount: TWICE } => emit_all([
                CounterEvent::Added { amount: TWICE },
                CounterEvent::Limited { limit: u64::MAX },
            ]),
            CounterCommand::Add { amount } => {
                let asked = self.total.saturating_add(amount);
                match self.limit {
                    Some(limit) if asked > limit => Err(CounterError { asked, limit }),
                    _ => emit(CounterEvent::Added { amount }),
                }
            }
            CounterCommand::SetLimit { limit } if self.limit == Some(limit) => nothing(),
            CounterCommand::SetLimit { limit } => emit(CounterEvent::Limited { limit }),
            CounterCommand::Close => emit(CounterEvent::Closed),
        }
    }
}

pub(super) type Outcome = Result<Commit, ExecuteError<CounterError>>;

pub(super) fn builder(store: &(impl EventStore + Clone)) -> RepositoryBuilder<Counter> {
    Repository::builder(store.clone())
}

pub(super) fn repository(store: &(impl EventStore + Clone)) -> Repository<Counter> {
    builder(store).build()
}

pub(super) async fn execute(
    counters: &Repository<Counter>,
    id: &Id<Counter>,
    command: CounterCommand,
) -> Outcome {
    counters
        .execute(id, command, &MessageIdentity::new_from_user("contract"))
        .await
}

pub(super) async fn add(counters: &Repository<Counter>, id: &Id<Counter>, amount: u64) -> Outcome {
    execute(counters, id, CounterCommand::Add { amount }).await
}
