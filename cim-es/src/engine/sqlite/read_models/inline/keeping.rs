//! The views that are kept in the transactions of the writer.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::catch_up::{self, Until};
use super::{InlineView, OpenView, Standing, Uncounted, find};
use crate::block::StoredEvent;
use crate::domain::ErrorChain;
use crate::domain::message::Timestamp;
use crate::engine::sqlite::aggregates::NameDigest;
use crate::engine::sqlite::database::Database;
use crate::engine::sqlite::read_models::changes;
use crate::engine::sqlite::read_models::views::View;
use crate::engine::sqlite::select;
use crate::store::read_model::{ReadModelError, ViewId};
use crate::store::{Bookmark, Position, SealedEvent, StoreError};

/// How many events may be missing in a view for a commit to count them along: few, since the commit waits for it.
const ALONG: u64 = 256;

/// The views that are kept in the transactions of one writer.
#[derive(Default)]
pub(in crate::engine::sqlite) struct Inline {
    /// How many there are, for a look without the lock.
    len: AtomicUsize,
    views: Mutex<Views>,
}

#[derive(Default)]
pub(super) struct Views {
    pub(super) slots: Vec<Slot>,
    /// Whether the transaction failed because of a view, and is to be made again without it.
    is_at_fault: bool,
}

/// A view that is kept.
pub(super) struct Slot {
    pub(super) view: Box<dyn InlineView>,
    /// Whether somebody still wants it to be kept.
    pub(super) is_wanted: Arc<AtomicBool>,
    pub(super) is_paused: bool,
    /// Whether it failed a transaction: it is brought level by a step, once that succeeds.
    pub(super) has_failed: bool,
    /// Its row; none where another may have changed it.
    pub(super) known: Option<View>,
    /// Its row as the open transaction has it.
    pub(super) open: Option<Open>,
}

/// What the open transaction has of a view.
pub(super) struct Open {
    pub(super) row: View,
    /// The last event of the file.
    pub(super) end: Position,
    pub(super) counted: u64,
    pub(super) last: Option<Timestamp>,
}

impl Open {
    pub(super) fn new(row: View) -> Self {
        Self {
            row,
            end: Position::START,
            counted: 0,
            last: None,
        }
    }

    pub(super) fn note(&mut self, commit: &[&StoredEvent]) {
        self.counted += commit.len() as u64;
        self.last = commit.last().map(|event| event.timestamp()).or(self.last);
    }

    pub(super) fn is_level(&self, last: u64) -> bool {
        self.row.record.parked.is_none() && self.row.record.up_to.position.0 == last
    }
}

impl Slot {
    pub(super) fn id(&self) -> &ViewId {
        &self.view.declaration().view
    }

    /// Whether it is a version of a view, in whichever build.
    pub(super) fn is_of(&self, view: &ViewId) -> bool {
        self.id().is_version_of(view)
    }

    fn is_kept(&self) -> bool {
        self.is_wanted.load(Ordering::Acquire) && !self.is_paused && !self.has_failed
    }

    /// What the open transaction goes on from; none where it does not keep the view.
    fn begin(
        &mut self,
        database: &Database,
        digest: NameDigest,
        last: u64,
    ) -> Result<(), ReadModelError> {
        if self.known.is_none() {
            let Some(row) = find(database, self.view.as_mut())? else {
                self.view.call();
                return Ok(());
            };
            // What was made before another wrote.
            self.view.forget();
            // Of another history it is built again, by a step of its own.
            match select::check(database, &row.record.up_to) {
                Err(StoreError::AnotherHistory(_)) => {
                    self.view.call();
                    return Ok(());
                }
                checked => checked?,
            }
            self.known = Some(row);
        }
        let Some(row) = self.known.clone().filter(|row| row.record.parked.is_none()) else {
            return Ok(());
        };
        let missing = last.checked_sub(row.record.up_to.position.0);
        let mut open = Open::new(row);
        match missing {
            Some(0) => self.open = Some(open),
            Some(missing) if missing <= ALONG && open.row.record.is_serving => {
                let until = Until {
                    last,
                    events: ALONG,
                };
                catch_up::advance(database, digest, self.view.as_mut(), &mut open, until)?;
                self.open = Some(open);
            }
            _ => self.view.call(),
        }
        Ok(())
    }
}

