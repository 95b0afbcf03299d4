//! Reading the history of one aggregate, a page at a time, from its first version on.
//!
//! An event names the position of the one before it, so a history can only be walked backwards; every 256th version has
//! its position in a table of its own. A page begins there: the positions of its events are walked back to, then the
//! events are read forwards, each checked to follow from the one before. So no page reads more than about 256 events of
//! the aggregate, or a mebibyte of them, wherever in a long history it lies.

use std::collections::HashSet;

use super::aggregates::{self, NameDigest, Slot};
use super::database::{Database, count, stored};
use super::{epochs, events, scan, types};
use crate::block::{Fault, StoredEvent};
use crate::store::{AggregateKey, AnotherHistory, Head, Position, StoreError};

/// How many versions of an aggregate one position is kept for.
pub(super) const STRIDE: u64 = 256;

/// A walk through some versions of one aggregate.
#[derive(Clone, Debug)]
pub(super) struct Walk {
    aggregate: AggregateKey,
    /// The next version to be read.
    next: u64,
    /// The last one that is wanted: once the first page was read, no later one than there was then.
    last: u64,
    /// The event before the next one, when it was read.
    before: Option<StoredEvent>,
    /// Whether the next version was given by the walk that this one goes on from: it is read to see that the versions
    /// behind it follow from it.
    is_given: bool,
    /// The epoch of the file in which the first page was read.
    epoch: Option<u64>,
}

impl Walk {
    /// The versions from one to another, both included, as far as there are any.
    pub(super) fn new(aggregate: AggregateKey, first: u64, last: u64) -> Self {
        Self {
            aggregate,
            next: first.max(1),
            last,
            before: None,
            is_given: false,
            epoch: None,
        }
    }

    /// Whether what is left can be read in parts, each without the one before: the position of the last version that was
    /// read is kept.
    pub(super) fn can_be_parted(&self) -> bool {
        self.next > STRIDE && (self.next - 1).is_multiple_of(STRIDE)
    }

    /// Takes off a part: the versions up to the next one whose position is kept. None at the end.
    pub(super) fn take_part(&mut self) -> Option<Self> {
        if self.is_done() {
            return None;
        }
        let part = Self {
            aggregate: self.aggregate.clone(),
            next: self.next - 1,
            last: self.next.next_multiple_of(STRIDE).min(self.last),
            before: None,
            is_given: true,
            epoch: self.epoch,
        };
        self.next = part.last + 1;
        Some(part)
    }

    /// Whether everything was read.
    pub(super) fn is_done(&self) -> bool {
        self.next > self.last
    }

    /// The next events; none at the end.
    pub(super) fn page(
        &mut self,
        database: &Database,
        digest: NameDigest,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        self.check_epoch(database)?;
        let slot = aggregates::find(database, &self.aggregate, digest, &HashSet::new())?;
        match slot {
            Slot::Taken { key, head } => self.page_up_to(database, key, &head),
            Slot::Free { .. } => {
                self.last = 0;
                Ok(Vec::new())
            }
        }
    }

    /// Makes sure that what is read goes on from what was read: that the branch was not replaced meanwhile.
    fn check_epoch(&mut self, database: &Database) -> Result<(), StoreError> {
        let epoch = epochs::number(database)?;
        let known = self.epoch.replace(epoch).unwrap_or(epoch);
        if known == epoch || !epochs::concern(database, known, &self.aggregate)? {
            return Ok(());
        }
        let known = self.before.as_ref().map(StoredEvent::bookmark);
        let last = Position(types::last_position(database)?);
        let location = database.location().clone();
        Err(AnotherHistory::of(location, known.unwrap_or_default(), last).into())
    }

    /// The same for an aggregate whose last event is known.
    fn page_up_to(
        &mut self,
        database: &Database,
        key: i64,
        head: &Head,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        if self.before.is_none() {
            self.last = self.last.min(head.version);
        }
        if self.is_done() {
            return Ok(Vec::new());
        }
        if self.next == head.version && self.before.is_none() {
            let event = events::at_head(database, &self.aggregate, head)?;
            self.next += 1;
            return Ok(vec![event]);
        }
        let positions = self.positions(database, key, head)?;
        let mut events = scan::at_all(database, &positions)?;
        let mut before = self.before.take();
        for event in &events {
            self.check(database, before.as_ref(), event, head)?;
            before = None;
            self.next += 1;
        }
        for pair in events.windows(2) {
            events::check_link(database, &pair[0], &pair[1])?;
        }
        self.before = events.last().cloned();
        if std::mem::take(&mut self.is_given) {
            events.remove(0);
        }
        Ok(events)
    }

    /// Checks that an event is the next one.
    fn check(
        &self,
        database: &Database,
        before: Option<&StoredEvent>,
        event: &StoredEvent,
        head: &Head,
    ) -> Result<(), StoreError> {
        let envelope = &event.envelope;
        if let Some(before) = before {
            events::check_link(database, before, event)?;
        }
        let is_next = envelope.sequence == self.next
            && self.aggregate.has(event)
            && (envelope.sequence == 1) == envelope.previous.is_none();
        if !is_next {
            let fault = if !self.aggregate.has(event) {
                Fault::WrongAggregate {
                    expected: self.aggregate.to_string(),
                    found: events::owner(event),
                }
            } else if envelope.sequence != self.next {
                Fault::Gap {
                    expected: self.next,
                    found: envelope.sequence,
                }
            } else {
                Fault::PreviousMismatch {
                    expected: None,
                    found: envelope.previous,
                }
            };
            return Err(database.judged()(fault.at(event.place())));
        }
        match envelope.sequence == head.version {
            true => events::check_head(database, &self.aggregate, head, event),
            false => Ok(()),
        }
    }

