//! Events that a handler failed on for good.

use cid::Cid;
use serde::{Deserialize, Serialize};

use crate::block::StoredEvent;
use crate::domain::message::{Clock, SystemClock, Timestamp};
use crate::store::Position;

/// An event that a handler failed on for good. It stays in the store; this is the entry about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParkedEvent {
    /// Where it stands in the store.
    pub position: Position,
    /// The event CID.
    #[serde(with = "text")]
    pub cid: Cid,
    /// Its type, the public subject.
    pub event_type: String,
    /// The aggregate's id.
    pub aggregate_id: String,
    /// The version of the aggregate after it.
    pub sequence: u64,
    /// Why the handler failed the last time, or behind which event this one waits.
    pub reason: String,
    /// How often it was handed over; 0 for one that waits behind another of its aggregate.
    pub attempts: u32,
    /// When it was parked.
    pub parked_at: Timestamp,
    /// What is to be done with it; none until a person says so.
    pub request: Option<ParkedRequest>,
}

/// What is to be done with a parked event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParkedRequest {
    /// Hand it to the handler again.
    Resend,
    /// Go on without it.
    Discard,
    /// One of several that share it is handing it over.
    Taken,
}

impl ParkedEvent {
    /// An entry about an event.
    pub(crate) fn new(event: &StoredEvent, reason: String, attempts: u32) -> Self {
        let reason = cut(reason);
        Self {
            position: event.position,
            cid: event.cid,
            event_type: event.event_type().to_owned(),
            aggregate_id: event.envelope.aggregate_id.clone(),
            sequence: event.envelope.sequence,
            reason,
            attempts,
            parked_at: SystemClock.now(),
            request: None,
        }
    }

    /// Whether it is the entry about an event: in another history another one may stand at its position.
    pub(crate) fn is_about(&self, event: &StoredEvent) -> bool {
        self.position == event.position && self.cid == event.cid
    }

    /// Whether it was never handed over, because another of its aggregate is parked.
    pub(crate) fn waits(&self) -> bool {
        self.attempts == 0
    }
}

/// The longest reason that is kept, in bytes: an entry must fit into a message.
const LONGEST_REASON: usize = 4_096;

/// A reason without what is past the longest length.
pub(crate) fn cut(mut reason: String) -> String {
    if reason.len() > LONGEST_REASON {
        let end = (0..=LONGEST_REASON)
            .rev()
            .find(|at| reason.is_char_boundary(*at));
        reason.truncate(end.unwrap_or(0));
        reason.push('…');
    }
    reason
}

/// A CID as its text.
mod text {
    use cid::Cid;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(cid: &Cid, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(cid)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Cid, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}
