//! Looking at what the leader has behind the values that the guards of a commit had.

use std::collections::HashSet;

use futures_util::future::try_join_all;
use tokio::time::Instant;

use super::Stream;
use super::outcome::Found;
use super::publish::Guard;
use super::tip::{self, Last};
use crate::domain::ErrorChain;
use crate::engine::jetstream::api::Leader;
use crate::store::{AggregateCommit, SealedEvent, StoreError};

/// A commit on its way, or several that go as one.
pub(super) struct Sealed<'a> {
    pub(super) parts: &'a [AggregateCommit],
    pub(super) events: &'a [&'a SealedEvent],
    /// One for each aggregate, in the order of the parts.
    pub(super) guards: &'a [Guard],
}

/// What was found, and the last event of each aggregate as it was seen then.
pub(super) struct Look {
    pub(super) found: Found,
    pub(super) lasts: Vec<Last>,
}

impl Sealed<'_> {
    /// Looks until it has seen something, or the time is over.
    pub(super) async fn look(&self, store: &Stream, deadline: Instant, since: Instant) -> Look {
        match self.seen(store, deadline, since).await {
            Ok(look) => look,
            Err(error @ StoreError::Damaged(_)) => nothing_but(Found::Unreadable(error)),
            Err(error) => {
                tracing::debug!(error = %ErrorChain(&error), "the leader could not be asked");
                nothing_but(Found::Unseen)
            }
        }
    }

    async fn seen(
        &self,
        store: &Stream,
        deadline: Instant,
        since: Instant,
    ) -> Result<Look, StoreError> {
        let parts = self.parts.iter();
        let reads = parts.map(|part| tip::read(store, &part.aggregate, deadline));
        let lasts = try_join_all(reads).await?;
        let leader = Leader::until(&store.api, deadline);
        let mut found = Found::Nothing;
        let mut may_be_late = false;
        let mut seen = HashSet::new();
        for (at, guard) in self.guards.iter().enumerate() {
            // Two kinds with one id have one guard, behind which the first event of either stands.
            if !seen.insert(&guard.subject) {
                continue;
            }
            if lasts[at].guard < guard.sequence {
                found = Found::Less(since.elapsed());
            }
            if lasts[at].guard <= guard.sequence {
                continue;
            }
            let id = self.parts[at].aggregate.id().as_str();
            let Some(first) = (self.events.iter()).position(|it| it.envelope.aggregate_id == id)
            else {
                // What was to stay unchanged has moved, perhaps after this commit was stored.
                may_be_late = true;
                continue;
            };
            let (sequence, is_ours) = self.behind(&leader, guard, &lasts[at], first).await?;
            found = match is_ours {
                false => Found::Another,
                true => self.whole(&leader, sequence, first).await?,
            };
            break;
        }
        if may_be_late
            && matches!(found, Found::Nothing)
            && !self.has_moved(store, deadline).await?
        {
            found = Found::Another;
        }
        Ok(Look { found, lasts })
    }

    /// Whether anything stands behind the guards of the aggregates that get events, asked now.
    async fn has_moved(&self, store: &Stream, deadline: Instant) -> Result<bool, StoreError> {
        let changed = self.parts.iter().zip(self.guards);
        let changed = changed.filter(|(part, _)| !part.is_unchanged);
        let reads = changed.map(|(part, guard)| async move {
            let last = tip::read(store, &part.aggregate, deadline).await?;
            Ok::<_, StoreError>(last.guard > guard.sequence)
        });
        Ok(try_join_all(reads).await?.contains(&true))
    }

    /// The sequence of the first event behind a guard, and whether it is the one of this commit.
    async fn behind(
        &self,
        leader: &Leader<'_>,
        guard: &Guard,
        last: &Last,
        first: usize,
    ) -> Result<(u64, bool), StoreError> {
        let expected = self.events[first];
        // Usually the last event is the first one behind the guard, which spares a question.
        if let Some(event) = &last.event
            && event.position.0 == last.guard
            && event.envelope.aggregate == expected.envelope.aggregate
            && event.envelope.sequence == expected.envelope.sequence
        {
            return Ok((event.position.0, event.body() == expected.body()));
        }
        match leader.next(&guard.subject, guard.sequence + 1).await? {
            Some(raw) => Ok((raw.sequence, raw.body == *expected.body())),
            // It was there a moment ago: another server answers now, which lags.
            None => Err(StoreError::Busy {
                location: leader.location(),
                reason: "the leader changes".to_owned(),
            }),
        }
    }

    /// Whether the whole commit stands where its event with an index does: its events stand side by side.
    pub(super) async fn whole(
        &self,
        leader: &Leader<'_>,
        sequence: u64,
        index: usize,
    ) -> Result<Found, StoreError> {
        let count = self.events.len();
        let start = (sequence + 1).saturating_sub(index as u64 + 1);
        let end = start + count as u64 - 1;
        for (at, place) in [(0, start), (count - 1, end)] {
            if at != index {
                let there = leader.at(place).await?;
                if there.and_then(|raw| raw.cid) != Some(self.events[at].cid) {
                    return Ok(Found::Part(sequence));
                }
            }
        }
        Ok(Found::Commit(end))
    }
}

fn nothing_but(found: Found) -> Look {
    Look {
        found,
        lasts: Vec::new(),
    }
}
