//! Makes rows of events.

use std::future::Future;
use std::ops::Range;

use crate::block::StoredEvent;
use crate::projection::commits::Batch;
use crate::projection::home::{Fault, More, Refused};
use crate::projection::stored::{Counted, Place, Work, fault};
use crate::store::Position;
use crate::store::read_model::{
    ReadModelError, ReadModelStorage, ViewChanges, ViewDeclaration, ViewId, ViewRecord,
};

/// A database with the tables of a view.
pub(super) trait TablesHome: Send + Sync + 'static {
    fn storage(&self) -> &dyn ReadModelStorage;

    fn make(
        &self,
        declaration: &ViewDeclaration,
    ) -> impl Future<Output = Result<ViewRecord, ReadModelError>> + Send;

    /// Has the projection take some commits, and stores what it made with what changes of the view, all of it or nothing.
    fn project(
        &self,
        changes: ViewChanges,
        settled: Position,
        batch: &Batch,
        commits: Range<usize>,
    ) -> impl Future<Output = Result<(), Stopped>> + Send;

    /// From now on it makes the tables of another build of the view.
    fn turn_to(&mut self, view: &ViewId) -> Result<(), ReadModelError>;

    /// Others may have changed the tables.
    fn forget(&self);
}

/// Why nothing of some commits was stored.
pub(super) struct Stopped {
    /// The commit that is why, where one is.
    pub at: usize,
    pub fault: Fault,
}

impl Stopped {
    pub(super) fn by_storage(at: usize, error: ReadModelError) -> Self {
        let fault = fault(error);
        Self { at, fault }
    }

    pub(super) fn by_event(at: usize, event: &StoredEvent, reason: String) -> Self {
        let fault = Fault::Event(Refused::new(event, reason));
        Self { at, fault }
    }
}

/// Why a projection did not take an event.
pub(in crate::projection) enum NotTaken {
    /// It gave this reason, or panicked with it.
    Refused(String),
    /// The storage failed under it.
    Storage(ReadModelError),
}

impl NotTaken {
    /// What that comes to for the commit of the event.
    pub(super) fn stops(self, at: usize, event: &StoredEvent) -> Stopped {
        match self {
            Self::Refused(reason) => Stopped::by_event(at, event, reason),
            Self::Storage(error) => Stopped::by_storage(at, error),
        }
    }
}

/// Makes the rows of a view: commits together in one transaction with the position.
pub(super) struct TablesWork<H>(pub H);

impl<H: TablesHome> Work for TablesWork<H> {
    fn storage(&self) -> &dyn ReadModelStorage {
        self.0.storage()
    }

    async fn make(&self, declaration: &ViewDeclaration) -> Result<ViewRecord, ReadModelError> {
        self.0.make(declaration).await
    }

    async fn count(
        &mut self,
        place: Place,
        batch: &Batch,
        mut commits: Range<usize>,
        _: More,
    ) -> Counted {
        let mut refused = Ok(());
        // Where one cannot be counted nothing is stored, and those before it are taken once more.
        while let Some(last) = commits.clone().last().and_then(|at| batch.commit_at(at)) {
            let up_to = last.up_to();
            let changes = ViewChanges::new(place.holder, place.after, up_to);
            let projected = self
                .0
                .project(changes, place.settled.least(), batch, commits.clone());
            match projected.await {
                Ok(()) => {
                    return Counted {
                        up_to,
                        outcome: refused,
                    };
                }
                Err(Stopped {
                    at,
                    fault: fault @ Fault::Event(_),
                }) => {
                    commits.end = at.min(commits.end - 1);
                    refused = Err(fault);
                }
                Err(Stopped { fault, .. }) => {
                    refused = Err(fault);
                    break;
                }
            }
        }
        Counted {
            up_to: place.after,
            outcome: refused,
        }
    }

    fn turn_to(&mut self, view: &ViewId) -> Result<(), ReadModelError> {
        self.0.turn_to(view)
    }

    fn forget(&mut self) {
        self.0.forget();
    }
}
