//! Why a checkpoint, a proof or a key is not taken.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::TreeHash;
use crate::block::Cid;
use crate::store::{Location, Position, StoreError};

/// Why a checkpoint or a proof is not taken. All of this is found without the store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// A text is not what it should be.
    #[error("this is not a {what}: in line {line}, {reason}")]
    Malformed {
        /// What it should be.
        what: &'static str,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// No trusted key of the log signed the checkpoint.
    #[error(
        "the checkpoint of `{origin}` has no signature of a key that is trusted for it: get the log's public key from those who run it, by another way than the checkpoint"
    )]
    Untrusted {
        /// The origin that the checkpoint names.
        origin: String,
    },
    /// A signature of a trusted key does not fit the text: it was changed, or another key has the same name and id.
    #[error("the signature of `{name}` does not fit the checkpoint: one of them was changed")]
    BadSignature {
        /// The name of the key.
        name: String,
    },
    /// Too few of the trusted witnesses cosigned.
    #[error("{found} of the trusted witnesses cosigned the checkpoint, {needed} are needed")]
    TooFewWitnesses {
        /// How many did.
        found: usize,
        /// How many have to.
        needed: usize,
    },
    /// Two things that belong together are of different logs.
    #[error("this is of the log `{found}`, where one of `{expected}` is needed")]
    OtherOrigin {
        /// The origin that is needed.
        expected: String,
        /// The origin that it has.
        found: String,
    },
    /// The key cannot do this: the key of a log signs checkpoints, that of a witness cosigns them.
    #[error("the key `{name}` is that of a {is}: this takes the key of a {needed}")]
    WrongKey {
        /// The name of the key.
        name: String,
        /// What it is.
        is: super::KeyUse,
        /// What is needed.
        needed: super::KeyUse,
    },
    /// The proof does not lead from the event to the root of the checkpoint.
    #[error(
        "the proof does not show that event {event} is at index {index} of the {size} of the checkpoint: the proof, the event or the checkpoint was changed"
    )]
    NotIncluded {
        /// The event.
        event: Cid,
        /// The index that the proof names, from 0.
        index: u64,
        /// How many events the checkpoint covers.
        size: u64,
    },
    /// The proof is about another event than the one it is checked for.
    #[error("the proof is about event {found}, not about {expected}")]
    OtherEvent {
        /// The event it is checked for.
        expected: Cid,
        /// The event that it names.
        found: Cid,
    },
    /// Two checkpoints of one log do not go together, or the proof that they do was changed.
    #[error(
        "the checkpoints of `{origin}` over {old} and {new} events are not shown to be of one history: the history was changed between them, or each was shown to somebody else, or the proof was changed; keep both"
    )]
    Inconsistent {
        /// The log.
        origin: String,
        /// How many events the one covers that is known.
        old: u64,
        /// How many events the other one covers.
        new: u64,
    },
}

/// Why a key is not taken. No part of a secret key is in it.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The name of a key, which is the origin of a log, is not one.
    #[error(
        "`{name}` is not the name of a key: it needs 1 to 255 bytes without spaces, `+` and control characters, such as `example.org/library`"
    )]
    Name {
        /// The name.
        name: String,
    },
    /// The text is not a key in any of the forms that are taken.
    #[error("this is not {expected}: {reason}")]
    Malformed {
        /// What it should be.
        expected: &'static str,
        /// What is wrong and what to do.
        reason: String,
    },
    /// The key says that it is another one's.
    #[error("the key is named `{found}`, where that of `{expected}` is needed")]
    OtherName {
        /// The name that is needed.
        expected: String,
        /// The name that the key has.
        found: String,
    },
    /// No new key can be made, because the system gives no random bytes.
    #[error("no key can be made: the system gives no random bytes ({reason})")]
    NotRandom {
        /// What the system said.
        reason: String,
    },
    /// A file for a new key cannot be made; one that is there is never written over.
    #[error("the key file {} cannot be made", path.display())]
    NotMade {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// The file with the key cannot be read.
    #[error("the key file {} cannot be read", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: Arc<io::Error>,
    },
}

