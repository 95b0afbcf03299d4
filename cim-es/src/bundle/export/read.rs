//! All events of a store, in order, read and proved by several readers where the engine has them.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use futures_core::Stream;
use futures_util::stream;

use super::looked::Page;
use crate::block::StoredEvent;
use crate::store::raw::RawRanges;
use crate::store::{
    Bookmark, EventPage, EventPages, EventStore, EventStream, Location, Position, Selection,
    StoreError, StreamExt, TryStreamExt,
};

/// How many positions a reader is asked for at once.
const RANGE: u64 = 1_024;
/// How many events are looked at at once, where they come one by one.
const AT_ONCE: usize = 256;
/// How many ranges are read, or wait to be taken.
const AHEAD: usize = 4;

/// Pages of what stands behind a bookmark.
pub(super) type Pages<'a> = Pin<Box<dyn Stream<Item = Result<Page, StoreError>> + Send + 'a>>;

/// What stands behind a bookmark when it is first asked for, as an export looks at it; with the blocks, where they are
/// written. Where a selection is given, it says of each event whether it wants it.
pub(super) async fn pages<'a>(
    store: &dyn EventStore,
    after: Bookmark,
    with_blocks: bool,
    selection: Option<&'a Selection>,
) -> Result<Pages<'a>, StoreError> {
    if let (None, Some(raw)) = (selection, store.settings().raw)
        && let Some(ranges) = raw.ranges_of_events()
    {
        let end = store.last_position().await?;
        if after != Bookmark::START {
            check(store, after).await?;
        }
        let reader = RawReader {
            ranges,
            location: raw.location(),
            with_blocks,
        };
        return Ok(reader.pages(after.position, end));
    }
    let is_wanted =
        move |event: &StoredEvent| selection.is_some_and(|selection| selection.includes(event));
    let events = events(store, after).await?.ready_chunks(AT_ONCE);
    Ok(Box::pin(events.map(move |events| {
        let events: Vec<StoredEvent> = events.into_iter().collect::<Result<_, _>>()?;
        Page::of_events(&events, with_blocks, is_wanted)
    })))
}

/// Whether a bookmark is of this store is seen by its first event.
async fn check(store: &dyn EventStore, after: Bookmark) -> Result<(), StoreError> {
    let mut events = store.read(Selection::everything(), after);
    events.next().await.transpose().map(drop)
}

/// What several threads of an engine read, prove, and make blocks of.
#[derive(Clone)]
struct RawReader {
    ranges: Arc<dyn RawRanges>,
    location: Location,
    with_blocks: bool,
}

impl RawReader {
    fn pages(self, after: Position, end: Position) -> Pages<'static> {
        let starts = (after.0..end.0).step_by(RANGE as usize);
        let reader = self.clone();
        let first = move |from: u64| {
            let until = Position(end.0.min(from.saturating_add(RANGE)));
            reader.clone().read(Position(from), until)
        };
        let pages = stream::iter(starts).map(first).buffered(AHEAD);
        let pages = pages.map_ok(move |(page, reached, until)| {
            // Where events are large, a range has several pages.
            let reader = self.clone();
            let rest = stream::try_unfold(reached, move |after| {
                let reader = reader.clone();
                async move {
                    if after >= until {
                        return Ok::<_, StoreError>(None);
                    }
                    let (page, reached, _) = reader.read(after, until).await?;
                    Ok(Some((page, reached)))
                }
            });
            stream::iter([Ok(page)]).chain(rest)
        });
        Box::pin(pages.try_flatten())
    }

    async fn read(
        self,
        after: Position,
        until: Position,
    ) -> Result<(Page, Position, Position), StoreError> {
        let made = Arc::new(Mutex::new(None));
        let (into, location, with_blocks) = (Arc::clone(&made), self.location, self.with_blocks);
        let take = Box::new(move |page| {
            let page = Page::of_raw(page, &location, with_blocks);
            *into.lock().unwrap_or_else(PoisonError::into_inner) = Some(page);
        });
        let reached = self.ranges.read(after, until, take).await?;
        let made = made.lock().unwrap_or_else(PoisonError::into_inner).take();
        Ok((made.transpose()?.unwrap_or_default(), reached, until))
    }
}

/// What stands behind a bookmark when it is first asked for.
pub(super) async fn events(
    store: &dyn EventStore,
    after: Bookmark,
) -> Result<EventStream, StoreError> {
    let Some(pages) = store.settings().pages else {
        return Ok(store.read(Selection::everything(), after));
    };
    let end = store.last_position().await?;
    if after != Bookmark::START {
        check(store, after).await?;
    }
    let reader = Reader {
        pages,
        selection: Arc::new(Selection::everything()),
    };
    let ranges = (after.position.0..end.0).step_by(RANGE as usize);
    let first = {
        let reader = reader.clone();
        move |from: u64| {
            let until = Position(end.0.min(from.saturating_add(RANGE)));
            reader.clone().page(Position(from), until)
        }
    };
    let events = stream::iter(ranges).map(first).buffered(AHEAD);
    let events = events.map_ok(move |(page, until)| {
        let rest = reader.clone().rest(page.reached, until);
        ready(page.events).chain(rest)
    });
    Ok(Box::pin(events.try_flatten()))
}

#[derive(Clone)]
struct Reader {
    pages: Arc<dyn EventPages>,
    selection: Arc<Selection>,
}

impl Reader {
    async fn page(
        self,
        after: Position,
        until: Position,
    ) -> Result<(EventPage, Position), StoreError> {
        let page = self.pages.page(self.selection, after, until).await?;
        Ok((page, until))
    }

    /// What is left of a range behind its first page: where events are large, a page after the other.
    fn rest(
        self,
        after: Position,
        until: Position,
    ) -> impl Stream<Item = Result<StoredEvent, StoreError>> + Send {
        let pages = stream::try_unfold(after, move |after| {
            let reader = self.clone();
            async move {
                if after >= until {
                    return Ok::<_, StoreError>(None);
                }
                let (page, _) = reader.page(after, until).await?;
                Ok(Some((ready(page.events), page.reached)))
            }
        });
        pages.try_flatten()
    }
}

fn ready(events: Vec<StoredEvent>) -> impl Stream<Item = Result<StoredEvent, StoreError>> + Send {
    stream::iter(events.into_iter().map(Ok))
}
