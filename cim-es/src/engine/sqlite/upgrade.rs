//! Bringing a file of an earlier version to the present one, when it is opened for writing.
//!
//! In version 2 a type had one row, whatever the kinds of the aggregates that had events of it. It gets one for each kind:
//! where there is one kind, as nearly always, no event is written; where there are several, the events of all but one get
//! the number of a row of their own, and the lists of the type are parted.

use super::aggregates::{self, NameDigest};
use super::database::{Database, count, stored};
use super::schema::{OBJECTS, USER_VERSION, WITHOUT_KINDS, indexed};
use super::types::{self, TypeName, TypeRow};
use super::{format, type_positions};
use crate::store::StoreError;

/// Brings the file to the present version, all at once.
pub(super) fn upgrade(database: &Database, digest: NameDigest) -> Result<(), StoreError> {
    if format::version(database)? != WITHOUT_KINDS {
        return Ok(());
    }
    tracing::info!(
        location = %database.location(),
        "bringing the file from version {WITHOUT_KINDS} to {USER_VERSION}; this reads all of it once"
    );
    database.begin("BEGIN IMMEDIATE")?;
    let upgraded = add_kinds(database, digest).and_then(|()| database.statement("COMMIT"));
    if upgraded.is_err() {
        database.rollback();
    }
    upgraded?;
    format::check_schema(database)
}

/// The events of one type under one kind.
struct Part {
    /// The number that the type has.
    number: u64,
    kind: String,
    last: u64,
    events: u64,
}

fn add_kinds(database: &Database, digest: NameDigest) -> Result<(), StoreError> {
    // Another process may have come first.
    if format::version(database)? != WITHOUT_KINDS {
        return Ok(());
    }
    let known = types::read(database)?;
    aggregates::check_places(database, digest)?;
    let parts = parts(database, known.last)?;
    replace_table(database)?;
    let names: Vec<Option<&str>> = {
        let mut names = vec![None; known.len()];
        for (name, row) in known.iter() {
            names[row.number as usize - 1] = Some(name.name);
        }
        names
    };
    let mut added = known.len() as u64;
    let mut before = 0;
    for part in &parts {
        let name = names.get((part.number as usize).wrapping_sub(1)).copied();
        let Some(name) = name.flatten() else {
            return Err(database.damaged(
                part.last,
                None,
                format!("the event has type {}, which has no row", part.number),
            ));
        };
        let number = match part.number == before {
            false => part.number,
            true => {
                added += 1;
                separate(database, part, added)?;
                relink(database, part.number)?;
                relink(database, added)?;
                added
            }
        };
        before = part.number;
        let name = TypeName {
            kind: Some(&part.kind),
            name,
        };
        let row = TypeRow {
            number,
            last: part.last,
            is_checked: false,
        };
        types::save(database, name, row, true)?;
    }
    if added > known.len() as u64 {
        type_positions::rebuild(database, indexed(known.last))?;
    }
    database
        .connection
        .pragma_update(None, "user_version", USER_VERSION)
        .map_err(database.failed("raising the version"))?;
    types::read(database).map(drop)
}

/// Which kinds have events of which types, by the numbers of the types.
fn parts(database: &Database, last: u64) -> Result<Vec<Part>, StoreError> {
    let parts = database.all(
        "looking for the kinds of events",
        "SELECT type, kind, max(events.position), count(*) FROM events
         JOIN aggregates ON aggregates.key = events.aggregate
         GROUP BY type, kind ORDER BY type, min(events.position)",
        (),
        |row| {
            Ok(Part {
                number: count(row, 0)?,
                kind: row.get(1)?,
                last: count(row, 2)?,
                events: count(row, 3)?,
            })
        },
    )?;
    let found: u64 = parts.iter().map(|part| part.events).sum();
    if found != last {
        return Err(database.damaged(
            None,
            None,
            format!("{found} of {last} events have an aggregate"),
        ));
    }
    Ok(parts)
}

fn replace_table(database: &Database) -> Result<(), StoreError> {
    let present = OBJECTS.iter().find(|(name, _)| *name == "types");
    let create = present.map_or_else(String::new, |(_, sql)| format!("DROP TABLE types; {sql};"));
    database
        .connection
        .execute_batch(&create)
        .map_err(database.failed("replacing the table of event types"))
}

/// Gives the events of a type under one of its kinds another number.
fn separate(database: &Database, part: &Part, number: u64) -> Result<(), StoreError> {
    let changed = database.execute(
        "parting the events of a type",
        "UPDATE events SET type = ?3
         WHERE type = ?1 AND aggregate IN (SELECT key FROM aggregates WHERE kind = ?2)",
        (stored(part.number), &part.kind, stored(number)),
    )?;
    if changed as u64 != part.events {
        return Err(database.damaged(
            part.last,
            None,
            format!(
                "{changed} of {} events of type {} under `{}` could be changed",
                part.events, part.number, part.kind
            ),
        ));
    }
    Ok(())
}

/// Has each event of a type name the one before it.
fn relink(database: &Database, number: u64) -> Result<(), StoreError> {
    database
        .execute(
            "linking the events of a type",
            "UPDATE events SET previous_of_type = linked.previous
             FROM (
                 SELECT position, lag(position, 1, 0) OVER (ORDER BY position) AS previous
                 FROM events WHERE type = ?1
             ) AS linked
             WHERE events.position = linked.position",
            (stored(number),),
        )
        .map(drop)
}
