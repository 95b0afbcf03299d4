//! The index over types: the positions of the events of each, but for the latest.

use super::database::{Database, count, stored};
use super::schema::indexed;
use crate::store::StoreError;

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

/// Writes the index anew, up to a position.
pub(super) fn rebuild(database: &Database, last: u64) -> Result<(), StoreError> {
    database.execute(
        "indexing the types of events",
        "DELETE FROM type_positions",
        (),
    )?;
    extend(database, 0, last)
}

/// At most `limit` positions of a type after a position and up to another, in order: those that are indexed, then the
/// latest.
pub(super) fn positions(
    database: &Database,
    number: u64,
    (after, until): (u64, u64),
    limit: usize,
    last: u64,
) -> Result<Vec<u64>, StoreError> {
    let indexed = indexed(last);
    let mut positions = Vec::new();
    if after < indexed {
        positions = database.all(
            "looking for events of a type",
            "SELECT position FROM type_positions WHERE type = ?1 AND position > ?2 AND position <= ?3
             ORDER BY position LIMIT ?4",
            (stored(number), stored(after), stored(until), stored(limit as u64)),
            |row| count(row, 0),
        )?;
    }
    if positions.len() < limit && until > indexed {
        let recent = database.all(
            "looking for events of a type",
            "SELECT position FROM events WHERE position > ?1 AND position <= ?2 AND type = ?3 ORDER BY position LIMIT ?4",
            (
                stored(indexed.max(after)),
                stored(until),
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
