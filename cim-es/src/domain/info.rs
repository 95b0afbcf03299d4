//! All aggregates of a domain, as they were declared.

use crate::domain::aggregate::{Aggregate, Command};
use crate::domain::event::{DomainEvent, EventInfo};
use crate::domain::machine::{Edge, StateMachine};

/// One kind of aggregate as it was declared: for tools that print, draw or configure.
#[derive(Clone, Copy, Debug)]
pub struct AggregateInfo {
    /// The first tokens of its subjects.
    pub domain: &'static str,
    /// The tokens after the domain.
    pub name: &'static str,
    /// `<domain>.<name>`: what stands as `aggregate` in every envelope.
    pub kind: &'static str,
    /// Former kinds, whose histories are this aggregate's too.
    pub former_kinds: &'static [&'static str],
    /// The kinds of other aggregates that may have the same ids.
    pub shares_ids_with: &'static [&'static str],
    /// The scopes of its unique names, where it says them.
    pub scopes: &'static [&'static str],
    /// Its events, in order of declaration.
    pub events: &'static [EventInfo],
    /// The types that a store may hold: the present subjects, then the former ones.
    pub types: &'static [&'static str],
    /// The names of its commands, in order of declaration.
    pub commands: &'static [&'static str],
    /// The names of its states, in order of declaration.
    pub states: &'static [&'static str],
    /// The edges of its machine, in order of declaration.
    pub edges: &'static [Edge],
    /// Its machine as a Mermaid `stateDiagram-v2`.
    pub diagram: &'static str,
}

impl AggregateInfo {
    /// The aggregate of events of type `E`. Where it is declared in another program, it has neither commands nor states
    /// nor edges here.
    pub const fn of<E: DomainEvent>() -> Self {
        let Lifecycle {
            shares_ids_with,
            scopes,
            commands,
            states,
            edges,
            diagram,
            is_broken: _,
        } = E::LIFECYCLE;
        Self {
            domain: E::DOMAIN,
            name: E::NAME,
            kind: E::KIND,
            former_kinds: E::FORMER_KINDS,
            shares_ids_with,
            scopes,
            events: E::EVENTS,
            types: E::TYPES,
            commands,
            states,
            edges,
            diagram,
        }
    }
}

/// What an aggregate declares beside its events.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Lifecycle {
    pub shares_ids_with: &'static [&'static str],
    pub scopes: &'static [&'static str],
    pub commands: &'static [&'static str],
    pub states: &'static [&'static str],
    pub edges: &'static [Edge],
    pub diagram: &'static str,
    /// Whether its declaration has errors.
    pub is_broken: bool,
}

impl Lifecycle {
    /// That of an aggregate which is declared in another program.
    pub const ELSEWHERE: Self = Self {
        shares_ids_with: &[],
        scopes: &[],
        commands: &[],
        states: &[],
        edges: &[],
        diagram: "",
        is_broken: false,
    };

    pub(crate) const fn of<A: Aggregate>() -> Self {
        Self {
            shares_ids_with: A::SHARES_IDS_WITH,
            scopes: A::SCOPES,
            commands: <A::Command as Command>::VARIANTS,
            states: <A::State as StateMachine>::STATES,
            edges: <A::State as StateMachine>::EDGES,
            diagram: <A::State as StateMachine>::DIAGRAM,
            is_broken: A::BROKEN,
        }
    }
}

/// The aggregates of a domain, none of which shares a subject with another; [`domain!`](crate::domain!) makes it.
#[derive(Clone, Copy, Debug)]
pub struct Domain {
    aggregates: &'static [AggregateInfo],
}

impl Domain {
    #[doc(hidden)]
    pub const fn __checked(aggregates: &'static [AggregateInfo]) -> Self {
        Self { aggregates }
    }

    /// The first tokens of all its subjects.
    pub const fn name(&self) -> &'static str {
        match self.aggregates {
            [first, ..] => first.domain,
            [] => "",
        }
    }

    /// Its aggregates, in order of declaration.
    pub const fn aggregates(&self) -> &'static [AggregateInfo] {
        self.aggregates
    }

    /// The aggregate of a kind, `<domain>.<name>`, present or former.
    pub fn aggregate(&self, kind: &str) -> Option<&'static AggregateInfo> {
        self.aggregates
            .iter()
            .find(|aggregate| aggregate.kind == kind || aggregate.former_kinds.contains(&kind))
    }

    /// The present subjects of all aggregates.
    pub fn subjects(&self) -> impl Iterator<Item = &'static str> {
        self.aggregates
            .iter()
            .flat_map(|aggregate| aggregate.events)
            .map(|event| event.event_type)
    }

    /// What is declared of the events of a type, present or former.
    pub fn event(&self, event_type: &str) -> Option<&'static EventInfo> {
        self.aggregates
            .iter()
            .flat_map(|aggregate| aggregate.events)
            .find(|event| event.is_called(event_type))
    }
}
