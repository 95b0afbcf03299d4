//! Appending: read the tips of the aggregates, seal, publish under the guards, and find out what came of it.
//!
//! What comes next after each answer is decided in [`outcome`](super::outcome).

use std::collections::HashMap;

use futures_util::future::try_join_all;
use tokio::time::{Instant, timeout_at};

use super::Stream;
use super::look::Sealed;
use super::outcome::{Answer, End, Found, Input, Progress, Step};
use super::publish::{Guard, Outgoing};
use super::tip::{self, Last, Tip};
use crate::block::StoredEvent;
use crate::domain::aggregate::IdText;
use crate::engine::jetstream::api::Leader;
use crate::engine::jetstream::retry;
use crate::store::{
    AggregateCommit, CommitRequest, Damage, ExpectedVersion, Position, SealedEvent, StoreError,
    seal,
};

/// What became of a sealed commit.
pub(super) enum Outcome {
    /// Stored, the last event at this sequence.
    Stored(u64),
    /// Not stored, and it will not be: a guard has moved. What was seen of the aggregates.
    Moved(Vec<Last>),
}

pub(super) async fn append(
    store: &Stream,
    commit: CommitRequest,
) -> Result<Vec<StoredEvent>, StoreError> {
    let deadline = store.api.deadline();
    let parts = &commit.aggregates;
    let presumed = parts.iter().map(|part| presume(store, part, deadline));
    let mut tips = try_join_all(presumed).await?;
    let mut race = retry::RACE.until(deadline);
    loop {
        let heads: Vec<_> = tips.iter().map(|tip| tip.head).collect();
        for (part, head) in parts.iter().zip(&heads) {
            part.check(head.as_ref())?;
        }
        let events = seal(commit.clone(), &heads, &store.options.stream.seal)?;
        let guards = guards(store, parts, &tips);
        let sealed = Sealed {
            parts,
            events: &events,
            guards: &guards,
        };
        let seen = match publish(store, &sealed, deadline).await? {
            Outcome::Stored(last) => return Ok(place(events, last)),
            Outcome::Moved(seen) => seen,
        };
        let before: Vec<_> = tips.iter().map(|tip| tip.guard).collect();
        tips = Vec::with_capacity(parts.len());
        for (part, last) in parts.iter().zip(&seen) {
            last.check_whole(store, &part.aggregate, deadline).await?;
            tips.push(last.tip());
        }
        if tips
            .iter()
            .zip(&before)
            .all(|(tip, before)| tip.guard <= *before)
        {
            refuse_impossible_heads(parts, &tips)?;
        }
        if !race.pause().await {
            return Err(StoreError::Busy {
                place: store.api.place(),
                reason: "other writers were faster each time".to_owned(),
            });
        }
    }
}

/// What can be taken for the tip of an aggregate without asking; the guard proves it wrong if it is.
async fn presume(
    store: &Stream,
    part: &AggregateCommit,
    deadline: Instant,
) -> Result<Tip, StoreError> {
    match (&part.head, part.expected) {
        (Some(head), ExpectedVersion::Exactly(version)) if head.version == version => Ok(Tip {
            head: Some(*head),
            guard: head.position.0,
        }),
        (None, ExpectedVersion::NoStream | ExpectedVersion::Exactly(0)) => Ok(Tip {
            head: None,
            guard: 0,
        }),
        _ => {
            let last = tip::read(store, &part.aggregate, deadline).await?;
            last.check_whole(store, &part.aggregate, deadline).await?;
            Ok(last.tip())
        }
    }
}

/// A head that says more than the stream has belongs to another stream.
fn refuse_impossible_heads(parts: &[AggregateCommit], tips: &[Tip]) -> Result<(), StoreError> {
    for (part, tip) in parts.iter().zip(tips) {
        let Some(claimed) = &part.head else { continue };
        if tip.head != Some(*claimed) {
            return Err(StoreError::Conflict {
                aggregate: part.aggregate.clone(),
                expected: part.expected,
                actual: tip.head.map_or(0, |head| head.version),
            });
        }
    }
    Ok(())
}

/// The guard of each aggregate.
///
/// Two kinds with one id share a guard, which is the least of what each of them has seen: what one knows of it says nothing
/// about the head of the other.
fn guards(store: &Stream, parts: &[AggregateCommit], tips: &[Tip]) -> Vec<Guard> {
    let mut least: HashMap<&IdText, u64> = HashMap::new();
    for (part, tip) in parts.iter().zip(tips) {
        let least = least.entry(part.aggregate.id()).or_insert(tip.guard);
        *least = tip.guard.min(*least);
    }
    let guard = |part: &AggregateCommit| Guard {
        subject: store.subjects().guard(part.aggregate.id()),
        sequence: least[part.aggregate.id()],
    };
    parts.iter().map(guard).collect()
}

