//! A replay: what is gone through, and how.

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::TryStreamExt;
use tokio::task::JoinSet;

use super::progress::{ReplayProgressStream, Reporter};
use super::share::shares;
use super::sink::{Each, Sink, View};
use super::worker::{Events, Part, Shared};
use super::{ReplayEnd, ReplayError, ReplayFault, ReplayFrom, ReplayStats};
use crate::block::StoredEvent;
use crate::projection::InMemory;
use crate::store::{EventStore, PARTITIONS, Position, Selection};

/// A replay that is not begun yet: what is gone through, and how.
#[must_use = "a replay does nothing before `each` or `project` says what to do with the events"]
pub struct Replay {
    store: Arc<dyn EventStore>,
    from: ReplayFrom,
    selection: Option<Selection>,
    until: Option<Position>,
    limit: u64,
    tolerated: u64,
    workers: usize,
    reporter: Arc<Reporter>,
    cancelled: Arc<AtomicBool>,
}

/// Ends a replay from elsewhere, such as on Ctrl-C.
#[derive(Clone, Debug)]
pub struct CancelReplay(Arc<AtomicBool>);

impl CancelReplay {
    /// The replay ends behind the event that it is at, with [`ReplayEnd::Cancelled`].
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Replay {
    pub(super) fn new(store: Arc<dyn EventStore>, from: ReplayFrom) -> Self {
        Self {
            store,
            from,
            selection: None,
            until: None,
            limit: u64::MAX,
            tolerated: 0,
            workers: 1,
            reporter: Arc::new(Reporter::new()),
            cancelled: Arc::default(),
        }
    }

    /// Of all events, these alone. A projection takes its own without being told.
    pub fn selection(mut self, selection: impl Into<Selection>) -> Self {
        self.selection = Some(selection.into());
        self
    }

    /// Ends behind a position, before the end of the store.
    pub fn until(mut self, position: Position) -> Self {
        self.until = Some(position);
        self
    }

    /// Hands on at most a number of events.
    pub fn limit(mut self, events: u64) -> Self {
        self.limit = events;
        self
    }

    /// Goes on after failures, up to a number of them; without it the first one ends the replay. A view ends with the
    /// first all the same, since it may be half changed by it.
    pub fn tolerate(mut self, failures: u64) -> Self {
        self.tolerated = failures;
        self
    }

    /// By several workers at the same time, at most 64; each takes some of the partitions, so that the events of an
    /// aggregate stay in order. The order between aggregates is lost: for what does not need it.
    pub fn in_parallel(mut self, workers: usize) -> Self {
        self.workers = workers.clamp(1, usize::from(PARTITIONS));
        self
    }

    /// How far it has come, for whoever draws it; may be asked for several times before it begins.
    pub fn progress(&self) -> ReplayProgressStream {
        self.reporter.watch()
    }

    /// What ends it from elsewhere.
    pub fn canceller(&self) -> CancelReplay {
        CancelReplay(Arc::clone(&self.cancelled))
    }

    /// Hands each event to a function, and waits until it is done with it. Dropping the future ends the replay.
    ///
    /// # Errors
    /// [`ReplayError`]: the store cannot be read, or an event failed, one more than was allowed.
    pub async fn each<F, Fut>(self, function: F) -> Result<ReplayStats, ReplayError>
    where
        F: Fn(StoredEvent) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), ReplayFault>> + Send,
    {
        let function = Arc::new(function);
        let sinks = (0..self.workers).map(|_| Each(Arc::clone(&function)));
        let sinks = sinks.collect();
        let selection = Selection::everything();
        Ok(self.run(selection, sinks).await?.1)
    }

    /// Makes a view of the events, as if it had never been made: its projection takes those that it lists.
    ///
    /// ```
    /// # use cim_es::prelude::*;
    /// # use cim_es::projection::InMemory;
    /// # use cim_es::replay::{EventReplayService, ReplayError, ReplayFrom};
    /// async fn anew<V: InMemory + Default>(store: MemoryEventStore) -> Result<V, ReplayError> {
    ///     let replays = EventReplayService::new(store);
    ///     let (view, stats) = replays.replay_all_events(ReplayFrom::Start).project().await?;
    ///     println!("{stats}");
    ///     Ok(view)
    /// }
    /// ```
    ///
    /// # Errors
    /// [`ReplayError`]: the store cannot be read, or the projection cannot take an event.
    pub async fn project<V: InMemory + Default>(mut self) -> Result<(V, ReplayStats), ReplayError> {
        self.workers = 1;
        let (mut views, stats) = self.project_parts().await?;
        Ok((views.pop().unwrap_or_default(), stats))
    }

