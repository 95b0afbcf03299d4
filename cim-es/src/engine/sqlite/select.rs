//! Reading the events of a selection, a page at a time.

use super::aggregates::NameDigest;
use super::database::Database;
use super::events::{self, PAGE_BYTES, Room};
use super::history::{self, Walk};
use super::types::{self, TypeRow, Types};
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
    after.check(database.place(), Position(last), found)
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
    let mut page = if let Some(key) = selection.one_aggregate() {
        of_aggregate(database, key, after, until, digest)?
    } else if selection.is_by_type() {
        of_types(database, selection, after, until, limit)?
    } else {
        let most = limit.min(until.saturating_sub(after));
        let (events, last) = events::page(database, after, most)?;
        let reached = events.last().map_or(until, |event| event.position.0);
        Page {
            events,
            reached,
            last,
        }
    };
    if !selection.is_everything() {
        page.events.retain(|event| selection.includes(event));
    }
    Ok(page)
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

/// One type that is wanted, and what is to come of it.
struct List<'a> {
    name: &'a str,
    row: TypeRow,
    /// Positions in order, the next one first.
    positions: std::vec::IntoIter<u64>,
    next: Option<u64>,
    /// The last event of the type that was met, or where the reader begins.
    at: u64,
}

/// The events of some types after a position, merged out of the lists of the types; each list is checked to be whole.
fn of_types(
    database: &Database,
    selection: &Selection,
    after: u64,
    until: u64,
    limit: u64,
) -> Result<Page, StoreError> {
    let types = types::read(database)?;
    let last = types.last;
    let mut lists = lists(database, &types, selection, after, limit)?;
    let mut events = Vec::new();
    let mut bytes = 0;
    let mut room = Room::new();
    let mut reached = until;
    loop {
        if events.len() as u64 == limit || bytes >= PAGE_BYTES {
            let last = events.last();
            reached = last.map_or(after, |event: &StoredEvent| event.position.0);
            break;
        }
        let Some((list, position)) = earliest(&mut lists).filter(|(_, next)| *next <= until) else {
            break;
        };
        let linked = events::linked_at(database, position, &mut room)?;
        let previous = linked.previous_of_type;
        let event = linked.event;
        let follows = match list.at == after {
            true => previous <= after,
            false => previous == list.at,
        };
        if event.event_type() != list.name || !follows {
            return Err(database.damaged(
                position,
                event.cid,
                format!(
                    "the list of events of type `{}` leads here from the wrong event: this one is a `{}` that follows position {previous}",
                    list.name,
                    event.event_type(),
                ),
            ));
        }
        bytes += event.body().len();
        events.push(event);
        list.at = position;
        list.next = list.positions.next();
        // A list that ends before the last event of its type was cut by the limit, or is damaged.
        if list.next.is_none() && list.at < list.row.last && (events.len() as u64) < limit {
            return Err(ends_early(database, list));
        }
    }
    Ok(Page {
        events,
        reached,
        last,
    })
}

fn lists<'a>(
    database: &Database,
    types: &'a Types,
    selection: &Selection,
    after: u64,
    limit: u64,
) -> Result<Vec<List<'a>>, StoreError> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut lists = Vec::new();
    for (name, row) in &types.by_name {
        if row.last <= after || !selection.may_have_type(name) {
            continue;
        }
        let positions = types::positions(database, row.number, after, limit, types.last)?;
        let mut positions = positions.into_iter();
        let list = List {
            name,
            row: *row,
            next: positions.next(),
            positions,
            at: after,
        };
        if list.next.is_none() {
            return Err(ends_early(database, &list));
        }
        lists.push(list);
    }
    Ok(lists)
}

/// The list whose next position is the first, and that position.
fn earliest<'a, 'b>(lists: &'b mut [List<'a>]) -> Option<(&'b mut List<'a>, u64)> {
    let open = lists
        .iter_mut()
        .filter_map(|list| list.next.map(|next| (list, next)));
    open.min_by_key(|(_, next)| *next)
}

fn ends_early(database: &Database, list: &List<'_>) -> StoreError {
    let reason = format!(
        "the list of events of type `{}` ends at position {}, its last event is at this one",
        list.name, list.at
    );
    database.damaged(list.row.last, None, reason)
}
