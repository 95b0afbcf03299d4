//! Writes the machine's implementation.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::Path;
use syn::spanned::Spanned;

use super::model::{Machine, State};
use crate::names;

pub(crate) fn whole(machine: &Machine, fingerprint: u64) -> TokenStream {
    let Machine { ident, states, .. } = machine;
    let Some(initial) = machine.initial() else {
        return TokenStream::new();
    };
    let edges = states.iter().flat_map(|state| {
        state.edges.iter().filter_map(|edge| {
            let from = state.name();
            let to = machine.target(state, edge)?.name();
            let (command, event) = (edge.command_name().unwrap_or_default(), edge.event_name());
            Some(quote!(::cim_es::__private::edge(#from, #command, #event, #to)))
        })
    });
    let ends = states.iter().flat_map(|state| {
        state.edges.iter().filter_map(|edge| {
            let from = place(machine, state)?;
            let to = place(machine, machine.target(state, edge)?)?;
            Some(quote!((#from, #to)))
        })
    });
    let edge_count = states.iter().map(|state| state.edges.len()).sum::<usize>();
    let state_count = states.len();
    let diagram = diagram(machine);
    let initial_name = initial.name();
    let initial = names::generated(&initial.ident);
    let output = output(machine);
    let named = names::generated(ident);
    let variants: Vec<_> = states
        .iter()
        .map(|state| names::generated(&state.ident))
        .collect();
    let places: Vec<usize> = (0..state_count).collect();
    let index = names::variable("the_index", Span::call_site());
    let terminal = states.iter().map(|state| state.terminal.is_some());
    let implementation = implementation(
        machine,
        &quote!(#named::#initial),
        &quote! {
            const EDGES: &'static [::cim_es::machine::Edge] = &[#(#edges),*];
            const INITIAL: &'static str = #initial_name;
            const DIAGRAM: &'static str = #diagram;
            const FINGERPRINT: u64 = #fingerprint;
            const TRANSITIONS: &'static [::cim_es::machine::Transition] =
                &::cim_es::__private::transitions::<#ident, #edge_count>(&[#(#ends),*]);
            const NEXT: &'static [u16] = &::cim_es::__private::next_table::<
                #ident,
                { #state_count * ::cim_es::__private::event_count::<#ident>() },
            >();
            fn index(&self) -> usize {
                match *self {
                    #(#named::#variants => #places,)*
                }
            }
            fn from_index(#index: usize) -> ::core::option::Option<Self> {
                match #index {
                    #(#places => ::core::option::Option::Some(#named::#variants),)*
                    _ => ::core::option::Option::None,
                }
            }
            fn copied(&self) -> Self {
                match *self {
                    #(#named::#variants => #named::#variants,)*
                }
            }
            #output
            fn is_terminal(&self) -> bool {
                match *self {
                    #(#named::#variants => #terminal,)*
                }
            }
        },
    );
    let checks = checks(machine);
    quote!(#implementation #checks)
}

/// What stands beside the errors: it compiles, and it is marked so that nothing more is reported about it.
pub(crate) fn fallback(machine: &Machine) -> TokenStream {
    let output = machine
        .output
        .as_ref()
        .map_or_else(|| quote!(()), |output| quote!(#output));
    implementation(
        machine,
        &quote!(::core::unreachable!()),
        &quote! {
            const EDGES: &'static [::cim_es::machine::Edge] = &[];
            const INITIAL: &'static str = "";
            const DIAGRAM: &'static str = "";
            const FINGERPRINT: u64 = 0;
            const TRANSITIONS: &'static [::cim_es::machine::Transition] = &[];
            const NEXT: &'static [u16] = &[];
            const BROKEN: bool = true;
            fn index(&self) -> usize {
                0
            }
            fn from_index(_: usize) -> ::core::option::Option<Self> {
                ::core::option::Option::None
            }
            fn copied(&self) -> Self {
                ::core::unreachable!()
            }
            fn output(&self) -> #output {
                ::core::unreachable!()
            }
            fn is_terminal(&self) -> bool {
                false
            }
        },
    )
}

fn implementation(machine: &Machine, default: &TokenStream, items: &TokenStream) -> TokenStream {
    let Machine {
        ident,
        event,
        command,
        states,
        ..
    } = machine;
    let output = machine
        .output
        .as_ref()
        .map_or_else(|| quote!(()), |output| quote!(#output));
    let names = states.iter().map(State::name);
    // A private type in a public machine is reported where its name stands.
    let types = [
        quote_spanned!(event.span()=> type Event = #event;),
        quote_spanned!(command.span()=> type Command = #command;),
        quote_spanned!(output.span()=> type Output = #output;),
    ];
    quote! {
        #[automatically_derived]
        #[allow(deprecated)]
        impl ::core::default::Default for #ident {
            fn default() -> Self {
                #default
            }
        }
        #[automatically_derived]
        #[allow(deprecated)]
        impl ::cim_es::machine::StateMachine for #ident {
            #(#types)*
            const STATES: &'static [&'static str] = &[#(#names),*];
            #items
        }
    }
}

fn output(machine: &Machine) -> TokenStream {
    let ident = names::generated(&machine.ident);
    let Some(output) = &machine.output else {
        return quote!(
            fn output(&self) {}
        );
    };
    let arms = machine.states.iter().filter_map(|state| {
        let (_, value) = state.output.as_ref()?;
        let state = names::generated(&state.ident);
        Some(quote!(#ident::#state => #value,))
    });
    quote! {
        fn output(&self) -> #output {
            match *self {
                #(#arms)*
            }
        }
    }
}

/// The names of the edges are checked against the types that declare them, each in an item of its own: a const item
/// is evaluated under `cargo check` too, and its tokens carry the place where the compiler reports it.
fn checks(machine: &Machine) -> TokenStream {
    let edges = machine.states.iter().flat_map(|state| &state.edges);
    edges
        .enumerate()
        .filter(|(_, edge)| !edge.is_shared)
        .map(|(at, edge)| {
            let event = check(machine, at, &edge.event, &machine.event, "check_edge_event");
            let command = edge
                .command
                .as_ref()
                .map(|name| check(machine, at, name, &machine.command, "check_edge_command"));
            quote!(#event #command)
        })
        .collect()
}

fn check(machine: &Machine, at: usize, name: &Ident, declared: &Path, check: &str) -> TokenStream {
    let ident = &machine.ident;
    let label = names::label(declared);
    let check = Ident::new(check, name.span());
    quote_spanned! {name.span()=>
        #[allow(deprecated)]
        const _: () = ::cim_es::__private::#check::<#ident>(#at, #label);
    }
}

/// The place of a state among all, as the tables of the machine count it.
fn place(machine: &Machine, state: &State) -> Option<u16> {
    let at = machine
        .states
        .iter()
        .position(|other| std::ptr::eq(other, state))?;
    u16::try_from(at).ok()
}

/// Mermaid's `stateDiagram-v2`.
fn diagram(machine: &Machine) -> String {
    let mut lines = vec!["stateDiagram-v2".to_owned()];
    if let Some(initial) = machine.initial() {
        lines.push(format!("    [*] --> {}", initial.name()));
    }
    for state in &machine.states {
        for edge in &state.edges {
            let Some(target) = machine.target(state, edge) else {
                continue;
            };
            let label = match edge.command_name() {
                Some(command) => format!("{command} / {}", edge.event_name()),
                None => format!("/ {}", edge.event_name()),
            };
            lines.push(format!(
                "    {} --> {}: {label}",
                state.name(),
                target.name()
            ));
        }
        if state.terminal.is_some() {
            lines.push(format!("    {} --> [*]", state.name()));
        }
    }
    lines.join("\n") + "\n"
}
