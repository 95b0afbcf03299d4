//! Pages of events for readers that share their work by positions.

use std::sync::Arc;

use async_trait::async_trait;

use super::{SqliteEventStore, select};
use crate::store::{EventPage, EventPages, Position, Selection, StoreError};

/// How many events are read at once; fewer when they are large.
const PAGE: u64 = 1_024;

#[async_trait]
impl EventPages for SqliteEventStore {
    async fn page(
        &self,
        selection: Arc<Selection>,
        after: Position,
        until: Position,
    ) -> Result<EventPage, StoreError> {
        let digest = self.shared.digest;
        let read = self.shared.readers.read(move |database| {
            select::page(database, &selection, after.0, until.0, PAGE, digest)
        });
        let page = read.await?;
        Ok(EventPage {
            events: page.events,
            reached: Position(page.reached.min(until.0)),
        })
    }
}
