//! Given histories of several aggregates, when commands come together, then events of each, or what refuses all of them.

mod outcome;
mod past;
mod step;

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use super::scenario::{Answer, DEFAULT_NOW, Shown, default_identity, refused};
use super::survival::stored_form;
use crate::domain::aggregate::{Aggregate, Command, Decide, UniqueName};
use crate::domain::event::AggregateEvent;
use crate::domain::message::{MessageIdentity, Timestamp};
use crate::engine::memory::MemoryEventStore;
use crate::repository::Together;
use crate::store::{AggregateKey, EventStore, NewEvent};
use outcome::{Outcome, compare};
use past::Pasts;
use step::{CommandOn, Setting, Step, UnchangedOf};

/// Starts a scenario over several aggregates, of one kind or of several, as a
/// [`Together`](crate::repository::Together) commits them: what happened to each, what comes, and what follows.
///
/// An aggregate that is not given has no events yet. The commands are decided as they are on a store, each on its own
/// aggregate; unique names that the given aggregates hold are held. No store is needed: it runs in memory, and
/// [`on`](ScenarioTogether::on) runs the same on any store.
///
/// ```
/// # use cim_es::prelude::*;
/// # #[derive(StateMachine, Clone, Debug, Serialize, Deserialize)]
/// # enum CopyState {
/// #     #[state(initial)]
/// #     #[on(Lend / Lent => OnLoan)]
/// #     InStock,
/// #     #[on(/ Returned => InStock)]
/// #     OnLoan,
/// # }
/// # #[derive(DomainEvent, Clone, Debug, Serialize, Deserialize)]
/// # enum CopyEvent { Lent { member: Id<Member> }, #[apply(member = None)] Returned }
/// # #[derive(Command, Clone, Debug)]
/// # enum CopyCommand { Lend { member: Id<Member> } }
/// # #[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
/// # #[aggregate(domain = "library", name = "copy")]
/// # struct Copy { state: CopyState, member: Option<Id<Member>> }
/// # impl Decide for Copy {
/// #     fn decide(&self, command: CopyCommand, _: &Context) -> Decision<Self> {
/// #         match command { CopyCommand::Lend { member } => emit(CopyEvent::Lent { member }) }
/// #     }
/// # }
/// # #[derive(StateMachine, Clone, Debug, Serialize, Deserialize)]
/// # enum MemberState { #[state(initial)] #[on(Borrow / Borrowed => _)] Any }
/// # #[derive(DomainEvent, Clone, Debug, Serialize, Deserialize)]
/// # enum MemberEvent { #[apply(_ = copy, held += 1)] Borrowed { copy: Id<Copy> } }
/// # #[derive(Command, Clone, Debug)]
/// # enum MemberCommand { Borrow { copy: Id<Copy> } }
/// # #[derive(Clone, Debug, PartialEq, thiserror::Error)]
/// # #[error("a member holds one copy at most")]
/// # struct TooMany;
/// # #[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
/// # #[aggregate(domain = "library", name = "member", error = TooMany)]
/// # struct Member { state: MemberState, held: u32 }
/// # impl Decide for Member {
/// #     fn decide(&self, command: MemberCommand, _: &Context) -> Decision<Self> {
/// #         match command {
/// #             MemberCommand::Borrow { .. } if self.held > 0 => Err(TooMany),
/// #             MemberCommand::Borrow { copy } => emit(MemberEvent::Borrowed { copy }),
/// #         }
/// #     }
/// # }
/// # use CopyCommand::Lend;
/// # use CopyEvent::Lent;
/// # use MemberCommand::Borrow;
/// # use MemberEvent::Borrowed;
/// use cim_es::testing::{events_of, together};
///
/// let (copy, other, member) = (Id::new(), Id::new(), Id::new());
/// together()
///     .when(&copy, Lend { member })
///     .when(&member, Borrow { copy })
///     .then([events_of(&copy, [Lent { member }]), events_of(&member, [Borrowed { copy }])]);
/// // The second of the two commands is refused, and with it both.
/// together()
///     .given(&member, [Borrowed { copy: other }])
///     .when(&copy, Lend { member })
///     .when(&member, Borrow { copy })
///     .then_error(2, TooMany);
/// ```
pub fn together() -> GivenTogether {
    GivenTogether {
        pasts: Pasts::default(),
        now: DEFAULT_NOW,
        identity: default_identity(),
    }
}

/// What happened to several aggregates before.
#[must_use = "a scenario says nothing before `then`"]
pub struct GivenTogether {
    pasts: Pasts,
    now: Timestamp,
    identity: MessageIdentity,
}

/// What happened before, and the commands that came then, as one commit.
#[must_use = "a scenario says nothing before `then`"]
pub struct WhenTogether {
    given: GivenTogether,
    steps: Vec<Box<dyn Step>>,
    meanwhile: Pasts,
}

/// A scenario over several aggregates that held in memory; [`on`](Self::on) runs it on a store.
pub struct ScenarioTogether {
    when: WhenTogether,
    expected: Outcome,
}

