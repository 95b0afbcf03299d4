//! Keeping a view with the events: it is opened, registered, brought level by steps, and told what a person says.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use super::catch_up::{self, TakenOver, Until};
use super::keeping::{Inline, Open, Slot};
use super::{DeclaredTables, InlineView, find, make};
use crate::engine::sqlite::database::Database;
use crate::engine::sqlite::read_models::views::{self, View};
use crate::engine::sqlite::{Shared, SqliteEventStore, select, types};
use crate::store::read_model::{ReadModelError, Skipped, ViewDeclaration, ViewId, ViewRecord};
use crate::store::{Position, StoreError};

/// How many events a step counts at least, where there are as many: few, since commits wait for it.
const STEP: u64 = 256;

/// How far a step came.
#[derive(Debug)]
pub(crate) enum Step {
    /// The view is level, and is kept level from now on. A later version answers in its place, where one is named.
    Level { later: Option<ViewId> },
    /// There is more to count.
    More,
    /// An event could not be counted.
    Parked,
    /// The view is not in the file any more.
    Gone,
}

/// A view that is kept with the events of a store, until this is dropped.
pub(crate) struct Registration {
    shared: Arc<Shared>,
    view: ViewId,
    is_wanted: Arc<AtomicBool>,
    keeps_former: bool,
    /// Has the writer look for commits of other processes.
    _followed: watch::Receiver<u64>,
}

/// What a view that is kept is told.
#[derive(Clone, Debug)]
pub(crate) enum Kept {
    /// To stand still, or not to.
    Paused(bool),
    /// To pass over the event that it is parked at.
    Skipped(Skipped),
    /// To begin again before the first event. Positions of another history are forgotten with it.
    Rebuilt { is_of_another_history: bool },
}

/// Why a view was not told.
#[derive(Debug)]
pub(crate) enum Unkept {
    /// It is not in the file any more, or not kept.
    Gone,
    Storage(ReadModelError),
}

/// Why a view is not registered.
#[derive(Debug)]
pub(crate) enum RegisterError {
    /// It is kept already.
    Taken(ViewId),
    Storage(ReadModelError),
}

impl From<ReadModelError> for Unkept {
    fn from(error: ReadModelError) -> Self {
        Self::Storage(error)
    }
}

impl SqliteEventStore {
    /// Makes a view in the file, or gives what is known of the one that is there.
    pub(crate) async fn open_inline(
        &self,
        declaration: &ViewDeclaration,
        tables: Option<DeclaredTables>,
    ) -> Result<ViewRecord, ReadModelError> {
        let declaration = declaration.clone();
        let work = move |database: &Database, _: &Inline| {
            let tables = tables.as_ref().map(|(names, text)| (&**names, *text));
            Ok(make(database, &declaration, tables)?.record)
        };
        write(&self.shared, work).await
    }

    /// Keeps a view that was opened with the events. It is brought level by [`Registration::step`].
    pub(crate) async fn keep_inline(
        &self,
        view: Box<dyn InlineView>,
        keeps_former: bool,
    ) -> Result<Registration, RegisterError> {
        let id = view.declaration().view.clone();
        let followed = self.shared.writer.follow();
        let followed = followed.map_err(|error| RegisterError::Storage(error.into()))?;
        let is_wanted = Arc::new(AtomicBool::new(true));
        let slot = Slot {
            view,
            is_wanted: Arc::clone(&is_wanted),
            is_paused: false,
            has_failed: false,
            known: None,
            open: None,
        };
        // On the thread that writes, so that nobody here waits for a transaction.
        let slot = Mutex::new(Some(slot));
        let work = move |_: &Database, inline: &Inline| {
            let slot = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
            Ok(slot.map_or(Ok(()), |slot| inline.add(slot)))
        };
        let added = write(&self.shared, work).await;
        added
            .map_err(RegisterError::Storage)?
            .map_err(RegisterError::Taken)?;
        Ok(Registration {
            shared: Arc::clone(&self.shared),
            view: id,
            is_wanted,
            keeps_former,
            _followed: followed,
        })
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.is_wanted.store(false, Ordering::Release);
    }
}

impl Registration {
    /// Counts what is missing, or a part of it; where the view is parked, only if it is to be tried `again`.
    pub(crate) async fn step(&self, again: bool) -> Result<Step, ReadModelError> {
        let (view, keeps_former) = (self.view.clone(), self.keeps_former);
        let digest = self.shared.digest;
        let work = move |database: &Database, inline: &Inline| {
            let mut kept = inline.lock();
            let Some(slot) = kept.slots.iter_mut().find(|slot| *slot.id() == view) else {
                return Ok(Step::Gone);
            };
            let Some(row) = find_known(slot, database)? else {
                return Ok(Step::Gone);
            };
            if row.record.parked.is_some() && !again {
                return Ok(Step::Parked);
            }
            select::check(database, &row.record.up_to)?;
            let last = types::last_position(database)?;
            let mut open = Open::new(row);
            open.row.record.parked = None;
            let until = Until { last, events: STEP };
            // Where the transaction fails, the view is told that nothing of it is stored.
            slot.open = Some(Open::new(open.row.clone()));
            catch_up::advance(database, digest, slot.view.as_mut(), &mut open, until)?;
            let step = match open.row.record.parked {
                Some(_) => Step::Parked,
                None if !open.is_level(last) => Step::More,
                None => match catch_up::take_over(database, &mut open, keeps_former)? {
                    TakenOver::Answers => Step::Level { later: None },
                    TakenOver::Later(view) => Step::Level { later: Some(view) },
                },
            };
            slot.has_failed = false;
            slot.open = Some(open);
            Ok(step)
        };
        write(&self.shared, work).await
    }

