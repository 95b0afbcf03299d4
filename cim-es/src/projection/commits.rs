//! Whole commits, in the order of the store.
//!
//! The events of one commit that a selection gives have one causation id, one number of events of the whole, and rising
//! places in it. A selection may leave out the last of them, so their end shows by what follows: another commit, or the
//! end of a reading. A store shows a commit only once all of it is stored, so a reading that begins behind one of its
//! events has all the others.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use futures_util::{FutureExt, StreamExt};

use crate::block::StoredEvent;
use crate::store::{Bookmark, EventStore, EventStream, Position, Selection, StoreError};

/// A batch ends with the commit that reaches one of these.
const MOST_EVENTS: usize = 4_000;
const MOST_BYTES: usize = 4 << 20;

/// Commits that are counted together.
#[derive(Clone, Default)]
pub(crate) struct Batch {
    events: Arc<Vec<StoredEvent>>,
    /// Behind which event each commit ends.
    ends: Vec<usize>,
    bytes: usize,
    passed_over: Arc<BTreeSet<Position>>,
}

/// The events of one commit, as far as they are selected.
#[derive(Clone, Copy)]
pub(crate) struct Commit<'a> {
    events: &'a [StoredEvent],
    passed_over: &'a BTreeSet<Position>,
}

impl Batch {
    pub(crate) fn commits(&self) -> impl Iterator<Item = Commit<'_>> {
        (0..self.len()).filter_map(|at| self.commit_at(at))
    }

    /// The events of some of its commits, each with the number of its commit.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(crate) fn events_of(
        &self,
        commits: Range<usize>,
    ) -> impl Iterator<Item = (usize, &StoredEvent)> {
        let commits = commits.filter_map(|at| Some((at, self.commit_at(at)?)));
        commits.flat_map(|(at, commit)| commit.events().map(move |event| (at, event)))
    }

    /// The commit with a number, from 0.
    pub(crate) fn commit_at(&self, at: usize) -> Option<Commit<'_>> {
        let to = *self.ends.get(at)?;
        let from = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        Some(self.commit(from..to))
    }

    /// The number of commits.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The first of the commits alone.
    pub(crate) fn first(mut self, commits: usize) -> Self {
        self.ends.truncate(commits);
        let events = self.ends.last().copied().unwrap_or(0);
        Arc::make_mut(&mut self.events).truncate(events);
        self
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The events of each commit.
    pub(crate) fn into_commits(self) -> Vec<Vec<StoredEvent>> {
        let mut events = Arc::unwrap_or_clone(self.events).into_iter();
        let mut begun = 0;
        let lengths = self
            .ends
            .into_iter()
            .map(|end| end - std::mem::replace(&mut begun, end));
        lengths
            .map(|length| events.by_ref().take(length).collect())
            .collect()
    }

    /// The last event of all commits.
    pub(crate) fn up_to(&self) -> Bookmark {
        self.events
            .last()
            .map_or(Bookmark::START, StoredEvent::bookmark)
    }

    /// The events of all commits, in order.
    pub(crate) fn events(&self) -> &[StoredEvent] {
        &self.events
    }

    fn commit(&self, place: Range<usize>) -> Commit<'_> {
        Commit {
            events: &self.events[place],
            passed_over: &self.passed_over,
        }
    }

    fn is_full(&self) -> bool {
        self.events.len() >= MOST_EVENTS || self.bytes >= MOST_BYTES
    }

    fn add(&mut self, commit: &mut Vec<StoredEvent>) {
        self.bytes += commit.iter().map(|event| event.body().len()).sum::<usize>();
        Arc::make_mut(&mut self.events).append(commit);
        self.ends.push(self.events.len());
    }
}

impl<'a> Commit<'a> {
    /// The events that count: all but those that a person had the view pass over.
    pub(crate) fn events(self) -> impl Iterator<Item = &'a StoredEvent> {
        let is_counted = move |event: &&StoredEvent| !self.passed_over.contains(&event.position);
        self.events.iter().filter(is_counted)
    }

    /// How many events it has, with those that do not count.
    pub(crate) fn len(self) -> usize {
        self.events.len()
    }

    /// The last event.
    pub(crate) fn up_to(&self) -> Bookmark {
        self.events
            .last()
            .map_or(Bookmark::START, StoredEvent::bookmark)
    }

    pub(crate) fn last(&self) -> Option<&'a StoredEvent> {
        self.events.last()
    }

    pub(crate) fn has(&self, position: Position) -> bool {
        self.events.iter().any(|event| event.position == position)
    }
}

