//! Reads `#[machine(…)]`, `#[state(…)]` and `#[on(…)]`.

use std::collections::BTreeSet;

use proc_macro2::Ident;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Attribute, Data, DeriveInput, Expr, Fields, Path, Token, Variant};

use super::model::{Edge, Machine, State, Target};
use super::{check, serde};
use crate::attr::{self, Keys, keys};
use crate::ctxt::Ctxt;
use crate::{group, names, reexport, shape};

keys! {
    /// The keys of `#[machine(…)]`.
    MachineKey of "machine" {
        Event = "event",
        Command = "command",
        Output = "output",
        Crate = "crate",
    }
    elsewhere {
        "initial" => "into `#[state(…)]` on a variant",
        "terminal" => "into `#[state(…)]` on a variant",
    }
}

keys! {
    /// The keys of `#[state(…)]`.
    StateKey of "state" {
        Initial = "initial",
        Terminal = "terminal",
        Output = "output",
    }
    elsewhere {
        "event" => "into `#[machine(…)]` on the enum",
        "command" => "into `#[machine(…)]` on the enum",
    }
}

pub(crate) fn read(ctxt: &Ctxt, input: &DeriveInput) -> Option<Machine> {
    shape::refuse_generics(ctxt, input, "a state machine")?;
    attr::misplaced(
        ctxt,
        &input.attrs,
        &["state"],
        "on a state, a variant of the enum",
    );
    let Data::Enum(data) = &input.data else {
        ctxt.error(
            &input.ident,
            "a state machine is an enum: its variants are the states",
        );
        return None;
    };
    serde::refuse_on_enum(ctxt, &input.attrs);

    let (mut event, mut command, mut output) = (None, None, None);
    Keys::new().read_all(ctxt, &input.attrs, |key, name, value| {
        attr::equals(name, value)?;
        match key {
            MachineKey::Event => event = Some(value.parse::<Path>()?),
            MachineKey::Command => command = Some(value.parse::<Path>()?),
            MachineKey::Output => output = Some(value.parse()?),
            MachineKey::Crate => {
                reexport::check(value)?;
            }
        }
        Ok(())
    });
    let mut states: Vec<State> = data
        .variants
        .iter()
        .map(|variant| state(ctxt, variant))
        .collect();
    for attr in input.attrs.iter().filter(|attr| attr.path().is_ident("on")) {
        shared(ctxt, attr, &mut states);
    }
    let event = event.or_else(|| names::sibling(&input.ident, "State", "Event"));
    let command = command.or_else(|| names::sibling(&input.ident, "State", "Command"));
    if event.is_none() || command.is_none() {
        ctxt.error(
            &input.ident,
            format!(
                "`{}` does not end in `State`, so its events and commands must be named: \
                 add `#[machine(event = …, command = …)]`",
                names::text(&input.ident)
            ),
        );
    }
    let guess = |other| names::guessed_sibling(&input.ident, other);
    Some(Machine {
        ident: input.ident.clone(),
        attrs: input.attrs.clone(),
        event: event.or_else(|| guess("Event"))?,
        command: command.or_else(|| guess("Command"))?,
        output,
        states,
    })
}

fn state(ctxt: &Ctxt, variant: &Variant) -> State {
    serde::refuse_on_state(ctxt, &variant.attrs);
    let name = names::text(&variant.ident);
    if !matches!(variant.fields, Fields::Unit) {
        ctxt.error(
            &variant.fields,
            format!("state `{name}` carries data: keep it in a field of the aggregate"),
        );
    }
    attr::misplaced(ctxt, &variant.attrs, &["machine"], "on the enum");
    for field in &variant.fields {
        attr::misplaced(
            ctxt,
            &field.attrs,
            &["state", "on", "machine"],
            "on a state or on the enum",
        );
    }
    let mut state = State {
        ident: variant.ident.clone(),
        attrs: variant.attrs.clone(),
        initial: None,
        terminal: None,
        output: None,
        edges: Vec::new(),
        is_misread: false,
    };
    let mut keys = Keys::new();
    keys.read_all(ctxt, &variant.attrs, |key, name, value| {
        match key {
            StateKey::Initial => {
                attr::flag(name, value)?;
                state.initial = Some(name.clone());
            }
            StateKey::Terminal => {
                attr::flag(name, value)?;
                state.terminal = Some(name.clone());
            }
            StateKey::Output => {
                attr::equals(name, value)?;
                let mut output: Expr = value.parse()?;
                group::delimit(&mut output);
                state.output = Some((name.clone(), output));
            }
        }
        Ok(())
    });
    for attr in variant
        .attrs
        .iter()
        .filter(|attr| attr.path().is_ident("on"))
    {
        match edges(ctxt, attr) {
            Some(edges) => state.edges.extend(edges),
            None => state.is_misread = true,
        }
    }
    state.is_misread |= keys.has_refused;
    state
}

