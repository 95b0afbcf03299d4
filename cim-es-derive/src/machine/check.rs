//! What is wrong with a machine, as far as the machine alone shows it.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::Ident;
use quote::{ToTokens, quote};

use super::model::{Machine, State, Target};
use crate::ctxt::Ctxt;
use crate::names;

pub(crate) fn check(ctxt: &Ctxt, machine: &Machine) {
    if machine.states.is_empty() {
        ctxt.error(
            &machine.ident,
            "a state machine needs at least one state, the initial one",
        );
        return;
    }
    targets(ctxt, machine);
    initial(ctxt, machine);
    outputs(ctxt, machine);
    for state in &machine.states {
        ends(ctxt, state);
        repetitions(ctxt, machine, state);
    }
    // An edge that is not understood makes states look unreachable that are not.
    if ctxt.is_clean() {
        reachability(ctxt, machine);
    }
}

fn targets(ctxt: &Ctxt, machine: &Machine) {
    let known: Vec<String> = machine.states.iter().map(State::name).collect();
    let edges = machine.states.iter().flat_map(|state| &state.edges);
    for edge in edges.filter(|edge| !edge.is_shared) {
        if let Target::State(target) = &edge.target
            && machine.state(target).is_none()
        {
            unknown_state(ctxt, target, &known);
        }
    }
}

/// Reports a name that is no state's.
pub(super) fn unknown_state(ctxt: &Ctxt, name: &Ident, known: &[String]) {
    let text = names::text(name);
    let hint = names::suggestion(&text, known.iter().map(String::as_str));
    ctxt.error(name, format!("state `{text}` does not exist{hint}"));
}

fn initial(ctxt: &Ctxt, machine: &Machine) {
    let mut initial = machine
        .states
        .iter()
        .filter(|state| state.initial.is_some());
    let Some(first) = initial.next() else {
        if machine.states.iter().any(|state| state.is_misread) {
            return;
        }
        ctxt.error(
            &machine.ident,
            "no state is initial: mark the one in which an aggregate begins with `#[state(initial)]`",
        );
        return;
    };
    for further in initial {
        ctxt.error(
            &further.initial,
            format!(
                "`{}` is initial already: an aggregate begins in one state",
                first.name()
            ),
        );
    }
}

fn outputs(ctxt: &Ctxt, machine: &Machine) {
    for state in &machine.states {
        match (&machine.output, &state.output) {
            (Some(output), None) if !state.is_misread => ctxt.error(
                &state.ident,
                format!(
                    "state `{}` has no output: the machine declares one of type `{}`, so add `#[state(output = …)]`",
                    state.name(),
                    output.to_token_stream()
                ),
            ),
            (None, Some((key, _))) => ctxt.error(
                key,
                "the machine declares no output: add `#[machine(output = …)]` with its type to the enum",
            ),
            _ => {}
        }
    }
}

fn ends(ctxt: &Ctxt, state: &State) {
    let name = state.name();
    if state.terminal.is_some() {
        for edge in &state.edges {
            let target = match &edge.target {
                Target::Stay(stay) => stay.to_token_stream(),
                Target::State(state) => state.to_token_stream(),
            };
            let (command, event) = (&edge.command, &edge.event);
            ctxt.error(
                quote!(#command #event #target),
                format!("state `{name}` is terminal, so no edge can leave it: remove the edge, or `terminal`"),
            );
        }
    } else if state.edges.is_empty() && !state.is_misread {
        ctxt.error(
            &state.ident,
            format!("nothing leaves state `{name}`: give it an edge with `#[on(…)]`, or mark it `#[state(terminal)]`"),
        );
    }
}

/// In one state an event leads to one state, whatever command it came from, and an edge is declared once.
fn repetitions(ctxt: &Ctxt, machine: &Machine, state: &State) {
    let mut targets = BTreeMap::new();
    let mut edges = BTreeSet::new();
    for edge in &state.edges {
        let Some(target) = machine.target(state, edge) else {
            continue;
        };
        let event = edge.event_name();
        let first = targets
            .entry(event.clone())
            .or_insert_with(|| target.name());
        if *first != target.name() {
            let message = format!(
                "in state `{}` event `{event}` leads to `{first}` already: an event leads to one state",
                state.name()
            );
            match &edge.target {
                Target::Stay(stay) => ctxt.error(stay, message),
                Target::State(state) => ctxt.error(state, message),
            }
        } else if !edges.insert((edge.command_name(), event.clone())) {
            ctxt.error(
                &edge.event,
                format!(
                    "in state `{}` this edge is declared twice: keep one",
                    state.name()
                ),
            );
        }
    }
}

fn reachability(ctxt: &Ctxt, machine: &Machine) {
    let Some(initial) = machine.initial() else {
        return;
    };
    let mut reached = BTreeSet::from([initial.name()]);
    let mut open = vec![initial];
    while let Some(state) = open.pop() {
        for edge in &state.edges {
            if let Some(target) = machine.target(state, edge)
                && reached.insert(target.name())
            {
                open.push(target);
            }
        }
    }
    for state in machine
        .states
        .iter()
        .filter(|state| !reached.contains(&state.name()))
    {
        ctxt.error(
            &state.ident,
            format!(
                "no edge leads from the initial state `{}` to state `{}`: add one, or remove the state",
                initial.name(),
                state.name()
            ),
        );
    }
}
