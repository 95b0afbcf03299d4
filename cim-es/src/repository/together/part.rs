//! One aggregate of a commit over several, whatever its type.

use std::any::Any;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::vec::IntoIter;

use async_trait::async_trait;

use super::TogetherError;
use super::parts::Setting;
use crate::block::StoredEvent;
use crate::domain::aggregate::{Command, Decide, UniqueName};
use crate::domain::message::{Context, MessageIdentity};
use crate::repository::execute::answer_again;
use crate::repository::pending::PendingCommit;
use crate::repository::unique::NameChanges;
use crate::repository::work::Work;
use crate::repository::{Commit, ExecuteError, LoadError, Repository};
use crate::store::{AggregateKey, CommitRequest, EventStore, Head};

/// What is planned for one aggregate, before its turn has come.
#[async_trait]
pub(super) trait Plan: Send {
    fn key(&self) -> &AggregateKey;
    fn store(&self) -> &Arc<dyn EventStore>;
    fn setting(&self) -> Setting;
    fn as_any(&mut self) -> &mut dyn Any;
    /// Waits for the turn, and loads the aggregate.
    async fn begin(self: Box<Self>) -> Result<Box<dyn Part>, TogetherError>;
}

/// One aggregate whose turn has come.
#[async_trait]
pub(super) trait Part: Send {
    /// The aggregate and its last event.
    fn head(&self) -> Option<(AggregateKey, Head)>;
    async fn earlier(
        &mut self,
        identity: &MessageIdentity,
    ) -> Result<Option<Commit>, TogetherError>;
    /// Refuses to go on when the aggregate was to stay as it was seen, and did not.
    async fn check_guard(&mut self) -> Result<(), TogetherError>;
    fn decide(&mut self, context: &Context, of: usize) -> Result<(), TogetherError>;
    fn has_events(&self) -> bool;
    fn add_to(&self, request: CommitRequest) -> CommitRequest;
    async fn release_names(&mut self, changes: &mut NameChanges) -> Result<(), TogetherError>;
    async fn claim_names(&mut self, changes: &mut NameChanges) -> Result<(), TogetherError>;
    /// Takes what is this aggregate's of what was stored.
    async fn settle(&mut self, stored: &mut IntoIter<StoredEvent>)
    -> Result<Commit, TogetherError>;
    fn unchanged(&self) -> Commit;
    fn forget(&mut self);
    async fn catch_up(&mut self) -> Result<(), TogetherError>;
    async fn confirm(&mut self) -> Result<bool, TogetherError>;
}

/// The plan for an aggregate of one type.
pub(super) struct PlanOf<A: Decide> {
    repository: Repository<A>,
    id: A::Id,
    key: AggregateKey,
    commands: Vec<A::Command>,
    /// The place of each command among all.
    places: Vec<usize>,
    guard: Option<Guard>,
}

/// The last event that an aggregate is to have still when the commit is stored.
#[derive(Clone, Copy)]
pub(super) enum Guard {
    /// The one that it has when its turn comes.
    AsRead,
    /// The one that the caller saw; none for an aggregate without events.
    Seen(Option<Head>),
}

/// What a caller adds for an aggregate.
pub(super) enum Planned<C> {
    Command(usize, C),
    Guard(Guard),
}

struct PartOf<A: Decide> {
    plan: PlanOf<A>,
    work: Work<A>,
    of: usize,
    pending: PendingCommit<A>,
    names: Option<[BTreeSet<UniqueName>; 2]>,
}

impl<A: Decide> PlanOf<A> {
    pub(super) fn new(repository: &Repository<A>, id: &A::Id) -> Result<Self, TogetherError> {
        Ok(Self {
            repository: repository.clone(),
            id: id.clone(),
            key: AggregateKey::of::<A>(id).map_err(LoadError::from)?,
            commands: Vec::new(),
            places: Vec::new(),
            guard: None,
        })
    }

    /// Adds what is planned: a command by its place among all, or a guard.
    pub(super) fn add(&mut self, planned: Planned<A::Command>) {
        match planned {
            Planned::Command(place, command) => {
                self.commands.push(command);
                self.places.push(place);
            }
            // What was seen first counts.
            Planned::Guard(guard) => drop(self.guard.get_or_insert(guard)),
        }
    }
}

#[async_trait]
impl<A: Decide> Plan for PlanOf<A>
where
    A::Command: Clone,
{
    fn key(&self) -> &AggregateKey {
        &self.key
    }

    fn store(&self) -> &Arc<dyn EventStore> {
        self.repository.store()
    }

    fn setting(&self) -> Setting {
        self.repository.setting()
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }

    async fn begin(self: Box<Self>) -> Result<Box<dyn Part>, TogetherError> {
        let mut plan = self;
        let work = Work::begin(&plan.repository, &plan.id).await?;
        if matches!(plan.guard, Some(Guard::AsRead)) {
            plan.guard = Some(Guard::Seen(work.loaded().head()));
        }
        Ok(Box::new(PartOf {
            plan: *plan,
            work,
            of: 0,
            pending: PendingCommit::nothing(),
            names: None,
        }))
    }
}

