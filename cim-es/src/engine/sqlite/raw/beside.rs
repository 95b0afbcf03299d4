//! What else is in the file: positions of versions, objects, snapshots, checkpoints, views, the state of the hybrid store.

use crate::engine::sqlite::database::{Database, count, stored};
use crate::engine::sqlite::{
    checkpoints as kept_checkpoints, object_details, objects as kept_objects, read_models,
    snapshots as kept_snapshots, sync_state as kept_state,
};
use crate::store::StoreError;
use crate::store::raw::PartPage;

/// The bytes past which a page has no further row.
const PAGE_BYTES: u64 = 4 * 1024 * 1024;
/// How many rows of the positions of versions are told to be wrong at most.
const MOST: u64 = 1_000;

impl PartPage {
    /// A page that is the last, with what was found in it.
    pub(super) fn from_damages(errors: impl IntoIterator<Item = StoreError>) -> Self {
        let damages = errors.into_iter().filter_map(|error| match error {
            StoreError::Damaged(damage) => Some(*damage),
            _ => None,
        });
        Self {
            damages: damages.collect(),
            ..Self::default()
        }
    }
}

/// What is damaged is a finding; what else fails keeps the check from going on.
fn found<T>(
    answer: Result<T, StoreError>,
    errors: &mut Vec<StoreError>,
) -> Result<Option<T>, StoreError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error @ StoreError::Damaged(_)) => {
            errors.push(error);
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

pub(super) fn versions(database: &Database) -> Result<PartPage, StoreError> {
    let mut errors = Vec::new();
    let astray = database.all(
        "checking the positions of versions",
        "SELECT versions.version, versions.position FROM versions LEFT JOIN events
         ON events.position = versions.position AND events.aggregate = versions.aggregate
             AND events.sequence = versions.version AND versions.version % 256 = 0
         WHERE events.position IS NULL LIMIT ?1",
        (stored(MOST),),
        |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)),
    );
    for (version, position) in found(astray, &mut errors)?.unwrap_or_default() {
        errors.push(database.damaged(
            u64::try_from(position).ok(),
            None,
            format!(
                "the table of versions says that version {version} of an aggregate stands here"
            ),
        ));
    }
    let missing = database.all(
        "checking the positions of versions",
        "SELECT kind, id, version / 256, found FROM (
             SELECT kind, id, version,
                 (SELECT count(*) FROM versions WHERE versions.aggregate = aggregates.key) AS found
             FROM aggregates WHERE version >= 256)
         WHERE found != version / 256 LIMIT ?1",
        (stored(MOST),),
        |row| {
            let (kind, id): (String, String) = (row.get(0)?, row.get(1)?);
            Ok((kind, id, count(row, 2)?, count(row, 3)?))
        },
    );
    for (kind, id, expected, rows) in found(missing, &mut errors)?.unwrap_or_default() {
        errors.push(database.damaged(
            None,
            None,
            format!(
                "the positions of {rows} versions of {kind} {id} are kept, {expected} belong there"
            ),
        ));
    }
    Ok(PartPage::from_damages(errors))
}

/// Goes through the rows of a table by their number, `from` being the one behind the last that was looked at; `next` gives
/// the row behind a number: its own number, its bytes, and what is wrong with it.
fn by_number(
    from: u64,
    next: impl Fn(u64) -> Result<Option<(u64, u64, Option<StoreError>)>, StoreError>,
) -> Result<PartPage, StoreError> {
    let mut page = PartPage::default();
    let (mut errors, mut after) = (Vec::new(), from);
    let mut bytes = 0;
    while bytes < PAGE_BYTES {
        match found(next(after), &mut errors)? {
            Some(Some((number, length, error))) => {
                bytes += length.max(1_024);
                page.checked += 1;
                after = number;
                errors.extend(error);
            }
            // Nothing is left, or it cannot be gone on from here.
            Some(None) | None => {
                let last = PartPage::from_damages(errors);
                return Ok(PartPage {
                    checked: page.checked,
                    ..last
                });
            }
        }
    }
    let found = PartPage::from_damages(errors);
    Ok(PartPage {
        checked: page.checked,
        next: Some(after),
        ..found
    })
}

pub(super) fn objects(database: &Database, from: u64) -> Result<PartPage, StoreError> {
    let mut errors = Vec::new();
    if from == 0 {
        let astray = object_details::astray(database);
        let astray = found(astray, &mut errors)?.unwrap_or_default();
        errors.extend(astray);
    }
    let mut page = by_number(from, |after| {
        let checked = kept_objects::check_next(database, after)?;
        Ok(checked.map(|checked| (checked.number, checked.bytes, checked.wrong)))
    })?;
    page.damages.extend(PartPage::from_damages(errors).damages);
    Ok(page)
}

pub(super) fn snapshots(database: &Database, from: u64) -> Result<PartPage, StoreError> {
    by_number(from, |after| {
        database.first(
            "reading a snapshot",
            kept_snapshots::NEXT,
            (stored(after),),
            |row| {
                let (bytes, wrong) = kept_snapshots::check_row(row)?;
                let wrong = wrong.map(|reason| database.damaged(None, None, reason));
                Ok((count(row, 0)?, bytes, wrong))
            },
        )
    })
}

pub(super) fn checkpoints(database: &Database) -> Result<PartPage, StoreError> {
    let mut errors = Vec::new();
    let rows = found(kept_checkpoints::all(database), &mut errors)?.unwrap_or_default();
    let checked = rows.len() as u64;
    errors.extend(rows.into_iter().filter_map(Result::err));
    Ok(PartPage {
        checked,
        ..PartPage::from_damages(errors)
    })
}

pub(super) fn sync_state(database: &Database) -> Result<PartPage, StoreError> {
    let mut errors = Vec::new();
    let rows = found(kept_state::all(database), &mut errors)?.unwrap_or_default();
    let checked = rows.len() as u64;
    errors.extend(rows.into_iter().filter_map(Result::err));
    Ok(PartPage {
        checked,
        ..PartPage::from_damages(errors)
    })
}

pub(super) fn views(database: &Database) -> Result<PartPage, StoreError> {
    let mut errors = Vec::new();
    let number = read_models::inline::check_all(database, |error| {
        found(Err::<(), _>(error), &mut errors).map(drop)
    });
    let number = match number {
        Err(error @ StoreError::Damaged(_)) => {
            errors.push(error);
            0
        }
        number => number?,
    };
    Ok(PartPage {
        checked: number,
        ..PartPage::from_damages(errors)
    })
}
