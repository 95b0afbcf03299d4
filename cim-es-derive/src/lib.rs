//! The macros of cim-es. Use them through `cim_es::prelude`.
//!
//! Each derive goes through the same phases, one file each: `attr` reads the attributes into the `model`, `check`
//! reports what is wrong with it, `expand` writes the code. All errors of one derive are reported at once, each on its
//! token; beside them stands an implementation that compiles, so that one mistake gives one error.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod aggregate;
mod attr;
mod command;
mod ctxt;
mod event;
mod fingerprint;
#[cfg(test)]
mod golden;
mod id;
mod machine;
mod macros;
mod names;
mod shape;

use proc_macro::TokenStream;

/// The id of an aggregate from a struct with one unnamed field that prints and parses.
#[proc_macro_derive(AggregateId)]
pub fn aggregate_id(input: TokenStream) -> TokenStream {
    id::derive(input.into()).into()
}

/// The states of an aggregate and the edges between them.
#[proc_macro_derive(StateMachine, attributes(machine, state, on))]
pub fn state_machine(input: TokenStream) -> TokenStream {
    machine::derive(input.into()).into()
}

/// The events of an aggregate: their subjects, their versions, and how they fold.
#[proc_macro_derive(DomainEvent, attributes(event, apply, upcast))]
pub fn domain_event(input: TokenStream) -> TokenStream {
    event::derive(input.into()).into()
}

/// The commands of an aggregate.
#[proc_macro_derive(Command, attributes(command))]
pub fn command(input: TokenStream) -> TokenStream {
    command::derive(input.into()).into()
}

/// What events fold into.
#[proc_macro_derive(Aggregate, attributes(aggregate))]
pub fn aggregate(input: TokenStream) -> TokenStream {
    aggregate::derive(input.into()).into()
}

/// The public subject of one event.
#[proc_macro]
pub fn subject(input: TokenStream) -> TokenStream {
    macros::subject(input.into()).into()
}

/// A filter over public subjects.
#[proc_macro]
pub fn filter(input: TokenStream) -> TokenStream {
    macros::filter(input.into()).into()
}

/// All aggregates of a domain.
#[proc_macro]
pub fn domain(input: TokenStream) -> TokenStream {
    macros::domain(input.into()).into()
}
