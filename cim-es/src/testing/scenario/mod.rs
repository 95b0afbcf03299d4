//! Given these events, when this command comes, then these events follow, or this error.

mod answer;

use std::fmt::Debug;
use std::time::Duration;

use uuid::Uuid;

use super::survival::{demand_survival, read_back, stored_form};
use crate::domain::ErrorChain;
use crate::domain::aggregate::{Aggregate, AggregateId, Decide, IdText};
use crate::domain::event::{AggregateEvent, DomainEvent};
use crate::domain::kept;
use crate::domain::machine::StateMachine;
use crate::domain::message::{Context, FixedClock, MessageIdentity, Timestamp};
use crate::repository::{ExecuteError, PendingCommit, Repository};
use crate::store::{AggregateKey, CommitRequest, EventStore, ExpectedVersion, NewEvent};
use answer::compare;
pub(super) use answer::{Answer, Shown, hidden_difference, refusal, refused};

/// 2026-01-01T00:00:00Z: the clock of a scenario that sets no other.
pub(super) const DEFAULT_NOW: Timestamp = Timestamp::from_micros(1_767_225_600_000_000);

/// What a scenario says that ran on the store before.
pub(super) const REPEATED: &str =
    "the message has taken effect here before: take ids that have no events yet";

/// Starts a scenario: the events that happened before.
///
/// Each event is stored and read again on the way, so a scenario also shows that its events survive that. The
/// assertions panic with what was expected and what came, as assertions in tests do.
///
/// ```
/// # use cim_es::prelude::*;
/// # #[derive(StateMachine, Clone, Debug, Serialize, Deserialize)]
/// # enum LampState { #[state(initial)] #[on(Switch / Switched => _)] Any }
/// # #[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
/// # enum LampEvent { Switched { on: bool } }
/// # #[derive(Command, Clone, Debug)]
/// # enum LampCommand { Switch }
/// # #[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
/// # #[aggregate(domain = "home", name = "lamp")]
/// # struct Lamp { state: LampState, on: bool }
/// # impl Decide for Lamp {
/// #     fn decide(&self, _: LampCommand, _: &Context) -> Decision<Self> {
/// #         emit(LampEvent::Switched { on: !self.on })
/// #     }
/// # }
/// use cim_es::testing::{given, given_nothing};
///
/// given_nothing::<Lamp>().when(LampCommand::Switch).then([LampEvent::Switched { on: true }]);
/// given([LampEvent::Switched { on: true }])
///     .when(LampCommand::Switch)
///     .then([LampEvent::Switched { on: false }]);
/// ```
///
/// # Panics
/// When the machine does not know such a history, or an event does not survive being stored.
#[track_caller]
pub fn given<E>(events: impl IntoIterator<Item = E>) -> Given<E::Aggregate>
where
    E: AggregateEvent + Debug,
    E::Aggregate: Decide<Event = E>,
{
    let history: Vec<(NewEvent, E)> = events
        .into_iter()
        .map(|event| stored_form(&event))
        .collect();
    let mut given = given_nothing::<E::Aggregate>();
    let mut stored = Vec::with_capacity(history.len());
    for (place, (new, event)) in history.into_iter().enumerate() {
        stored.push(new);
        if let Err(error) = given.aggregate.apply(event) {
            panic!(
                "given event {} is not a possible history: {error}",
                place + 1
            );
        }
    }
    Given {
        history: stored,
        ..given
    }
}

/// Starts a scenario for an aggregate without events.
pub fn given_nothing<A: Decide>() -> Given<A> {
    Given {
        history: Vec::new(),
        aggregate: kept::initial(),
        now: DEFAULT_NOW,
        identity: default_identity(),
        id: None,
    }
}

/// What happened before.
#[must_use = "a scenario says nothing before `then`"]
pub struct Given<A: Aggregate> {
    history: Vec<NewEvent>,
    aggregate: A,
    now: Timestamp,
    identity: MessageIdentity,
    id: Option<IdText>,
}

/// What happened before, and what came then: a command, or several together.
#[must_use = "a scenario says nothing before `then`"]
pub struct When<A: Aggregate> {
    given: Given<A>,
    commands: Vec<A::Command>,
}

/// A scenario that held on the pure aggregate; [`on`](Self::on) runs it on a store.
pub struct Scenario<A: Aggregate> {
    when: When<A>,
    expected: Answer,
}

