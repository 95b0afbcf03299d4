//! What several workers read together: each takes the next stretch of positions that nobody reads yet, and lays out for
//! every worker the events that are its own.
//!
//! Stretches are read in any order and taken in theirs, so that each worker meets its events in the order of the store.
//! A worker takes what is there for it before it reads more, and nobody reads far ahead of the slowest: what is laid out
//! and not taken is bounded.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::block::StoredEvent;
use crate::store::{EventPage, EventPages, Position, Selection, StoreError, partition};

/// The positions of a stretch: fewer where a page ends before them, more where little is selected among them.
const SHORTEST: u64 = 1_024;
const LONGEST: u64 = 1 << 20;
/// A page with fewer events than this has the next stretches longer.
const FEW: usize = 256;
/// The stretches for each worker that are laid out at the same time, at most.
const AHEAD: usize = 3;

/// The stretches that workers share.
struct Sharing {
    pages: Arc<dyn EventPages>,
    selection: Arc<Selection>,
    until: u64,
    workers: usize,
    table: Mutex<Table>,
    /// Something was laid out, or there is room for more.
    changed: Notify,
}

/// What is laid out.
struct Table {
    /// By the position behind which each begins: those that some worker has yet to take.
    stretches: BTreeMap<u64, Stretch>,
    /// Where the next one begins, and how long it is.
    next: u64,
    length: u64,
    /// The workers that take nothing more.
    has_gone: Vec<bool>,
}

struct Stretch {
    until: u64,
    state: State,
}

enum State {
    /// Nobody reads it.
    Open,
    /// Somebody does.
    Taken,
    /// The events, and which of them are each worker's, until it takes them.
    Read(Arc<Vec<StoredEvent>>, Vec<Option<Vec<u32>>>),
    Failed(StoreError),
}

/// What a worker does next.
enum Step {
    Take(Laid, u64),
    Read { after: u64, until: u64 },
    Wait,
    Fail(StoreError),
    End,
}

/// Events that were laid out, and the places of a worker's among them.
#[derive(Default)]
struct Laid {
    events: Arc<Vec<StoredEvent>>,
    mine: Vec<u32>,
}

/// What one worker is to have.
pub(super) struct Share {
    sharing: Arc<Sharing>,
    worker: usize,
    /// Up to this position it has everything.
    at: u64,
    ready: Laid,
    /// How many of those it had.
    had: usize,
}

/// The shares of some workers in the events of a selection behind a position and up to another. The events of a partition,
/// and with it those of an aggregate, are all in one of them.
pub(super) fn shares(
    pages: &Arc<dyn EventPages>,
    selection: &Selection,
    (after, until): (Position, Position),
    workers: usize,
) -> Vec<Share> {
    let sharing = Arc::new(Sharing {
        pages: Arc::clone(pages),
        selection: Arc::new(selection.clone()),
        until: until.0,
        workers,
        table: Mutex::new(Table {
            stretches: BTreeMap::new(),
            next: after.0,
            length: SHORTEST,
            has_gone: vec![false; workers],
        }),
        changed: Notify::new(),
    });
    let share = |worker| Share {
        sharing: Arc::clone(&sharing),
        worker,
        at: after.0,
        ready: Laid::default(),
        had: 0,
    };
    (0..workers).map(share).collect()
}

impl Share {
    /// Goes on to the next event; false at the end, and behind an error.
    pub(super) async fn advance(&mut self) -> Result<bool, StoreError> {
        loop {
            self.had += 1;
            if self.had <= self.ready.mine.len() {
                return Ok(true);
            }
            let mut changed = pin!(self.sharing.changed.notified());
            changed.as_mut().enable();
            match self.sharing.step(self.worker, self.at) {
                Step::Take(laid, until) => {
                    (self.ready, self.had) = (laid, 0);
                    self.at = until;
                }
                Step::Read { after, until } => {
                    Reading::new(&self.sharing, after, until).read().await
                }
                Step::Wait => changed.await,
                Step::Fail(error) => {
                    self.at = self.sharing.until;
                    return Err(error);
                }
                Step::End => return Ok(false),
            }
        }
    }

    /// The event to which it went on last.
    pub(super) fn current(&self) -> Option<&StoredEvent> {
        let place = self.ready.mine.get(self.had.checked_sub(1)?)?;
        self.ready.events.get(*place as usize)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.sharing.table().leave(self.worker);
        self.sharing.changed.notify_waiters();
    }
}

