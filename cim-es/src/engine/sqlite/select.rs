//! Reading the events of a selection, a page at a time.

use super::aggregates::NameDigest;
use super::database::Database;
use super::history::{self, Walk};
use super::scan::{self, Gathered, Met, Sieve};
use super::type_positions;
use super::types::{self, TypeName, TypeRow, Types};
use super::{epochs, events};
use crate::block::StoredEvent;
use crate::store::{AggregateKey, Bookmark, Position, Selection, StoreError};

/// Some events of a selection, and how far they reach.
pub(super) struct Page {
    pub(super) events: Vec<StoredEvent>,
    /// Up to this position nothing that is wanted is left.
    pub(super) reached: u64,
    /// The position of the last event of all.
    pub(super) last: u64,
}

/// Compares where a reader was with what the file has.
pub(super) fn check(database: &Database, after: &Bookmark) -> Result<(), StoreError> {
    let last = types::last_position(database)?;
    let found = match after.names_event() && after.position.0 <= last {
        true => Some(events::at(database, after.position.0)?.cid),
        false => None,
    };
    after.check(database.location(), Position(last), found)
}

/// Where a reader is, and in which epoch that was found to be right.
#[derive(Clone, Copy)]
pub(super) struct Reached {
    /// Behind the last event that it was given.
    pub(super) given: Bookmark,
    /// Up to this position everything was looked at.
    pub(super) at: u64,
    /// None before anything was compared.
    pub(super) epoch: Option<u64>,
}

impl Reached {
    /// At a place that is to be compared with the file.
    pub(super) fn new(after: Bookmark) -> Self {
        Self {
            given: after,
            at: after.position.0,
            epoch: None,
        }
    }

    /// Compares it with the file, where that began another epoch since: what was looked at and not wanted may then have
    /// made room for others.
    pub(super) fn check(&mut self, database: &Database) -> Result<(), StoreError> {
        let epoch = Some(epochs::number(database)?);
        if self.epoch != epoch {
            check(database, &self.given)?;
            self.at = self.given.position.0;
            self.epoch = epoch;
        }
        Ok(())
    }
}

/// About `limit` events of a selection after a position and up to another: fewer when they are large, when there are no
/// more, or when others stand between them.
pub(super) fn page(
    database: &Database,
    selection: &Selection,
    after: u64,
    until: u64,
    limit: u64,
    digest: NameDigest,
) -> Result<Page, StoreError> {
    let sieve = Sieve::of(selection, digest);
    let sieve = sieve.as_ref();
    let mut page = if let Some(key) = selection.one_aggregate() {
        of_aggregate(database, key, after, until, digest)?
    } else if selection.is_by_type() || selection.is_by_kind() {
        types::with(database, |types| {
            let wanted = Wanted::new(types, selection, after, sieve);
            match wanted.is_all {
                true => in_order(database, after, until, limit, sieve),
                false => wanted.page(database, until, limit),
            }
        })?
    } else {
        in_order(database, after, until, limit, sieve)?
    };
    if !selection.is_everything() {
        page.events.retain(|event| selection.includes(event));
    }
    Ok(page)
}

/// The events of all types: without their lists, since their positions have no gaps.
fn in_order(
    database: &Database,
    after: u64,
    until: u64,
    limit: u64,
    sieve: Option<&Sieve<'_>>,
) -> Result<Page, StoreError> {
    let run = scan::page(database, after, until, limit, sieve)?;
    Ok(Page {
        reached: run.reached.unwrap_or(until),
        events: run.events,
        last: run.last,
    })
}

/// The events of one aggregate after a position.
fn of_aggregate(
    database: &Database,
    key: &AggregateKey,
    after: u64,
    until: u64,
    digest: NameDigest,
) -> Result<Page, StoreError> {
    let last = types::last_position(database)?;
    let mut page = Page {
        events: Vec::new(),
        reached: until,
        last,
    };
    if let Some(first) = history::first_after(database, key, after, digest)? {
        let mut walk = Walk::new(key.clone(), first, u64::MAX);
        page.events = walk.page(database, digest)?;
        if let Some(end) = page.events.last()
            && !walk.is_done()
        {
            page.reached = until.min(end.position.0);
        }
        page.events.retain(|event| event.position.0 <= until);
    }
    Ok(page)
}

/// One type that is wanted.
struct List<'a> {
    name: TypeName<'a>,
    row: TypeRow,
    /// The last event of the type that was met, or where the reader begins.
    at: u64,
}

/// The events of some types after a position, merged out of the lists of the types; each list is checked to be whole.
struct Wanted<'a> {
    lists: Vec<List<'a>>,
    /// Whether no other type has an event there.
    is_all: bool,
    after: u64,
    last: u64,
    sieve: Option<&'a Sieve<'a>>,
}

