use cim_es::prelude::*;

use self::{BookCommand::*, BookEvent::*};

/// Where a book is in its life. On each edge: command / event => next state.
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

/// What happened; stored for ever.
#[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum BookEvent {
    /// The library has the book.
    Acquired { title: String },
    /// A reader has the book.
    Lent { reader: String, due: Timestamp },
    /// The book is back.
    #[apply(reader = None, due = None)]
    Returned,
}

/// What can be asked.
#[derive(Command, Clone, Debug)]
pub enum BookCommand {
    Acquire { title: String },
    Lend { reader: String },
    Return,
}

/// What the events add up to.
#[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
#[aggregate(domain = "library", name = "book")]
pub struct Book {
    state: BookState,
    pub title: Option<String>,
    pub reader: Option<String>,
    pub due: Option<Timestamp>,
}

/// The time in microseconds for which a book is lent: 28 days.
pub const LOAN: i64 = 28 * 24 * 60 * 60 * 1_000_000;

impl Decide for Book {
    fn decide(&self, command: BookCommand, context: &Context) -> Decision<Self> {
        let due = Timestamp::from_micros(context.now().as_micros() + LOAN);
        match command {
            Acquire { title } => emit(Acquired { title }),
            Lend { reader } => emit(Lent { reader, due }),
            Return => emit(Returned),
        }
    }
}
