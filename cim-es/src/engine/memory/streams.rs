//! Streams of events: each takes a page from the log at a time, so that nobody waits for a reader.

use std::collections::VecDeque;

use futures_util::stream;
use tokio::sync::watch;

use super::MemoryEventStore;
use crate::block::StoredEvent;
use crate::store::{
    AggregateKey, AnotherHistory, Bookmark, EventStream, Location, Position, Selection, StoreError,
    Versions,
};

/// The events of one aggregate up to the last that it has when the stream is first asked.
pub(super) fn history(
    store: MemoryEventStore,
    aggregate: AggregateKey,
    mut versions: Versions,
) -> EventStream {
    // The epoch, and the last event that was given.
    let mut begun: Option<(usize, Bookmark)> = None;
    paged(move |store: &mut MemoryEventStore| {
        let kept = store.read()?;
        match &begun {
            None => {
                begun = Some((kept.epochs.len(), Bookmark::START));
                let last = kept.log.last(&aggregate);
                let version = last.map_or(0, |last| last.envelope.sequence);
                versions = versions.up_to(version.min(versions.last()));
            }
            // What was given is of a branch that is not there any more.
            Some((epoch, given)) => {
                let mut since = kept.epochs.iter().skip(*epoch);
                if since.any(|epoch| epoch.concerns(&aggregate)) {
                    let end = kept.log.end();
                    return Err(AnotherHistory::of(Location::Memory, *given, end).into());
                }
            }
        }
        let page = kept.log.history(&aggregate, &versions);
        if let Some(last) = page.last() {
            versions = Versions::starting_at(last.envelope.sequence + 1).up_to(versions.last());
            begun = Some((kept.epochs.len(), last.bookmark()));
        }
        Ok(page)
    })(store)
}

/// The events of a selection up to the last that there is now.
pub(super) fn read(store: MemoryEventStore, selection: Selection, after: Bookmark) -> EventStream {
    let until = *store.inner.last.borrow();
    let mut reading = Reading::new(selection, after);
    paged(move |store: &mut MemoryEventStore| reading.page(store, until))(store)
}

/// Makes a stream of what gives one page after another; an empty one is the end, and an error.
fn paged(
    mut next: impl FnMut(&mut MemoryEventStore) -> Result<Vec<StoredEvent>, StoreError> + Send + 'static,
) -> impl FnOnce(MemoryEventStore) -> EventStream {
    move |store| {
        let start = (Some(store), VecDeque::new());
        Box::pin(stream::unfold(start, move |(mut store, mut ready)| {
            if ready.is_empty()
                && let Some(open) = &mut store
            {
                match next(open) {
                    Ok(page) => ready = page.into(),
                    Err(error) => {
                        let over = (None, VecDeque::new());
                        return std::future::ready(Some((Err(error), over)));
                    }
                }
            }
            let event = ready.pop_front();
            std::future::ready(event.map(|event| (Ok(event), (store, ready))))
        }))
    }
}

/// The events of a selection, then those to come.
pub(super) fn follow(
    store: MemoryEventStore,
    selection: Selection,
    after: Bookmark,
) -> EventStream {
    let following = Following {
        last: store.inner.last.subscribe(),
        store,
        reading: Reading::new(selection, after),
        ready: VecDeque::new(),
    };
    Box::pin(stream::unfold(Some(following), |following| async move {
        let mut following = following?;
        match following.next().await.transpose()? {
            Ok(event) => Some((Ok(event), Some(following))),
            Err(error) => Some((Err(error), None)),
        }
    }))
}

struct Following {
    store: MemoryEventStore,
    last: watch::Receiver<Position>,
    reading: Reading,
    ready: VecDeque<StoredEvent>,
}

impl Following {
    /// The next event; none when the store is gone.
    async fn next(&mut self) -> Result<Option<StoredEvent>, StoreError> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(Some(event));
            }
            let until = *self.last.borrow_and_update();
            self.ready = self.reading.page(&self.store, until)?.into();
            if self.ready.is_empty() && self.last.changed().await.is_err() {
                return Ok(None);
            }
        }
    }
}

/// A selection and how far it was read.
struct Reading {
    selection: Selection,
    /// Up to here everything was looked at.
    after: Position,
    /// Where the reader is: behind the last event that it was given.
    given: Bookmark,
    /// The epoch in which that was found to be right; none before it was.
    epoch: Option<usize>,
}

impl Reading {
    fn new(selection: Selection, after: Bookmark) -> Self {
        Self {
            selection,
            after: after.position,
            given: after,
            epoch: None,
        }
    }

    /// The next events up to a position; none when there are no more.
    fn page(
        &mut self,
        store: &MemoryEventStore,
        until: Position,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let kept = store.read()?;
        let epoch = Some(kept.epochs.len());
        if self.epoch != epoch {
            self.selection.check()?;
            kept.log.check(&self.given)?;
            // What was looked at and not wanted may have made room for others.
            self.after = self.given.position;
            self.epoch = epoch;
        }
        let (page, reached) = kept.log.select(&self.selection, self.after, until);
        self.after = reached.max(self.after);
        if let Some(last) = page.last() {
            self.given = last.bookmark();
        }
        Ok(page)
    }
}