/// Reads whole commits.
pub(crate) struct Commits {
    store: Arc<dyn EventStore>,
    selection: Selection,
    stream: EventStream,
    is_following: bool,
    /// Reads on behind the open commit, for its other events.
    rest: Option<EventStream>,
    /// What came of a commit that may go on.
    open: Vec<StoredEvent>,
    batch: Batch,
    passed_over: Arc<BTreeSet<Position>>,
    after: Position,
    /// What the stream ended with, to be said after what came before it.
    end: Option<Result<(), StoreError>>,
}

impl Commits {
    /// Commits behind a bookmark: those that are there, or also those that are yet to come.
    pub(crate) fn new(
        store: &Arc<dyn EventStore>,
        selection: &Selection,
        after: Bookmark,
        is_following: bool,
        passed_over: Arc<BTreeSet<Position>>,
    ) -> Self {
        let stream = match is_following {
            true => store.follow(selection.clone(), after),
            false => store.read(selection.clone(), after),
        };
        Self {
            store: Arc::clone(store),
            selection: selection.clone(),
            stream,
            is_following,
            rest: None,
            open: Vec::new(),
            batch: Batch::default(),
            passed_over,
            after: after.position,
            end: None,
        }
    }

    /// The next commits, up to the bounds of a batch: of those that are yet to come no more than are there, and one at
    /// least. None at the end of a reading. Whoever stops waiting loses nothing.
    ///
    /// # Errors
    /// What the store says; what came before it was given.
    pub(crate) async fn next(&mut self) -> Result<Option<Batch>, StoreError> {
        loop {
            if self.rest.is_some() {
                self.read_rest().await;
                continue;
            }
            if self.batch.is_full() || (self.end.is_some() && !self.batch.is_empty()) {
                return Ok(Some(self.take_batch()));
            }
            if let Some(end) = self.end.clone() {
                return end.map(|()| None);
            }
            let ready = match self.is_following {
                true => self.stream.next().now_or_never(),
                false => Some(self.stream.next().await),
            };
            let next = match ready {
                Some(next) => next,
                None if !self.batch.is_empty() => return Ok(Some(self.take_batch())),
                None if !self.open.is_empty() => {
                    let after = self
                        .open
                        .last()
                        .map_or(Bookmark::START, StoredEvent::bookmark);
                    self.rest = Some(self.store.read(self.selection.clone(), after));
                    continue;
                }
                None => self.stream.next().await,
            };
            match next {
                Some(Ok(event)) => self.take(event),
                Some(Err(error)) => {
                    // Whether the open commit has all its events is not known.
                    self.open.clear();
                    self.end = Some(Err(error));
                }
                None => {
                    self.close();
                    self.end = Some(Ok(()));
                }
            }
        }
    }

    async fn read_rest(&mut self) {
        let Some(rest) = &mut self.rest else { return };
        match rest.next().await {
            Some(Ok(event)) if is_next_of(&self.open, &event) => {
                self.take(event);
                if self.open.is_empty() {
                    self.rest = None;
                }
            }
            // The event comes again from the stream.
            Some(Ok(_)) | None => {
                self.close();
                self.rest = None;
            }
            Some(Err(error)) => {
                self.open.clear();
                self.rest = None;
                self.end = Some(Err(error));
            }
        }
    }

    fn take(&mut self, event: StoredEvent) {
        if event.position <= self.after {
            return;
        }
        self.after = event.position;
        if !self.open.is_empty() && !is_next_of(&self.open, &event) {
            self.close();
        }
        let is_last = event.envelope.commit.is_last_of_whole();
        self.open.push(event);
        if is_last {
            self.close();
        }
    }

    fn close(&mut self) {
        if !self.open.is_empty() {
            self.batch.add(&mut self.open);
        }
    }

    fn take_batch(&mut self) -> Batch {
        let mut batch = std::mem::take(&mut self.batch);
        batch.passed_over = Arc::clone(&self.passed_over);
        batch
    }
}

/// Whether an event is a further one of a commit.
fn is_next_of(open: &[StoredEvent], event: &StoredEvent) -> bool {
    open.last().is_some_and(|last| event.continues(last))
}
