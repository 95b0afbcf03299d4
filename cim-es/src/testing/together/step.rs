//! What comes in a scenario over several aggregates: a command, or an aggregate that must not move; whatever its type.

use std::error::Error;
use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;

use crate::block::StoredEvent;
use crate::domain::ErrorChain;
use crate::domain::aggregate::{Aggregate, Decide};
use crate::domain::message::{FixedClock, Timestamp};
use crate::repository::{ExecuteError, Repository, Together};
use crate::store::{AggregateKey, EventStore};
use crate::testing::scenario::{Answer, Shown, refusal};

/// Where a scenario runs, and when.
pub(super) struct Setting {
    pub(super) store: Arc<dyn EventStore>,
    pub(super) now: Timestamp,
}

impl Setting {
    pub(super) fn repository<A: Aggregate>(&self) -> Repository<A> {
        Repository::builder(Arc::clone(&self.store))
            .clock(FixedClock(self.now))
            .build()
    }
}

/// One of the things that come.
pub(super) trait Step: Send {
    fn key(&self) -> &AggregateKey;
    fn text(&self) -> String;
    fn is_command(&self) -> bool;
    /// The same for one run.
    fn plan(&self) -> Box<dyn Plan>;
    /// The events that the aggregate got.
    fn shown(&self, events: &[StoredEvent]) -> Vec<Shown>;
    /// What refused the command.
    fn answer(&self, reason: &(dyn Error + Send + Sync + 'static)) -> Answer;
}

/// Adds the step to the commit.
pub(super) type Add = Box<dyn FnOnce(Together) -> Together + Send>;

#[async_trait]
pub(super) trait Plan: Send {
    /// Looks at the aggregate where it must not move from now on.
    async fn look(self: Box<Self>, setting: &Setting) -> Result<Add, String>;
}

#[derive(Clone)]
pub(super) struct CommandOn<A: Decide> {
    key: AggregateKey,
    id: A::Id,
    command: A::Command,
}

impl<A: Decide> CommandOn<A> {
    pub(super) fn new(key: AggregateKey, id: &A::Id, command: A::Command) -> Self {
        let id = id.clone();
        Self { key, id, command }
    }
}

impl<A: Decide> Step for CommandOn<A>
where
    A::Command: Clone,
    A::Event: Debug,
    A::Command: Debug,
{
    fn key(&self) -> &AggregateKey {
        &self.key
    }

    fn text(&self) -> String {
        format!("{:?} on {}", self.command, self.key)
    }

    fn is_command(&self) -> bool {
        true
    }

    fn plan(&self) -> Box<dyn Plan> {
        let (key, id, command) = (self.key.clone(), self.id.clone(), self.command.clone());
        Box::new(Self { key, id, command })
    }

    fn shown(&self, events: &[StoredEvent]) -> Vec<Shown> {
        events.iter().map(Shown::of_stored::<A::Event>).collect()
    }

    fn answer(&self, reason: &(dyn Error + Send + Sync + 'static)) -> Answer {
        match reason.downcast_ref::<ExecuteError<A::Error>>() {
            Some(error) => refusal(error),
            None => Answer::Failed(ErrorChain(reason).to_string()),
        }
    }
}

#[async_trait]
impl<A: Decide> Plan for CommandOn<A>
where
    A::Command: Clone,
{
    async fn look(self: Box<Self>, setting: &Setting) -> Result<Add, String> {
        let repository = setting.repository::<A>();
        let Self { id, command, .. } = *self;
        Ok(Box::new(move |together| {
            together.execute(&repository, &id, command)
        }))
    }
}

pub(super) struct UnchangedOf<A: Decide> {
    key: AggregateKey,
    id: A::Id,
}

impl<A: Decide> UnchangedOf<A> {
    pub(super) fn new(key: AggregateKey, id: &A::Id) -> Self {
        let id = id.clone();
        Self { key, id }
    }
}

impl<A: Decide> Step for UnchangedOf<A>
where
    A::Command: Clone,
{
    fn key(&self) -> &AggregateKey {
        &self.key
    }

    fn text(&self) -> String {
        format!("{} unchanged", self.key)
    }

    fn is_command(&self) -> bool {
        false
    }

    fn plan(&self) -> Box<dyn Plan> {
        Box::new(Self::new(self.key.clone(), &self.id))
    }

    fn shown(&self, _: &[StoredEvent]) -> Vec<Shown> {
        Vec::new()
    }

    fn answer(&self, reason: &(dyn Error + Send + Sync + 'static)) -> Answer {
        Answer::Failed(ErrorChain(reason).to_string())
    }
}

#[async_trait]
impl<A: Decide> Plan for UnchangedOf<A>
where
    A::Command: Clone,
{
    async fn look(self: Box<Self>, setting: &Setting) -> Result<Add, String> {
        let repository = setting.repository::<A>();
        let id = self.id;
        let seen = repository.load(&id).await;
        let seen = seen.map_err(|error| error.to_string())?;
        Ok(Box::new(move |together| {
            together.unchanged_since(&repository, &id, &seen)
        }))
    }
}
