//! Streams of events: they read a page at a time and hold no transaction while the consumer works.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_util::{StreamExt, TryStreamExt, future, stream};
use tokio::sync::watch;
use tokio::task::coop::unconstrained;

use super::history::Walk;
use super::reader::closed;
use super::select::Reached;
use super::{Shared, select};
use crate::block::StoredEvent;
use crate::store::{AggregateKey, Bookmark, EventStream, Selection, StoreError, Versions};

/// How many events a stream reads at once and holds at most; fewer when they are large.
const PAGE: u64 = 256;
/// How many parts of a long history are read at the same time, each by a thread.
const PARTS: usize = 2;

/// The events of a selection that are there when the stream reads for the first time.
pub(super) fn read(shared: Arc<Shared>, selection: Selection, after: Bookmark) -> EventStream {
    Box::pin(Pages::new(Cursor::new(
        shared,
        selection,
        after,
        End::Unknown,
    )))
}

/// The events of a selection that are there and those to come.
pub(super) fn follow(shared: Arc<Shared>, selection: Selection, after: Bookmark) -> EventStream {
    Box::pin(Pages::new(Cursor::new(
        shared,
        selection,
        after,
        End::Never(None),
    )))
}

/// The events of one aggregate: a page, and then, where there is more, parts of which several are read at the same time.
pub(super) fn history(
    shared: Arc<Shared>,
    aggregate: AggregateKey,
    versions: Versions,
) -> EventStream {
    let walk = Walk::new(aggregate, versions.first(), versions.last());
    let events = stream::once(page(shared.clone(), walk)).map_ok(move |(page, walk)| {
        let rest = match walk.can_be_parted() {
            true => parts(shared.clone(), walk).left_stream(),
            false => pages(shared.clone(), walk).right_stream(),
        };
        ready(page).chain(rest)
    });
    // Nothing comes after an error, although a later part may have been read already.
    let has_failed = false;
    Box::pin(events.try_flatten().scan(has_failed, |has_failed, event| {
        let event = (!*has_failed).then_some(event);
        *has_failed = matches!(event, Some(Err(_)));
        future::ready(event)
    }))
}

/// The next events of a walk, and the walk behind them.
async fn page(shared: Arc<Shared>, mut walk: Walk) -> Result<(Vec<StoredEvent>, Walk), StoreError> {
    let digest = shared.digest;
    let read = shared.readers.read(move |database| {
        let page = walk.page(database, digest)?;
        Ok((page, walk))
    });
    read.await
}

/// What is left of a walk, a page after the other: where events are large, no more than one is in memory.
fn pages(
    shared: Arc<Shared>,
    walk: Walk,
) -> impl Stream<Item = Result<StoredEvent, StoreError>> + Send {
    let pages = stream::try_unfold((shared, walk), |(shared, walk)| async move {
        if walk.is_done() {
            return Ok::<_, StoreError>(None);
        }
        let (page, walk) = page(shared.clone(), walk).await?;
        Ok((!page.is_empty()).then_some((page, (shared, walk))))
    });
    pages.map_ok(ready).try_flatten()
}

/// What is left of a walk, in parts.
fn parts(
    shared: Arc<Shared>,
    mut walk: Walk,
) -> impl Stream<Item = Result<StoredEvent, StoreError>> + Send {
    let readers = shared.clone();
    stream::iter(std::iter::from_fn(move || walk.take_part()))
        .map(move |part| page(readers.clone(), part))
        .buffered(PARTS)
        .map_ok(move |(page, part)| ready(page).chain(pages(shared.clone(), part)))
        .try_flatten()
}

/// Events that were read.
fn ready(page: Vec<StoredEvent>) -> impl Stream<Item = Result<StoredEvent, StoreError>> + Send {
    stream::iter(page.into_iter().map(Ok))
}

/// Where a stream is.
struct Cursor {
    shared: Arc<Shared>,
    selection: Arc<Selection>,
    reached: Reached,
    /// Whether the selection was found to be good.
    is_checked: bool,
    end: End,
}

