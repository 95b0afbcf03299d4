//! Reading the stream across aggregates: all of it, one type, what is yet to come, one CID.

use cid::Cid;
use futures_util::stream;

use super::Stream;
use crate::block::StoredEvent;
use crate::engine::jetstream::api::{Leader, Reader, Selection, State, Step};
use crate::store::{EventStream, Position, StoreError};
use std::sync::Arc;

/// All events after a position up to the last one that the stream has when reading starts.
pub(super) fn read_all(store: Arc<Stream>, after: Position) -> EventStream {
    let scan = Scan {
        store,
        after: after.0,
        stage: Stage::Start,
    };
    Box::pin(stream::unfold(scan, |mut scan| async move {
        let next = scan.next().await.transpose()?;
        if next.is_err() {
            scan.stage = Stage::Over;
        }
        Some((next, scan))
    }))
}

struct Scan {
    store: Arc<Stream>,
    after: u64,
    stage: Stage,
}

enum Stage {
    Start,
    Reading { reader: Box<Reader>, until: u64 },
    Over,
}

impl Scan {
    async fn next(&mut self) -> Result<Option<StoredEvent>, StoreError> {
        if matches!(self.stage, Stage::Start) {
            self.start().await?;
        }
        loop {
            let Stage::Reading { reader, until } = &mut self.stage else {
                return Ok(None);
            };
            match reader.step().await? {
                Step::Message(raw) => {
                    self.after = raw.sequence;
                    let event = self.store.verify(raw)?;
                    if self.after >= *until {
                        self.end().await;
                    }
                    return Ok(Some(event));
                }
                Step::Idle => match rest(&state(&self.store).await?, self.after, *until) {
                    Some(last) => *until = last,
                    None => self.end().await,
                },
            }
        }
    }

    async fn start(&mut self) -> Result<(), StoreError> {
        let state = state(&self.store).await?;
        self.stage = match rest(&state, self.after, state.last_seq) {
            Some(until) => Stage::Reading {
                reader: Box::new(self.store.reader(Selection::all(), self.after).pushed()),
                until,
            },
            None => Stage::Over,
        };
        Ok(())
    }

    async fn end(&mut self) {
        if let Stage::Reading { reader, .. } = std::mem::replace(&mut self.stage, Stage::Over) {
            reader.close().await;
        }
    }
}

/// The last message of those after a sequence and up to another that a reader can still get: what it waits for may
/// meanwhile be dropped, where the stream drops events.
fn rest(state: &State, after: u64, until: u64) -> Option<u64> {
    state.last_until(until).filter(|last| *last > after)
}

async fn state(store: &Stream) -> Result<State, StoreError> {
    Leader::new(&store.api).state().await
}

/// All events after a position, then those that are yet to come.
pub(super) fn subscribe(store: Arc<Stream>, after: Position) -> EventStream {
    let reader = store.reader(Selection::all(), after.0).without_end();
    Box::pin(stream::unfold(
        Some((store, reader)),
        |following| async move {
            let (store, mut reader) = following?;
            loop {
                match reader.step().await {
                    Ok(Step::Idle) => {}
                    Ok(Step::Message(raw)) => {
                        return match store.verify(raw) {
                            Ok(event) => Some((Ok(event), Some((store, reader)))),
                            Err(error) => Some((Err(error), None)),
                        };
                    }
                    Err(error) => return Some((Err(error), None)),
                }
            }
        },
    ))
}

/// At most `limit` events of a type after a position.
pub(super) async fn of_type(
    store: &Stream,
    event_type: &str,
    after: Position,
    limit: usize,
) -> Result<Vec<StoredEvent>, StoreError> {
    let mut events = Vec::new();
    if limit == 0 || !is_literal(event_type) {
        return Ok(events);
    }
    let filter = store.subjects().filter(event_type);
    let leader = Leader::new(&store.api);
    let mut until = leader.last(&filter).await?.map_or(0, |last| last.sequence);
    let mut seen = after.0;
    if until <= seen {
        return Ok(events);
    }
    let selection = Selection {
        filters: vec![filter.clone()],
        headers_only: false,
    };
    let mut reader = store.reader(selection, after.0);
    while events.len() < limit {
        match reader.step().await? {
            Step::Message(raw) if raw.sequence > until => break,
            Step::Message(raw) => {
                seen = raw.sequence;
                events.push(store.verify(raw)?);
                if seen == until {
                    break;
                }
            }
            Step::Idle => {
                if leader.state().await?.last_until(until) != Some(until) {
                    until = leader.last(&filter).await?.map_or(0, |last| last.sequence);
                }
                if until <= seen {
                    break;
                }
            }
        }
    }
    reader.close().await;
    Ok(events)
}

/// A type is a literal subject: with a wildcard in it, it would ask for other types.
fn is_literal(event_type: &str) -> bool {
    event_type
        .split('.')
        .all(|token| crate::domain::subject::Token::new(token).is_ok())
}

/// The event with a CID.
///
/// The server finds messages by subject and by sequence alone, so a CID that was not met lately is looked for among the
/// headers of all messages, oldest first.
pub(super) async fn by_cid(store: &Stream, cid: &Cid) -> Result<Option<StoredEvent>, StoreError> {
    let leader = Leader::new(&store.api);
    if let Some(position) = store.place_of(cid)
        && let Some(raw) = leader.at(position.0).await?
        && raw.cid.as_ref() == Some(cid)
    {
        return store.verify(raw).map(Some);
    }
    let state = leader.state().await?;
    let Some(mut until) = rest(&state, 0, state.last_seq) else {
        return Ok(None);
    };
    let mut seen = 0;
    let selection = Selection {
        filters: Vec::new(),
        headers_only: true,
    };
    let mut reader = store.reader(selection, 0).pushed();
    let found = loop {
        match reader.step().await? {
            Step::Message(raw) if raw.cid.as_ref() == Some(cid) => break Some(raw.sequence),
            Step::Message(raw) if raw.sequence >= until => break None,
            Step::Message(raw) => seen = raw.sequence,
            Step::Idle => match rest(&leader.state().await?, seen, until) {
                Some(last) => until = last,
                None => break None,
            },
        }
    };
    reader.close().await;
    match found {
        Some(sequence) => match leader.at(sequence).await? {
            Some(raw) => store.verify(raw).map(Some),
            None => Ok(None),
        },
        None => Ok(None),
    }
}