/// An event that is to be read, and the list that leads to it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    position: u64,
    list: usize,
}

impl<'a> Wanted<'a> {
    fn new(
        types: &'a Types,
        selection: &Selection,
        after: u64,
        sieve: Option<&'a Sieve<'a>>,
    ) -> Self {
        let present = types.iter().filter(|(_, row)| row.last > after);
        let present = present.map(|(name, row)| List {
            name,
            row,
            at: after,
        });
        let (lists, others): (Vec<_>, Vec<_>) = present.partition(|List { name, .. }| {
            name.kind.is_none_or(|kind| selection.may_have_kind(kind))
                && selection.may_have_type(name.name)
        });
        Self {
            lists,
            is_all: others.is_empty(),
            after,
            last: types.last,
            sieve,
        }
    }

    fn page(mut self, database: &Database, until: u64, limit: u64) -> Result<Page, StoreError> {
        let end = until.min(self.last);
        let most = Sieve::met(self.sieve, limit);
        let (entries, mut reached) = self.entries(database, end, most)?;
        let mut gathered = Gathered::new(limit);
        let mut next = entries.iter();
        let positions = entries.iter().map(|entry| entry.position);
        let (sieve, after) = (self.sieve, self.after);
        scan::scan(database, positions, sieve, |position, met| {
            if let Some(list) = next.next().and_then(|entry| self.lists.get_mut(entry.list)) {
                list.advance(database, position, &met, after)?;
            }
            Ok(gathered.take(met))
        })?;
        let rest = next.len();
        if rest > 0 {
            let met = entries.len() - rest;
            reached = met
                .checked_sub(1)
                .map_or(after, |last| entries[last].position);
        }
        for list in &self.lists {
            list.check_end(database, reached)?;
        }
        Ok(Page {
            events: gathered.events,
            reached: if reached == end { until } else { reached },
            last: self.last,
        })
    }

    /// The first events of the lists, about `most` of them, and up to which position these are all.
    ///
    /// They are looked for in ever longer stretches, so that a list is not read far past the others.
    fn entries(
        &self,
        database: &Database,
        end: u64,
        most: u64,
    ) -> Result<(Vec<Entry>, u64), StoreError> {
        let limit = usize::try_from(most).unwrap_or(usize::MAX);
        let mut entries: Vec<Entry> = Vec::new();
        let (mut reached, mut stretch) = (self.after, most);
        while reached < end && entries.len() < limit {
            let mut to = end.min(reached.saturating_add(stretch));
            for (number, list) in self.lists.iter().enumerate() {
                if list.row.last <= reached {
                    continue;
                }
                let between = (reached, to);
                let found = type_positions::positions(
                    database,
                    list.row.number,
                    between,
                    limit,
                    self.last,
                )?;
                if found.len() == limit {
                    to = found.last().map_or(to, |last| *last);
                }
                let found = found.into_iter();
                entries.extend(found.map(|position| Entry {
                    position,
                    list: number,
                }));
            }
            entries.sort_unstable();
            entries.truncate(entries.partition_point(|entry| entry.position <= to));
            (reached, stretch) = (to, stretch.saturating_mul(2));
        }
        Ok((entries, reached))
    }
}

impl List<'_> {
    /// Goes on to the next event of the type, which has to follow the one that was met last.
    fn advance(
        &mut self,
        database: &Database,
        position: u64,
        met: &Met,
        after: u64,
    ) -> Result<(), StoreError> {
        let (previous, event) = match met {
            Met::Event(linked) => (linked.previous_of_type, Some(&linked.event)),
            Met::PassedOver { previous_of_type } => (*previous_of_type, None),
        };
        let follows = match self.at == after {
            true => previous <= after,
            false => previous == self.at,
        };
        let is_one = event.is_none_or(|event| self.name.has(event));
        if is_one && follows {
            self.at = position;
            return Ok(());
        }
        let found = event.map_or_else(
            || "an event".to_owned(),
            |event| {
                format!(
                    "a `{}` of `{}`",
                    event.event_type(),
                    event.envelope.aggregate
                )
            },
        );
        Err(database.damaged(
            position,
            event.map(|event| event.cid),
            format!(
                "the list of events of type `{}` leads here from the wrong event: this one is {found} that follows position {previous}",
                self.name.name,
            ),
        ))
    }

    /// Makes sure that the list leads to its last event, where everything up to a position was read.
    fn check_end(&self, database: &Database, reached: u64) -> Result<(), StoreError> {
        let is_whole = match self.row.last <= reached {
            true => self.at == self.row.last,
            false => self.at < self.row.last,
        };
        if is_whole {
            return Ok(());
        }
        let reason = format!(
            "the list of events of type `{}` leads to position {}, its last event is at this one",
            self.name.name, self.at
        );
        Err(database.damaged(self.row.last, None, reason))
    }
}
