//! Sealing: an event gets its sequence, its predecessor and its CID.

use bytes::Bytes;
use cid::Cid;

use super::{CommitRequest, Head, Position, StoreError};
use crate::block::{Envelope, HashCode, StoredEvent};

/// What a store is configured to make and to accept.
#[derive(Clone, Copy, Debug)]
pub struct SealOptions {
    /// The hash of the CIDs that are made; both known hashes are read.
    pub hash: HashCode,
    /// The largest payload in bytes.
    pub max_payload: usize,
}

impl Default for SealOptions {
    /// SHA2-256, and 1,000,000 bytes: with its envelope and headers a message stays below the 1 MiB that a NATS server
    /// accepts by default.
    fn default() -> Self {
        Self {
            hash: HashCode::default(),
            max_payload: 1_000_000,
        }
    }
}

/// An event that has everything but its place in the store.
#[derive(Clone, Debug)]
pub struct SealedEvent {
    /// The event CID.
    pub cid: Cid,
    /// The envelope.
    pub envelope: Envelope,
    /// The body: the dag-cbor array `[envelope, payload]`.
    pub body: Bytes,
    payload_at: usize,
}

impl SealedEvent {
    /// The event at its place in the store.
    pub fn into_stored(self, position: Position) -> StoredEvent {
        StoredEvent {
            position,
            cid: self.cid,
            envelope: self.envelope,
            body: self.body,
            payload_at: self.payload_at,
        }
    }
}

/// Seals the events of a commit on the heads of its aggregates, given in the order of the commit.
///
/// The timestamp is the later of the commit's clock reading and the latest head's; one value for the commit.
///
/// # Errors
/// [`StoreError::InvalidCommit`] for an empty commit or an aggregate that stands in it twice;
/// [`StoreError::Payload`] for a payload that is not canonical, not readable or too large.
pub fn seal(
    commit: CommitRequest,
    heads: &[Option<Head>],
    options: &SealOptions,
) -> Result<Vec<SealedEvent>, StoreError> {
    let _ = (commit, heads, options);
    todo!()
}
