//! The table of event types: their numbers, and where each was written last.

use std::collections::HashMap;

use sha2::{Digest, Sha256};

use super::database::{Database, count, stored};
use super::events;
use super::schema::indexed;
use crate::store::StoreError;

/// How many events of others are looked through; past that it is less work to read all types.
const MOST_ADDED: u64 = 1_024;

/// What is kept of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TypeRow {
    /// Its number, from 1.
    pub(super) number: u64,
    /// The position of its last event.
    pub(super) last: u64,
    /// Whether the event there was found to be of this type.
    pub(super) is_checked: bool,
}

/// All types by name, and the position of the last event of all.
#[derive(Clone, Debug, Default)]
pub(super) struct Types {
    pub(super) by_name: HashMap<Box<str>, TypeRow>,
    pub(super) last: u64,
}

/// Reads all types and checks them against the events: numbers without a gap up to the highest that an event has, a
/// digest of each name, and the last event of all.
pub(super) fn read(database: &Database) -> Result<Types, StoreError> {
    let rows = database.all(
        "reading the types of events",
        "SELECT number, name, digest, last FROM types ORDER BY number",
        (),
        |row| {
            Ok((
                count(row, 0)?,
                row.get::<_, String>(1)?,
                row.get::<_, i64>(2)?,
                count(row, 3)?,
            ))
        },
    )?;
    let mut types = Types::default();
    for (index, (number, name, digest, last)) in rows.into_iter().enumerate() {
        if number != index as u64 + 1 || digest != name_digest(&name) {
            return Err(database.damaged(
                None,
                None,
                format!("the row of event type {number} `{name}` is not what was written"),
            ));
        }
        types.last = types.last.max(last);
        types.by_name.insert(
            name.into(),
            TypeRow {
                number,
                last,
                is_checked: false,
            },
        );
    }
    agree(database, types.last)?;
    let highest = highest_number(database, types.last)?;
    if highest != types.by_name.len() as u64 {
        return Err(database.damaged(
            None,
            None,
            format!(
                "the table of event types has {} rows, the events have {highest} types",
                types.by_name.len()
            ),
        ));
    }
    Ok(types)
}

/// Takes in what others have added since `types` was read: reads and checks the types of those events alone. Whether that
/// was so little that it could; if not, all are to be read again.
pub(super) fn catch_up(database: &Database, types: &mut Types) -> Result<bool, StoreError> {
    let last = highest_position(database)?;
    let Some(added @ 0..=MOST_ADDED) = last.checked_sub(types.last) else {
        return Ok(false);
    };
    if added == 0 {
        return Ok(true);
    }
    let changed = database.all(
        "reading the types of events",
        "SELECT type, max(position) FROM events WHERE position > ?1 GROUP BY type ORDER BY type",
        (stored(types.last),),
        |row| Ok((count(row, 0)?, count(row, 1)?)),
    )?;
    for (number, position) in changed {
        let row = database.first(
            "reading the types of events",
            "SELECT name, digest, last FROM types WHERE number = ?1",
            (stored(number),),
            |row| {
                Ok((
                    row.get::<_, String>(0)?,
                    row.get::<_, i64>(1)?,
                    count(row, 2)?,
                ))
            },
        )?;
        let row = row.filter(|(name, digest, last)| {
            let known = types.by_name.get(name.as_str());
            let follows = types.by_name.len() as u64 + 1;
            *digest == name_digest(name)
                && *last == position
                && known.map_or(follows, |known| known.number) == number
        });
        let Some((name, _, last)) = row else {
            return Err(database.damaged(
                position,
                None,
                format!("the row of event type {number} is not what was written with this event"),
            ));
        };
        let row = TypeRow {
            number,
            last,
            is_checked: false,
        };
        types.by_name.insert(name.into(), row);
    }
    types.last = last;
    Ok(true)
}

/// Makes sure that a type ends at an event of its own.
pub(super) fn check_last(database: &Database, name: &str, row: TypeRow) -> Result<(), StoreError> {
    let event = events::at(database, row.last)?;
    if event.event_type() != name {
        return Err(database.damaged(
            row.last,
            event.cid,
            format!("event type `{name}` names this as its last event, which is another's"),
        ));
    }
    Ok(())
}

/// The position of the last event, as the types and the events have it; an error when they differ.
pub(super) fn last_position(database: &Database) -> Result<u64, StoreError> {
    let last = database
        .first(
            "reading the last position",
            "SELECT coalesce(max(last), 0) FROM types",
            (),
            |row| count(row, 0),
        )?
        .unwrap_or(0);
    agree(database, last)?;
    Ok(last)
}

