//! Whether anybody still waits for an answer: work that nobody waits for is not done.

use std::sync::{Arc, Mutex, PoisonError, Weak};

/// What one who waits holds. When it is dropped, nobody waits any more.
pub(super) struct Waiting(Arc<()>);

/// Whether the one who waits is still there.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted(Weak<()>);

/// One who waits, and what tells whether it does.
pub(super) fn waiting() -> (Waiting, Wanted) {
    let waits = Arc::new(());
    let wanted = Wanted(Arc::downgrade(&waits));
    (Waiting(waits), wanted)
}

impl Waiting {
    /// Keeps this until here, and says that the answer came.
    pub(super) fn answered(self) {
        drop(self.0);
    }
}

impl Wanted {
    /// Whether somebody waits.
    pub(super) fn is_wanted(&self) -> bool {
        self.0.strong_count() > 0
    }
}

/// What a connection works on now; shared with SQLite, which asks between the steps of a statement.
#[derive(Clone, Default)]
pub(super) struct Current(Arc<Mutex<Option<Wanted>>>);

impl Current {
    /// Whoever waits for what is done from now on; none for work that is done whoever waits.
    pub(super) fn set(&self, wanted: Option<Wanted>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = wanted;
    }

    /// Whether the one who waited for it has gone.
    pub(super) fn is_abandoned(&self) -> bool {
        let wanted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        wanted.as_ref().is_some_and(|wanted| !wanted.is_wanted())
    }
}
