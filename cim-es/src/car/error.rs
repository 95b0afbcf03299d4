//! Why a CAR file is not read or not written.

use std::io;
use std::sync::Arc;

use crate::block::{Cid, CidError};

/// Why a CAR file is not read or not written.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CarError {
    /// The medium failed: nothing is known of the file itself.
    #[error("the CAR file could not be {doing} at byte {at}")]
    Io {
        /// `read` or `written`.
        doing: &'static str,
        /// How many bytes had been read or written.
        at: u64,
        /// What the system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// What the file holds is not what a CAR file of this library holds. Nothing behind that place is read.
    #[error("the CAR file is not whole, or was changed: at byte {at}, {fault}")]
    Damaged {
        /// Where what is refused begins, in bytes from the start of the file.
        at: u64,
        /// What is wrong.
        fault: CarFault,
    },
    /// A block that was to be written does not hash to its CID: nothing of it is written.
    #[error("the block `{cid}` does not hash to its CID: it was changed after it was named")]
    NotItsBlock {
        /// The CID.
        cid: Cid,
    },
    /// A file was to be written without roots, or with one that is not of this library.
    #[error("a CAR file needs roots, each a CID of this library: {reason}")]
    Roots {
        /// What is wrong.
        reason: String,
    },
}

/// What is wrong at a place of a CAR file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CarFault {
    /// The file ends where something must follow.
    #[error("it ends inside {what}: the rest is missing")]
    Cut {
        /// What was begun.
        what: &'static str,
    },
    /// A length that is not written in its shortest form, or does not fit in 64 bits.
    #[error("a length is {reason}")]
    Length {
        /// What is wrong.
        reason: &'static str,
    },
    /// Something is longer than it may be, or too short to be what it must be.
    #[error("{what} of {length} bytes, where {least} to {most} are taken")]
    Size {
        /// What it is.
        what: &'static str,
        /// Its length as the file has it.
        length: u64,
        /// How long it is at least.
        least: u64,
        /// How long it is at most.
        most: u64,
    },
    /// The header is none of version 1.
    #[error("the header is not that of a CAR file of version 1: {reason}")]
    Header {
        /// What is wrong.
        reason: String,
    },
    /// A block, or a root, has a CID that this library does not make.
    #[error("a CID is not taken: {0}")]
    Cid(CidError),
    /// A block does not hash to its CID.
    #[error("the block does not hash to its CID `{cid}`")]
    Tampered {
        /// The CID.
        cid: Cid,
    },
}

impl CarError {
    pub(super) fn damaged(at: u64, fault: CarFault) -> Self {
        Self::Damaged { at, fault }
    }

    pub(crate) fn io(doing: &'static str, at: u64, error: io::Error) -> Self {
        Self::Io {
            doing,
            at,
            source: Arc::new(error),
        }
    }
}
