//! Up to where former versions of a view have done what a projection does outside, such as mails.

use std::sync::Arc;

use crate::block::StoredEvent;
use crate::store::{Position, partition};

/// The events for which nothing is to be done outside any more: those up to a position, and of the partitions of each part
/// of a version in parts those up to where that part is.
#[derive(Clone, Debug, Default)]
pub(super) struct Settled {
    up_to: Position,
    parts: Arc<[Position]>,
}

impl Settled {
    /// What each part of a version in parts has counted.
    pub(super) fn in_parts(parts: Vec<Position>) -> Self {
        Self {
            up_to: Position::START,
            parts: parts.into(),
        }
    }

    /// The same with all events up to a position.
    #[must_use]
    pub(super) fn and_up_to(self, position: Position) -> Self {
        let up_to = self.up_to.max(position);
        Self { up_to, ..self }
    }

    /// Whether it has an event.
    pub(super) fn has(&self, event: &StoredEvent) -> bool {
        if event.position <= self.up_to {
            return true;
        }
        let part = |parts: usize| usize::from(partition(&event.envelope.aggregate_id)) % parts;
        let parts = self.parts.len();
        parts > 0 && event.position <= self.parts[part(parts)]
    }

    /// The position up to which it has every event.
    pub(super) fn least(&self) -> Position {
        let parts = self.parts.iter().min().copied();
        self.up_to.max(parts.unwrap_or_default())
    }
}