impl Inline {
    /// What a transaction that adds events behind a position keeps of views; none where it keeps none.
    ///
    /// # Errors
    /// A view that cannot be kept, which [`is_at_fault`](Self::is_at_fault) then says.
    pub(in crate::engine::sqlite) fn begin<'a>(
        &'a self,
        database: &'a Database,
        digest: NameDigest,
        last: u64,
    ) -> Result<Option<Counting<'a>>, StoreError> {
        if self.len.load(Ordering::Acquire) == 0 {
            return Ok(None);
        }
        let mut views = self.lock();
        let Views { slots, is_at_fault } = &mut *views;
        slots.retain(|slot| slot.is_wanted.load(Ordering::Acquire));
        self.len.store(slots.len(), Ordering::Release);
        for slot in slots.iter_mut() {
            slot.open = None;
            if slot.is_kept()
                && let Err(error) = slot.begin(database, digest, last)
            {
                *is_at_fault = true;
                return Err(at_fault(slot, error));
            }
        }
        let is_any = slots.iter().any(|slot| is_kept_from(slot, last));
        Ok(is_any.then(|| Counting {
            database,
            views,
            first: last,
            events: Vec::new(),
            commits: Vec::new(),
        }))
    }

    /// The transaction is stored; nobody has been answered yet.
    pub(in crate::engine::sqlite) fn committed(&self) {
        if self.len.load(Ordering::Acquire) == 0 {
            return;
        }
        let mut views = self.lock();
        views.is_at_fault = false;
        for slot in &mut views.slots {
            let Some(open) = slot.open.take() else {
                continue;
            };
            slot.view.stored(&Standing {
                record: &open.row.record,
                end: open.end,
                counted: open.counted,
                last: open.last,
            });
            slot.known = Some(open.row);
        }
    }

    /// Nothing of the transaction is stored.
    pub(in crate::engine::sqlite) fn rolled_back(&self) {
        if self.len.load(Ordering::Acquire) == 0 {
            return;
        }
        for slot in &mut self.lock().slots {
            if slot.open.take().is_some() {
                slot.view.forget();
            }
        }
    }

    /// Whether a transaction failed because of a view, and may succeed without it. It is said once.
    pub(in crate::engine::sqlite) fn is_at_fault(&self) -> bool {
        self.len.load(Ordering::Acquire) > 0 && std::mem::take(&mut self.lock().is_at_fault)
    }

    /// Whether no view is kept.
    pub(in crate::engine::sqlite) fn is_empty(&self) -> bool {
        self.len.load(Ordering::Acquire) == 0
    }

    /// Others may have changed what is known of the views.
    pub(in crate::engine::sqlite) fn forget_known(&self) {
        if !self.is_empty() {
            self.lock().forget_known();
        }
    }

    /// Has all views looked after: other processes have written, perhaps without them, or the store is closed.
    pub(in crate::engine::sqlite) fn call(&self) {
        if !self.is_empty() {
            self.lock().slots.iter().for_each(|slot| slot.view.call());
        }
    }

    /// Adds a view, unless it is there already.
    pub(super) fn add(&self, slot: Slot) -> Result<(), ViewId> {
        let mut views = self.lock();
        let slots = &mut views.slots;
        slots.retain(|slot| slot.is_wanted.load(Ordering::Acquire));
        if slots.iter().any(|other| other.is_of(slot.id())) {
            return Err(slot.id().clone());
        }
        slots.push(slot);
        self.len.store(slots.len(), Ordering::Release);
        Ok(())
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Views> {
        self.views.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Views {
    pub(super) fn forget_known(&mut self) {
        for slot in &mut self.slots {
            slot.known = None;
        }
    }
}

/// Whether what a transaction adds behind a position is counted in a view.
fn is_kept_from(slot: &Slot, last: u64) -> bool {
    slot.open.as_ref().is_some_and(|open| open.is_level(last))
}

/// Leaves a view out until a step succeeds.
fn at_fault(slot: &mut Slot, error: ReadModelError) -> StoreError {
    tracing::warn!(
        view = %slot.id(), error = %ErrorChain(&error),
        "a view could not be written with the events, and is left behind"
    );
    slot.has_failed = true;
    slot.view.forget();
    slot.view.call();
    into_store_error(error)
}

/// What keeps the transaction of events from going on.
pub(super) fn into_store_error(error: ReadModelError) -> StoreError {
    match error {
        ReadModelError::Storage(error) => error,
        error => StoreError::Closed {
            reason: error.to_string(),
        },
    }
}

/// What one transaction counts.
pub(in crate::engine::sqlite) struct Counting<'a> {
    database: &'a Database,
    views: MutexGuard<'a, Views>,
    /// The last event before the transaction.
    first: u64,
    /// The added events that some view may want.
    events: Vec<StoredEvent>,
    /// For each commit, behind which of these events it ends, and its last event.
    commits: Vec<(usize, Bookmark)>,
}

impl Counting<'_> {
    /// Notes a commit that was added behind a position.
    pub(in crate::engine::sqlite) fn note(&mut self, behind: u64, commit: &[SealedEvent]) {
        for (event, position) in commit.iter().zip(behind + 1..) {
            if self.may_want(&event.envelope.event_type) {
                let stored = event.clone().into_stored(Position(position));
                self.events.push(stored);
            }
        }
        if let Some(last) = commit.last() {
            self.end_commit(Bookmark {
                position: Position(behind + commit.len() as u64),
                cid: Some(last.cid),
            });
        }
    }

    fn may_want(&self, event_type: &str) -> bool {
        let mut kept = self.views.slots.iter();
        kept.any(|slot| {
            is_kept_from(slot, self.first) && slot.view.selection().may_have_type(event_type)
        })
    }

    fn end_commit(&mut self, last: Bookmark) {
        self.commits.push((self.events.len(), last));
    }

    /// Counts what was noted, and writes what it comes to.
    ///
    /// # Errors
    /// A view that cannot be written, which [`Inline::is_at_fault`] then says.
    pub(in crate::engine::sqlite) fn finish(mut self) -> Result<(), StoreError> {
        let Some((_, end)) = self.commits.last() else {
            return Ok(());
        };
        let end = end.position;
        let Views { slots, is_at_fault } = &mut *self.views;
        for slot in slots.iter_mut() {
            let is_kept = is_kept_from(slot, self.first);
            let Some(open) = &mut slot.open else { continue };
            open.end = end;
            if !is_kept {
                continue;
            }
            let counted = count(
                slot.view.as_mut(),
                open,
                self.database,
                &self.events,
                &self.commits,
            );
            if let Err(error) = counted {
                *is_at_fault = true;
                return Err(at_fault(slot, error));
            }
        }
        Ok(())
    }
}

/// Counts commits in a view, and writes what they come to.
fn count(
    view: &mut dyn InlineView,
    open: &mut Open,
    database: &Database,
    events: &[StoredEvent],
    commits: &[(usize, Bookmark)],
) -> Result<(), ReadModelError> {
    let settled = open.row.record.settled;
    let mut at = 0;
    for (end, last) in commits {
        let commit: Vec<&StoredEvent> = events[at..*end]
            .iter()
            .filter(|event| view.selection().includes(event))
            .collect();
        at = *end;
        if !commit.is_empty() {
            let on = OpenView {
                database,
                view: &open.row,
            };
            match view.count(&on, &commit, settled) {
                Ok(()) => open.note(&commit),
                Err(Uncounted::Refused(parked)) => {
                    open.row.record.parked = Some(*parked);
                    break;
                }
                Err(Uncounted::Storage(error)) => return Err(error),
            }
        }
        open.row.record.up_to = *last;
    }
    changes::write(database, &mut open.row, &view.changes())?;
    Ok(())
}
