//! All events of a store, in order, read and proved by several readers where the engine has them.

use std::sync::Arc;

use futures_core::Stream;
use futures_util::stream;

use crate::block::StoredEvent;
use crate::store::{
    Bookmark, EventPage, EventPages, EventStore, EventStream, Position, Selection, StoreError,
    StreamExt, TryStreamExt,
};

/// How many positions a reader is asked for at once.
const RANGE: u64 = 1_024;
/// How many ranges are read, or wait to be taken.
const AHEAD: usize = 4;

/// What stands behind a bookmark when it is first asked for.
pub(super) async fn events(
    store: &dyn EventStore,
    after: Bookmark,
) -> Result<EventStream, StoreError> {
    let plain = store.read(Selection::everything(), after);
    let Some(pages) = store.settings().pages else {
        return Ok(plain);
    };
    let end = store.last_position().await?;
    if after != Bookmark::START {
        // Whether the bookmark is of this store is seen by its first event.
        let mut plain = plain;
        plain.next().await.transpose()?;
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
