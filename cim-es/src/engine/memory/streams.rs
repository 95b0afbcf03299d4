//! Streams of events: each takes a page from the log at a time, so that nobody waits for a reader.

use std::collections::VecDeque;

use futures_util::stream;
use tokio::sync::watch;

use super::MemoryEventStore;
use crate::block::StoredEvent;
use crate::store::{
    AggregateKey, Bookmark, EventStream, Position, Selection, StoreError, Versions,
};

/// The events of one aggregate up to the last that it has when the stream is first asked.
pub(super) fn history(
    store: MemoryEventStore,
    aggregate: AggregateKey,
    mut versions: Versions,
) -> EventStream {
    let mut is_begun = false;
    paged(move |store: &mut MemoryEventStore| {
        let kept = store.read()?;
        if !is_begun {
            is_begun = true;
            let last = kept.log.last(&aggregate);
            let version = last.map_or(0, |last| last.envelope.sequence);
            versions = versions.up_to(version.min(versions.last()));
        }
        let page = kept.log.history(&aggregate, &versions);
        if let Some(last) = page.last() {
            versions = Versions::starting_at(last.envelope.sequence + 1).up_to(versions.last());
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
    after: Bookmark,
    is_checked: bool,
}

impl Reading {
    fn new(selection: Selection, after: Bookmark) -> Self {
        Self {
            selection,
            after,
            is_checked: false,
        }
    }

    /// The next events up to a position; none when there are no more.
    fn page(
        &mut self,
        store: &MemoryEventStore,
        until: Position,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let kept = store.read()?;
        if !self.is_checked {
            self.selection.check()?;
            kept.log.check(&self.after)?;
            self.is_checked = true;
        }
        let (page, reached) = kept.log.select(&self.selection, self.after.position, until);
        self.after = reached.max(self.after.position).into();
        Ok(page)
    }
}
