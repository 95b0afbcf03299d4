//! The rows of the events, in order.

use bytes::Bytes;
use rusqlite::Row;

use crate::block::{EnvelopeRef, Position, ShortCid};
use crate::engine::sqlite::aggregates::{self, NameDigest};
use crate::engine::sqlite::database::{Database, count, stored};
use crate::engine::sqlite::raw::indexes::Chunk;
use crate::engine::sqlite::schema::WITHOUT_KINDS;
use crate::engine::sqlite::{cids, format};
use crate::store::raw::{Name, RawBlock, RawItem, RawLinks, RawPage};
use crate::store::{Damage, StoreError};

/// How many positions a page has at most.
const PAGE: u64 = 1_024;
/// The bytes of events past which a page has no further one.
const PAGE_BYTES: usize = 1024 * 1024;
/// The room that is made for the body of an event at first.
const ROOM: usize = 768;
/// How many positions are looked at one by one where SQLite cannot go from one to the next.
const SINGLY: u64 = 256;

macro_rules! columns {
    ($rest:literal) => {
        concat!(
            "SELECT position, aggregate, previous_of_aggregate, type, previous_of_type, sequence, timestamp, cid, body
             FROM events ",
            $rest
        )
    };
}

/// The columns that repeat what the envelope says.
#[derive(Clone, Copy)]
struct Columns {
    aggregate: i64,
    sequence: i64,
    timestamp: i64,
}

impl Columns {
    fn compare(
        &self,
        envelope: &EnvelopeRef<'_>,
        name: &Name,
        digest: NameDigest,
    ) -> Option<String> {
        let (kind, id) = (envelope.aggregate, envelope.aggregate_id);
        if self.sequence != stored(envelope.sequence)
            || self.timestamp != envelope.timestamp.as_micros()
        {
            return Some(format!(
                "the columns say sequence {} at {} µs, the envelope says {} at {} µs",
                self.sequence,
                self.timestamp,
                envelope.sequence,
                envelope.timestamp.as_micros()
            ));
        }
        // Nearly every aggregate is under the digest of its name, which was taken already.
        let is_there = self.aggregate == name.first_bytes()
            || aggregates::is_place(self.aggregate, kind, id, digest);
        (!is_there).then(|| {
            format!(
                "the column beside it says that it is of the aggregate under key {}, where `{kind} {id}` does not belong",
                self.aggregate
            )
        })
    }
}

/// A page that is being read.
struct Gathered {
    found: Vec<Found>,
    columns: Vec<Option<Columns>>,
    /// The bodies, which share few allocations.
    room: Vec<u8>,
    at: u64,
}

enum Found {
    Row {
        position: u64,
        cid: Result<ShortCid, String>,
        /// What of the CID the index of CIDs has.
        entry: u64,
        links: RawLinks,
        /// Where its body is in the room.
        body: (usize, usize),
    },
    Hole {
        first: u64,
        last: u64,
        /// Why it cannot be read; none where there is no row.
        reason: Option<String>,
    },
}

/// What stands behind a position and up to another, as far as a page reaches.
pub(super) fn page(
    database: &Database,
    after: u64,
    until: u64,
    digest: NameDigest,
    chunk: Option<&mut Chunk>,
) -> Result<RawPage, StoreError> {
    let most = until.saturating_sub(after).min(PAGE) as usize;
    let mut gathered = Gathered {
        found: Vec::with_capacity(most),
        columns: Vec::with_capacity(most),
        room: Vec::with_capacity(most * ROOM),
        at: after,
    };
    match gathered.scan(database, after, until) {
        Ok(()) => {}
        // SQLite cannot go from one row to the next.
        Err(StoreError::Damaged(_)) => gathered.one_by_one(database, until)?,
        Err(error) => return Err(error),
    }
    if let Some(chunk) = chunk {
        gathered.tell(chunk);
    }
    let lists_have_kinds = format::version(database)? != WITHOUT_KINDS;
    Ok(gathered.page(database, lists_have_kinds, digest))
}

impl Gathered {
    fn is_full(&self, after: u64) -> bool {
        self.room.len() >= PAGE_BYTES || self.at - after >= PAGE
    }

    fn scan(&mut self, database: &Database, after: u64, until: u64) -> Result<(), StoreError> {
        database.is_wanted()?;
        let failed = database.failed("reading events");
        let mut statement = database
            .connection
            .prepare_cached(columns!(
                "WHERE position > ?1 AND position <= ?2 ORDER BY position"
            ))
            .map_err(&failed)?;
        let mut rows = statement
            .query((stored(after), stored(until)))
            .map_err(&failed)?;
        while !self.is_full(after) {
            let Some(row) = rows.next().map_err(&failed)? else {
                self.hole_up_to(until, None);
                return Ok(());
            };
            let position = count(row, 0).map_err(&failed)?;
            if position <= self.at {
                return Err(database.damaged(position, None, "the rows are not in order"));
            }
            self.hole_up_to(position - 1, None);
            self.row(position, row);
        }
        Ok(())
    }

