//! The check of a whole file.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tokio::task::coop::unconstrained;

use super::aggregates::{self, NameDigest, Slot};
use super::database::{Database, count, stored};
use super::history::{self, Walk};
use super::wanted::waiting;
use super::{
    Shared, checkpoints, cids, epochs, events, objects, open, read_models, scan, sync_state,
    type_positions, types,
};
use crate::block::CommitVerifier;
use crate::domain::aggregate::IdText;
use crate::store::{AggregateKey, StoreError};

/// What a check went through without finding anything wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckReport {
    /// The events, each verified.
    pub events: u64,
    /// The aggregates, each history whole.
    pub aggregates: u64,
    /// The types of events; one counts for each kind of aggregates that has events of it.
    pub types: u64,
    /// The objects, each verified.
    pub objects: u64,
    /// The views that stand beside the events, each with its documents as they were written.
    pub views: u64,
}

/// Checks on a thread and a connection of its own: a long check does not keep others from reading.
pub(super) async fn run(shared: &Arc<Shared>) -> Result<CheckReport, StoreError> {
    let (answer, question) = tokio::sync::oneshot::channel();
    let (waits, wanted) = waiting();
    let shared = shared.clone();
    let location = shared.files.location.clone();
    std::thread::Builder::new()
        .name("cim-es-check".into())
        .spawn(move || {
            let report = open::reader(&shared.files, &shared.options).and_then(|database| {
                database.current.set(Some(wanted));
                database.read(|database| check(database, shared.digest))
            });
            // Before the answer: who drops the store then finds it closed.
            drop(shared);
            // Whoever asked may have gone meanwhile.
            let _ = answer.send(report);
        })
        .map_err(|error| StoreError::Engine {
            location,
            operation: "starting the checking thread",
            source: Arc::new(error),
        })?;
    let report = unconstrained(question).await.unwrap_or_else(|_| {
        Err(StoreError::Closed {
            reason: "the checking thread failed; this is a defect of the library".into(),
        })
    });
    waits.answered();
    report
}

/// How many of the last events are looked at when a file is opened with a log.
const LATEST: u64 = 64;

/// Checks the last events of all, each with the one before it in its history: those are the ones that a log brings.
pub(super) fn latest(database: &Database) -> Result<(), StoreError> {
    let last = types::read(database)?.last;
    for position in last.saturating_sub(LATEST)..last {
        events::check_link_at(database, position + 1)?;
    }
    Ok(())
}

/// What the walk over all events knows of an aggregate or a type.
#[derive(Clone, Copy, Default)]
struct Walked {
    events: u64,
    last: u64,
}

fn check(database: &Database, digest: NameDigest) -> Result<CheckReport, StoreError> {
    open::check_integrity(database)?;
    let known_types = types::read(database)?;
    let mut by_key: HashMap<i64, Walked> = HashMap::new();
    let mut by_type: HashMap<u64, Walked> = HashMap::new();
    let mut commits = CommitVerifier::new();
    let mut at = 0;
    loop {
        let page = scan::page(database, at, u64::MAX, 256, None)?.events;
        let columns = columns(database, at, page.len() as u64)?;
        if page.is_empty() {
            break;
        }
        for (event, columns) in page.iter().zip(columns) {
            at = event.position.0;
            commits.accept(event).map_err(database.judged())?;
            let aggregate = by_key.entry(columns.aggregate).or_default();
            let of_type = by_type.entry(columns.type_number).or_default();
            let number = known_types
                .get(&event.envelope.aggregate, event.event_type())
                .map(|row| row.number);
            let fits = columns.previous_of_aggregate == aggregate.last
                && event.envelope.sequence == aggregate.events + 1
                && columns.previous_of_type == of_type.last
                && number == Some(columns.type_number);
            if !fits {
                return Err(database.damaged(
                    at,
                    event.cid,
                    "the columns beside the event do not lead to the events before it",
                ));
            }
            for walked in [aggregate, of_type] {
                walked.events += 1;
                walked.last = at;
            }
        }
    }
    commits.finish().map_err(database.judged())?;
    for (name, row) in known_types.iter() {
        if by_type.get(&row.number).map(|walked| walked.last) != Some(row.last) {
            return Err(database.damaged(
                row.last,
                None,
                format!("event type `{}` does not end here", name.name),
            ));
        }
    }
    let aggregates = check_aggregates(database, digest, &by_key)?;
    history::check(database)?;
    type_positions::check(database, at)?;
    cids::check(database, at)?;
    checkpoints::check(database)?;
    sync_state::check(database)?;
    epochs::check(database)?;
    Ok(CheckReport {
        events: at,
        aggregates,
        types: known_types.len() as u64,
        objects: objects::check(database)?,
        views: read_models::inline::check(database)?,
    })
}

fn check_aggregates(
    database: &Database,
    digest: NameDigest,
    walked: &HashMap<i64, Walked>,
) -> Result<u64, StoreError> {
    let names = database.all(
        "reading the aggregates",
        "SELECT key, kind, id FROM aggregates",
        (),
        |row| {
            Ok((
                row.get::<_, i64>(0)?,
                row.get::<_, String>(1)?,
                row.get::<_, String>(2)?,
            ))
        },
    )?;
    if names.len() != walked.len() {
        return Err(database.damaged(
            None,
            None,
            format!(
                "there are {} aggregates, the events have {}",
                names.len(),
                walked.len()
            ),
        ));
    }
    for (key, kind, id) in &names {
        let id = IdText::new(id).map_err(|error| {
            database.damaged(None, None, format!("the id of an aggregate: {error}"))
        })?;
        let aggregate = AggregateKey::new(kind.clone(), id);
        let slot = aggregates::find(database, &aggregate, digest, &HashSet::new())?;
        let is_whole = match slot {
            Slot::Taken { key: found, head } if found == *key => {
                let mut walk = Walk::new(aggregate.clone(), 1, u64::MAX);
                while !walk.is_done() {
                    walk.page(database, digest)?;
                }
                walked.get(key).is_some_and(|walked| {
                    walked.events == head.version && walked.last == head.position.0
                })
            }
            _ => false,
        };
        if !is_whole {
            return Err(database.damaged(
                None,
                None,
                format!("the head of {aggregate} is not its last event"),
            ));
        }
    }
    Ok(names.len() as u64)
}

struct Columns {
    aggregate: i64,
    previous_of_aggregate: u64,
    type_number: u64,
    previous_of_type: u64,
}

fn columns(database: &Database, after: u64, limit: u64) -> Result<Vec<Columns>, StoreError> {
    database.all(
        "reading events",
        "SELECT aggregate, previous_of_aggregate, type, previous_of_type FROM events
         WHERE position > ?1 ORDER BY position LIMIT ?2",
        (stored(after), stored(limit)),
        |row| {
            Ok(Columns {
                aggregate: row.get(0)?,
                previous_of_aggregate: count(row, 1)?,
                type_number: count(row, 2)?,
                previous_of_type: count(row, 3)?,
            })
        },
    )
}
