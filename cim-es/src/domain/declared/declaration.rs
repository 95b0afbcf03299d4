//! What a derive knows of events, and the types that follow from it with the aggregate's names.
//!
//! The derive of an enum of events cannot see the attributes of its aggregate, so the types are put together when the
//! constants are evaluated.

use crate::domain::aggregate::Aggregate;
use crate::domain::event::{EventInfo, Upcaster};

/// What follows the domain in a subject.
#[derive(Clone, Copy)]
pub enum Tail {
    /// An operation behind the aggregate's name.
    Operation(&'static str),
    /// Aggregate and operation.
    Subject(&'static str),
}

/// One kind of event as its attributes declare it.
pub struct EventSpec {
    pub variant: &'static str,
    pub name: Tail,
    pub former: &'static [Tail],
    pub schema: u32,
    pub upcasters: &'static [Upcaster],
    pub fields: &'static [&'static str],
}

/// The declaration of an enum of events.
pub trait EventDeclaration {
    const SPECS: &'static [EventSpec];
    /// All types one behind the other: the present ones, then the former ones.
    const TEXT: &'static [u8];
    /// The types in that text.
    const TYPES: &'static [&'static str];
}

const fn type_length(domain: &str, name: &str, tail: Tail) -> usize {
    domain.len()
        + 1
        + match tail {
            Tail::Operation(operation) => name.len() + 1 + operation.len(),
            Tail::Subject(subject) => subject.len(),
        }
}

/// The length of all types.
pub const fn types_length<E: EventDeclaration, A: Aggregate>() -> usize {
    let mut length = 0;
    let mut at = 0;
    while let Some(tail) = tail(E::SPECS, at) {
        length += type_length(A::DOMAIN, A::NAME, tail);
        at += 1;
    }
    length
}

/// The `at`-th type: the present ones, then the former ones.
const fn tail(specs: &[EventSpec], at: usize) -> Option<Tail> {
    if at < specs.len() {
        return Some(specs[at].name);
    }
    let mut left = at - specs.len();
    let mut spec = 0;
    while spec < specs.len() {
        if left < specs[spec].former.len() {
            return Some(specs[spec].former[left]);
        }
        left -= specs[spec].former.len();
        spec += 1;
    }
    None
}

/// The bytes of all types.
pub const fn types_text<E, A, const LENGTH: usize>() -> [u8; LENGTH]
where
    E: EventDeclaration,
    A: Aggregate,
{
    let mut text = [0; LENGTH];
    let mut end = 0;
    let mut at = 0;
    while let Some(tail) = tail(E::SPECS, at) {
        end = put(&mut text, end, A::DOMAIN);
        end = put(&mut text, end, ".");
        end = match tail {
            Tail::Operation(operation) => {
                end = put(&mut text, end, A::NAME);
                end = put(&mut text, end, ".");
                put(&mut text, end, operation)
            }
            Tail::Subject(subject) => put(&mut text, end, subject),
        };
        at += 1;
    }
    text
}

const fn put(text: &mut [u8], from: usize, part: &str) -> usize {
    let (_, rest) = text.split_at_mut(from);
    let (place, _) = rest.split_at_mut(part.len());
    place.copy_from_slice(part.as_bytes());
    from + part.len()
}

/// All types: the present ones, then the former ones.
pub const fn types<E, A, const COUNT: usize>() -> [&'static str; COUNT]
where
    E: EventDeclaration,
    A: Aggregate,
{
    let mut types = [""; COUNT];
    let mut rest = E::TEXT;
    let mut at = 0;
    while let Some(tail) = tail(E::SPECS, at) {
        let (text, behind) = rest.split_at(type_length(A::DOMAIN, A::NAME, tail));
        rest = behind;
        types[at] = match std::str::from_utf8(text) {
            Ok(text) => text,
            Err(_) => "",
        };
        at += 1;
    }
    types
}

/// What is declared of each event.
pub const fn events<E: EventDeclaration, const COUNT: usize>() -> [EventInfo; COUNT] {
    let mut events = [EventInfo {
        variant: "",
        event_type: "",
        former_types: &[],
        schema: 0,
        upcasters: &[],
        fields: &[],
    }; COUNT];
    let (present, mut former) = E::TYPES.split_at(COUNT);
    let mut at = 0;
    while at < COUNT {
        let spec = &E::SPECS[at];
        let (own, others) = former.split_at(spec.former.len());
        former = others;
        events[at] = EventInfo {
            variant: spec.variant,
            event_type: present[at],
            former_types: own,
            schema: spec.schema,
            upcasters: spec.upcasters,
            fields: spec.fields,
        };
        at += 1;
    }
    events
}
