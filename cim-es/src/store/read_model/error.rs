//! What can go wrong with a view in a storage.

use uuid::Uuid;

use super::ViewId;
use crate::domain::message::Timestamp;
use crate::store::{Bookmark, Location, StoreError};

/// What can go wrong with a view in a storage; each says what was wrong, where, and what to do. What
/// led to it is its source, see [`ErrorChain`](crate::ErrorChain).
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadModelError {
    /// A text or a number cannot name a view.
    #[error("`{}` version {version} cannot name a view: {reason}", name.escape_debug())]
    InvalidView {
        /// The name.
        name: String,
        /// The version.
        version: u32,
        /// What is wrong with them.
        reason: &'static str,
    },
    /// A text cannot name a view, so that none is to be asked.
    #[error(
        "`{}` cannot name a view: {reason}; write the name that the projection has, such as `loans`",
        super::changes::shown(name)
    )]
    InvalidName {
        /// The name.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The storage has no such view.
    #[error(
        "{location} has no view `{view}`: nobody has built it yet, or it was removed; run the program that keeps it"
    )]
    NoSuchView {
        /// The file or bucket.
        location: Location,
        /// The view.
        view: ViewId,
    },
    /// The view was built by another declaration under the same version.
    #[error(
        "view `{view}` in {location} was built by another declaration of this version (its fingerprint is {kept:016x}, this program has {declared:016x}): raise the version of the projection, and it is built anew beside this one"
    )]
    DeclarationChanged {
        /// The file or bucket.
        location: Location,
        /// The view.
        view: ViewId,
        /// The fingerprint that it was built by.
        kept: u64,
        /// The fingerprint that this program has.
        declared: u64,
    },
    /// Who commits does not hold the view.
    #[error(
        "view `{view}` in {location} is {}; nothing was stored, hold the view before you commit",
        holder_of(.by)
    )]
    NotHeld {
        /// The file or bucket.
        location: Location,
        /// The view.
        view: ViewId,
        /// Who holds it, and until when; none when nobody does.
        by: Option<(Uuid, Timestamp)>,
    },
    /// The commit goes on from another event than the last one that is counted in the view.
    #[error(
        "view `{view}` in {location} is at {}, the commit goes on from {}; nothing was stored, read where the view is and go on from there",
        place(.actual),
        place(.expected)
    )]
    Moved {
        /// The file or bucket.
        location: Location,
        /// The view.
        view: ViewId,
        /// Where the commit goes on from.
        expected: Box<Bookmark>,
        /// Where the view is.
        actual: Box<Bookmark>,
    },
    /// The commit itself is not well formed.
    #[error("the changes of view `{view}` are refused: {reason}")]
    InvalidChanges {
        /// The view.
        view: ViewId,
        /// What is wrong with them and what to do.
        reason: String,
    },
    /// The storage does not take a document of this size.
    #[error(
        "document `{}` of view `{view}` has {bytes} bytes, {location} takes {limit} at most; nothing was stored, keep less in one document or take a storage with larger ones",
        super::changes::shown(key)
    )]
    DocumentTooLarge {
        /// The file or bucket.
        location: Location,
        /// The view.
        view: ViewId,
        /// The key of the document.
        key: String,
        /// Its size in bytes, with what the storage keeps beside it.
        bytes: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The text that declares the tables of a view cannot be run, or makes something else than its tables.
    #[error("the tables of view `{view}` cannot be made: {reason}")]
    InvalidTables {
        /// The view.
        view: ViewId,
        /// Which statement, what is wrong with it and what to do.
        reason: String,
    },
    /// The tables of the view are not as it made them.
    #[error(
        "view `{view}` in {location} cannot be used: {differs}; somebody else did that: undo it, or have the view built again"
    )]
    TablesChanged {
        /// The file or database.
        location: Location,
        /// The view.
        view: ViewId,
        /// What differs.
        differs: String,
    },
    /// It is not known whether the commit was stored.
    #[error(
        "it is not known whether the changes were stored: {reason}; read where the view is and go on from there"
    )]
    OutcomeUnknown {
        /// What happened.
        reason: String,
    },
    /// The storage itself failed, or cannot be used.
    #[error(transparent)]
    Storage(StoreError),
}

impl ReadModelError {
    /// Whether the same may succeed later without a change of the program: the storage is busy, full or
    /// away, or it is not known what became of a commit.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::OutcomeUnknown { .. }
                | Self::Storage(
                    StoreError::Busy { .. }
                        | StoreError::Full { .. }
                        | StoreError::Unreachable { .. }
                )
        )
    }
}

impl From<StoreError> for ReadModelError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::OutcomeUnknown { reason } => Self::OutcomeUnknown { reason },
            error => Self::Storage(error),
        }
    }
}

fn holder_of(by: &Option<(Uuid, Timestamp)>) -> String {
    match by {
        Some((holder, until)) => format!("held by {holder} until {until}"),
        None => "not held by anybody".to_owned(),
    }
}

fn place(at: &Bookmark) -> String {
    match at.cid {
        Some(cid) => format!("position {} ({cid})", at.position),
        None => format!("position {}", at.position),
    }
}
