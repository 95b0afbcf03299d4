//! What the program has to tell, as `--json` gives it and as the text is made from it.

use cim_es::repository::Recorded;
use serde::Serialize;
use uuid::Uuid;

use super::domain::{Availability, Compute, ComputeEvent, ComputeState};
use super::tamper::Tampering;

/// Everything about one run that records, or could have recorded.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The store: its file, or its stream and servers.
    pub store: String,
    /// The id of the machine in the store.
    pub machine: Uuid,
    /// What this run came to.
    pub outcome: Outcome,
    /// The number of events that this run recorded.
    pub recorded: usize,
    /// The whole history, in order.
    pub events: Vec<EventRow>,
    /// The present state of the lifecycle.
    pub state: &'static str,
    /// What a scheduler may do with the machine in that state.
    pub availability: Availability,
    /// What is known of the machine.
    pub compute: Compute,
    /// The lifecycle as a Mermaid diagram.
    pub diagram: &'static str,
    /// What checking the whole chain came to.
    pub verification: Verification,
}

/// What a run came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The machine is new in the store.
    Registered,
    /// Something had changed since the last run.
    Updated,
    /// Nothing had changed since the last run.
    Unchanged,
    /// This run ended the machine's life in the store.
    Decommissioned,
    /// An earlier run had ended it: nothing is recorded any more.
    AlreadyDecommissioned,
}

/// What a run with `--tamper` has to tell.
#[derive(Debug, Serialize)]
pub struct TamperReport {
    /// The file of the store, which was only read.
    pub store: String,
    /// The id of the machine in the store.
    pub machine: Uuid,
    /// What was done to the copy, and what came of it.
    pub tampering: Tampering,
    /// What checking the store itself came to.
    pub verification: Verification,
}

/// One event of the history.
#[derive(Debug, Serialize)]
pub struct EventRow {
    /// The version of the aggregate after it.
    pub version: u64,
    /// The place in the store.
    pub position: u64,
    /// When it happened, as RFC 3339 in UTC.
    pub time: String,
    /// The public subject.
    pub subject: String,
    /// The event CID.
    pub cid: String,
    /// The event CID of the predecessor; none for the first event.
    pub previous: Option<String>,
    /// The CID of the payload.
    pub payload_cid: String,
    /// What happened.
    pub data: serde_json::Value,
    /// Whether this run recorded it.
    pub is_new: bool,
}

/// What checking the whole chain came to.
#[derive(Debug, Serialize)]
pub struct Verification {
    /// Whether every block hashes to its CID and links to its predecessor, up to the head.
    pub verified: bool,
    /// The number of events that were checked.
    pub events: usize,
    /// The CID of the last event.
    pub head: Option<String>,
}

impl EventRow {
    /// The row of an event; `conversation` is the correlation of what this run records.
    pub fn new(recorded: &Recorded<ComputeEvent>, conversation: Uuid) -> Self {
        let envelope = &recorded.stored.envelope;
        Self {
            version: envelope.sequence,
            position: recorded.stored.position.0,
            time: envelope.timestamp.to_string(),
            subject: envelope.event_type.clone(),
            cid: recorded.stored.cid.to_string(),
            previous: envelope.previous.map(|cid| cid.to_string()),
            payload_cid: envelope.payload.to_string(),
            data: data(&recorded.event),
            is_new: envelope.correlation_id == conversation,
        }
    }
}

impl Outcome {
    /// What a run came to whose history has these rows and ends in `state`.
    pub fn of(rows: &[EventRow], state: &ComputeState) -> Self {
        let is_first_new = rows.first().is_some_and(|row| row.is_new);
        let is_last_new = rows.last().is_some_and(|row| row.is_new);
        match state {
            ComputeState::Decommissioned if is_last_new => Self::Decommissioned,
            ComputeState::Decommissioned => Self::AlreadyDecommissioned,
            _ if is_first_new => Self::Registered,
            _ if rows.iter().any(|row| row.is_new) => Self::Updated,
            _ => Self::Unchanged,
        }
    }
}

/// The fields of an event, without the name of its variant, which the subject tells.
fn data(event: &ComputeEvent) -> serde_json::Value {
    match serde_json::to_value(event) {
        Ok(serde_json::Value::Object(variant)) => variant
            .into_iter()
            .next()
            .map_or_else(Default::default, |(_, fields)| fields),
        _ => serde_json::Value::Null,
    }
}