/// The events that an aggregate is to get, or that it has.
#[derive(Clone, Debug)]
pub struct EventsOf {
    key: AggregateKey,
    events: Vec<Shown>,
}

/// The events that the aggregate with an id gets, for [`WhenTogether::then`], or has, for
/// [`project_all`](super::project_all).
///
/// # Panics
/// When an event does not survive being stored, and when the text of the id is empty or too long.
#[track_caller]
pub fn events_of<E>(
    id: &<E::Aggregate as Aggregate>::Id,
    events: impl IntoIterator<Item = E>,
) -> EventsOf
where
    E: AggregateEvent + Debug,
{
    let shown = events.into_iter().map(|event| {
        let (stored, read_back) = stored_form(&event);
        Shown::new(&stored, &read_back)
    });
    EventsOf {
        events: shown.collect(),
        key: key_of::<E::Aggregate>(id),
    }
}

#[track_caller]
fn key_of<A: Aggregate>(id: &A::Id) -> AggregateKey {
    AggregateKey::of::<A>(id).unwrap_or_else(|error| panic!("the id: {error}"))
}

impl EventsOf {
    /// The aggregate, and its events as a store takes them.
    pub(super) fn as_stored(&self) -> (&AggregateKey, Vec<NewEvent>) {
        let events = self.events.iter().map(Shown::to_new);
        (&self.key, events.collect())
    }
}

impl GivenTogether {
    /// Adds what happened to an aggregate; a second call for one id goes on with it.
    ///
    /// # Panics
    /// When the machine does not know such a history, and when an event does not survive being stored.
    #[track_caller]
    pub fn given<E>(
        mut self,
        id: &<E::Aggregate as Aggregate>::Id,
        events: impl IntoIterator<Item = E>,
    ) -> Self
    where
        E: AggregateEvent + Debug,
        E::Aggregate: Aggregate<Event = E>,
    {
        self.pasts
            .add(&Pasts::default(), key_of::<E::Aggregate>(id), events);
        self
    }

    /// Sets the reading of the clock for the commands, in place of the beginning of 2026.
    pub fn at(self, now: Timestamp) -> Self {
        Self { now, ..self }
    }

    /// Moves the clock on by so much.
    pub fn after(self, time: Duration) -> Self {
        let now = self.now.after(time);
        Self { now, ..self }
    }

    /// Sets who issues the commands.
    pub fn by(self, identity: MessageIdentity) -> Self {
        Self { identity, ..self }
    }

    /// The first command that comes now, on the aggregate with an id.
    #[track_caller]
    pub fn when<C>(self, id: &<C::Aggregate as Aggregate>::Id, command: C) -> WhenTogether
    where
        C: Command + Clone + Debug,
        C::Aggregate: Decide<Command = C>,
        <C::Aggregate as Aggregate>::Event: Debug,
    {
        self.begun().when(id, command)
    }

    /// An aggregate that gets no event and must not move; see [`WhenTogether::unchanged`].
    #[track_caller]
    pub fn unchanged<A: Decide>(self, id: &A::Id) -> WhenTogether
    where
        A::Command: Clone,
    {
        self.begun().unchanged::<A>(id)
    }

    fn begun(self) -> WhenTogether {
        WhenTogether {
            given: self,
            steps: Vec::new(),
            meanwhile: Pasts::default(),
        }
    }
}

impl WhenTogether {
    /// A further command, on the aggregate with an id; two on one aggregate follow each other.
    #[track_caller]
    pub fn when<C>(mut self, id: &<C::Aggregate as Aggregate>::Id, command: C) -> Self
    where
        C: Command + Clone + Debug,
        C::Aggregate: Decide<Command = C>,
        <C::Aggregate as Aggregate>::Event: Debug,
    {
        let key = key_of::<C::Aggregate>(id);
        self.steps
            .push(Box::new(CommandOn::<C::Aggregate>::new(key, id, command)));
        self
    }

    /// An aggregate that was looked at as it is given, gets no event, and must not have moved when the commit is stored:
    /// as [`Together::unchanged_since`] has it.
    #[track_caller]
    pub fn unchanged<A: Decide>(mut self, id: &A::Id) -> Self
    where
        A::Command: Clone,
    {
        self.steps
            .push(Box::new(UnchangedOf::<A>::new(key_of::<A>(id), id)));
        self
    }

    /// What others store after the given was looked at, and before the commit. A command is decided on it, and an aggregate
    /// that was to stay [`unchanged`](Self::unchanged) has moved.
    ///
    /// # Panics
    /// As [`GivenTogether::given`].
    #[track_caller]
    pub fn meanwhile<E>(
        mut self,
        id: &<E::Aggregate as Aggregate>::Id,
        events: impl IntoIterator<Item = E>,
    ) -> Self
    where
        E: AggregateEvent + Debug,
        E::Aggregate: Aggregate<Event = E>,
    {
        self.meanwhile
            .add(&self.given.pasts, key_of::<E::Aggregate>(id), events);
        self
    }

