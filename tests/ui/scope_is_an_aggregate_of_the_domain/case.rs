//! Unique names in a scope that is the name of another aggregate of the domain.

use cim_es::prelude::*;

#[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum SeatState {
    #[state(initial)]
    #[on(DoSeat / SeatDone => _)]
    Any,
}

#[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
enum SeatEvent {
    SeatDone,
}

#[derive(Command, Clone, Debug)]
enum SeatCommand {
    DoSeat,
}

#[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
#[aggregate(domain = "theatre", name = "seat")]
struct Seat {
    state: SeatState,
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
#[aggregate(domain = "theatre", name = "guest", unique = Guest::names, scope = "seat")]
struct Guest {
    state: GuestState,
}

impl Guest {
    fn names(&self) -> Option<UniqueName> {
        None
    }
}

domain!(THEATRE = [SeatEvent, GuestEvent]);

fn main() {}
