//! Appending: read the tips of the aggregates, seal, publish under the guards, and find out what came of it.
//!
//! What comes next after each answer is decided in [`outcome`](super::outcome).

use std::collections::HashMap;

use futures_util::future::try_join_all;
use tokio::sync::SemaphorePermit;
use tokio::time::{Instant, timeout_at};

use super::Stream;
use super::kinds;
use super::look::Sealed;
use super::outcome::{Answer, End, Found, Input, Progress, Step};
use super::publish::{Guard, Outgoing};
use super::repeats;
use super::tip::{self, Last, Tip};
use crate::block::StoredEvent;
use crate::domain::ErrorChain;
use crate::domain::aggregate::IdText;
use crate::engine::jetstream::api::{Leader, is_transient};
use crate::engine::jetstream::retry;
use crate::store::{
    AggregateCommit, AggregateKey, CommitRequest, Damage, ExpectedVersion, Head, Position,
    SealedEvent, StoreError, seal,
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
        if let Some(earlier) = repeats::find(store, &commit, &heads, deadline).await? {
            return Ok(earlier);
        }
        for (part, tip) in parts.iter().zip(&tips) {
            part.check(tip.head.as_ref())?;
            if part.shares_ids_with.is_some() && tip.head.is_none() && tip.guard > 0 {
                part.check_kinds(&kinds::read(store, part.aggregate.id()).await?)?;
            }
        }
        let events = seal(commit.clone(), &heads, &store.options.stream.seal)?;
        let guards = guards(store, parts, &tips);
        let all: Vec<_> = events.iter().collect();
        let sealed = Sealed {
            parts,
            events: &all,
            guards: &guards,
        };
        let seen = match publish(store, &sealed, deadline).await? {
            Outcome::Stored(last) => {
                let stored = place(events, last);
                if !commit.is_looked_up() {
                    let aggregates = commit.in_order().map(|place| &parts[place].aggregate);
                    repeats::note(store, aggregates.zip(&stored));
                }
                return Ok(stored);
            }
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
                location: store.api.location(),
                reason: "other writers were faster each time".to_owned(),
            });
        }
    }
}

/// The error of an append that was not sent, because what it follows could not be read: nothing of it is stored.
pub(super) fn not_sent(error: StoreError) -> StoreError {
    match error {
        StoreError::Engine { ref location, .. } if is_transient(&error) => StoreError::Busy {
            location: location.clone(),
            reason: ErrorChain(&error).to_string(),
        },
        error => error,
    }
}

/// What can be taken for the tip of an aggregate without asking; the guard proves it wrong if it is.
async fn presume(
    store: &Stream,
    part: &AggregateCommit,
    deadline: Instant,
) -> Result<Tip, StoreError> {
    match (&part.head, part.expected) {
        (Some(head), ExpectedVersion::Exactly(version)) if head.version == version => {
            check_head(store, &part.aggregate, head, deadline).await?;
            Ok(Tip {
                head: Some(*head),
                guard: head.position.0,
            })
        }
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

/// Refuses a head that ends a part of a commit. What this store wrote or read itself was whole; another head is looked at,
/// where a commit can have been cut off and the leader can be asked.
async fn check_head(
    store: &Stream,
    key: &AggregateKey,
    head: &Head,
    deadline: Instant,
) -> Result<(), StoreError> {
    if store.is_replicated() || store.place_of(&head.cid) == Some(head.position) {
        return Ok(());
    }
    let leader = Leader::until(&store.api, deadline.min(retry::deadline(store.api.timeout)));
    // What is not there the guard refuses.
    let there = match leader.at(head.position.0).await {
        Ok(Some(raw)) if raw.cid == Some(head.cid) => raw,
        Ok(_) | Err(StoreError::Engine { .. }) => return Ok(()),
        Err(error) => return Err(error),
    };
    let guard = there.sequence;
    let event = Some(store.verify(there)?);
    let last = Last { event, guard };
    last.check_whole(store, key, deadline).await
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
    let _turn = match outgoing.is_batch() {
        false => None,
        true => Some(turn(store, deadline).await?),
    };
    if api.has_ended() {
        return Err(api.closed());
    }
    let answer = outgoing.send(store, deadline).await;
    conclude(store, sealed, &outgoing, answer, deadline).await
}

/// A turn for an atomic batch. Waiting for it takes of the patience too, and leaves time for an answer.
pub(super) async fn turn(
    store: &Stream,
    deadline: Instant,
) -> Result<SemaphorePermit<'_>, StoreError> {
    let api = &store.api;
    let until = deadline - api.timeout.min(api.patience / 4);
    match timeout_at(until, store.batches.acquire()).await {
        Ok(Ok(turn)) => Ok(turn),
        Ok(Err(_)) | Err(_) => Err(busy(
            store,
            "other commits of this program were not done in time",
        )),
    }
}

/// Goes on after the answer to a first attempt until it is known what came of a commit.
pub(super) async fn conclude(
    store: &Stream,
    sealed: &Sealed<'_>,
    outgoing: &Outgoing,
    answer: Answer,
    deadline: Instant,
) -> Result<Outcome, StoreError> {
    let api = &store.api;
    let mut progress = Progress::new(store.is_replicated(), outgoing.is_batch());
    let mut retry = retry::COMMIT.until(deadline);
    let mut since_less = None;
    let mut seen = Vec::new();
    let mut input = Input::Answer(answer);
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
                        tracing::debug!(error = %ErrorChain(&error), "the leader could not be asked");
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
        End::Part(first) => {
            let reason = format!(
                "only a part of this commit of {} events is stored: a limit of the stream or of the account cut it off, and \
                 nothing can follow it. Raise the limit, and let an operator remove the events that `doctor` lists, or copy \
                 the stream without them",
                sealed.events.len()
            );
            let cid = sealed.events.first().map(|event| event.cid);
            Damage::new(store.api.location(), Position(first), cid, reason).into()
        }
    }
}

pub(super) fn busy(store: &Stream, reason: impl Into<String>) -> StoreError {
    StoreError::Busy {
        location: store.api.location(),
        reason: reason.into(),
    }
}

impl Outgoing {
    async fn send(&self, store: &Stream, deadline: Instant) -> Answer {
        let left = deadline.saturating_duration_since(Instant::now());
        self.attempt(store, store.api.timeout.min(left)).await
    }
}
