//! Appending: read where the aggregates stand, seal, publish under the guards, and find out what came of it.
//!
//! An outcome is known only when it was seen. A publish without an answer may still be stored later; then the leader is
//! asked for the first message behind the value that each guard had. It is this commit's, or the guard has moved and
//! this commit can no longer be stored, or nothing is there and the same bytes are sent again.

use std::time::Duration;

use futures_util::future::try_join_all;
use tokio::time::{Instant, sleep};

use super::Stream;
use super::publish::{Attempt, Guard, Outgoing};
use super::tip::{self, Tip};
use crate::block::StoredEvent;
use crate::engine::jetstream::api::Leader;
use crate::store::{
    AggregateCommit, CommitRequest, ExpectedVersion, Head, Position, SealedEvent, StoreError, seal,
};

/// What is known of an aggregate before an attempt.
#[derive(Clone, Debug)]
struct Known {
    head: Option<Head>,
    guard: u64,
}

impl From<Tip> for Known {
    fn from(tip: Tip) -> Self {
        Self {
            head: tip.last.as_ref().map(StoredEvent::head),
            guard: tip.guard,
        }
    }
}

/// What became of a sealed commit.
enum Outcome {
    /// Stored, the last event at this sequence.
    Stored(u64),
    /// Not stored, and it will not be: a guard has moved, or another write is just moving it.
    Moved,
}

pub(super) async fn append(
    store: &Stream,
    commit: CommitRequest,
) -> Result<Vec<StoredEvent>, StoreError> {
    let deadline = Instant::now() + store.options.patience;
    let mut presumed = Vec::with_capacity(commit.aggregates.len());
    for part in &commit.aggregates {
        presumed.push(presume(store, part));
    }
    let mut known = try_join_all(presumed).await?;
    let mut pause = Duration::from_millis(1);
    loop {
        let heads: Vec<_> = known.iter().map(|known| known.head).collect();
        for (part, head) in commit.aggregates.iter().zip(&heads) {
            part.check(head.as_ref())?;
        }
        let sealed = seal(commit.clone(), &heads, &store.options.seal)?;
        let guards = guards(store, &commit, &known);
        match publish(store, &sealed, &guards, deadline).await? {
            Outcome::Stored(last) => return Ok(place(sealed, last)),
            Outcome::Moved if Instant::now() >= deadline => return Err(busy(store)),
            Outcome::Moved => {}
        }
        let before: Vec<_> = known.iter().map(|known| known.guard).collect();
        let mut looks = Vec::with_capacity(commit.aggregates.len());
        for part in &commit.aggregates {
            looks.push(look(store, part));
        }
        known = try_join_all(looks).await?;
        let is_moved = known
            .iter()
            .zip(&before)
            .any(|(known, before)| known.guard != *before);
        if !is_moved {
            refuse_impossible_heads(&commit, &known)?;
        }
        // Writers that met once would meet again.
        sleep(pause.mul_f64(jitter())).await;
        pause = (pause * 2).min(Duration::from_millis(100));
    }
}

/// What can be taken for the state of an aggregate without asking; the guard proves it wrong if it is.
async fn presume(store: &Stream, part: &AggregateCommit) -> Result<Known, StoreError> {
    match (&part.head, part.expected) {
        (Some(head), ExpectedVersion::Exactly(version)) if head.version == version => Ok(Known {
            head: Some(*head),
            guard: head.position.0,
        }),
        (None, ExpectedVersion::NoStream | ExpectedVersion::Exactly(0)) => Ok(Known {
            head: None,
            guard: 0,
        }),
        _ => look(store, part).await,
    }
}

async fn look(store: &Stream, part: &AggregateCommit) -> Result<Known, StoreError> {
    let tip = tip::read(store, &part.aggregate).await?;
    Ok(tip.into())
}

/// A head that says more than the stream has belongs to another stream.
fn refuse_impossible_heads(commit: &CommitRequest, known: &[Known]) -> Result<(), StoreError> {
    for (part, known) in commit.aggregates.iter().zip(known) {
        if let Some(head) = &part.head
            && head.position.0 > known.guard
        {
            return Err(StoreError::Conflict {
                aggregate: part.aggregate.clone(),
                expected: part.expected,
                actual: known.head.map_or(0, |head| head.version),
            });
        }
    }
    Ok(())
}

fn guards(store: &Stream, commit: &CommitRequest, known: &[Known]) -> Vec<Guard> {
    let parts = commit.aggregates.iter().zip(known);
    let guard = |(part, known): (&AggregateCommit, &Known)| Guard {
        subject: store.subjects().guard(part.aggregate.id()),
        sequence: known.guard,
    };
    parts.map(guard).collect()
}

