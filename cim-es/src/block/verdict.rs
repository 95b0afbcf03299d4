//! What is wrong with a block or a chain of blocks, and where.

use std::fmt;

use ::cid::Cid;

use super::{CommitPart, Position};

/// Where a verdict applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The CID that stands beside the block.
    pub cid: Cid,
    /// The place in the store, or in the list of blocks that was given, from 1.
    pub position: Position,
    /// The version of the aggregate that the envelope names; none when the envelope cannot be trusted.
    pub sequence: Option<u64>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "event {} at position {}", self.cid, self.position)?;
        match self.sequence {
            Some(sequence) => write!(f, " (sequence {sequence})"),
            None => Ok(()),
        }
    }
}

/// Which part of a history is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truncation {
    /// The history does not start at 1.
    Start {
        /// The first sequence that is there.
        first: u64,
    },
    /// The history ends before the head that it must reach.
    End {
        /// The last sequence that is there; 0 when nothing is.
        last: u64,
        /// The sequence of the head.
        expected: u64,
    },
    /// The history is looked at from behind the head that it must pass through, so that it is never met.
    BeforeStart {
        /// The sequence of the head; 0 is that of no event.
        head: u64,
        /// The first sequence that is looked at.
        first: u64,
    },
    /// The history ends inside a commit.
    Commit {
        /// The place of the last event in its commit, from 1.
        index: u32,
        /// The number of events of the commit.
        count: u32,
    },
}

impl fmt::Display for Truncation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start { first } => {
                write!(f, "the history starts at sequence {first} instead of 1")
            }
            Self::End { last, expected } => {
                write!(
                    f,
                    "the history ends at sequence {last}, its head is at {expected}"
                )
            }
            Self::BeforeStart { head: 0, .. } => {
                f.write_str("a head with sequence 0 is that of no event")
            }
            Self::BeforeStart { head, first } => write!(
                f,
                "the head at sequence {head} is never met by a history that is looked at from {first} on"
            ),
            Self::Commit { index, count } => write!(
                f,
                "the history ends with event {index} of a commit of {count}, which is stored whole or not at all"
            ),
        }
    }
}

/// What is wrong with a block or a chain of blocks, and where.
///
/// The first fault that is met is the verdict; what comes after it was not looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Where.
    pub place: Place,
    /// What is wrong there.
    pub fault: Fault,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.place, self.fault)
    }
}

impl std::error::Error for Verdict {}

/// What is wrong with a block, or with its place in a chain of blocks. It shows as the rest of a sentence that begins
/// with the event.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The bytes do not hash to the CID beside them, or are no block at all.
    Tampered {
        /// What does not fit.
        reason: String,
    },
    /// The bytes hash to their CIDs but are not what this library seals: not canonical dag-cbor, or not the envelope of
    /// a known format.
    NotCanonical {
        /// What is not canonical, with byte and path.
        reason: String,
    },
    /// The sequence is not the next: events are missing, repeated or out of order.
    Gap {
        /// The sequence that was to follow.
        expected: u64,
        /// The sequence that was found.
        found: u64,
    },
    /// Two different events claim the same sequence.
    Fork {
        /// The other event with the sequence.
        other: Cid,
    },
    /// The event belongs to another aggregate.
    WrongAggregate {
        /// Kind and id of the aggregate whose history this is.
        expected: String,
        /// Kind and id in the envelope.
        found: String,
    },
    /// The link to the predecessor does not lead to the predecessor.
    PreviousMismatch {
        /// The CID of the predecessor; none before the first event.
        expected: Option<Cid>,
        /// The link in the envelope.
        found: Option<Cid>,
    },
    /// The event cannot stand in the commit that was begun before it, or at such a place of any.
    CommitMismatch {
        /// The place in its commit that the event before it names; none where there is none.
        last: Option<CommitPart>,
        /// The place in its commit that this event names.
        found: CommitPart,
    },
    /// A causal parent is not known.
    MissingParent {
        /// The parent.
        parent: Cid,
    },
    /// The envelope is whole, its payload is not there.
    PayloadMissing {
        /// The CID of the payload.
        payload: Cid,
    },
    /// A part of the history is not there. The verdict names the event at the end where something is missing, or the
    /// expected head when there is no event.
    Truncated {
        /// What is missing.
        missing: Truncation,
    },
}

impl Fault {
    /// The verdict that this is wrong at a place.
    pub fn at(self, place: Place) -> Verdict {
        Verdict { place, fault: self }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tampered { reason } => write!(f, "is tampered with: {reason}"),
            Self::NotCanonical { reason } => write!(f, "is not canonical: {reason}"),
            Self::Gap { expected, found } => write!(
                f,
                "leaves a gap: sequence {expected} was to follow, found {found}"
            ),
            Self::Fork { other } => {
                write!(f, "forks the history: {other} has the same sequence")
            }
            Self::WrongAggregate { expected, found } => write!(
                f,
                "belongs to another aggregate: expected {expected}, found {found}"
            ),
            Self::PreviousMismatch { expected, found } => write!(
                f,
                "does not follow from its predecessor: expected link {}, found {}",
                shown(expected),
                shown(found)
            ),
            Self::CommitMismatch { last, found } => match last {
                Some(last) => write!(f, "does not go on with its commit: {found}, after {last}"),
                None => write!(f, "does not start a commit: {found}"),
            },
            Self::MissingParent { parent } => {
                write!(f, "names a parent that is not known: {parent}")
            }
            Self::PayloadMissing { payload } => {
                write!(f, "has no payload: {payload} is not there")
            }
            Self::Truncated { missing } => {
                write!(f, "is an end of a truncated history: {missing}")
            }
        }
    }
}

fn shown(link: &Option<Cid>) -> String {
    link.map_or_else(|| "none".to_owned(), |cid| cid.to_string())
}
