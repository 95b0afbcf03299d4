//! A view that is the value itself.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use super::commits::{Batch, Commit};
use super::home::{Before, Fault, Holding, Home, More, Refused};
use super::running::RunningView;
use super::saved::SavedState;
use super::{InMemory, NotReady, Parked, Skipped, UpTo};
use crate::store::{Bookmark, Position};

/// A view in memory: the value that a projection makes of the events, always after a whole commit.
///
/// [`ProjectionManager::in_memory`](super::ProjectionManager::in_memory) gives it. A clone is another handle to the same
/// view. What is asked of every view, such as [`wait_for`](RunningView::wait_for) and [`status`](RunningView::status), is
/// asked of the [`RunningView`] that it is.
#[derive(Debug)]
pub struct InMemoryView<V> {
    running: RunningView,
    shown: Arc<Shown<V>>,
}

impl<V> Clone for InMemoryView<V> {
    fn clone(&self) -> Self {
        Self {
            running: self.running.clone(),
            shown: Arc::clone(&self.shown),
        }
    }
}

impl<V> std::ops::Deref for InMemoryView<V> {
    type Target = RunningView;

    fn deref(&self) -> &RunningView {
        &self.running
    }
}

impl<V: InMemory> InMemoryView<V> {
    pub(super) fn new(running: RunningView, shown: Arc<Shown<V>>) -> Self {
        Self { running, shown }
    }

    /// Looks at the value, and gives what was seen with the position up to which it is true.
    ///
    /// The value does not change while it is looked at, so do not stay: the next commit waits. While the view is built
    /// again out of another history, or after a projection panicked in the middle of a commit, this waits until there is
    /// something whole to see.
    ///
    /// # Errors
    /// [`NotReady`] when the view was stopped meanwhile.
    pub async fn read<R>(&self, look: impl FnOnce(&V) -> R) -> Result<UpTo<R>, NotReady> {
        let mut status = self.running.watch();
        loop {
            // Before the look, so that no change is missed.
            let (confirmed, stopped) = {
                let status = status.borrow_and_update();
                (status.confirmed(), status.stopped_because())
            };
            {
                let shown = self.shown.read();
                if let Some(view) = &shown.view {
                    return Ok(UpTo {
                        value: look(view),
                        position: confirmed.from(shown.up_to.position),
                    });
                }
            }
            let reason = match stopped {
                Some(reason) => reason,
                None if status.changed().await.is_ok() => continue,
                None => None,
            };
            return Err(NotReady {
                view: self.running.id().clone(),
                reason,
            });
        }
    }
}

/// What readers see.
#[derive(Debug)]
pub(super) struct Shown<V>(RwLock<State<V>>);

#[derive(Debug)]
struct State<V> {
    /// None while there is nothing whole to see.
    view: Option<V>,
    up_to: Bookmark,
}

impl<V> Shown<V> {
    // A projection that panics is caught under the lock, so what a poisoned one guards is in order.
    fn read(&self) -> RwLockReadGuard<'_, State<V>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State<V>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps a view in memory.
pub(super) struct InMemoryHome<V> {
    shown: Arc<Shown<V>>,
    /// What is built again, until it is level.
    beside: Option<(V, Bookmark)>,
    /// Up to where an earlier build has done what is done once.
    settled: Position,
    skipped: Vec<Skipped>,
    saved: Option<SavedState<V>>,
    /// Why the state could not be saved the last time.
    not_saved: Option<String>,
}

impl<V: InMemory + Default> InMemoryHome<V> {
    /// A view before the first event.
    pub(super) fn new() -> (Self, Arc<Shown<V>>) {
        Self::from_state(V::default(), Bookmark::START, None)
    }

    /// A view that goes on from what was saved.
    pub(super) fn saved_in(
        saved: SavedState<V>,
        view: V,
        up_to: Bookmark,
    ) -> (Self, Arc<Shown<V>>) {
        Self::from_state(view, up_to, Some(saved))
    }

    fn from_state(view: V, up_to: Bookmark, saved: Option<SavedState<V>>) -> (Self, Arc<Shown<V>>) {
        let skipped = saved.as_ref().map_or(&[][..], SavedState::skipped).to_vec();
        let view = Some(view);
        let shown = Arc::new(Shown(RwLock::new(State { view, up_to })));
        let home = Self {
            shown: Arc::clone(&shown),
            beside: None,
            settled: up_to.position,
            skipped,
            saved,
            not_saved: None,
        };
        (home, shown)
    }

