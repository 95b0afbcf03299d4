//! Keeping a view with the events: it is opened, registered, brought level by steps, and told what a person says.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use super::catch_up::{self, TakenOver, Until};
use super::keeping::{Inline, Open, Slot};
use super::{DeclaredTables, InlineView, find, make};
use crate::domain::ErrorChain;
use crate::engine::sqlite::database::Database;
use crate::engine::sqlite::read_models::views::{self, View};
use crate::engine::sqlite::{Shared, SqliteEventStore, select, types};
use crate::store::read_model::{ReadModelError, Skipped, ViewDeclaration, ViewId, ViewRecord};
use crate::store::{Position, StoreError};

/// How many events a step counts at least, where there are as many: few, since commits wait for it.
const STEP: u64 = 256;

/// How far a step came, with the former version that answers until then.
#[derive(Debug)]
pub(crate) enum Step {
    /// The view is level, and is kept level from now on. A later version answers in its place, where one is named.
    Level { later: Option<ViewId> },
    /// There is more to count.
    More { former: Option<ViewId> },
    /// An event could not be counted.
    Parked { former: Option<ViewId> },
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
    /// To begin again before the first event: beside what answers, or in its place where that is of another history, whose
    /// positions are forgotten with it.
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
            let Some(slot) = kept.slots.iter_mut().find(|slot| slot.is_of(&view)) else {
                return Ok(Step::Gone);
            };
            let Some(row) = find_known(slot, database)? else {
                return Ok(Step::Gone);
            };
            if row.record.parked.is_some() && !again {
                let former = catch_up::former(database, &row.record)?;
                return Ok(Step::Parked { former });
            }
            select::check(database, &row.record.up_to)?;
            let last = types::last_position(database)?;
            let mut open = Open::new(row);
            open.row.record.parked = None;
            let until = Until { last, events: STEP };
            // Where the transaction fails, the view is told that nothing of it is stored.
            slot.open = Some(Open::new(open.row.clone()));
            catch_up::advance(database, digest, slot.view.as_mut(), &mut open, until)?;
            let former = catch_up::former(database, &open.row.record)?;
            let step = match open.row.record.parked {
                Some(_) => Step::Parked { former },
                None if !open.is_level(last) => Step::More { former },
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
            let Some(slot) = kept.slots.iter_mut().find(|slot| slot.is_of(&view)) else {
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
        let find = move |database: &Database| {
            let versions = views::named(database, view.name())?;
            let newest = ViewRecord::newest_build(&versions, &view);
            Ok(versions
                .into_iter()
                .find(|record| Some(&record.view) == newest.as_ref()))
        };
        Ok(self.shared.readers.read(find).await?)
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
    find(database, slot.view.as_mut())
}

/// A view whose row was changed, and in which nothing was counted.
fn standing(database: &Database, row: View) -> Result<Open, StoreError> {
    let mut open = Open::new(row);
    open.end = Position(types::last_position(database)?);
    Ok(open)
}

/// Makes a view anew, with what a person had it pass over: beside what answers, and else in the place of what is there.
fn rebuild(
    slot: &mut Slot,
    database: &Database,
    is_of_another_history: bool,
) -> Result<View, ReadModelError> {
    // Where this transaction fails, the build that it turns to is not there, and what is there is looked up again.
    slot.known = None;
    let id = slot.id();
    let versions = views::named(database, id.name())?;
    let id = ViewRecord::newest_build(&versions, id).unwrap_or_else(|| id.clone());
    let former = versions.into_iter().find(|record| record.view == id);
    let answers = former.as_ref().is_some_and(|former| former.is_serving);
    let beside = (answers && !is_of_another_history).then(|| id.rebuilt());
    let turned = beside.map(|beside| slot.view.turn_to(&beside));
    // Where the names of tables have no room for that, in its place.
    if let Some(Err(error)) = &turned {
        tracing::warn!(view = %id, error = %ErrorChain(error), "the view is not built beside its former build");
    }
    if !matches!(turned, Some(Ok(()))) {
        slot.view.turn_to(&id)?;
    }
    let mut declaration = slot.view.declaration().clone();
    views::remove(database, &declaration.view)?;
    if let Some(former) = &former {
        let done = former.settled.max(former.up_to.position);
        declaration = declaration.settled_up_to(done);
    }
    let mut row = make(database, &declaration, slot.view.tables())?;
    if let Some(former) = former.filter(|_| !is_of_another_history) {
        row.record.skipped = former.skipped;
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
