//! What can go wrong in a store.

use std::sync::Arc;

use cid::Cid;
use uuid::Uuid;

use super::{
    AggregateKey, Bookmark, Damage, ExpectedVersion, Location, PartlyStored, Position,
    SelectionError,
};
use crate::block::Verdict;
use crate::block::payload::PayloadError;
use crate::domain::aggregate::IdTextError;

/// What can go wrong in a store; each says what was wrong, where, and what to do. What led to it is its source, see
/// [`ErrorChain`](crate::ErrorChain).
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another writer was first, or the expectation was wrong.
    #[error(
        "{aggregate} has version {actual}, the commit expected {expected}: load it again and decide again"
    )]
    Conflict {
        /// The aggregate.
        aggregate: AggregateKey,
        /// What the commit expected.
        expected: ExpectedVersion,
        /// The version that the store has.
        actual: u64,
    },
    /// The message led to another commit on the aggregate before; nothing was stored now.
    #[error(
        "message {message_id} was used before: on {aggregate} it led to `{event_type}` at version {version}, in another commit than this one; send the same commit again, or give this one an identity of its own"
    )]
    MessageIdReused {
        /// The message id.
        message_id: Uuid,
        /// The aggregate.
        aggregate: Box<AggregateKey>,
        /// The type of the first event that the message led to there.
        event_type: String,
        /// The version that the event gave.
        version: u64,
    },
    /// The commit itself is not well formed.
    #[error("the commit is refused: {reason}")]
    InvalidCommit {
        /// What is wrong with it and what to do.
        reason: String,
    },
    /// A payload cannot be stored or read.
    #[error(transparent)]
    Payload(#[from] PayloadError),
    /// The text of an id is empty or too long.
    #[error(transparent)]
    Id(#[from] IdTextError),
    /// A block that comes from outside is not what it says.
    #[error("the commit is refused: one of its blocks is not what it says")]
    Unproved(#[source] Box<Verdict>),
    /// A commit that comes from outside goes on from where another event stands here: both histories went on from one
    /// event. It concerns this aggregate alone.
    #[error(
        "{aggregate} diverged at version {version}: {ours} stands here, the commit has or follows {theirs}; decide which of the two histories goes on"
    )]
    Diverged {
        /// The aggregate.
        aggregate: Box<AggregateKey>,
        /// The version at which the histories differ.
        version: u64,
        /// The event that stands here.
        ours: Box<Cid>,
        /// The event that the commit has there, or links to.
        theirs: Box<Cid>,
    },
    /// The aggregate takes no command in this file: its history went on differently here and in the stream, or is tied to one
    /// that did, or the file could not take what the stream has.
    #[error(
        "{aggregate} takes no command here{}: its history and that of the stream went separate ways; look at `divergences()` and `parked()`, and resolve it",
        .with.as_ref().map_or_else(String::new, |with| format!(", as it shares a commit with {with}"))
    )]
    Unresolved {
        /// The aggregate.
        aggregate: Box<AggregateKey>,
        /// The aggregate whose history it is, where that is another one.
        with: Option<Box<AggregateKey>>,
    },
    /// Somebody else keeps the store level with a stream, and has in mind what is known of that.
    #[error(
        "{location} is kept level with a stream by another program, or by another store of this one; that one can do it, or is ended first"
    )]
    KeptLevel {
        /// The file.
        location: Location,
    },
    /// A commit that comes from outside follows events that are not here.
    #[error(
        "{aggregate} has version {version} here, the commit follows version {needed}: bring the events between first"
    )]
    MissingPredecessor {
        /// The aggregate.
        aggregate: Box<AggregateKey>,
        /// The version that it has here.
        version: u64,
        /// The version that the commit follows.
        needed: u64,
    },
    /// A part of a list of commits is stored: which, and why the others are not.
    #[error(transparent)]
    PartlyStored(Box<PartlyStored>),
    /// A selection can match nothing.
    #[error("nothing can be selected")]
    NothingSelected(#[from] SelectionError),
    /// The reader was at a place that this history does not have: the store was made anew, or restored from an older
    /// copy, since.
    #[error(transparent)]
    AnotherHistory(Box<AnotherHistory>),
    /// What is stored is not what was written.
    #[error(transparent)]
    Damaged(Box<Damage>),
    /// The medium is full; nothing of the commit was stored.
    #[error("no room left in {location}: {reason}; nothing of the commit was stored")]
    Full {
        /// The file or stream.
        location: Location,
        /// What the engine said.
        reason: String,
    },
    /// The store can be read but not written.
    #[error(
        "{location} is read-only: {reason}; give the program the right to write, or open it for reading only"
    )]
    ReadOnly {
        /// The file or stream.
        location: Location,
        /// What the engine said.
        reason: String,
    },
    /// The store takes no commit at the moment: another process holds it too long, other writers were faster each time, or
    /// no server answers.
    #[error("{location} is busy: {reason}; nothing of the commit was stored, try again")]
    Busy {
        /// The file or stream.
        location: Location,
        /// What the engine said.
        reason: String,
    },
    /// The server of the store cannot be reached, or lets nobody in at the moment; nothing was asked of it.
    #[error(
        "{location} cannot be reached: {reason}; see whether the server runs there and takes connections, and whether the address is right, and try again"
    )]
    Unreachable {
        /// The database, with the host that was asked.
        location: Location,
        /// What kept it from being reached.
        reason: String,
    },
    /// The store was made by another program or another version of this one.
    #[error("{location} cannot be used: {reason}")]
    Incompatible {
        /// The file or stream.
        location: Location,
        /// What was found, what was expected, and what to do.
        reason: String,
    },
    /// The file under the open store was deleted, renamed or replaced: what is written to it would be gone with it.
    #[error(
        "{location} is not what was opened: {reason}; nothing of the commit was stored, close the store and find out what became of the file before you open it again"
    )]
    Replaced {
        /// The file.
        location: Location,
        /// What was found.
        reason: String,
    },
    /// It is not known whether the commit was stored.
    #[error(
        "it is not known whether the commit was stored: {reason}; send the same command with the same message id again, it takes effect once"
    )]
    OutcomeUnknown {
        /// What happened.
        reason: String,
    },
    /// The store was closed.
    #[error("the store is closed: {reason}")]
    Closed {
        /// What closed it.
        reason: String,
    },
    /// The engine under the store failed in another way.
    #[error("{location}: {operation} failed")]
    Engine {
        /// The file or stream.
        location: Location,
        /// What was being done.
        operation: &'static str,
        /// What the engine said.
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
}

