//! Where a reader of a store goes on.

use cid::Cid;
use serde::{Deserialize, Serialize};

use super::{AnotherHistory, Location, Position, StoreError};
use crate::block::StoredEvent;

/// Where a reader of a store goes on: behind a position, which it knows by number, or better by number and event.
///
/// A store that was made anew or restored from an older copy has another history, in which the same number is another
/// place. A reader that goes on there would miss events or count some twice, so it is told:
/// [`StoreError::AnotherHistory`] when the store ends before the position, or has another event there than the one
/// that the reader names. By its number alone, a history that has grown past the position again is not told from the
/// former one; so keep the CID with the position.
///
/// ```
/// # use cim_es::store::{Bookmark, EventStore, Selection, StoreError, StreamExt};
/// /// Goes on where it left off, and says where that is.
/// async fn catch_up(store: &dyn EventStore, mut at: Bookmark) -> Result<Bookmark, StoreError> {
///     let mut events = store.read(Selection::everything(), at);
///     while let Some(event) = events.next().await {
///         at = event?.bookmark();
///     }
///     Ok(at)
/// }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Bookmark {
    /// The position of the last event that the reader is done with.
    pub position: Position,
    /// The CID of the event at that position, when it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cid: Option<Cid>,
}

impl Bookmark {
    /// Before the first event.
    pub const START: Self = Self {
        position: Position::START,
        cid: None,
    };

    /// Compares it with a store that ends at `last` and has the event `found` at the position; none where that is not
    /// known, such as for an event that the store has dropped by age. `location` names the file or stream.
    ///
    /// # Errors
    /// [`StoreError::AnotherHistory`].
    pub fn check(
        &self,
        location: &Location,
        last: Position,
        found: Option<Cid>,
    ) -> Result<(), StoreError> {
        let is_other = match (self.cid, found) {
            (Some(known), Some(found)) => known != found,
            _ => false,
        };
        if self.position <= last && !is_other {
            return Ok(());
        }
        Err(StoreError::AnotherHistory(Box::new(AnotherHistory {
            location: location.clone(),
            known: *self,
            last,
            found,
        })))
    }

    /// Whether an engine has to look at the event at the position.
    pub fn names_event(&self) -> bool {
        self.cid.is_some() && self.position > Position::START
    }
}

impl From<Position> for Bookmark {
    /// By its number alone.
    fn from(position: Position) -> Self {
        Self {
            position,
            cid: None,
        }
    }
}

impl From<&StoredEvent> for Bookmark {
    fn from(event: &StoredEvent) -> Self {
        Self {
            position: event.position,
            cid: Some(event.cid),
        }
    }
}

impl StoredEvent {
    /// Where a reader goes on that is done with this event.
    pub fn bookmark(&self) -> Bookmark {
        self.into()
    }
}
