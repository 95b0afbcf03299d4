//! The history of one aggregate: read by its literal subjects, and proved to be whole.
//!
//! One Direct Get batch for each event type that the program knows, and the last message from the leader, are asked for
//! at once. The batches come from replicas that may lag and are not one moment; the leader's last message says up to
//! where the history must reach. A hole means reading again; what stays is read under the wildcard, where an event of a
//! type that this program does not know shows too; and only what is wrong then is damage.

use std::sync::Arc;

use futures_util::future::try_join;
use futures_util::{StreamExt, stream};
use tokio::time::Instant;

use super::{Stream, tip};
use crate::block::{ChainVerifier, StoredEvent, Verdict};
use crate::engine::jetstream::api::{
    ApiFailure, Filters, Leader, Raw, Reader, Step,
    direct::{self, Page},
};
use crate::engine::jetstream::retry;
use crate::store::{AggregateKey, EventStream, Head, StoreError, Versions};

/// The events of an aggregate at some versions, as a stream.
pub(super) fn stream(store: Arc<Stream>, key: AggregateKey, versions: Versions) -> EventStream {
    let events = async move {
        let events = read(&store, &key, &versions).await;
        if let Ok(events) = &events {
            store.remember(events);
        }
        stream::iter(match events {
            Ok(events) => events.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        })
    };
    Box::pin(stream::once(events).flatten())
}

/// The events of an aggregate at some versions, in order. Where the first of them is known with its position, reading
/// starts there.
pub(super) async fn read(
    store: &Stream,
    key: &AggregateKey,
    versions: &Versions,
) -> Result<Vec<StoredEvent>, StoreError> {
    let mut events = read_on(store, key, versions).await?;
    events.retain(|event| versions.includes(event.envelope.sequence));
    Ok(events)
}

