//! All events of a store, in order, read and proved by several readers where the engine has them.

use std::pin::Pin;
use std::sync::Arc;

use futures_core::Stream;
use futures_util::{TryFutureExt, stream};

use super::looked::Page;
use crate::block::StoredEvent;
use crate::store::raw::read_page;
use crate::store::{
    Bookmark, EventStore, EventStream, Position, Selection, StoreError, StreamExt, TryStreamExt,
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
        let end = end(store, after).await?;
        let location = raw.location();
        let read = move |from, until| {
            let (ranges, location) = (Arc::clone(&ranges), location.clone());
            async move {
                let make = move |page| Page::of_raw(page, &location, with_blocks);
                let (page, reached) = read_page(&*ranges, from, until, make).await?;
                Ok((page.transpose()?.unwrap_or_default(), reached))
            }
        };
        return Ok(Box::pin(in_ranges(after.position, end, read)));
    }
    let is_wanted =
        move |event: &StoredEvent| selection.is_some_and(|selection| selection.includes(event));
    let events = events(store, after).await?.ready_chunks(AT_ONCE);
    Ok(Box::pin(events.map(move |events| {
        let events: Vec<StoredEvent> = events.into_iter().collect::<Result<_, _>>()?;
        Page::of_events(&events, with_blocks, is_wanted)
    })))
}

/// Up to where is read.
async fn end(store: &dyn EventStore, after: Bookmark) -> Result<Position, StoreError> {
    let end = store.last_position().await?;
    if after != Bookmark::START {
        // Whether the bookmark is of this store is seen by its first event.
        let mut events = store.read(Selection::everything(), after);
        events.next().await.transpose()?;
    }
    Ok(end)
}

/// What stands behind a bookmark when it is first asked for.
pub(super) async fn events(
    store: &dyn EventStore,
    after: Bookmark,
) -> Result<EventStream, StoreError> {
    let Some(pages) = store.settings().pages else {
        return Ok(store.read(Selection::everything(), after));
    };
    let end = end(store, after).await?;
    let selection = Arc::new(Selection::everything());
    let read = move |from, until| {
        let (pages, selection) = (Arc::clone(&pages), Arc::clone(&selection));
        async move {
            let page = pages.page(selection, from, until).await?;
            Ok((page.events, page.reached))
        }
    };
    let pages = in_ranges(after.position, end, read);
    let events = pages.map_ok(|events| stream::iter(events.into_iter().map(Ok)));
    Ok(Box::pin(events.try_flatten()))
}

/// What a function reads behind a position and up to another, in order, several ranges ahead. It gives how far it has come:
/// where events are large, a range has several pages.
fn in_ranges<T, F>(
    after: Position,
    end: Position,
    read: impl Fn(Position, Position) -> F + Clone + Send + 'static,
) -> impl Stream<Item = Result<T, StoreError>> + Send
where
    T: Send,
    F: Future<Output = Result<(T, Position), StoreError>> + Send,
{
    let starts = (after.0..end.0).step_by(RANGE as usize);
    let first = {
        let read = read.clone();
        move |from: u64| {
            let until = Position(end.0.min(from.saturating_add(RANGE)));
            read(Position(from), until).map_ok(move |(page, reached)| (page, reached, until))
        }
    };
    let pages = stream::iter(starts).map(first).buffered(AHEAD);
    let pages = pages.map_ok(move |(page, reached, until)| {
        let read = read.clone();
        let rest = stream::try_unfold(reached, move |after| {
            let left = (after < until).then(|| read(after, until));
            async move {
                match left {
                    Some(page) => page.await.map(Some),
                    None => Ok(None),
                }
            }
        });
        stream::iter([Ok(page)]).chain(rest)
    });
    pages.try_flatten()
}
