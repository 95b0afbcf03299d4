//! Events: what happened, and how it is read again years later.

mod assign;
mod upcast;

pub use cim_es_derive::DomainEvent;
use serde::Serialize;
use serde::de::DeserializeOwned;

#[doc(hidden)]
pub use assign::{Assign, Given};
pub use upcast::{EnvelopeView, UpcastError, Upcaster};

use crate::domain::aggregate::Aggregate;
use crate::domain::subject::Subjects;

/// One kind of event as it was declared.
#[derive(Clone, Copy, Debug)]
pub struct EventInfo {
    /// The variant's name in the program; free to change.
    pub variant: &'static str,
    /// The public subject, `<domain>.<aggregate>.<operation>`; what is stored as the event's type.
    pub event_type: &'static str,
    /// Former types under which such events are still stored.
    pub former_types: &'static [&'static str],
    /// The version of the payload's schema that this program writes.
    pub schema: u32,
    /// What brings older payloads up: the first from version 1 to 2, and so on.
    pub upcasters: &'static [Upcaster],
    /// The names of the variant's fields in the program, whatever serde calls them; empty for a unit variant and for one
    /// with a struct of its own.
    pub fields: &'static [&'static str],
}

impl EventInfo {
    /// Whether events of this kind are, or were, stored under a type.
    pub fn is_called(&self, event_type: &str) -> bool {
        self.event_type == event_type || self.former_types.contains(&event_type)
    }
}

/// The events of an aggregate; `#[derive(DomainEvent)]` writes it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a domain event",
    label = "this type is not declared as the events of an aggregate",
    note = "add `#[derive(DomainEvent)]` to the enum of events"
)]
pub trait DomainEvent: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// What the events fold into; its machine takes them, which the derive checks.
    type Aggregate: Aggregate;

    /// The names of the variants, in order of declaration.
    const VARIANTS: &'static [&'static str];
    /// What is declared of each variant, in the same order.
    const EVENTS: &'static [EventInfo];
    /// The types that a store may hold for this enum: the present ones, then the former ones.
    const TYPES: &'static [&'static str];
    /// A digest of the declaration, part of the tag of snapshots.
    const FINGERPRINT: u64;
    /// Set when the declaration has errors: what builds on it is then not checked.
    #[doc(hidden)]
    const BROKEN: bool = false;

    /// The place of this event in [`EVENTS`](Self::EVENTS).
    fn index(&self) -> usize;

    /// Takes the event's fields into the aggregate; [`Aggregate::apply`] is what to call.
    #[doc(hidden)]
    fn fold_into(self, aggregate: &mut Self::Aggregate);

    /// The subjects of all these events, for a subscriber.
    fn subjects() -> Subjects {
        Subjects::of::<Self>()
    }

    /// What is declared of the events that are, or were, stored under a type; none for a type that is not known.
    fn info_of(event_type: &str) -> Option<&'static EventInfo> {
        Self::EVENTS.iter().find(|info| info.is_called(event_type))
    }

    /// What is declared of this event.
    fn info(&self) -> &'static EventInfo {
        &Self::EVENTS[self.index()]
    }

    /// The public subject of this event.
    fn event_type(&self) -> &'static str {
        self.info().event_type
    }
}
