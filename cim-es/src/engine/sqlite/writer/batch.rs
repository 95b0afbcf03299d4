//! One transaction over the commits that waited together.

use std::collections::{HashMap, HashSet};

use rusqlite::CachedStatement;

use super::heads::{Heads, Known};
use super::prepare::{Base, Guard, Prepared};
use crate::block::StoredEvent;
use crate::engine::sqlite::aggregates::{self, NameDigest, Slot};
use crate::engine::sqlite::database::{Database, stored};
use crate::engine::sqlite::types::{self, TypeRow, Types};
use crate::engine::sqlite::{cids, events};
use crate::store::{
    AggregateKey, ExpectedVersion, Head, Position, SealOptions, SealedEvent, StoreError, seal,
};

/// What the writer knows of the file, valid while no other process commits.
pub(super) struct Memory {
    pub(super) types: Option<Types>,
    pub(super) data_version: i64,
    pub(super) schema_version: i64,
}

/// An aggregate as the open transaction has it.
#[derive(Clone, Copy)]
struct Present {
    key: i64,
    /// The version in the file before the transaction.
    before: u64,
    head: Option<Head>,
}

/// An open transaction.
pub(super) struct Batch<'a> {
    database: &'a Database,
    heads: &'a Heads,
    options: &'a SealOptions,
    digest: NameDigest,
    aggregates: HashMap<AggregateKey, Present>,
    reserved: HashSet<i64>,
    types: Types,
    first_new_type: u64,
    touched_types: HashSet<Box<str>>,
    before: u64,
    insert: CachedStatement<'a>,
}

/// What the writer knows once the transaction is committed.
pub(super) struct Outcome {
    pub(super) types: Types,
    pub(super) heads: Vec<(AggregateKey, Known)>,
}

