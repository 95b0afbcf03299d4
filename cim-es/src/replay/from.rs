//! Where a replay begins.

use chrono::{DateTime, Utc};
use futures_util::StreamExt;

use crate::domain::message::Timestamp;
use crate::store::{Bookmark, CLOCK_SKEW, EventStore, Position, Selection, StoreError};

/// Where a replay begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReplayFrom {
    /// With the first event.
    #[default]
    Start,
    /// Behind the event that a reader was done with.
    After(Bookmark),
    /// With the events that happened at a time or later; those before it are passed over.
    ///
    /// Where they begin is found by halving, with one event read at each step. It relies on this: events stand in a store
    /// in the order of their times, but for the minute by which the clocks of writers may differ. What was brought in by
    /// [`append_sealed`](EventStore::append_sealed) stands where it came in, whatever its times; where that is much later
    /// than they say, such an event that is newer than this time may be passed over. Replay from the start where that
    /// matters.
    Time(Timestamp),
}

impl From<Position> for ReplayFrom {
    /// Behind a position, which is known by its number alone.
    fn from(position: Position) -> Self {
        Self::After(position.into())
    }
}

impl From<Bookmark> for ReplayFrom {
    fn from(bookmark: Bookmark) -> Self {
        Self::After(bookmark)
    }
}

impl From<Timestamp> for ReplayFrom {
    fn from(time: Timestamp) -> Self {
        Self::Time(time)
    }
}

impl From<DateTime<Utc>> for ReplayFrom {
    fn from(time: DateTime<Utc>) -> Self {
        Self::Time(time.into())
    }
}

impl<T: Into<ReplayFrom>> From<Option<T>> for ReplayFrom {
    /// None is the start.
    fn from(from: Option<T>) -> Self {
        from.map_or(Self::Start, Into::into)
    }
}

impl ReplayFrom {
    /// Behind which place to read.
    pub(super) async fn bookmark(
        self,
        store: &dyn EventStore,
        last: Position,
    ) -> Result<Bookmark, StoreError> {
        match self {
            Self::Start => Ok(Bookmark::START),
            Self::After(bookmark) => Ok(bookmark),
            Self::Time(time) => Ok(before(store, time, last).await?.into()),
        }
    }

    /// The time before which nothing is wanted.
    pub(super) fn earliest(self) -> Option<Timestamp> {
        match self {
            Self::Time(time) => Some(time),
            Self::Start | Self::After(_) => None,
        }
    }
}

/// A position up to which everything happened before a time, clocks that differ allowed for.
async fn before(
    store: &dyn EventStore,
    time: Timestamp,
    last: Position,
) -> Result<Position, StoreError> {
    let skew = i64::try_from(CLOCK_SKEW.as_micros()).unwrap_or(i64::MAX);
    let earliest = time.as_micros().saturating_sub(skew);
    // All up to `low` is earlier; what stands behind `high` is not, or there is nothing.
    let (mut low, mut high) = (0, last.0);
    while low < high {
        let middle = low + (high - low) / 2;
        let mut events = store.read(Selection::everything(), Position(middle).into());
        match events.next().await.transpose()? {
            Some(event) if event.timestamp().as_micros() < earliest => {
                low = event.position.0.max(middle + 1);
            }
            _ => high = middle,
        }
    }
    Ok(Position(low.min(last.0)))
}
