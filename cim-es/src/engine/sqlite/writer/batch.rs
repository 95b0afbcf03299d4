//! One transaction over the commits that waited together.

use std::collections::{HashMap, HashSet};

use rusqlite::CachedStatement;

use super::heads::{Entry, Heads, Known};
use super::prepare::{Base, Guard, Prepared};
use crate::engine::sqlite::aggregates::{self, NameDigest, Slot};
use crate::engine::sqlite::database::{Database, stored};
use crate::engine::sqlite::types::{self, TypeRow, Types};
use crate::engine::sqlite::{cids, events, history};
use crate::store::{
    AggregateKey, ExpectedVersion, Head, Position, SealOptions, SealedEvent, StoreError, seal,
};

/// What the writer knows of the file, valid while no other process commits.
pub(super) struct Memory {
    pub(super) types: Option<Types>,
    pub(super) data_version: i64,
    pub(super) schema_version: i64,
}

impl Memory {
    /// Takes in what other processes have committed.
    pub(super) fn follow_others(&mut self, database: &Database) -> Result<(), StoreError> {
        if let Some(mut types) = self.types.take()
            && types::catch_up(database, &mut types)?
        {
            self.types = Some(types);
        }
        Ok(())
    }
}

/// An aggregate as the open transaction has it.
#[derive(Clone, Copy)]
pub(super) struct Present {
    key: i64,
    /// The version in the file before the transaction.
    before: u64,
    head: Option<Head>,
}

impl Present {
    /// The last event of the aggregate.
    pub(super) fn head(&self) -> Option<Head> {
        self.head
    }
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
    /// The types that were changed, as they were before; none for one that is new.
    touched_types: HashMap<Box<str>, Option<TypeRow>>,
    before: u64,
    /// Keys, versions and positions that are to be kept.
    versions: Vec<(i64, u64, u64)>,
    insert: CachedStatement<'a>,
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
            None => types::read(database)?,
        };
        Ok(Self {
            database,
            heads,
            options,
            digest,
            aggregates: HashMap::with_capacity(64),
            reserved: HashSet::new(),
            before: types.last,
            types,
            touched_types: HashMap::new(),
            versions: Vec::new(),
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

    pub(super) fn database(&self) -> &'a Database {
        self.database
    }

    pub(super) fn digest(&self) -> NameDigest {
        self.digest
    }

    /// The position of the last event of all, in the transaction.
    pub(super) fn last(&self) -> u64 {
        self.types.last
    }

    /// Stores one commit in the transaction, and gives the position of its first event. A refusal is the inner error, and
    /// has written nothing; the outer one ends the transaction.
    pub(super) fn add(
        &mut self,
        prepared: &mut Prepared,
    ) -> Result<Result<u64, StoreError>, StoreError> {
        let mut fits = true;
        let mut present = Vec::with_capacity(prepared.guards.len());
        for guard in &prepared.guards {
            let current = match self.current(&guard.aggregate)? {
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
        if prepared.sealed.is_none() || !fits {
            // Only an aggregate that is expected at any version may have moved, and then the commit is here.
            let Some(request) = prepared.request_to_seal() else {
                return Ok(Err(StoreError::InvalidCommit {
                    reason: "an aggregate moved while the commit was sealed; send it again".into(),
                }));
            };
            match seal(request, &present, self.options) {
                Ok(sealed) => prepared.seal_on(&present, sealed),
                Err(refusal) => return Ok(Err(refusal)),
            }
        }
        let first = self.types.last + 1;
        let sealed = prepared.sealed.iter().flatten();
        for (event, place) in sealed.zip(&*prepared.order) {
            self.insert(&prepared.guards[*place].aggregate, event)?;
        }
        Ok(Ok(first))
    }

    /// Writes what is kept once for the whole transaction, and gives what is known once it is committed.
    pub(super) fn finish(self) -> Result<(Types, Vec<Entry>), StoreError> {
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
        for (name, before) in &self.touched_types {
            types::save(database, name, self.types.by_name[name], before.is_none())?;
        }
        for (key, version, position) in self.versions {
            history::keep(database, key, version, position)?;
        }
        types::extend(database, self.before, self.types.last)?;
        cids::extend(database, self.before, self.types.last)?;
        Ok((self.types, heads))
    }

    /// The types as they were before, for a transaction that is rolled back.
    pub(super) fn undo(mut self) -> Types {
        for (name, before) in self.touched_types {
            match before {
                Some(row) => self.types.by_name.insert(name, row),
                None => self.types.by_name.remove(&name),
            };
        }
        self.types.last = self.before;
        self.types
    }

    pub(super) fn current(
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

    pub(super) fn insert(
        &mut self,
        aggregate: &AggregateKey,
        event: &SealedEvent,
    ) -> Result<(), StoreError> {
        let position = self.types.last + 1;
        let (number, previous_of_type) = self.follow_type(&event.envelope.event_type, position)?;
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
        if event.envelope.sequence.is_multiple_of(history::STRIDE) {
            self.versions
                .push((present.key, event.envelope.sequence, position));
        }
        self.types.last = position;
        Ok(())
    }

    /// The number of a type, and the position of its event before this one. That event is looked at once: what is added
    /// goes on from there. Where it is damaged, commits of other types are not concerned.
    fn follow_type(&mut self, name: &str, position: u64) -> Result<(u64, u64), StoreError> {
        let before = self.types.by_name.get(name).copied();
        if !self.touched_types.contains_key(name) {
            self.touched_types.insert(name.into(), before);
        }
        if let Some(row) = self.types.by_name.get_mut(name) {
            if !row.is_checked {
                types::check_last(self.database, name, *row)?;
                row.is_checked = true;
            }
            let previous = row.last;
            row.last = position;
            return Ok((row.number, previous));
        }
        let number = self.types.by_name.len() as u64 + 1;
        let row = TypeRow {
            number,
            last: position,
            is_checked: true,
        };
        self.types.by_name.insert(name.into(), row);
        Ok((number, 0))
    }
}

fn conflict(guard: &Guard, actual: u64) -> StoreError {
    StoreError::Conflict {
        aggregate: guard.aggregate.clone(),
        expected: guard.expected,
        actual,
    }
}
