//! The indexes over types and CIDs, compared with the events that they lead to.

use crate::engine::sqlite::cids;
use crate::engine::sqlite::database::{Database, count, stored};
use crate::engine::sqlite::raw::end;
use crate::engine::sqlite::schema::{SEGMENT, indexed};
use crate::store::StoreError;
use crate::store::raw::PartPage;

/// How many positions are compared at a time: those of a large segment of the index of CIDs.
pub(super) const CHUNK: u64 = cids::LARGE;

/// The type and the CID of an event, as the index of CIDs has it.
#[derive(Clone, Copy)]
struct Indexed {
    list: u64,
    entry: u64,
}

/// What stands at the positions of a chunk, and what was not met yet of it.
pub(super) struct Chunk {
    base: u64,
    events: Vec<Option<Indexed>>,
    is_missing: Vec<bool>,
}

impl Chunk {
    /// Of positions behind one and up to another, at which nothing is known to stand.
    pub(super) fn between(base: u64, until: u64) -> Self {
        let length = until.saturating_sub(base) as usize;
        Self {
            base,
            events: vec![None; length],
            is_missing: vec![false; length],
        }
    }

    /// Says what stands at a position.
    pub(super) fn put(&mut self, position: u64, list: u64, entry: u64) {
        if let Some(place) = self.place(position) {
            self.events[place] = Some(Indexed { list, entry });
        }
    }

    /// Takes in what a part of it has.
    pub(super) fn take_in(&mut self, part: &Self) {
        for (position, event) in (part.base + 1..).zip(&part.events) {
            if let (Some(event), Some(place)) = (event, self.place(position)) {
                self.events[place] = Some(*event);
            }
        }
    }

    /// The place of a position in the lists.
    fn place(&self, position: u64) -> Option<usize> {
        let place = usize::try_from(position.checked_sub(self.base + 1)?).ok()?;
        (place < self.events.len()).then_some(place)
    }

    fn get(&self, position: u64) -> Option<Indexed> {
        self.place(position).and_then(|place| self.events[place])
    }

    /// Begins to look for the events up to a position, behind another.
    fn miss_all(&mut self, after: u64, until: u64) {
        for position in after + 1..=until {
            if let Some(place) = self.place(position) {
                self.is_missing[place] = self.events[place].is_some();
            }
        }
    }

    /// Says that an event was met; whether it was missing yet.
    fn meet(&mut self, position: u64) -> bool {
        let place = self.place(position);
        place.is_some_and(|place| std::mem::take(&mut self.is_missing[place]))
    }

    /// The positions that were not met, behind one and up to another.
    fn missing(&self, after: u64, until: u64) -> impl Iterator<Item = u64> + '_ {
        let is_missing = |position: &u64| {
            let place = self.place(*position);
            place.is_some_and(|place| self.is_missing[place])
        };
        (after + 1..=until).filter(is_missing)
    }
}

/// Compares the positions of one chunk.
pub(super) fn check(database: &Database, chunk: u64) -> Result<PartPage, StoreError> {
    let last = end(database)?;
    let (base, covered) = (chunk * CHUNK, indexed(last));
    let until = covered.min(base + CHUNK);
    if until <= base {
        return Ok(PartPage::from_damages(count_rows(database, covered)?));
    }
    let rows = database.all(
        "checking the indexes",
        "SELECT position, type, cid FROM events WHERE position > ?1 AND position <= ?2",
        (stored(base), stored(until)),
        |row| {
            let position = count(row, 0)?;
            let list = row.get::<_, i64>(1)?.cast_unsigned();
            let entry = cids::prefix(row.get_ref(2)?.as_blob()?);
            Ok((position, list, entry))
        },
    );
    let page = |damages| PartPage {
        checked: until - base,
        next: Some(chunk + 1),
        ..PartPage::from_damages(damages)
    };
    // Where the rows cannot be read, that was said when they were looked at as events.
    let rows = match rows {
        Ok(rows) => rows,
        Err(StoreError::Damaged(_)) => return Ok(page(Vec::new())),
        Err(error) => return Err(error),
    };
    let mut events = Chunk::between(base, until);
    for (position, list, entry) in rows {
        events.put(position, list, entry);
    }
    let mut damages = types(database, &mut events, until)?;
    damages.extend(cid_rows(database, &mut events, until, last)?);
    Ok(page(damages))
}

/// Whether the indexes lead to all events of a whole chunk, and to nothing else there. Where they do not, or that cannot be
/// told, [`check`] says what is wrong.
pub(super) fn is_sound(database: &Database, events: &mut Chunk) -> Result<bool, StoreError> {
    let last = end(database)?;
    let until = events.base + CHUNK;
    if until > last {
        return Ok(false);
    }
    let is_sound = types(database, events, until)?.is_empty()
        && cid_rows(database, events, until, last)?.is_empty();
    Ok(is_sound)
}

