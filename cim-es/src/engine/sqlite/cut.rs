//! Setting what is kept of the events back to a position, in the open transaction: the heads of aggregates, the ends of
//! the types, and the indexes. The events behind the position are still there then, and are for the caller to move.

use super::database::{Database, count, stored};
use super::schema::indexed;
use super::types::{self, Types};
use super::{aggregates, cids, events};
use crate::store::StoreError;

/// Sets everything back to a position behind which events are to be moved; the file ends at `last`. Gives the types as
/// they were there.
pub(super) fn back_to(database: &Database, position: u64, last: u64) -> Result<Types, StoreError> {
    aggregates_back_to(database, position)?;
    types_back_to(database, position)?;
    database.execute(
        "setting the positions of versions back",
        "DELETE FROM versions WHERE position > ?1",
        (stored(position),),
    )?;
    // They name positions, and are a cache.
    database.execute(
        "dropping snapshots",
        "DELETE FROM snapshots WHERE position > ?1",
        (stored(position),),
    )?;
    database.execute(
        "setting the index of types back",
        "DELETE FROM type_positions WHERE position > ?1",
        (stored(indexed(position)),),
    )?;
    cids::cut(database, position, last)?;
    types::read_rows(database)
}

/// The last event of each aggregate becomes the last one up to the position.
fn aggregates_back_to(database: &Database, position: u64) -> Result<(), StoreError> {
    let heads = database.all(
        "setting the aggregates back",
        "SELECT aggregate, previous_of_aggregate FROM events
         WHERE position > ?1 AND previous_of_aggregate <= ?1",
        (stored(position),),
        |row| Ok((row.get::<_, i64>(0)?, count(row, 1)?)),
    )?;
    for (key, previous) in heads {
        match previous {
            0 => database.write_row(
                "setting an aggregate back",
                "DELETE FROM aggregates WHERE key = ?1",
                (key,),
            )?,
            previous => {
                let head = events::at(database, previous)?.head();
                aggregates::set_back(database, key, &head)?;
            }
        }
    }
    Ok(())
}

/// The last event of each type becomes the last one up to the position; those that began behind it go.
fn types_back_to(database: &Database, position: u64) -> Result<(), StoreError> {
    let ends = database.all(
        "setting the types back",
        "SELECT type, previous_of_type FROM events WHERE position > ?1 AND previous_of_type <= ?1",
        (stored(position),),
        |row| Ok((count(row, 0)?, count(row, 1)?)),
    )?;
    for (number, previous) in ends {
        match previous {
            0 => database.write_row(
                "setting a type back",
                "DELETE FROM types WHERE number = ?1",
                (stored(number),),
            )?,
            previous => database.write_row(
                "setting a type back",
                "UPDATE types SET last = ?2 WHERE number = ?1",
                (stored(number), stored(previous)),
            )?,
        }
    }
    close_gaps(database, position)
}

/// Types are numbered without a gap. They mostly begin in the order of their numbers, and then none is left by those that
/// began last; in a file of an earlier version a type may have a number that is later than its first event.
fn close_gaps(database: &Database, position: u64) -> Result<(), StoreError> {
    let numbers = database.all(
        "numbering the types",
        "SELECT number FROM types ORDER BY number",
        (),
        |row| count(row, 0),
    )?;
    let present = numbers.len() as u64;
    let free = (1..=present).filter(|number| !numbers.contains(number));
    let late = numbers.iter().filter(|number| **number > present);
    for (number, late) in free.zip(late) {
        let numbers = (stored(number), stored(*late));
        let before = (numbers.0, numbers.1, stored(position));
        let operation = "numbering the types";
        database.write_row(
            operation,
            "UPDATE types SET number = ?1 WHERE number = ?2",
            numbers,
        )?;
        database.execute(
            operation,
            "UPDATE type_positions SET type = ?1 WHERE type = ?2 AND position <= ?3",
            before,
        )?;
        database.execute(
            operation,
            "UPDATE events SET type = ?1 WHERE type = ?2 AND position <= ?3",
            before,
        )?;
    }
    Ok(())
}
