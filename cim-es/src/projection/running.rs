//! What is asked of a running view, wherever it is kept.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::{Either, select};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{sleep, timeout};

use super::status::one_line;
use super::{ControlError, ViewId, ViewState, ViewStatus, WaitError};
use crate::store::{Bookmark, EventStore, Position, Selection};

/// A view that is kept current: how far it is, and what it is to do.
///
/// It runs until it is stopped, or its manager is, or the manager and all handles are gone. A clone is another handle to
/// the same view.
#[derive(Clone)]
pub struct RunningView {
    inner: Arc<Inner>,
}

struct Inner {
    id: ViewId,
    store: Arc<dyn EventStore>,
    selection: Selection,
    commands: mpsc::Sender<(Command, Answer)>,
    status: watch::Sender<ViewStatus>,
}

/// What a person asks of a view.
#[derive(Debug)]
pub(super) enum Command {
    Pause,
    Resume,
    Skip { reason: String, by: String },
    Rebuild,
    Stop,
}

pub(super) type Answer = oneshot::Sender<Result<(), ControlError>>;

/// Up to where a view is true beyond the last event that it counted: nothing between the two concerns it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Confirmed {
    counted: Position,
    up_to: Position,
}

impl Confirmed {
    /// Up to where a view is true that has counted up to a position.
    pub(super) fn from(&self, counted: Position) -> Position {
        match counted >= self.counted {
            true => counted.max(self.up_to),
            false => counted,
        }
    }
}

/// The shortest and the longest pause between two looks at a store in which nothing came that concerns the view.
const PAUSES: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(200));

impl RunningView {
    pub(super) fn new(
        id: ViewId,
        store: Arc<dyn EventStore>,
        selection: Selection,
        status: watch::Sender<ViewStatus>,
    ) -> (Self, mpsc::Receiver<(Command, Answer)>) {
        let (commands, heard) = mpsc::channel(16);
        let inner = Inner {
            id,
            store,
            selection,
            commands,
            status,
        };
        let running = Self {
            inner: Arc::new(inner),
        };
        (running, heard)
    }

    /// The name and version of the view.
    pub fn id(&self) -> &ViewId {
        &self.inner.id
    }

    /// What the view is doing and how far it is; it prints as one line.
    pub fn status(&self) -> ViewStatus {
        self.inner.status.borrow().clone()
    }

    /// Waits until the view has counted everything up to a position, such as that of a commit whose effect is to be read:
    /// [`Commit::position`](crate::repository::Commit::position).
    ///
    /// Events that the view does not take count as soon as everything before them is counted.
    ///
    /// # Errors
    /// [`WaitError`] says how far the view is: when the time is over, and at once when it is parked or stopped before it
    /// comes there.
    pub async fn wait_for(&self, position: Position, limit: Duration) -> Result<(), WaitError> {
        match timeout(limit, self.reach(position)).await {
            Ok(outcome) => outcome,
            Err(_) => {
                let status = self.status();
                Err(WaitError::TooSlow {
                    view: self.inner.id.clone(),
                    wanted: position,
                    up_to: status.shown().position,
                    limit,
                    status: one_line(&status.state.to_string()),
                })
            }
        }
    }

