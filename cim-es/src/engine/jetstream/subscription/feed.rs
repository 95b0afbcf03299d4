//! Where a subscription reads: events of one stream in order, each proved, without gap or repetition.

use std::sync::Arc;
use std::time::Duration;

use super::SubscriptionError;
use super::plan::Plan;
use crate::block::StoredEvent;
use crate::domain::subject::Pattern;
use crate::engine::jetstream::api::{Api, Filters, Leader, Reader, Step};
use crate::engine::jetstream::retry;
use crate::store::{Position, StoreError};

/// The stream, and what is wanted of it.
#[derive(Clone)]
pub(super) struct Source {
    pub(super) api: Api,
    pub(super) plan: Arc<Plan>,
    /// How many servers keep the stream.
    pub(super) replicas: usize,
}

impl Source {
    /// The wanted events after a position: all of them, or those of one partition.
    pub(super) fn feed(&self, partition: Option<u8>, after: Position) -> Feed {
        let reader = Reader::new(
            self.api.clone(),
            Filters {
                subjects: self.filters(partition),
                headers_only: false,
            },
            after.0.saturating_add(1),
        );
        Feed {
            source: self.clone(),
            reader: Some(reader),
            has_started: false,
        }
    }

    /// The stored subjects that are wanted.
    pub(super) fn filters(&self, partition: Option<u8>) -> Vec<String> {
        let stored = |public: &Pattern| match partition {
            Some(partition) => self
                .plan
                .layout
                .partition_filter(partition, public.as_str()),
            None => self.plan.layout.filter(public.as_str()),
        };
        self.plan.wanted.distinct().iter().map(stored).collect()
    }

    /// The position of the last event that the stream has.
    pub(super) async fn last(&self) -> Result<Position, StoreError> {
        let leader = Leader::new(&self.api);
        Ok(Position(leader.state().await?.last_seq))
    }

    /// The position of the last event that the stream has, which a subscription is known to have come to or past.
    ///
    /// A server that was paused takes itself for the leader for a moment longer, so it is asked again for a while.
    pub(super) async fn reaching(
        &self,
        position: Position,
        name: &str,
    ) -> Result<Position, SubscriptionError> {
        let staleness = match self.replicas {
            1 => Duration::ZERO,
            _ => retry::DEPOSED.min(self.api.patience),
        };
        let mut retry = retry::STALE.within(staleness);
        loop {
            let last = self.last().await?;
            if last >= position {
                return Ok(last);
            }
            if !retry.pause().await {
                return Err(SubscriptionError::BeyondStream {
                    name: name.to_owned(),
                    stream: self.api.stream.to_string(),
                    position,
                    last,
                });
            }
        }
    }

    /// The event at a position; none when the stream no longer has it.
    pub(super) async fn event_at(
        &self,
        position: Position,
    ) -> Result<Option<StoredEvent>, StoreError> {
        let leader = Leader::new(&self.api);
        match leader.at(position.0).await? {
            Some(raw) => raw.verify(&self.api, &self.plan.layout).map(Some),
            None => Ok(None),
        }
    }
}

/// Events in order.
pub(super) struct Feed {
    source: Source,
    /// There except for a moment within a step.
    reader: Option<Reader>,
    has_started: bool,
}

impl Feed {
    /// The next event that is wanted; none when none has come for a while.
    ///
    /// It may be dropped and called again at any time.
    pub(super) async fn next(&mut self) -> Result<Option<StoredEvent>, SubscriptionError> {
        loop {
            let Some(reader) = &mut self.reader else {
                return Ok(None);
            };
            let step = reader.step().await?;
            if !self.has_started {
                // The first consumer was had, so what fails from now on is taken for servers that restart.
                self.has_started = true;
                self.reader = self.reader.take().map(Reader::without_end);
            }
            match step {
                Step::Idle => return Ok(None),
                Step::Message(raw) => {
                    let event = raw.verify(&self.source.api, &self.source.plan.layout)?;
                    let id = &event.envelope.aggregate_id;
                    self.source.api.seen.note_aggregate(id, event.position.0);
                    if self.source.plan.wanted.includes(&event) {
                        return Ok(Some(event));
                    }
                }
            }
        }
    }

    /// Removes the consumer from the server.
    pub(super) async fn close(mut self) {
        if let Some(reader) = self.reader.take() {
            reader.close().await;
        }
    }
}
