//! One worker of a replay: takes its part of the events, and hands them on in order.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use futures_util::StreamExt;

use super::progress::{EVERY, Reporter};
use super::share::Share;
use super::sink::Sink;
use super::{ReplayEnd, ReplayError, ReplayFailure, ReplayStats};
use crate::block::StoredEvent;
use crate::domain::message::Timestamp;
use crate::store::{Bookmark, EventStore, EventStream, Position, StoreError};

/// What all workers of a replay share.
pub(super) struct Shared {
    pub(super) store: Arc<dyn EventStore>,
    pub(super) after: Bookmark,
    pub(super) until: Position,
    pub(super) earliest: Option<Timestamp>,
    /// How many events may be handed on in all.
    pub(super) limit: u64,
    /// How many may fail.
    pub(super) tolerated: u64,
    pub(super) reporter: Arc<Reporter>,
    pub(super) cancelled: Arc<AtomicBool>,
    pub(super) handed: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) has_ended: AtomicBool,
    pub(super) failures: Mutex<Vec<ReplayFailure>>,
}

/// What one worker came to.
pub(super) struct Part {
    pub(super) events: u64,
    pub(super) aggregates: u64,
    pub(super) end: ReplayEnd,
}

/// Where the events of a worker come from.
#[expect(clippy::large_enum_variant, reason = "there is one a worker")]
pub(super) enum Events {
    /// From a reading of its own, with the event that it gave last.
    Own(EventStream, Option<StoredEvent>),
    /// From what all workers read together.
    Shared(Share),
}

impl Events {
    pub(super) fn own(stream: EventStream) -> Self {
        Self::Own(stream, None)
    }

    /// Goes on to the next event; false at the end.
    async fn advance(&mut self) -> Result<bool, StoreError> {
        match self {
            Self::Own(stream, current) => {
                *current = stream.next().await.transpose()?;
                Ok(current.is_some())
            }
            Self::Shared(share) => share.advance().await,
        }
    }

    fn current(&self) -> Option<&StoredEvent> {
        match self {
            Self::Own(_, current) => current.as_ref(),
            Self::Shared(share) => share.current(),
        }
    }
}

impl Shared {
    /// Hands a worker's part of the events to its sink.
    pub(super) async fn work<S: Sink>(
        &self,
        number: usize,
        mut events: Events,
        sink: &mut S,
    ) -> Result<Part, ReplayError> {
        let mut part = Part {
            events: 0,
            aggregates: 0,
            end: ReplayEnd::Complete,
        };
        let mut reached = self.after.position;
        let done = self
            .hand_on(number, &mut events, sink, &mut part, &mut reached)
            .await;
        self.reporter.tell(number, part.events, reached);
        done.map(|()| part)
    }

    async fn hand_on<S: Sink>(
        &self,
        number: usize,
        events: &mut Events,
        sink: &mut S,
        part: &mut Part,
        reached: &mut Position,
    ) -> Result<(), ReplayError> {
        // By a digest of their names: eight bytes for each.
        let digests = RandomState::new();
        let mut aggregates = HashSet::new();
        let mut told = Instant::now();
        while events.advance().await?
            && let Some(event) = events.current()
        {
            let position = event.position;
            if position > self.until {
                break;
            }
            // One worker has failed, which ends all of them.
            if self.has_ended.load(Ordering::Relaxed) {
                return Ok(());
            }
            if self.cancelled.load(Ordering::Relaxed) {
                part.end = ReplayEnd::Cancelled;
                return Ok(());
            }
            if self
                .earliest
                .is_some_and(|earliest| event.timestamp() < earliest)
            {
                continue;
            }
            if !self.may_hand_on() {
                part.end = ReplayEnd::Limit;
                return Ok(());
            }
            let envelope = &event.envelope;
            aggregates.insert(digests.hash_one((&envelope.aggregate, &envelope.aggregate_id)));
            part.events += 1;
            part.aggregates = aggregates.len() as u64;
            let taken = sink.take(event).await;
            *reached = position;
            // All workers tell one reporter, so each does so now and then.
            if told.elapsed() >= EVERY / 2 {
                told = Instant::now();
                self.reporter.tell(number, part.events, position);
            }
            if let Err(reason) = taken {
                self.fail(event, reason)?;
            }
        }
        *reached = self.until;
        Ok(())
    }

    /// Whether one more event may be handed on, which then counts.
    fn may_hand_on(&self) -> bool {
        self.limit == u64::MAX || self.handed.fetch_add(1, Ordering::Relaxed) < self.limit
    }

    /// Keeps a failure; an error when it is one too many.
    fn fail(&self, event: &StoredEvent, reason: String) -> Result<(), ReplayError> {
        let failure = ReplayFailure {
            position: event.position,
            cid: event.cid,
            event_type: event.event_type().to_owned(),
            reason,
        };
        if self.failed.fetch_add(1, Ordering::Relaxed) >= self.tolerated {
            self.has_ended.store(true, Ordering::Relaxed);
            return Err(ReplayError::Failed {
                failure: Box::new(failure),
            });
        }
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.push(failure);
        failures.sort_by_key(|failure| failure.position);
        failures.truncate(ReplayStats::MOST_FAILURES);
        Ok(())
    }
}