    async fn save(&mut self) {
        let Some(saved) = &mut self.saved else { return };
        let (state, up_to) = {
            let shown = self.shown.read();
            let Some(view) = &shown.view else { return };
            (saved.encode(view), shown.up_to)
        };
        let outcome = match state {
            Ok(state) => saved.save(state, up_to).await,
            Err(reason) => Err(reason),
        };
        if let Err(reason) = &outcome {
            tracing::warn!(
                view = V::NAME,
                reason,
                "the state of the view could not be saved"
            );
        }
        self.not_saved = outcome.err();
    }

    fn take_commit(&mut self, commit: &Commit<'_>) -> Result<(), Fault> {
        if let Some((view, up_to)) = &mut self.beside {
            let outcome = apply(view, commit, self.settled);
            match &outcome {
                Ok(()) => *up_to = commit.up_to(),
                Err(Fault::Torn(_)) => self.beside = Some((V::default(), Bookmark::START)),
                Err(_) => {}
            }
            return outcome;
        }
        let mut shown = self.shown.write();
        let Some(view) = &mut shown.view else {
            return Ok(());
        };
        let outcome = apply(view, commit, self.settled);
        match &outcome {
            Ok(()) => shown.up_to = commit.up_to(),
            Err(Fault::Torn(_)) => {
                self.settled = self.settled.max(shown.up_to.position);
                *shown = State {
                    view: None,
                    up_to: Bookmark::START,
                };
                self.beside = Some((V::default(), Bookmark::START));
            }
            Err(_) => {}
        }
        outcome
    }
}

/// Lets a view take a commit.
fn apply<V: InMemory>(view: &mut V, commit: &Commit<'_>, settled: Position) -> Result<(), Fault> {
    let mut has_begun = false;
    for event in commit.events() {
        let is_new = event.position > settled;
        let taken = catch_unwind(AssertUnwindSafe(|| view.take(event, is_new)));
        let refused = match taken {
            Ok(Ok(())) => {
                has_begun = true;
                continue;
            }
            // The event was not read, so it has changed nothing.
            Ok(Err(error)) => Refused::new(event, error.to_string()),
            Err(panic) => {
                has_begun = true;
                Refused::new(event, super::panic::reason(&*panic))
            }
        };
        return Err(match has_begun {
            true => Fault::Torn(refused),
            false => Fault::Event(refused),
        });
    }
    Ok(())
}

impl<V: InMemory + Default> Home for InMemoryHome<V> {
    fn shown(&self) -> Bookmark {
        self.shown.read().up_to
    }

    fn up_to(&self) -> Bookmark {
        match &self.beside {
            Some((_, up_to)) => *up_to,
            None => self.shown(),
        }
    }

    fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    fn remark(&self) -> Option<String> {
        let reason = self.not_saved.as_ref()?;
        Some(format!("its state could not be saved: {reason}"))
    }

    async fn hold(&mut self) -> Result<Holding, Fault> {
        Ok(Holding::Mine)
    }

    fn hold_again_in(&self) -> Option<Duration> {
        None
    }

    fn wants_level(&self) -> bool {
        false
    }

    async fn take(&mut self, batch: &Batch, _: More) -> Result<(), Fault> {
        // One lock a commit, so that readers are let in between.
        for commit in batch.commits() {
            self.take_commit(&commit)?;
        }
        let counted = batch.events().len() as u64;
        if let Some(saved) = &mut self.saved
            && saved.is_due(counted)
        {
            self.save().await;
        }
        Ok(())
    }

    async fn level(&mut self, _: Position) -> Result<(), Fault> {
        if let Some((view, up_to)) = self.beside.take() {
            *self.shown.write() = State {
                view: Some(view),
                up_to,
            };
        }
        Ok(())
    }

    async fn rebuild(&mut self, before: Before) -> Result<(), Fault> {
        if before == Before::Hidden
            && let Some(saved) = &mut self.saved
            && let Err(reason) = saved.forget().await
        {
            self.not_saved = Some(reason);
        }
        let mut shown = self.shown.write();
        self.settled = self.settled.max(shown.up_to.position);
        self.beside = Some((V::default(), Bookmark::START));
        if before == Before::Hidden {
            self.skipped.clear();
            *shown = State {
                view: None,
                up_to: Bookmark::START,
            };
        }
        Ok(())
    }

    async fn park(&mut self, parked: &Parked) -> Result<(), Fault> {
        match &self.saved {
            Some(saved) => saved.park(parked).await.map_err(not_noted),
            None => Ok(()),
        }
    }

    async fn skip(&mut self, skipped: &Skipped) -> Result<(), Fault> {
        if let Some(saved) = &self.saved {
            saved.skip(skipped).await.map_err(not_noted)?;
        }
        self.skipped.push(skipped.clone());
        Ok(())
    }

    async fn close(&mut self) {
        self.save().await;
    }
}

fn not_noted(reason: String) -> Fault {
    Fault::Storage {
        reason,
        is_transient: true,
    }
}
