//! The rest of a long history, read through a consumer.

use tokio::time::Instant;

use super::{Ending, Read, damage, judge_hole};
use crate::block::{ChainVerifier, StoredEvent};
use crate::engine::jetstream::api::{ApiFailure, Filters, Leader, Reader, Step};
use crate::engine::jetstream::retry::{self, Retry};
use crate::engine::jetstream::stream::{Stream, tip};
use crate::store::{AggregateKey, StoreError};

/// The part of a history that is read through a consumer, each event proved as it comes.
pub(super) struct Rest {
    pub(super) reader: Reader,
    chain: ChainVerifier<'static>,
    ending: Ending,
    from: u64,
    until: u64,
    /// Up to where everything was given.
    at: u64,
    pub(super) last: Option<StoredEvent>,
    held: Option<StoredEvent>,
    retry: Retry,
    /// Until when a hole is read over again.
    hole_ends: Option<Instant>,
    give_up: Instant,
    /// Whether the last event was read.
    is_read: bool,
    is_over: bool,
}

impl Rest {
    pub(super) fn new(
        read: &Read<'_>,
        chain: ChainVerifier<'static>,
        from: u64,
        ending: Ending,
    ) -> Self {
        Self {
            reader: reader(read.store, read.key, from),
            chain,
            ending,
            from: read.from,
            until: read.until,
            at: from.saturating_sub(1),
            last: None,
            held: None,
            retry: retry::HOLE.without_end(),
            hole_ends: None,
            give_up: read.store.api.deadline(),
            is_read: false,
            is_over: false,
        }
    }

    pub(super) async fn next(
        &mut self,
        store: &Stream,
        key: &AggregateKey,
    ) -> Result<Option<StoredEvent>, StoreError> {
        while !self.is_over {
            if self.is_read {
                self.is_over = true;
                self.finish(store, key)?;
                break;
            }
            match self.reader.step().await? {
                Step::Message(raw) => {
                    self.give_up = store.api.deadline();
                    let position = raw.sequence;
                    let end = self.ending.last.position.0;
                    if position > end {
                        self.is_read = true;
                        continue;
                    }
                    let event = store.verify(raw)?;
                    if let Some(event) = self.take(store, key, event).await? {
                        self.is_over = event.envelope.sequence >= self.until;
                        self.is_read = position == end;
                        self.last = Some(event.clone());
                        return Ok(Some(event));
                    }
                    self.is_read = position == end && self.at == end;
                }
                Step::Idle => {
                    let end = self.ending.last.position.0;
                    let state = Leader::new(&store.api).state().await?;
                    if state.last_until(end) != Some(end) {
                        // The stream has dropped it meanwhile.
                        self.is_read = true;
                    } else if Instant::now() > self.give_up {
                        let failure = ApiFailure::TimedOut(store.api.patience);
                        return Err(store.api.error("read a history", failure));
                    }
                }
            }
        }
        Ok(None)
    }

    /// An event that is given, unless it is held back or another aggregate's.
    async fn take(
        &mut self,
        store: &Stream,
        key: &AggregateKey,
        event: StoredEvent,
    ) -> Result<Option<StoredEvent>, StoreError> {
        let position = event.position.0;
        let is_wanted = key.has(&event) && event.envelope.sequence >= self.from;
        if !is_wanted || !self.ending.gives(position) {
            self.at = position;
            if is_wanted {
                self.held.get_or_insert(event);
            }
            return Ok(None);
        }
        match self.chain.accept(&event) {
            Ok(()) => {
                self.at = position;
                self.hole_ends = None;
                Ok(Some(event))
            }
            Err(verdict) => {
                if !self.retry.pause().await {
                    let deadline = *self.hole_ends.get_or_insert_with(|| store.api.deadline());
                    judge_hole(store, key, self.from, self.at, verdict, deadline).await?;
                    self.retry = retry::HOLE.without_end();
                }
                // Read again from where everything was given.
                let again = reader(store, key, self.at.saturating_add(1));
                std::mem::replace(&mut self.reader, again).close().await;
                Ok(None)
            }
        }
    }

    /// Proves that the history ends where it must.
    fn finish(&mut self, store: &Stream, key: &AggregateKey) -> Result<(), StoreError> {
        let chain = std::mem::replace(&mut self.chain, ChainVerifier::new(key));
        let proved = match &self.held {
            // What is held back links to what was given.
            Some(held) => { chain }.accept(held),
            None => chain.finish().map(drop),
        };
        proved.map_err(|verdict| damage(store, key, verdict))?;
        match &self.held {
            Some(held) if self.ending.is_cut_off => Err(tip::unfinished(store, key, held)),
            _ => Ok(()),
        }
    }
}

/// Reads what stands under the guard of an aggregate.
fn reader(store: &Stream, key: &AggregateKey, from: u64) -> Reader {
    let filters = Filters {
        subjects: vec![store.subjects().guard(key.id())],
        headers_only: false,
    };
    Reader::new(store.api.clone(), filters, from).pushed()
}
