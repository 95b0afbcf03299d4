//! How far an export or an import has come, and ending it from elsewhere.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::BundleError;

/// How often progress is told at most.
const EVERY: Duration = Duration::from_millis(50);

/// What an export or an import is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Step {
    /// An export finds out what belongs to it. Where it makes a bundle that comes to a file, the blocks are written meanwhile.
    Looking,
    /// An export writes; where the blocks are written already, their manifest comes in front of them.
    Writing,
    /// An import proves the file.
    Verifying,
    /// An import compares it with the store.
    Comparing,
    /// An import stores.
    Storing,
}

/// How far an export or an import has come.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Progress {
    /// What it is doing.
    pub step: Step,
    /// The events that this step is done with.
    pub events: u64,
    /// The number of events that this step goes through; none where it is not known yet. While an export looks at what is there,
    /// it may be too large: it is taken from the last position.
    pub of_events: Option<u64>,
    /// The bytes of blocks or lines that this step is done with.
    pub bytes: u64,
}

impl Progress {
    /// The part of the step that is done, from 0 to 1; none where it is not known.
    pub fn fraction(&self) -> Option<f64> {
        self.of_events.map(|all| match all {
            0 => 1.0,
            all => self.events as f64 / all as f64,
        })
    }
}

type Callback = Box<dyn FnMut(Progress) + Send>;

/// Tells whoever wants to know.
#[derive(Default)]
pub(super) struct Reporter(Mutex<Option<Told>>);

struct Told {
    callback: Callback,
    last: Option<(Step, Instant)>,
}

impl Reporter {
    pub(super) fn new(callback: Callback) -> Self {
        let last = None;
        Self(Mutex::new(Some(Told { callback, last })))
    }

    /// Tells it, unless something was told of the same step just now.
    pub(super) fn tell(&self, progress: Progress) {
        self.send(progress, |last| match last {
            Some((step, at)) => step != progress.step || at.elapsed() >= EVERY,
            None => true,
        });
    }

    /// Tells it in any case: the step is done.
    pub(super) fn done(&self, progress: Progress) {
        self.send(progress, |_| true);
    }

    fn send(&self, progress: Progress, is_due: impl Fn(Option<(Step, Instant)>) -> bool) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(told) = &mut *told
            && is_due(told.last)
        {
            told.last = Some((progress.step, Instant::now()));
            (told.callback)(progress);
        }
    }
}

impl fmt::Debug for Reporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reporter")
    }
}

/// Ends an export or an import from elsewhere, such as on Ctrl-C.
#[derive(Clone, Debug, Default)]
pub struct Canceller(Arc<AtomicBool>);

impl Canceller {
    /// An import ends behind the commits that it has handed to the store, and says what it has done; an export leaves
    /// nothing behind.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn check(&self) -> Result<(), BundleError> {
        match self.is_cancelled() {
            true => Err(BundleError::Cancelled),
            false => Ok(()),
        }
    }
}
