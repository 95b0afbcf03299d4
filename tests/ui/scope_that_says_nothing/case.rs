//! Scopes of an aggregate without unique names, of two tokens, and given twice.

use cim_es::prelude::*;

#[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum UsherState {
    #[state(initial)]
    #[on(DoUsher / UsherDone => _)]
    Any,
}

#[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
enum UsherEvent {
    UsherDone,
}

#[derive(Command, Clone, Debug)]
enum UsherCommand {
    DoUsher,
}

#[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
#[aggregate(domain = "theatre", name = "usher", scope = "badge")]
struct Usher {
    state: UsherState,
}

#[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum GuestState {
    #[state(initial)]
    #[on(DoGuest / GuestDone => _)]
    Any,
}

#[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
enum GuestEvent {
    GuestDone,
}

#[derive(Command, Clone, Debug)]
enum GuestCommand {
    DoGuest,
}

#[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
#[aggregate(
    domain = "theatre",
    name = "guest",
    unique = Guest::names,
    scope = "seat.row",
    scope = "ticket",
    scope = "ticket"
)]
struct Guest {
    state: GuestState,
}

impl Guest {
    fn names(&self) -> Option<UniqueName> {
        None
    }
}

fn main() {}
