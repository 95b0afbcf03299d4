//! Reading events: every one is verified, and every list is checked to be whole.

use std::collections::HashSet;

use bytes::{Bytes, BytesMut};
use rusqlite::Row;

use super::aggregates::{self, NameDigest, Slot};
use super::database::{Database, count, stored};
use crate::block::{Cid, CidError, CommitPart, Fault, StoredEvent, Truncation, parse_cid};
use crate::store::{AggregateKey, Head, Position, StoreError};

/// How many events of others to step over before looking up the next one is cheaper.
pub(super) const STEPS: u64 = 8;
/// The columns that [`Linked::from_row`] reads.
macro_rules! columns {
    ($rest:literal) => {
        concat!(
            "SELECT position, aggregate, previous_of_aggregate, previous_of_type, sequence, timestamp, cid, body
             FROM events ",
            $rest
        )
    };
}
pub(super) use columns;

/// Room for the bodies of many events: they share it, so that a list needs few allocations, and one event that is
/// kept longer than the others holds no more than this.
pub(super) struct Room {
    free: BytesMut,
    size: usize,
}

impl Room {
    /// For a list.
    pub(super) fn new() -> Self {
        Self {
            free: BytesMut::new(),
            size: 16 * 1024,
        }
    }

    /// For one event.
    fn exact() -> Self {
        Self {
            free: BytesMut::new(),
            size: 0,
        }
    }

    fn keep(&mut self, body: &[u8]) -> Bytes {
        if self.free.capacity() < body.len() {
            self.free = BytesMut::with_capacity(body.len().max(self.size));
        }
        self.free.extend_from_slice(body);
        self.free.split().freeze()
    }
}

struct Stored {
    position: u64,
    previous_of_aggregate: u64,
    previous_of_type: u64,
    sequence: u64,
    timestamp: i64,
    cid: Result<Cid, CidError>,
    body: Bytes,
}

/// An event and where the lists that it stands in go on.
pub(super) struct Linked {
    pub(super) event: StoredEvent,
    previous_of_aggregate: u64,
    pub(super) previous_of_type: u64,
}

impl Linked {
    /// The event in a row of [`columns`], proved.
    pub(super) fn from_row(
        database: &Database,
        row: &Row<'_>,
        room: &mut Room,
    ) -> Result<Self, StoreError> {
        let stored = Stored::from_row(row, room);
        stored
            .map_err(database.failed("reading events"))?
            .verify(database)
    }
}

/// The event at a position, which the caller knows to exist.
pub(super) fn at(database: &Database, position: u64) -> Result<StoredEvent, StoreError> {
    linked_at(database, position, &mut Room::exact()).map(|linked| linked.event)
}

/// The last event of an aggregate, and the head that leads to it; none when it has no event.
pub(super) fn last(
    database: &Database,
    aggregate: &AggregateKey,
    digest: NameDigest,
) -> Result<Option<StoredEvent>, StoreError> {
    match aggregates::find(database, aggregate, digest, &HashSet::new())? {
        Slot::Free { .. } => Ok(None),
        Slot::Taken { head, .. } => at_head(database, aggregate, &head).map(Some),
    }
}

/// The event that a head names, checked to be the last of its commit.
pub(super) fn at_head(
    database: &Database,
    aggregate: &AggregateKey,
    head: &Head,
) -> Result<StoredEvent, StoreError> {
    let event = linked_at(database, head.position.0, &mut Room::exact())?.event;
    check_head(database, aggregate, head, &event)?;
    Ok(event)
}

/// What an event says of its place, without its body.
pub(super) struct Link {
    pub(super) position: u64,
    pub(super) aggregate: i64,
    pub(super) sequence: u64,
    pub(super) previous_of_aggregate: u64,
}

/// Looks at the places of events, from a position on to earlier ones: `next` says which comes next, if any.
pub(super) fn walk_back(
    database: &Database,
    start: u64,
    mut next: impl FnMut(Link) -> Result<Option<u64>, StoreError>,
) -> Result<(), StoreError> {
    let failed = database.failed("reading a history");
    let mut statement = database
        .connection
        .prepare_cached(
            "SELECT position, aggregate, sequence, previous_of_aggregate FROM events
             WHERE position <= ?1 ORDER BY position DESC",
        )
        .map_err(&failed)?;
    let mut position = start;
    'seek: loop {
        database.is_wanted()?;
        let mut rows = statement.query((stored(position),)).map_err(&failed)?;
        let mut steps = 0;
        loop {
            let row = rows.next().map_err(&failed)?;
            let row = row.ok_or_else(|| missing(database, position))?;
            let found = count(row, 0).map_err(&failed)?;
            if found > position {
                steps += 1;
                if steps > STEPS {
                    continue 'seek;
                }
                continue;
            }
            if found < position {
                return Err(missing(database, position));
            }
            steps = 0;
            let link = Link {
                position,
                aggregate: row.get(1).map_err(&failed)?,
                sequence: count(row, 2).map_err(&failed)?,
                previous_of_aggregate: count(row, 3).map_err(&failed)?,
            };
            match next(link)? {
                Some(earlier) => position = earlier,
                None => return Ok(()),
            }
        }
    }
}