    async fn reach(&self, wanted: Position) -> Result<(), WaitError> {
        let mut status = self.watch();
        let mut pause = PAUSES.0;
        // A view that is live has most likely counted the event in a moment, without the store being asked.
        let mut is_quiet = false;
        loop {
            let seen = status.borrow_and_update().clone();
            let up_to = seen.shown();
            // A view that is built for the first time has counted nothing of an empty store either, and cannot be asked yet.
            let is_begun = wanted > Position::START || seen.state != ViewState::CatchingUp;
            if is_begun && seen.confirmed().from(up_to.position) >= wanted {
                return Ok(());
            }
            let is_settled = matches!(
                seen.state,
                ViewState::Live | ViewState::Paused | ViewState::Parked(_) | ViewState::Standby
            );
            let is_asked = is_settled && (is_quiet || seen.state != ViewState::Live);
            if is_asked && self.is_true(up_to, wanted).await {
                self.confirm(up_to, wanted);
                return Ok(());
            }
            let (view, up_to) = (self.inner.id.clone(), up_to.position);
            match seen.state {
                ViewState::Parked(parked) => {
                    return Err(WaitError::Parked {
                        view,
                        wanted,
                        up_to,
                        parked,
                    });
                }
                ViewState::Stopped { reason } => {
                    return Err(WaitError::Stopped {
                        view,
                        wanted,
                        up_to,
                        reason,
                    });
                }
                _ => {}
            }
            // The sender is in the handle, so it is not gone.
            let change = pin!(status.changed());
            let over = pin!(sleep(pause));
            is_quiet = matches!(select(change, over).await, Either::Right(_));
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    /// Whether a view that has counted up to a bookmark is true up to a position: the store has come that far, and
    /// nothing between the two concerns the view.
    async fn is_true(&self, counted: Bookmark, wanted: Position) -> bool {
        // In this order: what is stored before the position is there when it is looked for.
        let end = self.inner.store.last_position().await;
        if !end.is_ok_and(|end| end >= wanted) {
            return false;
        }
        let selection = self.inner.selection.clone();
        match self.inner.store.read(selection, counted).next().await {
            None => true,
            Some(Ok(event)) => event.position > wanted,
            Some(Err(_)) => false,
        }
    }

    fn confirm(&self, counted: Bookmark, up_to: Position) {
        let confirmed = Confirmed {
            counted: counted.position,
            up_to,
        };
        self.inner
            .status
            .send_modify(|status| status.confirm(confirmed));
    }

    /// Has the view stand still behind the commit that it is counting. Readers still see it.
    ///
    /// # Errors
    /// [`ControlError::Stopped`].
    pub async fn pause(&self) -> Result<(), ControlError> {
        self.ask(Command::Pause).await
    }

    /// Has the view go on: after a pause, or where it is parked, with the event that it could not count.
    ///
    /// # Errors
    /// [`ControlError::Stopped`].
    pub async fn resume(&self) -> Result<(), ControlError> {
        self.ask(Command::Resume).await
    }

    /// Has a parked view pass over the event that it stopped at, and go on. The reason, and who gave it, stay with the
    /// view: see [`ViewStatus::skipped`].
    ///
    /// # Errors
    /// [`ControlError::NotParked`]; [`ControlError::NoReason`] for an empty reason, and [`ControlError::Nobody`] for an empty
    /// name; [`ControlError::Stopped`]; what keeps the reason from being recorded.
    pub async fn skip(
        &self,
        reason: impl Into<String>,
        by: impl Into<String>,
    ) -> Result<(), ControlError> {
        let (reason, by) = (reason.into(), by.into());
        if reason.trim().is_empty() {
            return Err(ControlError::NoReason);
        }
        if by.trim().is_empty() {
            return Err(ControlError::Nobody);
        }
        self.ask(Command::Skip { reason, by }).await
    }

    /// Has the view made again from the first event on. One that is paused or parked goes on with that.
    ///
    /// Until it is level, readers see it as it was, up to the position that each answer says: documents and tables are built
    /// beside those that are there, as those of a new version are, and take over in one step; a program that is killed
    /// meanwhile goes on. A view that was never level has nothing to show meanwhile, and begins again in its place
    /// ([`DocumentError::NotServing`](crate::document::DocumentError::NotServing)).
    ///
    /// # Errors
    /// [`ControlError::Stopped`]; what keeps the storage from beginning again.
    pub async fn rebuild(&self) -> Result<(), ControlError> {
        self.ask(Command::Rebuild).await
    }

    /// Stops the view behind the commit that it is counting, and waits for that. One in memory can still be read.
    pub async fn stop(&self) {
        // Where nobody listens it has stopped already.
        let _ = self.ask(Command::Stop).await;
        let mut status = self.watch();
        let is_stopped = |status: &ViewStatus| status.stopped_because().is_some();
        let _ = status.wait_for(is_stopped).await;
    }

    async fn ask(&self, command: Command) -> Result<(), ControlError> {
        let (answer, heard) = oneshot::channel();
        let stopped = || ControlError::Stopped {
            view: self.inner.id.clone(),
            reason: self.status().stopped_because().flatten(),
        };
        if self.inner.commands.send((command, answer)).await.is_err() {
            return Err(stopped());
        }
        heard.await.unwrap_or_else(|_| Err(stopped()))
    }

    pub(super) fn watch(&self) -> watch::Receiver<ViewStatus> {
        self.inner.status.subscribe()
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.inner.status.borrow().stopped_because().is_some()
    }
}

impl std::fmt::Debug for RunningView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("RunningView")
            .field(&self.status().to_string())
            .finish()
    }
}
