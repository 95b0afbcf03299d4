//! A live subscription: what happens from now on, and what persons ask for of what it parked.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::sync::{Mutex, Notify};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::SubscriptionError;
use super::coordination::Coordination;
use super::failure::{MayPass, named};
use super::feed::{Fed, Source};
use super::resending::{LOOK, Resending};
use crate::block::StoredEvent;
use crate::domain::ErrorChain;
use crate::engine::jetstream::api::log_cut_off;
use crate::engine::jetstream::retry;
use crate::store::subscription::{Outcome, ParkedEvent, Turn};
use crate::store::{Position, StoreError};

/// How often it is looked up, as long as nothing is parked, whether another of the name has parked something.
const GLANCE: Duration = Duration::from_secs(10);

/// All that a live subscription works with.
pub(super) struct Live {
    source: Source,
    after: Position,
    /// Held while an event is with the handler, which gets one at a time.
    at_handler: Mutex<()>,
    /// Told when this one has parked an event.
    has_parked: Notify,
}

impl Live {
    pub(super) fn new(source: Source, after: Position) -> Self {
        Self {
            source,
            after,
            at_handler: Mutex::new(()),
            has_parked: Notify::new(),
        }
    }

    pub(super) async fn run(self, stop: CancellationToken) -> Result<(), SubscriptionError> {
        let asked = async {
            if let Err(error) = self.look_after_parked(&stop).await {
                let name = self.source.plan.mode.name();
                let error = named(error);
                tracing::warn!(name, error = %ErrorChain(&error), "a live subscription hands nothing over again");
            }
        };
        match select(pin!(self.listen(&stop)), pin!(asked)).await {
            Either::Left((ended, asked)) => {
                // It ends by itself where it was asked to stop.
                if stop.is_cancelled() {
                    asked.await;
                }
                ended
            }
            Either::Right(((), listening)) => listening.await,
        }
    }

    async fn listen(&self, stop: &CancellationToken) -> Result<(), SubscriptionError> {
        let mut feed = self.source.feed(None, self.after);
        let ended = loop {
            match stop.run_until_cancelled(feed.next()).await {
                None => break Ok(()),
                Some(Ok(None)) => {}
                // It is no event that a live listener misses.
                Some(Ok(Some(Fed::CutOff(event)))) => {
                    log_cut_off(&self.source.api.stream, &event);
                }
                Some(Ok(Some(Fed::Event(event)))) => {
                    if let Err(error) = self.handle(&event, stop).await {
                        break Err(error);
                    }
                }
                Some(Err(error)) => break Err(error),
            }
        };
        feed.close().await;
        ended
    }

    async fn handle(
        &self,
        event: &StoredEvent,
        stop: &CancellationToken,
    ) -> Result<(), SubscriptionError> {
        let alone = self.at_handler.lock().await;
        let turn = Turn { stop, lease: None };
        let outcome = self.source.plan.worker.work(event, turn).await;
        drop(alone);
        match outcome {
            Outcome::Handled | Outcome::Interrupted => Ok(()),
            Outcome::GivenUp { reason, attempts } => self.park(event, reason, attempts, stop).await,
        }
    }

    /// Parks an event, however long the servers are away.
    async fn park(
        &self,
        event: &StoredEvent,
        reason: String,
        attempts: u32,
        stop: &CancellationToken,
    ) -> Result<(), SubscriptionError> {
        let mut retry = retry::REQUEST.without_end();
        loop {
            let written = self.write(event, reason.clone(), attempts).await;
            let written = written.map_err(|source| SubscriptionError::NotParked {
                position: event.position,
                reason: reason.clone(),
                source,
            });
            match written {
                Err(error) if error.may_pass() => {
                    tracing::warn!(%error, "an event that is to be parked waits for the servers");
                    stop.run_until_cancelled(retry.pause()).await.ok_or(error)?;
                }
                written => {
                    self.has_parked.notify_one();
                    return written;
                }
            }
        }
    }

    async fn write(
        &self,
        event: &StoredEvent,
        reason: String,
        attempts: u32,
    ) -> Result<(), StoreError> {
        let source = &self.source;
        // Opened when it is needed: a live subscription that has nothing to park writes nothing.
        let coordination = Coordination::open(
            &source.api.connection,
            source.plan.mode.name(),
            source.replicas,
        )
        .await?;
        let entry = ParkedEvent::new(event, reason, attempts);
        // Another of the name may have parked it, and a person have said what is to be done with it.
        entry.write_new(&coordination).await.map(drop)
    }

    /// Does what persons ask for with what is parked under the name.
    async fn look_after_parked(&self, stop: &CancellationToken) -> Result<(), SubscriptionError> {
        let mut resending: Option<Resending<'_>> = None;
        let mut is_any_parked = false;
        loop {
            if resending.is_none() {
                resending = self.find().await?;
            }
            if let Some(resending) = &mut resending {
                resending.look(stop).await?;
                is_any_parked |= resending.is_any_parked();
            }
            let pause = match is_any_parked {
                true => LOOK,
                false => GLANCE,
            };
            let told = timeout(pause, self.has_parked.notified());
            match stop.run_until_cancelled(told).await {
                None => return Ok(()),
                // A server that lags may not show it at once.
                Some(told) => is_any_parked = told.is_ok(),
            }
        }
    }

    /// What is parked under the name; none where nobody has parked anything yet, or the servers are away.
    async fn find(&self) -> Result<Option<Resending<'_>>, SubscriptionError> {
        let source = &self.source;
        let found = Coordination::find(&source.api.connection, source.plan.mode.name()).await;
        match found.map_err(SubscriptionError::from) {
            Ok(found) => Ok(found
                .map(|coordination| Resending::new(coordination, source, Some(&self.at_handler)))),
            Err(error) if error.may_pass() => Ok(None),
            Err(error) => Err(error),
        }
    }
}
