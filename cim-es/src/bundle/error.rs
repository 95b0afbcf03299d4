//! Why a bundle is not written or not imported.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Divergence, Prerequisite};
use crate::block::{ChainHead, Cid, DagJsonError, NotDagJson, Verdict};
use crate::car::CarFault;
use crate::store::{AggregateKey, Position, StoreError};

/// Why a bundle, or a file of JSON Lines, is not written or not imported.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// The medium failed: nothing is known of what is in the file.
    #[error("{} could not be {doing}", file.display())]
    File {
        /// `opened`, `read`, `written` and the like.
        doing: &'static str,
        /// The file.
        file: PathBuf,
        /// What the system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// The file is not what it must be. Where this is found before the import began to store, nothing is stored.
    #[error("{} is refused{at}: {fault}", file.display())]
    Refused {
        /// The file.
        file: PathBuf,
        /// Where in the file.
        at: At,
        /// What is wrong there.
        fault: Box<BundleFault>,
    },
    /// The store lacks events that the file goes on from. Nothing was stored.
    #[error(
        "the store lacks what the file goes on from: {}; import the bundle that has it first",
        listed(.0)
    )]
    MissingPrerequisites(Vec<Prerequisite>),
    /// The store went on from the same events in another way. Nothing was stored.
    #[error(
        "the store went another way: {}; import the others alone, or decide which of the two histories goes on",
        listed(.0)
    )]
    Diverged(Vec<Divergence>),
    /// There is nothing to export.
    #[error("there is nothing to export: {reason}")]
    Nothing {
        /// Why.
        reason: &'static str,
    },
    /// What is new since some heads cannot be told, because the heads lie inside of a commit.
    #[error(
        "what is new cannot be told: the commit of event {cid}, version {version} of {aggregate}, is known in part; a commit is exported whole or not at all, so give the heads of all its aggregates, or all the earlier bundles"
    )]
    HeadsCutACommit {
        /// An aggregate whose event is not known.
        aggregate: Box<AggregateKey>,
        /// The version of the event.
        version: u64,
        /// The event.
        cid: Box<Cid>,
    },
    /// What is new since a position cannot be told, because the position lies inside of a commit.
    #[error(
        "what is new cannot be told: position {position} is inside of a commit; give the position of the last event of a commit"
    )]
    InsideACommit {
        /// The position.
        position: Position,
    },
    /// The store has another event where the earlier bundle, or whoever gave the heads, has one.
    #[error(
        "the store has another history than the heads that are given: {aggregate} has {ours} at version {}, the heads say {}; take the heads of this store",
        theirs.sequence,
        theirs.cid
    )]
    OtherHeads {
        /// The aggregate.
        aggregate: Box<AggregateKey>,
        /// The event that the store has there.
        ours: Box<Cid>,
        /// What was given.
        theirs: Box<ChainHead>,
    },
    /// The checkpoint that was to be put into the bundle is over other events than the first ones of the store.
    #[error(
        "the checkpoint covers {covered} events, and they are not the first ones of the {events} that the store has: give one of this store, and audit the store if it is one"
    )]
    OtherCheckpoint {
        /// How many events the checkpoint covers.
        covered: u64,
        /// How many events the store has.
        events: u64,
    },
    /// The store gave other events when it was read again.
    #[error("the store gave other events when it was read again: {reason}; export again")]
    Changed {
        /// What differs.
        reason: String,
    },
    /// An event cannot be written as JSON without loss.
    #[error("event {cid} cannot stand in JSON Lines: write a bundle")]
    NotJson {
        /// The event.
        cid: Box<Cid>,
        /// Why.
        #[source]
        source: NotDagJson,
    },
    /// The key is that of a witness, which signs nothing but checkpoints of others.
    #[error("the key `{name}` is that of a witness: a bundle is signed with the key of a log")]
    WrongKey {
        /// The name of the key.
        name: String,
    },
    /// The file cannot be encrypted.
    #[cfg(feature = "encrypt")]
    #[error("the file cannot be encrypted")]
    Encryption(#[from] crate::age::AgeError),
    /// The store cannot be read.
    #[error("the store cannot be read")]
    Store(#[from] StoreError),
    /// The store refused a commit, after it had taken those before it.
    #[error(
        "behind {events} events that were stored, the store did not take what follows; once that is mended, import again: what is there is passed over"
    )]
    NotStored {
        /// The number of events that are known to be stored; there may be some more.
        events: u64,
        /// Why.
        #[source]
        source: StoreError,
    },
    /// It was cancelled before it was done; of an export nothing is left.
    #[error("it was cancelled")]
    Cancelled,
    /// A thread ended by itself, as where the runtime shuts down.
    #[error("it was ended from outside: the runtime shuts down")]
    Ended,
}

/// Where in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// Nowhere in particular: it concerns the whole.
    Whole,
    /// A byte of the bundle, from 0; where it is encrypted, of what is inside.
    Byte(u64),
    /// A line, from 1.
    Line(u64),
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole => Ok(()),
            Self::Byte(byte) => write!(f, " at byte {byte}"),
            Self::Line(line) => write!(f, " at line {line}"),
        }
    }
}

