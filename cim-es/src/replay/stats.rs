//! What a replay comes to.

use std::fmt;
use std::time::Duration;

use cid::Cid;

use crate::store::Position;

/// What a replay came to.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ReplayStats {
    /// The number of events that were handed on, those that failed among them.
    pub events_processed: u64,
    /// The number of aggregates that they are of.
    pub aggregates_rebuilt: u64,
    /// The number of events that failed.
    pub errors: u64,
    /// The first of those that failed, at most [`MOST_FAILURES`](Self::MOST_FAILURES), in the store's order.
    pub failures: Vec<ReplayFailure>,
    /// How long it took.
    pub duration: Duration,
    /// How it ended.
    pub end: ReplayEnd,
}

/// How a replay ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplayEnd {
    /// Behind the last event.
    Complete,
    /// After as many events as were allowed.
    Limit,
    /// It was cancelled.
    Cancelled,
}

/// An event that failed in a replay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayFailure {
    /// Its position.
    pub position: Position,
    /// Its CID.
    pub cid: Cid,
    /// Its type.
    pub event_type: String,
    /// Why.
    pub reason: String,
}

impl ReplayStats {
    /// How many failures are kept.
    pub const MOST_FAILURES: usize = 100;

    /// How many events were handed on in a second.
    pub fn events_per_second(&self) -> f64 {
        rate(self.events_processed, self.duration)
    }
}

pub(super) fn rate(events: u64, time: Duration) -> f64 {
    match time.is_zero() {
        true => 0.0,
        false => events as f64 / time.as_secs_f64(),
    }
}

impl fmt::Display for ReplayStats {
    /// One line for a person.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            events_processed,
            aggregates_rebuilt,
            errors,
            duration,
            end,
            ..
        } = self;
        let end = match end {
            ReplayEnd::Complete => "",
            ReplayEnd::Limit => ", ended at the limit",
            ReplayEnd::Cancelled => ", cancelled",
        };
        write!(
            f,
            "{events_processed} events of {aggregates_rebuilt} aggregates in {:.3} s ({:.0} a second), {errors} failed{end}",
            duration.as_secs_f64(),
            self.events_per_second(),
        )
    }
}

impl fmt::Display for ReplayFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            position,
            cid,
            event_type,
            reason,
        } = self;
        write!(f, "`{event_type}` at position {position} ({cid}): {reason}")
    }
}