/// Checks that an event follows from the one that it names as its predecessor. Where one of the two is damaged itself, that
/// is said where it is read.
pub(super) fn check_link_at(database: &Database, position: u64) -> Result<(), StoreError> {
    let mut room = Room::exact();
    let mut whole = |position| match linked_at(database, position, &mut room) {
        Ok(linked) => Ok(Some(linked)),
        Err(StoreError::Damaged(_)) => Ok(None),
        Err(error) => Err(error),
    };
    let Some(linked) = whole(position)? else {
        return Ok(());
    };
    match linked.previous_of_aggregate {
        0 if linked.event.envelope.sequence == 1 => Ok(()),
        previous if (1..position).contains(&previous) => match whole(previous)? {
            Some(previous) => check_link(database, &previous.event, &linked.event),
            None => Ok(()),
        },
        previous => Err(database.damaged(
            position,
            linked.event.cid,
            format!("the event names position {previous} as that of its predecessor"),
        )),
    }
}

pub(super) fn linked_at(
    database: &Database,
    position: u64,
    room: &mut Room,
) -> Result<Linked, StoreError> {
    database
        .first(
            "reading an event",
            columns!("WHERE position = ?1"),
            (stored(position),),
            |row| Stored::from_row(row, room),
        )?
        .ok_or_else(|| missing(database, position))?
        .verify(database)
}

pub(super) fn missing(database: &Database, position: u64) -> StoreError {
    database.damaged(position, None, "the event is missing")
}

pub(super) fn check_head(
    database: &Database,
    aggregate: &AggregateKey,
    head: &Head,
    event: &StoredEvent,
) -> Result<(), StoreError> {
    let envelope = &event.envelope;
    let fits = event.cid == head.cid
        && envelope.sequence == head.version
        && envelope.timestamp == head.timestamp
        && envelope.aggregate == aggregate.kind()
        && envelope.aggregate_id == aggregate.id().as_str();
    if !fits {
        let fault = if !aggregate.has(event) {
            Fault::WrongAggregate {
                expected: aggregate.to_string(),
                found: owner(event),
            }
        } else if envelope.sequence != head.version {
            Fault::Gap {
                expected: head.version,
                found: envelope.sequence,
            }
        } else if event.cid != head.cid {
            Fault::Fork { other: head.cid }
        } else {
            let reason = format!(
                "the head of {aggregate} says another time, {}",
                head.timestamp
            );
            return Err(database.damaged(event.position.0, event.cid, reason));
        };
        return Err(database.judged()(fault.at(event.place())));
    }
    let CommitPart { index, of, .. } = envelope.commit;
    if index != of {
        let missing = Truncation::Commit { index, count: of };
        let verdict = Fault::Truncated { missing }.at(event.place());
        return Err(database.judged()(verdict));
    }
    Ok(())
}

pub(super) fn check_link(
    database: &Database,
    event: &StoredEvent,
    next: &StoredEvent,
) -> Result<(), StoreError> {
    let (here, there) = (&event.envelope, &next.envelope);
    let is_one_time = there.commit.is_first() || here.timestamp == there.timestamp;
    let fault = if here.aggregate != there.aggregate || here.aggregate_id != there.aggregate_id {
        Fault::WrongAggregate {
            expected: owner(event),
            found: owner(next),
        }
    } else if here.sequence == there.sequence && event.cid != next.cid {
        Fault::Fork { other: event.cid }
    } else if here.sequence.checked_add(1) != Some(there.sequence) {
        Fault::Gap {
            expected: here.sequence.saturating_add(1),
            found: there.sequence,
        }
    } else if there.previous != Some(event.cid) {
        Fault::PreviousMismatch {
            expected: Some(event.cid),
            found: there.previous,
        }
    } else if !here.commit.is_followed_by(&there.commit) || !is_one_time {
        Fault::CommitMismatch {
            last: Some(here.commit),
            found: there.commit,
        }
    } else if (here.sequence == 1) != here.previous.is_none() {
        let fault = Fault::PreviousMismatch {
            expected: None,
            found: here.previous,
        };
        return Err(database.judged()(fault.at(event.place())));
    } else {
        return Ok(());
    };
    Err(database.judged()(fault.at(next.place())))
}

/// The aggregate of an event, as verdicts name it.
pub(super) fn owner(event: &StoredEvent) -> String {
    let envelope = &event.envelope;
    format!("{} {}", envelope.aggregate, envelope.aggregate_id)
}

impl Stored {
    fn from_row(row: &Row<'_>, room: &mut Room) -> rusqlite::Result<Self> {
        Ok(Self {
            position: count(row, 0)?,
            previous_of_aggregate: count(row, 2)?,
            previous_of_type: count(row, 3)?,
            sequence: count(row, 4)?,
            timestamp: row.get(5)?,
            cid: parse_cid(row.get_ref(6)?.as_blob()?),
            body: room.keep(row.get_ref(7)?.as_blob()?),
        })
    }

    fn verify(self, database: &Database) -> Result<Linked, StoreError> {
        let cid = self.cid.map_err(|error| {
            database.damaged(
                self.position,
                None,
                format!("the CID beside the event: {error}"),
            )
        })?;
        let event = StoredEvent::verify(Position(self.position), cid, self.body)
            .map_err(database.judged())?;
        let envelope = &event.envelope;
        if envelope.sequence != self.sequence || envelope.timestamp.as_micros() != self.timestamp {
            return Err(database.damaged(
                self.position,
                cid,
                format!(
                    "the columns say sequence {} at {} µs, the envelope says {} at {} µs",
                    self.sequence,
                    self.timestamp,
                    envelope.sequence,
                    envelope.timestamp.as_micros()
                ),
            ));
        }
        Ok(Linked {
            event,
            previous_of_aggregate: self.previous_of_aggregate,
            previous_of_type: self.previous_of_type,
        })
    }
}
