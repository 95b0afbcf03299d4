//! A field belongs to a state that does not exist.

use cim_es::prelude::*;

#[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BookState {
    #[state(initial)]
    #[on(Acquire / Acquired => Available)]
    Unknown,
    #[on(Lend / Lent => OnLoan)]
    #[on(Describe / Described => _)]
    Available,
    #[on(Renew / Renewed => _)]
    #[on(Return / Returned => Available)]
    OnLoan,
}

#[derive(DomainEvent, Clone, Debug, Serialize, Deserialize)]
pub enum BookEvent {
    Acquired { title: String },
    Lent { reader: String, due: u64 },
    Renewed { due: u64 },
    Described { #[event(keep)] note: Option<String>, shelf: Option<u8> },
    Returned,
}

#[derive(Command, Clone, Debug)]
pub enum BookCommand {
    Acquire,
    Lend,
    Renew,
    Describe,
    Return,
}

#[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
#[aggregate(domain = "library", name = "book")]
pub struct Book {
    state: BookState,
    pub title: Option<String>,
    #[in_state(OnLaon | Available)]
    pub reader: Option<String>,
    #[in_state(OnLoan)]
    pub due: u64,
    pub note: Option<String>,
    pub shelf: Option<u8>,
}

fn main() {}
