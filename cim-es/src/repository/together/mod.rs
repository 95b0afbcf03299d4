//! Several aggregates in one command: all of it takes effect, or nothing.

mod error;
mod part;
mod parts;

use std::sync::Arc;

use super::backoff::Backoff;
use super::{Commit, Loaded, Repository};
use crate::domain::aggregate::Decide;
use crate::domain::message::MessageIdentity;
use crate::store::EventStore;

pub use error::TogetherError;
use part::{Guard, Plan, PlanOf, Planned};
use parts::Parts;

/// Commands on several aggregates, of one kind or of several, that are one commit.
///
/// Each command is decided on its own aggregate, by its own machine; two on one aggregate follow each other. A conflict
/// on any of the aggregates decides all of them again. Together they are one message, with one identity, which takes
/// effect once; where nothing was stored, because one was refused or none changed anything, they are decided anew when they
/// come again. Unique names are kept as by [`Repository::execute`], and may pass from one of the aggregates
/// to another.
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
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use cim_es::repository::Together;
///
/// let lamps = Repository::<Lamp>::new(MemoryEventStore::new());
/// let (hall, stairs) = (Id::new(), Id::new());
/// let request = MessageIdentity::new_from_user("me");
/// let commits = Together::new(&request)
///     .execute(&lamps, &hall, LampCommand::Switch)
///     .execute(&lamps, &stairs, LampCommand::Switch)
///     .commit()
///     .await?;
/// assert_eq!(commits.len(), 2);
/// assert!(lamps.load(&hall).await?.on && lamps.load(&stairs).await?.on);
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing is decided before `commit`"]
pub struct Together {
    identity: MessageIdentity,
    plans: Vec<Box<dyn Plan>>,
    commands: usize,
    /// Why what was put together cannot be a commit.
    refused: Option<TogetherError>,
}

impl Together {
    /// A commit for a message, without a command yet.
    pub fn new(identity: &MessageIdentity) -> Self {
        Self {
            identity: identity.clone(),
            plans: Vec::new(),
            commands: 0,
            refused: None,
        }
    }

    /// Adds a command on an aggregate. All repositories must be on one store.
    pub fn execute<A: Decide>(
        self,
        repository: &Repository<A>,
        id: &A::Id,
        command: A::Command,
    ) -> Self
    where
        A::Command: Clone,
    {
        let place = self.commands;
        let planned = Planned::Command(place, command);
        Self {
            commands: place + 1,
            ..self.with(repository, id, planned)
        }
    }

    /// Adds an aggregate that gets no event and must not have moved when the commit is stored: since this repository had it
    /// in memory last, as after a [`load`](Repository::load), or else since its turn came.
    ///
    /// Where it has moved, the answer is [`TogetherError::Moved`]: only the caller can look at it again. Where several
    /// tasks share the repository, [`unchanged_since`](Self::unchanged_since) says what was looked at.
    ///
    /// On NATS a commit needs as many events as it has aggregates, those included that stay unchanged.
    pub fn unchanged<A: Decide>(self, repository: &Repository<A>, id: &A::Id) -> Self
    where
        A::Command: Clone,
    {
        let seen = repository.inner.warm.head(id);
        let guard = seen.map_or(Guard::AsRead, Guard::Seen);
        self.with(repository, id, Planned::Guard(guard))
    }

    /// The same for an aggregate as it was loaded.
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
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use cim_es::repository::Together;
    ///
    /// let lamps = Repository::<Lamp>::new(MemoryEventStore::new());
    /// let (hall, stairs, me) = (Id::new(), Id::new(), MessageIdentity::new_from_user("me"));
    /// // One of the two shall be on: so the other must not be switched meanwhile.
    /// let other = lamps.load(&stairs).await?;
    /// if !other.on {
    ///     Together::new(&me)
    ///         .execute(&lamps, &hall, LampCommand::Switch)
    ///         .unchanged_since(&lamps, &stairs, &other)
    ///         .commit()
    ///         .await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn unchanged_since<A: Decide>(
        self,
        repository: &Repository<A>,
        id: &A::Id,
        seen: &Loaded<A>,
    ) -> Self
    where
        A::Command: Clone,
    {
        let guard = Guard::Seen(seen.head());
        self.with(repository, id, Planned::Guard(guard))
    }

    fn with<A: Decide>(
        mut self,
        repository: &Repository<A>,
        id: &A::Id,
        planned: Planned<A::Command>,
    ) -> Self
    where
        A::Command: Clone,
    {
        if let Err(error) = self.add(repository, id, planned) {
            self.refused.get_or_insert(error);
        }
        self
    }

    fn add<A: Decide>(
        &mut self,
        repository: &Repository<A>,
        id: &A::Id,
        planned: Planned<A::Command>,
    ) -> Result<(), TogetherError>
    where
        A::Command: Clone,
    {
        let mut plan = PlanOf::new(repository, id)?;
        let aggregate = || Box::new(plan.key().clone());
        if let Some(first) = self.plans.first()
            && !is_one_store(first.store(), plan.store())
        {
            return Err(TogetherError::AnotherStore {
                aggregate: aggregate(),
            });
        }
        match self
            .plans
            .iter_mut()
            .find(|known| known.key() == plan.key())
        {
            Some(known) => match known.as_any().downcast_mut::<PlanOf<A>>() {
                Some(known) => known.add(planned),
                None => {
                    return Err(TogetherError::TwoTypes {
                        aggregate: aggregate(),
                    });
                }
            },
            None => {
                plan.add(planned);
                self.plans.push(Box::new(plan));
            }
        }
        Ok(())
    }

    /// Decides the commands and stores what they lead to, as one commit. Gives what became of each aggregate, in the order
    /// in which they were first named; one that gets no event has a commit without events.
    ///
    /// Where nothing is stored because no command changes anything, nothing was guarded either.
    ///
    /// # Errors
    /// [`TogetherError`] says why nothing was stored; only [`StoreError::OutcomeUnknown`](crate::store::StoreError)
    /// leaves that open.
    pub async fn commit(self) -> Result<Vec<Commit>, TogetherError> {
        if let Some(error) = self.refused {
            return Err(error);
        }
        let Some(first) = self.plans.first() else {
            return Ok(Vec::new());
        };
        let setting = first.setting();
        let mut attempts = Backoff::new(setting.retries);
        let mut parts = Parts::begin(self.plans, self.identity, self.commands, setting).await?;
        loop {
            if let Some(earlier) = parts.earlier().await? {
                return Ok(earlier);
            }
            parts.check_guards().await?;
            let refusal = match parts.decide() {
                Ok(context) if parts.have_events() => match parts.append(&context).await {
                    Err(error) if error.is_conflict() && attempts.next().await => {
                        parts.catch_up().await?;
                        continue;
                    }
                    Err(error) if error.is_refusal() => Some(error),
                    answer => return answer,
                },
                Ok(_) => None,
                Err(refusal) => Some(refusal),
            };
            if parts.confirm().await? {
                return refusal.map_or_else(|| Ok(parts.unchanged()), Err);
            }
        }
    }
}

/// Whether two repositories have one store.
fn is_one_store(one: &Arc<dyn EventStore>, other: &Arc<dyn EventStore>) -> bool {
    let ids = (one.settings().store_id, other.settings().store_id);
    Arc::ptr_eq(one, other) || matches!(ids, (Some(one), Some(other)) if one == other)
}
