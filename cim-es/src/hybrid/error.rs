//! What can go wrong with what stands between a file and a stream.

use std::sync::Arc;

use crate::store::{AggregateKey, Position, StoreError};

/// Why a stream cannot be reached, as what connects says it.
pub type ConnectFailure = Arc<dyn std::error::Error + Send + Sync>;

/// What can go wrong with what stands between a file and a stream.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HybridError {
    /// The stream is away.
    #[error("the stream is not connected; what is queued stays in the file and is sent once it is")]
    NotConnected {
        /// What the last attempt to connect came to; none where there was none yet.
        source: Option<ConnectFailure>,
    },
    /// No commit at a position is parked.
    #[error("no commit at position {position} is parked; `parked()` has those that are")]
    NotParked {
        /// The position.
        position: Position,
    },
    /// An aggregate has no divergence to resolve.
    #[error("{aggregate} has not diverged; `divergences()` has those that have")]
    NotDiverged {
        /// The aggregate.
        aggregate: Box<AggregateKey>,
    },
    /// Both sides of an aggregate differ still.
    #[error(
        "{aggregate} has other events here than in the stream behind version {version}; bring the file to one of the two histories first"
    )]
    StillDiverged {
        /// The aggregate.
        aggregate: Box<AggregateKey>,
        /// The last version that both have.
        version: u64,
    },
    /// A reason is missing.
    #[error("a commit is not discarded without a reason: say why, it is recorded")]
    NoReason,
    /// The file or the stream.
    #[error(transparent)]
    Store(#[from] StoreError),
}
