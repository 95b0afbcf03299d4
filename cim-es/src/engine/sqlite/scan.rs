//! Reading the events at rising positions, in one pass over the table.

use std::ops::ControlFlow;

use rusqlite::Row;

use super::aggregates::{self, NameDigest};
use super::database::{Database, count, stored};
use super::events::{self, Linked, Room, STEPS};
use super::types;
use crate::block::{StoredEvent, envelope_block};
use crate::store::{PARTITIONS, Selection, StoreError, partition};

/// The bytes of events past which a page has no further one.
pub(super) const PAGE_BYTES: usize = 1024 * 1024;
/// How many events a page looks at for each that it may have, at most: it ends there, so that no reading takes long.
const MOST_MET: u64 = 16;

/// What stands at a position.
#[expect(
    clippy::large_enum_variant,
    reason = "each is taken apart where it is made, and most are events"
)]
pub(super) enum Met {
    /// An event, proved.
    Event(Linked),
    /// An event of a partition that is not wanted.
    PassedOver { previous_of_type: u64 },
}

/// Tells events of partitions that are not wanted, without proving them.
pub(super) struct Sieve<'a> {
    selection: &'a Selection,
    digest: NameDigest,
}

impl<'a> Sieve<'a> {
    /// The sieve of a selection; none where all partitions are wanted.
    pub(super) fn of(selection: &'a Selection, digest: NameDigest) -> Option<Self> {
        let is_needed = selection.partitions().is_some();
        is_needed.then_some(Self { selection, digest })
    }

    /// How many events a page looks at that is to have some: as many more as there are partitions for each wanted one.
    pub(super) fn met(sieve: Option<&Self>, events: u64) -> u64 {
        let parts = sieve.map_or(1, |sieve| {
            let wanted = sieve.selection.partitions().map_or(1, |it| it.len() as u64);
            u64::from(PARTITIONS).div_ceil(wanted.max(1)).min(MOST_MET)
        });
        events.saturating_mul(parts)
    }

    /// Whether an event is of another partition. Two places of its row have to say so, of which neither is proved: the
    /// name in its body, and the column with the digest of that name. Where they differ the row is damaged, or is not
    /// what it seems to be, and the event is looked at as any other.
    fn passes_over(&self, aggregate: i64, body: &[u8]) -> bool {
        let Some((kind, id)) = envelope_block::aggregate_of(body) else {
            return false;
        };
        !self.selection.may_have_partition(partition(id))
            && aggregates::is_place(aggregate, kind, id, self.digest)
    }
}

/// Looks at what stands at some positions, in order, until `take` has enough. Each of them exists, and is proved unless
/// the sieve passes over it.
pub(super) fn scan(
    database: &Database,
    positions: impl IntoIterator<Item = u64>,
    sieve: Option<&Sieve<'_>>,
    mut take: impl FnMut(u64, Met) -> Result<ControlFlow<()>, StoreError>,
) -> Result<(), StoreError> {
    let failed = database.failed("reading events");
    let mut statement = database
        .connection
        .prepare_cached(events::columns!("WHERE position >= ?1 ORDER BY position"))
        .map_err(&failed)?;
    let mut room = Room::new();
    let mut wanted = positions.into_iter().peekable();
    'seek: while let Some(position) = wanted.peek().copied() {
        database.is_wanted()?;
        let mut rows = statement.query((stored(position),)).map_err(&failed)?;
        let mut steps = 0;
        while let Some(position) = wanted.peek().copied() {
            let row = rows.next().map_err(&failed)?;
            let row = row.ok_or_else(|| events::missing(database, position))?;
            let found = count(row, 0).map_err(&failed)?;
            if found < position {
                steps += 1;
                if steps > STEPS {
                    continue 'seek;
                }
                continue;
            }
            if found > position {
                return Err(events::missing(database, position));
            }
            steps = 0;
            wanted.next();
            if take(position, met(database, row, sieve, &mut room)?)?.is_break() {
                return Ok(());
            }
        }
    }
    Ok(())
}

fn met(
    database: &Database,
    row: &Row<'_>,
    sieve: Option<&Sieve<'_>>,
    room: &mut Room,
) -> Result<Met, StoreError> {
    let passed_over = |sieve: &Sieve<'_>| {
        let (aggregate, body) = (row.get(1)?, row.get_ref(7)?.as_blob()?);
        let is_passed_over = sieve.passes_over(aggregate, body);
        Ok(is_passed_over.then_some(count(row, 3)?))
    };
    let passed_over = sieve.map(passed_over).transpose();
    match passed_over
        .map_err(database.failed("reading events"))?
        .flatten()
    {
        Some(previous_of_type) => Ok(Met::PassedOver { previous_of_type }),
        None => Linked::from_row(database, row, room).map(Met::Event),
    }
}

/// Events as they are met, up to the bounds of a page.
pub(super) struct Gathered {
    pub(super) events: Vec<StoredEvent>,
    limit: u64,
    bytes: usize,
}

impl Gathered {
    /// At most `limit` events.
    pub(super) fn new(limit: u64) -> Self {
        Self {
            events: Vec::new(),
            limit,
            bytes: 0,
        }
    }

    /// Takes what was met; whether there is room for more.
    pub(super) fn take(&mut self, met: Met) -> ControlFlow<()> {
        if let Met::Event(linked) = met {
            self.bytes += linked.event.body().len();
            self.events.push(linked.event);
        }
        let is_full = self.bytes >= PAGE_BYTES || self.events.len() as u64 >= self.limit;
        match is_full {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }
}

/// The events at some positions, in order, until they have [`PAGE_BYTES`] together; one at least.
pub(super) fn at_all(
    database: &Database,
    positions: &[u64],
) -> Result<Vec<StoredEvent>, StoreError> {
    let mut gathered = Gathered::new(positions.len() as u64);
    let positions = positions.iter().copied();
    scan(database, positions, None, |_, met| Ok(gathered.take(met)))?;
    Ok(gathered.events)
}

/// Events in the store's order, and how far they reach.
pub(super) struct Run {
    pub(super) events: Vec<StoredEvent>,
    /// The last position that was looked at; none where there is none behind where it began.
    pub(super) reached: Option<u64>,
    /// The position of the last event of all.
    pub(super) last: u64,
}

/// The events after a position and up to another, at most `limit` and about [`PAGE_BYTES`], without those that the sieve
/// passes over.
pub(super) fn page(
    database: &Database,
    after: u64,
    until: u64,
    limit: u64,
    sieve: Option<&Sieve<'_>>,
) -> Result<Run, StoreError> {
    let last = types::last_position(database)?;
    let end = after.saturating_add(Sieve::met(sieve, limit));
    let positions = after.saturating_add(1)..=last.min(until).min(end);
    let mut gathered = Gathered::new(limit);
    let mut reached = None;
    scan(database, positions, sieve, |position, met| {
        reached = Some(position);
        Ok(gathered.take(met))
    })?;
    Ok(Run {
        events: gathered.events,
        reached,
        last,
    })
}
