//! Why a replay ends before its end.

use super::ReplayFailure;
use crate::store::StoreError;

/// Why a replay ended before its end.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The store cannot be read.
    #[error("the store cannot be read to its end")]
    Store(#[from] StoreError),
    /// An event failed, one more than was allowed.
    #[error(
        "{failure}; nothing behind it was handed on: mend what takes it, or allow failures with `tolerate`"
    )]
    Failed {
        /// The event, and why.
        failure: Box<ReplayFailure>,
    },
    /// A thread of the replay ended by itself, as where the runtime shuts down.
    #[error("the replay was ended from outside: the runtime shuts down")]
    Ended,
}