/// The events of a commit stand side by side, the last one at the sequence that the server acknowledged.
pub(super) fn place(sealed: Vec<SealedEvent>, last: u64) -> Vec<StoredEvent> {
    let first = (last + 1).saturating_sub(sealed.len() as u64);
    let places = first..;
    let stored = sealed.into_iter().zip(places);
    stored
        .map(|(event, position)| event.into_stored(Position(position)))
        .collect()
}

/// Publishes until it is known what came of it.
pub(super) async fn publish(
    store: &Stream,
    sealed: &Sealed<'_>,
    deadline: Instant,
) -> Result<Outcome, StoreError> {
    let api = &store.api;
    let outgoing = Outgoing::new(sealed, store.subjects())?;
    outgoing.check_sizes(api.client().max_payload())?;
    let is_batch = sealed.events.len() > 1;
    let _turn = match is_batch {
        false => None,
        // Waiting for a turn takes of the patience too, and leaves time for an answer.
        true => match timeout_at(
            deadline - api.timeout.min(api.patience / 4),
            store.batches.acquire(),
        )
        .await
        {
            Ok(turn) => turn.ok(),
            Err(_) => {
                return Err(busy(
                    store,
                    "other commits of this program were not done in time",
                ));
            }
        },
    };
    if api.has_ended() {
        return Err(api.closed());
    }
    let mut progress = Progress::new(store.is_replicated, is_batch);
    let mut retry = retry::COMMIT.until(deadline);
    let mut since_less = None;
    let mut seen = Vec::new();
    let mut input = Input::Answer(outgoing.send(store, deadline).await);
    loop {
        input = match progress.next(input) {
            Step::Done(last) => return Ok(Outcome::Stored(last)),
            Step::Moved => return Ok(Outcome::Moved(seen)),
            Step::Fail(end) => return Err(failed(store, sealed, end)),
            Step::Check(last) => {
                let leader = Leader::until(api, deadline);
                let index = sealed.events.len() - 1;
                match sealed.whole(&leader, last, index).await {
                    Ok(found) => Input::Found(found),
                    Err(error) => {
                        tracing::debug!(%error, "the leader could not be asked");
                        Input::Found(Found::Unseen)
                    }
                }
            }
            Step::Look => {
                let since = *since_less.get_or_insert_with(Instant::now);
                let look = sealed.look(store, deadline, since).await;
                if !matches!(look.found, Found::Less(_)) {
                    since_less = None;
                }
                seen = look.lasts;
                Input::Found(look.found)
            }
            // Nothing that is sent from now on arrives.
            Step::Again if api.has_ended() => match progress.next(Input::Late) {
                Step::Fail(End::Busy(_)) => return Err(api.closed()),
                Step::Fail(end) => return Err(failed(store, sealed, end)),
                _ => Input::Late,
            },
            Step::Again => match retry.pause().await {
                true => Input::Answer(outgoing.send(store, deadline).await),
                false => Input::Late,
            },
        };
    }
}

/// The error of a commit that is not, or not known to be, stored.
fn failed(store: &Stream, sealed: &Sealed<'_>, end: End) -> StoreError {
    match end {
        End::Refused(failure) => store.api.write_error("publish", failure),
        End::Busy(reason) => busy(store, reason),
        End::Unknown(reason) => StoreError::OutcomeUnknown { reason },
        End::Part(first) => StoreError::Damaged(Damage {
            place: store.api.place(),
            position: Some(Position(first)),
            cid: sealed.events.first().map(|event| event.cid),
            reason: format!(
                "only a part of this commit of {} events is stored: a limit of the stream or of the account cut it off, and \
                 nothing can follow it. Raise the limit, and let an operator copy the stream without the events that \
                 `doctor` lists",
                sealed.events.len()
            ),
        }),
    }
}

fn busy(store: &Stream, reason: impl Into<String>) -> StoreError {
    StoreError::Busy {
        place: store.api.place(),
        reason: reason.into(),
    }
}

impl Outgoing {
    async fn send(&self, store: &Stream, deadline: Instant) -> Answer {
        let left = deadline.saturating_duration_since(Instant::now());
        self.attempt(store, store.api.timeout.min(left)).await
    }
}