    /// The positions of the next versions, up to the next one whose position is kept.
    fn positions(
        &self,
        database: &Database,
        key: i64,
        head: &Head,
    ) -> Result<Vec<u64>, StoreError> {
        let kept = (self.next + u64::from(self.is_given)).next_multiple_of(STRIDE);
        let (mut version, mut position) = match kept < head.version {
            true => (kept, kept_position(database, key, kept, &self.aggregate)?),
            false => (head.version, head.position.0),
        };
        let mut positions = Vec::with_capacity(STRIDE as usize);
        events::walk_back(database, position, |link| {
            position = link.position;
            if link.aggregate != key || link.sequence != version {
                return Err(database.damaged(
                    position,
                    None,
                    format!(
                        "version {version} of {} should be here, and another event is",
                        self.aggregate
                    ),
                ));
            }
            if version <= self.last {
                positions.push(position);
            }
            if version == self.next {
                return Ok(None);
            }
            version -= 1;
            if !(1..position).contains(&link.previous_of_aggregate) {
                return Err(database.damaged(
                    position,
                    None,
                    format!(
                        "version {} of {} names position {} as that of its predecessor",
                        version + 1,
                        self.aggregate,
                        link.previous_of_aggregate
                    ),
                ));
            }
            Ok(Some(link.previous_of_aggregate))
        })?;
        positions.reverse();
        if self.is_given && position != kept_position(database, key, self.next, &self.aggregate)? {
            return Err(database.damaged(
                position,
                None,
                format!(
                    "version {} of {} is here, and its position is kept as another",
                    self.next, self.aggregate
                ),
            ));
        }
        Ok(positions)
    }
}

/// The events of an aggregate from a version up to its last event, which is known.
pub(super) fn since(
    database: &Database,
    aggregate: &AggregateKey,
    key: i64,
    head: &Head,
    first: u64,
) -> Result<Vec<StoredEvent>, StoreError> {
    let mut walk = Walk::new(aggregate.clone(), first, head.version);
    let mut events = Vec::new();
    while !walk.is_done() {
        events.extend(walk.page_up_to(database, key, head)?);
    }
    Ok(events)
}

/// The first version of an aggregate whose event stands after a position; none when it has no such event.
pub(super) fn first_after(
    database: &Database,
    aggregate: &AggregateKey,
    after: u64,
    digest: NameDigest,
) -> Result<Option<u64>, StoreError> {
    let slot = aggregates::find(database, aggregate, digest, &HashSet::new())?;
    let Slot::Taken { key, head } = slot else {
        return Ok(None);
    };
    if head.position.0 <= after {
        return Ok(None);
    }
    let kept = database.first(
        "looking for a version",
        "SELECT position FROM versions WHERE aggregate = ?1 AND position > ?2 ORDER BY version LIMIT 1",
        (key, stored(after)),
        |row| count(row, 0),
    )?;
    let mut first = None;
    events::walk_back(database, kept.unwrap_or(head.position.0), |link| {
        first = Some(link.sequence);
        let previous = link.previous_of_aggregate;
        Ok((after + 1..link.position)
            .contains(&previous)
            .then_some(previous))
    })?;
    Ok(first)
}

/// Keeps the positions of versions that are multiples of [`STRIDE`].
pub(super) fn keep(
    database: &Database,
    key: i64,
    version: u64,
    position: u64,
) -> Result<(), StoreError> {
    database.write_row(
        "keeping the position of a version",
        "INSERT INTO versions (aggregate, version, position) VALUES (?1, ?2, ?3)",
        (key, stored(version), stored(position)),
    )
}

fn kept_position(
    database: &Database,
    key: i64,
    version: u64,
    aggregate: &AggregateKey,
) -> Result<u64, StoreError> {
    let position = database.first(
        "looking for a version",
        "SELECT position FROM versions WHERE aggregate = ?1 AND version = ?2",
        (key, stored(version)),
        |row| count(row, 0),
    )?;
    position.ok_or_else(|| {
        database.damaged(
            None,
            None,
            format!("the position of version {version} of {aggregate} is missing"),
        )
    })
}

/// Checks that the positions that are kept are those of the events, and that none is missing.
pub(super) fn check(database: &Database) -> Result<(), StoreError> {
    let number = |sql| {
        let found = database.first("checking the positions of versions", sql, (), |row| {
            count(row, 0)
        });
        found.map(Option::unwrap_or_default)
    };
    let rows = number("SELECT count(*) FROM versions")?;
    let expected = number("SELECT coalesce(sum(version / 256), 0) FROM aggregates")?;
    let fitting = number(
        "SELECT count(*) FROM versions JOIN events USING (position)
         WHERE events.aggregate = versions.aggregate AND events.sequence = versions.version
             AND versions.version % 256 = 0",
    )?;
    if rows != expected || fitting != expected {
        return Err(database.damaged(
            None,
            None,
            format!(
                "the positions of {rows} versions are kept, {expected} belong there and {fitting} fit"
            ),
        ));
    }
    Ok(())
}
