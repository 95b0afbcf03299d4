//! One transaction over the commits that waited together.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use lru::DefaultHasher as Hasher;
use rusqlite::CachedStatement;
use uuid::Uuid;

use super::heads::{Entry, Heads, Known};
use super::prepare::{Base, Prepared};
use super::repeats::Added;
use crate::domain::aggregate::IdText;
use crate::engine::sqlite::aggregates::{self, NameDigest, Slot};
use crate::engine::sqlite::database::{Database, stored};
use crate::engine::sqlite::read_models::inline::{Counting, Inline};
use crate::engine::sqlite::types::{self, TypeName, TypeRow, Types};
use crate::engine::sqlite::{cids, epochs, events, history, schema, type_positions};
use crate::store::{
    AggregateCommit, AggregateKey, ExpectedVersion, Head, Position, ProvedCommit, SealOptions,
    SealedEvent, StoreError, seal_commit,
};

/// What the writer knows of the file, valid while no other process commits.
pub(super) struct Memory {
    pub(super) types: Option<Types>,
    /// The epoch of the file.
    pub(super) epoch: u64,
    pub(super) data_version: i64,
    pub(super) schema_version: i64,
    /// The views that are kept with the events.
    pub(super) inline: Arc<Inline>,
}

impl Memory {
    /// Takes in what other processes have committed.
    pub(super) fn follow_others(
        &mut self,
        database: &Database,
        heads: &Heads,
    ) -> Result<(), StoreError> {
        self.inline.forget_known();
        let epoch = epochs::number(database)?;
        if epoch != self.epoch {
            heads.forget_messages();
            self.epoch = epoch;
        }
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
    /// The last event in the file before the transaction.
    pub(super) begun: Option<Head>,
}

impl Present {
    /// The key of its row, or that which it will have.
    pub(super) fn key(&self) -> i64 {
        self.key
    }

    /// The last event of the aggregate.
    pub(super) fn head(&self) -> Option<Head> {
        self.head
    }
}

/// A type that was changed.
struct Touched {
    kind: Box<str>,
    name: Box<str>,
    /// What it was before; none for one that is new.
    before: Option<TypeRow>,
    /// The position of its last event now.
    last: u64,
}

/// Why something is not added to a transaction.
pub(super) enum Refusal {
    /// It is refused, and has written nothing: the transaction goes on without it.
    Commit(StoreError),
    /// The transaction cannot go on.
    Transaction(StoreError),
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Transaction(error)
    }
}

impl Refusal {
    /// Why, for whom it makes no difference.
    pub(super) fn into_error(self) -> StoreError {
        match self {
            Self::Commit(error) | Self::Transaction(error) => error,
        }
    }
}

/// An open transaction.
pub(super) struct Batch<'a> {
    database: &'a Database,
    heads: &'a Heads,
    options: &'a SealOptions,
    digest: NameDigest,
    aggregates: HashMap<AggregateKey, Present, Hasher>,
    reserved: HashSet<i64>,
    types: Types,
    /// The types that were changed, by their numbers.
    touched_types: HashMap<u64, Touched, Hasher>,
    before: u64,
    /// Up to where the indexes over types and CIDs are written.
    indexed: u64,
    /// Keys, versions and positions that are to be kept.
    versions: Vec<(i64, u64, u64)>,
    /// The messages behind the commits of the transaction, each with the key of an aggregate that it wrote to.
    pub(super) messages: HashSet<(i64, Uuid), Hasher>,
    /// The kinds of the aggregates that the transaction began, by their ids.
    begun: HashMap<IdText, Vec<String>>,
    /// The views that are kept with the events; none where there are none.
    views: Option<Counting<'a>>,
    insert: CachedStatement<'a>,
}

impl<'a> Batch<'a> {
    /// Goes on from what the file holds; a write transaction is open.
    pub(super) fn begin(
        database: &'a Database,
        heads: &'a Heads,
        options: &'a SealOptions,
        digest: NameDigest,
        memory: &'a mut Memory,
    ) -> Result<Self, StoreError> {
        let types = match memory.types.take() {
            Some(types) => types,
            None => types::read(database)?,
        };
        let views = memory.inline.begin(database, digest, types.last)?;
        Self::of(database, heads, options, digest, types, views)
    }

    /// Goes on from types that are known, for some views.
    pub(super) fn of(
        database: &'a Database,
        heads: &'a Heads,
        options: &'a SealOptions,
        digest: NameDigest,
        types: Types,
        views: Option<Counting<'a>>,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            database,
            heads,
            options,
            digest,
            aggregates: HashMap::with_capacity_and_hasher(64, Hasher::default()),
            reserved: HashSet::new(),
            before: types.last,
            indexed: types.last,
            types,
            touched_types: HashMap::default(),
            versions: Vec::new(),
            messages: HashSet::default(),
            begun: HashMap::new(),
            views,
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

    /// What is known of the file without reading.
    pub(super) fn known(&self) -> &'a Heads {
        self.heads
    }

