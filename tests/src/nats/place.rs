//! How many clusters run at the same time.

use std::sync::{Condvar, Mutex, PoisonError};
use std::thread::available_parallelism;

/// Places that are taken.
static TAKEN: Mutex<usize> = Mutex::new(0);
static FREED: Condvar = Condvar::new();

/// One cluster's place among those that run: with more of them than the machine has room for, elections and
/// acknowledgements take so long that tests fail for want of time.
#[derive(Debug)]
pub(super) struct Place(());

impl Place {
    /// Waits until there is room. A shared cluster keeps its place, so there are never fewer than three.
    pub(super) fn wait() -> Self {
        let room = available_parallelism().map_or(1, usize::from).max(3);
        let taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken = FREED
            .wait_while(taken, |taken| *taken >= room)
            .unwrap_or_else(PoisonError::into_inner);
        *taken += 1;
        Self(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        *TAKEN.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        FREED.notify_one();
    }
}
