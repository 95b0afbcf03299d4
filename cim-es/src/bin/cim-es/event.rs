//! How an event is shown: as a row of a table, and as JSON.

use cim_es::block::{StoredEvent, dag_json};
use cim_es::prelude::Ipld;
use serde::Serialize;
use serde_ipld_dagcbor::from_slice;
use serde_json::value::RawValue;

/// An event as JSON. CIDs are texts, times are in RFC 3339, and what the author wrote is DAG-JSON.
#[derive(Serialize)]
pub struct EventJson<'a> {
    position: u64,
    kind: &'a str,
    id: &'a str,
    version: u64,
    time: String,
    #[serde(rename = "type")]
    event_type: &'a str,
    schema: u32,
    actor: Option<&'a str>,
    cid: String,
    previous: Option<String>,
    parents: Vec<String>,
    payload_cid: String,
    /// The place of the event in its commit, from 1, and the number of events of the commit.
    commit: [u32; 2],
    event_id: String,
    correlation_id: String,
    causation_id: String,
    meta: Box<RawValue>,
    payload: Box<RawValue>,
}

impl<'a> EventJson<'a> {
    pub fn of(event: &'a StoredEvent) -> Self {
        let envelope = &event.envelope;
        Self {
            position: event.position.0,
            kind: &envelope.aggregate,
            id: &envelope.aggregate_id,
            version: envelope.sequence,
            time: envelope.timestamp.to_string(),
            event_type: &envelope.event_type,
            schema: envelope.schema,
            actor: envelope.source.as_deref(),
            cid: event.cid.to_string(),
            previous: envelope.previous.map(|cid| cid.to_string()),
            parents: envelope.parents.iter().map(ToString::to_string).collect(),
            payload_cid: envelope.payload.to_string(),
            commit: [envelope.commit.index, envelope.commit.of],
            event_id: envelope.id.to_string(),
            correlation_id: envelope.correlation_id.to_string(),
            causation_id: envelope.causation_id.to_string(),
            meta: raw(meta(event)),
            payload: raw(payload(event)),
        }
    }
}

/// The payload as DAG-JSON on one line; the bytes of one that is encrypted. None where the codec has no form for it.
pub fn payload(event: &StoredEvent) -> Option<String> {
    block(event.payload())
}

/// A dag-cbor block as DAG-JSON on one line.
pub fn block(bytes: &[u8]) -> Option<String> {
    let value: Ipld = from_slice(bytes).ok()?;
    dag_json(&value).ok()
}

fn meta(event: &StoredEvent) -> Option<String> {
    let Ok(Ipld::Map(envelope)) = from_slice::<Ipld>(event.envelope_bytes()) else {
        return None;
    };
    dag_json(envelope.get("meta").unwrap_or(&Ipld::Null)).ok()
}

fn raw(json: Option<String>) -> Box<RawValue> {
    let json = json.and_then(|json| RawValue::from_string(json).ok());
    json.unwrap_or_else(|| RawValue::NULL.to_owned())
}

/// What stands below the row of an event when payloads are asked for.
pub fn payload_line(event: &StoredEvent) -> String {
    payload(event).unwrap_or_else(|| {
        let hint = "has a map with the key `/`, which DAG-JSON keeps for links";
        format!("(payload {} {hint})", event.envelope.payload)
    })
}