    /// An aggregate that the transaction has looked up already.
    pub(super) fn looked_up(&self, aggregate: &AggregateKey) -> Option<&Present> {
        self.aggregates.get(aggregate)
    }

    pub(super) fn database(&self) -> &'a Database {
        self.database
    }

    pub(super) fn digest(&self) -> NameDigest {
        self.digest
    }

    /// Stores one commit in the transaction, unless it may have been stored before.
    pub(super) fn add(&mut self, prepared: &mut Prepared) -> Result<Added, Refusal> {
        if self.may_be_repeated(prepared)? {
            return Ok(Added::Unclear);
        }
        let mut fits = true;
        let parts = &prepared.request.aggregates;
        let mut present = Vec::with_capacity(parts.len());
        for (part, known) in parts.iter().zip(&prepared.bases) {
            let current = self.current(&part.aggregate)?;
            let base = current.head.map(Base::of);
            let moved = base != *known;
            let version = base.map_or(0, |base| base.version);
            if !part.expected.accepts(version) {
                return Err(conflict(part, version));
            }
            // Events sealed on another head, or a head that the caller vouched for, cannot be what is there now.
            let is_bound = prepared.sealed.is_some() || known.is_some();
            if moved && is_bound && part.expected != ExpectedVersion::Any {
                return Err(conflict(part, version));
            }
            if current.head.is_none() && !self.is_alone(part)? {
                return Err(conflict(part, 0));
            }
            fits &= !moved;
            present.push(current.head);
        }
        if prepared.sealed.is_none() || !fits {
            // Only an aggregate that is expected at any version may have moved.
            let sealed = seal_commit(&prepared.request, &present, self.options);
            prepared.seal_on(&present, sealed.map_err(Refusal::Commit)?);
        }
        let first = self.types.last + 1;
        let sealed = prepared.sealed.iter().flatten();
        for (event, place) in sealed.zip(prepared.request.in_order()) {
            self.insert(&prepared.request.aggregates[place].aggregate, event)?;
        }
        if let (Some(views), Some(sealed)) = (&mut self.views, &prepared.sealed) {
            views.note(first - 1, sealed);
        }
        self.note_message(prepared);
        let parts = prepared.request.aggregates.iter().zip(present);
        for (part, _) in parts.filter(|(_, head)| head.is_none()) {
            let kinds = self.begun.entry(part.aggregate.id().clone()).or_default();
            kinds.push(part.aggregate.kind().to_owned());
        }
        Ok(Added::At(first))
    }

    /// Stores a commit that was proved, and follows what is there. Gives the position of its first event.
    pub(super) fn add_proved(&mut self, commit: &ProvedCommit) -> Result<u64, StoreError> {
        let behind = self.types.last;
        for (aggregate, event) in commit.events_of() {
            self.insert(aggregate, event)?;
        }
        if let Some(views) = &mut self.views {
            views.note(behind, commit.events());
        }
        Ok(behind + 1)
    }

    /// Whether the id of an aggregate without events has none of a kind that it does not share its ids with.
    fn is_alone(&self, part: &AggregateCommit) -> Result<bool, StoreError> {
        let Some(shared) = part.shares_ids_with else {
            return Ok(true);
        };
        let id = part.aggregate.id();
        let kinds = aggregates::kinds(self.database, id)?;
        let begun = self.begun.get(id).into_iter().flatten();
        let is_known =
            |kind: &String| kind == part.aggregate.kind() || shared.contains(&kind.as_str());
        Ok(kinds.iter().chain(begun).all(is_known))
    }

    /// Writes what is kept once for the whole transaction, and gives what is known once it is committed.
    pub(super) fn finish(self) -> Result<(Types, Vec<Entry>), StoreError> {
        let database = self.database;
        drop(self.insert);
        let mut heads = Vec::with_capacity(self.aggregates.len());
        let mut saving = aggregates::Saving::new(database)?;
        // In the order of the rows: those of one page are written one after the other.
        let mut aggregates: Vec<_> = self.aggregates.into_iter().collect();
        aggregates.sort_unstable_by_key(|(_, present)| present.key);
        for (aggregate, present) in aggregates {
            let Some(head) = present.head else {
                continue;
            };
            let key = present.key;
            if head.version != present.before {
                saving.save(&aggregate, key, present.before, &head)?;
            }
            heads.push((aggregate, Known { key, head }));
        }
        for (number, touched) in &self.touched_types {
            let name = TypeName {
                kind: Some(&touched.kind),
                name: &touched.name,
            };
            let row = TypeRow {
                number: *number,
                last: touched.last,
                is_checked: true,
            };
            types::save(database, name, row, touched.before.is_none())?;
        }
        for (key, version, position) in self.versions {
            history::keep(database, key, version, position)?;
        }
        // In the end: a view sees the file as it will be.
        if let Some(views) = self.views {
            views.finish()?;
        }
        Ok((self.types, heads))
    }

    /// The types as they were before, for a transaction that is rolled back.
    pub(super) fn undo(mut self) -> Types {
        for touched in self.touched_types.into_values() {
            let name = TypeName {
                kind: Some(&touched.kind),
                name: &touched.name,
            };
            match touched.before {
                Some(row) => self.types.put(name, row),
                None => self.types.remove(&touched.kind, &touched.name),
            }
        }
        self.types.last = self.before;
        self.types
    }

    pub(super) fn current(&mut self, aggregate: &AggregateKey) -> Result<Present, Refusal> {
        if let Some(present) = self.aggregates.get(aggregate) {
            return Ok(*present);
        }
        let present = match self.heads.get(aggregate) {
            Some(Known { key, head }) => Present {
                key,
                before: head.version,
                head: Some(head),
                begun: Some(head),
            },
            None => match aggregates::find(self.database, aggregate, self.digest, &self.reserved) {
                Ok(Slot::Taken { key, head }) => {
                    events::at_head(self.database, aggregate, &head)?;
                    Present {
                        key,
                        before: head.version,
                        head: Some(head),
                        begun: Some(head),
                    }
                }
                Ok(Slot::Free { key }) => {
                    self.reserved.insert(key);
                    Present {
                        key,
                        before: 0,
                        head: None,
                        begun: None,
                    }
                }
                Err(refusal @ StoreError::InvalidCommit { .. }) => {
                    return Err(Refusal::Commit(refusal));
                }
                Err(error) => return Err(error.into()),
            },
        };
        self.aggregates.insert(aggregate.clone(), present);
        Ok(present)
    }

    pub(super) fn insert(
        &mut self,
        aggregate: &AggregateKey,
        event: &SealedEvent,
    ) -> Result<(), StoreError> {
        let position = self.types.last + 1;
        let (number, previous_of_type) =
            self.follow_type(aggregate.kind(), &event.envelope.event_type, position)?;
        let Some(present) = self.aggregates.get_mut(aggregate) else {
            return Err(self.database.damaged(
                position,
                event.cid,
                "the aggregate was not looked up",
            ));
        };
        let previous = present.head.map_or(0, |head| head.position.0);
        let cid = cids::column(self.database, &event.cid)?;
        let added = self.insert.execute((
            stored(position),
            present.key,
            stored(previous),
            stored(number),
            stored(previous_of_type),
            stored(event.envelope.sequence),
            event.envelope.timestamp.as_micros(),
            cid.as_slice(),
            &event.body()[..],
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
        if position == schema::indexed(position) {
            // At once: the pages of these events are still in the cache.
            type_positions::extend(self.database, self.indexed, position)?;
            cids::extend(self.database, self.indexed, position)?;
            self.indexed = position;
        }
        Ok(())
    }

    /// The number of a type, and the position of its event before this one. That event is looked at once: what is added
    /// goes on from there. Where it is damaged, commits of other types are not concerned.
    fn follow_type(
        &mut self,
        kind: &str,
        name: &str,
        position: u64,
    ) -> Result<(u64, u64), StoreError> {
        let touched = |before| Touched {
            kind: kind.into(),
            name: name.into(),
            before,
            last: position,
        };
        let of_kind = TypeName {
            kind: Some(kind),
            name,
        };
        if let Some(row) = self.types.get_mut(kind, name) {
            if !row.is_checked {
                types::check_last(self.database, of_kind, *row)?;
                row.is_checked = true;
            }
            let before = *row;
            row.last = position;
            self.touched_types
                .entry(row.number)
                .and_modify(|touched| touched.last = position)
                .or_insert_with(|| touched(Some(before)));
            return Ok((row.number, before.last));
        }
        let number = self.types.len() as u64 + 1;
        let row = TypeRow {
            number,
            last: position,
            is_checked: true,
        };
        self.types.put(of_kind, row);
        self.touched_types.insert(number, touched(None));
        Ok((number, 0))
    }
}

fn conflict(part: &AggregateCommit, actual: u64) -> Refusal {
    Refusal::Commit(StoreError::Conflict {
        aggregate: part.aggregate.clone(),
        expected: part.expected,
        actual,
    })
}
