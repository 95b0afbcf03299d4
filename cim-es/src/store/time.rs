//! The time that the events of a commit get.

use std::time::Duration;

use super::{AggregateKey, Head};
use crate::domain::message::Timestamp;

/// How far the clocks of the machines that write may differ, unless a program says otherwise.
pub(crate) const CLOCK_SKEW: Duration = Duration::from_secs(60);

/// The reading of the clock, raised to the last events of the aggregates as far as a clock may be behind.
///
/// An event that is later by more comes from a clock that was wrong, then or now: its time is not handed on.
pub(crate) fn event_time<'a>(
    reading: Timestamp,
    heads: impl IntoIterator<Item = (&'a AggregateKey, &'a Head)>,
    skew: Duration,
) -> Timestamp {
    let skew = i64::try_from(skew.as_micros()).unwrap_or(i64::MAX);
    let bound = reading.as_micros().saturating_add(skew);
    let mut time = reading;
    for (aggregate, head) in heads {
        if head.timestamp.as_micros() <= bound {
            time = time.max(head.timestamp);
            continue;
        }
        tracing::warn!(
            %aggregate,
            version = head.version,
            last = %head.timestamp,
            clock = %reading,
            "the clock is behind the last event by more than clocks may differ; the new event keeps its reading"
        );
    }
    time
}
