//! The rows of the ends of histories, and of those of types.

use std::collections::HashSet;

use crate::block::parse_cid;
use crate::engine::sqlite::aggregates::{self, NameDigest};
use crate::engine::sqlite::database::{Database, stored};
use crate::engine::sqlite::schema::WITHOUT_KINDS;
use crate::engine::sqlite::{format, types};
use crate::store::StoreError;
use crate::store::raw::{HeadPage, HeadRow, ListRow};

/// How many rows a page has at most.
const PAGE: u64 = 1_024;

pub(super) fn heads(
    database: &Database,
    after: Option<i64>,
    digest: NameDigest,
) -> Result<HeadPage, StoreError> {
    let rows = database.all(
        "reading the aggregates",
        "SELECT key, kind, id, version, position, cid, timestamp FROM aggregates
         WHERE key >= ?1 AND (?2 OR key > ?1) ORDER BY key LIMIT ?3",
        (after.unwrap_or(i64::MIN), after.is_none(), stored(PAGE)),
        |row| {
            let key: i64 = row.get(0)?;
            let (kind, id): (String, String) = (row.get(1)?, row.get(2)?);
            let cid = parse_cid(row.get_ref(5)?.as_blob()?);
            let wrong = match (&cid, aggregates::is_place(key, &kind, &id, digest)) {
                (_, false) => Some(format!(
                    "the row of aggregate `{kind} {id}` does not belong under key {key}"
                )),
                (Err(error), true) => Some(format!(
                    "the row of aggregate `{kind} {id}` has no CID: {error}"
                )),
                (Ok(_), true) => None,
            };
            let head = HeadRow {
                version: row.get::<_, i64>(3)?.cast_unsigned(),
                position: row.get::<_, i64>(4)?.cast_unsigned(),
                timestamp: row.get(6)?,
                cid: cid.ok(),
                wrong,
                kind,
                id,
            };
            Ok((key, head))
        },
    );
    match rows {
        Ok(rows) => Ok(HeadPage {
            last_key: rows.last().map(|(key, _)| *key),
            rows: rows.into_iter().map(|(_, row)| row).collect(),
            damage: None,
        }),
        Err(StoreError::Damaged(damage)) => Ok(HeadPage {
            damage: Some(*damage),
            ..HeadPage::default()
        }),
        Err(error) => Err(error),
    }
}

pub(super) fn lists(database: &Database) -> Result<Vec<ListRow>, StoreError> {
    let sql = match format::version(database)? {
        WITHOUT_KINDS => "SELECT number, NULL, name, digest, last FROM types ORDER BY number",
        _ => "SELECT number, kind, name, digest, last FROM types ORDER BY number",
    };
    let rows = database.all("reading the types of events", sql, (), |row| {
        let number: i64 = row.get(0)?;
        let (kind, name): (Option<String>, String) = (row.get(1)?, row.get(2)?);
        let digest: i64 = row.get(3)?;
        let is_written = types::digest(kind.as_deref(), &name) == digest;
        let wrong = (!is_written)
            .then(|| format!("the row of event type {number} `{name}` is not what was written"));
        Ok(ListRow {
            list: number.cast_unsigned(),
            kind,
            event_type: name,
            last: row.get::<_, i64>(4)?.cast_unsigned(),
            wrong,
        })
    });
    let mut rows = rows?;
    let mut names = HashSet::new();
    for (row, number) in rows.iter_mut().zip(1..) {
        let is_new = names.insert((row.kind.clone(), row.event_type.clone()));
        let reason = match (is_new, row.list == number) {
            (false, _) => "has two rows",
            (_, false) => "has a number that does not follow from the one before",
            _ => continue,
        };
        let name = &row.event_type;
        row.wrong
            .get_or_insert_with(|| format!("event type {} `{name}` {reason}", row.list));
    }
    Ok(rows)
}