impl<A: Decide> Given<A>
where
    A::Command: Clone,
    A::Event: Debug,
    A::Command: Debug,
{
    /// Sets the reading of the clock for the command.
    pub fn at(self, now: Timestamp) -> Self {
        Self { now, ..self }
    }

    /// Moves the clock on by so much, from the beginning of 2026 or from what [`at`](Self::at) set.
    ///
    /// `given([lent]).at(start).after(LOAN).when(Renew)` asks what the last day of the loan brings.
    pub fn after(self, time: Duration) -> Self {
        let now = self.now.after(time);
        Self { now, ..self }
    }

    /// Sets who issues the command.
    pub fn by(self, identity: MessageIdentity) -> Self {
        Self { identity, ..self }
    }

    /// Sets the id of the aggregate, for a decision that asks whether an id is its own.
    ///
    /// # Panics
    /// When the text of the id is empty or too long.
    #[track_caller]
    pub fn of(self, id: &A::Id) -> Self {
        let text = id.text().unwrap_or_else(|error| panic!("the id: {error}"));
        let id = Some(text);
        Self { id, ..self }
    }

    fn context(&self) -> Context {
        let context = Context::new(self.identity.clone(), self.now);
        match &self.id {
            Some(id) => context.with_aggregate(A::KIND, id.clone()),
            None => context,
        }
    }

    /// The command that comes now.
    pub fn when(self, command: A::Command) -> When<A> {
        self.when_all([command])
    }

    /// The commands that come now, together: as [`Repository::execute_all`] takes them. What refuses one of them is
    /// the answer to all.
    pub fn when_all(self, commands: impl IntoIterator<Item = A::Command>) -> When<A> {
        When {
            given: self,
            commands: commands.into_iter().collect(),
        }
    }

    /// What a command leads to, in a few words: the events and the state after them, or why not.
    pub(super) fn answer(&self, command: A::Command) -> String {
        let events = match self.decided(command) {
            Ok(events) if events.is_empty() => return "nothing".to_owned(),
            Ok(events) => events,
            Err(ExecuteError::NotAccepted { .. }) => return "·".to_owned(),
            Err(error) => return ErrorChain(&error).to_string(),
        };
        let names: Vec<_> = events
            .iter()
            .map(|it| A::Event::VARIANTS[it.index()])
            .collect();
        let (mut after, before) = (kept::copy_of(&self.aggregate), self.aggregate.state());
        // The decision was checked against the machine.
        let _ = events.into_iter().try_for_each(|event| after.apply(event));
        match after.state() {
            state if state.index() == before.index() => names.join(", "),
            state => format!("{} → {}", names.join(", "), state.name()),
        }
    }

    /// The events that a command leads to.
    pub(super) fn emits(&self, command: A::Command) -> Vec<A::Event> {
        self.decided(command).unwrap_or_default()
    }

    /// The events that happened before.
    pub(super) fn events(&self) -> impl Iterator<Item = A::Event> {
        self.history.iter().map(read_back)
    }

    fn decided(&self, command: A::Command) -> Result<Vec<A::Event>, ExecuteError<A::Error>> {
        let pending = PendingCommit::decide(&self.aggregate, &command, &self.context())?;
        Ok(pending.new_events().iter().map(read_back).collect())
    }

    /// The aggregate after the events, to look at.
    pub fn aggregate(&self) -> &A {
        &self.aggregate
    }
}

impl<A: Decide> When<A>
where
    A::Command: Clone,
    A::Event: Debug,
    A::Command: Debug,
{
    /// The command leads to these events, and nothing else.
    #[track_caller]
    pub fn then(self, events: impl IntoIterator<Item = A::Event>) -> Scenario<A> {
        let expected = events.into_iter().map(|event| {
            let (stored, read_back) = stored_form(&event);
            Shown::new(&stored, &read_back)
        });
        let expected = expected.collect();
        self.expect(Answer::Events(expected))
    }

    /// The command is accepted and changes nothing.
    #[track_caller]
    pub fn then_nothing(self) -> Scenario<A> {
        self.expect(Answer::Events(Vec::new()))
    }

    /// A rule of the domain refuses the command with this error.
    #[track_caller]
    pub fn then_error(self, error: A::Error) -> Scenario<A> {
        self.expect(refused(&error))
    }

    /// The machine refuses the command: the present state has no edge for it.
    #[track_caller]
    pub fn then_not_accepted(self) -> Scenario<A> {
        self.expect(Answer::NotAccepted)
    }

    #[track_caller]
    fn expect(self, expected: Answer) -> Scenario<A> {
        compare(
            "on the pure aggregate",
            &self.commands,
            &expected,
            &self.decide(),
        );
        Scenario {
            when: self,
            expected,
        }
    }

    fn decide(&self) -> Answer {
        match self.outcome() {
            Ok((_, events)) => {
                let shown = events.iter().map(|stored| {
                    let event: A::Event = read_back(stored);
                    Shown::new(stored, &event)
                });
                Answer::Events(shown.collect())
            }
            Err(answer) => answer,
        }
    }

    /// The aggregate after the commands and the events that they led to, or why there are none.
    fn outcome(&self) -> Result<(A, Vec<NewEvent>), Answer> {
        let (mut after, context) = (kept::copy_of(&self.given.aggregate), self.given.context());
        let mut events = Vec::new();
        for (place, command) in self.commands.iter().enumerate() {
            let context = context.of_command(place);
            let pending = PendingCommit::decide_watched(&after, command, &context, demand_survival);
            let pending = pending.map_err(|error| refusal(&error))?;
            events.extend_from_slice(pending.new_events());
            if let Err(fault) = pending.apply_to(&mut after) {
                return Err(Answer::Failed(fault.to_string()));
            }
        }
        Ok((after, events))
    }
}