    /// Says what the indexes are to lead to.
    fn tell(&self, chunk: &mut Chunk) {
        for found in &self.found {
            if let Found::Row {
                position,
                entry,
                links,
                ..
            } = found
            {
                chunk.put(*position, links.list, *entry);
            }
        }
    }

    fn one_by_one(&mut self, database: &Database, until: u64) -> Result<(), StoreError> {
        let last = until.min(self.at.saturating_add(SINGLY));
        while self.at < last && self.room.len() < PAGE_BYTES {
            let position = self.at + 1;
            let read = database.first(
                "reading an event",
                columns!("WHERE position = ?1"),
                (stored(position),),
                |row| {
                    self.row(position, row);
                    Ok(())
                },
            );
            match read {
                Ok(Some(())) => {}
                Ok(None) => self.hole_up_to(position, None),
                Err(StoreError::Damaged(damage)) => {
                    self.hole_up_to(position, Some(damage.to_string()));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn row(&mut self, position: u64, row: &Row<'_>) {
        match self.read(position, row) {
            Ok((found, columns)) => {
                self.found.push(found);
                self.columns.push(Some(columns));
                self.at = position;
            }
            Err(error) => self.hole_up_to(position, Some(error.to_string())),
        }
    }

    fn read(&mut self, position: u64, row: &Row<'_>) -> rusqlite::Result<(Found, Columns)> {
        let cid = row.get_ref(7)?.as_blob()?;
        let (entry, cid) = (cids::prefix(cid), ShortCid::parse(cid));
        let body = row.get_ref(8)?.as_blob()?;
        let links = RawLinks {
            previous_of_aggregate: row.get::<_, i64>(2)?.cast_unsigned(),
            list: row.get::<_, i64>(3)?.cast_unsigned(),
            previous_of_list: row.get::<_, i64>(4)?.cast_unsigned(),
        };
        let columns = Columns {
            aggregate: row.get(1)?,
            sequence: row.get(5)?,
            timestamp: row.get(6)?,
        };
        let start = self.room.len();
        self.room.extend_from_slice(body);
        let found = Found::Row {
            position,
            cid: cid.map_err(|error| format!("the CID beside the event: {error}")),
            entry,
            links,
            body: (start, self.room.len()),
        };
        Ok((found, columns))
    }

    /// Says that there is nothing to be read up to a position.
    fn hole_up_to(&mut self, position: u64, why: Option<String>) {
        if position <= self.at {
            return;
        }
        if let Some(Found::Hole { last, reason, .. }) = self.found.last_mut()
            && *reason == why
        {
            *last = position;
        } else {
            self.found.push(Found::Hole {
                first: self.at + 1,
                last: position,
                reason: why,
            });
            self.columns.push(None);
        }
        self.at = position;
    }

    fn page(self, database: &Database, lists_have_kinds: bool, digest: NameDigest) -> RawPage {
        let room = Bytes::from(self.room);
        let items = self.found.into_iter().map(|found| match found {
            Found::Row {
                position,
                cid,
                links,
                body: (start, end),
                ..
            } => RawItem::Block(RawBlock {
                position: Position(position),
                cid,
                body: room.slice(start..end),
                removed: 0,
                links: Some(links),
            }),
            Found::Hole {
                first,
                last,
                reason,
            } => RawItem::Unreadable {
                damage: Box::new(hole(database, first, last, reason)),
                until: Position(last),
            },
        });
        let columns = self.columns;
        RawPage {
            items: items.collect(),
            reached: Position(self.at),
            removed: 0,
            lists_have_kinds,
            sound: None,
            beside: Box::new(move |index, envelope, name| {
                let columns = columns.get(index)?.as_ref()?;
                columns.compare(envelope, name, digest)
            }),
        }
    }
}

fn hole(database: &Database, first: u64, last: u64, reason: Option<String>) -> Damage {
    let reason = match (first == last, reason) {
        (true, None) => "the event is missing".to_owned(),
        (false, None) => format!("the events from here to position {last} are missing"),
        (true, Some(reason)) => format!("the event cannot be read: {reason}"),
        (false, Some(reason)) => {
            format!("the events from here to position {last} cannot be read: {reason}")
        }
    };
    Damage::new(database.location().clone(), Position(first), None, reason)
}
