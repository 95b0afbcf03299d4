//! The tables of a machine, resolved from names at compile time.

use super::text::position;
use crate::aggregate::Command;
use crate::event::DomainEvent;
use crate::machine::{Edge, NO_EDGE, StateMachine, Transition};

/// An edge; an empty `command` stands for none.
pub const fn edge(
    from: &'static str,
    command: &'static str,
    event: &'static str,
    to: &'static str,
) -> Edge {
    Edge {
        from,
        command: if command.is_empty() {
            None
        } else {
            Some(command)
        },
        event,
        to,
    }
}

/// The edges by place. A name that does not exist is reported on its own token, and here it matches nothing.
pub const fn transitions<M: StateMachine, const EDGES: usize>() -> [Transition; EDGES] {
    let mut transitions = [Transition {
        from: NO_EDGE,
        command: None,
        event: NO_EDGE,
        to: NO_EDGE,
    }; EDGES];
    let mut at = 0;
    while at < EDGES {
        let edge = &M::EDGES[at];
        transitions[at] = Transition {
            from: place(M::STATES, edge.from),
            command: match edge.command {
                Some(command) => Some(place(<M::Command as Command>::VARIANTS, command)),
                None => None,
            },
            event: place(<M::Event as DomainEvent>::VARIANTS, edge.event),
            to: place(M::STATES, edge.to),
        };
        at += 1;
    }
    transitions
}

const fn place(names: &[&str], name: &str) -> u16 {
    match position(names, name) {
        Some(at) => at as u16,
        None => NO_EDGE,
    }
}

/// The number of a machine's events.
pub const fn event_count<M: StateMachine>() -> usize {
    <M::Event as DomainEvent>::VARIANTS.len()
}

/// The next state for each state and event.
pub const fn next_table<M: StateMachine, const CELLS: usize>() -> [u16; CELLS] {
    let events = event_count::<M>();
    let mut next = [NO_EDGE; CELLS];
    let mut at = 0;
    while at < M::TRANSITIONS.len() {
        let edge = M::TRANSITIONS[at];
        if edge.event != NO_EDGE {
            next[edge.from as usize * events + edge.event as usize] = edge.to;
        }
        at += 1;
    }
    next
}