fn edges(ctxt: &Ctxt, attr: &Attribute) -> Option<Punctuated<Edge, Token![,]>> {
    let list = attr::list(ctxt, attr, "on", "Command / Event => State")?;
    ctxt.keep(list.parse_args_with(Punctuated::parse_terminated))
}

/// Gives the edges of an `#[on(…)]` on the enum to the states that it names.
fn shared(ctxt: &Ctxt, attr: &Attribute, states: &mut [State]) {
    let form = "State | State: Command / Event => State";
    let parsed =
        attr::list(ctxt, attr, "on", form).and_then(|list| ctxt.keep(list.parse_args::<Shared>()));
    let Some(shared) = parsed else {
        for state in states {
            state.is_misread = true;
        }
        return;
    };
    let known: Vec<String> = states.iter().map(State::name).collect();
    let mut seen = BTreeSet::new();
    for name in &shared.states {
        let text = names::text(name);
        let Some(place) = known.iter().position(|it| *it == text) else {
            check::unknown_state(ctxt, name, &known);
            continue;
        };
        if seen.contains(&place) {
            ctxt.error(name, format!("state `{text}` is named twice: keep one"));
            continue;
        }
        let is_shared = !seen.is_empty();
        seen.insert(place);
        let edges = shared.edges.iter().cloned();
        let edges = edges.map(|edge| Edge { is_shared, ..edge });
        states[place].edges.extend(edges);
    }
}

/// `State | State: Command / Event => State, …`: edges that several states have.
struct Shared {
    states: Vec<Ident>,
    edges: Punctuated<Edge, Token![,]>,
}

impl Parse for Shared {
    fn parse(input: ParseStream) -> syn::Result<Self> {
        let form = "on the enum, edges begin with the states that have them: `State | State: Command / Event => State`";
        let mut states = Vec::new();
        loop {
            if !input.peek(Ident::peek_any) {
                return Err(input.error(format!("expected a state: {form}")));
            }
            states.push(input.call(Ident::parse_any)?);
            if !input.peek(Token![|]) {
                break;
            }
            input.parse::<Token![|]>()?;
        }
        if !input.peek(Token![:]) || input.peek(Token![::]) {
            return Err(input.error(format!("expected `|` or `:`: {form}")));
        }
        input.parse::<Token![:]>()?;
        if input.is_empty() {
            return Err(input.error(format!("expected an edge: {form}")));
        }
        let edges = Punctuated::parse_terminated(input)?;
        Ok(Self { states, edges })
    }
}

impl Parse for Edge {
    fn parse(input: ParseStream) -> syn::Result<Self> {
        let command = if input.peek(Token![/]) {
            None
        } else {
            Some(name(input, "a command, or `/` for an edge without one")?)
        };
        if !input.peek(Token![/]) {
            return Err(
                input.error("expected `/` and the event: an edge is `Command / Event => State`")
            );
        }
        input.parse::<Token![/]>()?;
        let event = name(input, "an event")?;
        if !input.peek(Token![=>]) {
            return Err(input
                .error("expected `=>` and the next state: an edge is `Command / Event => State`"));
        }
        input.parse::<Token![=>]>()?;
        let target = if input.peek(Token![_]) {
            Target::Stay(input.parse()?)
        } else {
            Target::State(name(input, "a state, or `_` to stay")?)
        };
        Ok(Self {
            command,
            event,
            target,
            is_shared: false,
        })
    }
}

fn name(input: ParseStream, what: &str) -> syn::Result<Ident> {
    if !input.peek(Ident::peek_any) {
        return Err(input.error(format!(
            "expected {what}: an edge is `Command / Event => State`"
        )));
    }
    let name = input.call(Ident::parse_any)?;
    if input.peek(Token![::]) {
        return Err(input.error("an edge names variants without their type"));
    }
    Ok(name)
}
