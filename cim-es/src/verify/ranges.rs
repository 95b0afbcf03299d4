//! Pages that the threads of an engine read, each a part of the positions, and judge where they have read them.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use futures_util::future::{MaybeDone, maybe_done};

use super::judge::{JudgedPage, judge};
use crate::block::Position;
use crate::store::raw::{RANGE, RawRanges, read_page};
use crate::store::{Location, StoreError};

type Judging = Pin<Box<dyn Future<Output = Result<Judged, StoreError>> + Send>>;

/// A page, and up to where its range goes.
struct Judged {
    page: Option<JudgedPage>,
    reached: Position,
    until: Position,
}

/// The pages between two positions, in order.
pub(super) struct Ranges {
    raw: Arc<dyn RawRanges>,
    location: Location,
    next: Position,
    until: Position,
    /// How many are read at the same time, or wait to be taken.
    most: usize,
    waiting: VecDeque<Pin<Box<MaybeDone<Judging>>>>,
}

impl Ranges {
    pub(super) fn new(raw: Arc<dyn RawRanges>, location: Location, threads: usize) -> Self {
        Self {
            raw,
            location,
            next: Position::START,
            until: Position::START,
            // One alone takes turns with who takes the pages, so that no more than one core is used.
            most: match threads {
                1 => 1,
                threads => threads + 1,
            },
            waiting: VecDeque::new(),
        }
    }

    /// Goes on between two other positions, once all was taken.
    pub(super) fn go_on(&mut self, after: Position, until: Position) {
        (self.next, self.until) = (after, until);
    }

    /// The next page; none when there is no more. It may be dropped and called again at any time.
    pub(super) async fn next(&mut self) -> Result<Option<JudgedPage>, StoreError> {
        loop {
            while self.waiting.len() < self.most && self.next < self.until {
                let end = Position((self.next.0 / RANGE + 1).saturating_mul(RANGE));
                let end = end.min(self.until);
                let range = self.begin(self.next, end).await;
                self.waiting.push_back(range);
                self.next = end;
            }
            let Some(first) = self.waiting.front_mut() else {
                return Ok(None);
            };
            first.as_mut().await;
            let judged = first.as_mut().take_output();
            self.waiting.pop_front();
            let Some(Judged {
                page,
                reached,
                until,
            }) = judged.transpose()?
            else {
                continue;
            };
            if reached < until {
                // Where events are large, a range has several pages.
                let rest = self.begin(reached, until).await;
                self.waiting.push_front(rest);
            }
            if page.is_some() {
                return Ok(page);
            }
        }
    }

    /// Begins to read: the engine is asked now, and not when somebody waits for it.
    async fn begin(&self, after: Position, until: Position) -> Pin<Box<MaybeDone<Judging>>> {
        let judging: Judging = Box::pin(judged(
            Arc::clone(&self.raw),
            self.location.clone(),
            after,
            until,
        ));
        let mut judging = Box::pin(maybe_done(judging));
        poll_fn(|context| {
            let _ = judging.as_mut().poll(context);
            Poll::Ready(())
        })
        .await;
        judging
    }
}

async fn judged(
    raw: Arc<dyn RawRanges>,
    location: Location,
    after: Position,
    until: Position,
) -> Result<Judged, StoreError> {
    let (page, reached) =
        read_page(&*raw, after, until, move |page| judge(page, &location)).await?;
    Ok(Judged {
        page,
        reached,
        until,
    })
}
