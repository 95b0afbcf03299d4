//! Doing what persons ask for about parked events where no order binds them: for the members of a group, and for live
//! subscriptions of one name. Of those that see a request, the first to write so does it.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::SubscriptionError;
use super::coordination::{Coordination, Entry};
use super::failure::MayPass;
use super::feed::{CUT_OFF, Source};
use super::parked;
use crate::block::StoredEvent;
use crate::domain::ErrorChain;
use crate::engine::jetstream::api::Extent;
use crate::store::subscription::{Outcome, ParkedEvent, ParkedRequest, Turn, cut};

/// How often it is looked up what persons ask for.
pub(super) const LOOK: Duration = Duration::from_secs(1);
/// How long a parked event may be with one before another takes it.
const TAKEN: Duration = Duration::from_secs(60);

/// Hands parked events over again, or removes them, as persons ask for.
pub(super) struct Resending<'a> {
    coordination: Coordination,
    source: &'a Source,
    /// Held while an event is with a handler that gets one at a time.
    at_handler: Option<&'a Mutex<()>>,
    /// Up to which revision the entries are known.
    seen: u64,
    /// What is parked.
    parked: HashSet<String>,
    /// What is asked for, and when that was seen.
    open: HashMap<String, (Entry<ParkedEvent>, Instant)>,
}

impl<'a> Resending<'a> {
    pub(super) fn new(
        coordination: Coordination,
        source: &'a Source,
        at_handler: Option<&'a Mutex<()>>,
    ) -> Self {
        Self {
            coordination,
            source,
            at_handler,
            seen: 0,
            parked: HashSet::new(),
            open: HashMap::new(),
        }
    }

    /// Works until it is asked to stop.
    pub(super) async fn run(mut self, stop: CancellationToken) -> Result<(), SubscriptionError> {
        loop {
            self.look(&stop).await?;
            if stop.run_until_cancelled(sleep(LOOK)).await.is_none() {
                return Ok(());
            }
        }
    }

    /// Whether anything is known to be parked.
    pub(super) fn is_any_parked(&self) -> bool {
        !self.parked.is_empty()
    }

    /// Looks up what is asked for, and does it.
    pub(super) async fn look(&mut self, stop: &CancellationToken) -> Result<(), SubscriptionError> {
        let entries = self.coordination.glance(parked::ALL, self.seen + 1).await;
        match entries {
            Ok(entries) => entries.into_iter().for_each(|entry| self.note(entry)),
            Err(error) => {
                tracing::debug!(error = %ErrorChain(&error), "what is parked cannot be seen now");
            }
        }
        let due = self.open.values().filter(|it| is_due(it));
        let mut due: Vec<_> = due.map(|(entry, _)| entry.clone()).collect();
        due.sort_by_key(|entry| entry.value.as_ref().map(|parked| parked.position));
        for entry in due {
            if stop.is_cancelled() {
                return Ok(());
            }
            self.open.remove(&entry.key);
            match self.serve(entry.clone(), stop).await {
                Err(error) if error.may_pass() => {
                    let name = self.source.plan.mode.name();
                    tracing::warn!(name, error = %ErrorChain(&error), "a parked event waits for the servers");
                    self.open.insert(entry.key.clone(), (entry, Instant::now()));
                }
                served => served?,
            }
        }
        Ok(())
    }

    fn note(&mut self, entry: Entry<ParkedEvent>) {
        self.seen = self.seen.max(entry.revision);
        let key = entry.key.clone();
        let Some(parked) = &entry.value else {
            self.parked.remove(&key);
            self.open.remove(&key);
            return;
        };
        self.parked.insert(key.clone());
        match parked.request {
            Some(_) => self.open.insert(key, (entry, Instant::now())),
            None => self.open.remove(&key),
        };
    }

    async fn serve(
        &self,
        entry: Entry<ParkedEvent>,
        stop: &CancellationToken,
    ) -> Result<(), SubscriptionError> {
        let Some(parked) = entry.value else {
            return Ok(());
        };
        if parked.request == Some(ParkedRequest::Discard) {
            return Ok(parked.remove(&self.coordination).await?);
        }
        let event = self.source.parked_event(&parked).await?;
        let is_wanted = |event: &StoredEvent| self.source.plan.wanted.includes(event);
        if self.at_handler.is_some() && !event.as_ref().is_some_and(is_wanted) {
            // A live subscription of other subjects, or of another stream, has parked it under the same name.
            return Ok(());
        }
        let mut taken = parked;
        taken.request = Some(ParkedRequest::Taken);
        taken.attempts += 1;
        let written = self
            .coordination
            .write(&entry.key, &taken, entry.revision)
            .await?;
        let Some(revision) = written else {
            // Another was first.
            return Ok(());
        };
        let (reason, request) = match self.hand_over(&taken, event, stop).await? {
            Outcome::Handled => return Ok(taken.remove(&self.coordination).await?),
            Outcome::Interrupted => (taken.reason.clone(), Some(ParkedRequest::Resend)),
            Outcome::GivenUp { reason, .. } => (reason, None),
        };
        let again = ParkedEvent {
            reason: cut(reason),
            request,
            ..taken
        };
        // Where it is refused, a person has asked for something else meanwhile, and that holds.
        self.coordination
            .write(&entry.key, &again, revision)
            .await?;
        Ok(())
    }

    async fn hand_over(
        &self,
        taken: &ParkedEvent,
        event: Option<StoredEvent>,
        stop: &CancellationToken,
    ) -> Result<Outcome, SubscriptionError> {
        let Some(event) = event else {
            return Ok(Outcome::Handled);
        };
        if self.source.extent(&event).await? != Extent::Whole {
            return Ok(Outcome::GivenUp {
                reason: CUT_OFF.to_owned(),
                attempts: taken.attempts,
            });
        }
        let _alone = match self.at_handler {
            Some(at_handler) => Some(at_handler.lock().await),
            None => None,
        };
        let turn = Turn { stop, lease: None };
        Ok(self.source.plan.worker.work(&event, turn).await)
    }
}

fn is_due((entry, seen): &(Entry<ParkedEvent>, Instant)) -> bool {
    match entry.value.as_ref().and_then(|parked| parked.request) {
        Some(ParkedRequest::Taken) => seen.elapsed() >= TAKEN,
        Some(_) => true,
        None => false,
    }
}