impl Sharing {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a worker does that has everything up to a position.
    fn step(&self, worker: usize, at: u64) -> Step {
        if at >= self.until {
            return Step::End;
        }
        let mut table = self.table();
        let step = table.step(worker, at, self.until, self.workers * AHEAD);
        if matches!(step, Step::Take(..)) {
            self.changed.notify_waiters();
        }
        step
    }
}

impl Table {
    fn step(&mut self, worker: usize, at: u64, end: u64, most: usize) -> Step {
        if let Some(Stretch { until, state }) = self.stretches.get_mut(&at) {
            let until = *until;
            match state {
                State::Read(events, laid_out) => {
                    let mine = laid_out.get_mut(worker).and_then(Option::take);
                    let mine = mine.unwrap_or_default();
                    let events = Arc::clone(events);
                    if laid_out.iter().all(Option::is_none) {
                        self.stretches.remove(&at);
                    }
                    return Step::Take(Laid { events, mine }, until);
                }
                State::Failed(error) => return Step::Fail(error.clone()),
                State::Open | State::Taken => {}
            }
        }
        let is_open = |stretch: &Stretch| matches!(stretch.state, State::Open);
        let is_mine = self.stretches.get(&at).is_some_and(is_open);
        let busy = self.stretches.values().filter(|stretch| !is_open(stretch));
        // Nobody but who waits for it reads what comes on top.
        if !is_mine && busy.count() >= most {
            return Step::Wait;
        }
        let mut stretches = self.stretches.iter_mut();
        if let Some((after, stretch)) = stretches.find(|(_, stretch)| is_open(stretch)) {
            stretch.state = State::Taken;
            let (after, until) = (*after, stretch.until);
            return Step::Read { after, until };
        }
        if self.next >= end {
            return Step::Wait;
        }
        let after = self.next;
        let until = after.saturating_add(self.length).min(end);
        let state = State::Taken;
        self.stretches.insert(after, Stretch { until, state });
        self.next = until;
        Step::Read { after, until }
    }

    /// Lays out a page that was read of a stretch; what it does not reach is a stretch of its own.
    fn lay_out(&mut self, after: u64, until: u64, page: EventPage, workers: usize) {
        let reached = page.reached.0.min(until);
        if reached < until {
            self.length = (self.length / 2).max(SHORTEST);
            let state = State::Open;
            self.stretches.insert(reached, Stretch { until, state });
        } else if page.events.len() < FEW {
            self.length = (self.length * 2).min(LONGEST);
        }
        let room = page.events.len() / workers + 1;
        let of_worker = |has_gone: &bool| (!has_gone).then(|| Vec::with_capacity(room));
        let mut laid_out: Vec<_> = self.has_gone.iter().map(of_worker).collect();
        for (event, place) in page.events.iter().zip(0..) {
            let worker = usize::from(partition(&event.envelope.aggregate_id)) % workers;
            if let Some(Some(places)) = laid_out.get_mut(worker) {
                places.push(place);
            }
        }
        let (until, state) = (reached, State::Read(Arc::new(page.events), laid_out));
        self.stretches.insert(after, Stretch { until, state });
    }

    fn leave(&mut self, worker: usize) {
        self.has_gone[worker] = true;
        self.stretches.retain(|_, stretch| {
            let State::Read(_, laid_out) = &mut stretch.state else {
                return true;
            };
            laid_out[worker] = None;
            laid_out.iter().any(Option::is_some)
        });
    }
}

/// A stretch that a worker reads. Where it is dropped before that is done, another worker reads it.
struct Reading<'a> {
    sharing: &'a Sharing,
    after: u64,
    until: u64,
    is_done: bool,
}

impl<'a> Reading<'a> {
    fn new(sharing: &'a Sharing, after: u64, until: u64) -> Self {
        Self {
            sharing,
            after,
            until,
            is_done: false,
        }
    }

    async fn read(mut self) {
        let (after, until) = (self.after, self.until);
        let selection = Arc::clone(&self.sharing.selection);
        let pages = &self.sharing.pages;
        let page = pages.page(selection, Position(after), Position(until));
        let page = page.await;
        self.is_done = true;
        let mut table = self.sharing.table();
        match page {
            Ok(page) => table.lay_out(after, until, page, self.sharing.workers),
            Err(error) => {
                let state = State::Failed(error);
                table.stretches.insert(after, Stretch { until, state });
            }
        }
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        if !self.is_done
            && let Some(stretch) = self.sharing.table().stretches.get_mut(&self.after)
        {
            stretch.state = State::Open;
        }
        self.sharing.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests;
