//! The payload of an event as a block: a plain map of the variant's fields.

mod check;
mod decode;
mod encode;
mod inspect;
mod keys;
mod orders;
mod probe;
mod written;

#[cfg(feature = "testing")]
pub(crate) use check::differing_path;
pub use decode::decode_payload;
pub(crate) use decode::{Decoded, decode_enveloped, decode_present};
#[cfg(feature = "testing")]
pub(crate) use decode::{decode as decode_current, decode_content};
pub use encode::encode_payload;
pub(crate) use encode::{check_block, encode_readable};
pub(crate) use probe::outline;
pub(crate) use written::{NotReadBack, encoded, written, written_and_read};

/// A payload that cannot be stored, or one that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// The value cannot stand in a dag-cbor block.
    #[error("event `{event_type}`{}: {reason}", field(path))]
    NotStorable {
        /// The event's type.
        event_type: String,
        /// The path of the field, such as `interfaces[2].speed`; empty when the event as a whole is meant.
        path: String,
        /// What is wrong with the value and what to do.
        reason: String,
    },
    /// The stored payload does not decode into the event that this program declares.
    #[error(
        "event `{event_type}` of schema version {schema} does not decode: {reason}; where the form of a field was changed, raise the version and add an `#[upcast(…)]`"
    )]
    NotReadable {
        /// The event's type as stored.
        event_type: String,
        /// The schema version as stored.
        schema: u32,
        /// What the decoder said.
        reason: String,
    },
    /// The payload is larger than the store's configured limit.
    #[error(
        "event `{event_type}` has a payload of {bytes} bytes, the limit is {limit}: {}keep large content as an object and put its CID into the event",
        shorter(list_of_bytes)
    )]
    TooLarge {
        /// The event's type.
        event_type: String,
        /// The payload's size in bytes.
        bytes: usize,
        /// The limit in bytes.
        limit: usize,
        /// The path of a long list of numbers of one byte each, which is shorter as bytes.
        list_of_bytes: Option<String>,
    },
    /// This program does not know the event: a newer one wrote it, or the event was renamed here and
    /// `#[event(was = …)]` does not name its former operation.
    #[error(
        "event `{event_type}` of schema version {schema} is unknown to this program, which knows {known}: roll out programs that read an event before those that write it"
    )]
    NewerThanThisProgram {
        /// The event's type as stored.
        event_type: String,
        /// The schema version as stored.
        schema: u32,
        /// What this program knows instead: versions of the event, or no event of this type.
        known: String,
    },
    /// The event is of another kind of aggregate than the one it was read as.
    #[error(
        "event `{event_type}` is one of `{aggregate}` and was read as one of `{expected}`: read only the events of `{expected}`, such as with `StoredEvent::event_of` or by its subjects"
    )]
    OfAnotherAggregate {
        /// The event's type as stored.
        event_type: String,
        /// The kind of the aggregate that it belongs to, `<domain>.<name>`.
        aggregate: String,
        /// The kind of the aggregate as whose event it was read.
        expected: &'static str,
    },
    /// An upcaster refused the payload.
    #[error(
        "event `{event_type}` could not be brought from schema version {from} to {to}: {reason}"
    )]
    NotUpcast {
        /// The event's type as stored.
        event_type: String,
        /// The version before the step.
        from: u32,
        /// The version after the step.
        to: u32,
        /// What the upcaster said.
        reason: String,
    },
}

fn shorter(list: &Option<String>) -> String {
    match list {
        Some(path) => format!(
            "write the numbers of `{path}` as bytes, by `#[serde(with = \"serde_bytes\")]`, or "
        ),
        None => String::new(),
    }
}

impl PayloadError {
    /// The refusal of a payload for its size.
    pub(crate) fn too_large(event_type: &str, payload: &[u8], limit: usize) -> Self {
        Self::TooLarge {
            event_type: event_type.to_owned(),
            bytes: payload.len(),
            limit,
            list_of_bytes: check::list_of_bytes(payload),
        }
    }
}

fn field(path: &str) -> String {
    match path {
        "" => String::new(),
        path => format!(", field `{path}`"),
    }
}