async fn read_on(
    store: &Stream,
    key: &AggregateKey,
    versions: &Versions,
) -> Result<Vec<StoredEvent>, StoreError> {
    let mut read = Read {
        store,
        key,
        from: versions.first(),
        start: 1,
    };
    if let Some(known) = versions.known() {
        if let Some(last) = read.if_current(known).await? {
            return Ok(vec![last]);
        }
        match read.find(known).await? {
            KnownEvent::AtPosition => read.start = known.position.0,
            KnownEvent::Moved => {}
            KnownEvent::Dropped => {
                if let Some(events) = read.behind(known).await? {
                    return Ok(events);
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

struct Read<'a> {
    store: &'a Stream,
    key: &'a AggregateKey,
    from: u64,
    start: u64,
}

/// Why a reading is not the history.
enum Incomplete {
    /// Events are missing; reading again may find them.
    Hole(Box<Verdict>),
    /// The read by literal subjects cannot tell.
    Unknown,
}

type HistoryResult = Result<Vec<StoredEvent>, Incomplete>;

impl Read<'_> {
    async fn run(&self) -> Result<Vec<StoredEvent>, StoreError> {
        let subjects = self.literal_subjects();
        let mut retry = retry::REPLICA.without_end();
        loop {
            let (last, pages) = try_join(self.last(), self.pages(&subjects)).await?;
            let Some(last) = last else {
                return Ok(Vec::new());
            };
            match self.assemble(&last, pages).await? {
                Ok(events) => return Ok(events),
                Err(Incomplete::Hole(_)) if retry.pause().await => {}
                Err(_) => break,
            }
        }
        self.by_wildcard().await
    }

    /// The known event, when it still is the last one: the usual answer for an aggregate that was just used.
    ///
    /// A leader that was deposed and does not know it yet may answer from before the known event, so an answer that is
    /// older is asked for again. What stays older is a stream that never had the event.
    async fn if_current(&self, known: &Head) -> Result<Option<StoredEvent>, StoreError> {
        let mut retry = retry::STALE.within(self.store.staleness());
        loop {
            let last = self.last().await?;
            let is_older = last
                .as_ref()
                .is_none_or(|last| last.position < known.position);
            if !is_older || !retry.pause().await {
                return Ok(last.filter(|last| self.is_ours(last) && last.head() == *known));
            }
        }
    }

    async fn find(&self, known: &Head) -> Result<KnownEvent, StoreError> {
        let leader = Leader::new(&self.store.api);
        let position = known.position.0;
        let Some(found) = leader.at(position).await? else {
            let state = leader.state().await?;
            let is_dropped = position > 0 && state.last_until(position) != Some(position);
            return Ok(match is_dropped {
                true => KnownEvent::Dropped,
                false => KnownEvent::Moved,
            });
        };
        if found.cid != Some(known.cid) {
            return Ok(KnownEvent::Moved);
        }
        let found = self.store.verify(found)?;
        let is_there = self.is_ours(&found) && found.head() == *known;
        Ok(match is_there {
            true => KnownEvent::AtPosition,
            false => KnownEvent::Moved,
        })
    }

    /// The events behind one that the stream has dropped; none when they are not what followed it.
    async fn behind(&self, known: &Head) -> Result<Option<Vec<StoredEvent>>, StoreError> {
        let read = Read {
            from: known.version.saturating_add(1),
            ..*self
        };
        let events = match read.run().await {
            Ok(events) => events,
            // It begins even later.
            Err(StoreError::Damaged(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let follows = |first: &StoredEvent| first.envelope.previous == Some(known.cid);
        Ok(events.first().is_some_and(follows).then_some(events))
    }

    fn literal_subjects(&self) -> Vec<String> {
        let stored = |event_type: &&str| self.store.subjects().stored(self.key.id(), event_type);
        self.key.types().iter().map(stored).collect()
    }

    /// The last event under the guard, of whichever kind.
    async fn last(&self) -> Result<Option<StoredEvent>, StoreError> {
        tip::last(self.store, self.key, self.store.api.deadline()).await
    }

    async fn pages(&self, subjects: &[String]) -> Result<Vec<Page>, StoreError> {
        if subjects.is_empty() {
            return Ok(Vec::new());
        }
        let api = &self.store.api;
        let mut retry = retry::REQUEST.within(api.patience);
        loop {
            match direct::pages(api, subjects, self.start).await {
                Ok(pages) => return Ok(pages),
                Err(failure) => api.wait(&mut retry, "read a history", failure).await?,
            }
        }
    }

    /// The history out of its pages, and through a consumer from where these end, when they end early.
    async fn assemble(
        &self,
        last: &StoredEvent,
        pages: Vec<Page>,
    ) -> Result<HistoryResult, StoreError> {
        if !self.is_ours(last) || !self.key.types().contains(&last.event_type()) {
            return Ok(Err(Incomplete::Unknown));
        }
        if last.envelope.sequence < self.from {
            return Ok(Ok(Vec::new()));
        }
        // Up to where every page reaches.
        let unfinished = pages.iter().filter(|page| page.is_more);
        let reach = unfinished.map(|page| page.messages.last().map_or(0, |last| last.sequence));
        let reach = reach.min().unwrap_or(last.position.0);
        let mut events = Vec::new();
        let raws = pages.into_iter().flat_map(|page| page.messages);
        for raw in raws.filter(|raw| raw.sequence <= reach) {
            self.take(raw, last, &mut events)?;
        }
        if reach < last.position.0 {
            // One pattern costs the server less than a list of subjects, and shows events of unknown types too.
            let guard = self.store.subjects().guard(self.key.id());
            self.consume(guard, reach + 1, last, &mut events).await?;
        }
        Ok(self.prove(events, last))
    }

    /// Takes an event of the history, up to the last one and not past it: what came later may be half read.
    fn take(
        &self,
        raw: Raw,
        last: &StoredEvent,
        events: &mut Vec<StoredEvent>,
    ) -> Result<(), StoreError> {
        if raw.sequence <= last.position.0 {
            let event = self.store.verify(raw)?;
            if self.is_ours(&event) && event.envelope.sequence >= self.from {
                events.push(event);
            }
        }
        Ok(())
    }

    /// Proves that events are the history up to the last one.
    fn prove(&self, mut events: Vec<StoredEvent>, last: &StoredEvent) -> HistoryResult {
        events.sort_unstable_by_key(|event| event.position);
        events.dedup_by_key(|event| event.position);
        match self.chain(&events, self.is_ours(last).then_some(last)) {
            Ok(()) => Ok(events),
            Err(verdict) => Err(Incomplete::Hole(Box::new(verdict))),
        }
    }

    fn chain(&self, events: &[StoredEvent], last: Option<&StoredEvent>) -> Result<(), Verdict> {
        let mut chain = ChainVerifier::from_sequence(self.key, self.from);
        if let Some(last) = last.filter(|last| last.envelope.sequence >= self.from) {
            chain = chain.expecting(last.into());
        }
        for event in events {
            chain.accept(event)?;
        }
        chain.finish().map(|_| ())
    }

    fn is_ours(&self, event: &StoredEvent) -> bool {
        self.key.has(event)
    }

    /// Everything under the guard, also what this program has no name for.
    async fn by_wildcard(&self) -> Result<Vec<StoredEvent>, StoreError> {
        let guard = self.store.subjects().guard(self.key.id());
        let mut retry = retry::HOLE.without_end();
        loop {
            let Some(last) = self.last().await? else {
                return Ok(Vec::new());
            };
            if self.is_ours(&last) && last.envelope.sequence < self.from {
                return Ok(Vec::new());
            }
            let events = self.wildcard_events(&guard, &last).await?;
            match self.prove(events, &last) {
                Ok(events) => return Ok(events),
                Err(_) if retry.pause().await => {}
                Err(Incomplete::Hole(verdict)) => {
                    let place = format!("{}, {}", self.store.api.place(), self.key);
                    return Err(verdict.into_damage(place));
                }
                // A read by the wildcard can tell.
                Err(Incomplete::Unknown) => {}
            }
        }
    }

    /// The events under the guard up to the last one: one page when that is all, else through a consumer.
    async fn wildcard_events(
        &self,
        guard: &str,
        last: &StoredEvent,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let pages = self.pages(&[guard.to_owned()]).await?;
        let is_whole = |page: &Page| {
            let end = page.messages.last();
            !page.is_more && end.is_some_and(|end| end.sequence >= last.position.0)
        };
        let mut events = Vec::new();
        if pages.iter().all(is_whole) {
            for raw in pages.into_iter().flat_map(|page| page.messages) {
                self.take(raw, last, &mut events)?;
            }
        } else {
            self.consume(guard.to_owned(), self.start, last, &mut events)
                .await?;
        }
        Ok(events)
    }

    /// The events under a filter from a sequence up to the last one, through a consumer that is deleted then. Each is
    /// proved while the next ones are on their way.
    async fn consume(
        &self,
        filter: String,
        from: u64,
        last: &StoredEvent,
        events: &mut Vec<StoredEvent>,
    ) -> Result<(), StoreError> {
        let filters = Filters {
            subjects: vec![filter],
            headers_only: false,
        };
        let patience = self.store.api.patience;
        let mut reader = Reader::new(self.store.api.clone(), filters, from).pushed();
        let mut give_up = self.store.api.deadline();
        loop {
            match reader.step().await? {
                Step::Message(raw) => {
                    give_up = self.store.api.deadline();
                    let is_last = raw.sequence >= last.position.0;
                    self.take(raw, last, events)?;
                    if is_last {
                        break;
                    }
                }
                Step::Idle => {
                    let leader = Leader::new(&self.store.api);
                    let state = leader.state().await?;
                    if state.last_until(last.position.0) != Some(last.position.0) {
                        // The stream has dropped it meanwhile.
                        break;
                    }
                    if Instant::now() > give_up {
                        let failure = ApiFailure::TimedOut(patience);
                        return Err(self.store.api.error("read a history", failure));
                    }
                }
            }
        }
        reader.close().await;
        Ok(())
    }
}