/// Why a checkpoint or a proof is not made.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// What is stored is not what an earlier checkpoint covers. Nothing was signed.
    #[error(transparent)]
    HistoryChanged(Box<HistoryChange>),
    /// The store failed, or found damage by itself.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A key, a checkpoint or a proof is refused.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// What was kept as the last checkpoint is not one of this log. Nothing was signed.
    #[error(
        "what is kept as the last checkpoint in {location} cannot be taken for one: restore it, or find out what became of it before you move it away"
    )]
    Kept {
        /// The file.
        location: Location,
        /// What is wrong with it.
        #[source]
        source: ProofError,
    },
    /// A file of hashes, or one that keeps a checkpoint, is not read or written.
    #[error("{location} could not be {doing}")]
    File {
        /// The file.
        location: Location,
        /// `read`, `written`, `locked` or `removed`.
        doing: &'static str,
        /// What the system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// A hash of the cache is missing or wrong; making a checkpoint mends the cache.
    #[error(
        "the hashes in {location} are not whole: {reason}; make a checkpoint with `Reading::All`, which makes them again"
    )]
    Tiles {
        /// The directory, or the memory.
        location: Location,
        /// What is wrong.
        reason: String,
    },
    /// Another program makes a checkpoint with the same directory at the moment.
    #[error("another program makes a checkpoint with {location} at the moment: try again")]
    InUse {
        /// The directory.
        location: Location,
    },
    /// Neither the store nor the tree has the event.
    #[error("there is no event {event}, neither in the store nor in the tree")]
    NoSuchEvent {
        /// The event.
        event: Cid,
    },
    /// The event was stored after the checkpoint was made.
    #[error("event {event} is not among the {size} that the checkpoint covers: take a newer one")]
    NotCovered {
        /// The event.
        event: Cid,
        /// How many events the checkpoint covers.
        size: u64,
    },
    /// The hashes do not reach as far as the checkpoint.
    #[error(
        "the hashes in {location} reach to {size} events, {needed} are needed: make a checkpoint there first"
    )]
    TooShort {
        /// The directory, or the memory.
        location: Location,
        /// How many events they cover.
        size: u64,
        /// How many are needed.
        needed: u64,
    },
}

/// How what is stored differs from what an earlier checkpoint covers: events were removed, changed, put in or reordered
/// by something that may write to the store's medium, or another store was opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the history of `{origin}` was changed after a checkpoint over {size} events: {}; keep the store and the checkpoint as they are and find out who may write there",
    self.difference()
)]
pub struct HistoryChange {
    /// The log.
    pub origin: String,
    /// How many events the checkpoint covers.
    pub size: u64,
    /// The root that the checkpoint has.
    pub root: TreeHash,
    /// The index of the first event that differs, from 0 in the store's order. None where the single hashes are not
    /// there any more, so that only the whole is known to differ.
    pub index: Option<u64>,
    /// What stands at that index now; none where the store ends before it, or where the index is not known.
    pub found: Option<(Position, Cid)>,
    /// The index that the event found there had when the checkpoint was made, if it had one: the events between were
    /// removed, or the order was changed. None for an event that is new there.
    pub formerly: Option<u64>,
}

impl HistoryChange {
    fn difference(&self) -> String {
        match (self.index, self.found, self.formerly) {
            (None, ..) => "somewhere among these events".to_owned(),
            (Some(index), None, _) => format!("the store ends after {index} of them"),
            (Some(index), Some((position, cid)), Some(formerly)) => format!(
                "at index {index} now stands event {cid} (position {position}), which was at index {formerly}"
            ),
            (Some(index), Some((position, cid)), None) => format!(
                "at index {index} now stands event {cid} (position {position}), which was not among them"
            ),
        }
    }
}

impl From<HistoryChange> for CheckpointError {
    fn from(change: HistoryChange) -> Self {
        Self::HistoryChanged(Box::new(change))
    }
}
