//! What a person should know of the way between a file and a stream, recorded in the file.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::block::Cid;
use crate::domain::message::Timestamp;
use crate::store::{AggregateKey, Position};

/// Something that a person should know, with its time by the clock of this node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    /// When it was noticed or done.
    pub at: Timestamp,
    /// What it is.
    pub what: Noticed,
}

/// What was noticed or done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
#[serde(rename_all = "snake_case")]
pub enum Noticed {
    /// The file is an older copy than the one that brought events to the stream under this node's name, or a second one
    /// beside it. What the stream has comes down again; what never reached the stream is not in this copy.
    FileRestored {
        /// Up to which position the stream had what the file had.
        flushed: Position,
        /// The event that the file had there.
        cid: Option<Cid>,
        /// The last position of the file now.
        last: Position,
    },
    /// The stream is another one than before, or was made anew: everything is compared with it from the start.
    AnotherStream {
        /// What showed it.
        reason: String,
    },
    /// Both sides of an aggregate went on from one event.
    Diverged {
        /// The aggregate.
        aggregate: AggregateKey,
        /// The last version that both have.
        version: u64,
        /// The unique name that it is about, where it is about one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unique_name: Option<String>,
    },
    /// A divergence was resolved.
    Resolved {
        /// The aggregate.
        aggregate: AggregateKey,
        /// How.
        how: String,
    },
    /// A commit was set aside, because one side refuses it for good.
    Parked {
        /// Its first position, in the file or in the stream.
        position: Position,
        /// What was said.
        reason: String,
    },
    /// A person had a commit that was parked sent again.
    Resent {
        /// Its first position.
        position: Position,
    },
    /// A person gave up a commit that was parked, and what follows on its aggregates here.
    Discarded {
        /// Its first position.
        position: Position,
        /// Why.
        reason: String,
    },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.what)
    }
}

impl fmt::Display for Noticed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FileRestored { flushed, last, .. } => write!(
                f,
                "the file is an older copy than the one that brought events to the stream: that one was at position \
                 {flushed}, this one ends at {last} or has another event there; what the stream has comes down again, \
                 what had not reached it is not in this copy"
            ),
            Self::AnotherStream { reason } => write!(
                f,
                "the stream is another one than before or was made anew ({reason}); everything is compared with it \
                 from the start"
            ),
            Self::Diverged {
                aggregate,
                version,
                unique_name: None,
            } => write!(
                f,
                "{aggregate} went on differently here and in the stream behind version {version}; it takes no command \
                 here until that is resolved"
            ),
            Self::Diverged {
                aggregate,
                unique_name: Some(name),
                ..
            } => write!(
                f,
                "the unique name {name:?} ({aggregate}) was taken or given back here and in the stream; who took it here \
                 takes no command until that is resolved"
            ),
            Self::Resolved { aggregate, how } => {
                write!(f, "the divergence of {aggregate} was resolved: {how}")
            }
            Self::Parked { position, reason } => write!(
                f,
                "the commit at position {position} was parked: {reason}; resend it once that is mended, or discard it"
            ),
            Self::Resent { position } => {
                write!(f, "the commit at position {position} was sent again")
            }
            Self::Discarded { position, reason } => {
                write!(
                    f,
                    "the commit at position {position} was discarded: {reason}"
                )
            }
        }
    }
}