/// Where a stream ends.
enum End {
    /// At the last position that the first page finds.
    Unknown,
    /// At a position.
    At(u64),
    /// Nowhere; once it has caught up it waits for the last position to move.
    Never(Option<watch::Receiver<u64>>),
}

impl End {
    /// Takes in where the file ends.
    fn is_not_behind(&mut self, last: u64) {
        match self {
            Self::Unknown => *self = Self::At(last),
            Self::At(end) => *end = last.min(*end),
            Self::Never(_) => {}
        }
    }
}

/// The cursor after a page, and the page; an empty one is the end.
type Page = (Cursor, Result<Vec<StoredEvent>, StoreError>);

impl Cursor {
    fn new(shared: Arc<Shared>, selection: Selection, after: Bookmark, end: End) -> Self {
        Self {
            shared,
            selection: Arc::new(selection),
            reached: Reached::new(after),
            is_checked: false,
            end,
        }
    }

    async fn next(mut self) -> Page {
        let page = self.read().await;
        (self, page)
    }

    async fn read(&mut self) -> Result<Vec<StoredEvent>, StoreError> {
        if !self.is_checked {
            self.selection.check()?;
            self.is_checked = true;
        }
        loop {
            let until = match &mut self.end {
                End::Unknown | End::Never(None) => u64::MAX,
                End::At(end) => *end,
                // What is committed from here on wakes the wait below, so nothing falls between reading and waiting.
                End::Never(Some(moved)) => {
                    moved.borrow_and_update();
                    u64::MAX
                }
            };
            if self.reached.epoch.is_some() && until <= self.reached.at {
                return Ok(Vec::new());
            }
            let (mut reached, digest) = (self.reached, self.shared.digest);
            let selection = Arc::clone(&self.selection);
            let (page, reached) = self
                .shared
                .readers
                .read(move |database| {
                    reached.check(database)?;
                    let page = select::page(database, &selection, reached.at, until, PAGE, digest)?;
                    Ok::<_, StoreError>((page, reached))
                })
                .await?;
            self.reached = reached;
            // In another epoch the file may end earlier.
            self.end.is_not_behind(page.last);
            self.reached.at = page.reached.min(page.last).max(self.reached.at);
            if let Some(last) = page.events.last() {
                self.reached.given = last.bookmark();
                return Ok(page.events);
            }
            let is_level = self.reached.at >= page.last;
            match &mut self.end {
                End::Never(Some(moved)) if is_level => {
                    moved.changed().await.map_err(|_| closed())?;
                }
                End::Never(waits @ None) if is_level => {
                    *waits = Some(self.shared.writer.follow()?);
                }
                _ => {}
            }
        }
    }
}

/// The pages of a cursor, event by event.
struct Pages {
    ready: VecDeque<StoredEvent>,
    state: State,
}

enum State {
    Idle(Cursor),
    Reading(Pin<Box<dyn Future<Output = Page> + Send>>),
    Ended,
}

impl Pages {
    fn new(cursor: Cursor) -> Self {
        Self {
            ready: VecDeque::new(),
            state: State::Idle(cursor),
        }
    }
}

impl Stream for Pages {
    type Item = Result<StoredEvent, StoreError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if let Some(event) = this.ready.pop_front() {
                return Poll::Ready(Some(Ok(event)));
            }
            match std::mem::replace(&mut this.state, State::Ended) {
                State::Ended => return Poll::Ready(None),
                // See `Readers::read` for the budget.
                State::Idle(cursor) => {
                    this.state = State::Reading(Box::pin(unconstrained(cursor.next())));
                }
                State::Reading(mut reading) => match reading.as_mut().poll(context) {
                    Poll::Pending => {
                        this.state = State::Reading(reading);
                        return Poll::Pending;
                    }
                    Poll::Ready((_, Err(error))) => return Poll::Ready(Some(Err(error))),
                    Poll::Ready((_, Ok(events))) if events.is_empty() => return Poll::Ready(None),
                    Poll::Ready((cursor, Ok(events))) => {
                        this.ready = events.into();
                        this.state = State::Idle(cursor);
                    }
                },
            }
        }
    }
}
