//! How far a replay has come.

use std::pin::Pin;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_core::Stream;
use futures_util::stream;
use tokio::sync::watch;

use super::stats::rate;
use crate::store::Position;

/// How often progress is told at most.
pub(super) const EVERY: Duration = Duration::from_millis(50);

/// How far a replay has come: what a program draws a bar from.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ReplayProgress {
    /// The number of events that were handed on.
    pub events_processed: u64,
    /// Behind which position it began.
    pub start: Position,
    /// Up to which position all that is wanted was handed on.
    pub reached: Position,
    /// The last position that it goes to.
    pub end: Position,
    /// How long it has taken so far.
    pub elapsed: Duration,
}

impl ReplayProgress {
    /// The part that is done, from 0 to 1.
    pub fn fraction(&self) -> f64 {
        let all = self.end.0.saturating_sub(self.start.0);
        match all {
            0 => 1.0,
            _ => self.reached.0.saturating_sub(self.start.0) as f64 / all as f64,
        }
    }

    /// How many events were handed on in a second.
    pub fn events_per_second(&self) -> f64 {
        rate(self.events_processed, self.elapsed)
    }

    /// How long the rest takes if it goes on as before; none before anything can be said.
    pub fn remaining(&self) -> Option<Duration> {
        let done = self.fraction();
        let left = self.elapsed.as_secs_f64() * (1.0 - done) / done;
        Duration::try_from_secs_f64(left).ok()
    }
}

/// The progress of a replay: the newest value each time it is asked, at most twenty in a second, the last one when the
/// replay has ended; then it ends.
pub struct ReplayProgressStream(Pin<Box<dyn Stream<Item = ReplayProgress> + Send>>);

impl Stream for ReplayProgressStream {
    type Item = ReplayProgress;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<ReplayProgress>> {
        self.0.as_mut().poll_next(context)
    }
}

impl std::fmt::Debug for ReplayProgressStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReplayProgressStream")
            .finish_non_exhaustive()
    }
}

/// Tells all who watch.
pub(super) struct Reporter {
    sender: watch::Sender<ReplayProgress>,
    parts: Mutex<Parts>,
}

struct Parts {
    began: Instant,
    told: Instant,
    start: Position,
    end: Position,
    /// The events that each worker has handed on, and how far it has come.
    workers: Vec<(u64, Position)>,
}

impl Reporter {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        let parts = Parts {
            began: now,
            told: now,
            start: Position::START,
            end: Position::START,
            workers: Vec::new(),
        };
        Self {
            sender: watch::channel(ReplayProgress::default()).0,
            parts: Mutex::new(parts),
        }
    }

    pub(super) fn watch(&self) -> ReplayProgressStream {
        let values = stream::unfold(self.sender.subscribe(), |mut receiver| async move {
            receiver.changed().await.ok()?;
            let value = *receiver.borrow_and_update();
            Some((value, receiver))
        });
        ReplayProgressStream(Box::pin(values))
    }

    pub(super) fn begin(&self, start: Position, end: Position, workers: usize) {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        (parts.start, parts.end) = (start, end);
        parts.workers = vec![(0, start); workers];
        self.sender.send_replace(parts.now());
    }

    /// A worker has handed on a number of events in all, and come to a position.
    pub(super) fn tell(&self, worker: usize, events: u64, reached: Position) {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        parts.workers[worker] = (events, reached);
        if parts.told.elapsed() >= EVERY {
            parts.told = Instant::now();
            self.sender.send_replace(parts.now());
        }
    }

    /// What is told last.
    pub(super) fn end(&self) -> Duration {
        let parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let now = parts.now();
        self.sender.send_replace(now);
        now.elapsed
    }
}

impl Parts {
    fn now(&self) -> ReplayProgress {
        let reached = self.workers.iter().map(|(_, reached)| *reached).min();
        ReplayProgress {
            events_processed: self.workers.iter().map(|(events, _)| events).sum(),
            start: self.start,
            reached: reached.unwrap_or(self.start),
            end: self.end,
            elapsed: self.began.elapsed(),
        }
    }
}