impl<A: Decide> Scenario<A>
where
    A::Command: Clone,
    A::Event: Debug,
    A::Command: Debug,
{
    /// What comes so much later: the commands of this scenario have had their effect, the clock is moved on, and the
    /// next command is another message of the same actor.
    ///
    /// ```
    /// # mod lending { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/guide/library.rs")); }
    /// # use cim_es::prelude::*;
    /// # use cim_es::testing::given;
    /// # use lending::{BookCommand::*, BookError::*, BookEvent::*, LOAN};
    /// # use std::time::Duration;
    /// # fn main() {
    /// let day = Duration::from_secs(24 * 60 * 60);
    /// let due = Timestamp::from_micros(LOAN);
    /// given([Acquired { title: "Emma".into() }])
    ///     .at(Timestamp::from_micros(0))
    ///     .when(Lend { reader: "Ann".into() })
    ///     .then([Lent { reader: "Ann".into(), due }])
    ///     .after(29 * day)
    ///     .when(Renew)
    ///     .then_error(Overdue { due });
    /// # }
    /// ```
    pub fn after(self, time: Duration) -> Given<A> {
        let outcome = self.when.outcome();
        let mut given = self.when.given.after(time);
        // A refused command left everything as it was.
        if let Ok((aggregate, events)) = outcome {
            given.aggregate = aggregate;
            given.history.extend(events);
        }
        let message_id = given.identity.message_id().as_u128().wrapping_add(1);
        let identity = given.identity.with_message_id(Uuid::from_u128(message_id));
        Given { identity, ..given }
    }

    /// Runs the same scenario on a store, under an id that must have no events yet: the history is appended, the
    /// command executed through a repository, and its answer compared with the expected one.
    ///
    /// # Panics
    /// When the answer is another one, and when the id or the history cannot be stored; the message says which.
    pub async fn on(mut self, store: impl EventStore + Clone, id: &A::Id) -> Self {
        let key = AggregateKey::of::<A>(id).unwrap_or_else(|error| panic!("the id: {error}"));
        if self.when.given.id.is_none() {
            // Ids that the decision draws are the aggregate's own, so they are known only now.
            self.when.given.id = Some(key.id().clone());
            self.expected = self.when.decide();
        }
        let given = &self.when.given;
        for (place, event) in given.history.iter().enumerate() {
            let identity = MessageIdentity::root(Uuid::now_v7(), Some("given"));
            let commit = CommitRequest::new(identity, given.now).aggregate(
                key.clone(),
                ExpectedVersion::Exactly(place as u64),
                vec![event.clone()],
            );
            if let Err(error) = store.append(commit).await {
                panic!(
                    "given event {} could not be stored, under an id that must have no events yet: {}",
                    place + 1,
                    ErrorChain(&error)
                );
            }
        }
        let repository = Repository::<A>::builder(store)
            .clock(FixedClock(given.now))
            .build();
        let commands = self.when.commands.clone();
        let executed = repository.execute_all(id, commands, &given.identity);
        let found = match executed.await {
            Ok(commit) if commit.is_repeated() => Answer::Failed(REPEATED.to_owned()),
            Ok(commit) => {
                let events = commit.events().iter();
                Answer::Events(events.map(Shown::of_stored::<A::Event>).collect())
            }
            Err(error) => refusal(&error),
        };
        let place = format!("on the store, for {key}");
        compare(&place, &self.when.commands, &self.expected, &found);
        self
    }
}

pub(super) fn default_identity() -> MessageIdentity {
    MessageIdentity::root(
        Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0001),
        Some("test"),
    )
}
