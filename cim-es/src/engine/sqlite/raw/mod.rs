//! The way under the readers of the file, for who checks all of it and goes on behind what is damaged.
//!
//! Nothing here is proved: rows are given as they are, and what SQLite cannot read is an item like any other.

mod beside;
mod ends;
mod indexes;
mod pages;
mod ranges;

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream;

use super::SqliteEventStore;
use super::database::{Database, count};
use crate::store::raw::{HeadPage, ListRow, PartPage, RawEvents, RawPages, RawRanges};
use crate::store::{Location, Position, StoreError};

/// What is checked beside the events, the ends of histories and the types.
const PARTS: [&str; 7] = [
    INDEXES,
    "the positions of versions",
    "objects",
    "snapshots",
    "checkpoints",
    "views",
    SYNC_STATE,
];
/// Where the indexes stand among the parts.
const INDEXES_AT: usize = 0;
const INDEXES: &str = "the indexes over types and CIDs";
const SYNC_STATE: &str = "what is known of the stream";

#[async_trait]
impl RawEvents for SqliteEventStore {
    fn location(&self) -> Location {
        self.shared.files.location.clone()
    }

    async fn end(&self) -> Result<Position, StoreError> {
        Ok(Position(self.shared.readers.look(end).await?))
    }

    fn pages(self: Arc<Self>, after: Position, until: Position) -> RawPages {
        let (shared, until) = (self.shared.clone(), until.0);
        let digest = self.shared.digest;
        let pages = stream::try_unfold((shared, after.0), move |(shared, at)| async move {
            if at >= until {
                return Ok::<_, StoreError>(None);
            }
            let read = shared
                .readers
                .look(move |database| pages::page(database, at, until, digest, None));
            let page = read.await?;
            let reached = page.reached.0;
            Ok(Some((page, (shared, reached))))
        });
        Box::pin(pages)
    }

    fn ranges(&self) -> Option<Arc<dyn RawRanges>> {
        Some(Arc::new(ranges::Ranges::of(Arc::clone(&self.shared))))
    }

    fn ranges_of_events(&self) -> Option<Arc<dyn RawRanges>> {
        let shared = Arc::clone(&self.shared);
        Some(Arc::new(ranges::Ranges::of_events(shared)))
    }

    async fn heads(&self, after: Option<i64>) -> Result<HeadPage, StoreError> {
        let digest = self.shared.digest;
        let readers = &self.shared.readers;
        readers
            .look(move |database| ends::heads(database, after, digest))
            .await
    }

    async fn lists(&self) -> Result<Vec<ListRow>, StoreError> {
        self.shared.readers.look(ends::lists).await
    }

    fn parts(&self) -> &'static [&'static str] {
        &PARTS
    }

    async fn check_part(&self, part: &'static str, from: u64) -> Result<PartPage, StoreError> {
        let readers = &self.shared.readers;
        readers
            .look(move |database| match part {
                INDEXES => indexes::check(database, from),
                "the positions of versions" => beside::versions(database),
                "objects" => beside::objects(database, from),
                "snapshots" => beside::snapshots(database, from),
                "checkpoints" => beside::checkpoints(database),
                SYNC_STATE => beside::sync_state(database),
                _ => beside::views(database),
            })
            .await
    }
}

/// The last position that an event or a type names.
fn end(database: &Database) -> Result<u64, StoreError> {
    let asked = |sql| {
        let found = database.first("reading the last position", sql, (), |row| count(row, 0));
        found.map(Option::unwrap_or_default)
    };
    let of_events = asked("SELECT coalesce(max(position), 0) FROM events WHERE position > 0");
    let of_types = asked("SELECT coalesce(max(last), 0) FROM types WHERE last > 0");
    match (of_events, of_types) {
        (Ok(one), Ok(other)) => Ok(one.max(other)),
        // Each says where the other cannot be read.
        (Ok(end), Err(StoreError::Damaged(_))) | (Err(StoreError::Damaged(_)), Ok(end)) => Ok(end),
        (Err(error), _) | (_, Err(error)) => Err(error),
    }
}