/// What is wrong at a place of a bundle, or of a file of JSON Lines.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BundleFault {
    /// It is not a CAR file, or it was damaged.
    #[error(transparent)]
    Car(#[from] CarFault),
    /// It is encrypted, and no identity was given.
    #[error(
        "it is encrypted (age): give the identity of a recipient, in a program that has the feature `encrypt`, or decrypt it first"
    )]
    Encrypted,
    /// It is not encrypted, and an identity was given to decrypt it with.
    #[error(
        "it is not encrypted, so nothing says that it is from where encrypted ones come: import it without an identity if that is as it should be"
    )]
    NotEncrypted,
    /// It is encrypted to others, or what is encrypted was damaged.
    #[cfg(feature = "encrypt")]
    #[error(transparent)]
    Age(#[from] crate::age::AgeFault),
    /// It is a CAR file whose first block is not the manifest of a bundle.
    #[error("it is a CAR file but not a bundle: {reason}")]
    NotABundle {
        /// What is missing.
        reason: String,
    },
    /// The manifest is of a later format.
    #[error(
        "the bundle has format {version}, this program knows 1: import it with a newer program"
    )]
    Newer {
        /// The format.
        version: u64,
    },
    /// The manifest is not canonical, or contradicts itself.
    #[error("the manifest is not one: {reason}")]
    Manifest {
        /// What is wrong.
        reason: String,
    },
    /// The manifest says something else than the blocks show.
    #[error("the manifest says that {what} is {says}, the blocks show {found}")]
    Contradicted {
        /// What it is about.
        what: String,
        /// What the manifest says.
        says: String,
        /// What the blocks show.
        found: String,
    },
    /// The signature is not one, or not of a key that is trusted.
    #[error("the signature is refused: {reason}")]
    Signature {
        /// What is wrong with it.
        reason: String,
    },
    /// The checkpoint that the manifest carries is not one, or not of a key that is trusted.
    #[error("the checkpoint that it carries is refused: {reason}")]
    Checkpoint {
        /// What is wrong with it.
        reason: String,
    },
    /// The checkpoint that a bundle carries is over other events than its first ones.
    #[error(
        "the checkpoint that it carries covers {covered} events, and they are not the first ones of its {events}: the bundle or the checkpoint is of another history"
    )]
    OtherHistory {
        /// How many events the checkpoint covers.
        covered: u64,
        /// How many events the bundle has, which are all that its store had.
        events: u64,
    },
    /// A signature is asked for, and there is none.
    #[error("it is not signed: get one that is, or import it without asking for a signature")]
    Unsigned,
    /// An event of an aggregate that the manifest does not name, or at a version that it does not name.
    #[error("version {version} of {aggregate} is not in the manifest")]
    NotInTheManifest {
        /// The aggregate.
        aggregate: Box<AggregateKey>,
        /// The version.
        version: u64,
    },
    /// A block stands where another one must.
    #[error("block {found} stands where {expected} must")]
    OutOfPlace {
        /// The block.
        found: Cid,
        /// What must stand there.
        expected: String,
    },
    /// The bundle ends where a block must follow.
    #[error("it ends where {expected} must follow")]
    Ends {
        /// What must follow.
        expected: String,
    },
    /// A line is not DAG-JSON.
    #[error(transparent)]
    Json(#[from] DagJsonError),
    /// A line is DAG-JSON, and not an event.
    #[error("the line is not an event: {reason}")]
    NotAnEvent {
        /// What is wrong.
        reason: String,
    },
    /// An event is not what it says, or does not follow those before it.
    #[error("{0}")]
    Event(Verdict),
    /// Events are no commit that a store seals.
    #[error("{reason}")]
    Commit {
        /// What is wrong.
        reason: String,
    },
    /// It holds no event.
    #[error("it holds no event")]
    Empty,
}

impl BundleFault {
    /// What a commit that is proved by itself was refused for.
    pub(super) fn of_commit(error: StoreError) -> Self {
        match error {
            StoreError::Unproved(verdict) => Self::Event(*verdict),
            error => Self::Commit {
                reason: crate::domain::ErrorChain(&error).to_string(),
            },
        }
    }
}

impl BundleError {
    pub(super) fn file(doing: &'static str, file: &Path, error: io::Error) -> Self {
        Self::File {
            doing,
            file: file.to_owned(),
            source: Arc::new(error),
        }
    }

    pub(super) fn refused(file: &Path, at: At, fault: impl Into<BundleFault>) -> Self {
        Self::Refused {
            file: file.to_owned(),
            at,
            fault: Box::new(fault.into()),
        }
    }
}

/// The first of a list, and how many more there are.
fn listed<T: fmt::Display>(items: &[T]) -> String {
    const SHOWN: usize = 5;
    let mut shown: Vec<String> = items.iter().take(SHOWN).map(T::to_string).collect();
    if items.len() > SHOWN {
        shown.push(format!("and {} more", items.len() - SHOWN));
    }
    shown.join("; ")
}
