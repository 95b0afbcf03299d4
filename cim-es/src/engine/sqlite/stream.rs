//! Streams of events: they read a page at a time and hold no transaction while the consumer works.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use tokio::sync::watch;

use super::reader::closed;
use super::{Shared, events};
use crate::block::StoredEvent;
use crate::store::{EventStream, Position, StoreError};

/// How many events a stream reads at once and holds at most.
const PAGE: u64 = 256;

/// The events that are there when the stream reads for the first time.
pub(super) fn read_all(shared: Arc<Shared>, after: Position) -> EventStream {
    Box::pin(Pages::new(Cursor {
        shared,
        at: after.0,
        end: End::Unknown,
    }))
}

/// The events that are there and those to come.
pub(super) fn subscribe(shared: Arc<Shared>, after: Position) -> EventStream {
    Box::pin(Pages::new(Cursor {
        shared,
        at: after.0,
        end: End::Never(None),
    }))
}

/// Where a stream is.
struct Cursor {
    shared: Arc<Shared>,
    /// The position of the last event that was read.
    at: u64,
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

/// The cursor after a page, and the page; an empty one is the end.
type Page = (Cursor, Result<Vec<StoredEvent>, StoreError>);

impl Cursor {
    async fn next(mut self) -> Page {
        let page = self.read().await;
        if let Ok(events) = &page
            && let Some(last) = events.last()
        {
            self.at = last.position.0;
        }
        (self, page)
    }

    async fn read(&mut self) -> Result<Vec<StoredEvent>, StoreError> {
        loop {
            let limit = match &mut self.end {
                End::Unknown | End::Never(None) => PAGE,
                End::At(end) => PAGE.min(end.saturating_sub(self.at)),
                // What is committed from here on wakes the wait below, so nothing falls between reading and waiting.
                End::Never(Some(moved)) => {
                    moved.borrow_and_update();
                    PAGE
                }
            };
            if limit == 0 {
                return Ok(Vec::new());
            }
            let after = self.at;
            let (events, last) = self
                .shared
                .readers
                .read(move |database| events::page(database, after, limit))
                .await?;
            match &mut self.end {
                End::Unknown => {
                    self.end = End::At(last);
                    return Ok(events);
                }
                End::At(_) => return Ok(events),
                End::Never(_) if !events.is_empty() => return Ok(events),
                End::Never(Some(moved)) => moved.changed().await.map_err(|_| closed())?,
                End::Never(waits @ None) => *waits = Some(self.shared.writer.follow()?),
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
                State::Idle(cursor) => this.state = State::Reading(Box::pin(cursor.next())),
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
