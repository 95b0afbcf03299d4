//! Views as the writer of the events keeps them.

use std::sync::Arc;

use tokio::sync::{Notify, watch};

use super::asking::Asking;
use crate::block::StoredEvent;
use crate::document::DocumentBatch;
use crate::domain::message::{Clock, SystemClock};
use crate::engine::sqlite::{InlineView, OpenView, Standing, Uncounted};
use crate::projection::tables::{InTables, NotTaken, take};
use crate::projection::{InDocuments, Parked, ViewId, ViewState, ViewStatus, panic};
use crate::store::read_model::{DocumentChange, ReadModelError, TableNames, ViewDeclaration};
use crate::store::{Bookmark, Location, Position, Selection};

/// Why an event is refused whose projection waits.
const WAITS: &str = "the projection waits for something else than its documents: a view that is kept inline is written \
     while a commit waits for it, so take the wait out of the projection, or keep the view by `ProjectionManager::documents`";

/// What is said of a view, and how its task is called.
#[derive(Clone)]
pub(super) struct Said {
    pub(super) status: watch::Sender<ViewStatus>,
    pub(super) called: Arc<Notify>,
}

impl Said {
    pub(super) fn new(begun: ViewStatus) -> Self {
        Self {
            status: watch::channel(begun).0,
            called: Arc::default(),
        }
    }

    /// Says where a view stands.
    fn stands(&self, standing: &Standing<'_>) {
        self.status.send_modify(|status| say(status, standing));
    }

    /// An event cannot be counted.
    fn refused(&self, event: &StoredEvent, reason: String) -> Uncounted {
        tracing::error!(
            view = %self.status.borrow().view, position = event.position.0,
            event_type = event.event_type(), reason,
            "the view is parked: mend the projection and resume it, or skip the event with a reason"
        );
        Uncounted::Refused(Box::new(Parked {
            bookmark: event.bookmark(),
            event_type: event.event_type().to_owned(),
            reason,
            since: SystemClock.now(),
        }))
    }
}

/// What the writer of the events has of a view of documents.
pub(super) struct InlineDocuments<P: InDocuments> {
    projection: P,
    declaration: ViewDeclaration,
    selection: Selection,
    batch: DocumentBatch<P::Document>,
    asking: Asking,
    said: Said,
}

impl<P: InDocuments> InlineDocuments<P> {
    pub(super) fn new(
        projection: P,
        declaration: ViewDeclaration,
        location: Location,
        said: Said,
    ) -> Self {
        let asking = Asking::new(location);
        Self {
            projection,
            batch: DocumentBatch::new(Arc::new(asking.clone()), declaration.view.clone()),
            declaration,
            selection: P::selection(),
            asking,
            said,
        }
    }

    /// Counts one event.
    fn take(
        &mut self,
        on: &OpenView<'_>,
        event: &StoredEvent,
        is_new: bool,
    ) -> Result<(), Uncounted> {
        let mut documents = self.batch.documents();
        let taken = panic::caught(self.projection.take(event, is_new, &mut documents));
        let reason = match self.asking.run(taken, on) {
            Some(Ok(Ok(()))) => return Ok(()),
            Some(Ok(Err(error))) => match error.into_storage_error() {
                Ok(error) => return Err(Uncounted::Storage(error)),
                Err(error) => error.to_string(),
            },
            Some(Err(panic)) => panic,
            None => WAITS.to_owned(),
        };
        Err(self.said.refused(event, reason))
    }
}

impl<P: InDocuments> InlineView for InlineDocuments<P> {
    fn declaration(&self) -> &ViewDeclaration {
        &self.declaration
    }

    fn selection(&self) -> &Selection {
        &self.selection
    }

    fn turn_to(&mut self, build: &ViewId) -> Result<(), ReadModelError> {
        self.declaration.view = build.clone();
        self.batch = DocumentBatch::new(Arc::new(self.asking.clone()), build.clone());
        Ok(())
    }

    fn tables(&self) -> Option<(&TableNames, &str)> {
        None
    }

    fn count(
        &mut self,
        on: &OpenView<'_>,
        commit: &[&StoredEvent],
        settled: Position,
    ) -> Result<(), Uncounted> {
        self.batch.mark();
        for event in commit {
            let taken = self.take(on, event, event.position > settled);
            if taken.is_err() {
                self.batch.undo();
                return taken;
            }
        }
        Ok(())
    }

    fn changes(&self) -> Vec<DocumentChange> {
        self.batch.document_changes().collect()
    }

    fn stored(&mut self, standing: &Standing<'_>) {
        self.batch.stored();
        self.said.stands(standing);
    }

    fn forget(&mut self) {
        self.batch.forget();
    }

    fn call(&self) {
        self.said.called.notify_one();
    }
}

/// What the writer of the events has of a view of tables.
pub(super) struct InlineTables<P: InTables> {
    pub(super) projection: P,
    pub(super) declaration: ViewDeclaration,
    pub(super) selection: Selection,
    pub(super) names: Arc<TableNames>,
    pub(super) said: Said,
}

impl<P: InTables> InlineView for InlineTables<P> {
    fn declaration(&self) -> &ViewDeclaration {
        &self.declaration
    }

    fn selection(&self) -> &Selection {
        &self.selection
    }

    fn turn_to(&mut self, build: &ViewId) -> Result<(), ReadModelError> {
        self.names = Arc::new(TableNames::declared_in(build, P::TABLES)?);
        self.declaration.view = build.clone();
        Ok(())
    }

    fn tables(&self) -> Option<(&TableNames, &str)> {
        Some((&self.names, P::TABLES))
    }

    fn count(
        &mut self,
        on: &OpenView<'_>,
        commit: &[&StoredEvent],
        settled: Position,
    ) -> Result<(), Uncounted> {
        on.project(&self.names, |tables| {
            for event in commit {
                let is_new = event.position > settled;
                let taken = take(&self.projection, event, is_new, tables);
                taken.map_err(|not_taken| match not_taken {
                    NotTaken::Refused(reason) => self.said.refused(event, reason),
                    NotTaken::Storage(error) => Uncounted::Storage(error),
                })?;
            }
            Ok(())
        })
    }

    fn changes(&self) -> Vec<DocumentChange> {
        Vec::new()
    }

    fn stored(&mut self, standing: &Standing<'_>) {
        self.said.stands(standing);
    }

    fn forget(&mut self) {}

    fn call(&self) {
        self.said.called.notify_one();
    }
}

/// Says where a view stands.
fn say(status: &mut ViewStatus, standing: &Standing<'_>) {
    let record = standing.record;
    let shown = match record.is_serving {
        true => record.up_to,
        false => Bookmark::START,
    };
    status.say_where(shown, record.up_to);
    status.store_end = status.store_end.max(standing.end);
    status.counted += standing.counted;
    status.up_to_time = standing.last.or(status.up_to_time);
    if status.skipped.len() != record.skipped.len() {
        status.skipped.clone_from(&record.skipped);
    }
    status.state = match &record.parked {
        Some(parked) => ViewState::Parked(Box::new(parked.clone())),
        None if record.up_to.position >= standing.end => ViewState::Live,
        None => ViewState::CatchingUp,
    };
}
