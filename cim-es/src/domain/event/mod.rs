//! Events: what happened, and how it is read again years later.

mod assign;
mod origin;
mod upcast;

#[doc(hidden)]
pub use assign::{Assign, Given};
pub use cim_es_derive::DomainEvent;
pub use origin::{Elsewhere, EventOrigin};
pub use upcast::{EnvelopeView, Upcast, UpcastError, UpcastEvent, Upcaster};

use crate::domain::aggregate::Aggregate;
use crate::domain::info::Lifecycle;
use crate::domain::kept::{Same, Storable};
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

    /// Whether what is stored of an older version may be read as other events.
    pub fn is_read_as_others(&self) -> bool {
        let mut upcasters = self.upcasters.iter();
        upcasters.any(|upcaster| matches!(upcaster, Upcaster::IntoSeveral(_)))
    }
}

/// Events of which each is stored as one and read as one: those of an enum without `into_several`, for which
/// `#[derive(DomainEvent)]` writes it.
#[diagnostic::on_unimplemented(
    message = "what is stored as one event may be read as several of `{Self}`",
    label = "`{Self}` has an upcaster with `into_several`",
    note = "read all of them: `decode_all` in place of `decode`, `events_of` in place of `event_of`, `read_stored_all` in place of `read_stored`"
)]
pub trait OneToOne: DomainEvent {}

/// The events of an aggregate; `#[derive(DomainEvent)]` writes it, where the aggregate is declared here
/// ([`AggregateEvent`]) and where it is declared in another program.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a domain event",
    label = "this type is not declared as the events of an aggregate",
    note = "add `#[derive(DomainEvent)]` to the enum of events"
)]
pub trait DomainEvent: Sized + Send + Sync + 'static {
    /// The events' own type, of which is asked here what is asked of them: `Serialize` and `Deserialize`.
    #[doc(hidden)]
    type Value: Storable + Same<Self>;
    /// What the events come from: their aggregate, or [`Elsewhere`] where it is declared in another program.
    type Origin: 'static;
    /// The first tokens of the aggregate's subjects.
    const DOMAIN: &'static str;
    /// The tokens after the domain, which name the aggregate.
    const NAME: &'static str;
    /// `<domain>.<name>`: what stands as `aggregate` in every envelope.
    const KIND: &'static str;
    /// Former kinds of the aggregate, whose events are these too.
    const FORMER_KINDS: &'static [&'static str];
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
    /// What the aggregate declares beside its events, where it is declared here.
    #[doc(hidden)]
    const LIFECYCLE: Lifecycle = Lifecycle::ELSEWHERE;

    /// The place of this event in [`EVENTS`](Self::EVENTS).
    fn index(&self) -> usize;

    /// Whether a kind is that of the aggregate, present or former.
    fn is_kind(kind: &str) -> bool {
        kind == Self::KIND || Self::FORMER_KINDS.contains(&kind)
    }

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

/// Events that fold into an aggregate of this program; `#[derive(DomainEvent)]` writes it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` are not events of an aggregate that is declared here",
    label = "these events fold into no aggregate",
    note = "add `#[derive(DomainEvent)]` to the enum of events; with `#[event(domain = …, name = …)]` it declares events that are only read, of an aggregate of another program"
)]
pub trait AggregateEvent: DomainEvent {
    /// What the events fold into; its machine takes them, which the derive checks.
    type Aggregate: Aggregate;

    /// Takes the event's fields into the aggregate; [`Aggregate::apply`] is what to call.
    #[doc(hidden)]
    fn fold_into(self, aggregate: &mut Self::Aggregate);
}