impl<'a> Batch<'a> {
    /// Goes on from what the file holds; a write transaction is open.
    pub(super) fn begin(
        database: &'a Database,
        heads: &'a Heads,
        options: &'a SealOptions,
        digest: NameDigest,
        memory: &mut Memory,
    ) -> Result<Self, StoreError> {
        let types = match memory.types.take() {
            Some(types) => types,
            None => read_types(database)?,
        };
        Ok(Self {
            database,
            heads,
            options,
            digest,
            aggregates: HashMap::with_capacity(64),
            reserved: HashSet::new(),
            first_new_type: types.by_name.len() as u64 + 1,
            before: types.last,
            types,
            touched_types: HashSet::new(),
            insert: database
                .connection
                .prepare_cached(
                    "INSERT INTO events (position, aggregate, previous_of_aggregate, type, previous_of_type, sequence,
                        timestamp, cid, body)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                )
                .map_err(database.failed("adding an event"))?,
        })
    }

    /// Stores one commit in the transaction. A refusal is the inner error, and has written nothing; the outer one
    /// ends the transaction.
    pub(super) fn add(
        &mut self,
        prepared: Prepared,
    ) -> Result<Result<Vec<StoredEvent>, StoreError>, StoreError> {
        let mut fits = true;
        let mut present = Vec::with_capacity(prepared.guards.len());
        for guard in &prepared.guards {
            let current = self.current(&guard.aggregate)?;
            let current = match current {
                Ok(current) => current,
                Err(refusal) => return Ok(Err(refusal)),
            };
            let base = current.head.map(Base::of);
            let moved = base != guard.base;
            let version = base.map_or(0, |base| base.version);
            if !guard.expected.accepts(version) {
                return Ok(Err(conflict(guard, version)));
            }
            // Events sealed on another head, or a head that the caller vouched for, cannot be what is there now.
            let is_bound = prepared.sealed.is_some() || guard.base.is_some();
            if moved && is_bound && guard.expected != ExpectedVersion::Any {
                return Ok(Err(conflict(guard, version)));
            }
            fits &= !moved;
            present.push(current.head);
        }
        let sealed = match (prepared.sealed, prepared.request) {
            (Some(sealed), _) if fits => sealed,
            (_, Some(request)) => match seal(request, &present, self.options) {
                Ok(sealed) => sealed,
                Err(refusal) => return Ok(Err(refusal)),
            },
            // Only an aggregate that is expected at any version may have moved, and then the commit is here.
            (_, None) => {
                return Ok(Err(StoreError::InvalidCommit {
                    reason: "an aggregate moved while the commit was sealed; send it again".into(),
                }));
            }
        };
        let mut events = Vec::with_capacity(sealed.len());
        let mut sealed = sealed.into_iter();
        for guard in &prepared.guards {
            for event in sealed.by_ref().take(guard.events) {
                events.push(self.insert(&guard.aggregate, event)?);
            }
        }
        Ok(Ok(events))
    }

    /// Writes what is kept once for the whole transaction.
    pub(super) fn finish(self) -> Result<Outcome, StoreError> {
        let database = self.database;
        drop(self.insert);
        let mut heads = Vec::with_capacity(self.aggregates.len());
        for (aggregate, present) in self.aggregates {
            let Some(head) = present.head else {
                continue;
            };
            let key = present.key;
            if head.version != present.before {
                aggregates::save(database, &aggregate, key, present.before, &head)?;
            }
            heads.push((aggregate, Known { key, head }));
        }
        for name in &self.touched_types {
            let row = self.types.by_name[name];
            types::save(database, name, row, row.number >= self.first_new_type)?;
        }
        types::extend(database, self.before, self.types.last)?;
        cids::extend(database, self.before, self.types.last)?;
        Ok(Outcome {
            types: self.types,
            heads,
        })
    }

    fn current(
        &mut self,
        aggregate: &AggregateKey,
    ) -> Result<Result<Present, StoreError>, StoreError> {
        if let Some(present) = self.aggregates.get(aggregate) {
            return Ok(Ok(*present));
        }
        let present = match self.heads.get(aggregate) {
            Some(Known { key, head }) => Present {
                key,
                before: head.version,
                head: Some(head),
            },
            None => match aggregates::find(self.database, aggregate, self.digest, &self.reserved) {
                Ok(Slot::Taken { key, head }) => {
                    events::at_head(self.database, aggregate, &head)?;
                    Present {
                        key,
                        before: head.version,
                        head: Some(head),
                    }
                }
                Ok(Slot::Free { key }) => {
                    self.reserved.insert(key);
                    Present {
                        key,
                        before: 0,
                        head: None,
                    }
                }
                Err(refusal @ StoreError::InvalidCommit { .. }) => return Ok(Err(refusal)),
                Err(error) => return Err(error),
            },
        };
        self.aggregates.insert(aggregate.clone(), present);
        Ok(Ok(present))
    }

    fn insert(
        &mut self,
        aggregate: &AggregateKey,
        event: SealedEvent,
    ) -> Result<StoredEvent, StoreError> {
        let position = self.types.last + 1;
        let (number, previous_of_type) = self.follow_type(&event.envelope.event_type, position);
        let Some(present) = self.aggregates.get_mut(aggregate) else {
            return Err(self.database.damaged(
                position,
                event.cid,
                "the aggregate was not looked up",
            ));
        };
        let previous = present.head.map_or(0, |head| head.position.0);
        let added = self.insert.execute((
            stored(position),
            present.key,
            stored(previous),
            stored(number),
            stored(previous_of_type),
            stored(event.envelope.sequence),
            event.envelope.timestamp.as_micros(),
            event.cid.to_bytes(),
            &event.body[..],
        ));
        let rows = added.map_err(self.database.failed("adding an event"))?;
        if rows != 1 {
            return Err(self.database.damaged(
                position,
                event.cid,
                "the file did not take the event",
            ));
        }
        present.head = Some(Head {
            version: event.envelope.sequence,
            cid: event.cid,
            position: Position(position),
            timestamp: event.envelope.timestamp,
        });
        self.types.last = position;
        Ok(event.into_stored(Position(position)))
    }

    /// The number of a type, and the position of its event before this one.
    fn follow_type(&mut self, name: &str, position: u64) -> (u64, u64) {
        if !self.touched_types.contains(name) {
            self.touched_types.insert(name.into());
        }
        if let Some(row) = self.types.by_name.get_mut(name) {
            let previous = row.last;
            row.last = position;
            return (row.number, previous);
        }
        let number = self.types.by_name.len() as u64 + 1;
        let row = TypeRow {
            number,
            last: position,
        };
        self.types.by_name.insert(name.into(), row);
        (number, 0)
    }
}

/// Reads the types, and makes sure that each ends at an event of its own: what the writer adds goes on from there.
fn read_types(database: &Database) -> Result<Types, StoreError> {
    let types = types::read(database)?;
    for (name, row) in &types.by_name {
        let event = events::at(database, row.last)?;
        if event.event_type() != &**name {
            return Err(database.damaged(
                row.last,
                event.cid,
                format!("event type `{name}` names this as its last event, which is another's"),
            ));
        }
    }
    Ok(types)
}

fn conflict(guard: &Guard, actual: u64) -> StoreError {
    StoreError::Conflict {
        aggregate: guard.aggregate.clone(),
        expected: guard.expected,
        actual,
    }
}
