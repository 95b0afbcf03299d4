//! The envelope: everything about an event but its content.

use std::collections::BTreeMap;

use ::cid::Cid;
use ipld_core::ipld::Ipld;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::CommitPart;
use crate::domain::event::EnvelopeView;
use crate::domain::message::{Cause, Meta, Timestamp};

/// The format of envelope that this program writes and reads.
pub(crate) const FORMAT: u32 = 1;

/// The envelope of an event, a block of its own whose CID is the event CID.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Envelope {
    /// The format of the envelope: 1.
    #[serde(rename = "v")]
    pub format: u32,
    /// The event's id, a UUID v7.
    pub id: Uuid,
    /// `<domain>.<name>` of the aggregate's kind, whatever its events' subjects.
    pub aggregate: String,
    /// `<domain>.<aggregate>.<operation>`, the public subject.
    #[serde(rename = "type")]
    pub event_type: String,
    /// The version of the payload's schema.
    pub schema: u32,
    /// The aggregate's id, one token.
    pub aggregate_id: String,
    /// The version of the aggregate after this event, from 1.
    pub sequence: u64,
    /// The place of this event in its commit.
    pub commit: CommitPart,
    /// The event CID of the predecessor; none exactly for the first event.
    pub previous: Option<Cid>,
    /// Other causal parents, sorted, without duplicates.
    pub parents: Vec<Cid>,
    /// The CID of the payload.
    pub payload: Cid,
    /// The id of the root message of the conversation.
    pub correlation_id: Uuid,
    /// The id of the command that emitted the event.
    pub causation_id: Uuid,
    /// When it happened, by the clock of the program that stored it. Where that was behind, by up to a minute unless the
    /// program says otherwise, it is the time of the predecessor; it is earlier than that where a clock was wrong by more.
    pub timestamp: Timestamp,
    /// Who or what issued the command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The author's own values beside the command.
    #[serde(default, skip_serializing_if = "Meta::is_empty")]
    pub meta: Meta,
    /// How an encrypted payload is keyed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<BTreeMap<String, Ipld>>,
}

impl Envelope {
    /// What an upcaster sees of it.
    pub fn view(&self) -> EnvelopeView<'_> {
        EnvelopeView {
            id: self.id,
            aggregate: &self.aggregate,
            event_type: &self.event_type,
            schema: self.schema,
            aggregate_id: &self.aggregate_id,
            sequence: self.sequence,
            correlation_id: self.correlation_id,
            causation_id: self.causation_id,
            timestamp: self.timestamp,
            source: self.source.as_deref(),
            meta: &self.meta,
        }
    }
}

impl Cause for Envelope {
    fn cause_id(&self) -> Uuid {
        self.id
    }

    fn correlation_id(&self) -> Uuid {
        self.correlation_id
    }

    fn actor(&self) -> Option<&str> {
        self.source.as_deref()
    }
}
