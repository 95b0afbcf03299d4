//! The tables of a machine, resolved from names at compile time.

use super::text::equal;
use crate::domain::aggregate::{Aggregate, Command};
use crate::domain::event::DomainEvent;
use crate::domain::machine::{Edge, NO_EDGE, StateMachine, Transition};

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

/// The edges by place, from the places of the states in which they start and end. An event or a command that does not
/// exist is reported on its own token, and its place matches nothing.
pub const fn transitions<M: StateMachine, const EDGES: usize>(
    states: &[(u16, u16); EDGES],
) -> [Transition; EDGES] {
    let mut transitions = [Transition {
        from: NO_EDGE,
        command: None,
        event: NO_EDGE,
        to: NO_EDGE,
    }; EDGES];
    let (mut event, mut command) = (0, 0);
    let mut at = 0;
    while at < EDGES {
        let edge = &M::EDGES[at];
        event = place(<M::Event as DomainEvent>::VARIANTS, edge.event, event);
        transitions[at].event = event;
        if let Some(name) = edge.command {
            command = place(<M::Command as Command>::VARIANTS, name, command);
            transitions[at].command = Some(command);
        }
        (transitions[at].from, transitions[at].to) = states[at];
        at += 1;
    }
    transitions
}

/// The place of a name. Edges mostly name events and commands in the order in which those are declared, so the search
/// begins at the place found last: a compiler evaluates this, and stops what takes too long.
const fn place(names: &[&str], name: &str, last: u16) -> u16 {
    let start = if (last as usize) < names.len() {
        last as usize
    } else {
        0
    };
    let mut at = start;
    while at < names.len() {
        if equal(names[at], name) {
            return at as u16;
        }
        at += 1;
    }
    at = 0;
    while at < start {
        if equal(names[at], name) {
            return at as u16;
        }
        at += 1;
    }
    NO_EDGE
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

/// The state of an aggregate once more. By way of the aggregate, so that a field that holds no machine is reported where
/// its type stands alone.
pub fn copied_state<A: Aggregate>(state: &A::State) -> A::State {
    state.copied()
}