impl<A: Decide> PartOf<A> {
    /// The error of a command, by its place among those of this aggregate.
    fn refused(&self, place: usize, error: ExecuteError<A::Error>) -> TogetherError {
        let plan = &self.plan;
        let (Some(command), Some(place)) = (plan.commands.get(place), plan.places.get(place))
        else {
            return self.failed(error);
        };
        TogetherError::Command {
            place: *place,
            of: self.of,
            command: command.name(),
            aggregate: Box::new(self.work.key().clone()),
            is_refusal: error.is_refusal(),
            reason: Box::new(error),
        }
    }

    /// The error of the last command, which is the one that led to the names that the aggregate would hold.
    fn refused_name(&self, error: ExecuteError<A::Error>) -> TogetherError {
        self.refused(self.plan.commands.len().saturating_sub(1), error)
    }

    fn failed(&self, error: ExecuteError<A::Error>) -> TogetherError {
        match error {
            ExecuteError::Load(error) => TogetherError::Load(error),
            ExecuteError::Store(error) => TogetherError::Store(error),
            reason => TogetherError::Aggregate {
                aggregate: Box::new(self.work.key().clone()),
                reason: Box::new(reason),
            },
        }
    }
}

#[async_trait]
impl<A: Decide> Part for PartOf<A>
where
    A::Command: Clone,
{
    fn head(&self) -> Option<(AggregateKey, Head)> {
        Some((self.work.key().clone(), self.work.loaded().head()?))
    }

    async fn earlier(
        &mut self,
        identity: &MessageIdentity,
    ) -> Result<Option<Commit>, TogetherError> {
        let earlier = self.work.earlier(identity).await;
        let Some(commit) = earlier.map_err(|error| self.failed(error))? else {
            return Ok(None);
        };
        let answer = answer_again::<A>(&self.plan.commands, commit, identity);
        Ok(Some(answer.map_err(|error| self.refused(0, error))?))
    }

    async fn check_guard(&mut self) -> Result<(), TogetherError> {
        let Some(Guard::Seen(seen)) = self.plan.guard else {
            return Ok(());
        };
        let cid = |head: Option<Head>| head.map(|head| head.cid);
        if cid(self.work.loaded().head()) != cid(seen) {
            // What is in memory may be behind what was seen.
            self.work.catch_up().await?;
        }
        if cid(self.work.loaded().head()) == cid(seen) {
            return Ok(());
        }
        Err(TogetherError::Moved {
            aggregate: Box::new(self.work.key().clone()),
            seen: seen.map_or(0, |head| head.version),
            actual: self.work.version(),
        })
    }

    fn decide(&mut self, context: &Context, of: usize) -> Result<(), TogetherError> {
        self.of = of;
        if self.plan.commands.is_empty() {
            return Ok(());
        }
        let key = self.work.key();
        let context = context
            .clone()
            .with_aggregate(key.kind_name(), key.id().clone());
        let decided = self.work.decide(&self.plan.commands, &context);
        self.pending = decided.map_err(|error| match error {
            ExecuteError::OneOfSeveral { place, reason, .. } => self.refused(place, *reason),
            error => self.refused(0, error),
        })?;
        self.names = self.work.names(&self.pending);
        Ok(())
    }

    fn has_events(&self) -> bool {
        !self.pending.is_empty()
    }

    fn add_to(&self, request: CommitRequest) -> CommitRequest {
        if self.has_events() {
            return self.work.add_to(request, &self.pending);
        }
        match self.plan.guard.is_some() {
            true => request.unchanged(self.work.key().clone(), self.work.loaded().head()),
            false => request,
        }
    }

    async fn release_names(&mut self, changes: &mut NameChanges) -> Result<(), TogetherError> {
        let Some(names) = &self.names else {
            return Ok(());
        };
        let plan = &self.plan;
        let released = plan
            .repository
            .release_names(changes, self.work.key(), names)
            .await;
        released.map_err(|error| self.refused_name(error))
    }

    async fn claim_names(&mut self, changes: &mut NameChanges) -> Result<(), TogetherError> {
        let Some(names) = &self.names else {
            return Ok(());
        };
        let plan = &self.plan;
        let claimed = plan
            .repository
            .claim_names(changes, self.work.key(), names)
            .await;
        claimed.map_err(|error| self.refused_name(error))
    }

    async fn settle(
        &mut self,
        stored: &mut IntoIter<StoredEvent>,
    ) -> Result<Commit, TogetherError> {
        if !self.has_events() {
            return Ok(self.work.unchanged());
        }
        let pending = std::mem::replace(&mut self.pending, PendingCommit::nothing());
        let stored = stored.take(pending.new_events().len()).collect();
        let settled = self.work.settle(pending, stored).await;
        settled.map_err(|error| self.failed(error))
    }

    fn unchanged(&self) -> Commit {
        self.work.unchanged()
    }

    fn forget(&mut self) {
        self.work.forget();
    }

    async fn catch_up(&mut self) -> Result<(), TogetherError> {
        self.work.catch_up_with_others().await?;
        Ok(())
    }

    async fn confirm(&mut self) -> Result<bool, TogetherError> {
        Ok(self.work.confirm().await?)
    }
}
