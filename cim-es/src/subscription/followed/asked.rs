//! What persons ask for about parked events: a view of its own, so that it is written while the subscription is held.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::record::{Record, decoded, documents, encoded, is_lost};
use crate::store::Position;
use crate::store::read_model::{DocumentChange, Hold, ReadModelError, ReadModelStorage, ViewId};
use crate::store::subscription::ParkedRequest;

/// For how long a view is held that is written once.
const LEASE: Duration = Duration::from_secs(5);
/// How long to wait for another who writes.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(20);

/// What is to be done with one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Asked {
    /// Tells it from an earlier one about the same event.
    pub(super) id: Uuid,
    pub(super) position: Position,
    pub(super) request: ParkedRequest,
}

/// All that was asked for.
pub(super) async fn all(
    storage: &dyn ReadModelStorage,
    requests: &ViewId,
) -> Result<BTreeMap<Position, Asked>, ReadModelError> {
    let documents = match documents(storage, requests).await {
        Err(ReadModelError::NoSuchView { .. }) => return Ok(BTreeMap::new()),
        documents => documents?,
    };
    let asked = documents.iter().map(|document| {
        let asked: Asked = decoded(storage, document)?;
        Ok((asked.position, asked))
    });
    asked.collect()
}

/// The changes that ask for something, in place of what was asked for about the same event before, and that forget what
/// was asked for about events that are no longer parked.
pub(super) fn ask(
    asked: &Asked,
    before: &BTreeMap<Position, Asked>,
    is_parked: impl Fn(&Position) -> bool,
) -> Vec<DocumentChange> {
    let over = before.keys().filter(|position| !is_parked(position));
    let mut documents: Vec<_> = over.map(|at| DocumentChange::delete(key(*at))).collect();
    documents.push(DocumentChange::put(key(asked.position), encoded(asked)));
    documents
}

/// Writes into a view that nobody holds for long.
pub(super) async fn write(
    record: &Record,
    documents: Vec<DocumentChange>,
) -> Result<(), ReadModelError> {
    let documents = &documents;
    let written = write_of(record, || async move { Ok(Some(documents.clone())) });
    written.await.map(drop)
}

/// The same with documents that are made of what is there; gives whether they were, and are written.
pub(super) async fn write_of<F>(
    record: &Record,
    make: impl Fn() -> F,
) -> Result<bool, ReadModelError>
where
    F: Future<Output = Result<Option<Vec<DocumentChange>>, ReadModelError>>,
{
    let end = Instant::now() + PATIENCE;
    loop {
        let held = record.hold(LEASE).await?;
        if matches!(held, Hold::Held { .. }) {
            let written = write_held(record, &make).await;
            record.release().await;
            match written {
                // The same may be written twice.
                Err(error) if is_lost(&error) || error.is_transient() => {}
                written => return written,
            }
        }
        if Instant::now() >= end {
            return Err(ReadModelError::NotHeld {
                location: record.storage.location(),
                view: record.view.clone(),
                by: None,
            });
        }
        sleep(PAUSE).await;
    }
}

async fn write_held<F>(record: &Record, make: &impl Fn() -> F) -> Result<bool, ReadModelError>
where
    F: Future<Output = Result<Option<Vec<DocumentChange>>, ReadModelError>>,
{
    let up_to = record.up_to().await?;
    let Some(documents) = make().await? else {
        return Ok(false);
    };
    record.commit(up_to, up_to, documents).await.map(|()| true)
}

fn key(position: Position) -> String {
    format!("{:020}", position.0)
}
