//! The history of one aggregate: read by its literal subjects, and proved to be whole.
//!
//! One Direct Get batch for each event type that the program knows, and the last message from the
//! leader, are asked for at once. The batches come from replicas that may lag and are not one
//! moment; the leader's last message says up to where the history must reach. A hole means reading
//! again; what stays is read under the wildcard, where an event of a type that this program does
//! not know shows too; and only what is wrong then is damage.
//!
//! A commit that is not whole is held back: the history ends before it. When the rest of it can no
//! longer come, a reader who asks for it is told.

mod first;
mod rest;

use std::collections::VecDeque;
use std::sync::Arc;

use futures_util::stream;
use tokio::time::Instant;

use self::rest::Rest;
use super::{Stream, tip};
use crate::block::{StoredEvent, Verdict};
use crate::engine::jetstream::api::{ApiFailure, Extent, Leader};
use crate::store::{AggregateKey, Damage, EventStream, StoreError, Versions};

/// The events of an aggregate at some versions, as a stream that reads as it is asked.
pub(super) fn stream(store: Arc<Stream>, key: AggregateKey, versions: Versions) -> EventStream {
    let flow = Flow {
        store,
        key,
        versions,
        stage: Stage::Start,
    };
    Box::pin(stream::unfold(flow, |mut flow| async move {
        let next = flow.next().await.transpose()?;
        if next.is_err() {
            flow.stage = Stage::Over;
        }
        Some((next, flow))
    }))
}

/// A history as it is given.
struct Flow {
    store: Arc<Stream>,
    key: AggregateKey,
    versions: Versions,
    stage: Stage,
}

enum Stage {
    Start,
    Giving(VecDeque<StoredEvent>, Option<Box<Rest>>),
    Over,
}

impl Flow {
    async fn next(&mut self) -> Result<Option<StoredEvent>, StoreError> {
        loop {
            match &mut self.stage {
                Stage::Start => {
                    let (events, rest) = begin(&self.store, &self.key, &self.versions).await?;
                    self.store.remember(&events);
                    self.stage = Stage::Giving(events.into(), rest);
                }
                Stage::Giving(events, rest) => {
                    let event = match (events.pop_front(), rest) {
                        (Some(event), _) => event,
                        (None, None) => break,
                        (None, Some(rest)) => match rest.next(&self.store, &self.key).await? {
                            Some(event) => event,
                            None => break,
                        },
                    };
                    if self.versions.includes(event.envelope.sequence) {
                        return Ok(Some(event));
                    }
                }
                Stage::Over => return Ok(None),
            }
        }
        if let Stage::Giving(_, Some(rest)) = std::mem::replace(&mut self.stage, Stage::Over) {
            self.store.remember(rest.last.as_slice());
            rest.reader.close().await;
        }
        Ok(None)
    }
}

/// The events of an aggregate at some versions, in order. Where the first of them is known with its
/// position, reading starts there.
pub(super) async fn read(
    store: &Stream,
    key: &AggregateKey,
    versions: &Versions,
) -> Result<Vec<StoredEvent>, StoreError> {
    let (mut events, rest) = begin(store, key, versions).await?;
    if let Some(mut rest) = rest {
        while let Some(event) = rest.next(store, key).await? {
            events.push(event);
        }
        rest.reader.close().await;
    }
    events.retain(|event| versions.includes(event.envelope.sequence));
    Ok(events)
}

/// The last event of an aggregate of which all of its commit is stored.
pub(super) async fn last(
    store: &Stream,
    key: &AggregateKey,
) -> Result<Option<StoredEvent>, StoreError> {
    let deadline = store.api.deadline();
    let found = tip::read(store, key, deadline).await?;
    let Some(event) = found.event else {
        return Ok(None);
    };
    match tip::extent(store, &event, deadline).await? {
        Extent::Whole => Ok(Some(event)),
        Extent::Open | Extent::CutOff => Ok(read(store, key, &Versions::ALL).await?.pop()),
    }
}

/// The first events of a history, proved, and what is still to be read of it.
type Begun = (Vec<StoredEvent>, Option<Box<Rest>>);

async fn begin(
    store: &Stream,
    key: &AggregateKey,
    versions: &Versions,
) -> Result<Begun, StoreError> {
    let mut read = Read {
        store,
        key,
        from: versions.first(),
        until: versions.last(),
        start: 1,
    };
    if let Some(known) = versions.known() {
        if let Some(last) = read.if_current(known).await? {
            return Ok((vec![last], None));
        }
        match read.find(known).await? {
            KnownEvent::AtPosition => read.start = known.position.0,
            KnownEvent::Moved => {}
            KnownEvent::Dropped => {
                if let Some(begun) = read.behind(known).await? {
                    return Ok(begun);
                }
            }
        }
    }
    read.run().await
}

/// Where a known event is.
enum KnownEvent {
    AtPosition,
    /// Somewhere else, or nowhere: a snapshot may be of another stream, or made up.
    Moved,
    /// The stream has dropped what stood at its position.
    Dropped,
}

/// One reading of a history.
struct Read<'a> {
    store: &'a Stream,
    key: &'a AggregateKey,
    from: u64,
    /// The last version that is wanted.
    until: u64,
    start: u64,
}

/// Up to where a history reaches.
#[derive(Clone)]
struct Ending {
    /// The last event under the guard, of whichever kind.
    last: StoredEvent,
    /// Where its commit begins, when that is not whole; its events are held back.
    held_from: Option<u64>,
    /// Whether the rest of it can no longer come.
    is_cut_off: bool,
}

impl Ending {
    /// Whether what stands at a position is given, or held back.
    fn gives(&self, position: u64) -> bool {
        self.held_from.is_none_or(|held_from| position < held_from)
    }
}

/// Lets a hole that stays be read over once more when the leader has what is missing: networks lose answers, and replicas
/// lag.
///
/// # Errors
/// [`StoreError::Damaged`] when the leader does not have it either, and a failure of time past the deadline.
async fn judge_hole(
    store: &Stream,
    key: &AggregateKey,
    from: u64,
    after: u64,
    verdict: Verdict,
    deadline: Instant,
) -> Result<(), StoreError> {
    let leader = Leader::new(&store.api);
    let guard = store.subjects().guard(key.id());
    let mut at = after.saturating_add(1);
    loop {
        let Some(raw) = leader.next(&guard, at).await? else {
            return Err(damage(store, key, verdict));
        };
        at = raw.sequence.saturating_add(1);
        let event = store.verify(raw)?;
        if !key.has(&event) || event.envelope.sequence < from {
            continue;
        }
        if event.position == verdict.place.position {
            return Err(damage(store, key, verdict));
        }
        if Instant::now() < deadline {
            return Ok(());
        }
        let failure = ApiFailure::TimedOut(store.api.patience);
        return Err(store.api.error("read a history", failure));
    }
}

fn damage(store: &Stream, key: &AggregateKey, verdict: Verdict) -> StoreError {
    Damage::of(verdict, store.api.location())
        .in_history_of(key)
        .into()
}
