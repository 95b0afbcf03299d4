//! A durable subscription: waits for its turn, works as long as it has it, and waits again.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::events::Events;
use super::heartbeat::Heartbeat;
use super::record::{Record, State, is_lost, state};
use super::term::{End, Term};
use crate::domain::ErrorChain;
use crate::domain::message::Timestamp;
use crate::store::read_model::{Hold, ReadModelError};
use crate::store::subscription::{Plan, SubscriptionError};
use crate::store::{Position, StoreError};

/// After what time one that waits for another program looks again, at most and at least.
const STANDBY: Duration = Duration::from_millis(500);
const SHORTEST_STANDBY: Duration = Duration::from_millis(10);

/// All that a durable subscription works with.
pub(super) struct Durable {
    pub(super) events: Events,
    pub(super) plan: Arc<Plan>,
    pub(super) record: Arc<Record>,
    lease: Duration,
}

/// Whether this program has the subscription.
pub(super) enum Turn {
    /// Since a moment.
    Held(Instant),
    /// Another has it, and is to be looked at again after a pause.
    Another(Duration),
}

impl Durable {
    pub(super) fn new(events: Events, plan: Arc<Plan>, record: Record, lease: Duration) -> Self {
        Self {
            events,
            plan,
            record: Arc::new(record),
            lease,
        }
    }

    /// Takes the subscription if it is free, and writes down where it starts if it never did.
    pub(super) async fn begin(&self, first: Position) -> Result<Turn, SubscriptionError> {
        let turn = self.hold().await?;
        if matches!(turn, Turn::Held(_))
            && let Err(error) = self.define(first).await
        {
            self.record.release().await;
            return Err(error.into());
        }
        Ok(turn)
    }

    async fn define(&self, first: Position) -> Result<(), ReadModelError> {
        let known = self.record.load().await?;
        if known.state.is_some() {
            return Ok(());
        }
        let begun = vec![state(&State::default())];
        match self.record.commit(known.up_to, first.into(), begun).await {
            // Another was first, and wrote down where it starts.
            Err(error) if is_lost(&error) => Ok(()),
            written => written,
        }
    }

    /// Works until it is asked to stop.
    pub(super) async fn run(
        self,
        begun: Turn,
        stop: CancellationToken,
    ) -> Result<(), SubscriptionError> {
        let mut next: Option<Result<Turn, ReadModelError>> = Some(Ok(begun));
        let mut pauses = Pauses::default();
        let mut has_told = false;
        while let Some(turn) = next {
            let worked = match turn {
                Ok(Turn::Held(since)) => {
                    has_told = false;
                    self.work(since, &stop, &mut pauses).await
                }
                Ok(Turn::Another(pause)) => {
                    self.tell_once(&mut has_told);
                    stop.run_until_cancelled(sleep(pause)).await;
                    Ok(End::Lost)
                }
                Err(error) => Err(error.into()),
            };
            match worked {
                Ok(End::Released) => return Ok(()),
                Ok(End::Lost) => {}
                Err(error) if may_pass(&error) => {
                    let name = self.plan.mode.name();
                    tracing::warn!(name, error = %ErrorChain(&error), "a subscription waits for what it reads or is kept in");
                    stop.run_until_cancelled(pauses.pause()).await;
                }
                Err(error) => {
                    self.record.release().await;
                    return Err(error);
                }
            }
            if stop.is_cancelled() {
                break;
            }
            next = stop.run_until_cancelled(self.hold()).await;
        }
        self.record.release().await;
        Ok(())
    }

    async fn hold(&self) -> Result<Turn, ReadModelError> {
        let asked = Instant::now();
        Ok(match self.record.hold(self.lease).await? {
            Hold::Held { .. } => Turn::Held(asked),
            Hold::HeldByAnother { until, .. } => {
                let now = Timestamp::from(SystemTime::now());
                let left = until.as_micros().saturating_sub(now.as_micros());
                let left = Duration::from_micros(u64::try_from(left).unwrap_or(0));
                Turn::Another(left.clamp(SHORTEST_STANDBY, STANDBY))
            }
        })
    }

    async fn work(
        &self,
        since: Instant,
        stop: &CancellationToken,
        pauses: &mut Pauses,
    ) -> Result<End, SubscriptionError> {
        let heartbeat = Heartbeat::start(Arc::clone(&self.record), since, self.lease);
        let term = Term::begin(self, heartbeat.lease.clone(), stop.clone()).await;
        let ended = match term {
            Ok(term) => term.run(pauses).await,
            Err(error) => Err(error),
        };
        heartbeat.end().await;
        if matches!(ended, Ok(End::Released)) {
            self.record.release().await;
        }
        ended
    }

    fn tell_once(&self, has_told: &mut bool) {
        if !std::mem::replace(has_told, true) {
            let (name, lease) = (self.plan.mode.name(), self.lease.as_secs_f32());
            tracing::info!(
                name,
                "another program has this subscription, or ended without stopping it: this one takes over when it stops, or \
                 was silent for {lease} s"
            );
        }
    }
}

/// Pauses that grow until something is done.
pub(super) struct Pauses(Duration);

impl Default for Pauses {
    fn default() -> Self {
        Self(Self::SHORTEST)
    }
}

impl Pauses {
    const SHORTEST: Duration = Duration::from_millis(50);
    const LONGEST: Duration = Duration::from_secs(5);

    pub(super) async fn pause(&mut self) {
        let pause = self.0;
        self.0 = (pause * 2).min(Self::LONGEST);
        sleep(pause).await;
    }

    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }
}

/// Whether the store or the storage may answer again by itself.
pub(super) fn may_pass(error: &SubscriptionError) -> bool {
    let of_store = |error: &StoreError| {
        matches!(
            error,
            StoreError::Busy { .. }
                | StoreError::Full { .. }
                | StoreError::Unreachable { .. }
                | StoreError::Engine { .. }
        )
    };
    match error {
        SubscriptionError::Store(error) => of_store(error),
        SubscriptionError::Kept(ReadModelError::Storage(error)) => of_store(error),
        SubscriptionError::Kept(error) => {
            error.is_transient() || matches!(error, ReadModelError::NotHeld { .. })
        }
        _ => false,
    }
}
