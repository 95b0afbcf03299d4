//! What a machine means, for its fingerprint.

use super::model::{Edge, Machine, State};
use crate::fingerprint::Digest;

pub(super) fn of(machine: &Machine) -> u64 {
    let Machine {
        ident,
        attrs,
        event,
        command,
        output,
        states,
    } = machine;
    Digest::new()
        .name(ident)
        .attributes(attrs)
        .code(event)
        .code(command)
        .code(output)
        .set(states.iter().map(|state| state_of(machine, state)))
        .value()
}

fn state_of(machine: &Machine, state: &State) -> Digest {
    let State {
        ident,
        attrs,
        initial,
        terminal,
        output,
        edges,
        is_misread: _,
    } = state;
    let digest = Digest::new()
        .name(ident)
        .attributes(attrs)
        .code(initial)
        .code(terminal);
    let digest = match output {
        Some((_, value)) => digest.code(value),
        None => digest.text(""),
    };
    digest.set(edges.iter().map(|edge| edge_of(machine, state, edge)))
}

/// An edge counts by the state in which it ends, whether that is named or is where the edge begins,
/// and wherever it was declared.
fn edge_of(machine: &Machine, state: &State, edge: &Edge) -> Digest {
    let Edge {
        command: _,
        event: _,
        target: _,
        is_shared: _,
    } = edge;
    Digest::new()
        .text(&edge.command_name().unwrap_or_default())
        .text(&edge.event_name())
        .text(
            &machine
                .target(state, edge)
                .map(State::name)
                .unwrap_or_default(),
        )
}