    /// Tells the view something.
    pub(crate) async fn tell(&self, told: Kept) -> Result<(), Unkept> {
        let view = self.view.clone();
        let work = move |database: &Database, inline: &Inline| {
            let mut kept = inline.lock();
            let Some(slot) = kept.slots.iter_mut().find(|slot| *slot.id() == view) else {
                return Ok(false);
            };
            match &told {
                Kept::Paused(is_paused) => slot.is_paused = *is_paused,
                Kept::Skipped(skipped) => {
                    let Some(mut row) = find_known(slot, database)? else {
                        return Ok(false);
                    };
                    row.record.parked = None;
                    row.record.skipped.push(skipped.clone());
                    views::save(database, &row)?;
                    slot.open = Some(standing(database, row)?);
                }
                Kept::Rebuilt {
                    is_of_another_history,
                } => {
                    slot.view.forget();
                    let row = rebuild(slot, database, *is_of_another_history)?;
                    slot.open = Some(standing(database, row)?);
                }
            }
            Ok(true)
        };
        match write(&self.shared, work).await? {
            true => Ok(()),
            false => Err(Unkept::Gone),
        }
    }

    /// What the file says of the view.
    pub(crate) async fn record(&self) -> Result<Option<ViewRecord>, ReadModelError> {
        let view = self.view.clone();
        let find = move |database: &Database| views::find(database, &view);
        let found = self.shared.readers.read(find).await?;
        Ok(found.map(|found| found.record))
    }

    /// Keeps the view no longer. When it returns, no transaction counts in it.
    pub(crate) async fn end(self) {
        self.is_wanted.store(false, Ordering::Release);
        let work = |_: &Database, _: &Inline| Ok(());
        // Where the store is closed, nothing is counted any more.
        let _ = write(&self.shared, work).await;
    }
}

/// The row of a view as it is stored; none where it is not there, or not this declaration's.
fn find_known(slot: &mut Slot, database: &Database) -> Result<Option<View>, ReadModelError> {
    if let Some(known) = &slot.known {
        return Ok(Some(known.clone()));
    }
    slot.view.forget();
    find(database, slot.view.as_ref())
}

/// A view whose row was changed, and in which nothing was counted.
fn standing(database: &Database, row: View) -> Result<Open, StoreError> {
    let mut open = Open::new(row);
    open.end = Position(types::last_position(database)?);
    Ok(open)
}

/// Removes a view and makes it anew, with what a person had it pass over.
fn rebuild(
    slot: &Slot,
    database: &Database,
    is_of_another_history: bool,
) -> Result<View, ReadModelError> {
    let mut declaration = slot.view.declaration().clone();
    let former = views::find(database, &declaration.view)?;
    views::remove(database, &declaration.view)?;
    if let Some(former) = &former {
        let done = former.record.settled.max(former.record.up_to.position);
        declaration = declaration.settled_up_to(done);
    }
    let mut row = make(database, &declaration, slot.view.tables())?;
    if let Some(former) = former.filter(|_| !is_of_another_history) {
        row.record.skipped = former.record.skipped;
        views::save(database, &row)?;
    }
    Ok(row)
}

/// Writes in a transaction of the writer; after an error nothing of it is stored.
pub(super) async fn write<T: Send + 'static>(
    shared: &Arc<Shared>,
    work: impl Fn(&Database, &Inline) -> Result<T, ReadModelError> + Send + 'static,
) -> Result<T, ReadModelError> {
    let outcome = Arc::new(Mutex::new(None));
    let (kept, inline) = (Arc::clone(&outcome), Arc::clone(shared.writer.inline()));
    let write = move |database: &Database| {
        let done = work(database, &inline);
        let answer = match &done {
            Ok(_) => Ok(()),
            Err(ReadModelError::Storage(error)) => Err(error.clone()),
            Err(error) => Err(StoreError::Closed {
                reason: error.to_string(),
            }),
        };
        *kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(done);
        answer
    };
    let written = shared.writer.write(0, write).await;
    let outcome = outcome
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    match (written, outcome) {
        (Ok(()), Some(done)) => done,
        (Err(_), Some(Err(refused))) => Err(refused),
        (Err(error), _) => Err(error.into()),
        (Ok(()), None) => Err(StoreError::Closed {
            reason: "a write was not done; this is a defect of the library".into(),
        }
        .into()),
    }
}
