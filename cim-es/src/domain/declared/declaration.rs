//! What a derive knows of events, and the types that follow from it with the aggregate's names.
//!
//! The derive of an enum of events cannot see the attributes of its aggregate, so the types are put together when the
//! constants are evaluated.

use super::text::equal;
use crate::domain::aggregate::Aggregate;
use crate::domain::event::{AggregateEvent, EventInfo, Upcaster};
use crate::domain::info::Lifecycle;

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

/// The names of an aggregate, present and former.
#[derive(Clone, Copy)]
pub struct Kind {
    pub domain: &'static str,
    pub name: &'static str,
    pub kind: &'static str,
    pub former: &'static [&'static str],
    /// The domain in each of the former kinds.
    pub former_domains: &'static [&'static str],
}

/// The names of the aggregate into which events fold.
pub const fn kind<E: AggregateEvent>() -> Kind {
    Kind {
        domain: <E::Aggregate as Aggregate>::DOMAIN,
        name: <E::Aggregate as Aggregate>::NAME,
        kind: <E::Aggregate as Aggregate>::KIND,
        former: <E::Aggregate as Aggregate>::FORMER_KINDS,
        former_domains: <E::Aggregate as Aggregate>::FORMER_DOMAINS,
    }
}

/// What that aggregate declares beside its events.
pub const fn lifecycle<E: AggregateEvent>() -> Lifecycle {
    Lifecycle::of::<E::Aggregate>()
}

/// The declaration of an enum of events.
pub trait EventDeclaration {
    const KIND: Kind;
    const SPECS: &'static [EventSpec];
    /// All types one behind the other: the present ones, then the former ones.
    const TEXT: &'static [u8];
    /// The types in that text.
    const TYPES: &'static [&'static str];
}

/// A type in its two parts: what stands in front of the last dot between them, the kind or the domain, and the rest.
#[derive(Clone, Copy)]
struct Parts(&'static str, &'static str);

impl Parts {
    const fn length(self) -> usize {
        self.0.len() + 1 + self.1.len()
    }
}

impl Kind {
    /// A kind and its domain: at 0 the present ones, then the former ones.
    const fn at(&self, at: usize) -> (&'static str, &'static str) {
        match at {
            0 => (self.kind, self.domain),
            at => (self.former[at - 1], self.former_domains[at - 1]),
        }
    }
}

/// The type of a name under the `at`-th kind; none when an earlier kind has it already.
const fn type_under(kind: &Kind, at: usize, tail: Tail) -> Option<Parts> {
    let (own, domain) = kind.at(at);
    match tail {
        Tail::Operation(operation) => Some(Parts(own, operation)),
        Tail::Subject(subject) => {
            let mut earlier = 0;
            while earlier < at {
                if equal(kind.at(earlier).1, domain) {
                    return None;
                }
                earlier += 1;
            }
            Some(Parts(domain, subject))
        }
    }
}

/// The `n`-th former type of an event: its former names, then all of its names under each former kind.
const fn former_type(kind: &Kind, spec: &EventSpec, n: usize) -> Option<Parts> {
    let mut left = n;
    let mut at = 0;
    while at <= kind.former.len() {
        let mut name = 0;
        while name <= spec.former.len() {
            let found = match name {
                0 if at == 0 => None,
                0 => type_under(kind, at, spec.name),
                name => type_under(kind, at, spec.former[name - 1]),
            };
            if found.is_some() {
                if left == 0 {
                    return found;
                }
                left -= 1;
            }
            name += 1;
        }
        at += 1;
    }
    None
}

/// The `at`-th type: the present ones, then the former ones in the order of the events.
const fn nth_type(kind: &Kind, specs: &[EventSpec], at: usize) -> Option<Parts> {
    if at < specs.len() {
        return type_under(kind, 0, specs[at].name);
    }
    let mut left = at - specs.len();
    let mut spec = 0;
    while spec < specs.len() {
        let count = former_count(kind, &specs[spec]);
        if left < count {
            return former_type(kind, &specs[spec], left);
        }
        left -= count;
        spec += 1;
    }
    None
}

const fn former_count(kind: &Kind, spec: &EventSpec) -> usize {
    let mut count = 0;
    while former_type(kind, spec, count).is_some() {
        count += 1;
    }
    count
}

/// How many types there are.
pub const fn types_count<E: EventDeclaration>() -> usize {
    let mut count = E::SPECS.len();
    let mut at = 0;
    while at < E::SPECS.len() {
        count += former_count(&E::KIND, &E::SPECS[at]);
        at += 1;
    }
    count
}

/// The length of all types.
pub const fn types_length<E: EventDeclaration>() -> usize {
    let mut length = 0;
    let mut at = 0;
    while let Some(parts) = nth_type(&E::KIND, E::SPECS, at) {
        length += parts.length();
        at += 1;
    }
    length
}

/// The bytes of all types.
pub const fn types_text<E: EventDeclaration, const LENGTH: usize>() -> [u8; LENGTH] {
    let mut text = [0; LENGTH];
    let mut end = 0;
    let mut at = 0;
    while let Some(Parts(front, rest)) = nth_type(&E::KIND, E::SPECS, at) {
        end = put(&mut text, end, front);
        end = put(&mut text, end, ".");
        end = put(&mut text, end, rest);
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

/// All types: the present ones, then the former ones in the order of the events.
pub const fn types<E: EventDeclaration, const COUNT: usize>() -> [&'static str; COUNT] {
    let mut types = [""; COUNT];
    let mut rest = E::TEXT;
    let mut at = 0;
    while let Some(parts) = nth_type(&E::KIND, E::SPECS, at) {
        let (text, behind) = rest.split_at(parts.length());
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
        let (own, others) = former.split_at(former_count(&E::KIND, spec));
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
