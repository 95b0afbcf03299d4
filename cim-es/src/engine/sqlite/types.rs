//! The table of event types, each with a kind of aggregates that has events of it: their numbers, and where each was
//! written last.

use std::collections::HashMap;

use lru::DefaultHasher as Hasher;
use rusqlite::Row;
use sha2::{Digest, Sha256};

use super::aggregates::name_digest;
use super::database::{Database, count, stored};
use super::schema::{WITHOUT_KINDS, indexed};
use super::{epochs, events, format};
use crate::block::StoredEvent;
use crate::store::StoreError;

/// How many events of others are looked through; past that it is less work to read all types.
const MOST_ADDED: u64 = 1_024;

/// What is kept of a type under a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TypeRow {
    /// Its number, from 1.
    pub(super) number: u64,
    /// The position of its last event.
    pub(super) last: u64,
    /// Whether the event there was found to be of this type.
    pub(super) is_checked: bool,
}

/// The rows of some types by name.
type ByName = HashMap<Box<str>, TypeRow, Hasher>;

/// All types, and the position of the last event of all.
#[derive(Clone, Debug, Default)]
pub(super) struct Types {
    by_kind: HashMap<Box<str>, ByName, Hasher>,
    /// Those of a file that does not say of which kinds the events of a type are; none in any other.
    of_any_kind: Option<ByName>,
    len: usize,
    pub(super) last: u64,
    /// The epoch of the file in which they were read.
    epoch: u64,
}

/// A type, and the kind whose events of it the row is about; no kind where the file does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TypeName<'a> {
    pub(super) kind: Option<&'a str>,
    pub(super) name: &'a str,
}

impl TypeName<'_> {
    /// Whether an event is of this type, and of this kind.
    pub(super) fn has(&self, event: &StoredEvent) -> bool {
        event.event_type() == self.name
            && self
                .kind
                .is_none_or(|kind| kind == event.envelope.aggregate)
    }

    fn digest(&self) -> i64 {
        digest(self.kind, self.name)
    }
}

/// The digest in the row of a type.
pub(super) fn digest(kind: Option<&str>, name: &str) -> i64 {
    match kind {
        Some(kind) => name_digest(kind, name),
        None => {
            let digest = Sha256::digest(name);
            let mut first = [0; 8];
            first.copy_from_slice(&digest[..8]);
            i64::from_be_bytes(first)
        }
    }
}

impl Types {
    /// How many rows there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The row of a type for a kind.
    pub(super) fn get(&self, kind: &str, name: &str) -> Option<TypeRow> {
        let of_kind = self.by_kind.get(kind).and_then(|types| types.get(name));
        let of_any_kind = || self.of_any_kind.as_ref()?.get(name);
        of_kind.or_else(of_any_kind).copied()
    }

    /// The row of a type for a kind, to be changed.
    pub(super) fn get_mut(&mut self, kind: &str, name: &str) -> Option<&mut TypeRow> {
        self.by_kind.get_mut(kind)?.get_mut(name)
    }

    /// Keeps the row of a type.
    pub(super) fn put(&mut self, name: TypeName<'_>, row: TypeRow) {
        let of_kind = match name.kind {
            Some(kind) => self.by_kind.entry(kind.into()).or_default(),
            None => self.of_any_kind.get_or_insert_default(),
        };
        if of_kind.insert(name.name.into(), row).is_none() {
            self.len += 1;
        }
    }

    /// Forgets the row of a type for a kind.
    pub(super) fn remove(&mut self, kind: &str, name: &str) {
        let removed = self
            .by_kind
            .get_mut(kind)
            .and_then(|types| types.remove(name));
        if removed.is_some() {
            self.len -= 1;
        }
    }

    /// All rows, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (TypeName<'_>, TypeRow)> {
        let of_kinds = self
            .by_kind
            .iter()
            .map(|(kind, types)| (Some(&**kind), types));
        let all = of_kinds.chain(self.of_any_kind.iter().map(|types| (None, types)));
        all.flat_map(|(kind, types)| {
            let named = types.iter();
            named.map(move |(name, row)| (TypeName { kind, name }, *row))
        })
    }
}

/// A row as it is stored.
struct Stored {
    number: u64,
    kind: Option<String>,
    name: String,
    digest: i64,
    last: u64,
}

