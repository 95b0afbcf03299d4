//! Makes documents of events.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::task::{JoinError, JoinHandle};

use super::InDocuments;
use crate::document::DocumentBatch;
use crate::projection::commits::{Batch, Commit};
use crate::projection::home::{Fault, More, Refused};
use crate::projection::settled::Settled;
use crate::projection::stored::{Counted, Place, Work, fault};
use crate::projection::{ViewId, panic};
use crate::store::Bookmark;
use crate::store::read_model::{
    ReadModelError, ReadModelStorage, ViewChanges, ViewDeclaration, ViewRecord,
};

/// Documents are stored with the commit that reaches so many events.
const AT_ONCE: usize = 1_000;
/// How many commits are on their way to the storage, at most: the storage begins with the next one as soon as it has done
/// with the one before, while others are made.
const ON_THEIR_WAY: usize = 2;
/// After so many events others come to their turn on the thread. What talks with a storage works for moments and waits in
/// between, and the storage with it.
const IN_A_ROW: usize = 64;

/// Makes the documents of a view.
///
/// Commits of events are made in memory, a thousand events together; one commit to the storage then writes the last
/// value of each document with the position, while the next are made. So whoever is killed when, a commit of events is
/// counted with all that it changes or not at all.
pub(in crate::projection) struct DocumentsWork<P: InDocuments> {
    projection: Arc<P>,
    storage: Arc<dyn ReadModelStorage>,
    view: ViewId,
    batch: DocumentBatch<P::Document>,
    /// What is on its way to the storage, in order.
    sent: VecDeque<Sent>,
    /// The last event of what has arrived there, until somebody is told.
    arrived: Option<Bookmark>,
}

impl<P: InDocuments> DocumentsWork<P> {
    pub(in crate::projection) fn new(
        projection: Arc<P>,
        storage: Arc<dyn ReadModelStorage>,
        view: ViewId,
    ) -> Self {
        Self {
            projection,
            batch: DocumentBatch::new(Arc::clone(&storage), view.clone()),
            storage,
            view,
            sent: VecDeque::new(),
            arrived: None,
        }
    }

    /// Reads ahead what commits are likely to change: most documents are about one aggregate.
    async fn expect(&mut self, batch: &Batch, commits: Range<usize>) {
        let commits = commits.filter_map(|at| batch.commit_at(at));
        let ids = commits
            .flat_map(Commit::events)
            .map(|event| event.envelope.aggregate_id.clone());
        if let Err(error) = self.batch.expect(ids).await {
            tracing::debug!(view = %self.view, %error, "documents could not be read ahead");
        }
    }

    /// Takes commits up to the first that cannot be counted, and gives the last event of those that were.
    async fn project_all(
        &mut self,
        batch: &Batch,
        commits: Range<usize>,
        after: Bookmark,
        settled: &Settled,
    ) -> (Bookmark, Result<(), Fault>) {
        self.expect(batch, commits.clone()).await;
        let mut up_to = after;
        let mut in_a_row = 0;
        for commit in commits.filter_map(|at| batch.commit_at(at)) {
            if in_a_row >= IN_A_ROW {
                tokio::task::yield_now().await;
                in_a_row = 0;
            }
            in_a_row += commit.len();
            self.batch.mark();
            if let Err(fault) = self.project(&commit, settled).await {
                self.batch.undo();
                return (up_to, Err(fault));
            }
            up_to = commit.up_to();
        }
        (up_to, Ok(()))
    }

    async fn project(&mut self, commit: &Commit<'_>, settled: &Settled) -> Result<(), Fault> {
        for event in commit.events() {
            let is_new = !settled.has(event);
            let mut documents = self.batch.documents();
            let taken = panic::caught(self.projection.take(event, is_new, &mut documents)).await;
            let reason = match taken {
                Ok(Ok(())) => continue,
                Ok(Err(error)) => match error.into_storage_error() {
                    Ok(error) => return Err(fault(error)),
                    Err(error) => error.to_string(),
                },
                Err(reason) => reason,
            };
            return Err(Fault::Event(Refused::new(event, reason)));
        }
        Ok(())
    }

    /// Stores changes by a task of its own, so that others are made meanwhile: behind what was sent before, and only where
    /// that was stored.
    fn send(&mut self, changes: ViewChanges) {
        let (storage, view) = (Arc::clone(&self.storage), self.view.clone());
        let up_to = changes.up_to;
        let (done, outcome) = oneshot::channel();
        let before = self.sent.back_mut().and_then(|sent| sent.is_stored.take());
        let commit = async move {
            if let Some(before) = before
                && before.await.is_err()
            {
                return Err(Fault::Lost);
            }
            storage.commit(&view, changes).await.map_err(fault)?;
            // Where nothing was sent behind it nobody listens.
            let _ = done.send(());
            Ok(())
        };
        self.sent.push_back(Sent {
            up_to,
            task: tokio::spawn(commit),
            is_stored: Some(outcome),
        });
    }

