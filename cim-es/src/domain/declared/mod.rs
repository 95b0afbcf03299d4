//! What the code written by the derives calls; nothing here is for use by hand.
#![allow(
    missing_docs,
    reason = "not public: only code written by the derives names it"
)]

mod check;
mod declaration;
mod domain;
mod machine;
mod payload;
mod text;
mod unique;

pub use check::{
    check_command_is_accepted, check_commands_are_decided, check_edge_command, check_edge_event,
    check_event_is_used, check_event_may_set, check_events_are_applied, check_filter,
    check_state_exists, check_subject, check_type_is_distinct, is_in_states,
};
pub use declaration::{
    EventDeclaration, EventSpec, Tail, events, types, types_count, types_length, types_text,
};
pub use domain::{Clash, Member, check_domain_member, clashes, member, table_size};
pub use machine::{edge, event_count, next_table, transitions};
pub use payload::{AnyPayload, Payload, check_payload_is_a_map};
pub use serde::de::Error as DecodeError;
pub use serde::{Deserialize, Deserializer, Serialize, Serializer};
#[cfg(feature = "jetstream")]
pub(crate) use text::nearest;
pub use unique::unique_names;