impl Stored {
    /// From the columns number, kind, name, digest and last.
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            number: count(row, 0)?,
            kind: row.get(1)?,
            name: row.get(2)?,
            digest: row.get(3)?,
            last: count(row, 4)?,
        })
    }

    fn name(&self) -> TypeName<'_> {
        TypeName {
            kind: self.kind.as_deref(),
            name: &self.name,
        }
    }

    fn row(&self) -> TypeRow {
        TypeRow {
            number: self.number,
            last: self.last,
            is_checked: false,
        }
    }
}

/// Works with all types. What this connection has read of them is not read again, only what was added.
pub(super) fn with<T>(
    database: &Database,
    work: impl FnOnce(&Types) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let known = match database.types.take() {
        Some(mut types) => catch_up(database, &mut types)?.then_some(types),
        None => None,
    };
    let types = match known {
        Some(types) => types,
        None => read(database)?,
    };
    let answer = work(&types)?;
    database.types.set(Some(types));
    Ok(answer)
}

/// Reads all types and checks them against the events: numbers without a gap up to the highest that an event has, a
/// digest of each name, and the last event of all.
pub(super) fn read(database: &Database) -> Result<Types, StoreError> {
    let types = read_rows(database)?;
    agree(database, types.last)?;
    let highest = highest_number(database, types.last)?;
    // Two rows of one name are one here.
    if highest != types.len() as u64 {
        return Err(database.damaged(
            None,
            None,
            format!(
                "the table of event types has {} types, the events have {highest}",
                types.len()
            ),
        ));
    }
    Ok(types)
}

/// Reads all types without a look at the events: numbers without a gap, and a digest of each name.
pub(super) fn read_rows(database: &Database) -> Result<Types, StoreError> {
    let is_without_kinds = format::version(database)? == WITHOUT_KINDS;
    let sql = match is_without_kinds {
        true => "SELECT number, NULL, name, digest, last FROM types ORDER BY number",
        false => "SELECT number, kind, name, digest, last FROM types ORDER BY number",
    };
    let rows = database.all("reading the types of events", sql, (), Stored::from_row)?;
    let mut types = Types {
        of_any_kind: is_without_kinds.then(ByName::default),
        epoch: epochs::number(database)?,
        ..Types::default()
    };
    for (index, row) in rows.iter().enumerate() {
        let name = row.name();
        if row.number != index as u64 + 1 || row.digest != name.digest() {
            return Err(database.damaged(
                None,
                None,
                format!(
                    "the row of event type {} `{}` is not what was written",
                    row.number, row.name
                ),
            ));
        }
        types.last = types.last.max(row.last);
        types.put(name, row.row());
    }
    Ok(types)
}

/// Takes in what others have added since `types` was read: reads and checks the types of those events alone. Whether that
/// was so little that it could; if not, all are to be read again.
pub(super) fn catch_up(database: &Database, types: &mut Types) -> Result<bool, StoreError> {
    // Another process may bring the file to the present version at any time.
    if types.of_any_kind.is_some() || types.epoch != epochs::number(database)? {
        return Ok(false);
    }
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
            "SELECT number, kind, name, digest, last FROM types WHERE number = ?1",
            (stored(number),),
            Stored::from_row,
        )?;
        let row = row.filter(|row| {
            let known = row
                .kind
                .as_deref()
                .and_then(|kind| types.get(kind, &row.name));
            let follows = types.len() as u64 + 1;
            row.digest == row.name().digest()
                && row.last == position
                && known.map_or(follows, |known| known.number) == number
        });
        let Some(row) = row else {
            return Err(database.damaged(
                position,
                None,
                format!("the row of event type {number} is not what was written with this event"),
            ));
        };
        types.put(row.name(), row.row());
    }
    types.last = last;
    Ok(true)
}

/// Makes sure that a type ends at an event of its own.
pub(super) fn check_last(
    database: &Database,
    name: TypeName<'_>,
    row: TypeRow,
) -> Result<(), StoreError> {
    let event = events::at(database, row.last)?;
    if !name.has(&event) {
        let name = name.name;
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
    name: TypeName<'_>,
    row: TypeRow,
    is_new: bool,
) -> Result<(), StoreError> {
    let changed = if is_new {
        database.execute(
            "adding an event type",
            "INSERT INTO types (number, kind, name, digest, last) VALUES (?1, ?2, ?3, ?4, ?5)",
            (
                stored(row.number),
                name.kind,
                name.name,
                name.digest(),
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
            format!(
                "the row of event type `{}` is not what the writer read",
                name.name
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