    /// Waits until no more than some of what was sent is on its way; where it is not stored, what is counted says so.
    async fn arrive(&mut self, counted: &mut Counted, on_their_way: usize) -> bool {
        match self.wait(on_their_way).await {
            Ok(()) => {
                counted.up_to = self.arrived.take().unwrap_or(counted.up_to);
                true
            }
            Err(fault) => {
                counted.outcome = Err(fault);
                false
            }
        }
    }

    /// Waits until no more than some of what was sent is on its way. Whoever stops waiting loses nothing.
    async fn wait(&mut self, on_their_way: usize) -> Result<(), Fault> {
        while self.sent.len() > on_their_way
            && let Some(sent) = self.sent.front_mut()
        {
            let outcome = (&mut sent.task).await;
            let up_to = self.sent.pop_front().map(|sent| sent.up_to);
            outcome.unwrap_or_else(|error| Err(ended(&error)))?;
            self.batch.sent_is_stored();
            self.arrived = up_to;
        }
        Ok(())
    }

    /// Stores changes that no others follow.
    async fn store(&mut self, changes: ViewChanges, counted: &mut Counted) {
        let up_to = changes.up_to;
        match self.storage.commit(&self.view, changes).await {
            Ok(()) => {
                self.batch.sent_is_stored();
                counted.up_to = up_to;
            }
            Err(error) => counted.outcome = Err(fault(error)),
        }
    }
}

/// Changes on their way to the storage.
struct Sent {
    up_to: Bookmark,
    task: JoinHandle<Result<(), Fault>>,
    /// Heard by what is sent next: gone without a word where it was not stored.
    is_stored: Option<oneshot::Receiver<()>>,
}

/// The task that stored something ended by itself, as where the storage panics or the runtime shuts down.
fn ended(error: &JoinError) -> Fault {
    Fault::Storage {
        reason: format!("storing documents was ended from outside: {error}"),
        is_transient: true,
    }
}

/// Parts of some commits that are each stored by one commit to the storage. Where there are several, and the storage has
/// nothing to do, the first is small: the sooner it is made, the sooner the storage works beside what is made.
fn parts(batch: &Batch, commits: &Range<usize>, is_storing: bool) -> Vec<Range<usize>> {
    let events_of = |at| batch.commit_at(at).map_or(0, Commit::len);
    let events = commits.clone().map(events_of).sum::<usize>();
    let mut most = match events > AT_ONCE && !is_storing {
        true => AT_ONCE / 4,
        false => AT_ONCE,
    };
    let mut parts = Vec::new();
    let (mut start, mut events) = (commits.start, 0);
    for at in commits.clone() {
        events += events_of(at);
        if events >= most || at + 1 == commits.end {
            parts.push(start..at + 1);
            (start, events, most) = (at + 1, 0, AT_ONCE);
        }
    }
    parts
}

impl<P: InDocuments> Work for DocumentsWork<P> {
    fn storage(&self) -> &dyn ReadModelStorage {
        &*self.storage
    }

    async fn make(&self, declaration: &ViewDeclaration) -> Result<ViewRecord, ReadModelError> {
        self.storage.open_view(declaration).await
    }

    async fn count(
        &mut self,
        place: Place,
        batch: &Batch,
        commits: Range<usize>,
        more: More,
    ) -> Counted {
        let mut counted = Counted {
            up_to: place.after,
            outcome: Ok(()),
        };
        if place.after == Bookmark::START {
            self.batch.begins_empty();
        }
        let mut after = self.on_its_way().unwrap_or(place.after);
        for part in parts(batch, &commits, !self.sent.is_empty()) {
            let is_only = part == commits && more == More::MayCome;
            let (up_to, outcome) = self.project_all(batch, part, after, &place.settled).await;
            let on_their_way = if is_only { 0 } else { ON_THEIR_WAY - 1 };
            if !self.arrive(&mut counted, on_their_way).await {
                return counted;
            }
            let is_lost = matches!(outcome, Err(Fault::Storage { .. }));
            counted.outcome = outcome;
            if up_to != after && !is_lost {
                let changes = self.batch.send(place.holder, after, up_to);
                if is_only && counted.outcome.is_ok() {
                    self.store(changes, &mut counted).await;
                    return counted;
                }
                self.send(changes);
                after = up_to;
                // What a task spawns last waits on its own thread until the task waits: let it begin before more is made.
                tokio::task::yield_now().await;
            }
            if counted.outcome.is_err() {
                break;
            }
        }
        if more == More::MayCome || counted.outcome.is_err() {
            self.arrive(&mut counted, 0).await;
        }
        counted
    }

    fn on_its_way(&self) -> Option<Bookmark> {
        self.sent.back().map(|sent| sent.up_to)
    }

    async fn stored(&mut self) -> Result<Option<Bookmark>, Fault> {
        self.wait(0).await?;
        Ok(self.arrived.take())
    }

    fn turn_to(&mut self, view: &ViewId) -> Result<(), ReadModelError> {
        self.view = view.clone();
        self.sent.clear();
        self.arrived = None;
        self.batch = DocumentBatch::new(Arc::clone(&self.storage), view.clone());
        Ok(())
    }

    fn forget(&mut self) {
        self.sent.clear();
        self.arrived = None;
        self.batch.forget();
    }
}
