//! What a subscriber was built to do; all that works for it has it by reference.

use std::time::Duration;

use super::worker::Worker;
use crate::domain::subject::Subjects;
use crate::store::Position;

/// Where a subscription starts that has no place of its own yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SubscriptionStart {
    /// With the first event that the store has.
    #[default]
    First,
    /// With what is appended from now on.
    Now,
    /// Behind a position.
    After(Position),
}

/// How a subscription gets its events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// What happens from now on; the name is that under which events are parked.
    Live { name: String },
    /// All, from where it left off.
    Durable { name: String, lease: Duration },
    /// A part, shared with other members.
    Group { name: String, concurrency: usize },
    /// A part of all aggregates, shared with other members.
    Partitioned { name: String, lease: Duration },
}

impl Mode {
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Live { name }
            | Self::Durable { name, .. }
            | Self::Group { name, .. }
            | Self::Partitioned { name, .. } => name,
        }
    }
}

/// What a subscriber was built to do.
pub(crate) struct Plan {
    pub(crate) wanted: Subjects,
    pub(crate) worker: Worker,
    pub(crate) mode: Mode,
    pub(crate) start: SubscriptionStart,
    /// Whether what follows on an aggregate waits behind an event that is parked.
    pub(crate) holds: bool,
}
