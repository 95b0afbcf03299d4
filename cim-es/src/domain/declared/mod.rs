//! What the code written by the derives calls; nothing here is for use by hand.
#![allow(
    missing_docs,
    reason = "not public: only code written by the derives names it"
)]

mod check;
mod declaration;
mod domain;
mod machine;
mod nearest;
mod payload;
mod text;
mod unique;
mod view;

pub use crate::domain::info::Lifecycle;
pub use check::{
    check_command_is_accepted, check_commands_are_decided, check_edge_command, check_edge_event,
    check_event_is_used, check_event_may_set, check_events_are_applied, check_filter,
    check_state_exists, check_subject, check_type_is_distinct, is_in_states,
};
pub use declaration::{
    EventDeclaration, EventSpec, Kind, Tail, events, kind, lifecycle, types, types_count,
    types_length, types_text,
};
pub use domain::{Clash, Member, check_domain_member, clashes, member, table_size};
pub use machine::{copied_state, edge, event_count, next_table, transitions};
#[cfg(feature = "jetstream")]
pub(crate) use nearest::nearest;
pub use payload::{AnyPayload, Payload, check_payload_is_a_map};
pub use serde::de::Error as DecodeError;
pub use serde::{Deserialize, Deserializer, Serialize, Serializer};
pub use unique::unique_names;
pub use view::{check_event_exists, check_other_aggregate};

/// The name that was probably meant, for the command line, which suggests by the same rule.
#[cfg(feature = "cli")]
pub fn nearest_name<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    nearest::nearest(name, known)
}
