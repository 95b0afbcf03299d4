//! What can go wrong with what stands between a file and a stream.

use std::sync::Arc;

use crate::store::{AggregateKey, BranchError, Position, StoreError};

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
    /// Nobody has said what becomes of an aggregate that diverged.
    #[error(
        "nobody has said what becomes of {aggregate}, whose history went on differently here and in the stream: give `HybridOptions::on_divergence` for its kind, or keep the stream's history"
    )]
    NoPolicy {
        /// The aggregate.
        aggregate: Box<AggregateKey>,
    },
    /// What was done here cannot be taken again.
    #[error(
        "what was done here to {aggregate} cannot be taken again on the stream's history: {reason}; keep the stream's history, or use a program that knows its events"
    )]
    NotReapplied {
        /// The aggregate.
        aggregate: Box<AggregateKey>,
        /// Why.
        reason: String,
    },
    /// The store of this side cannot replace a branch of its history.
    #[error(
        "the store of this side cannot replace a part of its history; keep what is queued in a SQLite file"
    )]
    CannotReplace,
    /// A branch of the file was not replaced.
    #[error(transparent)]
    Branch(BranchError),
    /// The file or the stream.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<BranchError> for HybridError {
    fn from(error: BranchError) -> Self {
        match error {
            BranchError::Store(error) => Self::Store(error),
            error => Self::Branch(error),
        }
    }
}
