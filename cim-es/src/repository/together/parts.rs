//! The aggregates of a commit over several, from their turns to what was stored of each.

use std::sync::Arc;
use std::time::Duration;

use super::TogetherError;
use super::part::{Part, Plan};
use crate::domain::aggregate::Aggregate;
use crate::domain::message::{Context, MessageIdentity, Timestamp};
use crate::repository::unique::NameChanges;
use crate::repository::{Commit, Repository};
use crate::store::{CommitRequest, EventStore, event_time};

/// What the first of the repositories is set to.
pub(crate) struct Setting {
    store: Arc<dyn EventStore>,
    reading: Timestamp,
    skew: Duration,
    pub(super) retries: u32,
}

impl<A: Aggregate> Repository<A> {
    pub(crate) fn setting(&self) -> Setting {
        let options = &self.inner.options;
        Setting {
            store: self.inner.store.clone(),
            reading: self.inner.clock.now(),
            skew: options.clock_skew,
            retries: options.conflict_retries,
        }
    }
}

/// Waits for the turns, in one order of aggregates whoever asks, so that two never wait for each other.
async fn begin(plans: Vec<Box<dyn Plan>>) -> Result<Vec<Box<dyn Part>>, TogetherError> {
    let mut plans: Vec<_> = plans.into_iter().enumerate().collect();
    plans.sort_by_cached_key(|(_, plan)| (plan.key().kind().to_owned(), plan.key().id().clone()));
    let mut parts = Vec::with_capacity(plans.len());
    for (place, plan) in plans {
        parts.push((place, plan.begin().await?));
    }
    parts.sort_by_key(|(place, _)| *place);
    Ok(parts.into_iter().map(|(_, part)| part).collect())
}

/// The aggregates whose turns have come.
pub(super) struct Parts {
    parts: Vec<Box<dyn Part>>,
    identity: MessageIdentity,
    commands: usize,
    setting: Setting,
}

impl Parts {
    /// Waits for the turns of all, and loads them.
    pub(super) async fn begin(
        plans: Vec<Box<dyn Plan>>,
        identity: MessageIdentity,
        commands: usize,
        setting: Setting,
    ) -> Result<Self, TogetherError> {
        Ok(Self {
            parts: begin(plans).await?,
            identity,
            commands,
            setting,
        })
    }

    /// What the message led to, if it took effect before.
    pub(super) async fn earlier(&mut self) -> Result<Option<Vec<Commit>>, TogetherError> {
        let mut commits = Vec::with_capacity(self.parts.len());
        let mut is_repeated = false;
        for part in &mut self.parts {
            let earlier = part.earlier(&self.identity).await?;
            is_repeated |= earlier.is_some();
            commits.push(earlier.unwrap_or_else(|| Commit {
                is_repeated: true,
                ..part.unchanged()
            }));
        }
        Ok(is_repeated.then_some(commits))
    }

    /// Refuses to go on when an aggregate moved that was to stay as it was seen.
    pub(super) async fn check_guards(&mut self) -> Result<(), TogetherError> {
        for part in &mut self.parts {
            part.check_guard().await?;
        }
        Ok(())
    }

    /// Decides all commands at one time, which the events get.
    pub(super) fn decide(&mut self) -> Result<Context, TogetherError> {
        let Setting { reading, skew, .. } = self.setting;
        let heads: Vec<_> = self.parts.iter().filter_map(|part| part.head()).collect();
        let heads = heads.iter().map(|(key, head)| (key, head));
        let now = event_time(reading, heads, skew);
        let context = Context::at(self.identity.clone(), reading, now);
        for part in &mut self.parts {
            part.decide(&context, self.commands)?;
        }
        Ok(context)
    }

    pub(super) fn have_events(&self) -> bool {
        self.parts.iter().any(|part| part.has_events())
    }

    pub(super) async fn append(&mut self, context: &Context) -> Result<Vec<Commit>, TogetherError> {
        let mut request = CommitRequest::of(context).looked_up();
        let mut changes = NameChanges::default();
        for part in &mut self.parts {
            request = part.add_to(request);
            part.release_names(&mut changes).await?;
        }
        for part in &mut self.parts {
            part.claim_names(&mut changes).await?;
        }
        let stored = self.setting.store.append(changes.add_to(request)).await;
        if stored.is_err() {
            self.parts.iter_mut().for_each(|part| part.forget());
        }
        let mut stored = stored?.into_iter();
        let mut commits = Vec::with_capacity(self.parts.len());
        let mut failed = None;
        for part in &mut self.parts {
            match part.settle(&mut stored).await {
                Ok(commit) => commits.push(commit),
                // The others are stored as well, and are to know it.
                Err(error) => failed = Some(failed.unwrap_or(error)),
            }
        }
        failed.map_or(Ok(commits), Err)
    }

    pub(super) async fn catch_up(&mut self) -> Result<(), TogetherError> {
        for part in &mut self.parts {
            part.catch_up().await?;
        }
        Ok(())
    }

    /// Whether an answer that stores nothing may be given.
    pub(super) async fn confirm(&mut self) -> Result<bool, TogetherError> {
        let mut is_confirmed = true;
        for part in &mut self.parts {
            is_confirmed &= part.confirm().await?;
        }
        Ok(is_confirmed)
    }

    /// The answer of commands that change nothing.
    pub(super) fn unchanged(&self) -> Vec<Commit> {
        self.parts.iter().map(|part| part.unchanged()).collect()
    }
}