/// Where a reader was that a store does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{location} has another history than the reader knows: {}; build what was made from it again, from the start",
    self.difference()
)]
pub struct AnotherHistory {
    /// The file or stream.
    pub location: Location,
    /// Where the reader was.
    pub known: Bookmark,
    /// Where the store ends.
    pub last: Position,
    /// The event that the store has at the position of the reader, when it is another than the reader knows.
    pub found: Option<Cid>,
}

impl From<AnotherHistory> for StoreError {
    fn from(error: AnotherHistory) -> Self {
        Self::AnotherHistory(Box::new(error))
    }
}

impl AnotherHistory {
    /// Of a reader that was at a place, in a store that ends at `last` and does not have it any more.
    pub(crate) fn of(location: Location, known: Bookmark, last: Position) -> Self {
        Self {
            location,
            known,
            last,
            found: None,
        }
    }

    fn difference(&self) -> String {
        let Bookmark { position, cid } = &self.known;
        match (cid, &self.found) {
            (Some(cid), Some(found)) => {
                format!("at position {position} the reader knows event {cid}, here is {found}")
            }
            _ => format!(
                "the reader was at position {position}, the last one here is {}",
                self.last
            ),
        }
    }
}

impl StoreError {
    /// Whether another writer was first.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict { .. })
    }
}

impl From<Verdict> for StoreError {
    /// The verdict on a block that comes from outside.
    fn from(verdict: Verdict) -> Self {
        Self::Unproved(Box::new(verdict))
    }
}
