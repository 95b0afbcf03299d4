//! What a subscriber was built to do; all that works for it has it by reference.

use std::time::Duration;

use super::SubscriptionStart;
use super::worker::Worker;
use crate::domain::subject::Subjects;
use crate::engine::jetstream::connect::Connection;
use crate::store::StoredSubjects;

/// How a subscription gets its events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mode {
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
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Live { name }
            | Self::Durable { name, .. }
            | Self::Group { name, .. }
            | Self::Partitioned { name, .. } => name,
        }
    }
}

/// What a subscriber was built to do.
pub(super) struct Plan {
    pub(super) connection: Connection,
    /// The stream by name; none where it is to be looked up.
    pub(super) stream: Option<String>,
    pub(super) layout: StoredSubjects,
    pub(super) wanted: Subjects,
    pub(super) worker: Worker,
    pub(super) mode: Mode,
    pub(super) start: SubscriptionStart,
    /// Whether what follows on an aggregate waits behind an event that is parked.
    pub(super) holds: bool,
}
