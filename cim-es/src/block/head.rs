//! Where a history stands.

use cid::Cid;

use super::Position;
use crate::domain::message::Timestamp;

/// The last event of an aggregate, as far as an append needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The number of events of the aggregate.
    pub version: u64,
    /// The CID of the last event.
    pub cid: Cid,
    /// The place of the last event in the store.
    pub position: Position,
    /// When the last event happened; no later event may be earlier.
    pub timestamp: Timestamp,
}