    /// Makes as many views as there are [workers](Self::in_parallel), each of the events of some partitions: for a view
    /// that can be put together from parts. All events of an aggregate are in one of them.
    ///
    /// # Errors
    /// As [`project`](Self::project).
    pub async fn project_parts<V: InMemory + Default>(
        mut self,
    ) -> Result<(Vec<V>, ReplayStats), ReplayError> {
        self.tolerated = 0;
        let sinks = (0..self.workers).map(|_| View(V::default())).collect();
        let (views, stats) = self.run(V::selection(), sinks).await?;
        Ok((views.into_iter().map(|View(view)| view).collect(), stats))
    }

    async fn run<S: Sink>(
        self,
        selection: Selection,
        sinks: Vec<S>,
    ) -> Result<(Vec<S>, ReplayStats), ReplayError> {
        let selection = self.selection.unwrap_or(selection);
        selection.check().map_err(crate::store::StoreError::from)?;
        let last = self.store.last_position().await?;
        let until = self.until.map_or(last, |until| until.min(last));
        let after = self.from.bookmark(&*self.store, last).await?;
        self.reporter.begin(after.position, until, sinks.len());
        let shared = Arc::new(Shared {
            store: self.store,
            after,
            until,
            earliest: self.from.earliest(),
            limit: self.limit,
            tolerated: self.tolerated,
            reporter: self.reporter,
            cancelled: self.cancelled,
            handed: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            has_ended: AtomicBool::new(false),
            failures: Mutex::default(),
        });
        let (sinks, parts) = work(&shared, &selection, sinks).await?;
        let duration = shared.reporter.end();
        let failures = std::mem::take(
            &mut *shared
                .failures
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
        let stats = ReplayStats {
            events_processed: parts.iter().map(|part| part.events).sum(),
            aggregates_rebuilt: parts.iter().map(|part| part.aggregates).sum(),
            errors: shared.failed.load(Ordering::Relaxed),
            failures,
            duration,
            end: end_of(&parts),
        };
        Ok((sinks, stats))
    }
}

/// One worker works where it is asked; several, each as a task of its own.
async fn work<S: Sink>(
    shared: &Arc<Shared>,
    selection: &Selection,
    mut sinks: Vec<S>,
) -> Result<(Vec<S>, Vec<Part>), ReplayError> {
    let workers = sinks.len();
    if let [sink] = &mut *sinks {
        let events = Events::own(shared.store.read(selection.clone(), shared.after));
        let part = shared.work(0, events, sink).await?;
        return Ok((sinks, vec![part]));
    }
    let parts = parted(shared, selection, workers).await?;
    let mut tasks = JoinSet::new();
    for (number, (mut sink, events)) in sinks.into_iter().zip(parts).enumerate() {
        let shared = Arc::clone(shared);
        tasks.spawn(async move {
            let part = shared.work(number, events, &mut sink).await;
            part.map(|part| (number, sink, part))
        });
    }
    let mut done = Vec::with_capacity(workers);
    while let Some(part) = tasks.join_next().await {
        done.push(part.map_err(|_| ReplayError::Ended)??);
    }
    done.sort_by_key(|(number, ..)| *number);
    let done = done.into_iter().map(|(_, sink, part)| (sink, part));
    Ok(done.unzip())
}

/// The events of each worker: those of some partitions. Where the engine reads from any position on, the workers share the
/// reading; elsewhere each reads its own.
async fn parted(
    shared: &Shared,
    selection: &Selection,
    workers: usize,
) -> Result<Vec<Events>, ReplayError> {
    let Some(pages) = shared.store.settings().pages else {
        let of_worker = |worker| {
            let partitions = (0..PARTITIONS).filter(|it| usize::from(*it) % workers == worker);
            let selection = selection.clone().in_partitions(partitions);
            Events::own(shared.store.read(selection, shared.after))
        };
        return Ok((0..workers).map(of_worker).collect());
    };
    // What is wrong with the place where they begin is found by a reading alone.
    let mut first = shared.store.read(selection.clone(), shared.after);
    first.try_next().await?;
    let between = (shared.after.position, shared.until);
    let shares = shares(&pages, selection, between, workers);
    Ok(shares.into_iter().map(Events::Shared).collect())
}

fn end_of(parts: &[Part]) -> ReplayEnd {
    let has = |end| parts.iter().any(|part| part.end == end);
    match (has(ReplayEnd::Cancelled), has(ReplayEnd::Limit)) {
        (true, _) => ReplayEnd::Cancelled,
        (false, true) => ReplayEnd::Limit,
        (false, false) => ReplayEnd::Complete,
    }
}

impl std::fmt::Debug for Replay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replay")
            .field("from", &self.from)
            .field("selection", &self.selection)
            .field("workers", &self.workers)
            .finish_non_exhaustive()
    }
}
