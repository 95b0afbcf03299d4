//! What a command led to.

use crate::block::StoredEvent;

/// What a command led to: the events as they are stored, each with its CID, and the version after them.
#[derive(Clone, Debug)]
pub struct Commit {
    pub(super) events: Vec<StoredEvent>,
    pub(super) version: u64,
    pub(super) is_repeated: bool,
}

impl Commit {
    /// The events of the commit in order; empty for a command that was accepted and changes nothing.
    pub fn events(&self) -> &[StoredEvent] {
        &self.events
    }

    /// The version of the aggregate after the commit.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Whether the command had taken effect before: the events are those of that time, and nothing was stored now.
    pub fn is_repeated(&self) -> bool {
        self.is_repeated
    }
}