/// Adds a type, or keeps where it was written last.
pub(super) fn save(
    database: &Database,
    name: &str,
    row: TypeRow,
    is_new: bool,
) -> Result<(), StoreError> {
    let changed = if is_new {
        database.execute(
            "adding an event type",
            "INSERT INTO types (number, name, digest, last) VALUES (?1, ?2, ?3, ?4)",
            (
                stored(row.number),
                name,
                name_digest(name),
                stored(row.last),
            ),
        )?
    } else {
        database.execute(
            "moving the last event of a type",
            "UPDATE types SET last = ?2 WHERE number = ?1",
            (stored(row.number), stored(row.last)),
        )?
    };
    if changed != 1 {
        return Err(database.damaged(
            None,
            None,
            format!("the row of event type `{name}` is not what the writer read"),
        ));
    }
    Ok(())
}

/// Indexes the segments that are full when the last position moved from `before` to `after`.
pub(super) fn extend(database: &Database, before: u64, after: u64) -> Result<(), StoreError> {
    let (first, last) = (indexed(before) + 1, indexed(after));
    if first > last {
        return Ok(());
    }
    let added = database.execute(
        "indexing the types of events",
        "INSERT INTO type_positions (type, position)
         SELECT type, position FROM events WHERE position BETWEEN ?1 AND ?2 ORDER BY type, position",
        (stored(first), stored(last)),
    )?;
    if added as u64 != last + 1 - first {
        return Err(database.damaged(
            first,
            None,
            format!("{added} of {} events from here on exist", last + 1 - first),
        ));
    }
    Ok(())
}

/// At most `limit` positions of a type after a position, in order: those that are indexed, then the latest.
pub(super) fn positions(
    database: &Database,
    number: u64,
    after: u64,
    limit: usize,
    last: u64,
) -> Result<Vec<u64>, StoreError> {
    let mut positions = database.all(
        "looking for events of a type",
        "SELECT position FROM type_positions WHERE type = ?1 AND position > ?2 ORDER BY position LIMIT ?3",
        (stored(number), stored(after), stored(limit as u64)),
        |row| count(row, 0),
    )?;
    if positions.len() < limit {
        let recent = database.all(
            "looking for events of a type",
            "SELECT position FROM events WHERE position > ?1 AND type = ?2 ORDER BY position LIMIT ?3",
            (
                stored(indexed(last).max(after)),
                stored(number),
                stored((limit - positions.len()) as u64),
            ),
            |row| count(row, 0),
        )?;
        positions.extend(recent);
    }
    Ok(positions)
}

/// Checks that the index covers what it must: each indexed event once.
pub(super) fn check(database: &Database, last: u64) -> Result<(), StoreError> {
    let fits = database
        .first(
            "checking the index of types",
            "SELECT count(*), coalesce(max(position), 0) FROM type_positions
             JOIN events USING (position) WHERE events.type = type_positions.type",
            (),
            |row| Ok((count(row, 0)?, count(row, 1)?)),
        )?
        .unwrap_or_default();
    let rows = database
        .first(
            "checking the index of types",
            "SELECT count(*) FROM type_positions",
            (),
            |row| count(row, 0),
        )?
        .unwrap_or_default();
    let expected = indexed(last);
    if fits != (expected, expected) || rows != expected {
        return Err(database.damaged(
            None,
            None,
            format!(
                "the index of types has {rows} rows, {expected} belong there and {} fit",
                fits.0
            ),
        ));
    }
    Ok(())
}

fn highest_position(database: &Database) -> Result<u64, StoreError> {
    database
        .first(
            "reading the last position",
            "SELECT coalesce(max(position), 0) FROM events",
            (),
            |row| count(row, 0),
        )
        .map(Option::unwrap_or_default)
}

fn agree(database: &Database, last: u64) -> Result<(), StoreError> {
    let highest = highest_position(database)?;
    if highest != last {
        return Err(database.damaged(
            None,
            None,
            format!("the events end at position {highest}, their types say {last}"),
        ));
    }
    Ok(())
}

fn highest_number(database: &Database, last: u64) -> Result<u64, StoreError> {
    let of_indexed = database.first(
        "reading the types of events",
        "SELECT coalesce(max(type), 0) FROM type_positions",
        (),
        |row| count(row, 0),
    )?;
    let of_recent = database.first(
        "reading the types of events",
        "SELECT coalesce(max(type), 0) FROM events WHERE position > ?1",
        (stored(indexed(last)),),
        |row| count(row, 0),
    )?;
    Ok(of_indexed.max(of_recent).unwrap_or(0))
}

fn name_digest(name: &str) -> i64 {
    let digest = Sha256::digest(name);
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    i64::from_be_bytes(first)
}
