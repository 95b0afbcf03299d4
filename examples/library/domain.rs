//! A book: the library has it, a reader has it.

use std::convert::Infallible;

use cim_es::prelude::*;

use self::{BookCommand::*, BookEvent::*};

#[derive(StateMachine, Clone, Debug, Serialize, Deserialize)]
pub enum BookState {
    #[state(initial)]
    #[on(Acquire / Acquired => Available)]
    Unknown,
    #[on(Lend / Lent => OnLoan)]
    Available,
    #[on(Return / Returned => Available)]
    OnLoan,
}

#[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum BookEvent {
    /// The library has the book.
    Acquired { title: String },
    /// A reader has the book.
    #[apply(reader = Some(reader))]
    Lent { reader: String },
    /// The book is back.
    #[apply(reader = None)]
    Returned,
}

#[derive(Command, Clone, Debug)]
pub enum BookCommand {
    Acquire { title: String },
    Lend { reader: String },
    Return,
}

#[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
#[aggregate(domain = "library", name = "book", error = Infallible)]
pub struct Book {
    state: BookState,
    title: String,
    reader: Option<String>,
}

impl Decide for Book {
    fn decide(&self, command: BookCommand, _: &Context) -> Decision<Self> {
        match command {
            Acquire { title } => emit(Acquired { title }),
            Lend { reader } => emit(Lent { reader }),
            Return => emit(Returned),
        }
    }
}
