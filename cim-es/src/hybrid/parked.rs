//! Commits that one side refuses for good: set aside, with the reason, until a person decides.

use serde::{Deserialize, Serialize};

use crate::block::{Cid, StoredEvent};
use crate::domain::ErrorChain;
use crate::domain::message::Timestamp;
use crate::store::{AggregateKey, Position, StoreError};

/// A commit that was set aside. What follows on its aggregates waits behind it, other aggregates go on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ParkedCommit {
    /// Which way it was going.
    pub way: Way,
    /// The position of its first event: in the file for a commit on its way up, in the stream for one on its way down.
    pub position: Position,
    /// Its events.
    pub cids: Vec<Cid>,
    /// Its aggregates.
    pub aggregates: Vec<AggregateKey>,
    /// What the other side said.
    pub reason: String,
    /// How many times it was tried.
    pub attempts: u32,
    /// When it was parked, by the clock of this node.
    pub at: Timestamp,
}

/// Which way a commit goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// From the file into the stream.
    Up,
    /// From the stream into the file.
    Down,
}

impl ParkedCommit {
    pub(super) fn of(
        way: Way,
        events: &[StoredEvent],
        reason: &StoreError,
        attempts: u32,
        at: Timestamp,
    ) -> Self {
        Self {
            way,
            position: events.first().map_or(Position::START, |it| it.position),
            cids: events.iter().map(|event| event.cid).collect(),
            aggregates: aggregates(events),
            reason: ErrorChain(reason).to_string(),
            attempts,
            at,
        }
    }
}

/// The aggregates of a commit, each once, in its order.
pub(super) fn aggregates(events: &[StoredEvent]) -> Vec<AggregateKey> {
    let mut keys: Vec<AggregateKey> = Vec::new();
    for event in events {
        if !keys.iter().any(|key| key.has(event)) {
            keys.push(AggregateKey::of_event(event));
        }
    }
    keys
}

impl Way {
    /// Whether the side that a commit comes to refuses the commit itself, so that it is refused again: too large, not
    /// permitted, not one that it can carry. Anything else may pass, and a file that is read-only or damaged is no
    /// matter of one commit.
    pub(super) fn is_refused_by(self, error: &StoreError) -> bool {
        match error {
            StoreError::InvalidCommit { .. }
            | StoreError::Payload(_)
            | StoreError::Id(_)
            | StoreError::Unproved(_)
            | StoreError::NothingSelected(_) => true,
            StoreError::ReadOnly { .. } | StoreError::Damaged(_) => self == Self::Up,
            _ => false,
        }
    }
}