/// What is damaged in an answer, or the answer.
fn damaged<T>(answer: Result<T, StoreError>) -> Result<Result<T, StoreError>, StoreError> {
    match answer {
        Err(error @ StoreError::Damaged(_)) => Ok(Err(error)),
        answer => answer.map(Ok),
    }
}

fn types(
    database: &Database,
    events: &mut Chunk,
    until: u64,
) -> Result<Vec<StoreError>, StoreError> {
    let base = events.base;
    let numbers = database.all(
        "checking the index of types",
        "SELECT number FROM types",
        (),
        |row| row.get::<_, i64>(0),
    );
    let numbers = match damaged(numbers)? {
        Ok(numbers) => numbers,
        Err(error) => return Ok(vec![error]),
    };
    events.miss_all(base, until);
    let mut damages = Vec::new();
    for number in numbers {
        let rows = database.all(
            "checking the index of types",
            "SELECT position FROM type_positions WHERE type = ?1 AND position > ?2 AND position <= ?3",
            (number, stored(base), stored(until)),
            |row| count(row, 0),
        );
        let rows = match damaged(rows)? {
            Ok(rows) => rows,
            Err(error) => {
                damages.push(error);
                continue;
            }
        };
        for position in rows {
            match events.get(position) {
                None => {}
                Some(event) if event.list == number.cast_unsigned() && events.meet(position) => {}
                Some(_) => damages.push(database.damaged(
                    position,
                    None,
                    format!(
                        "the index of types has the event under type {number}, which it is not of"
                    ),
                )),
            }
        }
    }
    damages.extend(events.missing(base, until).map(|position| {
        let number = events.get(position).map_or(0, |event| event.list);
        let reason = format!("the index of types does not have the event under its type {number}");
        database.damaged(position, None, reason)
    }));
    Ok(damages)
}

fn cid_rows(
    database: &Database,
    events: &mut Chunk,
    until: u64,
    last: u64,
) -> Result<Vec<StoreError>, StoreError> {
    let base = events.base;
    let is_large = base + CHUNK <= last;
    let segments: Vec<(u64, u64, Vec<u64>)> = match is_large {
        true => vec![(base, until, cids::large_rows(base / CHUNK).collect())],
        false => (base / SEGMENT..until / SEGMENT)
            .map(|small| {
                let start = small * SEGMENT;
                (start, start + SEGMENT, vec![cids::small_number(small)])
            })
            .collect(),
    };
    let mut damages = Vec::new();
    for (start, end, rows) in segments {
        events.miss_all(start, end);
        let mut is_whole = true;
        for row in rows {
            let entries = match damaged(cids::read(database, row))? {
                Ok(entries) => entries,
                Err(error) => {
                    damages.push(error);
                    is_whole = false;
                    continue;
                }
            };
            for entry in entries {
                let (position, prefix) = (start + 1 + (entry & 0xffff), entry >> 16);
                match events.get(position) {
                    None => {}
                    Some(event) if event.entry == prefix && events.meet(position) => {}
                    Some(_) => damages.push(database.damaged(
                        position,
                        None,
                        "the index of CIDs has another CID for the event, or has it twice",
                    )),
                }
            }
        }
        // What stands in a row that cannot be read is not missing.
        if is_whole {
            damages.extend(events.missing(start, end).map(|position| {
                let reason = "the index of CIDs does not lead to the event";
                database.damaged(position, None, reason)
            }));
        }
    }
    Ok(damages)
}

/// That the indexes have no rows but those that belong there.
fn count_rows(database: &Database, covered: u64) -> Result<Vec<StoreError>, StoreError> {
    let mut damages = Vec::new();
    let counted = [
        (
            "the index of types",
            "SELECT count(*) FROM type_positions",
            covered,
        ),
        (
            "the index of CIDs",
            "SELECT count(*) FROM cid_segments",
            cids::expected_rows(covered),
        ),
        (
            "the table of events, before its first position,",
            "SELECT count(*) FROM events WHERE position < 1",
            0,
        ),
    ];
    for (name, sql, expected) in counted {
        let rows = database.first("counting the indexes", sql, (), |row| count(row, 0));
        match damaged(rows)? {
            Ok(rows) if rows == Some(expected) => {}
            Ok(rows) => damages.push(database.damaged(
                None,
                None,
                format!(
                    "{name} has {} rows, {expected} belong there",
                    rows.unwrap_or_default()
                ),
            )),
            Err(error) => damages.push(error),
        }
    }
    Ok(damages)
}