    /// The commands lead to these events, in this order for each aggregate, and to no others.
    ///
    /// # Panics
    /// When they lead to something else; and when one aggregate is named twice.
    #[track_caller]
    pub fn then(self, expected: impl IntoIterator<Item = EventsOf>) -> ScenarioTogether {
        let mut events: Vec<(AggregateKey, Vec<Shown>)> = Vec::new();
        for EventsOf { key, events: of } in expected {
            assert!(
                !events.iter().any(|(known, _)| *known == key),
                "the events of {key} are expected twice: name all of them at once"
            );
            events.push((key, of));
        }
        self.expect(Outcome::stored(events))
    }

    /// The commands are accepted and change nothing.
    ///
    /// # Panics
    /// When they lead to something else.
    #[track_caller]
    pub fn then_nothing(self) -> ScenarioTogether {
        self.then([])
    }

    /// A rule of the domain refuses a command with this error, and with it all of them; the command by its place among
    /// them, from 1.
    ///
    /// # Panics
    /// When the commands lead to something else, and when there is no such command.
    #[track_caller]
    pub fn then_error<E: std::error::Error>(self, place: usize, error: E) -> ScenarioTogether {
        self.expect_refusal(place, refused(&error))
    }

    /// The machine refuses a command, by its place from 1: the present state of its aggregate has no edge for it.
    ///
    /// # Panics
    /// As [`then_error`](Self::then_error).
    #[track_caller]
    pub fn then_not_accepted(self, place: usize) -> ScenarioTogether {
        self.expect_refusal(place, Answer::NotAccepted)
    }

    /// A command, by its place from 1, would give its aggregate a unique name that another holds.
    ///
    /// Where an aggregate has several commands it is the last of them: names are compared before and after all.
    ///
    /// # Panics
    /// As [`then_error`](Self::then_error).
    #[track_caller]
    pub fn then_name_taken(self, place: usize, name: &UniqueName) -> ScenarioTogether {
        self.expect_refusal(place, Answer::NameTaken(name.clone()))
    }

    /// The aggregate that was to stay unchanged has moved meanwhile, and nothing is stored.
    ///
    /// # Panics
    /// When the commands lead to something else.
    #[track_caller]
    pub fn then_moved<A: Aggregate>(self, id: &A::Id) -> ScenarioTogether {
        self.expect(Outcome::Moved(key_of::<A>(id)))
    }

    #[track_caller]
    fn expect_refusal(self, place: usize, answer: Answer) -> ScenarioTogether {
        let commands = self.commands().count();
        assert!(
            (1..=commands).contains(&place),
            "there is no command {place}: they are counted from 1, and there are {commands}"
        );
        self.expect(Outcome::Refused { place, answer })
    }

    #[track_caller]
    fn expect(self, expected: Outcome) -> ScenarioTogether {
        let store: Arc<dyn EventStore> = Arc::new(MemoryEventStore::new());
        let found = match alone(self.run(store)) {
            Ok(answer) => Outcome::of(answer, &self.steps),
            Err(given) => panic!("{given}"),
        };
        compare("in memory", &self.texts(), &expected, &found);
        ScenarioTogether {
            when: self,
            expected,
        }
    }

    fn commands(&self) -> impl Iterator<Item = &dyn Step> {
        let steps = self.steps.iter().map(AsRef::as_ref);
        steps.filter(|step| step.is_command())
    }

    fn texts(&self) -> Vec<String> {
        self.steps.iter().map(|step| step.text()).collect()
    }

    /// Stores what happened, looks at what must not move, stores what happened meanwhile, and commits.
    fn run(
        &self,
        store: Arc<dyn EventStore>,
    ) -> impl Future<Output = Result<outcome::Committed, String>> + Send + use<> {
        let setting = Setting {
            store,
            now: self.given.now,
        };
        let (pasts, meanwhile) = (self.given.pasts.clone(), self.meanwhile.clone());
        let plans: Vec<_> = self.steps.iter().map(|step| step.plan()).collect();
        let identity = self.given.identity.clone();
        async move {
            pasts.store(&setting).await?;
            let mut ready = Vec::with_capacity(plans.len());
            for plan in plans {
                ready.push(plan.look(&setting).await?);
            }
            meanwhile.store(&setting).await?;
            let together = Together::new(&identity);
            let together = ready
                .into_iter()
                .fold(together, |together, add| add(together));
            Ok(together.commit().await)
        }
    }
}

impl ScenarioTogether {
    /// Runs the same scenario on a store, in which the ids must have no events yet.
    ///
    /// # Panics
    /// When the commands lead to something else there.
    pub async fn on(self, store: impl EventStore) -> Self {
        let found = match self.when.run(Arc::new(store)).await {
            Ok(answer) => Outcome::of(answer, &self.when.steps),
            Err(given) => panic!("{given}"),
        };
        compare("on the store", &self.when.texts(), &self.expected, &found);
        self
    }
}

/// Runs a future to its end in a thread of its own, whatever runtime the caller is in.
pub(super) fn alone<T: Send>(work: impl Future<Output = T> + Send) -> T {
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build();
        let runtime = runtime.unwrap_or_else(|error| panic!("no runtime for the test: {error}"));
        runtime.block_on(work)
    };
    let outcome = std::thread::scope(|scope| scope.spawn(run).join());
    outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
