//! Lists of aggregates and types, for tools that know none.

use super::aggregates::{NameDigest, Stored, check_place};
use super::database::{Database, stored};
use super::types;
use crate::block::parse_cid;
use crate::domain::aggregate::IdText;
use crate::domain::message::Timestamp;
use crate::store::{
    AggregateEntry, AggregateKey, AggregatePage, AggregateQuery, Head, Position, StoreError,
    StoredType,
};

/// A page of the aggregates, by id and kind.
pub(super) fn aggregates(
    database: &Database,
    query: &AggregateQuery,
    digest: NameDigest,
) -> Result<AggregatePage, StoreError> {
    let (id, kind) = match &query.after {
        Some(after) => (after.id().as_str(), after.kind()),
        None => ("", ""),
    };
    // One more, which says whether there are more.
    let limit = stored(query.limit as u64 + 1);
    let mut rows = database.all(
        "listing the aggregates",
        "SELECT key, kind, id, version, position, cid, timestamp
         FROM aggregates INDEXED BY sqlite_autoindex_aggregates_1
         WHERE (id, kind) > (?1, ?2) AND (?3 IS NULL OR kind = ?3)
         ORDER BY id, kind LIMIT ?4",
        (id, kind, query.kind.as_deref(), limit),
        |row| Ok((row.get(0)?, Stored::of(row, 1)?)),
    )?;
    let is_more = rows.len() > query.limit;
    rows.truncate(query.limit);
    let entries = rows
        .into_iter()
        .map(|(key, row)| entry(database, key, row, digest));
    let aggregates = entries.collect::<Result<Vec<_>, _>>()?;
    let last = aggregates.last().filter(|_| is_more);
    Ok(AggregatePage {
        next: last.map(|entry| entry.aggregate.clone()),
        aggregates,
    })
}

fn entry(
    database: &Database,
    key: i64,
    row: Stored,
    digest: NameDigest,
) -> Result<AggregateEntry, StoreError> {
    check_place(database, key, &row.kind, &row.id, digest)?;
    let damaged = |reason| {
        let reason = format!("aggregate `{} {}`: {reason}", row.kind, row.id);
        database.damaged(row.position, None, reason)
    };
    let cid = parse_cid(&row.cid).map_err(|error| damaged(format!("its head: {error}")))?;
    let id = IdText::new(&row.id).map_err(|error| damaged(format!("its id: {error}")))?;
    Ok(AggregateEntry {
        aggregate: AggregateKey::new(row.kind, id),
        head: Head {
            version: row.version,
            cid,
            position: Position(row.position),
            timestamp: Timestamp::from_micros(row.timestamp),
        },
    })
}

/// The types, each with a kind.
pub(super) fn event_types(database: &Database) -> Result<Vec<StoredType>, StoreError> {
    let types = types::read(database)?;
    let rows = types.iter().map(|(name, row)| StoredType {
        kind: name.kind.map(str::to_owned),
        event_type: name.name.to_owned(),
        last: Position(row.last),
    });
    let mut all: Vec<_> = rows.collect();
    all.sort();
    Ok(all)
}