/// The events of a commit stand side by side, the last one at the sequence that the server acknowledged.
fn place(sealed: Vec<SealedEvent>, last: u64) -> Vec<StoredEvent> {
    let first = (last + 1).saturating_sub(sealed.len() as u64);
    let places = first..;
    let stored = sealed.into_iter().zip(places);
    stored
        .map(|(event, position)| event.into_stored(Position(position)))
        .collect()
}

/// Publishes until it is known what came of it.
async fn publish(
    store: &Stream,
    sealed: &[SealedEvent],
    guards: &[Guard],
    deadline: Instant,
) -> Result<Outcome, StoreError> {
    let api = &store.api;
    let outgoing = Outgoing::new(sealed, guards, store.subjects());
    outgoing.check_sizes(api.client.max_payload())?;
    let _turn = match sealed.len() {
        1 => None,
        _ => store.batches.acquire().await.ok(),
    };
    // Whether an attempt may have been stored, or may yet be.
    let mut open: Option<String> = None;
    let mut pause = Duration::from_millis(5);
    loop {
        if api.has_ended() {
            // Nothing that is sent from now on arrives.
            return Err(match open {
                Some(reason) => StoreError::OutcomeUnknown { reason },
                None => api.closed(),
            });
        }
        let failure = match outgoing.send(api, api.timeout).await {
            Attempt::Stored(last) => return Ok(Outcome::Stored(last)),
            Attempt::Conflict if open.is_none() => return Ok(Outcome::Moved),
            Attempt::Refused(error) => {
                return match open {
                    None => Err(error),
                    Some(reason) => Err(unknown(&reason, &error)),
                };
            }
            Attempt::NotNow(failure) => failure.to_string(),
            Attempt::Unknown(failure) => {
                let failure = failure.to_string();
                open = Some(failure.clone());
                failure
            }
            Attempt::Known | Attempt::Repeated => {
                let reason = "the server knows the message ids";
                open = Some(reason.to_owned());
                reason.to_owned()
            }
            Attempt::Conflict => "another write is under way".to_owned(),
        };
        if open.is_some() {
            match find(store, sealed, guards, deadline).await {
                Ok(Some(outcome)) => return Ok(outcome),
                Ok(None) => {}
                Err(error @ StoreError::Damaged(_)) => return Err(unknown(&failure, &error)),
                Err(error) => tracing::debug!(%error, "the leader could not be asked"),
            }
        }
        if Instant::now() + pause >= deadline {
            return Err(match open {
                Some(reason) => StoreError::OutcomeUnknown { reason },
                None => StoreError::Busy {
                    place: api.place(),
                    reason: failure,
                },
            });
        }
        sleep(pause.mul_f64(jitter())).await;
        pause = (pause * 2).min(Duration::from_secs(1));
    }
}

/// Asks the leader what stands behind the values that the guards had: this commit, another write, or nothing.
async fn find(
    store: &Stream,
    sealed: &[SealedEvent],
    guards: &[Guard],
    deadline: Instant,
) -> Result<Option<Outcome>, StoreError> {
    let leader = Leader {
        api: &store.api,
        deadline,
    };
    let mut behind = Vec::with_capacity(guards.len());
    for guard in guards {
        behind.push(leader.next(&guard.subject, guard.sequence + 1));
    }
    let behind = try_join_all(behind).await?;
    let firsts = sealed
        .iter()
        .filter(|event| event.envelope.commit.is_first());
    for (found, first) in behind.into_iter().zip(firsts) {
        let Some(found) = found else { continue };
        if found.body != first.body {
            return Ok(Some(Outcome::Moved));
        }
        // It is whole: a batch is stored as one. Its events stand side by side.
        let before = sealed
            .iter()
            .position(|event| event.cid == first.cid)
            .unwrap_or(0);
        let last = found.sequence + (sealed.len() - 1 - before) as u64;
        return Ok(Some(Outcome::Stored(last)));
    }
    Ok(None)
}

fn unknown(reason: &str, error: &StoreError) -> StoreError {
    StoreError::OutcomeUnknown {
        reason: format!("{reason}; then: {error}"),
    }
}

fn busy(store: &Stream) -> StoreError {
    StoreError::Busy {
        place: store.api.place(),
        reason: "other writers were faster each time".to_owned(),
    }
}

/// A factor between a half and one and a half. The low bits of the clock are random enough to part two writers.
fn jitter() -> f64 {
    let nanoseconds = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.subsec_nanos());
    0.5 + f64::from(nanoseconds % 1_000) / 1_000.0
}
