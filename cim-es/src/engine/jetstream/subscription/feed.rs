//! Where a subscription reads: events of one stream in order, each proved and of a whole commit, without gap or
//! repetition.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::SubscriptionError;
use crate::block::StoredEvent;
use crate::domain::subject::Pattern;
use crate::engine::jetstream::api::{
    Api, Commits, Extent, Filters, Leader, Read, Reader, Surroundings,
};
use crate::engine::jetstream::retry;
use crate::store::subscription::{ParkedEvent, Plan};
use crate::store::{Position, StoreError, StoredSubjects};

/// The stream, and what is wanted of it.
#[derive(Clone)]
pub(super) struct Source {
    pub(super) api: Api,
    pub(super) plan: Arc<Plan>,
    /// How the stream makes stored subjects.
    pub(super) layout: StoredSubjects,
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
            commits: Some(Commits::new(reader, self.around(), after.0)),
            has_started: false,
            cut_off: VecDeque::new(),
        }
    }

    fn around(&self) -> Surroundings {
        Surroundings {
            api: self.api.clone(),
            subjects: self.layout.clone(),
            is_atomic: self.replicas > 1,
        }
    }

    /// What the stream has of the commit of an event.
    pub(super) async fn extent(&self, event: &StoredEvent) -> Result<Extent, StoreError> {
        let leader = Leader::new(&self.api);
        self.around().extent(&leader, event).await
    }

    /// The stored subjects that are wanted.
    pub(super) fn filters(&self, partition: Option<u8>) -> Vec<String> {
        let stored = |public: &Pattern| match partition {
            Some(partition) => self.layout.partition_filter(partition, public.as_str()),
            None => self.layout.filter(public.as_str()),
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
                    location: self.api.location(),
                    position,
                    last,
                });
            }
        }
    }

    /// The event that was parked; none when the stream no longer has it, or has another one there.
    pub(super) async fn parked_event(
        &self,
        parked: &ParkedEvent,
    ) -> Result<Option<StoredEvent>, StoreError> {
        let event = self.event_at(parked.position).await?;
        Ok(event.filter(|event| parked.is_about(event)))
    }

    /// The event at a position; none when the stream no longer has it.
    pub(super) async fn event_at(
        &self,
        position: Position,
    ) -> Result<Option<StoredEvent>, StoreError> {
        let leader = Leader::new(&self.api);
        match leader.at(position.0).await? {
            Some(raw) => raw.verify(&self.api, &self.layout).map(Some),
            None => Ok(None),
        }
    }
}

/// Why an event is parked of whose commit only a part is stored.
pub(super) const CUT_OFF: &str = "its commit was cut off by a limit of the stream or of the account, so that it never took effect: \
     see what `doctor` says of the stream, and discard it here";

/// What a feed gives.
pub(super) enum Fed {
    /// An event of a whole commit.
    Event(Box<StoredEvent>),
    /// An event of a commit that was cut off, which no handler may have.
    CutOff(Box<StoredEvent>),
}

/// Events in order.
pub(super) struct Feed {
    source: Source,
    /// There except for a moment within a step.
    commits: Option<Commits>,
    has_started: bool,
    cut_off: VecDeque<StoredEvent>,
}

impl Feed {
    /// The next event that is wanted; none when none has come for a while.
    ///
    /// It may be dropped and called again at any time.
    pub(super) async fn next(&mut self) -> Result<Option<Fed>, SubscriptionError> {
        loop {
            if let Some(event) = self.cut_off.pop_front() {
                return Ok(Some(Fed::CutOff(Box::new(event))));
            }
            let Some(commits) = &mut self.commits else {
                return Ok(None);
            };
            let read = commits.next().await?;
            if !self.has_started {
                // The first consumer was had, so what fails from now on is taken for servers that restart.
                self.has_started = true;
                self.commits = self.commits.take().map(Commits::without_end);
            }
            let wanted = &self.source.plan.wanted;
            match read {
                Read::Idle => return Ok(None),
                Read::Event(event) => {
                    let id = &event.envelope.aggregate_id;
                    self.source.api.seen.note_aggregate(id, event.position.0);
                    if wanted.includes(&event) {
                        return Ok(Some(Fed::Event(event)));
                    }
                }
                Read::CutOff(events) => {
                    let events = events.into_iter();
                    self.cut_off = events.filter(|event| wanted.includes(event)).collect();
                }
            }
        }
    }

    /// Removes the consumer from the server.
    pub(super) async fn close(mut self) {
        if let Some(commits) = self.commits.take() {
            commits.close().await;
        }
    }
}
